"""Leases: what a load relies on is not collected, and a collection waits for nobody."""

from __future__ import annotations

import asyncio
import io
import os
import random
import sqlite3
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.engine.test_image import BASE, OTHER, TOP, World
from tests.harness.waiting import until
from tests.image.making import Layout, config, docker_archive, file, sha256, tar
from wherry.content.digest import Digest
from wherry.engine.image import Images
from wherry.engine.image_record import ImageRecord
from wherry.engine.intake.collector import Collector
from wherry.engine.intake.content import Content, LayerProgress
from wherry.engine.intake.lease import Lease, Leases
from wherry.engine.intake.threads import in_thread
from wherry.errors import InvalidArgument, NotFound, Unavailable
from wherry.image.archive import read_archive
from wherry.image.blobs import BlobStore
from wherry.image.manifest import host_platform
from wherry.image.packed import PackedImage
from wherry.snapshot.layers import LayerStore

ROUNDS = 25
COMMON = [tar(*[file(f"common-{n}/{k}", os.urandom(3000)) for k in range(8)]) for n in range(2)]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


# --- one intake alone


@pytest.fixture
def stores(tmp_path: Path) -> tuple[BlobStore, LayerStore]:
    return BlobStore(tmp_path / "blobs"), LayerStore(tmp_path / "layers")


def packed_image(content: Content, *tars: bytes) -> PackedImage:
    archive = docker_archive(tars, None)
    (image,) = read_archive(content.read(io.BytesIO(archive)), content.blobs, host_platform())
    return image


def test_its_layers_are_told_of_and_come_in_their_order(stores: tuple[BlobStore, LayerStore]) -> None:
    told: list[LayerProgress] = []
    with Content(Leases().open("load"), *stores) as content:
        image = content.unpack(packed_image(content, BASE, TOP), told.append)
        assert tuple(layer.diff_id for layer in image.layers) == image.packed.config.diff_ids
        again = content.unpack(image.packed, told.append)  # they are there: nothing to be told
        assert again.layers == image.layers
    assert told == [LayerProgress(sha256(tar), len(tar), len(tar)) for tar in (BASE, TOP)]


def test_nothing_more_is_read_of_what_is_called_off(stores: tuple[BlobStore, LayerStore]) -> None:
    lease = Leases().open("load")
    with Content(lease, *stores) as content:
        image = packed_image(content, BASE)
        lease.end()
        with pytest.raises(Unavailable, match="cancelled"):
            content.read(io.BytesIO(b"x")).read(1)
        with pytest.raises(Unavailable, match="cancelled"):
            content.unpack(image)
    assert list(stores[1].list()) == []


def test_work_that_is_called_off_is_waited_for() -> None:
    """However often: what a thread works on must not be taken from it."""

    async def scenario() -> None:
        begun, go_on, over = threading.Event(), threading.Event(), threading.Event()
        called_off = []

        def work() -> None:
            begun.set()
            assert go_on.wait(10)
            over.set()

        task = asyncio.create_task(in_thread(work, lambda: called_off.append(True)))
        await asyncio.to_thread(begun.wait)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.01)
        assert (task.done(), called_off) == (False, [True])
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert over.is_set()

    run(scenario)


# --- leases alone


def test_a_collection_that_is_over_is_told_nothing_more() -> None:
    leases = Leases()
    lease, watch = leases.open("load"), leases.watch()
    with watch:
        lease.hold(sha256(b"during"))
    lease.hold(sha256(b"after"))
    assert watch.held == {sha256(b"during")}


def test_what_is_held_at_any_time_of_a_collection_is_passed_over() -> None:
    leases, deleted = Leases(), []
    before, during, over = leases.open("load"), leases.open("load"), leases.open("load")
    before.hold(sha256(b"before"))
    over.hold(sha256(b"over"))
    over.end()
    with leases.watch() as watch:
        before.end()
        during.hold(sha256(b"during"))
        during.end()
        for name in (b"before", b"during", b"over", b"never"):
            watch.unless_held(sha256(name), lambda name=name: deleted.append(name))  # type: ignore[misc]
    assert deleted == [b"over", b"never"]


def test_holding_waits_for_a_deletion_under_way_and_then_finds_nothing() -> None:
    leases, there = Leases(), {sha256(b"x")}
    lease, deleting, held = leases.open("load"), threading.Event(), threading.Event()
    found: list[bool] = []

    def rely() -> None:
        deleting.wait()
        lease.hold(sha256(b"x"))
        found.append(sha256(b"x") in there)
        held.set()

    thread = threading.Thread(target=rely)
    thread.start()

    def delete() -> None:
        deleting.set()
        assert not held.wait(0.05)  # it can only be told too late here, never too early
        there.clear()

    with leases.watch() as watch:
        watch.unless_held(sha256(b"x"), delete)
    thread.join()
    assert found == [False]


def test_a_lease_that_has_ended_holds_nothing_more() -> None:
    lease = Leases().open("load")
    lease.end()
    lease.end()
    for ask in (lease.check, lambda: lease.hold(sha256(b"x"))):
        with pytest.raises(Unavailable, match="the load was cancelled"):
            ask()


def test_an_image_recorded_while_a_collection_begins_keeps_its_content(tmp_path: Path) -> None:
    async def scenario() -> None:
        leases, blobs, layers = Leases(), BlobStore(tmp_path / "blobs"), LayerStore(tmp_path / "layers")
        first, second = leases.open("load"), leases.open("load")
        with Content(first, blobs, layers) as content:
            layer = content.layers.unpack(iter([BASE]), [])
            content.keep()
        first.end()

        def needed() -> set[Digest]:
            second.hold(layer.chain_id)  # found by a load whose image is recorded just after this was read
            second.end()
            return set()

        await Collector(leases, blobs, layers, needed).collect()
        assert layers.get(layer.chain_id) == layer
        await Collector(leases, blobs, layers, lambda: ()).collect()
        assert layers.get(layer.chain_id) is None

    run(scenario)


# --- a collection beside intakes


class Gate(io.BytesIO):
    """An archive of which nothing beyond ``at`` can be read before the gate opens."""

    def __init__(self, data: bytes, at: int) -> None:
        super().__init__(data)
        self.at, self.reached, self.open = at, threading.Event(), threading.Event()

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() >= self.at and not self.open.is_set():
            self.reached.set()
            assert self.open.wait(20)
        return super().read(
            min(size or 1, max(self.at - self.tell(), 1) if self.tell() < self.at else 1 << 16)
        )


def test_removal_waits_for_no_load_and_takes_nothing_that_it_found(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = World(tmp_path)
        await world.load(BASE, TOP, tags=["old"])
        gone = await world.load(OTHER, tags=["gone"])
        archive = docker_archive([BASE, tar(file("new"))], ["new"], manifest_first=True)
        gate = Gate(archive, archive.index(b"new\0"))  # BASE's blob has been read by then, and is held
        loading = asyncio.create_task(world.lines_from(gate))
        assert await until(gate.reached.is_set)
        await world.images.remove("gone")
        assert not world.layers.get(sha256(OTHER))  # at once, while the load still reads
        assert not world.blobs.exists(gone)
        await world.images.remove("old")
        assert world.blobs.exists(sha256(BASE))
        assert not world.blobs.exists(sha256(TOP))
        gate.open.set()
        await loading
        await whole(world)
        assert world.on_disk() == (2, 3)

    run(scenario)


def test_what_a_failed_load_kept_alive_goes_with_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = World(tmp_path)
        await world.load(BASE, tags=["old"])
        archive = docker_archive([BASE, TOP], ["new"], manifest_first=True).replace(b"top", b"pot")
        gate = Gate(archive, archive.index(b"pot"))
        loading = asyncio.create_task(world.lines_from(gate))
        assert await until(gate.reached.is_set)
        await world.images.remove("old")
        assert world.blobs.exists(sha256(BASE))  # the load may need it
        gate.open.set()
        with pytest.raises(InvalidArgument):
            await loading
        assert world.on_disk() == (0, 0)

    run(scenario)


def test_a_cancelled_intake_leaves_nothing_and_its_thread_has_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = World(tmp_path)
        gate = Gate(BASE, 512)
        importing = asyncio.create_task(world.images.import_(gate, repo="x"))
        assert await until(gate.reached.is_set)
        for _ in range(3):
            importing.cancel()
            await asyncio.sleep(0)
        assert not importing.done()  # its thread still writes
        gate.open.set()
        with pytest.raises(asyncio.CancelledError):
            await importing
        assert world.on_disk() == (0, 0)
        assert world.images.count() == 0
        assert not os.listdir(world.blobs.root / "tmp") + os.listdir(world.layers.root / "tmp")

    run(scenario)


def test_what_is_kept_but_not_recorded_is_gone_at_the_end_of_the_block(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = World(tmp_path)
        with pytest.raises(ZeroDivisionError):
            async with world.images.intake.open("build") as arrival:
                await arrival.work(lambda content: content.layers.unpack(iter([BASE]), []))
                await arrival.work(Content.keep)
                assert world.layers.get(sha256(BASE))  # a step of a build may run on it now
                raise ZeroDivisionError
        assert world.on_disk() == (0, 0)

    run(scenario)


def test_an_image_that_comes_in_another_compression_leaves_no_second_blob(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = World(tmp_path)
        await world.load(BASE, tags=["a"])
        before = sorted(world.blobs.list())
        await world.lines(docker_archive([BASE], ["a"], compress=True))
        assert sorted(world.blobs.list()) == before
        await whole(world)

    run(scenario)


def test_the_images_of_an_archive_are_recorded_together_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        world = World(tmp_path)
        await world.load(OTHER, tags=["kept"])
        layout = Layout()
        layout.manifests = [
            layout.image([layer], annotations={"io.containerd.image.name": f"docker.io/library/{name}:1"})
            for layer, name in ((BASE, "one"), (TOP, "two"), (OTHER, "three"))
        ]
        put, puts = world.store.images.put, iter(range(100))

        def full(record: ImageRecord) -> None:
            if next(puts) == 2:
                raise sqlite3.OperationalError("database or disk is full")
            put(record)

        monkeypatch.setattr(world.store.images, "put", full)
        with pytest.raises(sqlite3.OperationalError):
            await world.lines(layout.tar())
        assert [view.repo_tags for view in world.images.list()] == [("kept:latest",)]
        assert world.on_disk() == (1, 2)
        await world.lines(layout.tar())
        assert world.images.count() == 3
        await whole(world)

    run(scenario)


def test_an_image_removed_by_force_stays_for_a_container_that_is_being_made(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = World(tmp_path)
        id = await world.load(BASE, tags=["a"])
        world.users[id] = [("c" * 64, False)]  # it is registered, and not in the store yet
        await world.images.remove(id, force=True)
        assert world.on_disk() == (1, 2)
        world.users.clear()
        await world.images.collect()
        assert world.on_disk() == (0, 0)

    run(scenario)


def test_an_image_removed_by_force_goes_with_its_last_container(tmp_path: Path) -> None:
    """Also where another daemon sees the end of that, and with all its room."""

    async def scenario() -> None:
        world = World(tmp_path)
        id = await world.load(BASE, tags=["a"])
        other = await world.load(OTHER, tags=["stays"])
        world.use(id, "c" * 64)
        await world.images.remove(id, force=True)
        assert world.images.record(Digest(id)) is not None
        world.store.close()
        later = World(tmp_path)
        later.users[id] = [("c" * 64, False)]
        await later.images.recover()
        assert later.on_disk() == (2, 4)
        later.unuse(id, "c" * 64)
        later.images.released(Digest(id))
        assert await until(lambda: later.on_disk() == (1, 2))
        assert [image.id for image in later.store.images.all()] == [other]
        assert await until(lambda: not os.listdir(later.blobs.root / ".trash"))

    run(scenario)


# --- at random, with a seed


class SlowLeases(Leases):
    """Leases with pauses, so that collections and loads meet at every point. ``rng`` belongs to the test."""

    rng = random.Random()

    def hold(self, lease: Lease, digest: Digest) -> None:
        super().hold(lease, digest)
        self._pause()

    def unless_held(self, watch: object, digest: Digest, delete: Callable[[], None]) -> None:
        super().unless_held(watch, digest, delete)  # type: ignore[arg-type]
        self._pause()

    def _pause(self) -> None:
        if self.rng.random() < 0.5:
            time.sleep(self.rng.uniform(0, 0.002))


@pytest.fixture
def restless() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
@pytest.mark.parametrize("seed", range(4))
def test_loads_removals_and_failures_in_any_order(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each round: what is recorded is whole, and nothing else is on disk."""
    monkeypatch.setattr("wherry.engine.image.Leases", SlowLeases)
    rng = SlowLeases.rng = random.Random(seed)

    async def scenario() -> None:
        world = World(tmp_path)
        for number in range(ROUNDS):
            steps = [load_one, load_one, load_bad, remove_all, remove_all, import_one, collect]
            rng.shuffle(steps)
            await asyncio.gather(*[delayed(step(world, rng), rng) for step in steps])
            await whole(world)
            assert leftovers(world) == set(), f"round {number}"

    run(scenario)


async def delayed(work: Awaitable[None], rng: random.Random) -> None:
    await asyncio.sleep(rng.uniform(0, 0.02))
    await work


def some_archive(rng: random.Random) -> bytes:
    own = tar(file("own", bytes([rng.randrange(3)])))
    layers = [*COMMON[: rng.randrange(3)], own]
    name = rng.choice("abc")
    return docker_archive(layers, [name], compress=rng.random() < 0.3, manifest_first=rng.random() < 0.5)


async def load_one(world: World, rng: random.Random) -> None:
    await world.lines(some_archive(rng))


async def load_bad(world: World, rng: random.Random) -> None:
    archive = docker_archive([*COMMON, tar(file("last", b"good"))], ["bad"]).replace(b"good", b"evil")
    with pytest.raises(InvalidArgument):
        await world.lines(archive)


async def import_one(world: World, rng: random.Random) -> None:
    await world.images.import_(io.BytesIO(COMMON[rng.randrange(2)]), repo="imported")


async def remove_all(world: World, rng: random.Random) -> None:
    for view in world.images.list(all=True):
        with suppress(NotFound):
            await world.images.remove(view.record.id, force=True)


async def collect(world: World, rng: random.Random) -> None:
    await world.images.collect()


async def whole(world: World) -> None:
    """Every image has its blobs, which are what their names say, and its layers with all their files."""
    for view in world.images.list(all=True):
        for blob in view.record.blobs:
            assert sha256(world.blobs.read(blob)) == blob
        for chain_id, size in zip(view.record.chain_ids, view.record.layer_sizes, strict=True):
            assert world.layers.get(chain_id)
            files = [path for path in world.layers.path(chain_id).rglob("*") if path.is_file()]
            assert sum(path.stat().st_size for path in files) == size


def leftovers(world: World) -> set[Digest]:
    needed = {digest for image in world.store.images.all() for digest in (*image.blobs, *image.chain_ids)}
    assert not any(os.listdir(store.root / "tmp") for store in (world.blobs, world.layers))
    return {*world.blobs.list(), *(layer.chain_id for layer in world.layers.list())} - needed


# --- after a crash


def test_a_new_daemon_knows_no_lease_and_keeps_nothing_of_what_was_coming_in(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = World(tmp_path)
        await world.load(OTHER, tags=["kept"])
        dead = Content(Leases().open("load"), world.blobs, world.layers)  # as if its process had been killed
        dead.layers.unpack(iter([BASE]), [])
        dead.blobs.add([config([])])
        dead.keep()
        dead.blobs.add([b"half"])
        dead.layers.unpack(iter([TOP]), [])
        again = Images(world.store, world.blobs, world.layers, world.events, lambda image: [])
        await again.recover()
        assert world.on_disk() == (1, 2)
        assert not os.listdir(world.blobs.root / "tmp") + os.listdir(world.layers.root / "tmp")

    run(scenario)
