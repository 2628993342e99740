"""A create request becomes a record."""

from __future__ import annotations

import pytest

from wherry.content.digest import Digest
from wherry.engine.config import EngineConfig
from wherry.engine.image_record import ImageRecord
from wherry.engine.record import ContainerRecord
from wherry.engine.request import (
    by_name,
    check_defaults,
    ignored,
    wanted,
)
from wherry.errors import InvalidArgument
from wherry.image.manifest import HealthCheck, ImageConfig, RunConfig
from wherry.messages.base import Nothing
from wherry.messages.container import (
    ContainerCreate,
    DeviceRequest,
    EndpointIpam,
    EndpointSettings,
    HealthConfig,
    HostConfig,
    LogConfig,
    Mount,
    NetworkingConfig,
    PortBinding,
    RestartPolicy,
)

ID = "ab" * 32
RUN = RunConfig(cmd=["sh"], env=["PATH=/bin", "A=image"], exposed_ports={"80": {}}, labels={"from": "image"})


def image(run: RunConfig = RUN) -> ImageRecord:
    config = ImageConfig(architecture="amd64", os="linux", config=run)
    return ImageRecord(
        id=Digest("sha256:" + "1" * 64), config=config, chain_ids=(), layers=(), layer_sizes=()
    )


def record(host: HostConfig | None = None, run: RunConfig = RUN, **fields: object) -> ContainerRecord:
    request = ContainerCreate(image="busybox", host_config=host, **fields)  # type: ignore[arg-type]
    return wanted(ID, "box", request, image(run), EngineConfig()).record


def test_the_image_fills_in_what_the_request_leaves_open() -> None:
    made = record(env=["A=request"], labels={"own": "1"})
    assert (made.path, made.args) == ("sh", [])
    assert made.config.env == ["A=request", "PATH=/bin"]
    assert made.config.labels == {"from": "image", "own": "1"}
    assert list(made.config.exposed_ports or ()) == ["80/tcp"]
    assert made.config.hostname == ID[:12]


def test_docker_defaults_are_filled_in() -> None:
    host = record().host_config
    assert (host.network_mode, host.ipc_mode, host.restart_policy.name) == ("bridge", "private", "no")
    assert host.shm_size == 64 << 20 and host.log_config.type == "json-file"


def test_swap_is_twice_the_memory_unless_it_is_said() -> None:
    assert record(HostConfig(memory=64 << 20)).host_config.memory_swap == 128 << 20
    assert record(HostConfig(memory=64 << 20, memory_swap=-1)).host_config.memory_swap == -1


def test_a_published_port_is_exposed() -> None:
    made = record(HostConfig(port_bindings={"8080": [PortBinding(host_port="1")]}))
    assert set(made.config.exposed_ports or ()) == {"80/tcp", "8080/tcp"}
    assert set(made.host_config.port_bindings or ()) == {"8080/tcp"}


def test_a_tmpfs_is_no_mount_to_be_shown() -> None:
    made = record(HostConfig(tmpfs={"/t": ""}, binds=["/srv:/d:ro"]))
    assert [(mount.destination, mount.rw) for mount in made.mounts] == [("/d", False)]


def test_log_options_that_there_are() -> None:
    options = {"max-size": "10m", "max-file": "3"}
    assert record(HostConfig(log_config=LogConfig(config=options))).host_config.log_config.config == options


def test_the_hosts_network_has_the_hosts_name() -> None:
    assert record(HostConfig(network_mode="host")).config.hostname != ID[:12]


@pytest.mark.parametrize(
    ("host", "text"),
    [
        (HostConfig(port_bindings={"x/tcp": None}), "invalid port"),
        (HostConfig(port_bindings={"80/tcp": [PortBinding(host_port="a")]}), "invalid port"),
        (HostConfig(port_bindings={"80/icmp": None}), "invalid port"),
        (HostConfig(log_config=LogConfig(type="syslog")), "no log driver named"),
        (HostConfig(log_config=LogConfig(type="json-file", config={"nope": "1"})), "unknown log opt"),
        (HostConfig(log_config=LogConfig(type="json-file", config={"max-size": "ten"})), "max-size"),
        (HostConfig(log_config=LogConfig(type="json-file", config={"max-file": "0"})), "max-file"),
        (HostConfig(restart_policy=RestartPolicy(name="always")), "restart policy"),
        (HostConfig(mounts=[Mount(type="volume", source="v", target="/v")]), "a volume .* is not supported"),
        (HostConfig(volumes_from=["other"]), "--volumes-from is not supported"),
        (HostConfig(links=["other"]), "--link is not supported"),
        (HostConfig(storage_opt={"size": "1G"}), "--storage-opt is not supported"),
        (HostConfig(runtime="kata"), "runtime 'kata'"),
        (HostConfig(isolation="hyperv"), "isolation 'hyperv'"),
        (HostConfig(userns_mode="private"), "user namespace mode 'private'"),
        (HostConfig(device_requests=[DeviceRequest(count=-1)]), "--gpus"),
    ],
)
def test_what_cannot_be_is_refused_in_words(host: HostConfig, text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        record(host)


def test_a_health_check_and_an_address_are_refused_too() -> None:
    with pytest.raises(InvalidArgument, match="health check"):
        record(healthcheck=HealthConfig(test=["CMD", "true"]))
    own = NetworkingConfig(
        endpoints_config={"bridge": EndpointSettings(ipam_config=EndpointIpam(ipv4_address="172.17.0.9"))}
    )
    with pytest.raises(InvalidArgument, match=r"--ip"):
        record(networking_config=own)
    assert record(healthcheck=HealthConfig(test=["NONE"])).config.healthcheck is not None


def test_a_mac_address_may_come_with_the_endpoint() -> None:
    mac = "02:42:00:00:00:01"
    own = NetworkingConfig(endpoints_config={"bridge": EndpointSettings(mac_address=mac)})
    assert record(networking_config=own).config.mac_address == mac


@pytest.mark.parametrize(
    "config",
    [
        EngineConfig(log_driver="syslog"),
        EngineConfig(log_opts={"foo": "1"}),
        EngineConfig(log_opts={"max-size": "zz"}),
        EngineConfig(dns=("foo",)),
        EngineConfig(pool_size=-3),
        EngineConfig(shm_size=-5),
        EngineConfig(shm_size=0),
        EngineConfig(cgroup_parent="../x"),
        EngineConfig(cgroup_parent="/."),
        EngineConfig(cgroup_parent="wherry/tasks"),
    ],
)
def test_a_daemon_is_not_started_on_nonsense(config: EngineConfig) -> None:
    with pytest.raises(InvalidArgument):
        check_defaults(config)


def test_an_unknown_network_is_noted() -> None:
    """The start fails; an error here would say to a client that the image is missing."""
    assert list(record(HostConfig(network_mode="backend")).networks) == ["backend"]
    own = NetworkingConfig(endpoints_config={"backend": EndpointSettings()})
    assert record(networking_config=own).networks == {"backend": EndpointSettings()}


def test_networks_by_their_names() -> None:
    own = NetworkingConfig(endpoints_config={"f00d": EndpointSettings(mac_address="02:42:00:00:00:01")})
    request = ContainerCreate(image="box", host_config=HostConfig(network_mode="f00d"), networking_config=own)
    named = by_name(request, {"f00d": "bridge"}.__getitem__)
    assert (named.host_config and named.host_config.network_mode) == "bridge"
    assert list((named.networking_config and named.networking_config.endpoints_config) or ()) == ["bridge"]


def test_no_network_at_all() -> None:
    without = record(HostConfig(network_mode="host"), network_disabled=True)
    assert (without.networks, without.host_config.network_mode) == ({}, "none")


def test_no_command_at_all() -> None:
    with pytest.raises(InvalidArgument, match="no command specified"):
        record(run=RunConfig())


def test_what_is_accepted_but_not_done_is_said() -> None:
    ports = HostConfig(network_mode="host", port_bindings={"80/tcp": [PortBinding(host_port="1")]})
    assert any("discarded" in warning for warning in ignored(record(ports), image()))
    run = RunConfig(cmd=["sh"], healthcheck=HealthCheck(test=["CMD", "true"]))
    said = ignored(record(run=run), image(run))
    assert any("health" in warning for warning in said)


@pytest.mark.parametrize(
    ("address", "fits"), [("127.0.0.1", True), ("::1", True), ("nonsense", False), ("1.2", False)]
)
def test_a_port_is_published_on_an_address(address: str, fits: bool) -> None:
    host = HostConfig(port_bindings={"80/tcp": [PortBinding(host_ip=address)]})
    if fits:
        record(host)
        return
    with pytest.raises(InvalidArgument, match="invalid HostIp of port 80/tcp"):
        record(host)


def test_what_cannot_be_published_of_ports_that_are_exposed() -> None:
    """Who names a port and says -P wants it published; an image's own says so to whoever runs it."""
    host = HostConfig(publish_all_ports=True)
    for port in ("abc/tcp", "80-90/tcp", "80/sctp", "70000"):
        with pytest.raises(InvalidArgument, match="invalid ExposedPorts"):
            record(host, exposed_ports={port: Nothing()})
        run = RunConfig(cmd=["sh"], exposed_ports={port: {}})
        assert any("cannot be published" in said for said in ignored(record(host, run=run), image(run)))
        record(exposed_ports={port: Nothing()})
