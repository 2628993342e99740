"""What filters of a container list let through."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.engine.filters import match_containers, parse_filters
from wherry.engine.record import ContainerRecord, ContainerState, ContainerView, Phase
from wherry.errors import InvalidArgument, NotFound
from wherry.messages.container import Config, EndpointSettings, HostConfig, MountPoint
from wherry.network.endpoint import Attachment
from wherry.network.ports import PublishedPort

STARTED = "2026-11-24T14:58:50Z"


def container(name: str, id: str, state: ContainerState, **fields: Any) -> ContainerView:
    of_config = {k: v for k, v in fields.items() if k in Config.__struct_fields__}
    of_record = {k: v for k, v in fields.items() if k in ("networks", "mounts")}
    record = ContainerRecord(
        id=id.ljust(64, "0"),
        name=name,
        created=STARTED,
        path="true",
        args=[],
        config=Config(image="busybox", **of_config),
        host_config=HostConfig(),
        image="sha256:" + id,
        **of_record,
    )
    return ContainerView(record, state, fields.get("attachments", {}))


def world() -> list[ContainerView]:
    """Newest first: a running web server, a failed job, one never started."""
    running = ContainerState(phase=Phase.RUNNING, pid=7, started_at=STARTED, networks={"front": "f00d"})
    failed = ContainerState(phase=Phase.EXITED, exit_code=3, started_at=STARTED)
    lease = Attachment(
        network="front",
        network_id="f00d",
        endpoint_id="e",
        ports=(PublishedPort("tcp", "0.0.0.0", 8080, 80),),
    )
    web = container(
        "web",
        "aa11",
        running,
        labels={"app": "x", "tier": "front"},
        exposed_ports={"80/tcp": {}},
        networks={"front": EndpointSettings()},
        mounts=[MountPoint(type="volume", name="data", destination="/srv")],
        attachments={"front": lease},
    )
    return [
        web,
        container("job", "aa22", failed, labels={"app": "x"}),
        container(
            "new",
            "bb33",
            ContainerState(),
            labels={"app": "y"},
            mounts=[MountPoint(type="bind", source="/home", destination="/data")],
        ),
    ]


CASES = [
    ("", False, ["web"]),
    ("", True, ["web", "job", "new"]),
    ('{"name": ["^/we"]}', True, ["web"]),
    ('{"name": {"b$": true}}', True, ["web", "job"]),
    ('{"name": ["["]}', True, []),
    ('{"id": ["aa"]}', True, ["web", "job"]),
    ('{"label": ["app=x"]}', True, ["web", "job"]),
    ('{"label": ["app", "tier=front"]}', True, ["web"]),
    ('{"label": ["app=y"]}', True, ["new"]),
    ('{"id": ["bb"]}', True, ["new"]),
    ('{"status": ["paused"]}', True, []),
    ('{"volume": ["/home"]}', True, ["new"]),
    ('{"status": ["exited"]}', False, ["job"]),
    ('{"status": ["exited", "created"]}', False, ["job", "new"]),
    ('{"exited": ["3"]}', True, ["job"]),
    ('{"exited": ["0"]}', True, []),
    ('{"ancestor": ["sha256:aa22"]}', True, ["job"]),
    ('{"before": ["job"]}', True, ["new"]),
    ('{"since": ["job"]}', True, ["web"]),
    ('{"since": ["new"], "before": ["web"]}', True, ["job"]),
    ('{"network": ["front"]}', True, ["web"]),
    ('{"network": ["f0"]}', True, ["web"]),
    ('{"volume": ["data"]}', True, ["web"]),
    ('{"volume": ["/srv"]}', True, ["web"]),
    ('{"publish": ["8080"]}', True, ["web"]),
    ('{"publish": ["8000-9000/tcp"]}', True, ["web"]),
    ('{"publish": ["80"]}', True, []),
    ('{"expose": ["80/tcp"]}', True, ["web"]),
    ('{"expose": ["80/udp"]}', True, []),
    ('{"health": ["none"]}', True, ["web", "job", "new"]),
    ('{"health": ["healthy"]}', True, []),
    ('{"is-task": ["true"]}', True, []),
    ('{"is-task": ["1"]}', True, []),
    ('{"is-task": ["0"]}', True, ["web", "job", "new"]),
    ('{"is-task": ["false"]}', True, ["web", "job", "new"]),
    ('{"name": []}', True, ["web", "job", "new"]),
]


@pytest.mark.parametrize(("text", "all", "names"), CASES)
def test_matching(text: str, all: bool, names: list[str]) -> None:
    assert [v.record.name for v in match_containers(world(), parse_filters(text), all=all)] == names


def test_a_limit_implies_the_stopped_ones() -> None:
    assert [v.record.name for v in match_containers(world(), parse_filters(""), limit=2)] == ["web", "job"]
    assert [
        v.record.name for v in match_containers(world(), parse_filters('{"label": ["app"]}'), limit=1)
    ] == ["web"]


REFUSED = [
    ('{"colour": ["red"]}', "invalid filter 'colour'"),
    ('{"status": ["asleep"]}', "invalid filter 'status=asleep'"),
    ('{"exited": ["x"]}', "exited=x"),
    ('{"is-task": ["maybe"]}', "is-task"),
    ('{"publish": ["http"]}', "http"),
    ("[", "not JSON"),
    ("[]", "expected an object"),
    ('{"name": 3}', "'name' must be strings"),
    ('{"name": [3]}', "'name' must be strings"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_a_wrong_filter_is_explained(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        match_containers(world(), parse_filters(text), all=True)


def test_since_a_container_that_is_not_there() -> None:
    with pytest.raises(NotFound, match="No such container: gone"):
        match_containers(world(), parse_filters('{"since": ["gone"]}'), all=True)
    with pytest.raises(InvalidArgument, match="multiple IDs"):
        match_containers(world(), parse_filters('{"since": ["aa"]}'), all=True)


@given(st.text())
def test_any_text_is_filters_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidArgument):
        parse_filters(text)
