"""``--security-opt``: what it may say, told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wherry.errors import InvalidArgument
from wherry.values.words import boolean

UNCONFINED = "unconfined"


@dataclass(frozen=True, slots=True)
class Security:
    """What the options come to.

    ``seccomp`` is "" for the default policy, ``unconfined``, or the JSON text of a profile (clients read the file).
    """

    no_new_privileges: bool = False
    seccomp: str = ""
    writable_cgroups: bool | None = None

    def filters(self, *, privileged: bool) -> bool:
        """Whether system calls are filtered. Docker: a privileged container has only a filter asked for by name."""
        return self.seccomp != UNCONFINED and not (privileged and not self.seccomp)


def parse_security(options: Sequence[str] | None, *, no_new_privileges: bool = False) -> Security:
    """Docker's forms, ``key=value`` or the old ``key:value``; AppArmor and SELinux labels are accepted and unused.

    ``no_new_privileges`` is the daemon's own default.
    """
    seccomp, writable = "", None
    for option in options or ():
        key, value = split_option(option)
        if key == "no-new-privileges":
            no_new_privileges = parse_bool(option, value)
        elif key == "writable-cgroups":
            writable = parse_bool(option, value)
        elif key == "seccomp":
            seccomp = "" if value == "builtin" else value
        elif key not in ("label", "apparmor", "disable"):
            raise InvalidArgument(f'invalid --security-opt 2: "{option}"')
    return Security(no_new_privileges, seccomp, writable)


def split_option(option: str) -> tuple[str, str]:
    if option in ("no-new-privileges", "writable-cgroups", "disable"):
        return option, "true"
    separator = "=" if "=" in option else ":"
    key, found, value = option.partition(separator)
    if not found:
        raise InvalidArgument(f'invalid --security-opt 1: "{option}"')
    return key, value


def parse_bool(option: str, value: str) -> bool:
    try:
        return boolean(value)
    except ValueError:
        raise InvalidArgument(f'invalid --security-opt 2: "{option}"') from None
