"""What a create request of an older API means: defaults that have changed, fields that came later."""

from __future__ import annotations

import msgspec
import pytest

from tests.harness.daemon import Daemon
from wherry.api.older import (
    MAC_ADDRESS_MOVED,
    exec_of_today,
    in_words_of_today,
    platform,
    recursive_read_only,
)
from wherry.api.version import MAX_VERSION, Version
from wherry.errors import InvalidArgument
from wherry.messages.container import ContainerCreate, HostConfig
from wherry.messages.exec import ExecCreate, ExecStart

MAC = "02:42:ac:11:00:99"
EVERYTHING = msgspec.convert(
    {
        "Image": "busybox",
        "Healthcheck": {"Test": ["NONE"], "StartInterval": 5},
        "HostConfig": {
            "ConsoleSize": [10, 20],
            "Annotations": {"a": "b"},
            "Mounts": [
                {
                    "Type": "bind", "Source": "/a", "Target": "/x", "ReadOnly": True,
                    "BindOptions": {"NonRecursive": True, "CreateMountpoint": True},
                },
                {"Type": "bind", "Source": "/a", "Target": "/y"},
            ],
        },
        "NetworkingConfig": {"EndpointsConfig": {"bridge": {"GwPriority": 3, "MacAddress": "02:00:00:00:00:01"}}},
    },
    ContainerCreate,
)  # fmt: skip
NEWEST = {
    "StartInterval": 5, "ConsoleSize": (10, 20), "Annotations": {"a": "b"}, "NonRecursive": True, "Create": True,
    "OnlyTop": False, "GwPriority": 3, "MacAddress": "02:00:00:00:00:01", "IpcMode": "",
}  # fmt: skip


def meant(version: Version) -> dict[str, object]:
    request = in_words_of_today(EVERYTHING, version)
    host, networking = request.host_config, request.networking_config
    assert host and host.mounts and request.healthcheck and networking and networking.endpoints_config
    options, endpoint = host.mounts[0].bind_options, networking.endpoints_config["bridge"]
    assert options and endpoint
    return {
        "StartInterval": request.healthcheck.start_interval, "ConsoleSize": host.console_size,
        "Annotations": host.annotations, "NonRecursive": options.non_recursive,
        "Create": options.create_mountpoint, "OnlyTop": options.read_only_non_recursive,
        "GwPriority": endpoint.gw_priority, "MacAddress": endpoint.mac_address, "IpcMode": host.ipc_mode,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("version", "differs"),
    [
        (MAX_VERSION, {}),
        ((1, 48), {}),
        ((1, 47), {"GwPriority": 0}),
        ((1, 44), {"GwPriority": 0}),
        ((1, 43), {"GwPriority": 0, "MacAddress": "", "StartInterval": 0, "OnlyTop": True}),
        ((1, 42), {"GwPriority": 0, "MacAddress": "", "StartInterval": 0, "OnlyTop": True, "Annotations": None}),
    ],
)  # fmt: skip
def test_what_came_later_is_not_there(version: Version, differs: dict[str, object]) -> None:
    assert meant(version) == {**NEWEST, **differs}


def test_the_oldest_ones() -> None:
    before_1_42 = {**meant((1, 42)), "ConsoleSize": (0, 0), "Create": False}
    assert meant((1, 41)) == meant((1, 40)) == before_1_42
    assert meant((1, 39)) == meant((1, 24)) == {**before_1_42, "NonRecursive": False, "IpcMode": "shareable"}


def test_an_ipc_mode_that_is_asked_for_stays() -> None:
    request = ContainerCreate(image="busybox", host_config=HostConfig(ipc_mode="private"))
    asked = in_words_of_today(request, (1, 39)).host_config
    assert asked is not None and asked.ipc_mode == "private"


def test_a_request_with_nothing_in_it() -> None:
    host = in_words_of_today(ContainerCreate(image="busybox"), (1, 24)).host_config
    assert host == HostConfig(ipc_mode="shareable")


@pytest.mark.parametrize("version", ["v1.40", "v1.43", "v1.44", "v1.51"])
@pytest.mark.parametrize("option", ["ReadOnlyNonRecursive", "ReadOnlyForceRecursive"])
def test_how_far_down_a_bind_is_read_only_that_is_not(daemon: Daemon, version: str, option: str) -> None:
    """dockerd says so at start. What says nothing of it is a bind like others."""
    bind = {"Type": "bind", "Source": "/usr", "Target": "/x", "BindOptions": {"NonRecursive": True}}
    body = {"Image": "busybox", "HostConfig": {"Mounts": [bind]}}
    assert daemon.api("POST", f"/{version}/containers/create", body).status == 201
    bind["BindOptions"] = {option: True}
    answer = daemon.api("POST", f"/{version}/containers/create", body)
    assert answer.status == 400 and option in answer.body["message"]


def test_recursion_that_is_insisted_on_is_not_forgotten() -> None:
    mount = {"Type": "bind", "Source": "/a", "Target": "/x", "BindOptions": {"ReadOnlyForceRecursive": True}}
    request = msgspec.convert({"HostConfig": {"Mounts": [mount]}}, ContainerCreate)
    with pytest.raises(InvalidArgument, match=r"needs API v1\.44 or newer"):
        in_words_of_today(request, (1, 43))


@pytest.mark.parametrize("mode", ["none", "host", "container:other"])
def test_a_mac_address_without_a_network_of_ones_own(daemon: Daemon, mode: str) -> None:
    daemon.docker("create", "--name", "other", "busybox")
    body = {"Image": "busybox", "MacAddress": MAC, "HostConfig": {"NetworkMode": mode}}
    old, new = (daemon.api("POST", f"/{v}/containers/create", body) for v in ("v1.43", "v1.44"))
    assert (old.status, old.body["message"]) == (400, "conflicting options: mac-address and the network mode")
    assert (new.status, new.body["Warnings"]) == (201, [MAC_ADDRESS_MOVED])


def test_a_mac_address_is_the_networks_since_1_44(daemon: Daemon) -> None:
    both = {
        "Image": "busybox", "MacAddress": MAC,
        "NetworkingConfig": {"EndpointsConfig": {"bridge": {"MacAddress": "02:42:ac:11:00:98"}}},
    }  # fmt: skip
    old, new = (daemon.api("POST", f"/{v}/containers/create", both) for v in ("v1.43", "v1.44"))
    assert old.status == 201 and old.body["Warnings"] == []
    assert daemon.inspect(old.body["Id"])["Config"]["MacAddress"] == MAC
    assert new.status == 400 and "must match the endpoint-specific MAC address" in new.body["message"]
    both["NetworkingConfig"]["EndpointsConfig"]["bridge"]["MacAddress"] = MAC  # type: ignore[index]
    same = daemon.api("POST", "/v1.44/containers/create", both)
    assert (same.status, same.body["Warnings"]) == (201, [MAC_ADDRESS_MOVED])


def test_options_of_another_type_of_mount_are_looked_at_since_1_42(daemon: Daemon) -> None:
    mount = {"Type": "bind", "Source": "/usr", "Target": "/x", "TmpfsOptions": {"SizeBytes": 1}}
    body = {"Image": "busybox", "HostConfig": {"Mounts": [mount]}}
    old, new = (daemon.api("POST", f"/{v}/containers/create", body) for v in ("v1.41", "v1.42"))
    assert old.status == 201
    assert (new.status, new.body["message"]) == (
        400,
        'TmpfsOptions must not be specified on mount type "bind"',
    )


@pytest.mark.parametrize("request_", [ExecCreate(console_size=(10, 20)), ExecStart(console_size=(10, 20))])
def test_an_execs_terminal_has_a_size_since_1_42(request_: ExecCreate | ExecStart) -> None:
    assert exec_of_today(request_, (1, 42)) is request_
    assert exec_of_today(request_, (1, 41)).console_size is None


def test_a_platform_counts_since_1_41() -> None:
    assert (platform("linux/arm64", (1, 40)), platform("linux/arm64", (1, 41))) == (None, "linux/arm64")
    assert platform("", MAX_VERSION) is None


def test_read_only_is_recursive_since_1_44() -> None:
    assert not recursive_read_only((1, 43)) and recursive_read_only((1, 44))


@pytest.mark.parametrize(
    ("version", "mode"), [("v1.39", "shareable"), ("v1.40", "private"), ("v1.51", "private")]
)
def test_as_inspect_shows_it(daemon: Daemon, version: str, mode: str) -> None:
    id = daemon.api("POST", f"/{version}/containers/create", {"Image": "busybox"}).body["Id"]
    assert daemon.inspect(id)["HostConfig"]["IpcMode"] == mode


def test_a_platform_is_not_read_by_the_oldest(daemon: Daemon) -> None:
    for version, status in (("v1.40", 201), ("v1.41", 404)):
        path = f"/{version}/containers/create?platform=linux/s390x"
        assert daemon.api("POST", path, {"Image": "busybox"}).status == status
