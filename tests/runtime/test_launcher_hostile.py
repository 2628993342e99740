"""Images and containers that mean harm: nothing of the host is reached through the launcher."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.native.full_container import Wanted, container_plan
from tests.native.lab import Ended, Lab, lab  # noqa: F401 - a fixture
from wherry.errors import LaunchFailed
from wherry.runtime.steps import (
    Bind,
    Fd,
    Log,
    MakeNode,
    MountFlag,
    Plan,
    RootDirectory,
    Step,
    WorkingDirectory,
)


def replaced(plan: Plan, change: Callable[[Step], Step]) -> Plan:
    return Plan(tuple(change(step) for step in plan.steps))


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture
def outside(lab: Lab) -> Path:  # noqa: F811
    """A directory of the host that no container may touch."""
    folder = lab.bundle.base / "outside"
    folder.mkdir()
    (folder / "secret").write_text("host")
    return folder


@pytest.mark.parametrize("name", ["proc", "sys"])
@pytest.mark.parametrize("target", ["/tmp", "tmp", "/nowhere"])
def test_kernel_filesystems_go_where_they_belong(lab: Lab, name: str, target: str) -> None:  # noqa: F811
    """CVE-2019-16884, CVE-2019-19921: a link in the image would put procfs elsewhere, and the masks with it."""
    (lab.bundle.root / name).symlink_to(target)
    with pytest.raises(LaunchFailed, match="mount: mount"):
        lab.shell("true")
    assert lab.left_cgroups() == []


@pytest.mark.parametrize("up", ["", "../../../../../../.."])
def test_links_are_followed_inside_the_root_only(lab: Lab, outside: Path, up: str) -> None:  # noqa: F811
    """CVE-2021-30465: a mount point that is a link to the host's tree."""
    before = files_of(outside)
    (lab.bundle.root / "data").symlink_to(f"{up}{outside}/made/deeper")
    (lab.bundle.root / "file").symlink_to(f"{up}{outside}/new-file")
    source = lab.bundle.base / "volume"
    source.mkdir()
    (source / "in-volume").write_text("x")
    steps = (
        Bind(str(source), "/data"),
        Bind(str(source / "in-volume"), "/other/file"),
        RootDirectory("/data2/../data/inner"),
    )
    ended = lab.shell(f"ls /data; cat /other/file; ls -d {outside}/made/deeper", before_pivot=steps)
    assert ended.output.decode().split() == ["in-volume", "inner", "x" + f"{outside}/made/deeper"] or (
        ended.output.decode().replace("\n", " ").startswith("in-volume inner x")
    )
    assert files_of(outside) == before and (outside / "secret").read_text() == "host"


def test_a_file_mount_point_that_is_a_dangling_link(lab: Lab, outside: Path) -> None:  # noqa: F811
    (lab.bundle.root / "file").symlink_to(f"{outside}/new-file")
    with pytest.raises(LaunchFailed, match="bind"):
        lab.shell("true", before_pivot=(Bind("/etc/hostname", "/file"),))
    assert files_of(outside) == {"secret"}


def test_dev_as_a_link_stays_inside(lab: Lab) -> None:  # noqa: F811
    (lab.bundle.root / "dev").symlink_to("../../../var/wherry-test-devices")
    assert lab.shell("ls /dev/null /var/wherry-test-devices/null").output.split()[0] == b"/dev/null"
    assert not Path("/var/wherry-test-devices").exists()


def test_no_bind_over_a_directory_of_procfs(lab: Lab) -> None:  # noqa: F811
    (lab.bundle.root / "data").symlink_to("/proc/sys")
    with pytest.raises(LaunchFailed, match="operation not permitted"):
        lab.shell("true", before_pivot=(Bind("/etc", "/data"),))


def test_a_working_directory_outside(lab: Lab) -> None:  # noqa: F811
    """CVE-2024-21626: a descriptor of a host directory that is still open."""
    plan = container_plan(lab.bundle, Wanted(argv=("pwd",)))
    leak = WorkingDirectory(f"/proc/self/fd/{Fd.NET}")
    leaky = replaced(plan, lambda step: leak if isinstance(step, WorkingDirectory) else step)
    host = os.open("/usr", os.O_PATH | os.O_DIRECTORY)
    try:
        with pytest.raises(LaunchFailed, match="is outside of the container's root"):
            asyncio.run(lab.launch(leaky, fds={Fd.NET: host}))
    finally:
        os.close(host)


def test_a_false_null_device_masks_nothing(lab: Lab) -> None:  # noqa: F811
    plan = container_plan(lab.bundle, Wanted())

    def change(step: Step) -> Step:
        if isinstance(step, MakeNode) and step.path == "/dev/null":
            return dataclasses.replace(step, minor=5)
        return step

    with pytest.raises(LaunchFailed, match="mask"):
        asyncio.run(lab.launch(replaced(plan, change)))


def make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(64 << 20)


def make_device(path: Path) -> None:
    path.unlink()
    os.mknod(path, 0o20666, os.makedev(1, 5))


def make_link_out(path: Path) -> None:
    path.unlink()
    path.symlink_to("../../../../../../../etc/passwd")


def make_garbage(path: Path) -> None:
    path.write_bytes(
        os.urandom(1 << 20) + b"\nann:x:1000:1000::/home/ann:\n" + b":" * 100000 + b"\n" + b"a" * 100000
    )


@pytest.mark.parametrize(
    "damage", [make_fifo, make_huge, make_device, make_link_out, make_garbage, Path.unlink]
)
def test_strange_user_databases(lab: Lab, damage: Callable[[Path], None]) -> None:  # noqa: F811
    damage(lab.bundle.root / "etc/passwd")
    began = time.monotonic()
    ended = lab.shell("grep ^Uid /proc/self/status", user="1000")
    assert ended.output.split()[1:] == [b"1000"] * 4
    assert time.monotonic() - began < 5


def test_the_launcher_cannot_be_overwritten(lab: Lab) -> None:  # noqa: F811
    """CVE-2019-5736: process 1 is the launcher's own binary with --init."""
    script = (
        "for f in /proc/1/exe /proc/1/fd/*; do (echo x > $f) 2>/dev/null && echo written $f; done; echo end"
    )
    before = os.stat(f"/proc/self/fd/{lab.launcher._binary}").st_mtime_ns
    assert lab.shell(script, init=True).output == b"end\n"
    assert os.stat(f"/proc/self/fd/{lab.launcher._binary}").st_mtime_ns == before


def test_no_descriptor_is_left_open(lab: Lab) -> None:  # noqa: F811
    async def scenario() -> list[Ended]:
        inside = Wanted(argv=("sh", "-c", "for fd in /proc/self/fd/*; do readlink $fd; done"), tty=True)
        async with lab.running() as target:
            log = Log(str(lab.bundle.base / "log"))
            second = dataclasses.replace(inside, init=True, log=log, tty=False)
            return [await lab.execute(target, inside), await lab.execute(target, second)]

    for ended in asyncio.run(scenario()):
        for link in ended.output.decode().split():
            assert link.startswith(("/dev/", "pipe:", "/proc/")), ended.output


def test_environment_of_the_daemon_stays_outside(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("DAEMON_SECRET", "x")

    async def scenario() -> bytes:
        async with lab.running(Wanted(argv=("sleep", "1000"), init=True)) as monitored:
            return (
                Path(f"/proc/{monitored.pid}/environ").read_bytes()
                + (await lab.run(Wanted(argv=("env",), container="d"))).output
            )

    assert b"SECRET" not in asyncio.run(scenario())


def test_a_root_that_changes_meanwhile(lab: Lab, outside: Path) -> None:  # noqa: F811
    """Mount points swapped for links out while containers start, as a second container with the volume could."""
    shared, given = lab.bundle.base / "shared", lab.bundle.base / "given"
    (shared / "point").mkdir(parents=True)
    given.mkdir()

    async def swap(stop: asyncio.Event) -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):  # a start made the mount point in between
                (shared / "point").rmdir()
                (shared / "point").symlink_to(str(outside))
            await asyncio.sleep(0.0002)
            with contextlib.suppress(OSError):
                (shared / "point").unlink()
                (shared / "point").mkdir()
            await asyncio.sleep(0.0002)

    async def scenario() -> int:
        stop, started = asyncio.Event(), 0
        swapping = asyncio.create_task(swap(stop))
        steps = (Bind(str(shared), "/shared", MountFlag(0)), Bind(str(given), "/shared/point"))
        for _ in range(25):
            try:
                ended = await lab.run(Wanted(argv=("sh", "-c", "true"), before_pivot=steps))
                started += ended.status.code == 0
            except LaunchFailed as error:
                assert error.name == "bind"
            shutil.rmtree(lab.bundle.base / "upper" / "shared", ignore_errors=True)
        stop.set()
        await swapping
        return started

    started = asyncio.run(scenario())
    assert files_of(outside) == {"secret"} and started > 0
