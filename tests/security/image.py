"""Hostile images: busybox with the attacker's tool, and with whatever a test puts into it."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.harness.daemon import Daemon, Finished
from tests.harness.images import add_file, busybox_layer, docker_archive, entry

Fill = Callable[[tarfile.TarFile], None]
CONFIG = {"Cmd": ["sh"], "Env": ["PATH=/bin"]}


def build_attacker(folder: Path) -> bytes:
    """The tool as a static program."""
    binary = folder / "attacker"
    source = Path(__file__).with_name("attacker.c")
    subprocess.run(
        ["gcc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-static", "-o", binary, source], check=True
    )
    return binary.read_bytes()


def layer(fill: Fill) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        fill(tar)
    return out.getvalue()


def attacker_archive(tool: bytes) -> bytes:
    """Image ``attacker``: /attacker, and /attacker-setuid, which is root's and setuid."""

    def fill(tar: tarfile.TarFile) -> None:
        add_file(tar, "attacker", tool, 0o755)
        add_file(tar, "attacker-setuid", tool, 0o4755)

    return docker_archive([busybox_layer(), layer(fill)], ["attacker:latest"], CONFIG)


def load_variant(
    daemon: Daemon,
    tag: str,
    fill: Fill,
    *,
    removed: tuple[str, ...] = (),
    config: Mapping[str, object] | None = None,
) -> None:
    """An image of busybox with changes: ``removed`` paths are gone, then ``fill`` adds entries."""

    def with_removals(tar: tarfile.TarFile) -> None:
        for path in removed:
            folder, _, name = path.rpartition("/")
            tar.addfile(entry(f"{folder}/.wh.{name}" if folder else f".wh.{name}"))

    layers = [busybox_layer(), layer(with_removals), layer(fill)]
    daemon.load(docker_archive(layers, [tag], {**CONFIG, **(config or {})}))


def link(name: str, target: str) -> Fill:
    return lambda tar: tar.addfile(entry(name, tarfile.SYMTYPE, 0o777, linkname=target))


def nothing(tar: tarfile.TarFile) -> None:
    """An empty layer."""


def results(text: str) -> dict[str, str]:
    """The attacker's ``name: result`` lines."""
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def attack(daemon: Daemon, *words: str, options: tuple[str, ...] = ()) -> dict[str, str]:
    """Run the tool in a container of its own; its findings."""
    return results(daemon.docker("run", "--rm", *options, "attacker", "/attacker", *words).stdout)


def run(daemon: Daemon, *arguments: str, **options: object) -> Finished:
    """``docker run --rm``, which may fail."""
    return daemon.docker("run", "--rm", *arguments, check=False, **options)  # type: ignore[arg-type]
