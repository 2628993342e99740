"""Containers over the wire: the shapes and texts that dockerd 28.5 was seen to send."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.api.client import Api

ZERO = "0001-01-01T00:00:00Z"


def test_create_start_stop_remove(api: Api) -> None:
    reply = api.post("/containers/create", {"Image": "busybox", "Cmd": ["sleep", "1000"]}, name="web")
    assert reply.status == 201
    assert reply.json == {"Id": reply.json["Id"], "Warnings": []}
    steps = [
        ("POST", "/containers/web/start", 204),
        ("POST", "/containers/web/start", 304),
        ("POST", "/containers/web/stop?t=1", 204),
        ("POST", "/containers/web/stop", 304),
        ("POST", "/containers/web/restart?t=0", 204),
        ("POST", "/containers/web/kill?signal=KILL", 204),
        ("DELETE", "/containers/web", 204),
        ("DELETE", "/containers/web", 404),
    ]
    for method, path, status in steps:
        with api.wire() as wire:
            wire.request(method, path)
            reply = wire.reply(method)
            assert (path, reply.status) == (path, status)
            # Nothing follows an answer without a body: the connection is still good.
            wire.request("GET", "/_ping")
            assert wire.reply().body == b"OK"


def test_errors_in_dockers_words(api: Api) -> None:
    id = api.create("sleep", "1000", name="web")
    other = api.create("sleep", "1000", name="other")
    api.post("/containers/web/start")
    taken = (
        f'Conflict. The container name "/web" is already in use by container "{id}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )
    expected: list[tuple[Any, int, str]] = [
        (api.post("/containers/create", {"Image": "busybox"}, name="web"), 409, taken),
        (api.post("/containers/create", {"Image": "gone"}), 404, "No such image: gone:latest"),
        (
            api.delete("/containers/web"),
            409,
            "container is running: stop the container before removing or force",
        ),
        (api.post("/containers/other/kill"), 409, f"container {other} is not running"),
        (api.post("/containers/web/kill?signal=FOO"), 400, "FOO"),
        (api.post("/containers/other/rename?name=web"), 409, taken),
        (api.post("/containers/other/rename"), 400, "Neither old nor new names may be empty"),
        (api.post("/containers/other/rename?name=!!"), 400, "only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        (api.post("/containers/other/resize?h=1&w=1"), 409, "is not running"),
        (api.post("/containers/other/exec", {"Cmd": ["cat"]}), 409, "is not running"),
        (api.post("/containers/web/exec", {}), 400, "No exec command specified"),
        (api.get("/containers/nobody/json"), 404, "No such container: nobody"),
    ]
    for reply, status, text in expected:
        assert (reply.status, text in reply.message) == (status, True), reply.body


def test_a_command_that_cannot_be_run(api: Api) -> None:
    id = api.create("nonsense")
    reply = api.post(f"/containers/{id}/start")
    assert (reply.status, "executable file not found" in reply.message) == (400, True)
    state = api.get(f"/containers/{id}/json").json["State"]
    assert (state["Status"], state["ExitCode"]) == ("created", 127)


def test_finding_one(api: Api) -> None:
    id = api.create("sleep", "1000", name="web")
    for ref in (id, id[:12], "web", "%2Fweb"):
        assert api.get(f"/containers/{ref}/json").json["Id"] == id
    assert api.get("/containers//web/json").headers["location"] == "/containers/web/json"


def test_the_list(api: Api) -> None:
    api.create("echo", "a b", "c", name="old")
    ports = {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}
    id = api.create(
        "sleep", "99", name="web", Labels={"app": "x"}, ExposedPorts={"80/tcp": {}, "53/udp": {}},
        HostConfig={"PortBindings": ports},
    )  # fmt: skip
    api.post("/containers/web/start")
    (image,) = api.get("/images/json").json
    listed = api.get("/containers/json", all="1").json
    assert [c["Names"] for c in listed] == [["/web"], ["/old"]]
    web, old = listed
    assert web == {
        "Id": id,
        "Names": ["/web"],
        "Image": "busybox",
        "ImageID": image["Id"],
        "Command": "sleep 99",
        "Created": web["Created"],
        "Ports": [
            {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
            {"PrivatePort": 53, "Type": "udp"},
        ],
        "Labels": {"app": "x"},
        "State": "running",
        "Status": web["Status"],
        "HostConfig": {"NetworkMode": "bridge"},
        "NetworkSettings": {"Networks": {"bridge": web["NetworkSettings"]["Networks"]["bridge"]}},
        "Mounts": [],
    }
    assert web["Status"].startswith("Up ")
    assert abs(web["Created"] - time.time()) < 60
    assert (old["Command"], old["State"], old["Status"], old["Ports"]) == (
        "echo 'a b' c",
        "created",
        "Created",
        [],
    )
    assert api.get("/containers/web/json").json["NetworkSettings"]["Ports"] == {**ports, "53/udp": None}
    assert [c["Names"][0] for c in api.get("/containers/json").json] == ["/web"]
    assert [c["Names"][0] for c in api.get("/containers/json", limit="1").json] == ["/web"]
    assert [c["Names"][0] for c in api.get("/containers/json", filters={"status": ["created"]}).json] == [
        "/old"
    ]
    assert "SizeRootFs" not in web
    assert api.get("/containers/json", size="1").json[0]["SizeRootFs"] > 0


def test_the_list_names_an_image_that_lost_its_name_by_id(api: Api, busybox_tar: bytes) -> None:
    api.call("POST", "/images/busybox:latest/tag?repo=mine")
    api.post("/containers/create", {"Image": "mine", "Cmd": ["sleep", "1000"]}, name="one")
    by_name = {"ancestor": ["mine"]}
    (before,) = api.get("/containers/json", all="1", filters=by_name).json
    assert before["Image"] == "mine"
    assert api.call("POST", "/images/create?fromSrc=-&repo=mine:latest", raw=busybox_tar).status == 200
    assert api.get("/containers/json", all="1", filters=by_name).json == []
    (after,) = api.get("/containers/json", all="1").json
    assert after["Image"] == after["ImageID"] == before["ImageID"]
    api.delete("/containers/one")
    api.delete("/images/mine")


def test_filters_in_both_forms(api: Api) -> None:
    api.create("sleep", "1000", name="aa", Labels={"k": "v"})
    api.create("sleep", "1000", name="bb")
    for form in ({"label": ["k=v"]}, {"label": {"k=v": True}}):
        assert [c["Names"] for c in api.get("/containers/json", all="1", filters=form).json] == [["/aa"]]
    reply = api.get("/containers/json", filters={"colour": ["red"]})
    assert (reply.status, reply.message) == (400, "invalid filter 'colour'")
    assert api.get("/containers/json", filters="{").status == 400


def test_inspect_shows_every_field(api: Api) -> None:
    host = {
        "Memory": 64 << 20,
        "PidsLimit": 7,
        "Binds": ["/usr:/t:ro"],
        "Tmpfs": {"/run": "size=1m"},
        "NanoCpus": 500_000_000,
    }
    id = api.create("sleep", "9", name="web", HostConfig=host, Env=["A=b"], Tty=True, StopSignal="SIGHUP")
    shown = api.get("/containers/web/json", size="1").json
    assert " ".join(shown) == (
        "Id Created Path Args State Image ResolvConfPath HostnamePath HostsPath LogPath Name RestartCount Driver "
        "Platform MountLabel ProcessLabel AppArmorProfile ExecIDs HostConfig GraphDriver SizeRw SizeRootFs Mounts "
        "Config NetworkSettings"
    )
    assert shown["State"] == {
        "Status": "created", "Running": False, "Paused": False, "Restarting": False, "OOMKilled": False,
        "Dead": False, "Pid": 0, "ExitCode": 0, "Error": "", "StartedAt": ZERO, "FinishedAt": ZERO,
    }  # fmt: skip
    assert (shown["Name"], shown["Path"], shown["Args"], shown["LogPath"]) == ("/web", "sleep", ["9"], "")
    assert shown["HostConfig"].items() >= {**host, "NetworkMode": "bridge", "ConsoleSize": [0, 0]}.items()
    assert shown["HostConfig"]["RestartPolicy"] == {"Name": "no", "MaximumRetryCount": 0}
    assert "Sysctls" not in shown["HostConfig"]
    assert "/proc/kcore" in shown["HostConfig"]["MaskedPaths"]
    assert "/proc/sys" in shown["HostConfig"]["ReadonlyPaths"]
    config = shown["Config"]
    assert (config["Hostname"], config["Env"], config["Tty"], config["StopSignal"]) == (
        id[:12], config["Env"], True, "SIGHUP",
    )  # fmt: skip
    assert "A=b" in config["Env"] and "Healthcheck" not in config
    assert shown["Mounts"] == [
        {
            "Type": "bind",
            "Source": "/usr",
            "Destination": "/t",
            "Mode": "ro",
            "RW": False,
            "Propagation": "rprivate",
        }
    ]
    assert list(shown["GraphDriver"]) == ["Data", "Name"]
    assert " ".join(shown["NetworkSettings"]) == (
        "Bridge SandboxID SandboxKey Ports HairpinMode LinkLocalIPv6Address LinkLocalIPv6PrefixLen "
        "SecondaryIPAddresses SecondaryIPv6Addresses EndpointID Gateway GlobalIPv6Address GlobalIPv6PrefixLen "
        "IPAddress IPPrefixLen IPv6Gateway MacAddress Networks"
    )
    api.post("/containers/web/start")
    started = api.get("/containers/web/json").json
    assert started["LogPath"].endswith(f"/{id}/{id}-json.log")
    assert (started["State"]["Running"], started["State"]["StartedAt"] > ZERO) == (True, True)


def test_what_clients_send_for_not_set_is_shown_as_null(api: Api) -> None:
    host = {"PidsLimit": 0, "MemorySwappiness": -1, "MaskedPaths": [], "OomKillDisable": None}
    id = api.create("sleep", "1000", HostConfig=host)
    shown = api.get(f"/containers/{id}/json").json["HostConfig"]
    assert (shown["PidsLimit"], shown["MemorySwappiness"], shown["MaskedPaths"]) == (None, None, [])
    privileged = api.create("sleep", "1000", HostConfig={"Privileged": True})
    assert api.get(f"/containers/{privileged}/json").json["HostConfig"]["MaskedPaths"] is None


def test_nulls_and_other_spellings_as_go_reads_them(api: Api) -> None:
    body = {
        "image": "busybox",
        "cmd": ["sleep"],
        "Hostname": None,
        "Tty": None,
        "HostConfig": {
            "Memory": None, "NetworkMode": None, "LogConfig": None, "ConsoleSize": None,
            "PortBindings": {"80/tcp": None, "81/tcp": [{"HostIp": None, "HostPort": "0"}]},
        },
        "NetworkingConfig": {"EndpointsConfig": {"bridge": {"Links": None}}},
        "labels": {"com.example.Label": "kept as it is", "lower": "x"},
    }  # fmt: skip
    reply = api.post("/containers/create", body)
    assert reply.status == 201, reply.body
    shown = api.get(f"/containers/{reply.json['Id']}/json").json
    assert shown["HostConfig"]["Memory"] == 0
    assert set(shown["HostConfig"]["PortBindings"]) == {"80/tcp", "81/tcp"}
    assert shown["Config"]["Labels"] == body["labels"]
    assert shown["Path"] == "sleep"


@pytest.mark.parametrize(
    "path", ["/networks/create", "/volumes/create", "/images/create?fromImage=alpine&tag=3"]
)
def test_what_is_not_there_yet_says_so(api: Api, path: str) -> None:
    reply = api.post(path, {"Name": "x"})
    assert (reply.status, "this version of wherry" in reply.message) == (501, True)
