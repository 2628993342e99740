"""Certificates for tests, by the openssl command: a CA, a server, a client, and one that nobody has signed."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """Files in one folder; for each name there is ``NAME.pem`` and ``NAME-key.pem``."""

    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def cert(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}-key.pem"

    def daemon_options(self) -> list[str]:
        """What wherryd is started with."""
        own = (f"--tlscert={self.cert('server')}", f"--tlskey={self.key('server')}")
        return ["--tlsverify", f"--tlscacert={self.ca}", *own]

    def docker_options(self, name: str = "client") -> list[str]:
        """What docker's command line is started with."""
        own = (f"--tlscert={self.cert(name)}", f"--tlskey={self.key(name)}")
        return ["--tlsverify", f"--tlscacert={self.ca}", *own]


def make_certificates(folder: Path) -> Certificates:
    made = Certificates(folder)
    sign_self(made, "ca", made.ca)
    sign_self(made, "stranger", made.cert("stranger"))
    sign(made, "server", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
    sign(made, "client", "extendedKeyUsage=clientAuth\n")
    return made


def sign_self(made: Certificates, name: str, to: Path) -> None:
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", made.key(name), "-out", to)  # fmt: skip


def sign(made: Certificates, name: str, extensions: str) -> None:
    request, more = made.folder / f"{name}.csr", made.folder / f"{name}.ext"
    more.write_text(extensions)
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", f"/CN={name}", "-keyout", made.key(name), "-out", request)  # fmt: skip
    openssl("x509", "-req", "-in", request, "-CA", made.ca, "-CAkey", made.key("ca"), "-CAcreateserial",
            "-days", "2", "-extfile", more, "-out", made.cert(name))  # fmt: skip


def openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
