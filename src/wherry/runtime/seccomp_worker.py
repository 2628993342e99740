"""Compiling a profile that a client has sent, in a process of its own.

libseccomp takes exponential time for a dozen rules of the wrong kind, and nothing can interrupt it. So whoever sends a
profile has some seconds of a process, and not the daemon's.

``python -m wherry.runtime.seccomp_worker`` reads a ``Job`` from its standard input and writes an ``Answer``.
"""

from __future__ import annotations

import resource
import subprocess
import sys

import msgspec

from wherry.errors import InvalidArgument, WherryError

SECONDS = 5
MEMORY = 1 << 30
INSTRUCTIONS_MAX = 4096  # seccomp(2), BPF_MAXINSNS


class Job(msgspec.Struct):
    """A profile in Docker's form, and the capabilities that its conditions may look at."""

    profile: str
    capabilities: list[str]


class Answer(msgspec.Struct):
    """The filter, none where the profile has no rule; or what is wrong with the profile."""

    program: bytes | None = None
    flags: int = 0
    error: str = ""


def compiled(job: Job) -> Answer:
    """Have a profile compiled by a worker. Blocks, for a few seconds at most. InvalidArgument."""
    command = [sys.executable, "-m", "wherry.runtime.seccomp_worker"]
    try:
        done = subprocess.run(
            command, input=msgspec.msgpack.encode(job), capture_output=True, timeout=2 * SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise too_much() from None
    if done.returncode != 0:
        raise too_much()
    answer = msgspec.msgpack.decode(done.stdout, type=Answer)
    if answer.error:
        raise InvalidArgument(answer.error)
    length = len(answer.program or b"") // 8
    if length > INSTRUCTIONS_MAX:
        raise InvalidArgument(
            f"the seccomp profile becomes {length} instructions, and the kernel takes {INSTRUCTIONS_MAX}"
        )
    return answer


def too_much() -> InvalidArgument:
    return InvalidArgument("the seccomp profile cannot be compiled: it takes too much time or memory")


def main() -> None:
    """What the worker does, within bounds of its own."""
    from wherry.runtime.seccomp import compile_profile

    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    job = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Job)
    try:
        made = compile_profile(job.profile, frozenset(job.capabilities))
        answer = Answer(made.program, made.flags) if made is not None else Answer()
    except WherryError as error:
        answer = Answer(error=error.message)
    sys.stdout.buffer.write(msgspec.msgpack.encode(answer))


if __name__ == "__main__":
    main()
