import os
import time
from pathlib import Path

import pytest

from wherry.errors import InvalidArgument
from wherry.messages.container import DeviceMapping
from wherry.runtime import devices


def test_a_node():
    (found,) = devices.requested([DeviceMapping(path_on_host="/dev/zero")])
    assert (found.device.path, found.device.major, found.device.minor, found.access) == (
        "/dev/zero",
        1,
        5,
        "rwm",
    )


def test_a_link_to_a_node(tmp_path: Path):
    link = tmp_path / "zero"
    link.symlink_to("/dev/zero")
    (found,) = devices.requested([DeviceMapping(path_on_host=str(link), path_in_container="/dev/z")])
    assert (found.device.path, found.device.minor) == ("/dev/z", 5)


def test_a_directory_of_nodes(tmp_path: Path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "plain").write_text("")
    os.mknod(tmp_path / "sub" / "n", 0o20600, os.makedev(1, 3))
    (found,) = devices.requested([DeviceMapping(path_on_host=str(tmp_path), path_in_container="/dev/x")])
    assert found.device.path == "/dev/x/sub/n"


@pytest.mark.parametrize("path", ["/dev/not-there", "/etc/passwd"])
def test_refused(path: str):
    with pytest.raises(
        InvalidArgument, match="error gathering device information while adding custom device"
    ):
        devices.requested([DeviceMapping(path_on_host=path)])


def test_an_empty_directory_is_refused(tmp_path: Path):
    with pytest.raises(InvalidArgument, match="no device nodes found"):
        devices.requested([DeviceMapping(path_on_host=str(tmp_path))])


def at(*paths: str) -> list[DeviceMapping]:
    return [DeviceMapping(path_on_host="/dev/null", path_in_container=path) for path in paths]


@pytest.mark.parametrize(
    "path",
    ["/", "/proc/q", "/proc/sys/q", "/sys/fs/cgroup/q", "/dev/null/x", "/dev/fd/3", "/dev/pts/7/..//8"],
)
def test_where_there_can_be_none(path: str):
    with pytest.raises(
        InvalidArgument, match="invalid PathInContainer of Devices: there can be no device at"
    ):
        devices.check_places(at("/dev/x", path), ())


def test_where_there_can_be_one():
    devices.check_places(at("/dev/zero", "/dev/pts", "/dev/shm/q", "/q", "/processes", "/dev/stdin"), ())
    devices.check_places(at("/dev/pts/7", "/dev/zero/x", "/sys/a/b"), ("/dev/pts", "/dev/zero", "/sys/a"))


def test_a_place_may_be_deep():
    """512 of 1,900 directories each: a text was made of every directory, which took the daemon 12 seconds."""
    deep = "/a" * 1900
    began = time.process_time()
    devices.check_places(at(*(f"{deep}/{n}" for n in range(512))), ("/a",))
    assert time.process_time() - began < 3  # a bound against such a cost, no more


def test_a_place_is_one_however_it_is_written():
    (found,) = devices.requested(at("//dev/./x/../zero/"))
    assert found.device.path == "/dev/zero"


def test_rules():
    rule = devices.parse_rule("c 13:* rw")
    assert (rule.type, rule.major, rule.minor, rule.access) == ("c", 13, -1, "rw")
    for bad in ("c 13 rw", "x 1:1 r", "c 1:1 rwmx", "c 1:1 r\n", "c -1:1 r", "c 4294967295:1 r"):
        with pytest.raises(InvalidArgument, match="invalid device cgroup rule format"):
            devices.parse_rule(bad)


def test_every_device_of_the_host_but_not_its_terminals():
    paths = {d.device.path for d in devices.every_device()}
    assert "/dev/null" in paths
    assert not any(path.startswith("/dev/pts/") for path in paths)
    assert "/dev/console" not in paths
