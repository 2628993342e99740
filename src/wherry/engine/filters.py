"""What ``filters=`` may say, and which containers it lets through. Engine API, ``GET /containers/json``.

Both JSON forms are read: ``{"label": {"a=b": true}}`` (Go clients) and ``{"label": ["a=b"]}`` (everybody else).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import msgspec

from wherry.engine.record import ContainerRecord, ContainerView
from wherry.errors import InvalidArgument, NotFound
from wherry.messages.base import ZERO_TIME
from wherry.values.expressions import Patterns
from wherry.values.go_json import decode_json
from wherry.values.ports import HIGHEST, parse_port_range, split_port

CONTAINER_FILTERS = frozenset(
    {
        "ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name", "network",
        "publish", "since", "status", "volume",
    }
)  # fmt: skip
STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
HEALTH = ("none", "starting", "healthy", "unhealthy")
MOST_VALUES = 500  # of all filters of a request: each may be held against each of a thousand containers


@dataclass(frozen=True, slots=True)
class Filters:
    """The values of each filter. A name without values filters nothing."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.values)

    def get(self, name: str) -> tuple[str, ...]:
        """The filter's values; none where it is not given."""
        return self.values.get(name, ())

    def replace(self, name: str, values: Iterable[str]) -> Filters:
        """The same filters with other values for one name."""
        return Filters({**self.values, name: tuple(values)})

    def check(self, accepted: frozenset[str]) -> None:
        """InvalidArgument for the first name that is not among the accepted ones."""
        for name in self.values:
            if name not in accepted:
                raise InvalidArgument(f"invalid filter '{name}'")

    def exact(self, name: str, source: str) -> bool:
        """No value given, or the source is one of them."""
        values = self.get(name)
        return not values or source in values

    def patterns(self, name: str) -> Patterns:
        """The filter's values as regular expressions. InvalidArgument, which names the filter, for too many."""
        try:
            return Patterns(self.get(name))
        except InvalidArgument as error:
            raise InvalidArgument(f"invalid filter '{name}': {error.message}") from None

    def take_time(self, *names: str) -> bool:
        """Whether one of these filters has an expression that must be compiled, so that a thread should look."""
        return any(self.patterns(name).take_time for name in names)

    def prefixes(self, name: str, source: str) -> bool:
        """No value given, or the source begins with one of them."""
        values = self.get(name)
        return not values or source.startswith(values)

    def labels(self, name: str, labels: Mapping[str, str] | None) -> bool:
        """Every value, ``key`` or ``key=value``, holds for the labels."""
        return all(has_label(value, labels or {}) for value in self.get(name))

    def flag(self, name: str, default: bool = False) -> bool:
        """The one boolean value of a filter."""
        values = self.get(name)
        if not values:
            return default
        if len(set(values)) > 1 or values[0] not in ("1", "true", "0", "false"):
            raise InvalidArgument(f"invalid filter '{name}=[{' '.join(values)}]'")
        return values[0] in ("1", "true")


def parse_filters(text: str) -> Filters:
    """Filters from the query parameter. InvalidArgument where it is not one of the two JSON forms."""
    if not text.strip():
        return Filters()
    try:
        raw = decode_json(text.encode("utf-8", "surrogateescape"))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidArgument(f"invalid filters: not JSON: {error}") from None
    if raw is None:
        return Filters()
    if not isinstance(raw, dict):
        raise InvalidArgument('invalid filters: expected an object such as {"label": ["a=b"]}')
    filters = Filters({name: filter_values(name, values) for name, values in raw.items()})
    count = sum(map(len, filters.values.values()))
    if count > MOST_VALUES:
        raise InvalidArgument(f"invalid filters: {count} values are more than {MOST_VALUES}")
    return filters


def filter_values(name: str, raw: Any) -> tuple[str, ...]:
    """The values under one name, in either form."""
    values = list(raw) if isinstance(raw, dict | list) else raw
    if values is None:
        return ()
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise InvalidArgument(f"invalid filters: the values of '{name}' must be strings")
    return tuple(dict.fromkeys(values))


def has_label(wanted: str, labels: Mapping[str, str]) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


# ---------------------------------------------------------------- containers


def match_containers(
    views: Sequence[ContainerView], filters: Filters, *, all: bool = False, limit: int = 0
) -> list[ContainerView]:
    """The containers, newest first as they came, that a list request asks for.

    Values of ``ancestor`` must be image ids already: only who knows the images can look names up.
    """
    filters.check(CONTAINER_FILTERS)
    check_container_values(filters)
    stopped_too = all or limit > 0 or bool(filters.get("status"))
    window = between(views, filters)
    if not filters and stopped_too:
        chosen: Iterator[ContainerView] = iter(window)
    else:
        rules = ContainerRules(filters)
        chosen = (view for view in window if (stopped_too or view.running) and rules.let_through(view))
    return list(islice(chosen, limit) if limit > 0 else chosen)


def check_container_values(filters: Filters) -> None:
    """InvalidArgument for a value that can match nothing, with the filter and the value in its text."""
    for name, accepted in (("status", STATES), ("health", HEALTH)):
        for value in filters.get(name):
            if value not in accepted:
                raise InvalidArgument(
                    f"invalid filter '{name}={value}': must be one of {', '.join(accepted)}"
                )
    for value in filters.get("exited"):
        if not re.fullmatch(r"[+-]?\d{1,18}", value, re.ASCII):
            raise InvalidArgument(f"invalid filter 'exited={value}': not a number")
    filters.flag("is-task")


def between(views: Sequence[ContainerView], filters: Filters) -> Sequence[ContainerView]:
    """Those created after the ``since`` container and before the ``before`` container."""
    first, last = 0, len(views)
    if filters.get("before"):
        first = place(views, filters.get("before")[0]) + 1
    if filters.get("since"):
        last = place(views, filters.get("since")[0])
    return views[first:last] if first or last < len(views) else views


def place(views: Sequence[ContainerView], ref: str) -> int:
    """Where the container of this id, name or id prefix stands."""
    name = ref.removeprefix("/")
    by_prefix = [i for i, view in enumerate(views) if view.id.startswith(ref)]
    named = [i for i, view in enumerate(views) if view.record.name == name or view.id == ref]
    if named:
        return named[0]
    if len(by_prefix) > 1:
        raise InvalidArgument(f"multiple IDs found with provided prefix: {ref}")
    if not by_prefix:
        raise NotFound(f"No such container: {ref}")
    return by_prefix[0]


class ContainerRules:
    """The filters of one list request, as far as a single record decides them."""

    def __init__(self, filters: Filters) -> None:
        self._filters = filters
        self._exit_codes = {int(code) for code in filters.get("exited")}
        self._names, self._ids = filters.patterns("name"), filters.patterns("id")
        self._volumes = frozenset(filters.get("volume"))
        self._publish, self._expose = Ports(filters.get("publish")), Ports(filters.get("expose"))

    def let_through(self, view: ContainerView) -> bool:
        """Docker's order is kept only in that the cheap tests come first."""
        filters, record = self._filters, view.record
        return (
            self._names.found_in(record.name, f"/{record.name}")
            and self._ids.found_in(record.id)
            and filters.exact("status", view.status)
            and filters.exact("health", "none")  # no health check is run as yet
            and filters.labels("label", record.config.labels)
            and filters.exact("ancestor", record.image)
            and filters.exact("isolation", record.host_config.isolation or "default")
            and not filters.flag("is-task")
            and self._exited(view)
            and self._on_network(view)
            and self._with_volume(record)
            and self._with_ports(view)
        )

    def _exited(self, view: ContainerView) -> bool:
        if not self._exit_codes:
            return True
        state = view.state
        return not view.running and state.started_at != ZERO_TIME and state.exit_code in self._exit_codes

    def _on_network(self, view: ContainerView) -> bool:
        wanted = self._filters.get("network")
        if not wanted:
            return True
        ids = view.state.networks.values()
        return any(name in wanted for name in view.record.networks) or any(
            id.startswith(wanted) for id in ids
        )

    def _with_volume(self, record: ContainerRecord) -> bool:
        if not self._volumes:
            return True
        named = chain.from_iterable((m.destination, m.name or m.source) for m in record.mounts)
        return not self._volumes.isdisjoint(named)

    def _with_ports(self, view: ContainerView) -> bool:
        exposed = view.record.config.exposed_ports or {}
        return (not self._publish or any(self._publish.hold(p.host_port, p.proto) for p in view.ports)) and (
            not self._expose or any(self._expose.hold(*split_port(key)) for key in exposed)
        )


class Ports:
    """The ports of a filter's ranges, bounds included. To look for one costs the same for many ranges."""

    def __init__(self, ranges: Iterable[str]) -> None:
        self._wanted: dict[str, bytearray] = {}
        for first, last, protocol in map(parse_port_range, ranges):
            ports = self._wanted.setdefault(protocol, bytearray(HIGHEST + 1))
            ports[first : last + 1] = b"\1" * (last + 1 - first)

    def __bool__(self) -> bool:
        return bool(self._wanted)

    def hold(self, port: int, protocol: str) -> bool:
        """Whether one of the ranges has the port."""
        return protocol in self._wanted and 0 <= port <= HIGHEST and bool(self._wanted[protocol][port])
