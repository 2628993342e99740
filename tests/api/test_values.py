"""Whatever create accepts, a start can plan: odd values in every field, each refused at once or planned whole.

What is asked comes from the examples of ``fate_examples``, with some of their values replaced by odd ones.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.fate_examples import BASE, CHANGES_THE_PLAN, Body
from tests.harness import disks
from tests.harness.daemon import Daemon
from tests.native.probe import Probe, probe  # noqa: F401 - a fixture
from wherry.api.body import decode_body
from wherry.content.digest import Digest
from wherry.engine.config import EngineConfig
from wherry.engine.image_record import ImageRecord
from wherry.engine.journal import Launched
from wherry.engine.planning import Planner
from wherry.engine.request import wanted
from wherry.engine.task import task_of
from wherry.errors import InvalidArgument, WherryError
from wherry.image.manifest import ImageConfig, RunConfig
from wherry.messages.container import ContainerCreate
from wherry.messages.exec import ExecCreate, ExecStart
from wherry.runtime import cgroups
from wherry.runtime.checks import check_exec
from wherry.runtime.plan_file import encode, from_document, named
from wherry.runtime.plan_view import view
from wherry.runtime.seccomp import SeccompCompiler
from wherry.snapshot.layers import LayerStore
from wherry.snapshot.overlay import OverlayStore

ID = "ab" * 32
RUN = RunConfig(cmd=["sh"], env=["PATH=/bin"])
ODD: list[Any] = [
    None, True, 0, 1, -1, 1.5, 1 << 31, (1 << 63) - 1, 1 << 64, [], {}, [None], [[]], [{}], {"": ""}, {"a": None},
    "", " ", "a", "/", "/a", "a/b", "..", "/a/../../b", "//a/./b/", "²", "٣", "-1", "0", "1", "65536", "80/tcp",
    "80-90/tcp", "80/TCP", "tcp", "99999999999999999999", "9" * 5000, "0x", "10m", "container:", "host", "none",
    "private", "shareable", "\0", "/a\0b", "\n", "é", "a=b", "=", "a:b", ":", ",", "/tmp:/x", "/tmp:/x:ro,z",
    "/" + "a" * 300, "/a" * 2500, "x" * 140_000, ["a"] * 5000, {"/" + "b" * 4000: "size=1k"}, "a" * 70,
    "0:0", "-5:+5", "::1", "1.2.3.4", "x:host-gateway", "size=1e3", "mode=8", "uid=99999999999", "label",
    "seccomp={}", "seccomp=x", "seccomp=" + "[" * 5000, 'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}', "ALL",
    "CAP_SYS_ADMIN", "net.ipv4.ip_forward", "kernel/shm_rmid_forced", "c 1:3 rwm", "b *:* m",
    "c 99999999999999999999:* r", "RTMIN+3", "SIGTERM",
]  # fmt: skip
GOOD: list[Body] = [body for pair in CHANGES_THE_PLAN.values() for body in pair]
SEEN_AT_START = ("error gathering device information", "stat ")  # what is no device of the host, or is gone


def merged(one: Any, other: Any) -> Any:
    """Both documents in one; where they clash, the other."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return other
    return {**one, **{key: merged(one.get(key), value) for key, value in other.items()}}


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a document: what holds it, and its key or index there."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])


@st.composite
def bodies(draw: Any, good: list[Body]) -> Body:
    """Some good requests in one, with odd values here and there, or under an odd key."""
    body: Body = copy.deepcopy(BASE)
    for example in draw(st.lists(st.sampled_from(good), min_size=1, max_size=3)):
        body = merged(body, copy.deepcopy(example))
    for _ in range(draw(st.integers(0, 3))):
        holder, key = draw(st.sampled_from([*places(body)]))
        odd = draw(st.sampled_from(ODD) | st.text(max_size=8))
        if isinstance(holder, dict) and isinstance(odd, str) and holder is not body and draw(st.booleans()):
            holder[odd] = holder[key]
        else:
            holder[key] = copy.deepcopy(odd)
    return body


def image_of(run: RunConfig) -> ImageRecord:
    config = ImageConfig(architecture="amd64", os="linux", config=run)
    return ImageRecord(
        id=Digest("sha256:" + "1" * 64), config=config, chain_ids=(), layers=(), layer_sizes=()
    )


def nobody(ref: str) -> None:
    """There is no other container."""


DRIVERS: dict[str, Any] = {
    "bridge": SimpleNamespace(
        gives_endpoints=True,
        gives_addresses=True,
        interface="wherry0",
        describe=lambda: SimpleNamespace(subnets=()),
    ),
    "none": SimpleNamespace(gives_endpoints=True, gives_addresses=False),
    "host": SimpleNamespace(gives_endpoints=False),
}


class Asked:
    """What becomes of a request, as far as nothing is done yet."""

    def __init__(self, folder: Path) -> None:
        self.config = EngineConfig(data_root=folder / "data", exec_root=folder / "run")
        self.cgroups = cgroups.detect()
        layers = LayerStore(self.config.layers_dir)
        snapshots = OverlayStore(layers, self.config.containers_dir)
        self.planner = Planner(self.config, self.cgroups, snapshots, SeccompCompiler(), DRIVERS.get)

    def plan(self, body: Body, run: RunConfig) -> bytes | None:
        """The plan as the launcher gets it; None where create refuses. AssertionError where only a start would."""
        image = image_of(run)
        try:
            request = decode_body(json.dumps(body).encode(), ContainerCreate)
            record, points = wanted(ID, "box", request, image, self.config)
            self.planner.check(record.config, record.host_config, points)
            asyncio.run(self.planner.compile_profile(record.host_config))
        except WherryError as error:
            assert error.message
            return None
        kept = msgspec.json.decode(msgspec.json.encode(record), type=type(record))
        task = task_of(kept, image)
        try:
            launched = self.planner.plan(task, self.planner.preparation(task, nobody))
        except InvalidArgument as error:
            assert error.message.startswith(SEEN_AT_START), error.message
            return None
        msgspec.json.encode(view(launched.plan))
        written = msgspec.json.decode(encode({"steps": named(launched.plan.steps)}))
        assert from_document(written["steps"]) == launched.plan.steps
        return launched.plan.encode()

    def running(self) -> Launched:
        """A container to enter."""
        record = wanted(ID, "box", ContainerCreate(image="busybox"), image_of(RUN), self.config).record
        task = task_of(record, image_of(RUN))
        return self.planner.plan(task, self.planner.preparation(task, nobody))


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    return Asked(tmp_path_factory.mktemp("engine"))


MANY = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))


@MANY
@given(body=bodies(GOOD))
def test_what_create_accepts_a_start_can_plan(probe: Probe, asked: Asked, body: Body) -> None:  # noqa: F811
    plan = asked.plan(body, RUN)
    if plan is not None:
        assert probe.ask(b"P", plan).startswith(b"ok ")


@MANY
@given(
    body=bodies([{}]),
    fields=st.dictionaries(
        st.sampled_from(
            [
                "user",
                "working_dir",
                "stop_signal",
                "env",
                "cmd",
                "entrypoint",
                "labels",
                "exposed_ports",
                "volumes",
            ]
        ),
        st.sampled_from([odd for odd in ODD if isinstance(odd, str)]),
        max_size=3,
    ),
)
def test_whatever_an_image_says(probe: Probe, asked: Asked, body: Body, fields: dict[str, str]) -> None:  # noqa: F811
    shaped: dict[str, Any] = {
        name: [odd]
        if name in ("env", "cmd", "entrypoint")
        else {odd: {}}
        if name in ("exposed_ports", "volumes")
        else {odd: odd}
        if name == "labels"
        else odd
        for name, odd in fields.items()
    }
    plan = asked.plan(
        merged(body, {"HostConfig": {"PublishAllPorts": True}}), RunConfig(**{"cmd": ["sh"], **shaped})
    )
    if plan is not None:
        assert probe.ask(b"P", plan).startswith(b"ok ")


EXEC: list[Body] = [
    {
        "Cmd": ["true"],
        "User": "1:2",
        "Env": ["A=1"],
        "WorkingDir": "/tmp",
        "Tty": True,
        "ConsoleSize": [24, 80],
    },
    {"Cmd": ["true"], "Privileged": True, "DetachKeys": "ctrl-p", "AttachStdin": True},
]


@MANY
@given(body=bodies(EXEC))
def test_what_an_exec_accepts_a_start_can_plan(probe: Probe, asked: Asked, body: Body) -> None:  # noqa: F811
    try:
        request = decode_body(json.dumps(body).encode(), ExecCreate)
        options = decode_body(json.dumps(body).encode(), ExecStart)
        check_exec(request)
    except WherryError as error:
        assert error.message
        return
    plan = asked.planner.exec(ID, asked.running(), request, options).encode()
    assert probe.ask(b"P", plan).startswith(b"ok ")


@pytest.mark.parametrize(
    ("field", "limit"),
    [("BlkioWeightDevice", {"Weight": 300})]
    + [
        (f"BlkioDevice{which}", {"Rate": 1 << 20})
        for which in ("ReadBps", "WriteBps", "ReadIOps", "WriteIOps")
    ],
)
def test_limits_are_of_block_devices(
    daemon: Daemon, shared_folder: Path, field: str, limit: dict[str, int]
) -> None:
    """What is there and is none, is refused at once. What is not there may be by the start."""
    later = shared_folder / "later"
    for path in ("/etc/passwd", "/etc", "/dev/null", "/etc/passwd/x"):
        answer = daemon.api("POST", "/containers/create", with_limit(field, path, limit))
        assert answer.status == 400 and path in answer.body["message"]
    id = daemon.api("POST", "/containers/create", with_limit(field, str(later), limit)).body["Id"]
    for there in (lambda: None, later.touch):
        there()
        answer = daemon.api("POST", f"/containers/{id}/start")
        assert answer.status == 400 and str(later) in answer.body["message"]
    later.unlink()
    os.mknod(later, 0o600 | stat.S_IFBLK, Path(disks.ONE).stat().st_rdev)
    answer = daemon.api("POST", f"/containers/{id}/start")
    assert (
        answer.status == 204 or "cgroup-write" in answer.body["message"]
    )  # weights need a scheduler that has them
    later.unlink()


def with_limit(field: str, path: str, limit: dict[str, int]) -> dict[str, object]:
    return {"Image": "busybox", "Cmd": ["true"], "HostConfig": {field: [{"Path": path, **limit}]}}
