"""Leases: what an intake relies on is not collected under its hands.

Whoever takes content in holds the digest of each blob and layer before it looks whether that is there; what was
there then stays there until the lease ends. A collection never waits for that: it passes over whatever has been
held at any time since it began. Images are recorded before their lease ends, and a collection asks which images
there are after it has begun, so that it finds each digest at one of the two places.

Leases live in memory. Only one daemon works on a data root, and what a dead one held was needed by nobody else:
the next one begins with no lease, sweeps what was half written and collects the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from types import TracebackType
from typing import Self

from wherry.content.digest import Digest
from wherry.errors import Unavailable


class Leases:
    """All leases of an engine, and the collections that heed them. Safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: set[Lease] = set()
        self._watches: set[Watch] = set()

    def open(self, kind: str) -> Lease:
        """A lease on nothing yet; ``kind`` says in messages what it is for."""
        lease = Lease(self, kind)
        with self._lock:
            self._open.add(lease)
        return lease

    def watch(self) -> Watch:
        """For a collection: what is held from now on. A context manager."""
        with self._lock:
            watch = Watch(self, {digest for lease in self._open for digest in lease.held})
            self._watches.add(watch)
        return watch

    def hold(self, lease: Lease, digest: Digest) -> None:
        """Waits for a deletion of this very content that is under way, and for nothing else."""
        with self._lock:
            self.check(lease)
            lease.held.add(digest)
            for watch in self._watches:
                watch.held.add(digest)

    def check(self, lease: Lease) -> None:
        """Unavailable if the lease has ended."""
        if lease not in self._open:
            raise Unavailable(f"the {lease.kind} was cancelled")

    def end(self, lease: Lease) -> None:
        """Hold nothing more. A second time is fine."""
        with self._lock:
            self._open.discard(lease)

    def unless_held(self, watch: Watch, digest: Digest, delete: Callable[[], None]) -> None:
        """Do ``delete`` if nobody has held ``digest`` since the watch began; nobody can begin to meanwhile."""
        with self._lock:
            if digest not in watch.held:
                delete()

    def forget(self, watch: Watch) -> None:
        """The collection is over."""
        with self._lock:
            self._watches.discard(watch)


class Lease:
    """What one intake relies on. After its end, ``hold`` raises Unavailable."""

    def __init__(self, leases: Leases, kind: str) -> None:
        self.kind = kind
        self.held: set[Digest] = set()
        self._leases = leases

    def hold(self, digest: Digest) -> None:
        """From now until the end of the lease, nobody deletes what is there under this digest."""
        self._leases.hold(self, digest)

    def check(self) -> None:
        """Unavailable if it has ended: whatever is being taken in under it is not wanted any more."""
        self._leases.check(self)

    def end(self) -> None:
        """Let go of everything. A second time is fine."""
        self._leases.end(self)


class Watch:
    """All that has been held since a collection began."""

    def __init__(self, leases: Leases, held: set[Digest]) -> None:
        self.held = held
        self._leases = leases

    def unless_held(self, digest: Digest, delete: Callable[[], None]) -> None:
        """Do ``delete``, which is to be quick, unless somebody relies on the content."""
        self._leases.unless_held(self, digest, delete)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leases.forget(self)
