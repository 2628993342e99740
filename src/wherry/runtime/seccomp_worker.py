"""Compiling a profile that a client has sent, in a process of its own.

libseccomp takes exponential time for a dozen rules of the wrong kind, and nothing can interrupt it. So whoever sends a
profile has some seconds of a process, and not the daemon's.

``python -m wherry.runtime.seccomp_worker`` reads a ``Job`` from its standard input and writes an ``Answer``.
"""

from __future__ import annotations

import resource
import sys

import msgspec

from wherry.errors import InvalidArgument, WherryError
from wherry.linux.program import ask

SECONDS = 5  # of a processor, that a profile may take
OTHERS_SECONDS = 5  # that others may keep its process from one
MEMORY = 1 << 30
INSTRUCTIONS_MAX = 4096  # seccomp(2), BPF_MAXINSNS


class Job(msgspec.Struct):
    """A profile in Docker's form, the capabilities that its conditions may look at, and the processor's time for it."""

    profile: str
    capabilities: list[str]
    seconds: int = SECONDS


class TooMuch(InvalidArgument):
    """A profile that takes more time or memory than it was given."""

    def __init__(self) -> None:
        super().__init__("the seccomp profile cannot be compiled: it takes too much time or memory")


class Answer(msgspec.Struct):
    """The filter, none where the profile has no rule; or what is wrong with the profile."""

    program: bytes | None = None
    flags: int = 0
    error: str = ""


def compiled(job: Job) -> Answer:
    """Have a profile compiled by a worker. Blocks, for a few seconds at most. InvalidArgument; TooMuch."""
    # -P: nothing of the working directory
    command = [sys.executable, "-P", "-m", "wherry.runtime.seccomp_worker"]
    try:
        done = ask(command, msgspec.msgpack.encode(job), job.seconds + OTHERS_SECONDS)
    except TimeoutError:
        raise TooMuch from None
    if done.status != 0:
        raise TooMuch
    answer = msgspec.msgpack.decode(done.output, type=Answer)
    if answer.error:
        raise InvalidArgument(answer.error)
    length = len(answer.program or b"") // 8
    if length > INSTRUCTIONS_MAX:
        raise InvalidArgument(
            f"the seccomp profile becomes {length} instructions, and the kernel takes {INSTRUCTIONS_MAX}"
        )
    return answer


def main() -> None:
    """What the worker does, within bounds of its own."""
    from wherry.runtime.seccomp import compile_profile

    job = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Job)
    resource.setrlimit(resource.RLIMIT_CPU, (job.seconds, job.seconds))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        made = compile_profile(job.profile, frozenset(job.capabilities))
        answer = Answer(made.program, made.flags) if made is not None else Answer()
    except WherryError as error:
        answer = Answer(error=error.message)
    sys.stdout.buffer.write(msgspec.msgpack.encode(answer))


if __name__ == "__main__":
    main()
