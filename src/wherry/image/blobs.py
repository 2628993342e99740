"""Content by digest: ``blobs/sha256/<hex>``, verified as it is written, whole or not there.

OCI image-spec, image-layout.md "Blobs". New blobs are written under ``tmp`` in a batch; the batch's owner
makes them durable all at once (``wherry.linux.sync``) and only then moves them in.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self
from uuid import uuid4

from wherry.content.digest import Digest, Hold, hex_of, is_digest
from wherry.errors import Internal, InvalidArgument, NotFound
from wherry.image.manifest import DOCUMENT_LIMIT
from wherry.linux.sync import fsync_directory
from wherry.linux.trees import Bin, discard, remove_tree


class Blob(NamedTuple):
    """A blob that is there."""

    digest: Digest
    size: int  # bytes


class BlobStore:
    """Blobs below ``root``. Any number of readers and batches may work at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._directory = root / "sha256"
        self._staging = root / "tmp"
        self._bin = Bin(root / ".trash")
        for directory in (self._directory, self._staging):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def recover(self) -> None:
        """Remove what a crash left half written or half deleted. Only while no batch is open."""
        for left in self._staging.iterdir():
            discard(left)
        self.sweep()

    def batch(self, hold: Hold = lambda digest: None) -> BlobBatch:
        """A way for new blobs in; ``hold`` is told of each, new or found, before it is relied on."""
        staging = self._staging / uuid4().hex
        staging.mkdir(mode=0o700)
        return BlobBatch(self, staging, hold)

    def path(self, digest: Digest) -> Path:
        """Where its content is, if it is here."""
        return self._directory / hex_of(digest)

    def exists(self, digest: Digest) -> bool:
        """Whether it is here, whole."""
        return self.path(digest).exists()

    def size(self, digest: Digest) -> int:
        """Bytes; NotFound if there is no such blob."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            raise _missing(digest) from None

    def open(self, digest: Digest) -> BinaryIO:
        """Its content, unbuffered; NotFound if there is no such blob."""
        try:
            return self.path(digest).open("rb", buffering=0)
        except FileNotFoundError:
            raise _missing(digest) from None

    def read(self, digest: Digest, limit: int = DOCUMENT_LIMIT) -> bytes:
        """All of it; InvalidArgument if it is longer than ``limit`` bytes."""
        with self.open(digest) as file:
            return read_limited(file, limit, digest)

    def remove(self, digest: Digest) -> None:
        """Take it out at once; ``sweep`` gives its room back. Absent is fine."""
        self._bin.throw(self.path(digest))

    def sweep(self) -> None:
        """Delete what was removed."""
        self._bin.empty()

    def list(self) -> Iterator[Digest]:
        """All that are here."""
        for name in os.listdir(self._directory):
            digest = f"sha256:{name}"
            if is_digest(digest):
                yield digest

    def sync(self) -> None:
        """Make the moves of finished batches durable."""
        fsync_directory(self._directory)


class BlobBatch:
    """Blobs on their way in. A context manager: what is not committed when it ends is gone."""

    def __init__(self, store: BlobStore, staging: Path, hold: Hold) -> None:
        self._store = store
        self._staging = staging
        self._hold = hold
        self._names = count()
        self._staged: dict[Digest, Path] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        remove_tree(self._staging)

    def add(self, chunks: Iterable[bytes | memoryview], expected: Digest | None = None) -> Blob:
        """Write a blob; InvalidArgument if its digest is not the ``expected`` one.

        A blob that the store has is only read and verified.
        """
        sha256 = hashlib.sha256()
        size = 0
        known = expected is not None and self.exists(expected)
        path = self._staging / str(next(self._names))
        with open(os.devnull if known else path, "wb", buffering=0) as file:
            for chunk in chunks:
                sha256.update(chunk)
                size += len(chunk)
                if not known:
                    _write(file, chunk)
        digest = "sha256:" + sha256.hexdigest()
        if expected is not None and digest != expected:
            raise InvalidArgument(f"wrong digest: the content of {expected} is {digest}")
        if not known:
            self._keep(digest, path)
        return Blob(digest, size)

    def path(self, digest: Digest) -> Path:
        """Where its content is, in this batch or in the store."""
        self._hold(digest)
        return self._staged.get(digest) or self._store.path(digest)

    def exists(self, digest: Digest) -> bool:
        """Whether this batch or the store has it."""
        return self.path(digest).exists()

    def read(self, digest: Digest, limit: int = DOCUMENT_LIMIT) -> bytes:
        """All of it; NotFound if neither has it, InvalidArgument if it is longer than ``limit`` bytes."""
        try:
            with self.path(digest).open("rb", buffering=0) as file:
                return read_limited(file, limit, digest)
        except FileNotFoundError:
            raise _missing(digest) from None

    def commit(self, digests: Iterable[Digest]) -> None:
        """Move these of the batch's blobs into the store; the caller has made them durable."""
        for digest in digests:
            if path := self._staged.pop(digest, None):
                os.rename(path, self._store.path(digest))
        self._store.sync()

    def _keep(self, digest: Digest, path: Path) -> None:
        if self.exists(digest):
            path.unlink()
        else:
            self._staged[digest] = path


def read_limited(file: BinaryIO, limit: int, what: str) -> bytes:
    """All of ``file``; InvalidArgument, with ``what`` it is, if that is more than ``limit`` bytes."""
    data = file.read(limit + 1) or b""
    if len(data) > limit:
        raise InvalidArgument(f"{what} is longer than {limit} bytes, which no manifest or config needs")
    return data


def _write(file: BinaryIO, chunk: bytes | memoryview) -> None:
    view = memoryview(chunk)
    try:
        while (count := file.write(view)) < len(view):
            view = view[count:]
    except OSError as error:
        raise Internal(f"cannot write a blob: {error.strerror}") from error


def _missing(digest: Digest) -> NotFound:
    return NotFound(f"no such blob: {digest}")
