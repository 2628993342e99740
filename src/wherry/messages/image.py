"""What is answered about images. Engine API, Image."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType, field

from wherry.messages.base import GraphDriver, Model


class ImageSummary(Model, kw_only=True):
    """``GET /images/json``, one image."""

    containers: int
    created: int
    id: str
    labels: dict[str, str] | None
    parent_id: str
    repo_digests: list[str]
    repo_tags: list[str]
    shared_size: int = -1
    size: int
    virtual_size: int | UnsetType = UNSET


class RootFS(Model, kw_only=True):
    """The layers, as diff IDs, lowest first."""

    type: str
    layers: list[str] | UnsetType = UNSET


class Metadata(Model, kw_only=True):
    """What is ours about an image."""

    last_tag_time: str


class ImageInspect(Model, kw_only=True):
    """``GET /images/{name}/json``."""

    id: str
    repo_tags: list[str]
    repo_digests: list[str]
    parent: str
    comment: str
    created: str
    container_config: dict[str, Any] | UnsetType = UNSET
    docker_version: str
    author: str
    config: dict[str, Any]
    architecture: str
    variant: str | UnsetType = UNSET
    os: str
    size: int
    virtual_size: int | UnsetType = UNSET
    graph_driver: GraphDriver
    root_fs: RootFS = field(name="RootFS")
    metadata: Metadata


class HistoryEntry(Model, kw_only=True):
    """``GET /images/{name}/history``, one step."""

    comment: str
    created: int
    created_by: str
    id: str
    size: int
    tags: list[str] | None


class RemovalEntry(Model, kw_only=True):
    """``DELETE /images/{name}``, one name or image that is gone."""

    untagged: str | UnsetType = UNSET
    deleted: str | UnsetType = UNSET
