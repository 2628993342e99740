"""What is under way and what was started, one file a container: ``<exec-root>/containers/<id>/launch.json``.

It is written before the first step of a start is done, and again, whole, before the launcher begins: the preparation as
it was done, the launcher's steps, and the OCI specification that both come from. While it is there, the host may hold
something for the container; when all is given back it is called ``ended.json``, and tells what the last start was. It
lies in the exec root, because a reboot takes it together with what it names.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from wherry.engine.config import EngineConfig
from wherry.engine.paths import ContainerPaths
from wherry.engine.preparation.step import EngineStep
from wherry.runtime.oci_spec import Spec
from wherry.runtime.plan_file import Document, from_document, to_document
from wherry.runtime.steps import Plan


class File(msgspec.Struct, omit_defaults=True):
    """The file. ``steps`` and ``spec`` are empty until the plan is whole."""

    preparation: list[Document]
    steps: list[Document] = []
    spec: msgspec.Raw = msgspec.Raw()


@dataclass(frozen=True, slots=True)
class Launched:
    """What was started: ``spec`` is None where it came to no plan."""

    plan: Plan
    spec: Spec | None = None

    @property
    def preparation(self) -> tuple[EngineStep, ...]:
        return tuple(step for step in self.plan.preparation if isinstance(step, EngineStep))

    @property
    def cgroup(self) -> str:
        """Its cgroup's path, the same below every controller. OCI runtime-spec, config-linux.md "Cgroups Path"."""
        return self.spec.linux.cgroups_path if self.spec is not None and self.spec.linux is not None else ""


encode = msgspec.json.Encoder().encode
decode_file = msgspec.json.Decoder(File).decode
decode_spec = msgspec.json.Decoder(Spec).decode


class Journal:
    """The launches of one engine. Files appear by rename, whole; what cannot be read counts as not there."""

    def __init__(self, config: EngineConfig) -> None:
        self._config = config

    def begin(self, id: str, steps: Iterable[EngineStep]) -> None:
        """These steps are about to be done."""
        ContainerPaths.of(self._config, id).runtime.mkdir(mode=0o700, exist_ok=True)
        self._write(id, File(to_document(steps)))

    def keep(self, id: str, launched: Launched) -> None:
        """All is prepared, and this is about to be launched."""
        spec = msgspec.Raw(encode(launched.spec)) if launched.spec is not None else msgspec.Raw()
        plan = launched.plan
        self._write(id, File(to_document(plan.preparation), to_document(plan.steps), spec))

    def end(self, id: str) -> None:
        """The host holds nothing of it any more."""
        paths = ContainerPaths.of(self._config, id)
        with suppress(FileNotFoundError):
            os.rename(paths.launch, paths.ended)

    def under_way(self, id: str) -> Launched | None:
        """What the host may hold something of."""
        return read(ContainerPaths.of(self._config, id).launch)

    def last(self, id: str) -> Launched | None:
        """What runs or, if nothing does, what was started last since the machine came up."""
        return self.under_way(id) or read(ContainerPaths.of(self._config, id).ended)

    def _write(self, id: str, file: File) -> None:
        path = ContainerPaths.of(self._config, id).launch
        draft = path.with_suffix(".new")
        draft.write_bytes(encode(file))
        os.rename(draft, path)


def read(path: Path) -> Launched | None:
    try:
        file = decode_file(path.read_bytes())
        preparation = from_document(file.preparation)
        steps = from_document(file.steps)
        spec = decode_spec(file.spec) if bytes(file.spec) else None
    except (OSError, msgspec.MsgspecError, KeyError, TypeError, ValueError):
        return None
    return Launched(Plan(steps, preparation), spec)
