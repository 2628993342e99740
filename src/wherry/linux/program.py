"""Programs of the host that are asked something: they have a time for the answer, whatever somebody does to them."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

# A process group that is left without a parent outside gets SIGHUP and SIGCONT where one of it is stopped: so who is
# stopped does not outlive who has asked. setpgid(2), credentials(7).
OF_ITS_OWN = 0
KILLED_SECONDS = 1.0  # within which a process that was killed is gone, unless a debugger holds it


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended, what it answered, and what it complained of."""

    status: int
    output: bytes
    complaint: bytes


def ask(command: Sequence[str], given: bytes, seconds: float) -> Finished:
    """Run a program with this as its input. Blocks. OSError; TimeoutError where it had to be killed.

    ``subprocess.run`` waits without an end for what it has killed, and one that is being traced cannot be collected
    before its tracer lets go of it. Here it is left to ``subprocess``, which collects it with one of the next programs.
    """
    pipe = subprocess.PIPE
    program = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, process_group=OF_ITS_OWN)
    try:
        output, complaint = program.communicate(given, seconds)
    except subprocess.TimeoutExpired:
        abandon(program)
        name = os.path.basename(command[0])
        raise TimeoutError(errno.ETIMEDOUT, "it did not end, and was killed", name) from None
    except BaseException:
        abandon(program)
        raise
    return Finished(program.returncode, output, complaint)


def abandon(program: subprocess.Popen[bytes]) -> None:
    """Kill it, and wait for it no longer than for one that dies of that."""
    program.kill()
    for pipe in (program.stdin, program.stdout, program.stderr):
        if pipe is not None:
            with suppress(OSError):  # what was to be written still
                pipe.close()
    with suppress(subprocess.TimeoutExpired):
        program.wait(KILLED_SECONDS)
