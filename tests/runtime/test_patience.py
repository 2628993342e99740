"""Monitors that somebody stops: they are let go on, and in the end killed; nobody waits for ever."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.harness.hold import held
from tests.harness.waiting import until
from tests.native.full_container import Wanted
from tests.native.lab import Lab, lab  # noqa: F401 - a fixture
from tests.runtime.test_spawner import children, spawner
from wherry.errors import LaunchFailed
from wherry.linux import pidfd
from wherry.runtime.binary import launcher_path
from wherry.runtime.launcher import ExitStatus, Launcher, Monitored
from wherry.runtime.patience import Action, Overdue, Patience, Word
from wherry.runtime.steps import Log

SLEEPER = Wanted(argv=("sleep", "1000"))
SHORT = Patience(start=0.8, rest=0.8)
LOOKS = 0.1  # seconds between two
TESTS_PATIENCE = 15.0


# ---------------------------------------------------------------- what to do, and when


def looks(
    words: Sequence[Word | None], *, fresh: bool = False, work: Sequence[int] | None = None
) -> list[Action]:
    """At a look a second."""
    overdue, work = Overdue(Patience(start=4, rest=2, busy=6)), work or [0] * len(words)
    return [
        overdue.look(word, float(now), lambda now=now: work[now], fresh=fresh)  # type: ignore[misc]
        for now, word in enumerate(words)
    ]


def test_a_word_that_does_not_come() -> None:
    wait, wake, kill, forget = Action
    assert looks([Word.EXITED] * 6) == [wait, wake, kill, kill, forget, forget]
    assert looks([Word.STARTED] * 6, fresh=True) == [wait, wake, wake, wake, kill, kill]


def test_one_that_works_is_not_stopped() -> None:
    """But it may not do so for ever, and once it has been killed nobody asks what it does."""
    wait, wake, kill, forget = Action
    assert looks([Word.EXITED] * 6, work=[0, 1, 2, 2, 2, 2]) == [wait, wake, wake, wake, kill, kill]
    busy = looks([Word.EXITED] * 10, work=list(range(10)))
    assert busy == [wait, *[wake] * 5, kill, kill, forget, forget]


def test_each_word_has_its_own_time() -> None:
    words = [None, None, None, Word.EXITED, Word.EXITED, Word.CLEANED, Word.CLEANED, None]
    wait, wake = Action.WAIT, Action.WAKE
    assert looks(words) == [wait, wait, wait, wait, wake, wait, wake, wait]


def test_time_in_which_nobody_looked_does_not_count() -> None:
    """The daemon stood still, in a freezer or with the whole machine; so has the monitor, and it goes on just now."""
    overdue = Overdue(Patience(start=30, rest=15))
    times = (0.0, 2.0, 3600.0, 3602.0, 3606.0, 3610.0)
    seen = [overdue.look(Word.EXITED, at, lambda: 0, fresh=False) for at in times]
    wait, wake, kill, _ = Action
    assert seen == [wait, wake, wake, wake, wake, kill]


# ---------------------------------------------------------------- real ones


@asynccontextmanager
async def looked_after(lab: Lab) -> AsyncIterator[None]:  # noqa: F811
    """Somebody looks after the lab's monitors, as an engine does; with less patience."""

    async def again_and_again() -> None:
        while True:
            lab.launcher.look_after()
            await asyncio.sleep(LOOKS)

    task = asyncio.create_task(again_and_again())
    try:
        yield
    finally:
        task.cancel()


def soon(lab: Lab, work: Callable[[], Awaitable[None]], seconds: float = TESTS_PATIENCE) -> None:  # noqa: F811
    async def scenario() -> None:
        async with looked_after(lab):
            await asyncio.wait_for(work(), seconds)

    asyncio.run(scenario())


@pytest.fixture
def hasty(lab: Lab) -> Iterator[Lab]:  # noqa: F811
    """A lab whose launcher has little patience."""
    lab.launcher.close()
    lab.launcher = Launcher(launcher_path(), SHORT)
    yield lab
    lab.launcher.close()


def test_one_that_is_stopped_once_goes_on(lab: Lab) -> None:  # noqa: F811
    """With the process's own end, and all that it has said."""

    async def work() -> None:
        monitored = await lab.start(Wanted(argv=("sh", "-c", "sleep 0.2; exit 6")))
        os.kill(monitored.pid, signal.SIGSTOP)
        status = await lab.finish(monitored)
        assert (status.code, status.error) == (6, "")

    soon(lab, work)
    assert lab.left_cgroups() == []


def test_the_end_is_known_though_the_monitor_is_kept_stopped(hasty: Lab) -> None:
    async def work() -> None:
        monitored = await hasty.start(Wanted(argv=("sh", "-c", "sleep 0.2; exit 6")))
        with held(monitored.pid):
            status = await hasty.finish(monitored)
        assert status.code == 6 and "did not say how its process has ended" in status.error

    soon(hasty, work)
    assert hasty.left_cgroups() == []


def test_the_end_is_known_before_clients_can_see_it(hasty: Lab) -> None:
    """With the monitor that is killed their streams end, and they ask at once how the process ended."""

    async def work() -> None:
        monitored = await hasty.start(Wanted(argv=("sh", "-c", "sleep 0.2; exit 6")))
        gone = pidfd.open_pidfd(monitored.pid)
        with held(monitored.pid):
            while not pidfd.readable(gone, 100):  # nothing but this is done meanwhile
                hasty.launcher.look_after()
            assert monitored.exited.done() and monitored.exited.result().code == 6
        os.close(gone)
        await hasty.finish(monitored)

    asyncio.run(work())
    assert hasty.left_cgroups() == []


TINY = {"max_size": 1, "max_file": 10000}  # a file for each line


def test_the_log_of_a_busy_monitor_is_whole(hasty: Lab) -> None:
    """Its process has ended long ago, and it renames hundreds of files for each line that is left."""

    async def work() -> None:
        log = Log(str(hasty.bundle.base / "log"), **TINY)
        status = await hasty.finish(await hasty.start(Wanted(argv=("seq", "1200"), log=log)))
        assert (status.code, status.error) == (0, "")
        assert len(list(hasty.bundle.base.glob("log*"))) == 1200

    soon(hasty, work, 60)


def test_a_busy_monitor_hears_the_next_daemon(hasty: Lab) -> None:
    """Between two reads of its container's output, each of which makes no more files than take a moment."""

    async def work() -> None:
        log = Log(str(hasty.bundle.base / "log"), **TINY)
        first = await hasty.start(Wanted(argv=("yes",), log=log))
        assert await until(lambda: len(list(hasty.bundle.base.glob("log*"))) > 300, TESTS_PATIENCE)
        first.close()
        second = await hasty.launcher.take_over(hasty.socket_path, None, hasty.clean)
        assert second.pid == first.pid
        second.signal(signal.SIGKILL)
        await second.cleaned
        second.close()

    soon(hasty, work)


def test_a_signal_does_not_pass_through_the_monitor(hasty: Lab) -> None:
    async def work() -> None:
        monitored = await hasty.start(SLEEPER)
        with held(monitored.pid):
            await asyncio.sleep(3 * SHORT.rest)
            assert not monitored.exited.done(), "a process that runs owes nothing"
            monitored.signal(signal.SIGTERM)
            monitored.signal(signal.SIGKILL)
            assert (await monitored.exited).code == 137
            await monitored.cleaned
        monitored.close()

    soon(hasty, work)
    assert hasty.left_cgroups() == []


def test_a_monitor_that_cannot_clean_up(hasty: Lab) -> None:
    """It has told of the end, and is stopped before its cgroups are gone; the next start of the same comes through."""

    async def work() -> None:
        first = await hasty.start(Wanted(argv=("true",)))
        await first.exited
        with suppress(ProcessLookupError), held(first.pid):
            assert (await hasty.finish(await hasty.start(Wanted(argv=("true",))))).code == 0

    for _ in range(5):
        soon(hasty, work)
    assert hasty.left_cgroups() == []


@pytest.mark.parametrize("which", ["the spawner", "the one that waits"])
def test_a_spawner_that_is_stopped(lab: Lab, which: str) -> None:  # noqa: F811
    async def work() -> None:
        async with lab.running():
            waiting = await spare()
            pid = spawner() if which == "the spawner" else waiting
            os.kill(pid, signal.SIGSTOP)
            for _ in range(2):
                assert (await lab.execute(running(lab), Wanted(argv=("echo", "on")))).output == b"on\n"

    soon(lab, work)


def test_a_start_is_looked_after_sooner_than_all_else(lab: Lab) -> None:  # noqa: F811
    """Nobody here looks every few seconds."""

    async def work() -> None:
        async with lab.running():
            os.kill(await spare(), signal.SIGSTOP)
            assert (await lab.execute(running(lab), Wanted(argv=("echo", "on")))).output == b"on\n"

    asyncio.run(asyncio.wait_for(work(), TESTS_PATIENCE))


@pytest.mark.parametrize("which", [slice(0, 1), slice(1, 2), slice(0, 2)], ids=["it", "who waits", "both"])
def test_a_spawner_that_is_kept_stopped(hasty: Lab, which: slice) -> None:
    """What comes to it meanwhile fails, and says so; what comes after that finds another."""

    async def work() -> None:
        async with hasty.running():
            with held(*[spawner(), await spare()][which]):
                said = [await outcome() for _ in range(4)]
            assert said[-1] == "on", said
            assert all(text == "on" or "did not say that the command runs" in text for text in said), said

    async def outcome() -> str:
        try:
            return (await hasty.execute(running(hasty), Wanted(argv=("echo", "on")))).output.decode().strip()
        except LaunchFailed as error:
            return error.message

    soon(hasty, work)


async def spare() -> int:
    """The process that waits for a plan; it is made when there is time."""
    return (await until(lambda: children(spawner())))[-1]


def running(lab: Lab) -> Monitored:  # noqa: F811
    (found,) = [m for m in lab.launcher._all if m.init_pid and not m.exited.done()]
    return found


def test_taking_over_from_a_monitor_that_is_stopped(hasty: Lab) -> None:
    async def work() -> None:
        first = await hasty.start(SLEEPER)
        first.close()
        os.kill(first.pid, signal.SIGSTOP)
        second = await hasty.launcher.take_over(hasty.socket_path, None)
        assert (second.pid, second.init_pid) == (first.pid, first.init_pid)
        second.signal(signal.SIGKILL)
        await hasty.finish(second)

    soon(hasty, work)
    assert hasty.left_cgroups() == []


def test_taking_over_from_a_monitor_that_is_kept_stopped(hasty: Lab) -> None:
    """It is taken as lost, and nothing of it is left: the container does not run on unseen."""

    async def work() -> None:
        first = await hasty.start(SLEEPER)
        first.close()
        with held(first.pid), pytest.raises(OSError, match="did not say"):
            await hasty.launcher.take_over(hasty.socket_path, None, hasty.clean)
        for pid in (first.pid, first.init_pid):
            assert not Path(f"/proc/{pid}").exists() or state(pid) in "ZX"

    soon(hasty, work)
    assert hasty.left_cgroups() == []


def test_nothing_is_heard_of_a_start_once_the_launcher_has_let_go(
    hasty: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """The loop has no threads any more when the socket's end comes."""

    async def work() -> None:
        async with hasty.running():
            waiting = [spawner(), await spare()]
        with held(*waiting):
            start = asyncio.create_task(hasty.start(SLEEPER))
            assert await until(lambda: any(monitored.starting for monitored in hasty.launcher._all))
            start.cancel()
            await asyncio.wait([start])
            hasty.launcher.let_go()
            hasty.launcher.close()

    asyncio.run(work())
    assert caplog.records == []


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_taking_over_from_a_launcher_that_has_not_begun(hasty: Lab) -> None:
    """Nobody can tell which process it is; that costs no more time than another."""

    async def work() -> None:
        async with hasty.running():
            waiting = await spare()
        hasty.socket_path.unlink(missing_ok=True)  # of that one
        with held(waiting):
            start = asyncio.create_task(hasty.start(SLEEPER))
            assert await until(hasty.socket_path.exists)
            with pytest.raises(OSError, match=r"did not say|ended before"):
                await hasty.launcher.take_over(hasty.socket_path, None)
            with pytest.raises(LaunchFailed):
                await start

    soon(hasty, work)


def test_a_monitor_that_takes_nothing_is_not_filled_without_end(hasty: Lab) -> None:
    async def work() -> None:
        monitored: Monitored = await hasty.start(SLEEPER)
        os.kill(monitored.pid, signal.SIGSTOP)
        with pytest.raises(Exception, match="takes no requests"):
            for _ in range(5000):
                await monitored.resize(10, 10)
        os.kill(monitored.pid, signal.SIGCONT)
        monitored.signal(signal.SIGKILL)
        status: ExitStatus = await hasty.finish(monitored)
        assert status.code == 137

    soon(hasty, work)


ANOTHER = """
import asyncio, os, signal, socket, struct, subprocess, sys
from pathlib import Path
from wherry.runtime.launcher import Monitored
from wherry.runtime.patience import Word

async def main():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    monitored = Monitored(ours, None, None)
    first = subprocess.Popen(["sleep", "100"])
    theirs.send(b"S" + struct.pack("<I", first.pid))
    await monitored.started
    first.kill()
    first.wait()  # and before it tells of the end, the pid is given to another
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(first.pid - 1))
    another = subprocess.Popen(["sleep", "100"])
    assert another.pid == first.pid
    monitored.signal(signal.SIGKILL)
    print(monitored.owes(), another.poll())
    another.kill()
    print(another.wait())
    monitored.close()
    print(monitored.pidfd)

asyncio.run(main())
"""


def test_a_pid_that_has_become_anothers_is_not_signalled() -> None:
    own = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    done = subprocess.run([*own, sys.executable, "-c", ANOTHER], capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n")[:3] == ["Word.EXITED None", "-9", "-1"], done.stderr
