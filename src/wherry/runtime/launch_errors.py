"""What a failing step is called to a user: Docker's words where its clients know them, else the step's own."""

from __future__ import annotations

import errno
import os

from wherry.errors import LaunchFailed
from wherry.runtime.steps import (
    EnterPids,
    Exec,
    Launchable,
    OwnDirectory,
    RootDirectory,
    Step,
    User,
    WorkingDirectory,
)
from wherry.values.quoting import quoted

NOT_FOUND = 127
NOT_EXECUTABLE = 126
NOT_STARTED = 128
EXEC_CODES = {
    errno.ENOENT: NOT_FOUND,
    errno.ENOTDIR: NOT_FOUND,
    errno.EACCES: NOT_EXECUTABLE,
    errno.EISDIR: NOT_EXECUTABLE,
    errno.ENOEXEC: NOT_EXECUTABLE,
    errno.EPERM: NOT_EXECUTABLE,
}


def reason(number: int) -> str:
    """errno in words, as Go writes them: ``no such file or directory``."""
    text = os.strerror(number)
    return text[:1].lower() + text[1:]


def exec_text(step: Exec, number: int, detail: str) -> str:
    command = step.argv[0]
    named = f"exec: {quoted(command)}"
    if number == errno.ENOENT and "/" not in command:
        return f"{named}: executable file not found in $PATH"
    if number == errno.ENOENT and detail == command:
        return f"{named}: stat {quoted(command)[1:-1]}: {reason(number)}"
    if number == errno.EISDIR:
        return f"{named}: {reason(number)}: permission denied"
    return f"{named}: {reason(number)}"


def step_text(index: int, step: Step, number: int, detail: str) -> str:
    """What stood in the way of one step; ``detail`` is the path, or the whole story where there is no errno."""
    if isinstance(step, Exec) and number:
        return exec_text(step, number, detail)
    if isinstance(step, WorkingDirectory) and number:
        return f"chdir to cwd ({quoted(str(step.path))}) failed: {reason(number)}"
    if isinstance(step, OwnDirectory) and number == errno.ENOTDIR:
        return f"cannot mount volume over existing file, file exists {step.path}"
    if isinstance(step, EnterPids) and number == errno.EAGAIN:
        return f"no further process can be made for it: {reason(number)} (the container may be at its --pids-limit)"
    words = f"{reason(number)}: {detail}" if number else detail
    return f"step {index} ({step.name}: {step.describe()}): {words}"


def exit_code(step: Step, number: int) -> int:
    """What Docker records as the exit code of a container that could not be started."""
    return EXEC_CODES.get(number, NOT_STARTED) if isinstance(step, Exec | WorkingDirectory) else NOT_STARTED


def launch_failed(plan: Launchable | None, index: int, number: int, detail: str) -> LaunchFailed:
    """The error for the launcher's ``F`` packet."""
    if plan is None or index >= len(plan.steps):
        words = f"the launcher refused the plan: {detail}" if number else detail
        return LaunchFailed(f"unable to start container process: {words}", errno=number)
    step = plan.steps[index]
    if isinstance(step, User) and not number:
        text = detail  # dockerd says this before it starts anything
    elif isinstance(step, RootDirectory) and number == errno.ENOTDIR:
        text = f"Cannot mkdir: {step.path} is not a directory"  # and this
    else:
        text = f"unable to start container process: {step_text(index, step, number, detail)}"
    return LaunchFailed(text, step=index, name=step.name, errno=number, exit_code=exit_code(step, number))


def warning_text(plan: Launchable | None, index: int, text: str) -> str:
    """The launcher's warning, led by the name of the step that it comes from."""
    name = plan.steps[index].name if plan is not None and index < len(plan.steps) else "launcher"
    return f"{name}: {text}"
