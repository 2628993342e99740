"""SIGKILL in the middle of a load: afterwards all is whole or gone, and the same load succeeds."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.image.making import config, directory, docker_archive, file, sha256, tar
from wherry.content.digest import digest_of
from wherry.engine.image_loading import unpack_archive
from wherry.engine.intake.content import Content, UnpackedImage
from wherry.engine.intake.lease import Leases
from wherry.image.archive import Source
from wherry.image.blobs import BlobStore
from wherry.image.manifest import host_platform
from wherry.snapshot.layers import LayerStore

ROUNDS = 12
CHILD = """
import sys
from pathlib import Path
from tests.image.test_crash import load
from wherry.image.blobs import BlobStore
from wherry.snapshot.layers import LayerStore
root = Path(sys.argv[1])
blobs, layers = BlobStore(root / "blobs"), LayerStore(root / "layers")
print("ready", flush=True)
while True:
    with open(root / "archive.tar", "rb") as archive:
        for image in load(archive, blobs, layers):
            for layer in image.layers:
                layers.remove(layer.chain_id)
            layers.sweep()
"""


def load(stream: Source, blobs: BlobStore, layers: LayerStore) -> list[UnpackedImage]:
    with Content(Leases().open("test"), blobs, layers) as content:
        images = unpack_archive(content, stream, host_platform())
        content.keep(*images)
    return images


def test_killed_at_any_time(tmp_path: Path) -> None:
    layers = [tar(*[file(f"d{n % 9}/{k}-{n}", os.urandom(2000)) for n in range(120)]) for k in range(3)]
    archive = docker_archive(
        [tar(directory("d0"), directory("d1", mode=0o700)), *layers], ["app"], compress=True
    )
    (tmp_path / "archive.tar").write_bytes(archive)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for _ in range(ROUNDS):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, env=environment
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(random.uniform(0, 0.25))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        check_whole(tmp_path, layers)
    blobs, store = BlobStore(tmp_path / "blobs"), LayerStore(tmp_path / "layers")
    [image] = load(io.BytesIO(archive), blobs, store)
    assert len(list(store.list())) == 4
    assert blobs.read(image.packed.id) == config([layer.diff_id for layer in image.layers])


def check_whole(root: Path, archives: list[bytes]) -> None:
    """After recovery: nothing half done, each blob what its name says, each layer as large as its archive."""
    blobs, store = BlobStore(root / "blobs"), LayerStore(root / "layers")
    blobs.recover()
    store.recover()
    assert not os.listdir(root / "blobs/tmp") + os.listdir(root / "layers/tmp")
    assert not os.listdir(root / "blobs/.trash") + os.listdir(root / "layers/.trash")
    for digest in blobs.list():
        assert digest_of(blobs.read(digest)) == digest
    known = {sha256(archive) for archive in archives}
    names = {name for name in os.listdir(root / "layers") if not name.endswith(".json")}
    trees = names - {"tmp", "empty", "nothing", ".trash"}
    assert trees == {layer.name for layer in store.list()}
    for layer in store.list():
        if layer.diff_id in known:
            sizes = [path.stat().st_size for path in store.path(layer.chain_id).rglob("*") if path.is_file()]
            assert (len(sizes), sum(sizes)) == (120, 240_000)
