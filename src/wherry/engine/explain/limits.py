"""Which cgroup files are read for a container, and how their texts compare. Pure.

The files, their forms and defaults are those of the table in ``runtime/cgroups/files.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wherry.errors import InvalidArgument
from wherry.runtime.cgroups.files import LIMITS, OF_PARENT, OOM_KEY, Form, is_device_rule
from wherry.runtime.resources import parse_set

PAGE = 4096
WHOLE_NUMBER = re.compile(r"-?[0-9]{1,30}")
SHARES = (2, 1 << 18)
NO_LIMIT = 1 << 60  # bytes: what version 1 shows for no limit is close to 2^63


@dataclass(frozen=True, slots=True)
class LimitFile:
    """A cgroup file that is read for a container. ``used`` is the file beside it that tells what is used of it."""

    file: str
    name: str  # for a reader
    unit: str
    form: Form
    default: str = ""
    used: str = ""


def known(version: int) -> Iterator[tuple[bool, LimitFile]]:
    """Every file of a version, and whether it is read in every container."""
    for limit in LIMITS:
        if (file := limit.file(version)) is not None:
            kind = LimitFile(file.name, limit.name, limit.unit, file.form, file.default, file.used)
            yield file.watched, kind


KNOWN = {version: tuple(kind for _, kind in known(version)) for version in (1, 2)}
BY_DEVICE = {kind.file for kinds in KNOWN.values() for kind in kinds if kind.form in (Form.LINES, Form.PAIRS)}
V1, V2 = (tuple(kind for watched, kind in known(version) if watched) for version in (1, 2))


def limit_files(version: int, planned: Iterable[str]) -> tuple[LimitFile, ...]:
    """The files that every container has, and those that its plan writes beside them."""
    watched = V1 if version == 1 else V2
    names = {kind.file for kind in watched}
    by_name = {kind.file: kind for kind in KNOWN[version]}
    others = [file for file in dict.fromkeys(planned) if file not in names and not is_device_rule(file)]
    return (*watched, *(by_name.get(file) or other_file(file) for file in others))


def other_file(file: str) -> LimitFile:
    """One that the table does not have: asked for by its name, or with a scheduler's name in its own."""
    form = Form.LINES if file.endswith("_device") else Form.LAST if "weight" in file else Form.WORDS
    return LimitFile(file, file, "count", form, OF_PARENT)


# ---------------------------------------------------------------- values


def value_of(text: str, form: Form) -> Any:
    """A file's text, or what was written to it, as something to be compared. None is no limit."""
    return READERS[form](text)


def last_number(text: str) -> int | str | None:
    return number((text.split() or [""])[-1])


def lines(text: str) -> frozenset[str]:
    """The lines, however they are spaced."""
    return frozenset(" ".join(line.split()) for line in text.splitlines() if line.strip())


def oom_switch(text: str) -> int | str | None:
    """``memory.oom_control`` is written as a number, and read as lines of which one has it."""
    switches = (line[len(OOM_KEY) :] for line in text.splitlines() if line.startswith(OOM_KEY))
    return number(next(switches, text))


def number(text: str) -> int | str | None:
    """A number of a control file; None for no limit; a text that is no number as it is."""
    plain = text.strip()
    if plain in ("max", "", "-1"):
        return None
    return int(plain) if WHOLE_NUMBER.fullmatch(plain) else plain


def pages(value: int | str | None) -> int | str | None:
    """What the kernel makes of bytes; None for what version 1 shows where there is no limit."""
    if not isinstance(value, int):
        return value
    return None if value >= NO_LIMIT else value // PAGE * PAGE


def shares(text: str) -> int | str | None:
    """Within the kernel's bounds."""
    value = number(text)
    return min(max(value, SHARES[0]), SHARES[1]) if isinstance(value, int) else value


def cpu_set(text: str) -> frozenset[int] | str:
    """The CPUs or nodes of a list; the text where it is none."""
    try:
        return frozenset(parse_set(text.strip(), "list"))
    except InvalidArgument:
        return text.strip()


def pairs(text: str) -> Iterable[tuple[str, str]]:
    """Each limit of each device of ``io.max``, without those that are none."""
    for line in text.splitlines():
        device, *settings = line.split() or [""]
        yield from ((device, setting) for setting in settings if not setting.endswith("=max"))


READERS: Mapping[Form, Callable[[str], Any]] = {
    Form.BYTES: lambda text: pages(number(text)),
    Form.NUMBER: number,
    Form.SHARES: shares,
    Form.SET: cpu_set,
    Form.LAST: last_number,
    Form.LINES: lines,
    Form.PAIRS: lambda text: frozenset(pairs(text)),
    Form.WORDS: lambda text: " ".join(text.split()),
    Form.OOM: oom_switch,
}


def shown(text: str) -> str:
    """A file's text in one line; "unlimited" for what means that."""
    plain = "; ".join(" ".join(line.split()) for line in text.splitlines())
    value = number(plain)
    return "unlimited" if value is None or (isinstance(value, int) and value >= NO_LIMIT) else plain


def planned_texts(writes: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    """File names to what a plan leaves in them: the last value, or all of them where each is for a device."""
    texts: dict[str, str] = {}
    for file, value in writes:
        many = file in BY_DEVICE or other_file(file).form is Form.LINES
        texts[file] = f"{texts[file]}\n{value}" if many and file in texts else value
    return texts
