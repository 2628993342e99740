"""``python -m benchmarks.load``: what loading an image costs, in process, on a tmpfs.

100 MB in 10,000 files and 4 gzip layers. ``load`` is all that the daemon does after the bytes have arrived; the
lines below it are its parts, each measured alone, and GNU tar on the same layers; then the way back, from a tree.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from isal import igzip

from tests.harness import images
from wherry.content.compression import decompressed
from wherry.engine.events import EventBus
from wherry.engine.image import Images, LoadLine
from wherry.engine.store import Store
from wherry.image.blobs import BlobStore
from wherry.snapshot.layers import LayerStore
from wherry.snapshot.overlay import OverlayStore

LAYERS, FILES, BYTES = 4, 2_500, 25_000_000
ROUNDS = 5
CHUNK = 1 << 18


def chunks(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), CHUNK):
        yield data[at : at + CHUNK]


def show(what: str, work: Callable[[Path], object]) -> None:
    """The median of some rounds, each in a fresh directory."""
    took = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="wherry-load-", dir="/dev/shm") as folder:
            begin = time.perf_counter()
            work(Path(folder))
            took.append((time.perf_counter() - begin) * 1000)
    print(f"{what:<62}{median(took):>8.0f} ms")


def load(archive: bytes, folder: Path) -> None:
    blobs, layers = BlobStore(folder / "blobs"), LayerStore(folder / "layers")
    images = Images(Store(folder / "wherry.db"), blobs, layers, EventBus(), lambda image: [])

    async def drive() -> None:
        async for message in images.load(io.BytesIO(archive)):
            assert message == LoadLine("Loaded image: large:latest\n")

    asyncio.run(drive())


def unpack(packed: list[bytes], folder: Path) -> None:
    with LayerStore(folder / "layers").batch() as batch:
        for layer in packed:
            batch.unpack(chunks(layer), [])
        batch.commit()


def gnu_tar(packed: list[bytes], folder: Path) -> None:
    for layer in packed:
        subprocess.run(["tar", "-xzp", "--numeric-owner", "-C", folder], input=layer, check=True)


def gnu_pack(tree: Path) -> None:
    command = [
        "tar",
        "-c",
        "--format=posix",
        "--sort=name",
        "--numeric-owner",
        "--xattrs",
        "-C",
        str(tree),
        ".",
    ]
    subprocess.run(command, stdout=subprocess.PIPE, check=True)


def decompress(packed: list[bytes]) -> None:
    for layer in packed:
        for _ in decompressed(chunks(layer)):
            pass


def digest(data: list[bytes]) -> None:
    for part in data:
        hashlib.sha256(part)


def main() -> None:
    plain = [images.large_layer(number, FILES, BYTES) for number in range(LAYERS)]
    packed = [igzip.compress(layer, 2) for layer in plain]
    archive = images.docker_archive(packed, ["large:latest"], {"Cmd": ["/bin/true"]})
    print(
        f"{LAYERS * FILES} files, {sum(map(len, plain)) >> 20} MiB plain, {len(archive) >> 20} MiB packed\n"
    )
    show("load", lambda f: load(archive, f))
    show("  unpack the layers", lambda f: unpack(packed, f))
    show("  of that, on its own: decompress", lambda f: decompress(packed))
    show("  of that, on its own: sha256 of the plain layers", lambda f: digest(plain))
    show("  sha256 of the packed layers", lambda f: digest(packed))
    show("GNU tar and gzip on the same layers", lambda f: gnu_tar(packed, f))
    with tempfile.TemporaryDirectory(prefix="wherry-load-", dir="/dev/shm") as folder:
        store = OverlayStore(LayerStore(Path(folder) / "layers"), Path(folder) / "trees")
        upper = store.prepare("tree", []).upper
        gnu_tar(packed, upper)
        print()
        show("pack the same files, as of a writable tree", lambda f: sum(map(len, store.pack("tree", []))))
        show("  tell its changes", lambda f: store.changes("tree", []))
        show("  count its size", lambda f: store.size_rw("tree"))
        show("GNU tar on the same tree", lambda f: gnu_pack(upper))


if __name__ == "__main__":
    main()
