"""Blobs: verified on the way in, whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.image.making import in_chunks, sha256
from wherry.errors import InvalidArgument, NotFound
from wherry.image.blobs import BlobStore

DATA = os.urandom(100_000)


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def put(store: BlobStore, data: bytes) -> str:
    with store.batch() as batch:
        blob = batch.add(in_chunks(data), sha256(data))
        batch.commit([blob.digest])
    return blob.digest


def test_a_blob_comes_back_byte_for_byte(store: BlobStore) -> None:
    digest = put(store, DATA)
    assert digest == sha256(DATA)
    assert store.path(digest) == store.root / "sha256" / digest[7:]
    assert store.read(digest) == DATA
    assert store.open(digest).read() == DATA
    assert store.size(digest) == len(DATA)
    assert list(store.list()) == [digest]


def test_a_wrong_digest_is_refused_and_leaves_nothing(store: BlobStore) -> None:
    with pytest.raises(InvalidArgument, match="wrong digest"), store.batch() as batch:
        batch.add(in_chunks(DATA), sha256(b"other"))
    assert not list(store.list())
    assert not os.listdir(store.root / "tmp")


def test_a_known_blob_is_verified_again_but_not_written(store: BlobStore) -> None:
    digest = put(store, DATA)
    inode = store.path(digest).stat().st_ino
    assert put(store, DATA) == digest
    assert store.path(digest).stat().st_ino == inode
    with pytest.raises(InvalidArgument, match="wrong digest"), store.batch() as batch:
        batch.add(in_chunks(DATA[:-1]), digest)
    assert store.read(digest) == DATA


def test_only_what_is_committed_stays(store: BlobStore) -> None:
    with store.batch() as batch:
        kept, dropped = batch.add([b"kept"]), batch.add([b"dropped"])
        assert batch.read(dropped.digest) == b"dropped"
        assert not store.exists(kept.digest)
        batch.commit([kept.digest])
    assert list(store.list()) == [kept.digest]


def test_missing_blobs_and_long_documents(store: BlobStore) -> None:
    digest = sha256(b"never seen")
    for ask in (store.read, store.size, store.open):
        with pytest.raises(NotFound, match="no such blob"):
            ask(digest)
    store.delete(digest)
    with pytest.raises(InvalidArgument, match="longer than 10 bytes"):
        store.read(put(store, DATA), limit=10)


def test_recover_removes_what_a_crash_left(store: BlobStore) -> None:
    digest = put(store, DATA)
    (store.root / "tmp/dead").mkdir()
    (store.root / "tmp/dead/0").write_bytes(b"half")
    BlobStore(store.root).recover()
    assert not os.listdir(store.root / "tmp")
    assert list(store.list()) == [digest]
