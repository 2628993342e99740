"""Whatever is asked of whatever route: a wrong request is the client's fault, and told as such."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.client import Api
from tests.harness.daemon import Daemon
from wherry.api.pattern import PLACEHOLDER
from wherry.api.query import wire_name
from wherry.api.routes import all_routes
from wherry.api.routing import Route, Router

SERVER_ERRORS = (501, 503)  # not there yet, no swarm: these say what they mean
ODD = st.sampled_from(
    ["", " ", "0", "-1", "99999999999999999999", "1.5", "true", "\x00", "é", "\udcff", "..", "/", "a" * 5000, "{}",
     "[]", '{"a": 1}', '{"name": ["("]}', '{"label": [null]}', "null", "%", "-", "sha256:", "linux/amd64", "busybox"]
) | st.text(max_size=20)  # fmt: skip
NAMES = st.sampled_from(
    ["web", "busybox", "nobody", "bridge", "a/b:c@d", "%00", "%FF", "..", "sha256:abc", "é"]
)
FIELDS = st.sampled_from(
    ["Image", "Cmd", "Env", "HostConfig", "Memory", "Binds", "PortBindings", "NetworkingConfig", "EndpointsConfig",
     "Labels", "Detach", "Tty", "AttachStdin", "ExposedPorts", "Mounts", "Ulimits", "RestartPolicy", "Volumes",
     "80/tcp"]
)  # fmt: skip
DOCUMENTS = st.recursive(
    st.sampled_from([None, True, 0, -1, 2**63, 1.5, "", "busybox", "sleep", "80/tcp", "/tmp:/b:ro", "\x00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=5),
    max_leaves=15,
)


def parameters(route: Route) -> list[str]:
    named = inspect.signature(route.handler).parameters
    return [wire_name(name) for name in named if f"{{{name}}}" not in route.pattern] + ["h", "w", "ps_args"]


def filled(pattern: str, names: Sequence[str]) -> str:
    """The path that a pattern becomes with these names."""
    rest = iter(names)
    return PLACEHOLDER.sub(lambda _: next(rest), pattern)


def status_of(api: Api, method: str, path: str, body: bytes, kind: str) -> int:
    """The status alone: some answers only end with their client."""
    with api.wire() as wire:
        wire.request(method, path, body, kind)
        status, _ = wire.read_head()
        return status


@pytest.mark.parametrize("route", all_routes(), ids=lambda route: f"{route.method} {route.pattern}")
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_request_is_the_servers_fault(module_daemon: Daemon, route: Route, data: Any) -> None:
    api = Api(module_daemon.socket)
    path = filled(route.pattern, [data.draw(NAMES) for _ in PLACEHOLDER.findall(route.pattern)])
    if not data.draw(st.booleans()):
        path = "/v1.24" + path
    chosen = data.draw(st.lists(st.tuples(st.sampled_from(parameters(route)), ODD), max_size=3))
    query = "&".join(f"{name}={quote(text.encode('utf-8', 'surrogateescape'))}" for name, text in chosen)
    body = (
        json.dumps(data.draw(DOCUMENTS)).encode()
        if route.method in ("POST", "PUT") and data.draw(st.booleans())
        else b""
    )
    kind = data.draw(
        st.sampled_from(["Content-Type: application/json\r\n", "", "Content-Type: text/plain\r\n"])
    )
    status = status_of(
        api, route.method, quote(path, safe="/%:@.") + ("?" + query if query else ""), body, kind
    )
    assert status < 500 or status in SERVER_ERRORS
    assert "Traceback" not in module_daemon.log_tail()


def test_every_route_is_found_by_its_own_pattern() -> None:
    routes = all_routes()
    router = Router(routes)
    for route in routes:
        names = tuple(
            f"a/b:{n}" if i == 0 else f"b:{n}" for i, n in enumerate(PLACEHOLDER.findall(route.pattern))
        )
        found = router.find(route.method, filled(route.pattern, names))
        assert found is not None
        assert (found[0].route, found[1]) == (route, names)


def test_every_route_says_what_it_does() -> None:
    assert [route.pattern for route in all_routes() if not (route.handler.__doc__ or "").strip()] == []
