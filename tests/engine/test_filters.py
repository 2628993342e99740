"""What filters of a container list let through."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.engine.filters import match_containers, parse_filters
from wherry.engine.record import ContainerRecord
from wherry.errors import InvalidArgument, NotFound
from wherry.messages.container import Config, EndpointSettings, HostConfig, MountPoint, State
from wherry.network.endpoint import Attachment
from wherry.network.ports import PublishedPort

STARTED = "2026-11-24T14:58:50Z"


def container(name: str, id: str, state: State, **config: Any) -> ContainerRecord:
    return ContainerRecord(
        id=id.ljust(64, "0"),
        name=name,
        created=STARTED,
        path="true",
        args=[],
        config=Config(image="busybox", **config),
        host_config=HostConfig(),
        image="sha256:" + id,
    )


def world() -> list[ContainerRecord]:
    """Newest first: a running web server, a failed job, one never started."""
    running = State(status="running", running=True, started_at=STARTED)
    failed = State(status="exited", exit_code=3, started_at=STARTED)
    web = container(
        "web", "aa11", running, labels={"app": "x", "tier": "front"}, exposed_ports={"80/tcp": {}}
    )
    web.state = running
    web.networks = {"front": EndpointSettings(network_id="f00d")}
    web.mounts = [MountPoint(type="volume", name="data", destination="/srv")]
    web.attachment = Attachment(
        network="front",
        network_id="f00d",
        endpoint_id="e",
        ports=(PublishedPort("tcp", "0.0.0.0", 8080, 80),),
    )
    job = container("job", "aa22", failed, labels={"app": "x"})
    job.state = failed
    new = container("new", "bb33", State())
    return [web, job, new]


CASES = [
    ("", False, ["web"]),
    ("", True, ["web", "job", "new"]),
    ('{"name": ["^/we"]}', True, ["web"]),
    ('{"name": {"b$": true}}', True, ["web", "job"]),
    ('{"name": ["["]}', True, []),
    ('{"id": ["aa"]}', True, ["web", "job"]),
    ('{"label": ["app=x"]}', True, ["web", "job"]),
    ('{"label": ["app", "tier=front"]}', True, ["web"]),
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
    ('{"is-task": ["false"]}', True, ["web", "job", "new"]),
    ('{"name": []}', True, ["web", "job", "new"]),
]


@pytest.mark.parametrize(("text", "all", "names"), CASES)
def test_matching(text: str, all: bool, names: list[str]) -> None:
    assert [r.name for r in match_containers(world(), parse_filters(text), all=all)] == names


def test_a_limit_implies_the_stopped_ones() -> None:
    assert [r.name for r in match_containers(world(), parse_filters(""), limit=2)] == ["web", "job"]
    assert [r.name for r in match_containers(world(), parse_filters('{"label": ["app"]}'), limit=1)] == [
        "web"
    ]


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
