"""Reading procfs: this process, and others that are made for the purpose."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.waiting import eventually
from wherry.linux import kernel_file, mountinfo, procfs
from wherry.linux.procfs import IdRange, ProcessDirectory


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "100"])
    yield process
    process.kill()
    process.wait()


def test_status_of_this_process() -> None:
    with ProcessDirectory(os.getpid()) as here:
        status = here.status()
    assert (status.parent, status.uids, status.gids) == (
        os.getppid(),
        (*os.getresuid(), 0),
        (*os.getresgid(), 0),
    )
    assert status.alive and status.state == "R" and status.pids[0] == os.getpid()
    assert set(os.getgroups()) == set(status.groups)
    assert status.capabilities.effective & 1 and status.capabilities.bounding & 1


def test_namespaces_are_what_the_links_say() -> None:
    with ProcessDirectory(os.getpid()) as here:
        for kind, inode in here.namespaces().items():
            assert os.readlink(f"/proc/self/ns/{kind}") == f"{kind}:[{inode}]"
    assert procfs.own_namespaces().keys() >= {"mnt", "pid", "net", "ipc", "uts", "user"}


def test_command_memory_and_descriptors(sleeper: subprocess.Popen[bytes]) -> None:
    with ProcessDirectory(sleeper.pid) as process:
        assert eventually(lambda: process.command() == "sleep 100")
        opened = f"/proc/{sleeper.pid}/fd"
        assert eventually(lambda: len(os.listdir(opened)) == 3)  # it opens its locale's files as it starts
        assert process.descriptors() == len(os.listdir(f"/proc/{sleeper.pid}/fd"))
        memory = process.memory()
        assert 0 < memory.private <= memory.proportional < 10_000_000


def test_limits() -> None:
    with ProcessDirectory(os.getpid()) as here:
        limits = {limit.name: limit for limit in procfs.parse_limits(here.text("limits"))}
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = limits["Max open files"]
    assert (files.soft, files.hard, files.unit) == (soft, hard, "files")
    assert limits["Max address space"].soft is None


def test_a_process_that_has_gone_stays_gone(sleeper: subprocess.Popen[bytes]) -> None:
    with ProcessDirectory(sleeper.pid) as process:
        sleeper.kill()
        os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
        assert not process.status().alive and process.command() == "[sleep]" and process.memory().private == 0
        sleeper.wait()
        with pytest.raises((ProcessLookupError, FileNotFoundError)):
            process.status()
    with pytest.raises((ProcessLookupError, FileNotFoundError)):
        ProcessDirectory(sleeper.pid)


def test_children(sleeper: subprocess.Popen[bytes]) -> None:
    with ProcessDirectory(os.getpid()) as here:
        assert sleeper.pid in here.children()


def test_every_process_by_its_namespace(sleeper: subprocess.Popen[bytes]) -> None:
    mine = procfs.own_namespaces()["pid"]
    assert {os.getpid(), sleeper.pid} <= set(procfs.pids_by_namespace("pid")[mine])


def test_id_maps_and_cgroups() -> None:
    assert procfs.parse_id_map("  0 100000 65536\n65536 5 1\n") == (
        IdRange(0, 100000, 65536),
        IdRange(65536, 5, 1),
    )
    text = "9:name=systemd:/\n1:cpu,cpuacct:/a:b\n0::/x\x0by\u2028z\n"
    assert procfs.parse_cgroups(text) == {
        "name=systemd": "/",
        "cpu,cpuacct": "/a:b",
        "": "/x\x0by\u2028z",
    }


def test_links_are_followed_inside_the_root(tmp_path: Path) -> None:
    """The root of this process is the machine's, so that any path can be tried."""
    (tmp_path / "real").mkdir()
    (tmp_path / "absolute").symlink_to(tmp_path / "real")
    (tmp_path / "relative").symlink_to("absolute")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "above").symlink_to("/" + "../" * 50 + "etc")
    base = str(tmp_path.resolve())
    with ProcessDirectory(os.getpid()) as here:
        assert here.resolve(f"{base}/relative/x/../y") == f"{base}/real/y"
        assert here.resolve(f"{base}/above") == "/etc"
        assert here.resolve(f"{base}/loop") == f"{base}/loop"
        assert here.resolve("/") == "/"
        assert here.has(f"{base}/real") and not here.has(f"{base}/none")


# ---------------------------------------------------------------- mountinfo


def test_the_mounts_of_this_process() -> None:
    entries = mountinfo.parse(kernel_file.read_bytes("/proc/self/mountinfo"))
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    assert [str(entry.id) for entry in entries] == [line.split()[0] for line in lines]
    proc = next(entry for entry in entries if entry.target == "/proc")
    assert (proc.fstype, proc.root) == ("proc", "/")


def test_a_mount_with_everything() -> None:
    line = rb"36 35 98:0 /mnt1/a\040b /mnt2/\134x\011y ro,noatime master:1 shared:7 - ext4 /dev/r\040t rw,errors=stop"
    (entry,) = mountinfo.parse(line + b"\n")
    assert (entry.id, entry.parent, entry.device) == (36, 35, "98:0")
    assert (entry.root, entry.target, entry.source) == ("/mnt1/a b", "/mnt2/\\x\ty", "/dev/r t")
    assert entry.read_only and entry.receives and entry.tags == ("master:1", "shared:7")
    assert entry.option("errors") == "stop" and entry.option("none") == ""


def test_a_comma_in_an_option_is_no_end_of_it() -> None:
    line = rb"1 0 0:1 / / rw - overlay overlay rw,upperdir=/a\054b/upper,workdir=/w"
    assert mountinfo.parse_line(line).option("upperdir") == "/a,b/upper"


def escaped(name: str) -> bytes:
    """As the kernel does: fs/proc_namespace.c, mangle."""
    return b"".join(b"\\%03o" % byte if byte in b" \t\n\\#" else bytes((byte,)) for byte in name.encode())


@given(st.text(st.characters(blacklist_characters="\0\r", blacklist_categories=("Cs",)), max_size=30))
def test_any_name_comes_back(name: str) -> None:
    line = b"1 0 0:1 / /" + escaped(name) + b" rw - tmpfs none rw"
    assert mountinfo.parse_line(line).target == f"/{name}"
