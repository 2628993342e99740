"""The processes of a container, as the host's ``ps`` describes them. Engine API, ``GET /containers/{id}/top``."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from wherry.errors import Internal, InvalidArgument
from wherry.linux.program import OF_ITS_OWN

DEFAULT_ARGUMENTS = "-ef"
PS_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ProcessTable:
    """Column titles, and one row a process."""

    titles: list[str]
    rows: list[list[str]]


async def list_processes(
    pids: Collection[int], arguments: str = "", seconds: float = PS_SECONDS
) -> ProcessTable:
    """What ``ps ARGUMENTS`` says of these processes, of which it must show the PID. InvalidArgument, Internal."""
    argv = (arguments or DEFAULT_ARGUMENTS).split()
    wanted = {str(pid) for pid in pids}
    status, output, _ = await run_ps([*argv, "-q", ",".join(wanted)], seconds)
    if status != 0:  # some options do not go with -q, such as f
        status, output, complaint = await run_ps(argv, seconds)
        if status != 0:
            reason = complaint.strip().partition("\n")[0]
            raise InvalidArgument(f"ps {' '.join(argv)}: {reason or f'exit status {status}'}")
    return select(output, wanted)


async def run_ps(arguments: Sequence[str], seconds: float) -> tuple[int, str, str]:
    """Its exit code, its output and its complaints. Internal where there is no ``ps``, or it does not come to an end:
    it may be stopped, and it reads from processes, which may keep it waiting."""
    try:
        ps = await asyncio.create_subprocess_exec(
            "ps",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            process_group=OF_ITS_OWN,
        )
    except FileNotFoundError:
        raise Internal("the host has no ps command: install the package procps") from None
    try:
        output, complaint = await asyncio.wait_for(ps.communicate(), seconds)
    except TimeoutError:
        with suppress(ProcessLookupError):
            ps.kill()
        raise Internal(
            f"ps {' '.join(arguments)} did not end within {seconds:.0f} seconds and was killed"
        ) from None
    return ps.returncode or 0, output.decode("utf-8", "replace"), complaint.decode("utf-8", "replace")


def select(output: str, pids: Collection[str]) -> ProcessTable:
    """The rows of ``ps`` whose PID is one of these. The last column may contain spaces."""
    lines = output.splitlines()
    titles = lines[0].split() if lines else []
    if "PID" not in titles:
        raise InvalidArgument("Couldn't find PID field in ps output")
    place, last = titles.index("PID"), len(titles) - 1
    rows = [line.split(None, last) for line in lines[1:]]
    return ProcessTable(titles, [row for row in rows if len(row) > place and row[place] in pids])
