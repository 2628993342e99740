"""Blobs: verified on the way in, whole or not there."""

from __future__ import annotations

import os
import subprocess
import sys
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
    store.remove(digest)
    with pytest.raises(InvalidArgument, match="longer than 10 bytes"):
        store.read(put(store, DATA), limit=10)


def test_recover_removes_what_a_crash_left(store: BlobStore) -> None:
    digest = put(store, DATA)
    (store.root / "tmp/dead").mkdir()
    (store.root / "tmp/dead/0").write_bytes(b"half")
    BlobStore(store.root).recover()
    assert not os.listdir(store.root / "tmp")
    assert list(store.list()) == [digest]


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """On a file system of its own, in a mount namespace of its own."""
    script = """
import os, sys
from pathlib import Path
from wherry.errors import Internal
from wherry.image.blobs import BlobStore
from wherry.snapshot.layers import LayerStore
from tests.image.making import file, in_chunks, tar
root = Path(sys.argv[1])
blobs, layers = BlobStore(root / "blobs"), LayerStore(root / "layers")
data = os.urandom(3 << 20)
try:
    with blobs.batch() as batch:
        batch.add(in_chunks(data))
except Internal as error:
    print(error.message)
try:
    with layers.batch() as batch:
        batch.unpack(in_chunks(tar(file("big", data))), [])
except Internal as error:
    print(error.message)
print(os.listdir(root / "blobs/tmp"), os.listdir(root / "layers/tmp"))
"""
    mount = f'mount -t tmpfs -o size=1m tmpfs {tmp_path} && exec {sys.executable} -c "$0" {tmp_path}'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", mount, script]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines() == [
        "cannot write a blob: No space left on device",
        "cannot write the layer's 'big': No space left on device",
        "[] []",
    ]
