"""Exec instances as ``inspect`` shows them. Engine API, ExecInspectResponse."""

from __future__ import annotations

from wherry.engine.exec import Exec
from wherry.messages.exec import ExecInspect, ProcessConfig


def inspect(instance: Exec) -> ExecInspect:
    """An exec instance, as it stands."""
    request = instance.request
    command = request.cmd or [""]
    process = ProcessConfig(
        tty=request.tty, entrypoint=command[0], arguments=command[1:], privileged=request.privileged
    )
    if request.user:
        process.user = request.user
    return ExecInspect(
        id=instance.id,
        running=instance.running,
        exit_code=instance.exit_code,
        process_config=process,
        open_stdin=request.attach_stdin,
        open_stderr=request.attach_stderr,
        open_stdout=request.attach_stdout,
        container_id=instance.container.id,
        detach_keys=request.detach_keys,
        pid=instance.pid,
    )
