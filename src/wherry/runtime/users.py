"""Users of an image by their names, as /etc/passwd and /etc/group have them. passwd(5), group(5). Pure.

The launcher looks them up when a process starts; who asks beforehand learns sooner that there is none such.
"""

from __future__ import annotations

from wherry.errors import InvalidArgument
from wherry.values.numbers import is_number

DATABASE_MAX = 8 << 20  # bytes; in a longer one nobody is found. native/user.c


def names_of(spec: str) -> tuple[str, str]:
    """The user and the group of ``name|uid[:group|gid]`` that have to be looked up; "" where there is nothing to."""
    user, _, group = spec.partition(":")
    return to_look_up(user), to_look_up(group)


def to_look_up(name: str) -> str:
    return "" if is_number(name.lstrip("+-")) else name


def check_known(name: str, what: str, database: bytes) -> None:
    """InvalidArgument, in Docker's words, for a name that is in no line of a database: ``passwd`` or ``group``."""
    lines, wanted = b"\n%b\n" % database, name.encode("utf-8", "surrogateescape")
    if not any(b"\n%b%b" % (wanted, end) in lines for end in (b":", b"\n")):
        kind = "user" if what == "passwd" else what
        raise InvalidArgument(f"unable to find {kind} {name}: no matching entries in {what} file")
