"""``-p`` and ``--expose`` as a create request has them."""

from __future__ import annotations

from wherry.cli.csv_fields import key_values
from wherry.values.ports import parse_expose, parse_publish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]


def published(specs: list[str]) -> tuple[dict[str, Json], dict[str, list[Json]]]:
    """``-p`` as the API's ``ExposedPorts`` and ``PortBindings``. ValueError in Docker's words."""
    exposed: dict[str, Json] = {}
    bindings: dict[str, list[Json]] = {}
    for spec in specs:
        for port, host_ip, host_port in parse_publish(_short_form(spec)):
            exposed[port] = {}
            bindings.setdefault(port, []).append({"HostIp": host_ip, "HostPort": host_port})
    return exposed, bindings


def _short_form(spec: str) -> str:
    """``target=80,published=8080,protocol=tcp`` as ``8080:80/tcp``; any other form as it is."""
    if "=" not in spec:
        return spec
    fields = {key: given or "" for key, given in key_values(spec)}
    published, protocol = fields.get("published", ""), fields.get("protocol") or "tcp"
    return f"{published}:{fields.get('target', '')}/{protocol}"


def exposed(specs: list[str]) -> dict[str, Json]:
    """``--expose 80-82/udp`` as the API's ``ExposedPorts``."""
    return {port: {} for spec in specs for port in parse_expose(spec)}
