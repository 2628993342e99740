"""What ``ps`` says of processes, also where somebody keeps it from saying it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from wherry.engine.processes import list_processes
from wherry.errors import Internal


def test_what_ps_says() -> None:
    table = asyncio.run(list_processes([os.getpid()], "-o pid,comm"))
    assert table.titles == ["PID", "COMMAND"]
    assert [row[0] for row in table.rows] == [str(os.getpid())]


def stop_ps(over: threading.Event) -> None:
    """Stop each child of ours as soon as it is ``ps``."""
    while not over.is_set():
        for task in os.listdir("/proc/self/task"):
            with suppress(OSError):
                for pid in Path(f"/proc/self/task/{task}/children").read_text().split():
                    if Path(f"/proc/{pid}/comm").read_text() == "ps\n":
                        os.kill(int(pid), signal.SIGSTOP)


def test_one_that_is_stopped_does_not_keep_anybody_waiting() -> None:
    over = threading.Event()
    thread = threading.Thread(target=stop_ps, args=(over,))
    thread.start()
    try:
        with pytest.raises(Internal, match=r"ps -ef .*did not end within 1 seconds and was killed"):
            for _ in range(20):  # now and then it is quicker
                asyncio.run(list_processes([os.getpid()], seconds=1))
    finally:
        over.set()
        thread.join()
