"""Clients of a real daemon that note what they ask and what they are told."""

from __future__ import annotations

import http.client
import random
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.engine.histories.history import WAITS, Answer, Call, Crash, History, Seen, Verb
from tests.engine.histories.model import BRIEF_CODE
from tests.harness.daemon import Answer as Reply
from tests.harness.daemon import Daemon, UnixConnection

PATIENCE = 30.0  # seconds until a call counts as never answered
REFUSED = (ConnectionRefusedError, FileNotFoundError)  # nobody was there to do anything
LONG = ["sleep", "1000"]
BRIEF = ["sh", "-c", f"sleep 0.02; exit {BRIEF_CODE}"]

PATHS: Mapping[Verb, tuple[str, str]] = {
    Verb.START: ("POST", "/containers/{ref}/start"),
    Verb.STOP: ("POST", "/containers/{ref}/stop?t=0"),
    Verb.RESTART: ("POST", "/containers/{ref}/restart?t=0"),
    Verb.KILL: ("POST", "/containers/{ref}/kill"),
    Verb.NUDGE: ("POST", "/containers/{ref}/kill?signal=USR1"),
    Verb.REMOVE: ("DELETE", "/containers/{ref}"),
    Verb.REMOVE_FORCE: ("DELETE", "/containers/{ref}?force=1"),
    Verb.RENAME: ("POST", "/containers/{ref}/rename?name={new}"),
    Verb.WAIT: ("POST", "/containers/{ref}/wait"),
    Verb.WAIT_NEXT: ("POST", "/containers/{ref}/wait?condition=next-exit"),
    Verb.WAIT_REMOVED: ("POST", "/containers/{ref}/wait?condition=removed"),
    Verb.INSPECT: ("GET", "/containers/{ref}/json"),
    Verb.CREATE: ("POST", "/containers/create?name={ref}"),
    Verb.PREPARE: ("POST", "/containers/{ref}/exec"),
    Verb.EXEC: ("POST", "/exec/{exec}/start"),
    Verb.LIST: ("GET", "/containers/json?all=1"),
}


class Killed(Exception):
    """The daemon went away in mid request."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client is going to ask: a call without its number and its times."""

    verb: Verb
    ref: str = ""
    new_name: str = ""
    auto_remove: bool = False
    brief: bool = False
    network: str = "none"


@dataclass(slots=True)
class Recorder:
    """A history as it is made, by several clients at once. Only containers with ``names`` belong to it."""

    daemon: Daemon
    names: Sequence[str]
    history: History = field(default_factory=History)
    streams: list[socket.socket] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _last: int = -1
    _execs: dict[int, str] = field(default_factory=dict)

    def ask(self, client: str, wish: Wish, of: int = -1) -> Call | None:
        """Ask, and note it with its answer. None where no daemon was there; Killed where it went away meanwhile."""
        with self._lock:
            self._last += 1
            number = self._last
        call = Call(number, client, wish.verb, wish.ref, time.monotonic_ns(), new_name=wish.new_name, of=of,
                    auto_remove=wish.auto_remove, brief=wish.brief)  # fmt: skip
        try:
            answer = self._attach(wish) if wish.verb is Verb.ATTACH else self._request(call, wish)
        except REFUSED:
            return None
        except TimeoutError:
            self.faults.append(f"never answered: {call}")
            raise
        except (OSError, http.client.HTTPException) as error:
            self._note(call)
            raise Killed from error
        call = replace(call, returned=time.monotonic_ns(), answer=answer)
        self._note(call)
        return call

    def _note(self, call: Call) -> None:
        with self._lock:
            self.history.calls.append(call)

    def _request(self, call: Call, wish: Wish) -> Answer:
        method, path = PATHS[call.verb]
        target = path.format(ref=call.ref, new=call.new_name, exec=self._execs.get(call.of, ""))
        reply = self.daemon.api(method, target, body_of(call, wish), timeout=PATIENCE)
        if call.verb is Verb.PREPARE and reply.status == 201:
            self._execs[call.number] = reply.body["Id"]
        if reply.status >= 500:
            self.faults.append(f"{call}  ->  {reply}")
        return answer_of(call.verb, reply, self.names)

    def _attach(self, wish: Wish) -> Answer:
        """Attach to all output. The stream is kept; its end is looked for when the container is gone."""
        connection = UnixConnection(self.daemon.socket, PATIENCE)
        connection.request("POST", f"/containers/{wish.ref}/attach?stream=1&stdout=1&stderr=1", None,
                           {"Connection": "Upgrade", "Upgrade": "tcp"})  # fmt: skip
        stream = connection.sock
        reply = connection.getresponse()
        if reply.status == 101:
            with self._lock:
                self.streams.append(stream)
        else:
            reply.read()
            connection.close()
        return Answer(reply.status)

    def crash(self) -> None:
        begun = time.monotonic_ns()
        self.daemon.kill9()
        self.history.crashes.append(Crash(begun, time.monotonic_ns()))

    def check_streams(self) -> None:
        """Every stream ends when its container is gone."""
        for stream in self.streams:
            stream.settimeout(PATIENCE)
            try:
                while stream.recv(65536):
                    pass
            except ConnectionResetError:
                pass
            except TimeoutError:
                self.faults.append("a stream of attach was left open")
            stream.close()


def body_of(call: Call, wish: Wish) -> dict[str, Any] | None:
    if call.verb is Verb.CREATE:
        return {
            "Image": "busybox", "Cmd": BRIEF if call.brief else LONG,
            "HostConfig": {"NetworkMode": wish.network, "AutoRemove": call.auto_remove},
        }  # fmt: skip
    if call.verb is Verb.PREPARE:
        return {"Cmd": ["true"]}
    return {"Detach": True} if call.verb is Verb.EXEC else None


def answer_of(verb: Verb, reply: Reply, names: Sequence[str]) -> Answer:
    body = reply.body
    if reply.status == 201 and verb is Verb.CREATE:
        return Answer(201, id=body["Id"])
    if reply.status == 200 and verb in WAITS:
        return Answer(200, code=body["StatusCode"])
    if reply.status == 200 and verb is Verb.INSPECT:
        state = body["State"]
        seen = Seen(body["Id"], body["Name"].removeprefix("/"), state["Status"], state["ExitCode"])
        return Answer(200, seen=frozenset([seen]))
    if verb is Verb.LIST:
        shown = [Seen(c["Id"], c["Names"][0].removeprefix("/"), c["State"]) for c in body]
        return Answer(reply.status, seen=frozenset(seen for seen in shown if seen.name in names))
    return Answer(reply.status)


class Client(threading.Thread):
    """Asks one thing after the other, at random moments. What blocks is asked beside the rest."""

    def __init__(
        self, name: str, recorder: Recorder, wishes: Iterable[Wish], pause: Callable[[], float]
    ) -> None:
        super().__init__(daemon=True)
        self._name, self._recorder, self._pause = name, recorder, pause
        self._wishes = list(wishes)
        self.waits: list[Client] = []

    def run(self) -> None:
        try:
            for wish in self._wishes:
                time.sleep(self._pause())
                self._ask(wish)
        except Killed:
            pass
        except Exception as error:
            self._recorder.faults.append(f"{self._name}: {error!r}")

    def _ask(self, wish: Wish) -> None:
        if wish.verb in WAITS and len(self._wishes) > 1:
            beside = Client(f"{self._name}/{len(self.waits)}", self._recorder, [wish], lambda: 0)
            self.waits.append(beside)
            beside.start()
            return
        call = self._recorder.ask(self._name, wish)
        prepared = call is not None and call.answer is not None and call.answer.status == 201
        if wish.verb is Verb.PREPARE and call is not None and prepared:
            time.sleep(self._pause())
            self._recorder.ask(self._name, Wish(Verb.EXEC), of=call.number)


def waits_only(client: Client) -> bool:
    return all(wish.verb in WAITS for wish in client._wishes)


def together(recorder: Recorder, clients: Sequence[Client], at: Callable[[], None] | None = None) -> None:
    """Run clients at the same time (``at`` in their midst), until only those are left that wait for an end."""
    for client in clients:
        client.start()
    if at is not None:
        at()
    for client in clients:
        if not waits_only(client):
            client.join(PATIENCE * 3)


def clear(recorder: Recorder, clients: Sequence[Client]) -> None:
    """Look, remove everything, and see that each name can be used again: whatever was not right shows here."""
    recorder.ask("last", Wish(Verb.LIST))
    for name in recorder.names:
        recorder.ask("last", Wish(Verb.REMOVE_FORCE, name))
    for name in recorder.names:
        recorder.ask("last", Wish(Verb.CREATE, name))
        recorder.ask("last", Wish(Verb.REMOVE, name))
    recorder.ask("last", Wish(Verb.LIST))
    beside = [waiting for client in clients for waiting in client.waits]
    for one in [*clients, *beside]:
        one.join(PATIENCE * 2)
        if one.is_alive():
            recorder.faults.append("a client was never answered")
    recorder.check_streams()


def pauses(source: random.Random, longest: float) -> Callable[[], float]:
    """Mostly short, sometimes none."""
    return lambda: source.choice((0.0, source.uniform(0, longest / 8), source.uniform(0, longest)))
