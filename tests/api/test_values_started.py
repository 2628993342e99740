"""Every field of a create request with values that nobody means, on a daemon that carries them out.

``test_values`` asks whether a start can plan what create accepts; here it is started.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from tests.api.fate_examples import BASE, Body
from tests.harness.daemon import Answer, Daemon
from wherry.messages.container import Config, HostConfig, NetworkingConfig

NUMBERS = [0, -1, -2, 1, 1.5, 1 << 31, (1 << 32) - 1, (1 << 63) - 1, 1 << 63, -(1 << 63) - 1, 10**400]
TEXTS = [
    "", " ", "x", "\0", "/a\0b", "\n", "/a\nb", "\x1b[31m", "²", "/²", "٣", "-1", "0", "1", "65536", "9" * 5000, "/",
    "//", "/a/../..", "../x", "/" + "a" * 300, "/a" * 2500, "x" * 70_000, "=", "a=b", ":", "a:b", "::", ",", "/proc",
    "/dev", "/dev/null", "/etc/passwd", "/proc/x", "/tmp:/proc", "/tmp:/dev/null", "/etc/passwd:/etc", "80/tcp",
    "container:nosuch", "host", "none", "nosuch", "01:00:5e:00:00:01", "::1",
]  # fmt: skip
OTHERS = [None, True, 1, "x", [], {}, [None], [1], {"a": None}, [[1]]]
# What stands beside the field, so that it is looked at; and where a value belongs to a name, the name.
BESIDE: dict[str, Body] = {
    "Mount": {"Type": "bind", "Source": "/tmp", "Target": "/x"},
    "Ulimit": {"Name": "nofile", "Soft": 10, "Hard": 20},
    "DeviceMapping": {"PathOnHost": "/dev/null", "PathInContainer": "/dev/n", "CgroupPermissions": "rwm"},
    "PortBinding": {"HostPort": "8080"},
    "ThrottleDevice": {"Path": "/dev/null", "Rate": 1},
}
NAMED = {
    "PortBindings": "80/tcp", "ExposedPorts": "80/tcp", "Tmpfs": "/t", "Sysctls": "net.ipv4.ip_forward",
    "Volumes": "/v", "EndpointsConfig": "bridge", "Config": "max-size",
}  # fmt: skip
OF_THE_IMAGE = ("unable to find user", "unable to find group")  # with Docker a 500, too


def odd(name: str, kind: Any) -> Iterator[Any]:
    """Values for a field: of the wrong type, and strange ones of the right."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        yield from odd(name, parts[0])
    elif origin in (Union, UnionType):
        yield from (value for part in parts if part is not type(None) for value in odd(name, part))
    elif origin is list:
        yield from ([value] for value in odd(name, parts[0]))
        yield [next(iter(BESIDE.get(getattr(parts[0], "__name__", ""), {}).values()), "x")] * 3000
    elif origin is tuple:
        yield from ([number, 80] for number in NUMBERS)
    elif origin is dict:
        yield from ({NAMED.get(name, "k"): value} for value in odd(name, parts[1]))
        yield from ({text: {} if name in ("Volumes", "ExposedPorts") else None} for text in TEXTS)
        yield {f"/{number}": None for number in range(3000)}
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints, beside = get_type_hints(kind, include_extras=True), BESIDE.get(kind.__name__, {})
        for field in msgspec.structs.fields(kind):
            yield from (
                {**beside, field.encode_name: value} for value in odd(field.encode_name, hints[field.name])
            )
    else:
        yield from (*OTHERS, *(NUMBERS if kind is int else TEXTS if kind is str else ()))


def fields() -> Iterator[tuple[str, str, Any]]:
    for struct, inside in ((Config, ""), (HostConfig, "HostConfig"), (NetworkingConfig, "NetworkingConfig")):
        hints = get_type_hints(struct, include_extras=True)
        yield from (
            (inside, field.encode_name, hints[field.name]) for field in msgspec.structs.fields(struct)
        )


@pytest.mark.slow
@pytest.mark.parametrize(("inside", "name", "kind"), [pytest.param(*each, id=each[1]) for each in fields()])
def test_no_value_is_the_servers_fault(module_daemon: Daemon, inside: str, name: str, kind: Any) -> None:
    seen: set[str] = set()
    for value in (*OTHERS, *odd(name, kind)):
        body = {**BASE, **({inside: {name: value}} if inside else {name: value})}
        if (text := json.dumps(body)) not in seen:
            seen.add(text)
            tried(module_daemon, of_the_sandbox(module_daemon, body))


def of_the_sandbox(daemon: Daemon, body: Body) -> Body:
    """A parent cgroup is made and stays, as with Docker: it gets a place that goes with the sandbox."""
    parent = (
        body.get("HostConfig", {}).get("CgroupParent") if isinstance(body.get("HostConfig"), dict) else None
    )
    if not isinstance(parent, str):
        return body
    return {**body, "HostConfig": {"CgroupParent": f"{daemon.sandbox.cgroup_parent}/{parent}"}}


def tried(daemon: Daemon, body: Body) -> None:
    created = daemon.api("POST", "/containers/create", body)
    assert fault_of(created) is None, (str(body)[:200], created)
    if created.status == 201:
        started = daemon.api("POST", f"/containers/{created.body['Id']}/start")
        assert fault_of(started) is None, (str(body)[:200], started)
        assert daemon.api("DELETE", f"/containers/{created.body['Id']}?force=1").status == 204


def fault_of(answer: Answer) -> str | None:
    """What the server takes upon itself, where it may not."""
    said = answer.body["message"] if isinstance(answer.body, dict) and answer.status >= 400 else ""
    return said if answer.status >= 500 and not said.startswith(OF_THE_IMAGE) else None
