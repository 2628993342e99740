"""Images as lists and ``inspect`` show them. Engine API, ImageSummary, ImageInspect, HistoryResponseItem."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from wherry.api.render.containers import CONFIG_OPTIONAL, without_empty
from wherry.api.version import Version
from wherry.engine.image import Deleted, HistoryItem, ImageView
from wherry.engine.image_removal import Removal
from wherry.engine.views import ImageDetail
from wherry.image.manifest import RunConfig
from wherry.messages.base import ZERO_TIME, GraphDriver
from wherry.messages.container import Config
from wherry.messages.image import HistoryEntry, ImageInspect, ImageSummary, Metadata, RemovalEntry, RootFS
from wherry.runtime.image_config import words
from wherry.values.platforms import LINUX
from wherry.values.times import rfc3339

# What an image's config can say; the rest of a container's is always empty in it.
IMAGE_CONFIG = frozenset(
    {
        "ArgsEscaped", "Cmd", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "Labels", "OnBuild", "Shell",
        "StopSignal", "StopTimeout", "User", "Volumes", "WorkingDir",
    }
)  # fmt: skip

# Lists, of which an image may write a text alone; dockerd's clients read lists only.
COMMANDS = ("Cmd", "Entrypoint", "Shell")


def summary(view: ImageView, version: Version) -> ImageSummary:
    """One line of ``images``, in the shape of the client's API version."""
    record = view.record
    nameless = not view.repo_tags and not view.repo_digests and version < (1, 43)
    return ImageSummary(
        containers=view.containers if version >= (1, 51) else -1,
        created=int(record.config.created_at),
        id=record.id,
        labels=record.config.run.labels,
        parent_id=record.parent or "",
        repo_digests=["<none>@<none>"] if nameless else list(view.repo_digests),
        repo_tags=["<none>:<none>"] if nameless else list(view.repo_tags),
        size=record.size,
        virtual_size=record.size if version < (1, 44) else UNSET,
    )


def inspect(detail: ImageDetail, version: Version) -> ImageInspect:
    """Everything about one image, in the shape of the client's API version."""
    view, record, document = detail.view, detail.view.record, detail.view.record.config
    return ImageInspect(
        id=record.id,
        repo_tags=list(view.repo_tags),
        repo_digests=list(view.repo_digests),
        parent=record.parent or "",
        comment=document.comment,
        created=document.created or ZERO_TIME,
        container_config=config(RunConfig(), (1, 24)) if version < (1, 45) else UNSET,
        docker_version=document.docker_version,
        author=document.author,
        config=config(document.run, version),
        architecture=document.architecture,
        variant=document.variant or UNSET,
        os=document.os or LINUX,
        size=record.size,
        virtual_size=record.size if version < (1, 44) else UNSET,
        graph_driver=graph_driver(detail.directories),
        root_fs=RootFS(type="layers", layers=list(record.diff_ids) or UNSET),
        metadata=Metadata(
            last_tag_time=rfc3339(int(record.tagged_at * 1e9)) if record.tagged_at else ZERO_TIME
        ),
    )


def graph_driver(directories: list[str]) -> GraphDriver:
    """The topmost layer over all others, as overlayfs would name them."""
    *lower, upper = directories or [""]
    data = {"UpperDir": upper}
    if lower:
        data["LowerDir"] = ":".join(reversed(lower))
    return GraphDriver(data=data, name="overlay2")


def config(run: RunConfig, version: Version) -> dict[str, Any]:
    """The config that containers start from. Before 1.50 with all the fields that containers have."""
    stated: dict[str, Any] = msgspec.to_builtins(run)
    stated |= {name: words(stated[name]) for name in COMMANDS if name in stated}
    whole: dict[str, Any] = {**msgspec.to_builtins(Config()), **stated}
    shown = whole if version < (1, 50) else {name: whole[name] for name in whole if name in IMAGE_CONFIG}
    return without_empty(dict(sorted(shown.items())), CONFIG_OPTIONAL)


def history(item: HistoryItem) -> HistoryEntry:
    """One step that made an image."""
    return HistoryEntry(
        comment=item.comment,
        created=int(item.created),
        created_by=item.created_by,
        id=item.id,
        size=item.size,
        tags=list(item.tags) or None,
    )


def removal(step: Removal) -> RemovalEntry:
    """One name or image that is gone."""
    if isinstance(step, Deleted):
        return RemovalEntry(deleted=step.id)
    return RemovalEntry(untagged=step.reference.familiar())
