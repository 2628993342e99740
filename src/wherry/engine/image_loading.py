"""How images come in from a stream: ``docker load`` and ``docker import``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from wherry.content.digest import Digest
from wherry.engine.events import EventBus
from wherry.engine.image_register import ImageRegister, Named
from wherry.engine.intake.content import Content, LayerProgress, Report, UnpackedImage
from wherry.engine.intake.intake import Intake
from wherry.image.archive import Known, Source, chunks_of, read_archive
from wherry.image.changes import apply_changes
from wherry.image.manifest import Platform, RunConfig, host_platform
from wherry.image.rootfs import image_of, rootfs_config
from wherry.values.references import Reference


@dataclass(frozen=True, slots=True)
class LoadLine:
    """A line of text of a load's answer, newline included."""

    text: str


LoadMessage = LayerProgress | LoadLine
_Messages = asyncio.Queue[LoadMessage | BaseException | None]


class ImageLoader:
    """Takes images in, records them and says so. Belongs to the event loop; the long work runs in threads."""

    def __init__(self, intake: Intake, register: ImageRegister, events: EventBus) -> None:
        self._intake, self._register, self._events = intake, register, events
        self._loads: set[asyncio.Task[None]] = set()

    async def load(
        self, stream: Source, *, quiet: bool = True, platform: Platform | None = None
    ) -> AsyncIterator[LoadMessage]:
        """Load an archive of images; ``stream.read`` is called in a thread and may block.

        Yields progress (not if ``quiet``), then a line for each name. InvalidArgument for a bad archive, of
        which nothing is kept. If the reader of these messages leaves, the load goes on as long as its stream.
        """
        messages: _Messages = asyncio.Queue()
        task = asyncio.create_task(self._load(stream, platform, messages))
        self._loads.add(task)
        task.add_done_callback(self._loads.discard)
        while (message := await messages.get()) is not None:
            if isinstance(message, BaseException):
                raise message
            if not (quiet and isinstance(message, LayerProgress)):
                yield message

    async def import_(
        self,
        stream: Source,
        name: Reference | None,
        *,
        changes: Sequence[str] = (),
        message: str = "",
        platform: Platform | None = None,
    ) -> Digest:
        """Make an image of a root filesystem's tar, and name it where there is a ``name``; returns its id."""
        async with self._intake.open("import") as arrival:
            image = await arrival.work(
                unpack_rootfs, stream, name, changes, message, platform or host_platform()
            )
            await arrival.work(Content.keep, image)
            self._register.add([image])
        for named in image.packed.names:
            self._publish("tag", image.packed.id, named.familiar())
        self._publish("import", image.packed.id, image.packed.id)
        return image.packed.id

    async def _load(self, stream: Source, platform: Platform | None, messages: _Messages) -> None:
        loop = asyncio.get_running_loop()

        def report(progress: LayerProgress) -> None:
            loop.call_soon_threadsafe(messages.put_nowait, progress)

        try:
            for line in await self._take_in(stream, platform, report):
                messages.put_nowait(line)
            messages.put_nowait(None)
        except BaseException as error:
            messages.put_nowait(error)
            if not isinstance(error, Exception):
                raise

    async def _take_in(self, stream: Source, platform: Platform | None, report: Report) -> list[LoadLine]:
        async with self._intake.open("load") as arrival:
            known = self._register.layer_blobs().get
            images = await arrival.work(unpack_archive, stream, platform, report, known)
            await arrival.work(Content.keep, *images)
            names = self._register.add(images)
        for image in images:
            self._publish("load", image.packed.id, image.packed.id)
        return [line for image, named in zip(images, names, strict=True) for line in lines_of(image, named)]

    def _publish(self, action: str, image_id: Digest, name: str) -> None:
        self._events.image(action, image_id, name, self._register.labels(image_id))


def lines_of(image: UnpackedImage, names: Sequence[Named]) -> Iterator[LoadLine]:
    """What the user is told of a loaded image and the names that it was given, in Docker's words."""
    if not names:
        yield LoadLine(f"Loaded image ID: {image.packed.id}\n")
    for named in names:
        name = named.name.familiar()
        if named.previous is not None:
            yield LoadLine(
                f"The image {name} already exists, renaming the old one with ID {named.previous} "
                "to empty string\n"
            )
        yield LoadLine(f"Loaded image: {name}\n")


def unpack_archive(
    content: Content,
    stream: Source,
    platform: Platform | None,
    report: Report = lambda progress: None,
    known: Known = lambda chain_id: None,
) -> list[UnpackedImage]:
    """Take in all images of an archive that are for ``platform``. InvalidArgument if it is bad. Blocks."""
    packed = read_archive(content.read(stream), content.blobs, platform, known)
    return [content.unpack(image, report) for image in packed]


def unpack_rootfs(
    content: Content,
    stream: Source,
    name: Reference | None,
    changes: Sequence[str],
    message: str,
    platform: Platform,
) -> UnpackedImage:
    """Take in the tar of a root filesystem as an image of one layer, which runs as the ``changes`` say.

    ``message`` is its history's comment. InvalidArgument if it is damaged, hostile or ends within a file. Blocks.
    """
    run = apply_changes(RunConfig(), changes)
    blob = content.blobs.add(chunks_of(content.read(stream)))
    with content.blobs.path(blob.digest).open("rb", buffering=0) as file:
        layer = content.layers.unpack(chunks_of(file), [])
    config = rootfs_config(run, layer.diff_id, message, platform)
    return UnpackedImage(image_of(config, blob, name, content.blobs), (layer,))
