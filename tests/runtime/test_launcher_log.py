"""The json-file log, as a running container leaves it."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from tests.native.full_container import Wanted
from tests.native.lab import Lab, lab  # noqa: F401 - a fixture
from wherry.runtime.steps import Log

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


def logged(lab: Lab, script: str, **options: object) -> Path:  # noqa: F811
    path = lab.bundle.base / "c-json.log"
    log = Log(str(path), **options)  # type: ignore[arg-type]
    ended = asyncio.run(lab.run(Wanted(argv=("sh", "-c", script), log=log)))
    assert ended.status.code == 0
    return path


def entries(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_entries_are_docker_s(lab: Lab) -> None:  # noqa: F811
    path = logged(lab, 'printf "a <b>\\n"; sleep 0.1; printf "bad \\377\\n" >&2; sleep 0.1; printf tail')
    text = path.read_text().splitlines()
    times = [TIME.search(line).group() for line in text]  # type: ignore[union-attr]
    assert text == [
        f'{{"log":"a \\u003cb\\u003e\\n","stream":"stdout","time":"{times[0]}"}}',
        f'{{"log":"bad \\ufffd\\n","stream":"stderr","time":"{times[1]}"}}',
        f'{{"log":"tail","stream":"stdout","time":"{times[2]}"}}',
    ]
    assert path.stat().st_mode & 0o777 == 0o640


def test_nothing_said_makes_no_file(lab: Lab) -> None:  # noqa: F811
    assert not logged(lab, "true").exists()


def test_a_restart_appends(lab: Lab) -> None:  # noqa: F811
    logged(lab, "echo one")
    assert [entry["log"] for entry in entries(logged(lab, "echo two"))] == ["one\n", "two\n"]


def test_attributes(lab: Lab) -> None:  # noqa: F811
    text = logged(lab, "echo one", attributes='{"tag":"x"}').read_text()
    assert text.startswith('{"log":"one\\n","stream":"stdout","attrs":{"tag":"x"},"time":"')


@pytest.mark.parametrize(
    ("length", "parts"),
    [
        (16383, [(16383, True)]),
        (16384, [(16384, False), (0, True)]),
        (16385, [(16384, False), (1, True)]),
        (40000, [(16384, False), (16384, False), (7232, True)]),
    ],
)
def test_long_lines_are_split(lab: Lab, length: int, parts: list[tuple[int, bool]]) -> None:  # noqa: F811
    path = logged(lab, f"head -c {length} /dev/zero | tr '\\0' x; echo; echo next")
    texts = [str(entry["log"]) for entry in entries(path)]
    assert [(len(text.rstrip("\n")), text.endswith("\n")) for text in texts[:-1]] == parts
    assert texts[-1] == "next\n"
    times = [entry["time"] for entry in entries(path)][: len(parts)]
    assert len(set(times)) == 1


def test_streams_do_not_mix_within_a_line(lab: Lab) -> None:  # noqa: F811
    script = "printf 'out '; sleep 0.1; printf 'err ' >&2; sleep 0.1; echo put; sleep 0.1; echo or >&2"
    found = {(str(entry["stream"]), str(entry["log"])) for entry in entries(logged(lab, script))}
    assert found == {("stdout", "out put\n"), ("stderr", "err or\n")}


def test_rotation(lab: Lab) -> None:  # noqa: F811
    path = logged(lab, "seq 1 3000", max_size=20000, max_file=3)
    files = [path.with_name(path.name + ".2"), path.with_name(path.name + ".1"), path]
    assert sorted(path.parent.glob("c-json.log*")) == sorted(files)
    numbers = [int(str(entry["log"])) for file in files for entry in entries(file)]
    assert numbers == list(range(numbers[0], 3001)) and numbers[0] > 1
    for file in files[:2]:
        assert 20000 <= file.stat().st_size < 20200  # Docker looks before an entry


def test_a_single_file_begins_anew(lab: Lab) -> None:  # noqa: F811
    path = logged(lab, "seq 1 3000", max_size=20000, max_file=1)
    assert list(path.parent.glob("c-json.log*")) == [path]
    assert entries(path)[-1]["log"] == "3000\n" and path.stat().st_size < 20200


def test_a_log_that_cannot_be_written_does_not_stop_the_container(lab: Lab) -> None:  # noqa: F811
    log = Log(str(lab.bundle.base / "no" / "such" / "log"))
    ended = asyncio.run(lab.run(Wanted(argv=("sh", "-c", "seq 1 10000"), log=log)))
    assert ended.status.code == 0 and ended.output.endswith(b"10000\n")


def test_two_hundred_thousand_lines(lab: Lab) -> None:  # noqa: F811
    path = logged(lab, "seq 1 200000")
    numbers = [int(str(entry["log"])) for entry in entries(path)]
    assert numbers == list(range(1, 200001))
