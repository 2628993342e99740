"""How an image's configuration and a create request become one. OCI image-spec, config.md; Docker's precedence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from wherry.errors import InvalidArgument


class ProcessRequest(Protocol):
    """The part of ``Config`` that images and containers share, whichever it is of."""

    @property
    def user(self) -> str: ...
    @property
    def env(self) -> Sequence[str] | None: ...
    @property
    def cmd(self) -> Sequence[str] | str | None: ...
    @property
    def entrypoint(self) -> Sequence[str] | str | None: ...
    @property
    def working_dir(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str] | None: ...
    @property
    def exposed_ports(self) -> Iterable[str] | None: ...
    @property
    def volumes(self) -> Iterable[str] | None: ...
    @property
    def stop_signal(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Merged:
    """What results: every field under its name in ``Config``, and the command that is to run.

    ``cmd`` and ``entrypoint`` are None where neither side has any.
    """

    user: str
    env: list[str]
    cmd: list[str] | None
    entrypoint: list[str] | None
    working_dir: str
    labels: dict[str, str]
    exposed_ports: list[str]
    volumes: list[str]
    stop_signal: str

    @property
    def argv(self) -> tuple[str, ...]:
        """Entrypoint and command; InvalidArgument where there is none."""
        argv = (*(self.entrypoint or ()), *(self.cmd or ()))
        if not argv:
            raise InvalidArgument("no command specified")
        return argv


def words(value: Sequence[str] | str | None) -> list[str] | None:
    """Docker takes a plain string where a list is meant, as a list of one."""
    if value is None:
        return None
    return [value] if isinstance(value, str) else list(value)


def merge(request: ProcessRequest, image: ProcessRequest) -> Merged:
    """The request wins; environment, labels, ports and volumes are united.

    The image's command counts only where the request has neither command nor entrypoint; an entrypoint of
    one empty string takes the image's away.
    """
    cmd, entrypoint = words(request.cmd), words(request.entrypoint)
    if not entrypoint:
        cmd = cmd or words(image.cmd)
        entrypoint = words(image.entrypoint) if entrypoint is None else entrypoint
    return Merged(
        user=request.user or image.user,
        env=merge_env(request.env or (), image.env or ()),
        cmd=cmd or None,
        entrypoint=None if not entrypoint or entrypoint == [""] else entrypoint,
        working_dir=request.working_dir or image.working_dir,
        labels=united(image.labels, request.labels),
        exposed_ports=united_keys(image.exposed_ports, request.exposed_ports),
        volumes=united_keys(image.volumes, request.volumes),
        stop_signal=request.stop_signal or image.stop_signal,
    )


def merge_env(request: Iterable[str], image: Iterable[str]) -> list[str]:
    """The request's variables, then those of the image that it does not name."""
    own = list(request)
    named = {entry.partition("=")[0] for entry in own}
    return own + [entry for entry in image if entry.partition("=")[0] not in named]


def united(image: Mapping[str, str] | None, request: Mapping[str, str] | None) -> dict[str, str]:
    return {**(image or {}), **(request or {})}


def united_keys(image: Iterable[str] | None, request: Iterable[str] | None) -> list[str]:
    return list(dict.fromkeys([*(request or ()), *(image or ())]))
