"""A running container's monitor, as the daemon sees it: what can be asked of it, and what it tells.

Packets go through a non-blocking ``SOCK_SEQPACKET`` socket; ``docs/launcher.md`` lists them. Who waits for a monitor's
word needs no limit of its own: ``press`` sees to it that the word comes, or something in its place (``patience.py``).
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import logging
import os
import signal
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from wherry.errors import Internal, InvalidArgument, LaunchFailed, wanting
from wherry.linux import pidfd
from wherry.linux.procfs import exit_code_of, processor_ticks
from wherry.runtime.exit_status import LOST_EXIT_CODE, ExitStatus, read_exit_file
from wherry.runtime.launch_errors import launch_failed, warning_text
from wherry.runtime.patience import Action, Overdue, Patience, Word
from wherry.runtime.steps import Fd, Launchable
from wherry.values.durations import SECOND
from wherry.values.keys import KEYS_MAX

PACKET_BYTES = 64 << 10
LEFTOVER_BYTES = 128 << 10
QUEUE_MAX = 1024  # packets that wait for a monitor that takes none
# What has become a monitor, or is to become one, and where it has its end of the connection.
PLACES = {"wherry-monitor": (int(Fd.CONTROL),), "wherry-spawner": range(64)}
T = TypeVar("T")
Clean = Callable[[], object]  # False where something is left

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Attach:
    """A client's socket for the monitor. The descriptor is sent as a copy: the caller closes its own."""

    id: int
    sock_fd: int
    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    framed: bool = False
    detach_keys: bytes = b""
    leftover: bytes = b""  # stdin that had come with the request

    def packet(self) -> bytes:
        """As in docs/launcher.md, "A". InvalidArgument where it cannot be sent in one."""
        if len(self.detach_keys) > KEYS_MAX:
            raise InvalidArgument(f"a detach sequence has at most {KEYS_MAX} keys")
        if len(self.leftover) > LEFTOVER_BYTES:
            raise InvalidArgument(f"more than {LEFTOVER_BYTES} bytes of input came with the request")
        flags = self.stdin | self.stdout << 1 | self.stderr << 2 | self.framed << 3
        head = struct.pack("<cIBB", b"A", self.id, flags, len(self.detach_keys))
        return head + self.detach_keys + self.leftover


def nothing() -> None:
    """What is to be done where there is nothing to do."""


class Monitored:
    """A container, or an exec, under its monitor.

    ``pid`` is the monitor's (0 until it has started), ``init_pid`` that of the container's first process on the host.
    ``pidfd`` is its descriptor, -1 once it is closed with the connection (so borrow it) or where that process had gone;
    ``unheld`` is why there is none of a process that runs.
    ``exited`` resolves when that process has ended; ``cleaned`` when its cgroups are gone too: only then may the
    same cgroups be made again. Neither ever raises, and both resolve if the monitor is lost; what it should have
    removed is removed first.
    """

    def __init__(
        self,
        connection: socket.socket,
        plan: Launchable | None,
        exit_file: Path | None,
        *,
        clean: Clean = nothing,
        patience: Patience | None = None,
        pid: int = 0,
        inode: int = 0,
    ) -> None:
        """``pid`` is the monitor's, where that is known; else ``inode`` is of the socket that it will hold. ``clean``
        does what a monitor would have done at the end; it blocks, and is called in a thread."""
        self._loop = asyncio.get_running_loop()
        self._socket = connection
        self._plan = plan
        self._exit_file = exit_file
        self._clean = clean
        self._inode = inode
        self._overdue = Overdue(patience or Patience())
        self._trouble = ""
        self._killed = False
        self._queue: list[tuple[bytes, int]] = []  # nearly always empty, when a deque is 0.7 kB
        self._attached: set[int] = set()
        self._detached: list[tuple[int, int]] = []
        self._on_detach: Callable[[int, int], None] | None = None
        self.pid = pid
        self.init_pid = 0
        self.pidfd = -1
        self.unheld: OSError | None = None
        self.warnings: list[str] = []
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._exited: asyncio.Future[ExitStatus] = self._loop.create_future()
        self._cleaned: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(connection.fileno(), self._receive)

    # ------------------------------------------------------------ what the daemon learns

    # Shielded, so that one waiter that is cancelled does not cancel the others'.

    @property
    def started(self) -> asyncio.Future[None]:
        """Done when the command runs. Fails with LaunchFailed where it cannot."""
        return asyncio.shield(self._started)

    @property
    def exited(self) -> asyncio.Future[ExitStatus]:
        """How the first process has ended."""
        return asyncio.shield(self._exited)

    @property
    def cleaned(self) -> asyncio.Future[None]:
        """Done when its cgroups are gone too, or the connection to the monitor is."""
        return asyncio.shield(self._cleaned)

    # ------------------------------------------------------------ what the daemon asks

    @property
    def on_detach(self) -> Callable[[int, int], None] | None:
        """Called with (id, reason) when a client has gone: 0 detach keys, 1 the client, 2 end of output, 3 refused.

        Detaches that came before it was set are told when it is.
        """
        return self._on_detach

    @on_detach.setter
    def on_detach(self, callback: Callable[[int, int], None] | None) -> None:
        self._on_detach = callback
        early, self._detached = self._detached, []
        for id, reason in early:
            self._tell_detached(id, reason)

    async def attach(self, attach: Attach) -> None:
        """Hand over a client. If the container has ended by now, ``on_detach`` says so with reason 2."""
        packet = attach.packet()
        self._attached.add(attach.id)
        if self._socket.fileno() < 0:
            self._detach(attach.id, 2)
        else:
            self._send(packet, attach.sock_fd)

    async def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size; nothing for a container without one."""
        if self._socket.fileno() >= 0:
            self._send(struct.pack("<cHH", b"R", rows & 0xFFFF, columns & 0xFFFF))

    def log_compressed(self, original: os.stat_result, descriptor: int) -> None:
        """A rotated file of the log, as it is, and the same compressed, which is to take its place."""
        if self._socket.fileno() >= 0:
            seconds, nanoseconds = divmod(original.st_mtime_ns, SECOND)
            fields = (original.st_ino, original.st_size, seconds, nanoseconds)
            self._send(struct.pack("<cQqqq", b"Z", *fields), descriptor)

    def signal(self, number: int) -> None:
        """Signal the first process; nothing if it has ended. The monitor is not asked, since it may be stopped."""
        self._killed = self._killed or number == signal.SIGKILL
        if self.pidfd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, number)
        elif self.unheld is not None and not self._exited.done() and self._socket.fileno() >= 0:
            pidfd.send(self.init_pid, number)

    def abandon(self) -> None:
        """End what nobody waits for any more, as soon as it has started, and let go of it then."""

        def end(started: asyncio.Future[None]) -> None:
            if started.exception() is None:
                self.signal(signal.SIGKILL)
            self._cleaned.add_done_callback(lambda _: self.close())

        self._started.add_done_callback(end)

    def close(self) -> None:
        """Let go of the connection. The monitor, and its container, go on; ``exited`` will not be known here."""
        self._disconnect()
        self._let_go()
        resolve(self._cleaned, None)

    def _hold(self) -> None:
        """Now, when the monitor has just told of it: it reaps before it says so, and the pid may be another's then."""
        try:
            self.pidfd = pidfd.open_pidfd(self.init_pid)
        except OSError as error:
            self.unheld = error

    def _let_go(self) -> None:
        descriptor, self.pidfd = self.pidfd, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _disconnect(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
            self._socket.close()
        for _, descriptor in self._queue:
            if descriptor >= 0:
                os.close(descriptor)
        self._queue.clear()

    # ------------------------------------------------------------ a word that does not come

    def owes(self) -> Word | None:
        """The word that it should say now, if there is one. A process that runs may do so for ever."""
        if self._cleaned.done() or self._socket.fileno() < 0:
            return None
        if not self._started.done():
            return Word.STARTED
        if self._exited.done():
            return Word.CLEANED
        return Word.EXITED if self.has_ended() else None

    def has_ended(self) -> bool:
        """Whether the process that has started has ended, by the kernel's word."""
        return pidfd.readable(self.pidfd) if self.pidfd >= 0 else self.unheld is None

    @property
    def starting(self) -> bool:
        """Whether the word is owed that the command runs."""
        return self.owes() is Word.STARTED

    def press(self, now: float, holders: pidfd.SocketHolders) -> Action:
        """Called again and again, by the monotonic clock. A monitor that owes a word for longer than that is let go
        on, in case somebody has stopped it; when patience is at an end it is killed, and its work done here.

        What is left to do, where there is no process yet that could say the word.
        """
        word, fresh = self.owes(), self._inode > 0 and not self.pid
        # Who has killed it does not wait for all that it has to write still, nor does a daemon that starts.
        hurried = self._killed or (word is Word.STARTED and not fresh)
        action = self._overdue.look(word, now, lambda: 0 if hurried else self._work(holders), fresh=fresh)
        if word is None or action is Action.WAIT:
            return Action.WAIT
        processes = self._processes(holders)
        unknown = not processes and not self._inode  # a former daemon's, and never heard of
        if action is Action.KILL and not self._trouble:
            self._note_trouble(word, self._overdue.waited(now))
        if action is Action.FORGET or (action is Action.KILL and unknown):
            self._lost()
            return Action.WAIT
        for pid in processes:
            pidfd.send(pid, signal.SIGKILL if action is Action.KILL else signal.SIGCONT)
        return Action.WAIT if processes or unknown else action

    def _processes(self, holders: pidfd.SocketHolders) -> list[int]:
        """The monitor and, before it has started, the process that is to become the command, with who works for it."""
        monitors = self._monitors(holders)
        if self._started.done():
            return monitors
        return [pid for monitor in monitors for pid in pidfd.descendants(monitor)]

    def _work(self, holders: pidfd.SocketHolders) -> int:
        """Of the monitor alone: the other process may be in somebody's hands, who can keep it busy."""
        return sum(map(processor_ticks, self._monitors(holders)))

    def _monitors(self, holders: pidfd.SocketHolders) -> list[int]:
        return [self.pid] if self.pid else holders.of(self._inode)

    def _note_trouble(self, word: Word, waited: float) -> None:
        """What is to be said of this end. How a process ended that its monitor has not collected, the kernel knows;
        that is known here before the monitor is killed, since its clients see the end of their streams then."""
        self._trouble = (
            f"its monitor did not say {word.value} for {waited:.0f} seconds (was it stopped?) and was killed"
        )
        log.error("process %d: %s", self.init_pid, self._trouble)
        code = exit_code_of(self.init_pid) if word is Word.EXITED else None
        if code is not None:
            ended = ExitStatus(code, oom=False, finished_ns=time.time_ns(), error=self._trouble)
            resolve(self._exited, ended)

    # ------------------------------------------------------------ packets

    def _send(self, packet: bytes, descriptor: int = -1) -> None:
        """Now, or behind what waits already; a descriptor that has to wait is kept as a copy."""
        if not self._queue and send_packet(self._socket, packet, descriptor):
            return
        if len(self._queue) >= QUEUE_MAX:
            raise Internal("the container's monitor takes no requests: was it stopped?")
        self._queue.append(
            (packet, fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3) if descriptor >= 0 else -1)
        )
        self._loop.add_writer(self._socket.fileno(), self._send_waiting)

    def _send_waiting(self) -> None:
        while self._queue:
            packet, descriptor = self._queue[0]
            if not send_packet(self._socket, packet, descriptor):
                return
            self._queue.pop(0)
            if descriptor >= 0:
                os.close(descriptor)
        self._loop.remove_writer(self._socket.fileno())

    def _receive(self) -> None:
        while self._socket.fileno() >= 0:
            try:
                packet = self._socket.recv(PACKET_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionResetError:  # it left packets of ours unread; its own last ones come behind this
                continue
            except OSError:
                packet = b""
            if not packet:
                self._lost()
                return
            self._handle(packet)

    def _handle(self, packet: bytes) -> None:
        kind, body = packet[:1], packet[1:]
        if kind == b"S":
            self.init_pid, *monitor = struct.unpack(f"<{len(body) // 4}I", body)
            self.pid = next(iter(monitor), self.pid)
            self._hold()
            self._plan = None  # only a step can fail, or warn
            resolve(self._started, None)
        elif kind == b"W":
            self.warnings.append(
                warning_text(self._plan, struct.unpack_from("<I", body)[0], text_of(body[4:]))
            )
        elif kind == b"F" and not self._started.done():
            step, errno = struct.unpack_from("<Ii", body)
            self._started.set_exception(launch_failed(self._plan, step, errno, text_of(body[8:])))
            resolve(self._cleaned, None)  # the launcher has done so before it said this
        elif kind == b"D":
            self._detach(*struct.unpack("<IB", body))
        elif kind == b"X":
            code, oom, finished = struct.unpack("<iBq", body)
            resolve(self._started, None)
            resolve(self._exited, ExitStatus(code, bool(oom), finished))
        elif kind == b"C":
            resolve(self._cleaned, None)

    def _detach(self, id: int, reason: int) -> None:
        self._attached.discard(id)
        self._tell_detached(id, reason)

    def _tell_detached(self, id: int, reason: int) -> None:
        if self._on_detach is None:
            self._detached.append((id, reason))
        else:
            self._on_detach(id, reason)

    def _lost(self) -> None:
        """The monitor is gone. What it has not removed is removed here, before anybody hears of it."""
        self._disconnect()
        if self._cleaned.done() or self._clean is nothing:
            self._gone()
        else:
            self._loop.run_in_executor(None, self._clean).add_done_callback(self._is_clean)

    def _is_clean(self, done: asyncio.Future[object]) -> None:
        error = done.exception()
        if error is not None or done.result() is False:
            log.error(
                "what process %d has left cannot be removed: %s", self.init_pid, error or "it is still in use"
            )
        self._gone()

    def _gone(self) -> None:
        """If it did not say how the container ended, its exit file may."""
        if not self._started.done():
            words = self._trouble or "the launcher ended before the container had started"
            self._started.set_exception(LaunchFailed(f"unable to start container process: {words}"))
        if not self._exited.done():
            left = read_exit_file(self._exit_file) if self._exit_file else None
            words = self._trouble or "its monitor ended without leaving an exit status"
            lost = ExitStatus(LOST_EXIT_CODE, oom=False, finished_ns=time.time_ns(), error=words, known=False)
            self._exited.set_result(left or lost)
        for id in list(self._attached):
            self._detach(id, 2)
        self._let_go()
        resolve(self._cleaned, None)


def resolve(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)


def text_of(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def send_packet(connection: socket.socket, packet: bytes, descriptor: int = -1) -> bool:
    """False where it has to wait. A peer that is gone is noticed by whoever reads the socket. Internal where the
    kernel does not take it."""
    rights = (
        [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))] if descriptor >= 0 else []
    )
    with wanting("speak with the container's monitor"):
        try:
            connection.sendmsg([packet], rights)
        except (BlockingIOError, InterruptedError):
            return False
        except (BrokenPipeError, ConnectionError):
            pass
    return True
