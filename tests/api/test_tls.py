"""TCP: what is served to whom, what is refused and in which words, and clients that do not behave."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.harness.certificates import Certificates, make_certificates
from tests.harness.waiting import eventually
from wherry.api.listen import open_sockets, tcp_address
from wherry.api.relay import Relays
from wherry.api.tls import TlsOptions, server_context
from wherry.daemon import DaemonFile, parser, read_file, tls_options
from wherry.errors import InvalidArgument

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def options(made: Certificates, *, tls: bool | None = None, verify: bool | None = None) -> TlsOptions:
    return TlsOptions(tls, verify, made.ca, made.cert("server"), made.key("server"))


# ---------------------------------------------------------------- what is served


@pytest.mark.parametrize(
    ("tls", "verify", "served"),
    [
        (None, None, None),
        (None, True, ssl.CERT_REQUIRED),
        (True, True, ssl.CERT_REQUIRED),
        (False, True, ssl.CERT_REQUIRED),
        (None, False, ssl.CERT_NONE),
        (True, False, ssl.CERT_NONE),
        (False, None, "plain"),
        (False, False, "plain"),
    ],
)
def test_who_is_served(
    certificates: Certificates, tls: bool | None, verify: bool | None, served: object
) -> None:
    tcp = options(certificates, tls=tls, verify=verify).tcp()
    found = None if tcp is None else "plain" if tcp.tls is None else tcp.tls.verify_mode
    assert found == served


def test_encryption_alone_lets_in_everybody(certificates: Certificates) -> None:
    with pytest.raises(InvalidArgument, match="--tls alone encrypts, but lets everybody in: use --tlsverify"):
        options(certificates, tls=True).tcp()


def test_certificates_that_are_no_good(certificates: Certificates, tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    locked = tmp_path / "locked.pem"
    subprocess.run(
        ["openssl", "ec", "-in", certificates.key("server"), "-aes256", "-passout", "pass:x", "-out", locked],
        check=True, capture_output=True,
    )  # fmt: skip
    cert, key, ca = certificates.cert("server"), certificates.key("server"), certificates.ca
    for arguments, words in (
        ((tmp_path / "gone.pem", key, ca), "gone.pem is not there"),
        ((cert, certificates.key("client"), ca), "not a certificate and its key"),
        ((cert, nonsense, ca), "not a certificate and its key"),
        ((cert, key, nonsense), "nonsense.pem holds no certificate"),
        ((cert, locked, ca), "the key has a password"),
    ):
        with pytest.raises(InvalidArgument, match=words):
            server_context(*arguments)


def test_the_file_says_it_too_and_the_command_line_overrules_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "daemon.json"
    own = {"tlscacert": "a.pem", "tlscert": "b.pem", "tlskey": "c.pem"}
    file.write_text(json.dumps({"hosts": ["tcp://127.0.0.1"], "tls": True, "tlsverify": True, **own}))
    monkeypatch.setenv("DOCKER_CERT_PATH", "/certs")
    read = read_file(file)
    assert tls_options(parser().parse_args([]), read) == TlsOptions(
        True, True, Path("a.pem"), Path("b.pem"), Path("c.pem")
    )
    given = parser().parse_args(["--tls=false", "--tlsverify=0", "--tlscert", "x.pem"])
    assert tls_options(given, read) == TlsOptions(False, False, Path("a.pem"), Path("x.pem"), Path("c.pem"))
    nothing = tls_options(parser().parse_args(["--tlsverify"]), DaemonFile())
    assert nothing == TlsOptions(
        None, True, Path("/certs/ca.pem"), Path("/certs/cert.pem"), Path("/certs/key.pem")
    )


@pytest.mark.parametrize(
    ("rest", "address"),
    [
        ("127.0.0.1:2376", ("127.0.0.1", 2376)), ("0.0.0.0", ("0.0.0.0", 1)), (":99", ("127.0.0.1", 99)),
        ("localhost:99/", ("127.0.0.1", 99)), ("[::1]:99", ("::1", 99)), ("[::]", ("::", 1)), ("", ("127.0.0.1", 1)),
    ],
)  # fmt: skip
def test_addresses(rest: str, address: tuple[str, int]) -> None:
    assert tcp_address(f"tcp://{rest}", rest, 1) == address


@pytest.mark.parametrize(
    "rest", ["example.org:1", "1.2.3:1", "::1", "127.0.0.1:65536", "127.0.0.1:x", "a/b", "[x]"]
)
def test_addresses_that_are_none(rest: str) -> None:
    with pytest.raises(InvalidArgument, match="tcp://"):
        tcp_address(f"tcp://{rest}", rest, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "TCP is not served without TLS: use --tlsverify"),
        (["--tls"], "--tls alone encrypts"),
        (
            ["--tlsverify", "--tlscacert=/nowhere/ca.pem", "--tlscert=/nowhere/c", "--tlskey=/nowhere/k"],
            "is not there",
        ),
        (["--tls=perhaps"], "neither true nor false"),
    ],
)
def test_the_daemon_refuses_in_words(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "wherry.daemon", "-H", "tcp://127.0.0.1:2375",
         "--data-root", tmp_path / "data", "--exec-root", tmp_path / "run", *arguments],
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0 and words in done.stderr, done.stderr


# ---------------------------------------------------------------- the relay, with a server that sends everything back


class Echo(asyncio.Protocol):
    """Sends back what it gets; at the end of input says so, and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()

    def eof_received(self) -> bool:
        self.transport.write(b"the end")
        self.transport.close()
        return True


class Relay:
    """A relay in a thread of its own."""

    def __init__(self, made: Certificates) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        tcp = options(made, verify=True).tcp()
        assert tcp is not None and tcp.tls is not None
        self.relays = Relays(tcp.tls, Echo)
        (self.socket,) = open_sockets(["tcp://127.0.0.1:0"], tcp)
        self.server = self.run(self.loop.create_server(self.relays, sock=self.socket))
        self.address = self.socket.getsockname()

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    def open_peers(self) -> int:
        return len(self.relays.peers)


@pytest.fixture(scope="module")
def relay(certificates: Certificates) -> Iterator[Relay]:
    made = Relay(certificates)
    yield made
    made.loop.call_soon_threadsafe(made.server.close)
    made.loop.call_soon_threadsafe(made.loop.stop)
    made.thread.join(10)


@pytest.fixture
def client(certificates: Certificates, relay: Relay) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=str(certificates.ca))
    context.load_cert_chain(certificates.cert("client"), certificates.key("client"))
    with (
        socket.create_connection(relay.address, timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        yield tls


def test_every_byte_both_ways_however_slow_the_reader(client: ssl.SSLSocket) -> None:
    sent = bytes(range(256)) * (1 << 15)  # 8 MiB, more than all buffers on the way
    sender = threading.Thread(target=client.sendall, args=(sent,))
    sender.start()
    time.sleep(0.3)
    received = b""
    while len(received) < len(sent):
        received += client.recv(1 << 16)
    sender.join(10)
    assert received == sent


def half_close(client: ssl.SSLSocket) -> None:
    """Say that no more will come, and wait for no answer to that."""
    client.setblocking(False)
    with pytest.raises(ssl.SSLWantReadError):
        client.unwrap()
    client.settimeout(10)


def read_all(client: ssl.SSLSocket) -> bytes:
    received = b""
    with suppress(ssl.SSLZeroReturnError):  # how Python tells an orderly end, after an unwrap
        while data := client.recv(1024):
            received += data
    return received


def test_a_client_that_has_said_everything_gets_the_rest(client: ssl.SSLSocket, relay: Relay) -> None:
    client.sendall(b"hello ")
    half_close(client)
    assert read_all(client) == b"hello the end"
    assert eventually(lambda: relay.open_peers() == 0)


def test_a_client_whose_side_is_shut_without_a_word(client: ssl.SSLSocket, relay: Relay) -> None:
    client.sendall(b"hello ")
    socket.socket.shutdown(client, socket.SHUT_WR)  # SSLSocket's own forgets about TLS
    assert read_all(client) == b"hello the end"
    assert eventually(lambda: relay.open_peers() == 0)


def test_a_client_that_is_gone(client: ssl.SSLSocket, relay: Relay) -> None:
    client.sendall(b"x" * 100_000)
    client.close()
    assert eventually(lambda: relay.open_peers() == 0)


def test_a_client_that_breaks_the_stream(client: ssl.SSLSocket, relay: Relay) -> None:
    client.sendall(b"hello")
    assert client.recv(5) == b"hello"
    with socket.socket(fileno=client.detach()) as plain:
        plain.settimeout(10)
        plain.sendall(b"\x17\x03\x03\x00\x20" + b"?" * 32)  # a record that nobody has encrypted
        while plain.recv(1024):
            pass
    assert eventually(lambda: relay.open_peers() == 0)


@pytest.mark.parametrize("first", [b"", b"GET /_ping HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\xff\x01"])
def test_who_never_shakes_hands_gets_nothing(relay: Relay, first: bytes) -> None:
    with socket.create_connection(relay.address, timeout=10) as plain:
        plain.sendall(first)
        plain.shutdown(socket.SHUT_WR)
        assert b"HTTP" not in plain.recv(1024)
    assert eventually(lambda: relay.open_peers() == 0)


@pytest.mark.parametrize("who", [None, "stranger"])
def test_without_a_certificate_of_the_ca(certificates: Certificates, relay: Relay, who: str | None) -> None:
    context = ssl.create_default_context(cafile=str(certificates.ca))
    if who:
        context.load_cert_chain(certificates.cert(who), certificates.key(who))
    with (
        socket.create_connection(relay.address, timeout=10) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)certificate|unknown.ca"),
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall(b"hello")
        tls.recv(1024)
    assert eventually(lambda: relay.open_peers() == 0)


def test_old_versions_are_refused(certificates: Certificates, relay: Relay) -> None:
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{relay.address[1]}", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=30,
    )  # fmt: skip
    assert done.returncode != 0 and "Cipher is (NONE)" in done.stdout
