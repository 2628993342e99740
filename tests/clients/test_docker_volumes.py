"""Volumes that an image declares, or ``-v /data``: as yet directories of the container's own root."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from tests.harness.daemon import Daemon

pytestmark = pytest.mark.usefixtures("docker_cli")


@pytest.fixture(scope="module", autouse=True)
def images(module_daemon: Daemon, busybox_tar: bytes) -> None:
    for name, paths in {
        "new": ["/data", "rel/x", "/v", "/v/w"],
        "old": ["/tmp/../tmp/"],
        "file": ["/etc/passwd"],
        "root": ["/"],
        "kernel": ["/proc"],
        "below": ["/proc/sys"],
    }.items():
        change = quote(f"VOLUME {json.dumps(paths)}")
        path = f"/images/create?fromSrc=-&repo={name}&changes={change}"
        assert module_daemon.api("POST", path, raw=busybox_tar).status == 200


def shell(daemon: Daemon, script: str, *options: str, image: str = "new") -> str:
    return daemon.docker("run", "--rm", *options, image, "sh", "-c", script).stdout


@pytest.mark.parametrize("options", [(), ("--read-only",)])
def test_what_no_layer_has_is_made_and_can_be_written(daemon: Daemon, options: tuple[str, ...]) -> None:
    each = 'touch $d/it && grep -q " $d " /proc/mounts && stat -c "%n %a %u:%g" $d'
    script = f"for d in /data /rel/x /v /v/w; do {each}; done"
    assert shell(daemon, script, *options).splitlines() == [
        f"{path} 755 0:0" for path in ("/data", "/rel/x", "/v", "/v/w")
    ]


def test_the_rest_of_a_read_only_root_stays_so(daemon: Daemon) -> None:
    assert shell(daemon, "touch /top /etc/it 2>/dev/null || echo no", "--read-only") == "no\n"


def test_it_holds_what_the_image_has_there(daemon: Daemon) -> None:
    before = shell(daemon, "ls -lan /tmp", image="busybox")
    assert shell(daemon, "ls -lan /tmp", "--read-only", image="old") == before
    script = "touch /tmp/mine && stat -c %u /tmp/mine"
    assert shell(daemon, script, "--read-only", "-u", "1000", image="old") == "1000\n"


def test_it_is_there_at_the_next_start(daemon: Daemon) -> None:
    script = "echo >> /data/count; wc -l < /data/count"
    id = daemon.docker("create", "--read-only", "new", "sh", "-c", script).stdout.strip()
    assert [daemon.docker("start", "-a", id).stdout for _ in range(2)] == ["1\n", "2\n"]


def test_what_is_mounted_there_takes_its_place(daemon: Daemon) -> None:
    for option in (("--tmpfs", "/data"), ("-v", "/usr:/data/:ro")):
        done = daemon.docker("run", "--rm", *option, "new", "grep", "-c", " /data ", "/proc/mounts")
        assert done.stdout == "1\n"


def test_without_an_image_that_says_so(daemon: Daemon) -> None:
    done = daemon.docker("run", "--rm", "--read-only", "-v", "/anon", "busybox", "touch", "/anon/it")
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("file", "cannot mount volume over existing file, file exists /etc/passwd"),
        ("root", "destination can't be '/'"),
        ("kernel", "invalid Volumes: /proc: no directory can be made in /proc"),
        ("below", "invalid Volumes: /proc/sys: no directory can be made in /proc"),
    ],
)
def test_what_cannot_be_a_volume_is_refused(daemon: Daemon, image: str, words: str) -> None:
    done = daemon.docker("run", "--rm", image, "true", check=False)
    assert done.returncode == 125
    assert words in done.stderr


def test_the_plan_says_whose_wish_it_is(daemon: Daemon) -> None:
    body = {"Image": "new", "Cmd": ["true"], "Volumes": {"/mine": {}}}
    steps = daemon.api("POST", "/containers/create?dryRun=1", body).body["Steps"]
    found = {step["Arguments"]["path"]: step["Cause"] for step in steps if step["Name"] == "own-directory"}
    assert (found["/data"], found["/mine"]) == ("VOLUME", "-v /mine")


def test_explain_finds_nothing_to_say_against_it(daemon: Daemon) -> None:
    id = daemon.docker("run", "-d", "--read-only", "new", "sleep", "1000").stdout.strip()
    assert daemon.api("GET", f"/containers/{id}/explain?check=1").body[0]["Drift"] == []
