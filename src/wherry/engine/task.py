"""What is to be run, and on what: all that a plan is made of. Pure.

A container's record becomes one at each start; whoever wants to run something without a record makes one itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wherry.engine.image_record import ImageRecord
from wherry.engine.record import ContainerRecord
from wherry.image.manifest import RunConfig
from wherry.messages.container import Config, EndpointSettings, HostConfig
from wherry.snapshot.layers import layer_name


@dataclass(frozen=True, slots=True)
class Task:
    """A process to be, with its surroundings. ``config`` is complete: what the image says of it has been merged in.

    ``image`` is only looked at to tell whose wish a setting was. ``layers`` are names in the layer store, lowest
    first. ``record`` is there where a container is to be kept.
    """

    id: str
    name: str
    argv: tuple[str, ...]
    config: Config
    host: HostConfig
    image: RunConfig
    layers: tuple[str, ...]
    networks: Mapping[str, EndpointSettings] = field(default_factory=dict)
    record: ContainerRecord | None = None

    @property
    def recursive_read_only(self) -> bool:
        """Whether a read-only bind is so with all that is mounted below it, where it does not say."""
        return self.record is None or self.record.recursive_read_only


def task_of(record: ContainerRecord, image: ImageRecord | None) -> Task:
    """A container's task. Without its image it can only be removed."""
    return Task(
        id=record.id,
        name=record.name,
        argv=record.argv,
        config=record.config,
        host=record.host_config,
        image=image.config.run if image is not None else RunConfig(),
        layers=layer_names(image) if image is not None else (),
        networks=record.networks,
        record=record,
    )


def layer_names(image: ImageRecord) -> tuple[str, ...]:
    """Directories of an image's layers in the layer store, lowest first."""
    return tuple(layer_name(chain_id) for chain_id in image.chain_ids)
