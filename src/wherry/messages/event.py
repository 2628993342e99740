"""What happens, as it is told. Engine API, EventMessage."""

from __future__ import annotations

import msgspec


class Actor(msgspec.Struct, rename="pascal"):
    """Whom an event is about."""

    id: str = msgspec.field(default="", name="ID")
    attributes: dict[str, str] = msgspec.field(default_factory=dict)


class Event(msgspec.Struct, kw_only=True, rename="pascal"):
    """One event, in the API's shape. ``status``, ``id`` and ``from`` are there for old clients."""

    status: str | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="status")
    id: str | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="id")
    source: str | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="from")
    type: str
    action: str
    actor: Actor
    scope: str = msgspec.field(default="local", name="scope")
    time: int = msgspec.field(name="time")
    time_nano: int = msgspec.field(name="timeNano")
