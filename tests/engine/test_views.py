"""What clients see of a container before and while it runs."""

from __future__ import annotations

from tests.harness.daemon import Daemon

PATHS = ("LogPath", "HostsPath", "HostnamePath", "ResolvConfPath")


def test_files_have_places_and_networks_containers_from_the_start_on(daemon: Daemon) -> None:
    body = {"Image": "busybox", "Cmd": ["sleep", "1000"]}
    id = daemon.api("POST", "/containers/create?name=seen", body).body["Id"]
    daemon.api("POST", "/containers/create?name=idle", body)
    assert [daemon.inspect("seen")[path] for path in PATHS] == [""] * 4
    assert daemon.api("GET", "/networks/bridge").body["Containers"] == {}
    daemon.api("POST", "/containers/seen/start")
    seen = daemon.inspect("seen")
    assert all(id in seen[path] for path in PATHS)
    on_it = daemon.api("GET", "/networks/bridge").body["Containers"]
    address = seen["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    assert {key: (value["Name"], value["IPv4Address"].partition("/")[0]) for key, value in on_it.items()} == {
        id: ("seen", address)
    }
