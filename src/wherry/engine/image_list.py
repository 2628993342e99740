"""Which images a list shows, and what is said of each. Engine API, ``GET /images/json``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wherry.content.digest import Digest
from wherry.engine.filters import Filters
from wherry.engine.image_names import Catalog
from wherry.engine.image_record import ImageRecord
from wherry.errors import InvalidArgument
from wherry.image.manifest import History, parse_time
from wherry.values import globs
from wherry.values.durations import SECOND
from wherry.values.references import Reference
from wherry.values.times import parse_moment, parse_stamp

IMAGE_FILTERS = frozenset(["before", "dangling", "label", "reference", "since", "until"])


@dataclass(frozen=True, slots=True)
class ImageView:
    """An image with the names by which it is shown, in Docker's short spelling."""

    record: ImageRecord
    repo_tags: tuple[str, ...]
    repo_digests: tuple[str, ...]
    containers: int  # how many are made from it


@dataclass(frozen=True, slots=True)
class HistoryItem:
    """A step in the making of an image; ``id`` is ``<missing>`` for all that have no image of their own."""

    id: str
    created: float  # seconds since the epoch
    created_by: str
    comment: str
    size: int  # bytes of its layer
    tags: tuple[str, ...] = ()


def view(
    catalog: Catalog, image: ImageRecord, containers: int, shown: Callable[[Reference], bool]
) -> ImageView:
    """An image with its names that are ``shown``; where its manifest is known, each has a digest too."""
    names = [reference for reference in catalog.references(image.id) if shown(reference)]
    tags = tuple(reference.familiar() for reference in names if reference.tag)
    digests = [reference.familiar() for reference in names if reference.digest]
    if image.manifest:
        digests += [f"{name}@{image.manifest}" for name in {r.familiar_name for r in names if r.tag}]
    return ImageView(image, tags, tuple(sorted(set(digests))), containers)


def select(
    catalog: Catalog, filters: Filters, users: Callable[[Digest], int], *, show_all: bool
) -> list[ImageView]:
    """The images that pass, newest first. InvalidArgument for a filter that is wrong, NotFound for a missing image."""
    filters.check(IMAGE_FILTERS)
    rules = _Rules(catalog, filters, show_all)
    chosen = []
    for image in sorted(catalog.images.values(), key=lambda image: image.config.created_at, reverse=True):
        if rules.fits(image):
            shown = view(catalog, image, users(image.id), rules.shows)
            if rules.fits_names(shown):
                chosen.append(shown)
    return chosen


class _Rules:
    """One request's filters. ``before`` and ``since`` compare times of creation, as Docker does."""

    def __init__(self, catalog: Catalog, filters: Filters, show_all: bool) -> None:
        self._catalog, self._filters, self._show_all = catalog, filters, show_all
        self._dangling = filters.flag("dangling")
        self._patterns = globs.parse(filters.get("reference"))
        before = [catalog.find(value).config.created_at for value in filters.get("before")]
        until = [filter_moment(value, "until") for value in filters.get("until")]
        self._before = min(before + until, default=None)
        self._since = max((catalog.find(v).config.created_at for v in filters.get("since")), default=None)

    def fits(self, image: ImageRecord) -> bool:
        created = image.config.created_at
        return (
            (self._before is None or created < self._before)
            and (self._since is None or created > self._since)
            and self._filters.labels("label", image.config.run.labels)
        )

    def shows(self, reference: Reference) -> bool:
        """Names that match no ``reference`` pattern are left out of an image's names."""
        return not self._patterns or any(map(reference.matches, self._patterns))

    def fits_names(self, shown: ImageView) -> bool:
        children = self._catalog.children(shown.record.id)
        if shown.repo_tags or shown.repo_digests:
            return not (self._dangling and shown.repo_tags)
        if self._patterns:
            return False
        if self._dangling:
            return not children
        return not self._filters.get("dangling") and (self._show_all or not children)


def history(catalog: Catalog, image: ImageRecord) -> list[HistoryItem]:
    """Newest step first. OCI image-spec, config.md "history"."""
    sizes = iter(image.layer_sizes)
    items = [
        HistoryItem(
            "<missing>", parse_time(step.created), step.created_by, step.comment, _size(step, sizes.__next__)
        )
        for step in image.config.history or ()
    ]
    named = _ancestry(catalog, image)
    return [
        HistoryItem(id, item.created, item.created_by, item.comment, item.size, named.get(id, ()))
        for item, id in zip(reversed(items), _padded(list(named), len(items)), strict=True)
    ]


def _size(step: History, next_size: Callable[[], int]) -> int:
    if step.empty_layer:
        return 0
    try:
        return next_size()
    except StopIteration:
        raise InvalidArgument("the image's history has more layers than the image") from None


def _ancestry(catalog: Catalog, image: ImageRecord) -> Mapping[str, tuple[str, ...]]:
    """Ids of the image and of those that it was built from, with their tags."""
    found: dict[str, tuple[str, ...]] = {}
    current: ImageRecord | None = image
    while current is not None and current.id not in found:
        found[current.id] = tuple(name.familiar() for name in catalog.references(current.id) if name.tag)
        current = catalog.images.get(current.parent or "")
    return found


def _padded(ids: list[str], count: int) -> list[str]:
    return (ids + ["<missing>"] * count)[:count]


def filter_moment(text: str, what: str) -> float:
    """Seconds since 1970 of what a filter says: a duration (ago), seconds, or a time of RFC 3339, short forms too."""
    try:
        return parse_stamp(parse_moment(text, local=False)) / SECOND
    except InvalidArgument:
        raise InvalidArgument(
            f"invalid filter '{what}={text}': expected a duration, seconds or an RFC 3339 time"
        ) from None
