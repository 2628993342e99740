"""What is free of the heap goes back to the kernel, and threads have none of their own."""

from __future__ import annotations

import subprocess
import sys

MEASURED = """
import threading
from pathlib import Path
from wherry.linux import heap

def kept():
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0])

def heaps_of_threads():  # each begins at a multiple of 64 MiB
    starts = (line.split("-")[0] for line in Path("/proc/self/maps").read_text().splitlines() if " rw-p " in line)
    return sum(int(start, 16) % (64 << 20) == 0 for start in starts)

def in_a_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

def burst():
    global above
    used = [bytes(4000) for _ in range(5000)]
    above = bytes(4000)  # holds the end of the heap, which cannot shrink
    del used
"""


def measured(*lines: str) -> list[int]:
    program = "\n".join((MEASURED, *lines))
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return [int(word) for word in done.stdout.split()]


def test_what_was_used_once_is_given_back() -> None:
    before, behind, after = measured(
        "heap.use_one()",
        "print(kept())",
        "in_a_thread(burst)",
        "print(kept())",
        "heap.give_back()",
        "print(kept())",
    )
    assert behind - before > 15_000  # kB
    assert after - before < 2_000


def test_threads_share_one_heap() -> None:
    assert measured("in_a_thread(burst)", "print(heaps_of_threads())") == [1]
    assert measured("heap.use_one()", "in_a_thread(burst)", "print(heaps_of_threads())") == [0]
