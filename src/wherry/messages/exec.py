"""Commands in running containers. Engine API, Exec."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType, field

from wherry.messages.base import Model, Request, Uint


class ExecCreate(Request, frozen=True):
    """Body of ``POST /containers/{id}/exec``."""

    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    console_size: tuple[Uint, Uint] | None = None
    detach_keys: str = ""
    tty: bool = False
    env: list[str] | None = None
    cmd: list[str] | None = None
    privileged: bool = False
    user: str = ""
    working_dir: str = ""


class ExecStart(Request, frozen=True):
    """Body of ``POST /exec/{id}/start``."""

    detach: bool = False
    tty: bool = False
    console_size: tuple[Uint, Uint] | None = None


class ProcessConfig(msgspec.Struct):
    """What an exec runs."""

    tty: bool
    entrypoint: str
    arguments: list[str]
    privileged: bool
    user: str | UnsetType = UNSET


class ExecInspect(Model, kw_only=True):
    """``GET /exec/{id}/json``."""

    id: str = field(name="ID")
    running: bool
    exit_code: int | None
    process_config: ProcessConfig
    open_stdin: bool
    open_stderr: bool
    open_stdout: bool
    can_remove: bool = False
    container_id: str = field(name="ContainerID")
    detach_keys: str = ""
    pid: int = 0


class ExecCreated(Model, kw_only=True):
    """``POST /containers/{id}/exec``."""

    id: str
