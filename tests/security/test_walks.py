"""The engine goes through a container's tree while the container swaps directories for links that lead out of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.daemon import Daemon
from tests.security.image import results

SECONDS = 4
HUGE = 1 << 40
SMALL = 1 << 20


@pytest.fixture
def outside(besieged: Daemon) -> Path:
    """A directory of the host with a file whose size gives it away."""
    folder = besieged.sandbox.state / "walked-outside"
    besieged.sandbox.run(
        f"mkdir -p {folder}/sub && truncate -s {HUGE} {folder}/sub/file && truncate -s {HUGE} {folder}/file"
    )
    return folder


@pytest.fixture
def racer(besieged: Daemon, outside: Path) -> Iterator[str]:
    """A container that swaps a directory, with files and directories of the same names, for a link to the other one."""
    up = "../" * 12
    script = (
        f"mkdir -p /d/sub; echo x >/d/file; echo x >/d/sub/file; ln -s {up}{str(outside)[1:]} /l;"
        f" mkdir /e; ln -s {outside} /e/l; mkdir /e/d;"
        f" /attacker swap /e/d /e/l {SECONDS} & exec /attacker swap /d /l {SECONDS}"
    )
    yield besieged.docker("run", "-d", "attacker", "sh", "-c", script).stdout.strip()


def raced(besieged: Daemon, racer: str) -> None:
    besieged.api("POST", f"/containers/{racer}/wait")
    assert int(results(besieged.docker("logs", racer).stdout)["swaps"]) > 1000


def test_the_size_of_a_writable_layer(besieged: Daemon, racer: str) -> None:
    sizes, deadline = [], time.monotonic() + SECONDS - 1
    while time.monotonic() < deadline:
        (listed,) = besieged.api("GET", "/containers/json?size=1&all=1").body
        sizes.append(listed.get("SizeRw", 0))
        sizes.append(besieged.api("GET", f"/containers/{racer}/json?size=1").body["SizeRw"])
        sizes.append(besieged.api("GET", f"/containers/{racer}/explain").body["Cost"]["Writable"])
    raced(besieged, racer)
    assert len(sizes) > 20 and max(sizes) < SMALL


def test_a_container_is_removed_while_it_swaps(besieged: Daemon, racer: str, outside: Path) -> None:
    besieged.api("DELETE", f"/containers/{racer}?force=1")
    time.sleep(1)
    seen = besieged.sandbox.outside(outside)
    assert sorted(str(path.relative_to(seen)) for path in seen.rglob("*")) == ["file", "sub", "sub/file"]


def test_a_directory_of_devices_that_a_container_may_write(besieged: Daemon) -> None:
    """``--device DIR`` takes the nodes that are in it, not those that a link in it leads to."""
    folder = besieged.sandbox.state / "given-devices"
    besieged.sandbox.run(f"mkdir -p {folder}/d && mknod {folder}/mine c 1 3 && ln -s /dev {folder}/l")
    words = ("/attacker", "swap", "/given/d", "/given/l", str(SECONDS))
    racer = besieged.docker("run", "-d", "-v", f"{folder}:/given", "attacker", *words).stdout.strip()
    host = {
        "Devices": [{"PathOnHost": str(folder), "PathInContainer": "/dev/given", "CgroupPermissions": "r"}]
    }
    body = {"Image": "busybox", "Cmd": ["find", "/dev/given", "-type", "c"], "HostConfig": host}
    found, deadline = set[str](), time.monotonic() + SECONDS - 1
    while time.monotonic() < deadline:
        made = besieged.api("POST", "/containers/create", body).body["Id"]
        besieged.api("POST", f"/containers/{made}/start")
        besieged.api("POST", f"/containers/{made}/wait")
        found |= set(besieged.api("GET", f"/containers/{made}/logs?stdout=1").body.split())
        besieged.api("DELETE", f"/containers/{made}?force=1")
    raced(besieged, racer)
    assert any(path.endswith("mine") for path in found) and len(found) == 1
