"""Binds: how far down they reach, what passes through them, and those of the engine's own directories."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.daemon import Daemon

pytestmark = pytest.mark.usefixtures("docker_cli")

TRY = "touch /x/top 2>/dev/null && echo top; touch /x/below/it 2>/dev/null && echo below; rm -f /x/top /x/below/it"


@pytest.fixture
def folder(daemon: Daemon) -> Iterator[Path]:
    """A directory of the host with a mount in it, which other mount namespaces share."""
    made = daemon.base / "folder"
    (made / "below").mkdir(parents=True, exist_ok=True)
    daemon.run_in_ns(
        f"mount --bind {made} {made} && mount --make-shared {made} && mount -t tmpfs below {made}/below"
    )
    yield made
    daemon.remove_containers()
    daemon.run_in_ns(f"umount -R {made}")


def mount(source: object, options: str = "") -> str:
    return f"type=bind,src={source},dst=/x{options}"


def mounted(daemon: Daemon, path: Path) -> bool:
    return daemon.run_in_ns(["mountpoint", "-q", path], check=False).returncode == 0


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ("", "top below"),
        (",readonly", ""),
        (",readonly,bind-recursive=enabled", ""),
        (",readonly,bind-recursive=writable", "below"),
        (",readonly,bind-recursive=readonly,bind-propagation=rprivate", ""),
    ],
)
def test_how_far_down_a_read_only_bind_reaches(
    daemon: Daemon, folder: Path, options: str, wanted: str
) -> None:
    done = daemon.docker("run", "--rm", "--mount", mount(folder, options), "busybox", "sh", "-c", TRY)
    assert " ".join(done.stdout.split()) == wanted


@pytest.mark.parametrize("options", [",bind-recursive=disabled", ",readonly,bind-recursive=disabled"])
def test_a_bind_without_what_is_mounted_below(daemon: Daemon, folder: Path, options: str) -> None:
    command = ("busybox", "sh", "-c", "grep -o ' /x[^ ]* ' /proc/mounts")
    assert daemon.docker("run", "--rm", "--mount", mount(folder, options), *command).stdout == " /x \n"


@pytest.mark.parametrize(("version", "wanted"), [("v1.43", "below"), ("v1.44", "")])
def test_before_api_1_44_read_only_binds_are_not_recursive(
    daemon: Daemon, folder: Path, version: str, wanted: str
) -> None:
    """Also at the second start, by another daemon."""
    for host in (
        {"Binds": [f"{folder}:/x:ro"]},
        {"Mounts": [{"Type": "bind", "Source": str(folder), "Target": "/x", "ReadOnly": True}]},
    ):
        body = {"Image": "busybox", "Cmd": ["sh", "-c", TRY], "HostConfig": host}
        id = daemon.api("POST", f"/{version}/containers/create", body).body["Id"]
        assert daemon.docker("start", "-a", id).stdout.strip() == wanted
    daemon.restart()
    assert daemon.docker("start", "-a", id).stdout.strip() == wanted


def test_what_is_mounted_on_the_host_reaches_a_slave_and_nothing_comes_back(
    daemon: Daemon, folder: Path
) -> None:
    for mode in ("rslave", "slave", "rprivate", "private"):
        command = (
            "run",
            "-d",
            "--privileged",
            "--name",
            mode,
            "-v",
            f"{folder}:/x:{mode}",
            "busybox",
            "sleep",
            "1000",
        )
        daemon.docker(*command)
    (folder / "later").mkdir()
    daemon.run_in_ns(f"mount -t tmpfs later {folder}/later && touch {folder}/later/seen")
    seen = {
        mode: daemon.docker("exec", mode, "ls", "/x/later").stdout.strip()
        for mode in ("rslave", "slave", "rprivate", "private")
    }
    assert seen == {"rslave": "seen", "slave": "seen", "rprivate": "", "private": ""}
    for mode in seen:
        daemon.docker(
            "exec", mode, "sh", "-c", "for d in /x /x/below; do mkdir -p $d/m; mount -t tmpfs m $d/m; done"
        )
    assert not mounted(daemon, folder / "m") and not mounted(daemon, folder / "below/m")


@pytest.mark.parametrize("mode", ["rshared", "shared"])
def test_what_a_container_mounts_in_a_shared_bind_reaches_the_host(
    daemon: Daemon, folder: Path, mode: str
) -> None:
    there = daemon.sandbox.mounts()
    script = "mkdir -p /x/m && mount -t tmpfs m /x/m && touch /x/m/seen"
    done = daemon.docker("run", "--privileged", "-v", f"{folder}:/x:{mode}", "busybox", "sh", "-c", script)
    assert done.returncode == 0
    assert (daemon.sandbox.outside(folder / "m/seen")).exists()
    assert sorted({*daemon.sandbox.mounts()} - {*there}) == [
        str(folder / "m")
    ]  # and nothing else of the container's


@pytest.mark.parametrize("mode", ["slave", "rslave", "shared", "rshared"])
def test_a_propagation_that_would_do_nothing_is_refused(daemon: Daemon, mode: str) -> None:
    own = daemon.base / "private"
    own.mkdir(exist_ok=True)
    done = daemon.docker("run", "--rm", "-v", f"{own}:/x:{mode}", "busybox", "true", check=False)
    what = "a shared or slave mount" if "slave" in mode else "a shared mount"
    assert done.returncode == 125
    assert re.search(f"path {own} is mounted on /\\S* but it is not {what}\n", done.stderr)


def test_the_engines_own_directories_are_bound_as_slaves(daemon: Daemon) -> None:
    root = daemon.data_root
    for source in (root, root / "containers", root.parent, Path("/")):
        id = daemon.docker("create", "-v", f"{source}:/x", "busybox").stdout.strip()
        (point,) = daemon.inspect(id)["Mounts"]
        assert point["Propagation"] == "rslave"
        assert daemon.docker("start", "-a", id).returncode == 0
        for mode in ("private", "rprivate", "slave", "shared"):
            done = daemon.docker("create", "-v", f"{source}:/x:{mode}", "busybox", check=False)
            assert done.returncode == 1
            assert (
                'must use either propagation mode "rslave" or "rshared" when mount source is within the daemon root, '
                f'daemon root: "{root}", bind mount source: "{source}", propagation: "{mode}"' in done.stderr
            )
    beside = daemon.docker("create", "-v", f"{root}-not:/x", "busybox").stdout.strip()
    assert daemon.inspect(beside)["Mounts"][0]["Propagation"] == "rprivate"


FILES = ("hosts", "hostname", "resolv.conf")
WRITE = "for f in hosts hostname resolv.conf; do (echo more >> /etc/$f) 2>/dev/null && echo $f; done; true"


def shell(daemon: Daemon, script: str, *options: str) -> str:
    return daemon.docker("run", "--rm", *options, "busybox", "sh", "-c", script).stdout


@pytest.mark.parametrize(("options", "wanted"), [((), FILES), (("--read-only",), ())])
def test_the_engines_files_are_as_writable_as_the_root(
    daemon: Daemon, options: tuple[str, ...], wanted: tuple[str, ...]
) -> None:
    assert tuple(shell(daemon, WRITE, *options).split()) == wanted
    assert (
        shell(daemon, "stat -c '%a %u:%g' /etc/hosts /etc/hostname /etc/resolv.conf", *options)
        == "644 0:0\n" * 3
    )


@pytest.mark.parametrize("name", FILES)
def test_a_bind_over_one_of_the_engines_files(daemon: Daemon, name: str) -> None:
    own = daemon.base / "own"
    daemon.run_in_ns(f"echo mine > {own}")
    bind = f"{own}:/etc/{name}"
    assert shell(daemon, f"cat /etc/{name}; {WRITE}", "--read-only", "-v", bind).split() == ["mine", name]
    assert shell(daemon, f"cat /etc/{name}; {WRITE}", "--read-only", "-v", f"{bind}:ro").split() == [
        "mine",
        "more",
    ]


def test_the_engines_files_in_a_bind_or_tmpfs_over_etc(daemon: Daemon) -> None:
    own = daemon.base / "etc"
    daemon.run_in_ns(["mkdir", "-p", own])
    for option in (("-v", f"{own}:/etc"), ("--tmpfs", "/etc", "--read-only")):
        assert tuple(sorted(shell(daemon, "ls /etc", *option).split())) == tuple(sorted(FILES))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("", {"rw", "nosuid", "nodev", "noexec", "relatime"}),
        ("exec,suid,dev", {"rw", "relatime"}),
        ("ro", {"ro", "nosuid", "nodev", "noexec", "relatime"}),
        ("sync,dirsync", {"rw", "sync", "dirsync", "nosuid", "nodev", "noexec", "relatime"}),
        ("nodiratime,noatime", {"rw", "nosuid", "nodev", "noexec", "nodiratime", "noatime"}),
        ("strictatime", {"rw", "nosuid", "nodev", "noexec"}),
        ("async,nomand,defaults,shared", {"rw", "nosuid", "nodev", "noexec", "relatime"}),
        ("size=64k,mode=750,uid=5,gid=6,nr_inodes=1k",
         {"rw", "nosuid", "nodev", "noexec", "relatime", "size=64k", "mode=750", "uid=5", "gid=6", "nr_inodes=1024"}),
    ],
)  # fmt: skip
def test_each_option_of_a_tmpfs_takes_effect(daemon: Daemon, options: str, words: set[str]) -> None:
    asked = f"/t:{options}" if options else "/t"
    (line,) = shell(daemon, "grep ' /t ' /proc/mounts", "--tmpfs", asked).splitlines()
    assert set(line.split()[3].split(",")) - {"inode64", "inode32"} == words


def test_a_shared_tmpfs_is_shared_within_the_container(daemon: Daemon) -> None:
    line = shell(daemon, "grep ' /t ' /proc/self/mountinfo", "--tmpfs", "/t:shared")
    assert " shared:" in line
    assert " shared:" not in shell(daemon, "grep ' /t ' /proc/self/mountinfo", "--tmpfs", "/t")


@pytest.mark.parametrize("name", ["random", "zero", "full", "tty", "urandom", "fd", "console"])
def test_a_bind_over_one_of_the_nodes_in_dev(daemon: Daemon, name: str) -> None:
    """``-v /dev/urandom:/dev/random`` is how programs are kept from waiting for entropy."""
    shown = ("stat", "-c", "%t:%T", f"/dev/{name}")
    assert (
        daemon.docker("run", "--rm", "-v", f"/dev/urandom:/dev/{name}", "busybox", *shown).stdout == "1:9\n"
    )


def test_other_mounts_over_nodes_in_dev(daemon: Daemon) -> None:
    options = (
        "--tmpfs",
        "/dev/zero",
        "--tmpfs",
        "/dev/tty/below",
        "--mount",
        "type=bind,src=/dev/zero,dst=/dev/full",
    )
    shown = ("stat", "-c", "%F %t:%T", "/dev/zero", "/dev/tty", "/dev/full")
    lines = daemon.docker("run", "--rm", *options, "busybox", *shown).stdout.splitlines()
    assert lines == ["directory 0:0", "directory 0:0", "character special file 1:5"]


@pytest.mark.parametrize("path", ["/dev/pts", "/etc/hosts"])
def test_a_device_where_something_is_mounted(daemon: Daemon, path: str) -> None:
    """As with Docker, the mount stays."""
    words = ("run", "--rm", "--device", f"/dev/null:{path}", "busybox", "test", "-c", path)
    assert daemon.docker(*words, check=False).returncode == 1
