"""``--change`` of import and commit: the Dockerfile instructions that set an image's config.

Docker CLI reference, "docker image import"; Dockerfile reference for each instruction.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from wherry.errors import InvalidArgument
from wherry.image.manifest import RunConfig
from wherry.messages.base import Nothing

MOST_CHANGES, MOST_PORTS = 1000, 1 << 18  # all ports of all protocols are less
_SHELL = ["/bin/sh", "-c"]
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)


def apply_changes(config: RunConfig, changes: Sequence[str]) -> RunConfig:
    """``config`` with the instructions carried out in order; InvalidArgument names the one that is wrong."""
    lines = _lines(changes)
    if len(lines) > MOST_CHANGES or sum(map(_ports_in, lines)) > MOST_PORTS:
        raise InvalidArgument(f"more than {MOST_CHANGES} changes, or {MOST_PORTS} ports")
    for line in lines:
        name, _, text = line.partition(" ")
        instruction = _INSTRUCTIONS.get(name.upper())
        if instruction is None:
            raise InvalidArgument(f"{name.lower()} is not a valid change command")
        if not text.strip():
            raise InvalidArgument(f"{name.upper()} requires at least one argument")
        config = instruction(config, text.strip())
    return config


def _lines(changes: Sequence[str]) -> list[str]:
    text = "\n".join(changes).replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _ports_in(line: str) -> int:
    """How many ports a line names, at most: ranges are short to write and long to be carried out."""
    matches = map(_PORT.fullmatch, line.split()[1:] if line[:7].upper() == "EXPOSE " else ())
    return sum(max(int(m[2] or m[1]) - int(m[1]), 0) + 1 for m in matches if m is not None)


def _json_list(text: str) -> list[str] | None:
    """The exec form, or None where it is the shell form."""
    if not text.startswith("["):
        return None
    try:
        return msgspec.json.decode(text, type=list[str])
    except (msgspec.MsgspecError, RecursionError):
        return None


def _command(text: str) -> list[str]:
    words = _json_list(text)
    return [*_SHELL, text] if words is None else words


def _words(text: str, instruction: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InvalidArgument(f"{instruction}: {error} in {text!r}") from error


def _pairs(text: str, instruction: str) -> list[tuple[str, str]]:
    """``a=1 b="2 3"``, or the old ``a 1``."""
    first, _, rest = text.partition(" ")
    if "=" not in first:
        if not rest.strip():
            raise InvalidArgument(f"{instruction} must have two arguments")
        return [(first, rest.strip())]
    pairs = [word.partition("=") for word in _words(text, instruction)]
    if any(not name or not equals for name, equals, _ in pairs):
        raise InvalidArgument(f"{instruction}: expected name=value, got {text!r}")
    return [(name, value) for name, _, value in pairs]


def _cmd(config: RunConfig, text: str) -> RunConfig:
    return replace(config, cmd=_command(text))


def _entrypoint(config: RunConfig, text: str) -> RunConfig:
    return replace(config, entrypoint=_command(text))


def _env(config: RunConfig, text: str) -> RunConfig:
    env = dict(item.partition("=")[::2] for item in config.env or ())
    env.update(_pairs(text, "ENV"))
    return replace(config, env=[f"{name}={value}" for name, value in env.items()])


def _label(config: RunConfig, text: str) -> RunConfig:
    return replace(config, labels={**(config.labels or {}), **dict(_pairs(text, "LABEL"))})


def _expose(config: RunConfig, text: str) -> RunConfig:
    ports = dict(config.exposed_ports or {})
    for word in text.split():
        match = _PORT.fullmatch(word)
        first = int(match[1]) if match else 0
        last = int(match[2] or first) if match else 0
        if match is None or not 1 <= first <= last <= 65535:
            raise InvalidArgument(f"EXPOSE: invalid containerPort: {word}")
        ports.update({f"{port}/{(match[3] or 'tcp').lower()}": Nothing() for port in range(first, last + 1)})
    return replace(config, exposed_ports=ports)


def _user(config: RunConfig, text: str) -> RunConfig:
    return replace(config, user=_single(text, "USER"))


def _volume(config: RunConfig, text: str) -> RunConfig:
    paths = _json_list(text) or text.split()
    if not all(path.strip() for path in paths):
        raise InvalidArgument("VOLUME specified can not be an empty string")
    return replace(config, volumes={**(config.volumes or {}), **{path: Nothing() for path in paths}})


def _workdir(config: RunConfig, text: str) -> RunConfig:
    path = posixpath.join(config.working_dir or "/", _single(text, "WORKDIR"))
    return replace(config, working_dir="/" + posixpath.normpath(path).lstrip("/"))


def _stopsignal(config: RunConfig, text: str) -> RunConfig:
    return replace(config, stop_signal=_single(text, "STOPSIGNAL"))


def _onbuild(config: RunConfig, text: str) -> RunConfig:
    return replace(config, on_build=[*(config.on_build or ()), text])


def _single(text: str, instruction: str) -> str:
    words = _words(text, instruction)
    if len(words) != 1:
        raise InvalidArgument(f"{instruction} requires exactly one argument")
    return words[0]


_INSTRUCTIONS: dict[str, Callable[[RunConfig, str], RunConfig]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
