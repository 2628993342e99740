"""``--dry-run``, ``plan show`` and ``plan diff`` of wherry's command line against a real daemon."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.harness.daemon import Daemon
from wherry.cli.plan_text import HEADINGS

OPTIONS = [
    "-d",
    "-p",
    "18083:80",
    "--memory",
    "64m",
    "--read-only",
    "--tmpfs",
    "/scratch",
    "busybox",
    "sleep",
    "9",
]


def sections(text: str) -> dict[str, list[str]]:
    """Lines of an output by the heading that they stand under."""
    blocks = text.split("\n\n")[1:]
    return {block.splitlines()[0]: block.splitlines()[1:] for block in blocks}


def test_a_dry_run_names_every_step_and_its_cause(daemon: Daemon) -> None:
    text = daemon.wherry("run", "--dry-run", *OPTIONS).stdout
    found = sections(text)
    assert list(found) == [name.upper() for name in HEADINGS]
    assert any(
        "publish 80/tcp on 0.0.0.0:18083" in line and "-p 18083:80" in line for line in found["NETWORK"]
    )
    assert any("--read-only" in line for line in found["FILESYSTEMS"])
    assert any("--memory" in line for line in found["LIMITS"])
    assert "at the start" in " ".join(found["NETWORK"])  # the address is not known yet
    assert all(len(line) <= 100 for line in text.splitlines())
    assert "\x1b" not in text


def test_a_dry_run_shows_all_numbers_once(daemon: Daemon) -> None:
    """Nothing is left out where steps stand together: the numbers in the margin are those of the JSON."""
    text = daemon.wherry("create", "--dry-run", *OPTIONS[1:]).stdout
    steps = json.loads(daemon.wherry("create", "--dry-run", "--format", "json", *OPTIONS[1:]).stdout)["Steps"]
    shown: list[int] = []
    for first, last in re.findall(r"^ {2,8}(\d+)(?:–(\d+))?  \S", text, re.MULTILINE):
        shown += range(int(first), int(last or first) + 1)
    assert sorted(shown) == [step["Number"] for step in steps]


def test_a_dry_run_makes_nothing(daemon: Daemon, tmp_path: Path) -> None:
    note = tmp_path / "id"
    daemon.wherry("run", "--dry-run", "--name", "ghost", "--cidfile", note, *OPTIONS)
    assert daemon.api("GET", "/containers/json?all=1").body == []
    assert not note.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "--dry-run", "nowhere"], "No such image: nowhere:latest"),
        (["run", "--dry-run", "--memory", "1k", "busybox"], "inimum memory limit"),
        (["run", "--format", "json", "busybox"], "--format is for --dry-run only"),
    ],
)
def test_a_dry_run_refuses_what_a_run_would(daemon: Daemon, words: list[str], said: str) -> None:
    done = daemon.wherry(*words, check=False)
    assert done.returncode == 125
    assert said in done.stderr.splitlines()[0]
    assert done.stdout == ""


def test_the_plan_of_a_container(daemon: Daemon) -> None:
    daemon.docker("run", "-d", "--name", "web", *OPTIONS[1:])
    text = daemon.wherry("plan", "show", "web").stdout
    assert text.startswith("The plan of web.\n")
    assert any("172.17.0." in line for line in sections(text)["NETWORK"])
    assert json.loads(daemon.wherry("plan", "show", "--format", "json", "web").stdout)["Steps"]


def test_two_plans_show_only_what_differs(daemon: Daemon) -> None:
    daemon.docker("create", "--name", "web", "busybox", "sleep", "9")
    text = daemon.wherry("plan", "diff", "web", "--privileged busybox sleep 9").stdout
    found = sections(text)
    assert set(found) == {"FILESYSTEMS", "DEVICES", "LIMITS", "RIGHTS"}
    rights = "\n".join(found["RIGHTS"])
    assert (
        "-  install the seccomp filter" in rights and "CAP_SYS_ADMIN" in rights and "--privileged" in rights
    )
    assert daemon.wherry("plan", "diff", "web", "busybox sleep 9").stdout.endswith(
        "The plans are the same.\n"
    )


def test_two_plans_as_json(daemon: Daemon) -> None:
    sides = ("--memory 32m busybox", "--memory 64m busybox")
    found = json.loads(daemon.wherry("plan", "diff", "--format", "json", *sides).stdout)
    assert {d["Heading"] for d in found["Differences"]} == {"limits"}
    assert {d["A"]["Cause"].split()[0] for d in found["Differences"]} == {"--memory"}


@pytest.mark.parametrize(
    ("sides", "said"),
    [
        (["nowhere", "busybox"], "Error response from daemon: No such image: nowhere:latest"),
        (["busybox", "--nope busybox"], "B, '--nope busybox': unknown flag: --nope"),
        (["-m 64m", "busybox"], "A, '-m 64m': no image at the end of the options"),
        (["", "busybox"], "A is empty: it takes a container, or options of run that end in an image"),
        (["busybox 'x", "busybox"], "A, 'busybox 'x': no closing quotation"),
    ],
)
def test_a_side_that_is_none(daemon: Daemon, sides: list[str], said: str) -> None:
    done = daemon.wherry("plan", "diff", *sides, check=False)
    assert (done.returncode, done.stderr) == (1, f"wherry: {said}\n")


def test_an_unknown_container_is_one_line(daemon: Daemon) -> None:
    done = daemon.wherry("plan", "show", "nobody", check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "wherry: Error response from daemon: No such container: nobody\n",
    )
