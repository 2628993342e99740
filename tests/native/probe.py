"""The launcher's pure parts, built with sanitizers: one process that answers questions (``probe.c``)."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

NATIVE = Path(__file__).parents[2] / "native"
FLAGS = ["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
FLAGS += ["-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]


class Probe:
    def __init__(self, binary: Path) -> None:
        self._process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, letter: bytes, content: bytes) -> bytes:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(letter + struct.pack("<I", len(content)) + content)
        self._process.stdin.flush()
        head = self._process.stdout.read(4)
        assert len(head) == 4, "the sanitizer stopped the probe: see its stderr"
        return self._process.stdout.read(struct.unpack("<I", head)[0])

    def close(self) -> int:
        self._process.communicate()
        return self._process.returncode


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    binary = tmp_path_factory.getbasetemp() / "probe"
    if not binary.exists():  # another module's tests have built it already
        sources = [path for path in sorted(NATIVE.glob("*.c")) if path.name != "main.c"]
        command = ["gcc", *FLAGS, f"-I{NATIVE}", *sources, Path(__file__).with_name("probe.c"), "-o", binary]
        subprocess.run(command, check=True)
    made = Probe(binary)
    yield made
    assert made.close() == 0
