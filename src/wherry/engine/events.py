"""What happens in the engine, told to whoever subscribes. Engine API, ``GET /events``.

The bus keeps the last events for those who ask for the past. A subscriber that does not keep up is
dropped rather than waited for: its stream ends.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field

from wherry.engine.filters import Filters
from wherry.engine.record import ContainerRecord
from wherry.messages.event import Actor, Event

HISTORY = 1000
HISTORY_BYTES = 2 << 20
BACKLOG = 4096  # events that a subscriber may lag behind
BACKLOG_BYTES = 32 << 20
# Filters that name whom an event is about. One that is not known at all lets everything through, as with dockerd.
ACTORS = ("config", "container", "daemon", "network", "node", "plugin", "secret", "service", "volume")
# These actions carry more behind a colon, so that a filter names only the beginning.
OPEN_ENDED = frozenset(("exec_create", "exec_start", "health_status"))


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events: nanoseconds since 1970, 0 for no bound. Without ``since`` there is no past, as with Docker."""

    since: int = 0
    until: int = 0
    filters: Filters = field(default_factory=Filters)

    def wants(self, event: Event) -> bool:
        """Whether an event is within the bounds, which count as inside, and passes the filters."""
        if self.since and event.time_nano < self.since:
            return False
        return (not self.until or event.time_nano <= self.until) and includes(self.filters, event)


class Subscription:
    """A subscriber's queue. Iterate over it; ``close`` or the end of the bus's patience ends the iteration."""

    def __init__(self, bus: EventBus, query: EventQuery, past: list[Event]) -> None:
        self._bus = bus
        self._query = query
        self._queue: deque[Event] = deque(past)
        self._bytes = 0  # of what is queued, without the past
        self._wake = asyncio.Event()
        self._closed = False
        if past:
            self._wake.set()

    def offer(self, event: Event, size: int) -> None:
        """Queue an event of that weight, if the subscriber wants it; end a subscription that has not kept up."""
        if not self._query.wants(event):
            return
        if len(self._queue) >= BACKLOG or (self._queue and self._bytes + size > BACKLOG_BYTES):
            self.close()
            return
        self._queue.append(event)
        self._bytes += size
        self._wake.set()

    def close(self) -> None:
        """End it, after what is queued. Closed already is fine."""
        self._closed = True
        self._bus.forget(self)
        self._wake.set()

    def __aiter__(self) -> AsyncIterator[list[Event]]:
        return self._batches()

    async def _batches(self) -> AsyncIterator[list[Event]]:
        try:
            while await self._wait():
                batch = list(self._queue)
                self._queue.clear()
                self._bytes = 0
                self._wake.clear()
                if batch:
                    yield batch
        finally:
            self.close()

    async def _wait(self) -> bool:
        """Wait for events; False when there can be no more."""
        if self._queue:
            return True
        if self._closed:
            return False
        until = self._query.until
        try:
            await asyncio.wait_for(self._wake.wait(), (until - time.time_ns()) / 1e9 if until else None)
        except TimeoutError:
            return bool(self._queue)
        return bool(self._queue) or not self._closed


class History:
    """The last events, bounded in number and in bytes: a command that is told of may have megabytes of arguments."""

    def __init__(self, most: int) -> None:
        self._kept: deque[tuple[Event, int]] = deque()
        self._most = most
        self._bytes = 0

    def __iter__(self) -> Iterator[Event]:
        return (event for event, _ in self._kept)

    def add(self, event: Event, size: int) -> None:
        """Keep an event of that weight, in place of the oldest ones where need be."""
        self._kept.append((event, size))
        self._bytes += size
        while len(self._kept) > self._most or self._bytes > HISTORY_BYTES:
            self._bytes -= self._kept.popleft()[1]


class EventBus:
    """Publish and subscribe, in one event loop. Nothing here waits for a subscriber."""

    def __init__(self, history: int = HISTORY) -> None:
        self._history = History(history)
        self._subscribers: set[Subscription] = set()
        self._last_ns = 0

    def publish(
        self, type: str, action: str, actor_id: str, attributes: Mapping[str, str], *, scope: str = "local"
    ) -> Event:
        """Tell everybody. ``type`` is a noun of the API: container, image, network, volume, daemon, builder."""
        event = self._make(type, action, actor_id, dict(attributes), scope)
        size = weight(event)
        self._history.add(event, size)
        for subscriber in tuple(self._subscribers):
            subscriber.offer(event, size)
        return event

    def container(
        self, action: str, record: ContainerRecord, attributes: Mapping[str, str] | None = None
    ) -> Event:
        """An event of a container: its image, name and labels go with it, as clients filter on them."""
        labels = record.config.labels or {}
        own = {"image": record.config.image, "name": record.name}
        return self.publish("container", action, record.id, {**labels, **own, **(attributes or {})})

    def image(
        self, action: str, image_id: str, name: str = "", attributes: Mapping[str, str] | None = None
    ) -> Event:
        """An event of an image: pull, push, tag, untag, delete, load, save, import."""
        return self.publish("image", action, image_id, {**(attributes or {}), "name": name or image_id})

    def subscribe(self, query: EventQuery | None = None) -> Subscription:
        """Events from now on and, with ``since``, those of the past that are still kept."""
        query = query or EventQuery()
        past = [event for event in self._history if query.wants(event)] if query.since or query.until else []
        subscription = Subscription(self, query, past)
        if query.until and query.until <= time.time_ns():
            subscription.close()
        else:
            self._subscribers.add(subscription)
        return subscription

    @property
    def listeners(self) -> int:
        """How many subscribe now."""
        return len(self._subscribers)

    def forget(self, subscription: Subscription) -> None:
        """Tell a subscription nothing more. Absent is fine."""
        self._subscribers.discard(subscription)

    def close(self) -> None:
        """End every subscription."""
        for subscription in tuple(self._subscribers):
            subscription.close()

    def _make(self, type: str, action: str, actor_id: str, attributes: dict[str, str], scope: str) -> Event:
        # Never twice the same time, so that a client can go on from the last one that it saw.
        self._last_ns = nanoseconds = max(time.time_ns(), self._last_ns + 1)
        event = Event(
            type=type,
            action=action,
            actor=Actor(actor_id, attributes),
            scope=scope,
            time=nanoseconds // 1_000_000_000,
            time_nano=nanoseconds,
        )
        if type in ("container", "image"):
            event.status, event.id = action, actor_id
        if type == "container":
            event.source = attributes.get("image", "")
        return event


def weight(event: Event) -> int:
    """About how many bytes of text an event holds."""
    attributes = event.actor.attributes  # labels are among them, whose names may be as long as what they say
    return len(event.action) + sum(map(len, attributes)) + sum(map(len, attributes.values()))


# ---------------------------------------------------------------- filters


def includes(filters: Filters, event: Event) -> bool:
    """Does an event pass the filters? Each name must be satisfied by one of its values."""
    if not filters:
        return True
    return (
        filters.exact("type", event.type)
        and filters.exact("scope", event.scope)
        and action_matches(filters, event.action)
        and all(names_actor(filters, noun, event) for noun in ACTORS)
        and image_matches(filters, event)
        and filters.labels("label", event.actor.attributes)
    )


def action_matches(filters: Filters, action: str) -> bool:
    wanted = filters.get("event")
    if OPEN_ENDED.intersection(wanted):
        return filters.prefixes("event", action)
    return filters.exact("event", action)


def names_actor(filters: Filters, noun: str, event: Event) -> bool:
    """Ids and names may be abbreviated."""
    if not filters.get(noun):
        return True
    name = event.actor.attributes.get("name", "")
    return event.type == noun and (filters.prefixes(noun, event.actor.id) or filters.prefixes(noun, name))


def image_matches(filters: Filters, event: Event) -> bool:
    if not filters.get("image"):
        return True
    attribute = {"image": "name", "container": "image"}.get(event.type)
    if attribute is None:
        return False
    names = (event.actor.id, event.actor.attributes.get(attribute, ""))
    return any(filters.exact("image", name) or filters.exact("image", strip_tag(name)) for name in names)


def strip_tag(name: str) -> str:
    """``host:5000/a/b:tag`` without its tag."""
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]
