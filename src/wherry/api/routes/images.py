"""Routes of images. Engine API, Image."""

from __future__ import annotations

from collections.abc import AsyncIterator

from wherry.api.call import Call, Exchange
from wherry.api.errors import HttpError
from wherry.api.query import NO_FILTERS
from wherry.api.render import images as render
from wherry.api.render.progress import bar_message, encode_message, error_message
from wherry.api.reply import Stream
from wherry.api.routing import Routes
from wherry.api.upload import receiving
from wherry.api.version import Version
from wherry.engine.engine import Engine
from wherry.engine.filters import Filters
from wherry.engine.image import LayerProgress, LoadLine
from wherry.errors import InvalidArgument, WherryError
from wherry.image.manifest import Platform, decode
from wherry.messages.image import HistoryEntry, ImageInspect, ImageSummary, RemovalEntry
from wherry.messages.progress import Message
from wherry.values.platforms import LINUX
from wherry.values.references import Reference

routes = Routes()


@routes.get("/images/json")
def list_images(
    engine: Engine, call: Call, all: bool = False, filters: Filters = NO_FILTERS
) -> list[ImageSummary]:
    """Images, newest first; with ``all`` also those that are only steps towards others."""
    return [render.summary(view, call.version) for view in engine.images.list(filters, all=all)]


@routes.get("/images/{name}/json")
def inspect(engine: Engine, call: Call, name: str, platform: str = "") -> ImageInspect:
    """Everything about one image."""
    wanted = platform_since((1, 49), platform, call.version)
    return render.inspect(engine.views.image(name, wanted), call.version)


@routes.get("/images/{name}/history")
def history(engine: Engine, call: Call, name: str, platform: str = "") -> list[HistoryEntry]:
    """The steps that made it, newest first."""
    wanted = platform_since((1, 48), platform, call.version)
    engine.views.image(name, wanted)  # NotFound where it is for another one
    return [render.history(item) for item in engine.images.history(name)]


@routes.post("/images/{name}/tag", status=201)
async def tag(engine: Engine, name: str, repo: str, tag: str = "") -> None:
    """Give an image a further name."""
    await engine.images.tag(name, repo, tag)


@routes.delete("/images/{name}")
async def remove(
    engine: Engine,
    call: Call,
    name: str,
    force: bool = False,
    noprune: bool = False,
    platforms: list[str] | None = None,
) -> list[RemovalEntry]:
    """Take a name away and, with the last one, the image. 409 a container uses it."""
    if platforms is not None and call.version >= (1, 50):
        engine.views.image(name, one_platform(platforms))  # NotFound where it is for another one
    return [render.removal(step) for step in await engine.images.remove(name, force=force, noprune=noprune)]


@routes.post("/images/load")
async def load(engine: Engine, exchange: Exchange, quiet: bool = True, platform: str = "") -> Stream:
    """Load the images of an archive (``docker save``, or an OCI layout) in the body."""
    wanted = platform_since((1, 48), platform, exchange.version)
    return Stream(load_messages(engine, exchange, quiet, wanted))


async def load_messages(
    engine: Engine, exchange: Exchange, quiet: bool, platform: Platform | None
) -> AsyncIterator[bytes]:
    begun = False
    with receiving(exchange.request.content) as upload:
        try:
            async for item in engine.images.load(upload, quiet=quiet, platform=platform):
                yield encode_message(load_message(item))
                begun = True
        except WherryError as error:
            if not begun:
                raise
            yield encode_message(error_message(error.message))


def load_message(item: LayerProgress | LoadLine) -> Message:
    if isinstance(item, LoadLine):
        return Message(stream=item.text)
    return bar_message("Loading layer", item.diff_id.removeprefix("sha256:")[:12], item.current, item.total)


@routes.post("/images/create")
async def create(
    engine: Engine,
    exchange: Exchange,
    from_image: str = "",
    from_src: str = "",
    repo: str = "",
    tag: str = "",
    message: str = "",
    changes: list[str] = [],  # noqa: B006  (read, never changed)
    platform: str = "",
) -> Stream:
    """Import the tar of a root filesystem in the body (``fromSrc=-``). Pulling is not there yet."""
    if from_image:
        raise pull_refused(from_image, tag)
    if from_src != "-":
        raise InvalidArgument("fromSrc must be '-': send the archive as the request's body")
    text = message or f"Imported from {from_src}"
    return Stream(import_messages(engine, exchange, repo, tag, changes, text, import_platform(platform)))


async def import_messages(
    engine: Engine,
    exchange: Exchange,
    repo: str,
    tag: str,
    changes: list[str],
    text: str,
    platform: Platform | None,
) -> AsyncIterator[bytes]:
    with receiving(exchange.request.content) as upload:
        id = await engine.images.import_(
            upload, repo=repo, tag=tag, changes=changes, message=text, platform=platform
        )
        yield encode_message(Message(status=id))


def pull_refused(name: str, tag: str) -> HttpError:
    """501, with what to do instead. The name is checked first: a wrong one is the caller's mistake."""
    shown = Reference.parse(f"{name}{'@' if ':' in tag else ':'}{tag}" if tag else name).familiar()
    return HttpError(
        501,
        f"cannot pull {shown}: this version of wherry has no registry client yet; "
        "load or import the image instead",
    )


# ---------------------------------------------------------------- platforms


def parse_platform(text: str) -> Platform | None:
    """``{"os": "linux", "architecture": "amd64"}``."""
    if not text:
        return None
    platform = decode(text.encode("utf-8", "surrogateescape"), Platform, "platform")
    if not platform.os or not platform.architecture:
        raise InvalidArgument("both OS and Architecture must be provided")
    return platform


def platform_since(first: Version, text: str, version: Version) -> Platform | None:
    """The same, from the ``first`` version of the API that has it; nobody looked at it before."""
    return parse_platform(text) if version >= first else None


def one_platform(texts: list[str]) -> Platform:
    """The same of a list: an image is for one."""
    if len(texts) > 1:
        raise InvalidArgument("multiple platforms are not supported")
    platform = parse_platform(texts[0])
    if platform is None:
        raise InvalidArgument("invalid platform: it is empty")
    return platform


def import_platform(text: str) -> Platform | None:
    """``linux/arm64/v8``, or only an operating system or an architecture."""
    if not text:
        return None
    platform = Platform.parse(text)
    if platform.os != LINUX:
        raise InvalidArgument(f"cannot import an image for {platform.os}: operating system is not supported")
    return platform
