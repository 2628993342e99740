"""The engine's own steps, for what a request asks: which there are, and whose wish each is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine.doubles import image, wished
from wherry.engine.causes import HOSTS, file_causes
from wherry.engine.config import EngineConfig
from wherry.engine.preparation.cgroups import ParentCgroup
from wherry.engine.preparation.namespaces import JoinContainer, ShareWithHost
from wherry.engine.preparation.networks import MissingNetwork, NetworkEndpoint, PublishPort
from wherry.engine.preparation.planned import preparation
from wherry.engine.preparation.policies import stop_words
from wherry.engine.preparation.rights import LeftOut
from wherry.engine.preparation.shared_memory import SharedMemory
from wherry.engine.preparation.step import EngineStep, Neighbour
from wherry.engine.preparation.storage import RuntimeDirectory, WritableLayer, WriteRecord
from wherry.engine.preparation.surroundings import Surroundings
from wherry.engine.task import Task, task_of
from wherry.messages.container import Config, EndpointSettings, HostConfig, LogConfig, PortBinding
from wherry.runtime.child_steps import JoinNamespace
from wherry.runtime.spec import JoinedNamespaces
from wherry.runtime.step import Fd, Namespace

OTHER = "d" * 64
CONFIG = EngineConfig(data_root=Path("/data"), exec_root=Path("/run/w"))
DRIVERS: dict[str, Any] = {
    "bridge": SimpleNamespace(gives_endpoints=True, gives_addresses=True, interface="wherry0"),
    "none": SimpleNamespace(gives_endpoints=True, gives_addresses=False),
    "host": SimpleNamespace(gives_endpoints=False),
}


def task(config: Config | None = None, **host: Any) -> Task:
    """Without a record."""
    record = wished()
    return Task(
        id=record.id,
        name="box",
        argv=("sh",),
        config=config or Config(),
        host=HostConfig(**{"network_mode": "none", "log_config": LogConfig(type="json-file"), **host}),
        image=image().config.run,
        layers=(),
    )


def neighbour(ref: str) -> Neighbour | None:
    return Neighbour(OTHER, "db", 42, "running", "shareable", OTHER) if ref == OTHER else None


def of(kind: type[EngineStep], asked: Task) -> list[Any]:
    steps = preparation(asked, CONFIG, neighbour, DRIVERS.get)
    return [step for step in steps if isinstance(step, kind)]


def told(kind: type[EngineStep], asked: Task) -> list[tuple[str, str]]:
    return [(step.describe(), step.cause.text) for step in of(kind, asked)]


def test_the_least_and_the_order() -> None:
    kinds = [type(step) for step in preparation(task(), CONFIG, neighbour, DRIVERS.get)]
    assert kinds == [WritableLayer, RuntimeDirectory, NetworkEndpoint, ParentCgroup]
    record = wished(network_mode="none")
    kept = preparation(task_of(record, None), CONFIG, neighbour, DRIVERS.get)
    assert [type(step) for step in kept][:3] == [WritableLayer, WriteRecord, RuntimeDirectory]


def test_parent_cgroup() -> None:
    assert [step.path for step in of(ParentCgroup, task())] == [CONFIG.cgroup_parent]
    (own,) = of(ParentCgroup, task(cgroup_parent="/a/b/"))
    assert (own.path, own.cause.text) == ("a/b", "--cgroup-parent /a/b/")


# ---------------------------------------------------------------- namespaces


@pytest.mark.parametrize(
    ("field", "kind", "flag"),
    [
        ("network_mode", "network", "--network"),
        ("pid_mode", "pid", "--pid"),
        ("ipc_mode", "ipc", "--ipc"),
        ("uts_mode", "uts", "--uts"),
        ("cgroupns_mode", "cgroup", "--cgroupns"),
    ],
)
def test_namespaces_of_the_host(field: str, kind: str, flag: str) -> None:
    asked = task(**{field: "host"})
    assert told(ShareWithHost, asked) == [(f"share the host's {kind} namespace", f"{flag} host")]
    assert of(JoinContainer, asked) == []


@pytest.mark.parametrize(
    ("field", "kind"), [("network_mode", "network"), ("pid_mode", "pid"), ("ipc_mode", "ipc")]
)
def test_namespaces_of_another_container(field: str, kind: str) -> None:
    asked = task(**{field: f"container:{OTHER}"})
    (join,) = of(JoinContainer, asked)
    assert (join.kind, join.container, join.id) == (kind, "db", OTHER)
    assert join.shm == (f"/run/w/containers/{OTHER}/shm" if kind == "ipc" else "")
    assert join.cause.text == f"--{kind} container:{OTHER[:12]}"
    assert of(ShareWithHost, asked) == []
    own = [] if kind == "network" else ["none"]
    assert [step.network for step in of(NetworkEndpoint, asked)] == own


def test_one_that_is_gone_is_called_as_it_was_asked_for() -> None:
    (join,) = of(JoinContainer, task(pid_mode="container:gone"))
    assert (join.container, join.id, join.cause.text) == ("gone", "", "--pid container:gone")


@pytest.mark.parametrize(
    ("mode", "shm"), [("host", "/dev/shm"), ("private", ""), ("none", ""), ("container:x", "")]
)
def test_the_memory_of_another_container(mode: str, shm: str) -> None:
    lender = Neighbour(OTHER, "db", 42, "running", mode, OTHER)
    steps = preparation(task(ipc_mode=f"container:{OTHER}"), CONFIG, lambda ref: lender, DRIVERS.get)
    assert [step.shm for step in steps if isinstance(step, JoinContainer)] == [shm]


def test_memory_for_others() -> None:
    (own,) = of(SharedMemory, task(ipc_mode="shareable", shm_size=1 << 20))
    assert (own.size, own.cause.text) == (1 << 20, "--ipc shareable, --shm-size 1m")
    assert of(SharedMemory, task(ipc_mode="private")) == []


# ---------------------------------------------------------------- rights


FILTER = "leave out the system call filter"
MASKS = "leave out the masks over /proc and /sys"
READ_ONLY = "leave out read-only paths in /proc"
DEVICES = "leave out the device filter, and the read-only mounts of /sys and cgroups"
PATHS = "--security-opt systempaths=unconfined"


@pytest.mark.parametrize(
    ("host", "left_out"),
    [
        ({}, []),
        ({"security_opt": ["no-new-privileges", "seccomp=/a.json"]}, []),
        ({"security_opt": ["seccomp=unconfined"]}, [(FILTER, "--security-opt seccomp=unconfined")]),
        ({"security_opt": ["seccomp:unconfined"]}, [(FILTER, "--security-opt seccomp=unconfined")]),
        ({"security_opt": ["seccomp=unconfined", "seccomp=builtin"]}, []),
        (
            {"security_opt": ["seccomp=/a.json", "seccomp=unconfined"]},
            [(FILTER, "--security-opt seccomp=unconfined")],
        ),
        ({"security_opt": ["label=seccomp=unconfined"]}, []),
        (
            {"security_opt": ["writable-cgroups=false", "writable-cgroups=true"]},
            [("leave out the read-only mount of cgroups", "--security-opt writable-cgroups=true")],
        ),
        (
            {"privileged": True, "security_opt": ["seccomp=builtin", "label=seccomp"]},
            [(what, "--privileged") for what in (FILTER, MASKS, READ_ONLY, DEVICES)],
        ),
        ({"masked_paths": []}, [(MASKS, PATHS)]),
        ({"readonly_paths": []}, [(READ_ONLY, PATHS)]),
        ({"masked_paths": ["/x"], "readonly_paths": ["/x"]}, []),
        ({"log_config": LogConfig(type="none")}, [("leave out the log", "--log-driver none")]),
        ({"privileged": True}, [(what, "--privileged") for what in (FILTER, MASKS, READ_ONLY, DEVICES)]),
        (
            {"privileged": True, "security_opt": ["seccomp=/a.json"]},
            [(what, "--privileged") for what in (MASKS, READ_ONLY, DEVICES)],
        ),
    ],
)
def test_protections_that_are_left_out(host: dict[str, Any], left_out: list[tuple[str, str]]) -> None:
    assert told(LeftOut, task(**host)) == left_out


# ---------------------------------------------------------------- networks


def test_endpoints() -> None:
    (wired,) = of(NetworkEndpoint, task(Config(mac_address="02:42:00:00:00:01"), network_mode="bridge"))
    assert (wired.network, wired.plugged_into, wired.inside) == ("bridge", "wherry0", "eth0")
    assert (wired.mac, wired.container) == ("02:42:00:00:00:01", wished().id)
    (bare,) = of(NetworkEndpoint, task(Config(mac_address="02:42:00:00:00:01")))
    assert (bare.network, bare.plugged_into, bare.inside, bare.mac) == ("none", "", "", "")
    assert of(NetworkEndpoint, task(network_mode="host")) == []


def test_networks_that_there_are_not() -> None:
    (missing,) = of(MissingNetwork, task(network_mode="nosuch"))
    assert (missing.network, missing.cause.text) == ("nosuch", "--network nosuch")
    both = replace(task(), networks={"bridge": EndpointSettings(), "nosuch": EndpointSettings()})
    assert [step.network for step in of(NetworkEndpoint, both)] == ["bridge"]
    assert [step.network for step in of(MissingNetwork, both)] == ["nosuch"]


@pytest.mark.parametrize("mode", ["none", "nosuch"])
def test_a_container_without_networks(mode: str) -> None:
    asked = task(Config(network_disabled=True), network_mode=mode, port_bindings={"80/tcp": None})
    assert of(EngineStep, asked) == of(EngineStep, replace(asked, networks={}))
    assert [of(kind, asked) for kind in (NetworkEndpoint, MissingNetwork, PublishPort)] == [[], [], []]
    assert file_causes(asked, CONFIG, "host")[HOSTS].text == "NetworkDisabled"


def ports(config: Config | None = None, **host: Any) -> list[tuple[str, str]]:
    return told(PublishPort, task(config, network_mode="bridge", **host))


def test_ports_that_are_asked_for_by_number_come_first() -> None:
    bindings = {
        "53/udp": None,
        "80/tcp": [PortBinding(host_port="8080"), PortBinding(host_ip="127.0.0.1", host_port="81-90")],
    }
    assert ports(port_bindings=bindings) == [
        ("publish 80/tcp on 0.0.0.0:8080", "-p 8080:80"),
        ("publish 80/tcp on 127.0.0.1:81-90", "-p 127.0.0.1:81-90:80"),
        ("publish 53/udp on a free port of 0.0.0.0", "-p 53/udp"),
    ]
    assert of(PublishPort, task(port_bindings=bindings)) == []  # without an address there is none to publish


def test_who_has_less_choice_of_a_port_comes_first() -> None:
    bindings = {
        "1/tcp": [PortBinding(), PortBinding(host_port="8080-8090")],
        "2/tcp": [PortBinding(host_port="8080-8081")],
        "3/tcp": [PortBinding(host_port="8080")],
    }
    wanted = of(PublishPort, task(network_mode="bridge", port_bindings=bindings))
    ends = [(port.host_port, port.host_port_end) for port in wanted]
    assert ends == [(8080, 0), (8080, 8081), (8080, 8090), (0, 0)]


def test_all_exposed_ports() -> None:
    exposed = Config(exposed_ports={"80/tcp": {}, "81/tcp": {}})
    bindings = {"80/tcp": [PortBinding(host_port="8080")]}
    assert ports(exposed) == []
    assert ports(exposed, publish_all_ports=True, port_bindings=bindings) == [
        ("publish 80/tcp on 0.0.0.0:8080", "-p 8080:80"),
        ("publish 81/tcp on a free port of 0.0.0.0", "--publish-all"),
    ]


# ---------------------------------------------------------------- what the rest of the plan takes from it


def test_surroundings() -> None:
    wished_for = JoinContainer("network", "db", "d" * 64)
    done = JoinContainer("pid", "db", "d" * 64, "/proc/7/ns/pid")
    unknown = JoinContainer("network", "gone")
    assert Surroundings.of([wished_for, done]) == Surroundings(
        JoinedNamespaces(network="container db", pid="/proc/7/ns/pid"), "d" * 64
    )
    assert Surroundings.of([unknown]).files_of == "gone"
    assert Surroundings.of([done]).files_of == ""
    first = NetworkEndpoint("bridge", "w0", "eth0", "172.17.0.2/16", "172.17.0.1")
    second = NetworkEndpoint("other", "w1", "eth1", "172.18.0.2/16", "172.18.0.1")
    place = Surroundings.of([first, second])
    assert (str(place.address), place.files_of) == ("172.17.0.2", "")
    planned = Surroundings.of([NetworkEndpoint("bridge", "w0", "eth0")])
    assert (planned.address, planned.joined.network) == (None, "bridge")


def test_a_namespace_is_joined_in_words() -> None:
    place = Surroundings.of([JoinContainer("pid", "db", "d" * 64)])
    step = JoinNamespace(Fd.PID, Namespace.PID, place.joined.pid)
    assert step.describe() == "join the pid namespace of container db"


@pytest.mark.parametrize(
    ("asked", "told"),
    [("INT", "SIGINT"), ("sigquit", "SIGQUIT"), ("2", "SIGINT"), ("RTMIN+3", "signal 37"), ("", "SIGTERM")],
)
def test_the_signal_that_stops_it_is_told_by_its_name(asked: str, told: str) -> None:
    assert stop_words(asked, 1) == f"{told}, then SIGKILL after 1 second"
