"""The host's own network: a container on it is in the host's network namespace."""

from __future__ import annotations

from wherry.network.driver import WithoutEndpoints

KIND = "host"


class HostDriver(WithoutEndpoints):
    """Nothing to attach to: what the host has, the container has."""
