"""The engine's images: what Docker's commands ask, on real stores in a directory of the test's own."""

from __future__ import annotations

import asyncio
import io
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.harness.steps import steps
from tests.harness.waiting import until
from tests.image.making import config, directory, docker_archive, file, sha256, tar
from wherry.engine.events import EventBus, EventQuery
from wherry.engine.filters import Filters
from wherry.engine.image import Images, LayerProgress, LoadLine, Untagged
from wherry.engine.image_register import ImageRegister
from wherry.engine.intake.content import UnpackedImage
from wherry.engine.record import ContainerRecord, ContainerState
from wherry.engine.store import Store
from wherry.errors import Conflict, InvalidArgument, NotFound
from wherry.image.archive import Source
from wherry.image.blobs import BlobStore
from wherry.image.manifest import ImageConfig, Platform, host_platform
from wherry.image.packed import PackedImage
from wherry.messages.container import Config, HostConfig
from wherry.snapshot.layers import LayerStore
from wherry.values.references import Reference

BASE = tar(directory("etc"), file("etc/name", b"base"))
TOP = tar(file("etc/name", b"top"))
OTHER = tar(file("other", b"x"))


@dataclass
class World:
    """The engine's images with containers that are only said to be there."""

    root: Path
    users: dict[str, list[tuple[str, bool]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = Store(self.root / "wherry.db")
        self.blobs, self.layers = BlobStore(self.root / "blobs"), LayerStore(self.root / "layers")
        self.events = EventBus()
        self.images = Images(
            self.store, self.blobs, self.layers, self.events, lambda image: self.users.get(image, [])
        )
        self.seen = self.events.subscribe(EventQuery())

    async def load(self, *layers: bytes, tags: list[str] | None = None, **fields: object) -> str:
        archive = docker_archive(list(layers), tags)
        document = config([sha256(layer) for layer in layers])
        if fields:
            changed = config([sha256(layer) for layer in layers], **fields)
            archive = rewrite(archive, document, changed)
            document = changed
        await self.lines(archive)
        return sha256(document)

    async def lines(self, archive: bytes) -> list[str]:
        return await self.lines_from(io.BytesIO(archive))

    async def lines_from(self, stream: Source) -> list[str]:
        return [m.text async for m in self.images.load(stream) if isinstance(m, LoadLine)]

    def use(self, image: str, container: str, running: bool = False) -> None:
        self.users.setdefault(image, []).append((container, running))
        self.store.containers.add(
            ContainerRecord(
                id=container, name=container[:8], created="2024-01-01T00:00:00Z", path="sh", args=[],
                config=Config(), host_config=HostConfig(), image=image,
            ),
            ContainerState(),
        )  # fmt: skip

    def unuse(self, image: str, container: str) -> None:
        self.users[image] = [user for user in self.users[image] if user[0] != container]
        self.store.containers.delete(container)

    async def happened(self) -> list[tuple[str, str]]:
        self.seen.close()
        batches = [batch async for batch in self.seen]
        found = [(event.action, event.actor.attributes["name"]) for batch in batches for event in batch]
        self.seen = self.events.subscribe(EventQuery())
        return found

    def on_disk(self) -> tuple[int, int]:
        """(layers, blobs)"""
        return len(list(self.layers.list())), len(list(self.blobs.list()))


def rewrite(archive: bytes, old: bytes, new: bytes) -> bytes:
    """The same archive with another config; its name in the archive stays."""
    import tarfile

    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as source, tarfile.open(fileobj=out, mode="w") as target:
        for info in source:
            stream = source.extractfile(info)
            data = stream.read() if stream else b""
            data = new if data == old else data
            info.size = len(data)
            target.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


def run(root: Path, scenario: Callable[[World], Awaitable[None]]) -> None:
    async def whole() -> None:
        world = World(root)
        await world.images.recover()
        await scenario(world)
        world.store.close()

    asyncio.run(whole())


def names(steps: object) -> list[str]:
    return [
        f"Untagged: {step.reference.familiar()}" if isinstance(step, Untagged) else f"Deleted: {step.id}"
        for step in steps  # type: ignore[attr-defined]
    ]


# --- finding


def test_resolve_by_name_id_and_prefix(root: Path) -> None:
    async def scenario(world: World) -> None:
        id = await world.load(BASE, tags=["busybox:1", "reg.example:5000/a/b"])
        digits = id.removeprefix("sha256:")
        for ref in ("busybox:1", "docker.io/library/busybox:1", "reg.example:5000/a/b", id, digits, digits[:12],
                    digits[:1], f"sha256:{digits[:7]}", f"busybox@{id}"):  # fmt: skip
            assert (world.images.find(ref)).id == id, ref
        for ref, text in [
            ("busybox", "No such image: busybox:latest"),
            ("busybox:2", "No such image: busybox:2"),
            ("docker.io/library/x", "No such image: x:latest"),
            ("0" * 64, f"No such image: sha256:{'0' * 64}"),
            (digits[:5] + ("0" if digits[5] != "0" else "1"), "No such image: "),
        ]:
            with pytest.raises(NotFound) as caught:
                world.images.find(ref)
            assert caught.value.message.startswith(text)
        with pytest.raises(InvalidArgument, match="invalid reference format"):
            world.images.find("not a name")

    run(root, scenario)


def test_a_name_wins_over_an_id_prefix_and_ambiguity_is_told(root: Path) -> None:
    async def scenario(world: World) -> None:
        ids = [await world.load(tar(file(f"f{n}"))) for n in range(18)]
        shared = next(d for d in "0123456789abcdef" if sum(i[7] == d for i in ids) > 1)
        with pytest.raises(NotFound, match=f"No such image: {shared}:latest: . image ids begin with"):
            world.images.find(shared)
        named = await world.load(OTHER, tags=[shared])
        assert (world.images.find(shared)).id == named

    run(root, scenario)


# --- loading


def test_load_says_what_docker_says(root: Path) -> None:
    async def scenario(world: World) -> None:
        archive = docker_archive([BASE], ["app:1", "app:2"])
        assert await world.lines(archive) == ["Loaded image: app:1\n", "Loaded image: app:2\n"]
        assert await world.lines(archive) == ["Loaded image: app:1\n", "Loaded image: app:2\n"]
        nameless = docker_archive([TOP], None)
        assert await world.lines(nameless) == [f"Loaded image ID: {sha256(config([sha256(TOP)]))}\n"]
        old = sha256(config([sha256(BASE)]))
        assert await world.lines(docker_archive([OTHER], ["app:1"])) == [
            f"The image app:1 already exists, renaming the old one with ID {old} to empty string\n",
            "Loaded image: app:1\n",
        ]
        assert (world.images.view(old)).repo_tags == ("app:2",)
        assert ("load", old) in await world.happened()

    run(root, scenario)


def test_progress_is_told_unless_quiet(root: Path) -> None:
    async def scenario(world: World) -> None:
        archive = docker_archive([tar(file("big", os.urandom(1_500_000)))], ["big"])
        messages = [m async for m in world.images.load(io.BytesIO(archive), quiet=False)]
        progress = [m for m in messages if isinstance(m, LayerProgress)]
        assert progress[-1].current == progress[-1].total
        assert isinstance(messages[-1], LoadLine)

    run(root, scenario)


def test_a_bad_archive_is_an_error_and_leaves_nothing(root: Path) -> None:
    async def scenario(world: World) -> None:
        with pytest.raises(InvalidArgument, match="not an image archive"):
            await world.lines(tar(file("x")))
        with pytest.raises(InvalidArgument, match="wrong digest"):
            await world.lines(docker_archive([BASE], ["a"]).replace(b"base", b"best"))
        assert world.on_disk() == (0, 0)
        assert world.images.count() == 0

    run(root, scenario)


def test_two_loads_at_once_share_layers(root: Path) -> None:
    async def scenario(world: World) -> None:
        one = docker_archive([BASE, TOP], ["one"], compress=True)
        two = docker_archive([BASE, OTHER], ["two"], compress=True)
        results = await asyncio.gather(*[world.lines(archive) for archive in (one, two, one, two)])
        assert sorted(results) == [["Loaded image: one:latest\n"]] * 2 + [["Loaded image: two:latest\n"]] * 2
        assert world.on_disk()[0] == 3

    run(root, scenario)


def test_a_reader_that_leaves_does_not_stop_the_load(root: Path) -> None:
    async def scenario(world: World) -> None:
        messages: AsyncIterator[object] = world.images.load(io.BytesIO(docker_archive([BASE], ["a"])))
        await anext(messages)
        await messages.aclose()  # type: ignore[attr-defined]
        assert await until(world.images.count)
        assert (world.images.view("a")).repo_tags == ("a:latest",)

    run(root, scenario)


@pytest.mark.parametrize("wanted", [None, Platform("arm64", "linux")])
def test_import_is_for_this_machine_unless_another_is_named(root: Path, wanted: Platform | None) -> None:
    async def scenario(world: World) -> None:
        await world.images.import_(io.BytesIO(BASE), repo="imp", platform=wanted)
        made, meant = world.images.find("imp").config, wanted or host_platform()
        assert (made.os, made.architecture) == (meant.os, meant.architecture)

    run(root, scenario)


def test_import_names_and_configures(root: Path) -> None:
    async def scenario(world: World) -> None:
        id = await world.images.import_(
            io.BytesIO(BASE),
            repo="imp",
            tag="1",
            changes=["CMD ls"],
            message="hello",
            platform=Platform("arm64", "linux"),
        )
        image = world.images.find("imp:1")
        assert (image.id, image.config.run.cmd, image.config.comment) == (
            id,
            ["/bin/sh", "-c", "ls"],
            "hello",
        )
        assert image.config.architecture == "arm64"
        assert await world.happened() == [("tag", "imp:1"), ("import", id)]
        for repo, tag in (("Imp", ""), ("imp", "no tag"), ("imp@" + sha256(b""), "")):
            with pytest.raises(InvalidArgument):
                await world.images.import_(io.BytesIO(BASE), repo=repo, tag=tag)
        with pytest.raises(InvalidArgument, match="not a valid change"):
            await world.images.import_(io.BytesIO(BASE), changes=["FROM x"])

    run(root, scenario)


# --- listing


def test_list_and_its_filters(root: Path) -> None:
    async def scenario(world: World) -> None:
        old = await world.load(BASE, tags=["app:1", "lib/app:2"], created="2020-01-01T00:00:00Z")
        new = await world.load(
            TOP, tags=["web:3"], created="2023-06-01T00:00:00.5Z", config={"Labels": {"k": "v"}}
        )
        none = await world.load(OTHER, created="2022-01-01T00:00:00Z")
        world.use(old, "c" * 64)

        async def ids(**filters: str) -> list[str]:
            wanted = Filters({name.replace("_", "-"): (value,) for name, value in filters.items()})
            return [view.record.id for view in world.images.list(wanted)]

        assert await ids() == [new, none, old]
        assert await ids(dangling="true") == [none]
        assert await ids(dangling="false") == [new, old]
        assert await ids(label="k") == [new]
        assert await ids(label="k=w") == []
        assert await ids(reference="app") == [old]
        assert await ids(reference="*:3") == [new]
        assert await ids(reference="*/*") == [old]
        assert await ids(before="web:3") == [none, old]
        assert await ids(since="app:1") == [new, none]
        assert await ids(until="2021-01-01") == [old]
        assert await ids(until="2023-06-01T00:00:01Z") == [new, none, old]
        assert await ids(until="1h") == [new, none, old]
        assert await ids(until="1600000000") == [old]
        [view] = world.images.list(Filters({"reference": ("lib/*",)}))
        assert (view.repo_tags, view.containers) == (("lib/app:2",), 1)
        for name, value in (("until", "x"), ("dangling", "maybe"), ("nonsense", "1")):
            with pytest.raises(InvalidArgument):
                await ids(**{name: value})
        with pytest.raises(NotFound, match="No such image: gone:latest"):
            await ids(before="gone")

    run(root, scenario)


def test_history_newest_first(root: Path) -> None:
    async def scenario(world: World) -> None:
        steps = [
            {"created": "2024-01-01T00:00:00Z", "created_by": "ADD base"},
            {"created": "2024-01-02T00:00:00Z", "created_by": "ENV A=1", "empty_layer": True},
            {"created": "2024-01-03T00:00:00Z", "created_by": "COPY top", "comment": "c"},
        ]
        id = await world.load(BASE, TOP, tags=["app"], history=steps)
        found = world.images.history("app")
        assert [(item.created_by, item.size) for item in found] == [
            ("COPY top", 3),
            ("ENV A=1", 0),
            ("ADD base", 4),
        ]
        assert (found[0].id, found[0].tags, found[1].id, found[1].tags) == (
            id,
            ("app:latest",),
            "<missing>",
            (),
        )

    run(root, scenario)


# --- naming and removing


def test_tag_moves_a_name(root: Path) -> None:
    async def scenario(world: World) -> None:
        one, two = await world.load(BASE, tags=["one"]), await world.load(TOP, tags=["two"])
        await world.images.tag("one", "docker.io/library/name", "x")
        await world.images.tag(two[7:19], "name", "x")
        assert (world.images.find("name:x")).id == two
        assert (world.images.view(one)).repo_tags == ("one:latest",)
        assert (world.images.view(two)).record.tagged_at > 0
        assert ("tag", "name:x") in await world.happened()
        for repo, tag, text in [
            ("Name", "", "must be lowercase"),
            ("name", "a/b", "invalid tag format"),
            ("sha256", "x", "ambiguous tag"),
            (f"name@{one}", "", "digest reference"),
        ]:
            with pytest.raises(InvalidArgument, match=text):
                await world.images.tag("one", repo, tag)
        with pytest.raises(NotFound, match="No such image: gone:latest"):
            await world.images.tag("gone", "x")

    run(root, scenario)


def test_removing_the_last_name_removes_the_image_and_what_only_it_needs(root: Path) -> None:
    async def scenario(world: World) -> None:
        one = await world.load(BASE, TOP, tags=["one", "uno"])
        await world.load(BASE, OTHER, tags=["two"])
        assert world.on_disk() == (3, 5)
        assert names(await world.images.remove("uno")) == ["Untagged: uno:latest"]
        chain = (world.images.find("one")).chain_ids
        await world.happened()
        assert names(await world.images.remove("one")) == [
            "Untagged: one:latest", f"Deleted: {one}", f"Deleted: {chain[1]}",
        ]  # fmt: skip
        assert await world.happened() == [("untag", one), ("delete", one)]
        assert world.on_disk() == (2, 3)
        assert world.blobs.exists(sha256(BASE))
        await world.images.remove("two")
        assert world.on_disk() == (0, 0)

    run(root, scenario)


def test_removing_by_id(root: Path) -> None:
    async def scenario(world: World) -> None:
        id = await world.load(BASE, tags=["a", "b"])
        with pytest.raises(Conflict) as caught:
            await world.images.remove(id[7:19])
        assert caught.value.message == (
            f"conflict: unable to delete {id[7:19]} (must be forced) - image is referenced in multiple repositories"
        )
        steps = names(await world.images.remove(id, force=True))
        assert steps == [
            "Untagged: a:latest",
            "Untagged: b:latest",
            f"Deleted: {id}",
            f"Deleted: {sha256(BASE)}",
        ]
        one = await world.load(BASE, tags=["only"])
        assert names(await world.images.remove(one))[0] == "Untagged: only:latest"
        with pytest.raises(NotFound):
            await world.images.remove(one)
        with pytest.raises(InvalidArgument, match="cannot be blank"):
            await world.images.remove(" ")

    run(root, scenario)


def test_images_of_containers(root: Path) -> None:
    async def scenario(world: World) -> None:
        id = await world.load(BASE, tags=["a"])
        world.use(id, "f" * 64)
        with pytest.raises(Conflict) as caught:
            await world.images.remove("a")
        assert caught.value.message == (
            'conflict: unable to remove repository reference "a" (must force) - container ffffffffffff is using '
            f"its referenced image {id[7:19]}"
        )
        with pytest.raises(
            Conflict, match=r"\(must be forced\) - image is being used by stopped container ffffffffffff"
        ):
            await world.images.remove(id)
        await world.images.tag("a", "b")
        assert names(await world.images.remove("b")) == ["Untagged: b:latest"]
        assert names(await world.images.remove("a", force=True)) == ["Untagged: a:latest", f"Deleted: {id}"]
        with pytest.raises(NotFound):
            world.images.find("a")
        assert world.images.count() == 0
        assert world.store.images.get(id) is not None  # the container can still be started
        assert world.on_disk() == (1, 2)
        world.unuse(id, "f" * 64)
        world.images.released(id)
        assert await until(lambda: world.on_disk() == (0, 0))
        assert world.store.images.get(id) is None

    run(root, scenario)


def test_images_of_running_containers_cannot_be_forced(root: Path) -> None:
    async def scenario(world: World) -> None:
        id = await world.load(BASE, tags=["a"])
        world.use(id, "e" * 64, running=True)
        with pytest.raises(
            Conflict, match=r"\(cannot be forced\) - image is being used by running container eeeeeeeeeeee"
        ):
            await world.images.remove(id, force=True)
        assert names(await world.images.remove("a", force=True)) == ["Untagged: a:latest"]
        assert (world.images.find(id)).id == id

    run(root, scenario)


# --- crashes


def test_what_no_record_needs_is_swept_at_start(root: Path) -> None:
    async def scenario(world: World) -> None:
        await world.load(BASE, tags=["kept"])
        lost = await world.load(OTHER, tags=["lost"])
        world.store.images.delete(lost)  # as if the machine had died between the layers and the record
        (world.layers.root / "tmp/half").mkdir()
        again = Images(world.store, world.blobs, world.layers, world.events, lambda image: [])
        await again.recover()
        assert world.on_disk() == (1, 2)
        assert not os.listdir(world.layers.root / "tmp")
        assert (again.find("kept")).id
        with pytest.raises(NotFound):
            again.find("lost")

    run(root, scenario)


def test_an_image_without_its_layers_is_forgotten_at_start(root: Path) -> None:
    async def scenario(world: World) -> None:
        id = await world.load(BASE, tags=["broken"])
        whole = await world.load(OTHER, tags=["whole"])
        world.layers.remove(sha256(BASE))
        again = Images(world.store, world.blobs, world.layers, world.events, lambda image: [])
        await again.recover()
        assert [view.record.id for view in again.list()] == [whole]
        assert list(world.store.tags.all().values()) == [whole]
        assert await world.load(BASE, tags=["broken"]) == id
        assert world.on_disk() == (2, 4)

    run(root, scenario)


def test_records_survive_the_process(root: Path) -> None:
    async def scenario(world: World) -> None:
        await world.load(BASE, TOP, tags=["a"])

    run(root, scenario)

    async def later(world: World) -> None:
        image = world.images.find("a")
        assert image.size == 7
        assert image.config.run.labels == {"made": "by hand"}

    run(root, later)
    assert sqlite3.connect(root / "wherry.db").execute("select count(*) from images").fetchone() == (1,)


def test_twice_the_names_take_twice_the_steps(root: Path) -> None:
    """Each of thousands in one archive had all images and names read again, while everybody waited."""
    register = ImageRegister(Store(root / "wherry.db"), lambda image: [])

    def named(count: int) -> Callable[[], object]:
        names = tuple(Reference.parse(f"a{count}:{n}") for n in range(count))
        packed = PackedImage(sha256(b"%d" % count), ImageConfig(), (), names)
        return lambda: register.add([UnpackedImage(packed, ())])

    assert steps(named(400)) < 3 * steps(named(200))
    assert len(register.catalog().tags) == 600
