"""The stack of layers that a container's root is made of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wherry.engine.explain.planned import steps_of
from wherry.engine.image_record import ImageRecord
from wherry.messages.explain import LayerItem
from wherry.runtime.steps import OverlayRoot, Plan


def layer_items(image: ImageRecord, users: Iterable[ImageRecord], plan: Plan) -> list[LayerItem]:
    """Topmost first. ``users`` are the images of all containers here, this one's own included."""
    chains = [set(user.chain_ids) for user in users]
    root = next(steps_of(plan, OverlayRoot), None)
    commands = [*layer_commands(image), *[""] * len(image.chain_ids)]
    lowest_first = zip(image.diff_ids, image.chain_ids, image.layer_sizes, commands, strict=False)
    return [
        LayerItem(
            digest=digest,
            created_by=command,
            size=size,
            shared_by=max(sum(chain in used for used in chains) - 1, 0),
            cause=str(root.cause) if root is not None else f"image {image.id}",
        )
        for digest, chain, size, command in lowest_first
    ][::-1]


def layer_commands(image: ImageRecord) -> Iterator[str]:
    """What made each layer, lowest first. OCI image-spec, config.md "history"."""
    return (step.created_by or step.comment for step in image.config.history or () if not step.empty_layer)
