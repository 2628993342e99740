"""No network: a container on it has a namespace of its own, with lo only."""

from __future__ import annotations

from wherry.network.driver import WithoutEndpoints

KIND = "null"


class NoneDriver(WithoutEndpoints):
    """The launcher makes the namespace, by the plan; there is nothing to hold ready as yet."""
