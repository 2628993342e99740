"""What a package is built from is written into it."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.harness.daemon import ROOT

sys.path.insert(0, str(ROOT / "buildsystem"))
import stamp


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_that_is_checked_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamp, "ROOT", tmp_path)
    assert stamp.commit() == ""
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-qm", "one")
    git(tmp_path, "tag", "v1")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert stamp.commit() == head
    (tmp_path / "file").write_text("2")
    assert stamp.commit() == f"{head}-dirty"


def test_what_is_written_down_is_kept_until_the_commit_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamp, "commit", lambda: "one")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000")
    path = stamp.write(tmp_path / "_bin")
    assert json.loads(path.read_text()) == {"commit": "one", "time": 1000}
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "2000")
    assert json.loads(stamp.write(path.parent).read_text())["time"] == 1000
    monkeypatch.setattr(stamp, "commit", lambda: "two")
    assert json.loads(stamp.write(path.parent).read_text()) == {"commit": "two", "time": 2000}


@pytest.mark.slow
def test_it_is_in_the_wheel(tmp_path: Path) -> None:
    source = tmp_path / "source"
    git(tmp_path, "clone", "-q", str(ROOT), str(source))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
    ]
    subprocess.run([*pip, str(source)], check=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        assert json.loads(wheel.read("wherry/_bin/build.json"))["commit"] == git(source, "rev-parse", "HEAD")
        assert "wherry/_bin/wherry-launcher" in wheel.namelist()
