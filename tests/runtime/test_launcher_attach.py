"""Clients of a running container: streams, stdin, detaching, and readers that are slow or gone."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.harness.waiting import eventually, until
from tests.native.full_container import Wanted
from tests.native.lab import PATIENCE, Lab, frames, joined, lab, read_all  # noqa: F401 - a fixture
from wherry.runtime.launcher import Attach, Monitored
from wherry.runtime.steps import Log

MEBIBYTE = 1 << 20
CTRL_PQ = b"\x10\x11"


class Client:
    """One end of a hijacked connection, the other one given to the monitor."""

    def __init__(self, id: int, **options: object) -> None:
        self.socket, self._theirs = socket.socketpair()
        self.socket.setblocking(False)
        self.attach = Attach(id, self._theirs.fileno(), **options)  # type: ignore[arg-type]

    def handed(self) -> None:
        self._theirs.close()

    async def all(self) -> bytes:
        return await asyncio.wait_for(read_all(self.socket), PATIENCE)

    async def some(self, size: int = 65536) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.socket, size), PATIENCE)

    async def until(self, text: bytes) -> bytes:
        got = b""
        while text not in got:
            piece = await self.some()
            assert piece, f"the stream ended before {text!r} came: {got!r}"
            got += piece
        return got

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    def close(self) -> None:
        self.socket.close()


async def start(lab: Lab, script: str, *clients: Client, **changes: object) -> Monitored:  # noqa: F811
    wanted = Wanted(argv=("sh", "-c", script), **changes)  # type: ignore[arg-type]
    monitored = await lab.start(wanted, *(client.attach for client in clients))
    for client in clients:
        client.handed()
    return monitored


async def join(monitored: Monitored, client: Client) -> None:
    await monitored.attach(client.attach)
    client.handed()


def test_streams_are_framed_apart(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        both, raw, errors = Client(1, framed=True), Client(2), Client(3, stdout=False, framed=True)
        told: list[tuple[int, int]] = []
        monitored = await start(
            lab, "echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three", both, raw, errors
        )
        monitored.on_detach = lambda id, reason: told.append((id, reason))
        assert frames(await both.all()) == [(1, b"one\n"), (2, b"two\n"), (1, b"three\n")]
        assert await raw.all() == b"one\ntwo\nthree\n"
        assert frames(await errors.all()) == [(2, b"two\n")]
        await lab.finish(monitored)
        assert sorted(told) == [(1, 2), (2, 2), (3, 2)]

    asyncio.run(scenario())


@pytest.mark.parametrize("then", ["sleep 1000", "exit 0"])
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo wrong >&2; echo right", [(2, b"wrong\n"), (1, b"right\n")]),
        ("echo right; echo wrong >&2", [(1, b"right\n"), (2, b"wrong\n")]),
        ("echo wrong >&2; echo right; echo more", [(2, b"wrong\n"), (1, b"right\nmore\n")]),
    ],
)
def test_the_stream_that_was_written_first_comes_first(
    lab: Lab,  # noqa: F811
    script: str,
    said: list[tuple[int, bytes]],
    then: str,
) -> None:
    """Also where both were written before the monitor was awake. ``docker run … 2>&1`` shows it."""

    async def scenario() -> None:
        client = Client(1, framed=True)
        waiting = "until [ -e /tmp/go ]; do sleep 0.01; done"
        monitored = await start(lab, f"echo up; {waiting}; {script}; touch /tmp/gone; {then}", client)
        assert frames(await client.until(b"up\n")) == [(1, b"up\n")]
        root = Path(f"/proc/{monitored.init_pid}/root/tmp")
        assert await until(lambda: waits(monitored.pid))
        os.kill(monitored.pid, signal.SIGSTOP)
        (root / "go").touch()
        assert await until(lambda: monitored.has_ended() or (then != "exit 0" and (root / "gone").exists()))
        os.kill(monitored.pid, signal.SIGCONT)
        assert frames(await client.until(said[-1][1])) == said
        monitored.signal(9)
        await lab.finish(monitored)

    asyncio.run(scenario())


def waits(pid: int) -> bool:
    """Whether a monitor has nothing to do: it sleeps nowhere but in its loop."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def test_half_close_ends_stdin_that_is_meant_for_one(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        client = Client(1, stdin=True, leftover=b"first ")
        monitored = await start(lab, "cat; echo end", client, stdin=True, stdin_once=True)
        await client.send(b"second\n")
        client.socket.shutdown(socket.SHUT_WR)
        assert await client.all() == b"first second\nend\n"
        await lab.finish(monitored)

    asyncio.run(scenario())


def test_stdin_for_many_stays_open(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        first, second = Client(1, stdin=True, stdout=False, stderr=False), Client(2, stdin=True)
        script = "read a; read b; echo $a $b"
        monitored = await start(lab, script, first, stdin=True)
        await first.send(b"one\n")
        first.socket.shutdown(socket.SHUT_WR)
        await asyncio.sleep(0.1)
        await join(monitored, second)
        await second.send(b"two\n")
        assert await second.all() == b"one two\n"
        await lab.finish(monitored)

    asyncio.run(scenario())


def test_much_stdin_waits_for_a_slow_container(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        client = Client(1, stdin=True)
        monitored = await start(lab, "sleep 0.5; md5sum", client, stdin=True, stdin_once=True)
        content = os.urandom(8 * MEBIBYTE)
        await asyncio.wait_for(client.send(content), PATIENCE)
        client.socket.shutdown(socket.SHUT_WR)
        import hashlib

        assert (await client.all()).split()[0].decode() == hashlib.md5(content).hexdigest()
        await lab.finish(monitored)

    asyncio.run(scenario())


def test_stdin_that_nobody_reads_blocks_nothing(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        client = Client(1, stdin=True)
        monitored = await start(lab, "exec 0<&-; sleep 0.3; echo done", client, stdin=True, stdin_once=True)
        await asyncio.wait_for(client.send(b"x" * (4 * MEBIBYTE)), PATIENCE)
        assert await client.all() == b"done\n"
        await lab.finish(monitored)

    asyncio.run(scenario())


def test_detach_keys(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        client, other = Client(7, stdin=True, detach_keys=CTRL_PQ), Client(8)
        told: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
        monitored = await start(
            lab, "stty -echo raw; while read l; do echo got $l; done", client, tty=True, stdin=True
        )
        monitored.on_detach = lambda id, reason: told.put_nowait((id, reason))
        await asyncio.sleep(0.2)
        await client.send(b"a\x10b\n\x10")
        assert await client.until(b"\n") == b"got a\x10b\n"
        await client.send(b"\x11never")
        assert await asyncio.wait_for(told.get(), PATIENCE) == (7, 0)
        assert await client.all() == b""
        await join(monitored, other)
        monitored.signal(9)
        assert b"never" not in await other.all()
        await lab.finish(monitored)

    asyncio.run(scenario())


def test_terminal_and_resize(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        client = Client(1, stdin=True)
        script = "stty size; trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.05; done"
        monitored = await start(lab, script, client, tty=True, stdin=True, rows=24, columns=80)
        assert (await client.until(b"ready\r\n")) == b"24 80\r\nready\r\n"
        await monitored.resize(33, 44)
        assert await client.until(b"\n") == b"33 44\r\n"
        assert (await lab.finish(monitored)).code == 0

    asyncio.run(scenario())


def test_a_terminal_that_is_closed_and_opened_again(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        client = Client(1)
        script = "echo one; exec <&- >&- 2>&-; sleep 0.2; exec >/dev/console; echo two"
        monitored = await start(lab, script, client, tty=True)
        assert await client.all() == b"one\r\ntwo\r\n"
        await lab.finish(monitored)

    asyncio.run(scenario())


def test_a_spool_that_cannot_be_written_ends_its_reader_only(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        slow, fast = Client(1), Client(2)
        (lab.bundle.base / "spool").rmdir()
        monitored = await start(lab, FLOOD, slow, fast)
        assert len(await fast.all()) == SIZE
        assert len(await slow.all()) < SIZE
        assert (await lab.finish(monitored)).code == 3

    asyncio.run(scenario())


def test_interrupt_from_the_terminal(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        client = Client(1, stdin=True)
        monitored = await start(lab, "trap 'exit 5' INT; echo ready; while :; do sleep 0.05; done", client,
                                tty=True, stdin=True)  # fmt: skip
        await client.until(b"ready")
        await client.send(b"\x03")
        assert (await lab.finish(monitored)).code == 5

    asyncio.run(scenario())


def test_a_client_that_goes_is_told_of(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        client = Client(5)
        told: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
        async with lab.running() as monitored:
            monitored.on_detach = lambda id, reason: told.put_nowait((id, reason))
            await join(monitored, client)
            client.socket.shutdown(socket.SHUT_WR)  # as the CLI does without -i: not a reason to go
            await asyncio.sleep(0.1)
            assert told.empty()
            client.close()
            assert await asyncio.wait_for(told.get(), PATIENCE) == (5, 1)

    asyncio.run(scenario())


def test_attaching_to_what_has_ended(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        monitored = await start(lab, "true")
        await lab.finish(monitored)
        await asyncio.sleep(0.1)
        client, told = Client(9), []
        monitored.on_detach = lambda id, reason: told.append((id, reason))
        await join(monitored, client)
        assert told == [(9, 2)]
        client.close()

    asyncio.run(scenario())


def test_who_attaches_too_late_does_not_keep_the_monitor(lab: Lab) -> None:  # noqa: F811
    """It is still there for a client that has not read all; another that comes now is told that it is over."""

    async def scenario() -> None:
        slow, late, told = Client(1), Client(2), dict[int, int]()
        monitored = await start(lab, FLOOD, slow)
        monitored.on_detach = told.__setitem__
        await asyncio.wait_for(monitored.exited, PATIENCE)
        await join(monitored, late)
        assert await late.all() == b""
        assert len(await slow.all()) == SIZE
        assert await until(lambda: not Path(f"/proc/{monitored.pid}").exists())
        assert told == {1: 2, 2: 2}

    asyncio.run(scenario())


def test_more_clients_than_places(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        async with lab.running() as monitored:
            told: dict[int, int] = {}
            monitored.on_detach = told.__setitem__
            clients = [Client(id) for id in range(130)]
            for client in clients:
                await join(monitored, client)
            await asyncio.sleep(0.3)
            assert told == {128: 3, 129: 3}
            assert await clients[129].all() == b""
            for client in clients:
                client.close()

    asyncio.run(scenario())


# ---------------------------------------------------------------- readers that are slow, or gone

SIZE = 48 * MEBIBYTE
FLOOD = f"dd if=/dev/zero bs=64k count={SIZE // 65536} 2>/dev/null; exit 3"


def test_a_vanished_reader_blocks_nobody(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        gone, fast = Client(1, framed=True), Client(2, framed=True)
        monitored = await start(lab, FLOOD, gone, fast)
        await gone.some()
        gone.close()
        assert len(joined(await fast.all(), 1)) == SIZE
        assert (await lab.finish(monitored)).code == 3

    asyncio.run(scenario())


def test_a_slow_reader_blocks_nobody_and_loses_nothing(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        slow, fast = Client(1, framed=True), Client(2, framed=True)
        monitored = await start(lab, FLOOD, slow, fast)
        assert len(joined(await fast.all(), 1)) == SIZE
        status = await asyncio.wait_for(monitored.exited, PATIENCE)  # the slow one has not read a byte yet
        assert status.code == 3
        assert len(joined(await slow.all(), 1)) == SIZE
        await lab.finish(monitored)

    asyncio.run(scenario())


def test_a_lone_reader_that_stands_still_does_not_stop_the_container(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        still = Client(1, framed=True)
        monitored = await start(lab, FLOOD, still)
        began = time.monotonic()
        assert (await asyncio.wait_for(monitored.exited, PATIENCE)).code == 3
        print(f"\nthe container went on after {time.monotonic() - began:.1f} s")
        assert len(joined(await still.all(), 1)) == SIZE
        await lab.finish(monitored)

    asyncio.run(scenario())


def spooled_bytes(pid: int) -> int:
    """Size of the monitor's unlinked files."""
    total = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{name}"
        if "/spool/" in os.readlink(path):
            total += os.stat(path).st_blocks * 512
    return total


def test_a_lone_reader_that_is_slow_but_alive_slows_the_container(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        slow = Client(1)
        monitored = await start(lab, FLOOD, slow)
        got, most = 0, 0
        for _ in range(60):
            got += len(await slow.some(MEBIBYTE // 4))
            most = max(most, spooled_bytes(monitored.pid))
            await asyncio.sleep(0.02)
        assert not monitored.exited.done()
        assert most < 20 * MEBIBYTE
        assert got + len(await slow.all()) == SIZE
        await lab.finish(monitored)

    asyncio.run(scenario())


def test_output_goes_on_while_no_daemon_is_there(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> None:
        client, log = Client(1), lab.bundle.base / "log"
        monitored = await start(lab, "sleep 0.2; echo later", client, log=Log(str(log)))
        monitored.close()
        assert await client.all() == b"later\n"
        assert '"log":"later\\n"' in log.read_text()

    asyncio.run(scenario())
    assert eventually(lambda: not lab.left_cgroups())


@pytest.mark.parametrize("logged", [False, True])
def test_throughput_of_attach(lab: Lab, logged: bool) -> None:  # noqa: F811
    line = b"a line of ordinary text that a program may print, until it is nearly eighty long\n"
    size = 512 * MEBIBYTE
    (lab.bundle.root / "text").write_bytes(line * (size // len(line)))

    async def scenario() -> tuple[int, float]:
        client = Client(1, framed=True)
        log = Log(str(lab.bundle.base / "log")) if logged else None
        began = time.monotonic()
        monitored = await start(lab, "cat /text", client, log=log)
        taken = await asyncio.to_thread(take, client.socket)
        lasted = time.monotonic() - began
        await lab.finish(monitored)
        return taken, lasted

    taken, lasted = asyncio.run(scenario())
    print(f"\nattach of 512 MiB, {'with' if logged else 'no'} log: {taken / lasted / 1e6:.0f} MB/s")
    assert taken > size - len(line)
    if logged:
        Path(lab.bundle.base / "log").unlink()


def take(client: socket.socket) -> int:
    client.setblocking(True)
    buffer, total = bytearray(1 << 18), 0
    while length := client.recv_into(buffer):
        total += length
    return total
