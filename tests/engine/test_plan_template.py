"""A plan made from another container's is the one that would be made anew; and what must not be shared is not."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.doubles import wished
from tests.engine.test_planned import task
from wherry.engine.config import EngineConfig
from wherry.engine.journal import Journal
from wherry.engine.plan_template import KEPT, WrittenPlan
from wherry.engine.planning import Planner
from wherry.engine.preparation.networks import NetworkEndpoint
from wherry.engine.preparation.step import EngineStep
from wherry.engine.preparation.storage import RuntimeDirectory
from wherry.engine.task import Task
from wherry.errors import InvalidArgument
from wherry.messages.container import (
    Config,
    DeviceMapping,
    LogConfig,
    Mount,
    ThrottleDevice,
    Ulimit,
    WeightDevice,
)
from wherry.runtime import cgroups
from wherry.runtime.seccomp import SeccompCompiler
from wherry.snapshot.layers import LayerStore
from wherry.snapshot.overlay import OverlayStore

FIRST, SECOND = "a1" * 32, "b2" * 32
STATED = [
    {"env": ["A=1", f"FRIEND={FIRST}", f"OTHER={SECOND[:12]}"]},
    {"env": ["A=ä"], "user": "nobody:nogroup"},
    {"tty": True, "open_stdin": True, "working_dir": "/srv"},
    {"hostname": "db", "domainname": "example.org"},
    {"labels": {"of": FIRST}},
]
BOUND = [
    {"memory": 64 << 20, "nano_cpus": 500_000_000, "pids_limit": 10},
    {"binds": ["/usr/share:/data:ro"], "tmpfs": {"/run": "size=1m"}},
    {"mounts": [Mount(type="tmpfs", target="/cache")], "readonly_rootfs": True},
    {"cap_add": ["NET_ADMIN"], "cap_drop": ["CHOWN"], "security_opt": ["no-new-privileges"]},
    {"ulimits": [Ulimit(name="nofile", soft=10, hard=20)], "init": True, "shm_size": 1 << 20},
    {"network_mode": "host", "pid_mode": "host"},
    {"dns": ["192.0.2.1"], "extra_hosts": ["db:192.0.2.7"], "sysctls": {"kernel.msgmax": "99"}},
    {"privileged": True},
    {"security_opt": ["seccomp=unconfined"], "cgroup_parent": "/mine", "log_config": LogConfig(type="none")},
]


@pytest.fixture(scope="module")
def planner(tmp_path_factory: pytest.TempPathFactory) -> Planner:
    return new_planner(tmp_path_factory.mktemp("planner"))


def new_planner(folder: Path) -> Planner:
    config = EngineConfig(data_root=folder, exec_root=folder / "run")
    snapshots = OverlayStore(LayerStore(config.layers_dir), config.containers_dir)
    return Planner(config, cgroups.detect(), snapshots, SeccompCompiler(), lambda name: None)


def of(id: str, config: dict[str, Any], host: dict[str, Any]) -> Task:
    """A container's task; its host name is its own id, unless it is named."""
    return replace(task(Config(**{"hostname": id[:12], **config}), **host), id=id, argv=("echo", "hello"))


def prepared(id: str, address: str = "172.17.0.2") -> tuple[EngineStep, ...]:
    endpoint = NetworkEndpoint("bridge", "wherry0", "eth0", container=id)
    return (
        RuntimeDirectory(f"/run/w/{id}", f"/run/w/{id}/sock"),
        replace(endpoint, address=f"{address}/16", gateway="172.17.0.1"),
    )


def merged(choices: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {key: value for choice in choices for key, value in choice.items()}


def same(
    planner: Planner, written: WrittenPlan, wanted: Task, done: tuple[EngineStep, ...], folder: Path
) -> None:
    """The written plan says the same, in both forms, as one that is made anew."""
    anew = planner.plan(wanted, done)
    assert written.encode() == anew.plan.encode()
    assert written.steps == anew.plan.steps
    assert msgspec.json.decode(written.document()) == msgspec.json.decode(anew.document())
    config = EngineConfig(data_root=folder, exec_root=folder / "run")
    (config.runtime_dir / wanted.id).mkdir(parents=True, exist_ok=True)
    Journal(config).keep(wanted.id, written)
    read = Journal(config).under_way(wanted.id)
    assert read is not None and (read.plan.steps, read.preparation) == (anew.plan.steps, done)


IDS = st.text("0123456789abcdef", min_size=64, max_size=64)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(STATED)), st.lists(st.sampled_from(BOUND)), IDS, IDS)
def test_the_next_of_a_kind(
    planner: Planner,
    tmp_path: Path,
    config: list[dict[str, Any]],
    host: list[dict[str, Any]],
    first: str,
    second: str,
) -> None:
    for number, id in enumerate((first, FIRST, second, SECOND)):
        wanted, done = of(id, merged(config), merged(host)), prepared(id, f"172.17.1.{number}")
        same(planner, planner.write(wanted, done), wanted, done, tmp_path)


def test_only_the_first_is_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planner = new_planner(tmp_path)
    planner.write(of(FIRST, {}, {}), prepared(FIRST))
    monkeypatch.setattr("wherry.engine.planning.plan_container", None)
    planner.write(of(SECOND, {}, {}), prepared(SECOND))
    with pytest.raises(TypeError):
        planner.write(of(SECOND, {"env": ["A=2"]}, {}), prepared(SECOND))


def test_what_looks_at_the_host_is_looked_up_each_time(tmp_path: Path) -> None:
    """Directories that ``-v`` makes."""
    planner = new_planner(tmp_path)
    bind = {"binds": [f"{tmp_path}/there:/data"]}
    first = planner.write(of(FIRST, {}, bind), prepared(FIRST))
    assert f"{tmp_path}/there" in [getattr(step, "path", "") for step in first.steps]
    (tmp_path / "there").mkdir()
    second = planner.write(of(SECOND, {}, bind), prepared(SECOND))
    assert f"{tmp_path}/there" not in [getattr(step, "path", "") for step in second.steps]


@pytest.mark.parametrize(
    "host",
    [
        lambda path: {"devices": [DeviceMapping(path_on_host=path, path_in_container="/dev/x")]},
        lambda path: {
            "devices": [DeviceMapping(path_on_host=str(Path(path).parent), path_in_container="/dev/x")]
        },
        lambda path: {"blkio_weight_device": [WeightDevice(path=path, weight=300)]},
        *(
            lambda path, field=f"blkio_device_{which}": {field: [ThrottleDevice(path=path, rate=1 << 20)]}
            for which in ("read_bps", "write_bps", "read_i_ops", "write_i_ops")
        ),
    ],
)
def test_a_device_is_the_one_that_is_there_now(
    planner: Planner, tmp_path: Path, host: Callable[[str], dict[str, Any]]
) -> None:
    """A path means another device once somebody has put one there."""
    node = tmp_path / "dev" / "x"
    node.parent.mkdir()
    wish = host(str(node))
    for minor, id in enumerate((FIRST, SECOND), 5):
        node.unlink(missing_ok=True)
        os.mknod(node, 0o600 | stat.S_IFBLK, os.makedev(7, minor))
        wanted, done = of(id, {}, wish), prepared(id)
        written = planner.write(wanted, done)
        same(planner, written, wanted, done, tmp_path)
        assert f"7:{minor}".encode() in written.encode() or f'"minor":{minor}'.encode() in written.document()
    node.unlink()
    with pytest.raises(InvalidArgument, match=r"no such file or directory|no device nodes found"):
        planner.write(wanted, done)


def test_no_more_than_so_many_are_kept(tmp_path: Path) -> None:
    planner = new_planner(tmp_path)
    for number in range(KEPT + 3):
        planner.write(of(FIRST, {"env": [f"N={number}"]}, {}), prepared(FIRST))
    assert len(planner._templates._kept) == KEPT


@pytest.mark.parametrize("tag", ["{{.Name}}", "{{.ID}}", "{{.ImageID}}"])
def test_what_each_line_of_the_log_tells_is_the_containers_own(
    planner: Planner, tmp_path: Path, tag: str
) -> None:
    """Name and image are the record's alone; nothing else of a plan depends on them."""
    log = LogConfig(type="json-file", config={"tag": tag})
    for number, id in enumerate((FIRST, SECOND, FIRST)):
        image = f"sha256:{number:064}"
        record = msgspec.structs.replace(wished(name=f"box{number}", log_config=log), id=id, image=image)
        wanted, done = replace(of(id, {}, {"log_config": log}), record=record), prepared(id)
        same(planner, planner.write(wanted, done), wanted, done, tmp_path)
