"""The table of fates says all, and is true: what is done has effect, what is echoed has none, the rest is refused."""

from __future__ import annotations

import ast
import json
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scripts.docs import GUIDE, compatibility_page
from tests.api.fate_examples import (
    BASE,
    CHANGES_THE_PLAN,
    PARAMETER_SHOWN_BY,
    SHOWN_BY,
    Body,
    host,
    read_only_bind,
)
from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually
from tests.image.making import Layout
from wherry.api.routes import all_routes
from wherry.api.routing import Bound
from wherry.engine.fate import NOT_HERE, Kind
from wherry.engine.fates import FIELDS
from wherry.engine.parameter_fates import PARAMETERS
from wherry.messages.container import (
    Config,
    ContainerCreate,
    EndpointIpam,
    EndpointSettings,
    HealthConfig,
    HostConfig,
    RestartPolicy,
)

ROOT = Path(__file__).resolve().parents[2]
BOUND = {f"{route.method} {route.pattern}": Bound(route) for route in all_routes()}
Struct = type[msgspec.Struct]


def structs_in(annotation: Any) -> Iterator[Struct]:
    """The messages that a type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        yield annotation
        for inner in typing.get_type_hints(annotation).values():
            yield from structs_in(inner)
    for part in typing.get_args(annotation):
        yield from structs_in(part)


def read_from_clients() -> set[Struct]:
    return {struct for bound in BOUND.values() for struct in structs_in(bound.body)}


def test_every_field_that_is_read_has_a_fate_and_every_fate_a_field() -> None:
    read = {struct: set(struct.__struct_fields__) for struct in read_from_clients()}
    read[Config] = set(Config.__struct_fields__)  # of which ContainerCreate is made
    assert {struct: set(fates) for struct, fates in FIELDS.items()} == read


def test_every_parameter_has_a_fate_and_every_fate_a_parameter() -> None:
    read = {route: set(bound.query) for route, bound in BOUND.items() if bound.query}
    assert {route: set(fates) for route, fates in PARAMETERS.items()} == read


def test_who_is_echoed_or_refused_learns_why() -> None:
    fates = [fate for table in (*FIELDS.values(), *PARAMETERS.values()) for fate in table.values()]
    assert all(fate.words for fate in fates if fate.kind is Kind.ECHOED)
    assert all(fate.words or fate.option for fate in fates if fate.kind is Kind.REFUSED)
    assert all(fate.option for fate in fates if fate.wrong is not None)


def test_the_page_is_that_of_the_table() -> None:
    assert (GUIDE.parent / "compatibility.md").read_text() == compatibility_page(), "run `make docs`"


# ---------------------------------------------------------------- done


def of_kind(kind: Kind) -> set[tuple[Struct, str]]:
    fields = ((struct, name, fate) for struct, fates in FIELDS.items() for name, fate in fates.items())
    return {(struct, name) for struct, name, fate in fields if fate.kind is kind and struct is not Config}


def test_all_that_is_done_is_shown() -> None:
    assert CHANGES_THE_PLAN.keys() | SHOWN_BY.keys() == of_kind(Kind.DONE)
    parameters = {f"{route} {name}" for route, fates in PARAMETERS.items() for name, fate in fates.items()
                  if fate.kind is Kind.DONE}  # fmt: skip
    assert PARAMETER_SHOWN_BY.keys() == parameters


def test_the_tests_that_show_it_are_there() -> None:
    missing = []
    for test in {*SHOWN_BY.values(), *PARAMETER_SHOWN_BY.values()}:
        path, _, name = test.partition("::")
        tree = ast.parse((ROOT / path).read_text())
        if name not in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}:
            missing.append(test)
    assert missing == []


def planned(daemon: Daemon, body: Body) -> list[Any]:
    """The steps of a plan, without what differs from one container to the next."""
    answer = daemon.api("POST", "/containers/create?dryRun=1", {**BASE, **body})
    assert answer.status == 200, answer
    steps = answer.body["Steps"]
    for step in steps:
        del step["Number"]
    return list(steps)


@pytest.mark.parametrize("field", CHANGES_THE_PLAN, ids=lambda field: f"{field[0].__name__}.{field[1]}")
def test_what_is_done_changes_the_plan(daemon: Daemon, field: tuple[Struct, str]) -> None:
    with_it, without = CHANGES_THE_PLAN[field]
    assert planned(daemon, without) == planned(daemon, without)
    assert planned(daemon, with_it) != planned(daemon, without)


def test_read_only_mounts_are_recursive(daemon: Daemon) -> None:
    plain, forced = (
        planned(daemon, read_only_bind(**more)) for more in ({}, {"ReadOnlyForceRecursive": True})
    )
    assert [without_cause(step) for step in plain] == [without_cause(step) for step in forced]
    (mount,) = (step for step in plain if step["Text"].startswith("bind /tmp on /x"))
    assert mount["Text"] == "bind /tmp on /x (ro,recursive)"


def without_cause(step: Any) -> Any:
    return {key: value for key, value in step.items() if key != "Cause"}


def run(daemon: Daemon, body: Body) -> str:
    """A container that runs; its id."""
    made = daemon.api("POST", "/containers/create", {**BASE, **body})
    assert made.status == 201, made
    assert daemon.api("POST", f"/containers/{made.body['Id']}/start").status == 204
    return str(made.body["Id"])


def output(daemon: Daemon, id: str, *command: str) -> str:
    return daemon.docker("exec", id, *command).stdout


@pytest.mark.parametrize(
    "body",
    [
        {"MacAddress": "02:00:5e:00:53:01"},
        {"NetworkingConfig": {"EndpointsConfig": {"default": {"MacAddress": "02:00:5e:00:53:01"}}}},
    ],
)
def test_a_link_has_the_address_that_was_wished(daemon: Daemon, docker_cli: str, body: Body) -> None:
    id = run(daemon, body)
    assert output(daemon, id, "cat", "/sys/class/net/eth0/address") == "02:00:5e:00:53:01\n"


def test_a_container_has_its_own_time_to_stop(daemon: Daemon) -> None:
    id = run(daemon, {"Cmd": ["sh", "-c", "trap '' TERM; sleep 1000"], "StopTimeout": 0})
    assert (
        daemon.api("POST", f"/containers/{id}/stop", timeout=8).status == 204
    )  # ten seconds are the default
    assert daemon.inspect(id)["State"]["ExitCode"] == 137


def test_a_restart_has_a_signal_of_its_own(daemon: Daemon) -> None:
    id = run(
        daemon, {"Cmd": ["sh", "-c", "trap 'echo told; exit' USR1; echo up; while :; do sleep 0.02; done"]}
    )
    assert eventually(lambda: "up" in str(daemon.api("GET", f"/containers/{id}/logs?stdout=1").body))
    assert daemon.api("POST", f"/containers/{id}/restart?signal=USR1", timeout=8).status == 204
    assert "told" in str(daemon.api("GET", f"/containers/{id}/logs?stdout=1").body)


def test_no_health_check_is_what_there_is(daemon: Daemon) -> None:
    id = run(daemon, {"Healthcheck": {"Test": ["NONE"]}})
    assert "Health" not in daemon.inspect(id)["State"]
    assert daemon.inspect(id)["Config"]["Healthcheck"]["Test"] == ["NONE"]


def test_annotations_are_in_the_specification(daemon: Daemon) -> None:
    id = run(daemon, host(Annotations={"org.example.a": "b"}))
    assert daemon.inspect(id)["HostConfig"]["Annotations"] == {"org.example.a": "b"}


def test_an_exec_has_detach_keys_of_its_own(daemon: Daemon) -> None:
    id = run(daemon, {})
    wrong = daemon.api("POST", f"/containers/{id}/exec", {"Cmd": ["true"], "DetachKeys": "ctrl-nothing"})
    assert wrong.status == 400
    right = daemon.api("POST", f"/containers/{id}/exec", {"Cmd": ["true"], "DetachKeys": "ctrl-a"})
    assert daemon.api("GET", f"/exec/{right.body['Id']}/json").body["DetachKeys"] == "ctrl-a"


def test_a_load_takes_the_image_of_the_platform(daemon: Daemon, busybox_tar: bytes) -> None:
    layout = Layout()
    image = layout.image([busybox_tar], platform={"os": "linux", "architecture": "amd64"})
    layout.manifests = [
        layout.index([image], annotations={"io.containerd.image.name": "docker.io/library/multi:1"})
    ]
    for architecture, said in (("s390x", "no image for linux/s390x"), ("amd64", "Loaded image: multi:1")):
        path = f'/images/load?platform={{"os":"linux","architecture":"{architecture}"}}'
        assert said in str(daemon.api("POST", path, raw=layout.tar()).body)


def test_networks_can_be_filtered(daemon: Daemon) -> None:
    found = daemon.api("GET", '/networks?filters={"name":["bridge"]}').body
    assert [network["Name"] for network in found] == ["bridge"]


def test_filters_of_volumes_are_checked(daemon: Daemon) -> None:
    assert daemon.api("GET", '/volumes?filters={"dangling":["true"]}').status == 200
    assert daemon.api("GET", '/volumes?filters={"nonsense":["true"]}').status == 400


# ---------------------------------------------------------------- refused

LIMIT = [{"Driver": "nvidia"}]
REFUSED: dict[tuple[Struct, str], Any] = {
    **{
        (HealthConfig, name): {"Healthcheck": {wire: value}}
        for name, wire, value in (
            ("test", "Test", ["CMD", "true"]), ("interval", "Interval", 1_000_000), ("timeout", "Timeout", 1_000_000),
            ("start_period", "StartPeriod", 1_000_000), ("start_interval", "StartInterval", 1_000_000),
            ("retries", "Retries", 1),
        )
    },
    (HostConfig, "volume_driver"): host(VolumeDriver="nfs"),
    (HostConfig, "volumes_from"): host(VolumesFrom=["other"]),
    (HostConfig, "cgroup"): host(Cgroup="container:other"),
    (HostConfig, "links"): host(Links=["other"]),
    (HostConfig, "storage_opt"): host(StorageOpt={"size": "1g"}),
    (HostConfig, "userns_mode"): host(UsernsMode="private"),
    (HostConfig, "runtime"): host(Runtime="gvisor"),
    (HostConfig, "isolation"): host(Isolation="hyperv"),
    (HostConfig, "device_requests"): host(DeviceRequests=LIMIT),
    **{
        (EndpointIpam, name): {"NetworkingConfig": {"EndpointsConfig": {"default": {"IPAMConfig": {wire: value}}}}}
        for name, wire, value in (
            ("ipv4_address", "IPv4Address", "172.17.0.9"), ("ipv6_address", "IPv6Address", "fd00::9"),
            ("link_local_ips", "LinkLocalIPs", ["169.254.1.1"]),
        )
    },
    (RestartPolicy, "name"): host(RestartPolicy={"Name": "always"}),
    **{
        (EndpointSettings, name): {"NetworkingConfig": {"EndpointsConfig": {"default": {wire: value}}}}
        for name, wire, value in (
            ("links", "Links", ["other"]),
            ("aliases", "Aliases", ["web"]), ("driver_opts", "DriverOpts", {"a": "b"}),
        )
    },
}  # fmt: skip
REFUSED_IN_PART = [
    host(Binds=["named:/x"]), host(Binds=["/x"]), host(Mounts=[{"Type": "volume", "Target": "/x"}]),
    host(SecurityOpt=["apparmor=mine"]), host(RestartPolicy={"MaximumRetryCount": 3}),
    {"NetworkingConfig": {"EndpointsConfig": {"bridge": {}, "none": {}}}},
    {"NetworkingConfig": {"EndpointsConfig": {"bridge": {}}}, **host(NetworkMode="none")},
]  # fmt: skip
ACCEPTED = [
    {"Healthcheck": {"Test": ["NONE"]}}, host(Runtime="runc"), host(Isolation="default"), host(UsernsMode="host"),
    host(RestartPolicy={"Name": "no"}), host(VolumeDriver="local"), host(SecurityOpt=["apparmor=unconfined"]),
    host(SecurityOpt=["label=disable"]), {"NetworkingConfig": {"EndpointsConfig": {"bridge": {}}}},
    {"NetworkingConfig": {"EndpointsConfig": {"default": {"IPAMConfig": {}}}}}, host(Binds=["/tmp:/x:ro"]),
    read_only_bind(ReadOnlyNonRecursive=True, NonRecursive=True),
    {"NetworkingConfig": {"EndpointsConfig": {"none": {}}}, **host(NetworkMode="none")},
]  # fmt: skip


def test_there_is_an_example_of_all_that_is_refused() -> None:
    assert REFUSED.keys() == of_kind(Kind.REFUSED)


@pytest.mark.parametrize("body", [*REFUSED.values(), *REFUSED_IN_PART], ids=json.dumps)
def test_what_is_refused_is_refused_in_words(daemon: Daemon, body: Body) -> None:
    for path in ("/containers/create", "/containers/create?dryRun=1"):
        answer = daemon.api("POST", path, {**BASE, **body})
        assert answer.status == 400 and answer.body["message"].endswith(f"is {NOT_HERE}"), answer


@pytest.mark.parametrize("body", ACCEPTED, ids=json.dumps)
def test_what_asks_for_nothing_is_accepted(daemon: Daemon, body: Body) -> None:
    assert daemon.api("POST", "/containers/create", {**BASE, **body}).status == 201


def test_all_of_it_is_named_at_once(daemon: Daemon) -> None:
    body = {**BASE, **host(VolumesFrom=["a"], Links=["b"], Binds=["c:/d"])}
    said = daemon.api("POST", "/containers/create", body).body["message"]
    assert (
        said.count(NOT_HERE) == 3 and "--volumes-from" in said and "--link" in said and "mount of /d" in said
    )


def test_a_link_is_not_removed_and_neither_is_the_container(daemon: Daemon) -> None:
    id = daemon.api("POST", "/containers/create", BASE).body["Id"]
    answer = daemon.api("DELETE", f"/containers/{id}?link=1")
    assert (answer.status, answer.body["message"]) == (
        500,
        "Conflict, cannot remove the default link name of the container",
    )
    assert daemon.api("DELETE", "/containers/nosuch?link=1").status == 404
    assert daemon.api("DELETE", f"/containers/{id}?link=0").status == 204


def test_a_pull_is_refused(daemon: Daemon) -> None:
    assert daemon.api("POST", "/images/create?fromImage=a&tag=b").status == 501


# ---------------------------------------------------------------- echoed, told

ECHOED: dict[tuple[Struct, str], Body] = {
    (ContainerCreate, "attach_stdin"): {"AttachStdin": True},
    (ContainerCreate, "attach_stdout"): {"AttachStdout": True},
    (ContainerCreate, "attach_stderr"): {"AttachStderr": True},
    (ContainerCreate, "args_escaped"): {"ArgsEscaped": True},
    (ContainerCreate, "on_build"): {"OnBuild": ["RUN true"]},
    (ContainerCreate, "shell"): {"Shell": ["/bin/sh", "-c"]},
    (HostConfig, "container_id_file"): host(ContainerIDFile="/tmp/id"),
}


def is_in(wanted: Any, shown: Any) -> bool:
    if isinstance(wanted, dict):
        return all(is_in(value, shown[key]) for key, value in wanted.items())
    return bool(wanted == shown)


@pytest.mark.parametrize("field", ECHOED, ids=lambda field: f"{field[0].__name__}.{field[1]}")
def test_what_is_echoed_is_shown_and_changes_nothing(daemon: Daemon, field: tuple[Struct, str]) -> None:
    assert planned(daemon, ECHOED[field]) == planned(daemon, {})
    id = daemon.api("POST", "/containers/create", {**BASE, **ECHOED[field]}).body["Id"]
    shown = daemon.inspect(id)
    assert is_in(ECHOED[field], {**shown["Config"], "HostConfig": shown["HostConfig"]})


def test_what_the_engine_says_of_a_network_is_not_taken_from_the_client(daemon: Daemon) -> None:
    said = {
        "IPAddress": "192.0.2.9",
        "Gateway": "192.0.2.1",
        "EndpointID": "abc",
        "NetworkID": "def",
        "IPPrefixLen": 3,
    }
    id = run(daemon, {"NetworkingConfig": {"EndpointsConfig": {"bridge": {**said, "GwPriority": 7}}}})
    shown = daemon.inspect(id)["NetworkSettings"]["Networks"]["bridge"]
    assert shown["GwPriority"] == 7
    assert not set(said.values()) & {shown[name] for name in said}
