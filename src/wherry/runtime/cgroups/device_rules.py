"""Device access rules, reduced to what they come to. OCI runtime-spec, config-linux.md "Allowed Device list"."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from wherry.runtime import oci_spec as oci
from wherry.runtime.devices import docker_rules, runtime_rules
from wherry.values.devices import ANY

EVERYTHING = "rwm"
ALL = "a"  # of devices and kinds of access, as a v1 control file has it
Key = tuple[str, int, int]  # type, major, minor; -1 is any


@dataclass(frozen=True, slots=True)
class DeviceAccess:
    """Allow or deny by default, and the exceptions: device to the letters of ``rwm`` that differ."""

    allow: bool
    exceptions: tuple[tuple[Key, str], ...] = ()

    @property
    def unrestricted(self) -> bool:
        """Whether everything is allowed."""
        return self.allow and not self.exceptions


def reduce(rules: Iterable[oci.DeviceRule]) -> DeviceAccess:
    """Apply rules in order: later ones win, one for all devices starts anew. Without any, all is allowed."""
    allow, exceptions = True, dict[Key, str]()
    for rule in rules:
        if rule.type in ("", "a"):
            allow, exceptions = rule.allow, {}
        elif rule.allow != allow:
            key = key_of(rule)
            exceptions[key] = letters(exceptions.get(key, "") + (rule.access or EVERYTHING))
        else:
            key = key_of(rule)
            left = "".join(c for c in exceptions.get(key, "") if c not in (rule.access or EVERYTHING))
            exceptions = (
                {**exceptions, key: left} if left else {k: v for k, v in exceptions.items() if k != key}
            )
    return DeviceAccess(allow, tuple(exceptions.items()))


def with_defaults(rules: Iterable[oci.DeviceRule]) -> DeviceAccess:
    """The rules of a specification, and what every runtime allows beside them."""
    return reduce([*rules, *runtime_rules()])


@cache
def usual() -> DeviceAccess:
    """What a container may open that asks for no devices."""
    return with_defaults(docker_rules())


def key_of(rule: oci.DeviceRule) -> Key:
    return rule.type, number(rule.major), number(rule.minor)


def number(value: int | None) -> int:
    """A device number; -1 for any."""
    return ANY if value is None or value < 0 else value


def letters(access: str) -> str:
    """Kinds of access in the order ``rwm``, each once."""
    return "".join(c for c in EVERYTHING if c in access)


def rule_text(key: Key, access: str) -> str:
    """As a v1 control file has it: ``c 1:3 rwm``."""
    kind, major, minor = key
    return f"{kind} {'*' if major == ANY else major}:{'*' if minor == ANY else minor} {access}"
