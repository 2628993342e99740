"""TLS in front of the API: every client's stream is relayed to a socket that is like any other client's.

A container's stream is a client's own socket, given to the container's monitor (docs/decisions/0003); a TLS stream
cannot be given. So the server never sees it: once a client is known, it gets one end of a socket pair, which the
server serves and may give away as it does with all, and the other end is relayed here.

    client ==TLS== Peer -- Inner ---- socket pair ---- server, later monitor

asyncio's own TLS ends the stream in both directions when one says that it has no more to send; here each direction
ends by itself, so that ``echo hi | docker run -i`` gets its answer.
"""

from __future__ import annotations

import asyncio
import logging
import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

log = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 10.0
LINGER_SECONDS = 10.0  # for who still sends to a stream that has ended
BLOCK = 64 << 10

Factory = Callable[[], asyncio.BaseProtocol]


class Relays:
    """All that are relayed on behalf of one listener. Call it for the protocol of a new connection."""

    def __init__(self, context: ssl.SSLContext, server: Factory) -> None:
        self.context = context
        self.server = server
        self.peers: set[Peer] = set()

    def __call__(self) -> Peer:
        return Peer(self)

    def close(self) -> None:
        """End them all; what has been written still goes out."""
        for peer in [*self.peers]:
            peer.finish()


class Peer(asyncio.Protocol):
    """The client's side: bytes of TLS."""

    def __init__(self, relays: Relays) -> None:
        self._relays = relays
        self._loop = asyncio.get_running_loop()
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = relays.context.wrap_bio(self._received, self._to_send, server_side=True)
        self._transport: asyncio.Transport
        self._inner: Inner | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._known = False  # the handshake is done
        self._cut = False  # no more bytes come from the client
        self._ended = (
            False  # and all that came have been handed on, or he said himself that there are no more
        )
        self._finishing = False  # nobody listens to the client any more

    # ------------------------------------------------------------ from the client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._relays.peers.add(self)
        self._timer = self._loop.call_later(HANDSHAKE_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        if not (self._finishing or self._ended):
            self._received.write(data)
            self.pump()

    def eof_received(self) -> bool:
        """The client closed its side, with or without a word: either way what it asked for is answered."""
        self._cut = True  # OpenSSL is not told: to it this would be an error, in both directions
        if self._finishing or not self._known:
            self._transport.close()
        else:
            self.pump()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._finishing = True
        self._relays.peers.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._connecting is not None:
            self._connecting.cancel()
        if self._inner is not None:
            self._inner.transport.close()

    def pump(self) -> None:
        """Do what can be done with what has been received."""
        try:
            if self._known or self._shake_hands():
                self._read()
        except ssl.SSLError as error:
            self._refuse(error)

    def _shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        self._flush()
        self._known = True
        assert self._timer is not None
        self._timer.cancel()
        self._connecting = self._loop.create_task(self._connect())
        self._transport.pause_reading()
        return True

    async def _connect(self) -> None:
        ours, servers = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        for end in (ours, servers):
            end.setblocking(False)
        await self._loop.connect_accepted_socket(self._relays.server, servers)
        inner = Inner(self)
        await self._loop.connect_accepted_socket(lambda: inner, ours)
        self._inner, self._connecting = inner, None
        self.inner_takes(True)

    def _read(self) -> None:
        inner = self._inner
        while inner is not None and not inner.full and not self._ended:
            try:
                data = self._tls.read(BLOCK)
            except ssl.SSLWantReadError:
                if not self._cut:
                    break
                data = b""
            except ssl.SSLZeroReturnError:
                data = b""
            if data:
                inner.transport.write(data)
            else:
                self._ended = True
                inner.end()
        self._flush()

    def _refuse(self, error: ssl.SSLError) -> None:
        """Whoever cannot prove who he is learns why, by TLS's own alert."""
        if not self._known:
            log.info("a client was refused: %s", error.reason or error)
        self._flush()
        self._linger()

    # ------------------------------------------------------------ to the client

    def send(self, data: bytes) -> None:
        """Encrypt and send; ``pause_writing`` tells when that is too much."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._tls.write(view) :]
        except ssl.SSLError as error:
            self._refuse(error)
        self._flush()

    def finish(self) -> None:
        """Nobody is there for the client any more: send what is left, and say so."""
        if not self._finishing:
            self.end()
            self._linger()

    def _linger(self) -> None:
        """Close when the client has heard: a socket closed with something unread in it takes back what was sent."""
        self._finishing = True
        if self._inner is not None:
            self._inner.transport.close()
        if self._ended or self._transport.is_closing():
            self._transport.close()
            return
        self._transport.write_eof()
        self._transport.resume_reading()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(LINGER_SECONDS, self._transport.abort)

    def end(self) -> None:
        """Say that no more will be sent. The other direction goes on."""
        with suppress(ssl.SSLError):  # it would wait for the client to say the same, who may take his time
            self._tls.unwrap()
        self._flush()
        if not self._transport.is_closing():
            self._transport.write_eof()

    def _flush(self) -> None:
        data = self._to_send.read()
        if data and not self._transport.is_closing():
            self._transport.write(data)

    # ------------------------------------------------------------ not faster than the slower side

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.transport.resume_reading()

    def inner_takes(self, more: bool) -> None:
        """The inner side takes more, or has enough for now."""
        if more:
            self._transport.resume_reading()
            self.pump()
        else:
            self._transport.pause_reading()


class Inner(asyncio.Protocol):
    """The server's side: the same bytes in plain, on our end of the pair."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._ended = False
        self.full = False  # it has more than it can send on
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._peer.send(data)

    def eof_received(self) -> bool:
        """The server, or the monitor, has no more to send; gone altogether, it has no use for input either."""
        if hung_up(self.transport):
            self._peer.finish()
            return False
        self._peer.end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._peer.finish()

    def end(self) -> None:
        """The client has no more to send."""
        if not self._ended and not self.transport.is_closing():
            self._ended = True
            self.transport.write_eof()

    def pause_writing(self) -> None:
        self.full = True
        self._peer.inner_takes(False)

    def resume_writing(self) -> None:
        self.full = False
        self._peer.inner_takes(True)


def hung_up(transport: asyncio.Transport) -> bool:
    """Is the other end of this socket closed, and not only silent?"""
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))
