"""Plans that were made before, for another container of the same wish.

Planning is pure, and knows a container by its id alone: tasks that differ in nothing else have plans that differ in
nothing else. So a plan is kept in the two forms in which it goes out, to the launcher and into the journal, with marks
where the id stood, and whoever starts a thousand sandboxes of one kind plans once.

What a plan knows of the host comes in one of three ways:

* in steps between, which are never kept: address, name servers, ``/etc/hosts``, sources of binds that are missing;
* in the key: devices and the numbers of block devices (``Nodes``), namespaces that are joined and the shared memory
  (``Surroundings``), mounts, attributes of the log's lines;
* as it was when the daemon started: its host name, processors and their thermal paths, capabilities, OOM score, cgroup
  version and controllers, and its own options.

Users and groups are looked up in the image, and propagation and missing sources looked at before each plan is made.
"""

from __future__ import annotations

import secrets
import string
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import msgspec

from wherry.engine.preparation.step import EngineStep
from wherry.engine.preparation.surroundings import Surroundings
from wherry.engine.task import Task
from wherry.runtime.devices import HostDevice
from wherry.runtime.mounts import MountPoint
from wherry.runtime.oci_spec import Spec
from wherry.runtime.plan_file import encode, from_document, named
from wherry.runtime.resources import BlockDevices
from wherry.runtime.steps import Log, Step, on_wire

SHORT_ID = 12  # digits, as a container's own host name has
KEPT = 32  # templates; each is some 30 kB

pack = msgspec.msgpack.Encoder().encode
decode = msgspec.json.decode


@dataclass(frozen=True, slots=True)
class Nodes:
    """What a plan knows of the host's devices: those that the container is given, and those that limits are of."""

    devices: tuple[HostDevice, ...] = ()
    blocks: BlockDevices = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some steps in their two forms: ``wire`` for the launcher, ``document`` the elements of a JSON array."""

    count: int
    wire: bytes
    document: bytes

    @classmethod
    def of(cls, steps: Sequence[Step]) -> Piece:
        return cls(len(steps), b"".join(step.encode() for step in steps), encode(named(steps))[1:-1])


class Marks:
    """What stands for an id, whole and short, in a template: letters that no id has and nobody outside can know."""

    def __init__(self) -> None:
        self._short, self._whole = (
            "".join(secrets.choice(string.ascii_uppercase) for _ in range(length)).encode()
            for length in (SHORT_ID, 2 * SHORT_ID)
        )

    def put(self, content: bytes, id: str) -> bytes:
        """Marks in place of an id."""
        whole = id.encode()
        return content.replace(whole, self._whole).replace(whole[:SHORT_ID], self._short)

    def fill(self, content: bytes, id: str) -> bytes:
        """An id in place of the marks."""
        whole = id.encode()
        return content.replace(self._whole, whole).replace(self._short, whole[:SHORT_ID])


@dataclass(frozen=True, slots=True)
class Template:
    """A plan with marks, in two parts: what is looked up at each start comes between. ``spec`` is JSON."""

    marks: Marks
    head: Piece
    tail: Piece
    spec: bytes

    @classmethod
    def of(
        cls, marks: Marks, id: str, steps: Sequence[Step], between: Sequence[Step], spec: Spec
    ) -> Template:
        """Of a plan for a container, of which the steps ``between`` stand somewhere in one piece."""
        at = steps.index(between[0])
        head, tail = (
            Piece(p.count, marks.put(p.wire, id), marks.put(p.document, id))
            for p in map(Piece.of, (steps[:at], steps[at + len(between) :]))
        )
        return cls(marks, head, tail, marks.put(encode(spec), id))


@dataclass(frozen=True)
class WrittenPlan:
    """A plan that is ready to go out. ``between`` is of this start; ``preparation`` as it was done."""

    template: Template
    id: str
    between: Sequence[Step]
    preparation: Sequence[EngineStep]

    def encode(self) -> bytes:
        """The launcher's steps, as it reads them."""
        head, between, tail = self._pieces
        body = self._filled(head.wire) + between.wire + self._filled(tail.wire)
        return on_wire(head.count + between.count + tail.count, body)

    def document(self) -> bytes:
        """As it is kept beside the container: JSON of preparation, steps and specification."""
        return b'{"preparation":%b,"steps":%b,"spec":%b}' % (
            encode(named(self.preparation)),
            self._steps(),
            self._filled(self.template.spec),
        )

    def _steps(self) -> bytes:
        head, between, tail = self._pieces
        parts = self._filled(head.document), between.document, self._filled(tail.document)
        return b"[%b]" % b",".join(filter(None, parts))

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The launcher's steps, read back: for who wants to know which of them failed."""
        return from_document(decode(self._steps()))

    @cached_property
    def _pieces(self) -> tuple[Piece, Piece, Piece]:
        return self.template.head, Piece.of(self.between), self.template.tail

    def _filled(self, content: bytes) -> bytes:
        return self.template.marks.fill(content, self.id)


class Templates:
    """The plans of late, by wish."""

    def __init__(self) -> None:
        self._marks = Marks()
        self._kept: OrderedDict[bytes, Template] = OrderedDict()

    def find(self, key: bytes) -> Template | None:
        """None where no such was planned of late."""
        template = self._kept.get(key)
        if template is not None:
            self._kept.move_to_end(key)
        return template

    def make(
        self, key: bytes, id: str, steps: Sequence[Step], between: Sequence[Step], spec: Spec
    ) -> Template:
        """The template of a plan that was made for this key, kept for the next of its kind."""
        template = Template.of(self._marks, id, steps, between, spec)
        self._kept[key] = template
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return template

    def key(
        self,
        task: Task,
        place: Surroundings,
        points: Sequence[MountPoint],
        log: Log | None,
        nodes: Nodes,
    ) -> bytes:
        """All that a plan depends on, without the id.

        ``log`` is what a plan takes from name and record: they may be told in each line.
        """
        wish = replace(task, id="", name="", networks={}, record=None)  # a new field of either is in
        there = replace(place, address=None)
        return self._marks.put(pack((len(task.id), wish, there, points, log, nodes)), task.id)
