"""What is under way and what was started, one file a container: ``<exec-root>/containers/<id>/launch.json``.

It is written before the first step of a start is done, and again, whole, before the launcher begins: the preparation as
it was done, the launcher's steps, and the OCI specification that both come from. When the command runs it is made
read-only: from then on somebody may have been told. While it is there, the host may hold something for the container;
when all is given back it is called ``ended.json``, and tells what the last start was. It lies in the exec root, because
a reboot takes it together with what it names.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from wherry.engine.config import EngineConfig
from wherry.engine.paths import ContainerPaths
from wherry.engine.preparation.step import EngineStep
from wherry.errors import Internal, wanting
from wherry.linux.writing import write_all
from wherry.runtime.oci_spec import Spec
from wherry.runtime.plan_file import Document, encode, from_document, named
from wherry.runtime.steps import Plan

Version = tuple[int, int]  # of a file: inode and time of the last change
READ_ONLY = 0o400
RECENT = 16  # launches that are kept in memory; each is some 30 kB


class File(msgspec.Struct, omit_defaults=True):
    """The file as it is read. ``steps`` and ``spec`` are empty until the plan is whole."""

    preparation: list[Document]
    steps: list[Document] = []
    spec: Spec | None = None


@dataclass(frozen=True, slots=True)
class Launched:
    """What was started: ``spec`` is None where it came to no plan."""

    plan: Plan
    spec: Spec | None = None

    @property
    def preparation(self) -> tuple[EngineStep, ...]:
        """The engine's steps."""
        return tuple(step for step in self.plan.preparation if isinstance(step, EngineStep))

    @property
    def cgroup(self) -> str:
        """Its cgroup's path, the same below every controller. OCI runtime-spec, config-linux.md "Cgroups Path"."""
        return self.spec.linux.cgroups_path if self.spec is not None and self.spec.linux is not None else ""

    def document(self) -> bytes:
        """As it is kept."""
        plan = self.plan
        return encode({"preparation": named(plan.preparation), "steps": named(plan.steps), "spec": self.spec})


class Whole(Protocol):
    """A whole plan, as the journal takes it."""

    def document(self) -> bytes:
        """JSON of a ``File``."""


decode_file = msgspec.json.Decoder(File).decode


class Journal:
    """The launches of one engine. Files appear by rename, whole; what cannot be read counts as not there, but
    for those who ask for what runs."""

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._recent: dict[
            str, tuple[Version, Launched]
        ] = {}  # read at each command in a container, which is dear

    def begin(self, id: str, steps: Iterable[EngineStep]) -> None:
        """These steps are about to be done. Internal where that cannot be written down."""
        with wanting(f"note what is to be started in {self._config.runtime_dir}"):
            with suppress(FileExistsError):
                os.mkdir(ContainerPaths(self._config, id).runtime, 0o700)
            self._write(id, encode({"preparation": named(steps)}))

    def keep(self, id: str, whole: Whole) -> None:
        """All is prepared, and this is about to be launched. Internal where that cannot be written down."""
        with wanting(f"note what is started in {self._config.runtime_dir}"):
            self._write(id, whole.document())

    def runs(self, id: str) -> None:
        """The command runs. OSError where that cannot be noted."""
        os.chmod(ContainerPaths(self._config, id).launch, READ_ONLY)

    def has_run(self, id: str) -> bool:
        """Whether what the host may hold something of came so far that its command ran."""
        try:
            return os.stat(ContainerPaths(self._config, id).launch).st_mode & stat.S_IWUSR == 0
        except OSError:
            return False

    def end(self, id: str) -> None:
        """The host holds nothing of it any more. OSError where that cannot be noted."""
        paths = ContainerPaths(self._config, id)
        with suppress(FileNotFoundError):
            os.rename(paths.launch, paths.ended)

    def under_way(self, id: str) -> Launched | None:
        """What the host may hold something of."""
        try:
            return self._known(id)
        except (OSError, Damaged):
            return None

    def of_running(self, id: str) -> Launched:
        """What a container that runs was started with. Internal, with the reason, where that cannot be read."""
        with wanting(f"read what container {id} was started with"):
            try:
                return self._known(id)
            except Damaged as error:
                raise Internal(f"{error}: restart container {id} to have it written anew") from error

    def _known(self, id: str) -> Launched:
        """OSError, Damaged."""
        path = ContainerPaths(self._config, id).launch
        status = os.stat(path)
        version = status.st_ino, status.st_mtime_ns
        known, launched = self._recent.get(id, (None, None))
        if launched is None or version != known:
            launched = load(path)
            self._recent[id] = version, launched
            if len(self._recent) > RECENT:
                self._recent.pop(next(iter(self._recent)), None)
        return launched

    def last(self, id: str) -> Launched | None:
        """What runs or, if nothing does, what was started last since the machine came up."""
        return self.under_way(id) or read(ContainerPaths(self._config, id).ended)

    def time_of(self, id: str) -> int | None:
        """When the last launch was written down, in nanoseconds since the epoch; None where none is known."""
        paths = ContainerPaths(self._config, id)
        for path in (paths.launch, paths.ended):
            with suppress(OSError):
                return os.stat(path).st_mtime_ns
        return None

    def _write(self, id: str, content: bytes) -> None:
        path = ContainerPaths(self._config, id).launch
        draft = f"{path}.new"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            write_all(descriptor, content)
        finally:
            os.close(descriptor)
        os.rename(draft, path)


class Damaged(Exception):
    """A file of the journal that says something else. Says which, and why."""


def load(path: str) -> Launched:
    """What a file of the journal says. OSError; Damaged."""
    content = Path(path).read_bytes()
    try:
        file = decode_file(content)
        return Launched(Plan(from_document(file.steps), from_document(file.preparation)), file.spec)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise Damaged(f"{path} is damaged: {error}") from error


def read(path: str) -> Launched | None:
    """The same; None where it is missing or cannot be read whole."""
    try:
        return load(path)
    except (OSError, Damaged):
        return None
