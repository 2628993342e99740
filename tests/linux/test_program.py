"""Programs that the engine asks: each has a time, also where a debugger keeps it from dying."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests.harness.hold import held
from tests.harness.waiting import eventually
from wherry.linux.program import Finished, ask

SOURCE = Path(__file__).parents[2] / "src" / "wherry"
BOUND = 30.0  # seconds: a bound against a hang, no more


def test_what_it_says() -> None:
    assert ask(["sh", "-c", "cat; echo no >&2; exit 3"], b"on", BOUND) == Finished(3, b"on", b"no\n")
    with pytest.raises(FileNotFoundError):
        ask(["/no/such/program"], b"", BOUND)


@pytest.mark.parametrize("given", [b"", b"x" * (1 << 20)], ids=["no input", "more input than it reads"])
def test_one_that_does_not_end_is_killed(given: bytes) -> None:
    with pytest.raises(TimeoutError, match="it did not end, and was killed: 'sleep'"):
        ask(["sleep", "600"], given, 0.2)
    assert "sleep" not in children().values()


def test_one_that_is_stopped_ends_with_who_has_asked() -> None:
    script = "from wherry.linux.program import ask; ask(['sleep', '600'], b'', 600)"
    with subprocess.Popen([sys.executable, "-c", script]) as asking:
        assert eventually(lambda: "sleep" in children(asking.pid).values())
        (asked,) = children(asking.pid)
        os.kill(asked, signal.SIGSTOP)
        asking.kill()
    try:
        assert eventually(lambda: not Path(f"/proc/{asked}").exists())
    finally:
        with suppress(ProcessLookupError):
            os.kill(asked, signal.SIGKILL)


def test_one_that_a_debugger_holds_keeps_nobody_waiting() -> None:
    said: list[object] = []

    def work() -> None:
        try:
            said.append(ask(["sleep", "600"], b"", 3))
        except OSError as error:
            said.append(type(error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert eventually(lambda: "sleep" in children().values())
    [pid] = [pid for pid, name in children().items() if name == "sleep"]
    with held(pid):
        thread.join(BOUND)
        assert said == [TimeoutError]
        assert pid in children()
    assert eventually(lambda: ask(["true"], b"", BOUND).status == 0 and pid not in children())


def test_nothing_of_the_engine_waits_for_a_program_in_another_way() -> None:
    """The command line is another program, and waits for who uses it."""
    users = [
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if "subprocess" in path.read_text() and path.relative_to(SOURCE).parts[0] != "cli"
    ]
    assert sorted(users) == ["engine/processes.py", "linux/program.py"]  # ps is waited for by the event loop


def children(parent: int | str = "self") -> dict[int, str]:
    """A process's, our own at first, with their names."""
    found: dict[int, str] = {}
    for task in os.listdir(f"/proc/{parent}/task"):
        with suppress(OSError):
            for pid in map(int, Path(f"/proc/{parent}/task/{task}/children").read_text().split()):
                found[pid] = Path(f"/proc/{pid}/comm").read_text().rstrip()
    return found
