"""What a failing step is called to a user: Docker's words where its clients know them, else the step's own."""

from __future__ import annotations

import errno
import os

from wherry.errors import LaunchFailed
from wherry.runtime.steps import (
    EnterPids,
    Exec,
    Launchable,
    Mask,
    Origin,
    OwnDirectory,
    RootDirectory,
    Step,
    User,
    WorkingDirectory,
)
from wherry.values.quoting import quoted, visible

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
# What the kernel says of a value, where it would have taken another one.
REFUSALS = {*EXEC_CODES, errno.EINVAL, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO, errno.ENODEV,
            errno.ERANGE, errno.EROFS, errno.EOPNOTSUPP}  # fmt: skip
NULL = "/dev/null"
MISMATCH = (
    "Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is "
    "the expected type"
)


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
    if number and (text := words_of_docker(step, number, detail)):
        return text
    asked = is_asked(step, number, detail)
    cause = f", for {step.cause.text}" if asked else ""
    words = f"{reason(number)}: {detail}" if number else detail
    hint = f": {MISMATCH}" if asked and number == errno.ENOTDIR else ""
    return visible(f"step {index} ({step.name}: {step.describe()}{cause}): {words}{hint}")


def words_of_docker(step: Step, number: int, detail: str) -> str:
    """What Docker's clients know it by; empty for all else."""
    match step:
        case Exec():
            return exec_text(step, number, detail)
        case WorkingDirectory():
            return f"chdir to cwd ({quoted(str(step.path))}) failed: {reason(number)}"
        case OwnDirectory() if number == errno.ENOTDIR:
            return f"cannot mount volume over existing file, file exists {step.path}"
        case EnterPids() if number == errno.EAGAIN:
            return f"no further process can be made for it: {reason(number)} (the container may be at its --pids-limit)"
        case Mask() if detail == NULL:
            return f"can't mask paths: open {NULL}: {reason(number)}"
    return ""


def is_asked(step: Step, number: int, detail: str) -> bool:
    """Whether the kernel refused what the request wants. What masks a file is there, unless something is mounted over
    it."""
    by_request = step.cause.origin is Origin.REQUEST or (isinstance(step, Mask) and detail == NULL)
    return by_request and number in REFUSALS


def exit_code(step: Step, number: int, *, asked: bool) -> int:
    """What Docker records as the exit code of a container that could not be started."""
    by_command = asked or isinstance(step, Exec | WorkingDirectory)
    return EXEC_CODES.get(number, NOT_STARTED) if by_command else NOT_STARTED


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
    asked = is_asked(step, number, detail)
    code = exit_code(step, number, asked=asked)
    return LaunchFailed(text, step=index, name=step.name, errno=number, exit_code=code, asked=asked)


def warning_text(plan: Launchable | None, index: int, text: str) -> str:
    """The launcher's warning, led by the name of the step that it comes from."""
    name = plan.steps[index].name if plan is not None and index < len(plan.steps) else "launcher"
    return f"{name}: {text}"
