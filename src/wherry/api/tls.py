"""How TCP is served: behind certificates on both sides, or not at all unless somebody says so in as many words."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

from wherry.errors import InvalidArgument

log = logging.getLogger("wherryd")

MUTUAL = "--tlsverify --tlscacert=CA --tlscert=CERT --tlskey=KEY"
REMEDY = (
    f"use {MUTUAL} with certificates on both sides, or unix://PATH and ssh -L. "
    "Whoever reaches the API is root on this machine"
)


@dataclass(frozen=True, slots=True)
class Tcp:
    """``tls`` is what every connection begins with; without it, requests come in the open."""

    tls: ssl.SSLContext | None


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """dockerd's options. None is what nobody has said."""

    tls: bool | None = None
    verify: bool | None = None
    ca: Path = Path("ca.pem")
    cert: Path = Path("cert.pem")
    key: Path = Path("key.pem")

    def tcp(self) -> Tcp | None:
        """How to serve TCP, None where it is refused. InvalidArgument for certificates that are not there or no good.

        dockerd takes the lack of options for leave to serve anybody, with a warning. Here that must be said:
        ``--tls=false`` for no encryption, ``--tlsverify=false`` for encryption without knowing the client.
        """
        if self.verify:
            return Tcp(server_context(self.cert, self.key, self.ca))
        if self.verify is False and self.tls is not False:
            return Tcp(server_context(self.cert, self.key, None))
        if self.tls:
            raise InvalidArgument(
                f"--tls alone encrypts, but lets everybody in: {REMEDY}; or say --tlsverify=false"
            )
        return Tcp(None) if self.tls is False else None


def server_context(cert: Path, key: Path, ca: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer; with a CA, for clients that have a certificate of its. InvalidArgument names the file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.num_tickets = 0  # who closes without having read them would break off what is still under way
    for path in (cert, key, *([ca] if ca else ())):
        if not path.is_file():
            raise InvalidArgument(
                f"TLS: {path} is not there; name it with --tlscert, --tlskey and --tlscacert"
            )
    try:
        context.load_cert_chain(cert, key, password=no_password)
    except (ssl.SSLError, OSError) as error:
        raise InvalidArgument(f"TLS: {cert} and {key} are not a certificate and its key: {error}") from None
    if ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(ca)
        except (ssl.SSLError, OSError) as error:
            raise InvalidArgument(f"TLS: {ca} holds no certificate: {error}") from None
    return context


def no_password() -> str:
    """A key with a password would be asked for on the terminal of a daemon."""
    raise InvalidArgument("TLS: the key has a password, and there is nobody to ask for it")


def warn(address: str, tcp: Tcp) -> None:
    """Say what an open address means; nothing where clients are known by certificate."""
    if tcp.tls is not None and tcp.tls.verify_mode == ssl.CERT_REQUIRED:
        return
    how = "without encryption" if tcp.tls is None else "to clients that have not been verified"
    log.warning(
        "%s serves the API %s. Whoever can reach it is root on this machine; so are scripts of web pages in a browser "
        "that runs here, even if it listens on localhost only. Use %s",
        address, how, MUTUAL,
    )  # fmt: skip
