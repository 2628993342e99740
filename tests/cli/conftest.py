"""Fixtures: a recording engine, and wherry's command line run in this process against it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.recorder import Recorder, recording
from wherry.cli.main import main

REFERENCE = (
    "Docker version 28.2."  # what the words and requests here are compared with; later ones changed some
)


@pytest.fixture(scope="session")
def docker_cli(docker_cli: str) -> str:
    """docker's command line, where it is the version whose requests and refusals ours has."""
    said = subprocess.run([docker_cli, "--version"], capture_output=True, text=True, check=True).stdout
    if not said.startswith(REFERENCE):
        pytest.skip(f"compared with docker 28.2, and here is {said.strip()}")
    return docker_cli


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    with recording(tmp_path / "api.sock") as server:
        yield server


@pytest.fixture
def wherry(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """``wherry("ps", "-a")`` runs a command line against the recorder; returns its exit code."""
    monkeypatch.delenv("WHERRY_HOST", raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{os.fspath(recorder.server_address)}")  # type: ignore[arg-type]
    return lambda *words: main(list(words))
