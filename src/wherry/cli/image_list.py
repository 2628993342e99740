"""``images`` and ``history``."""

from __future__ import annotations

import time

from wherry.cli.command import Context, Options, command, switch, text
from wherry.cli.output import (
    filter_query,
    filters,
    list_format,
    local_time,
    print_rows,
    short_id,
)
from wherry.cli.row import Row
from wherry.values.durations import human_duration
from wherry.values.sizes import human_size
from wherry.values.times import local_rfc3339
from wherry.values.words import shortened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Json = dict[str, Any]

NONE = "<none>"
CREATED_BY_WIDTH = 45
HEADERS = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "VirtualSize": "VIRTUAL SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "Containers": "CONTAINERS",
}
HISTORY_HEADERS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}

LS_FLAGS = (
    switch("all", "a", "Show all images (default hides intermediate images)"),
    switch("digests", "", "Show digests"),
    filters(),
    list_format(),
    switch("no-trunc", "", "Don't truncate output"),
    switch("quiet", "q", "Only show image IDs"),
)


@command("[OPTIONS] [REPOSITORY[:TAG]]", LS_FLAGS, most=1)
def ls(context: Context, options: Options) -> int:
    """Print images, a row for each name, as a table, ids or by a template."""
    wanted = [*options.filter, *(("reference", name) for name in options.args)]
    query = {"all": options.all, "filters": filter_query(wanted)}
    found = context.client.call("GET", "/images/json", query)
    digests = options.digests or ".Digest" in options.format
    rows = [row for image in found for row in image_rows(image, not options.no_trunc, digests)]
    if options.quiet:
        for row in rows:
            print(row["ID"])
        return 0
    columns = ["Repository", "Tag", *(["Digest"] if options.digests else []), "ID", "CreatedSince", "Size"]
    print_rows(rows, HEADERS, columns, options.format)
    return 0


def image_rows(image: Json, short: bool, digests: bool) -> Iterator[Row]:
    """One row a tag; an image without a tag has one row too."""
    tags = [tag.rpartition(":")[::2] for tag in image.get("RepoTags") or () if tag != "<none>:<none>"]
    by_repository: dict[str, list[str]] = {}
    for full in image.get("RepoDigests") or ():
        repository, _, digest = full.partition("@")
        if repository != NONE:
            by_repository.setdefault(repository, []).append(digest)
    for repository, tag in tags:
        for digest in (by_repository.get(repository) if digests else None) or [NONE]:
            yield _image_row(image, short, repository, tag, digest)
    if not tags:
        untagged = [(repository, given[0]) for repository, given in by_repository.items()]
        for repository, digest in untagged or [(NONE, NONE)]:
            yield _image_row(image, short, repository, NONE, digest if digests else NONE)


def _image_row(image: Json, short: bool, repository: str, tag: str, digest: str) -> Row:
    return Row(
        Repository=repository,
        Tag=tag,
        Digest=digest,
        ID=short_id(image["Id"]) if short else image["Id"],
        CreatedSince=_since(image["Created"]),
        CreatedAt=local_time(image["Created"]),
        Size=human_size(image["Size"]),
        VirtualSize=human_size(image["Size"], 4),
        SharedSize="N/A",  # these three are for `system df`
        UniqueSize="N/A",
        Containers="N/A",
    )


def _since(created: float) -> str:
    return human_duration(time.time() - created) + " ago" if created > 0 else "N/A"


HISTORY_FLAGS = (
    list_format(),
    switch("human", "H", "Print sizes and dates in human readable format", default=True),
    switch("no-trunc", "", "Don't truncate output"),
    text("platform", "", 'Show history for the given platform. Formatted as "os[/arch[/variant]]"'),
    switch("quiet", "q", "Only show image IDs"),
)


@command("[OPTIONS] IMAGE", HISTORY_FLAGS, least=1, most=1)
def history(context: Context, options: Options) -> int:
    """Print the steps in the making of an image, newest first."""
    found = context.client.call("GET", f"/images/{options.args[0]}/history")
    rows = [_history_row(layer, not options.no_trunc, options.human) for layer in found]
    if options.quiet:
        for row in rows:
            print(row["ID"])
        return 0
    created = "CreatedSince" if options.human else "CreatedAt"
    print_rows(rows, HISTORY_HEADERS, ["ID", created, "CreatedBy", "Size", "Comment"], options.format)
    return 0


def _history_row(layer: Json, short: bool, human: bool) -> Row:
    created_by = layer["CreatedBy"].replace("\t", " ")
    return Row(
        ID=short_id(layer["Id"]) if short else layer["Id"],
        CreatedSince=_since(layer["Created"]),
        CreatedAt=local_rfc3339(layer["Created"]),
        CreatedBy=shortened(created_by, CREATED_BY_WIDTH) if short else created_by,
        Size=human_size(layer["Size"]) if human else str(layer["Size"]),
        Comment=layer.get("Comment", ""),
    )
