"""What goes with an image that is removed: names, parents that nobody needs, layers."""

from __future__ import annotations

import pytest

from tests.image.making import sha256
from wherry.content.digest import Digest
from wherry.engine.image_names import Catalog
from wherry.engine.image_record import ImageRecord
from wherry.engine.image_removal import RemovalPlan, Untagged
from wherry.errors import Conflict
from wherry.image.manifest import ImageConfig

BASE, MID, TOP = (Digest(sha256(name)) for name in (b"base", b"mid", b"top"))
LAYER = {id: Digest(sha256(id.encode())) for id in (BASE, MID, TOP)}
WORDS = {BASE: "base", MID: "mid", TOP: "top"}
WORDS |= {LAYER[id]: f"layer of {word}" for id, word in WORDS.items()}
USER = "c" * 64


def image(id: Digest, *below: Digest) -> ImageRecord:
    """With a layer of its own on those of the images below, the last of which is its parent."""
    return ImageRecord(
        id=id,
        config=ImageConfig(),
        chain_ids=tuple(LAYER[other] for other in (*below, id)),
        layers=(),
        layer_sizes=(),
        parent=below[-1] if below else None,
    )


IMAGES = {i.id: i for i in (image(BASE), image(MID, BASE), image(TOP, BASE, MID))}


def removed(
    ref: str,
    tags: dict[str, Digest],
    *,
    force: bool = False,
    prune: bool = True,
    users: dict[Digest, bool] | None = None,
) -> list[str]:
    """What goes, each in a word. ``users``: images with a container, and whether it runs."""
    who = users or {}
    full = {f"docker.io/library/{name}": id for name, id in tags.items()}
    plan = RemovalPlan(
        Catalog(IMAGES, full), lambda id: [(USER, who[id])] if id in who else [], force=force, prune=prune
    )
    return [
        step.reference.familiar() if isinstance(step, Untagged) else WORDS[step.id]
        for step in plan.remove(ref)
    ]


# ---------------------------------------------------------------- names


def test_a_digest_goes_with_the_last_tag_of_its_repository() -> None:
    one, two = f"a@{BASE}", f"b@{BASE}"
    tags = {"a:1": TOP, one: TOP, two: TOP}
    assert removed("a:1", tags) == ["a:1", one]
    assert removed("a:1", {**tags, "a:2": TOP}) == ["a:1"]
    assert removed("a:1", {**tags, "b:2": TOP}) == ["a:1", one]
    assert removed(one, {"a:1": TOP, one: TOP}) == [one]


# ---------------------------------------------------------------- parents and children


def test_parents_without_a_name_go_too() -> None:
    tags = {"top:latest": TOP, "base:latest": BASE}
    assert removed("top", tags) == ["top:latest", "top", "layer of top", "mid", "layer of mid"]
    assert removed("top", tags, prune=False) == ["top:latest", "top", "layer of top"]
    assert removed("top", {"top:latest": TOP})[-2:] == ["base", "layer of base"]


@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize("runs", [True, False])
def test_a_parent_that_a_container_uses_stays(runs: bool, force: bool) -> None:
    gone = removed("top", {"top:latest": TOP}, users={MID: runs}, force=force)
    assert gone == ["top:latest", "top", "layer of top"]


@pytest.mark.parametrize("force", [True, False])
def test_a_parent_with_a_name_stays_also_by_force(force: bool) -> None:
    assert removed(TOP, {"top:latest": TOP, "mid:latest": MID}, force=force)[1:] == ["top", "layer of top"]


@pytest.mark.parametrize("force", [True, False])
def test_what_others_are_built_on_loses_only_its_name(force: bool) -> None:
    assert removed("base", {"base:latest": BASE}, force=force) == ["base:latest"]
    with pytest.raises(Conflict, match=r"\(cannot be forced\) - image has dependent child images"):
        removed(BASE, {}, force=force)


# ---------------------------------------------------------------- containers


def test_the_layers_of_a_container_stay() -> None:
    assert removed("top", {"top:latest": TOP}, users={TOP: False}, force=True, prune=False) == [
        "top:latest", "top",
    ]  # fmt: skip


def test_a_last_name_of_two_goes_though_a_container_uses_it() -> None:
    tags = {"a:latest": TOP, "b:latest": TOP}
    assert removed("a", tags, users={TOP: True}) == ["a:latest"]
