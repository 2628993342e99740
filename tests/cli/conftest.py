"""Fixtures: a recording engine, and wherry's command line run in this process against it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.recorder import Recorder, recording
from wherry.cli.main import main


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
