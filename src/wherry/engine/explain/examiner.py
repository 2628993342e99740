"""Containers looked at in the kernel: what it holds for each, and where that is not what the plan says.

All of this blocks, and works in the explainer's thread. It is loaded with the first question: most engines are asked
none, and it is a megabyte.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from wherry.engine.config import EngineConfig
from wherry.engine.containers import Containers
from wherry.engine.explain import items
from wherry.engine.explain.courtesy import Courtesy, Starts, no_pause
from wherry.engine.explain.drift import find_drift, preparation_drift
from wherry.engine.explain.ending import how_it_ended
from wherry.engine.explain.host_reading import read_host
from wherry.engine.explain.layers import layer_items
from wherry.engine.explain.mounts import planned_mounts
from wherry.engine.explain.observed import Depth, Host, Observed, Stray, Subject
from wherry.engine.explain.policy_items import policy_items
from wherry.engine.explain.reach import reach
from wherry.engine.explain.reading import CHECK, Pause, read_container
from wherry.engine.explain.rights_items import rights_items
from wherry.engine.image_record import ImageRecord
from wherry.engine.journal import Journal, Launched
from wherry.engine.paths import ContainerPaths
from wherry.engine.preparation.step import Host as EngineHost
from wherry.engine.record import ContainerView
from wherry.errors import WherryError
from wherry.messages.explain import Checked, Cost, Drift, Explanation
from wherry.network.firewall import table_name
from wherry.runtime.steps import Plan

SECOND_LOOK, ENTERING = 0.02, 2.0  # seconds: between looks; and how long an exec may be on its way in
LAUNCHER = "wherry-monitor"  # what a process is called until it becomes the command
EXITED = "it exited while it was being read"
NOTHING = Plan(())


class Examiner:
    """Looks at one container after the other. ``running`` are those among which namespaces may be shared."""

    def __init__(
        self,
        config: EngineConfig,
        host: EngineHost,
        containers: Containers,
        journal: Journal,
    ) -> None:
        self._config = config
        self._host = host
        self._containers = containers
        self._journal = journal
        self._table = table_name(config.bridge)
        self._starts = Starts(containers)

    def explain(
        self, view: ContainerView, running: Iterable[ContainerView], images: list[str], *, read_filter: bool
    ) -> Explanation:
        """All of one container. ``images``: that of each container there is."""
        notes: list[str] = []
        pause = Courtesy(self._starts).pause
        pause()
        subject = self._subject(view, notes)
        pause()
        explanation = self._left_over(view, subject, images)
        explanation.notes = notes
        if view.running:
            host = read_host(self._table, list(map(bare, running)), many=False)
            observed = self._read(subject, host, Depth(filter=read_filter), pause)
            if observed is None:
                explanation.running, explanation.pid, explanation.status = False, 0, "exited"
                notes.append(EXITED)
            else:
                pause()
                self._fill(explanation, subject, observed, host)
                pause()
                if subject.plan is not NOTHING:
                    explanation.drift = self._drift(subject, observed, host)
        return explanation

    def _subject(self, view: ContainerView, notes: list[str]) -> Subject:
        """With the plan that it was started with or, where nothing was, would be."""
        launched = self._journal.last(view.id)
        if launched is None or launched.spec is None:
            launched = self._planned(view, notes)
        return Subject(
            view.record, launched.plan, view.state.pid, tuple(planned_mounts(launched.plan)), launched.cgroup
        )

    def _planned(self, view: ContainerView, notes: list[str]) -> Launched:
        try:
            return Launched(self._containers.plan(view.id).plan)
        except (WherryError, OSError) as error:
            notes.append(f"its plan can no longer be computed: {error}")
            return Launched(NOTHING)

    def _left_over(self, view: ContainerView, subject: Subject, images: list[str]) -> Explanation:
        """What there is of a container whether it runs or not."""
        record, paths = subject.record, ContainerPaths(self._config, subject.id)
        explanation = Explanation(
            id=record.id,
            name=record.name,
            image=record.config.image or record.image,
            command=" ".join([record.path, *record.args]),
            status=view.status,
            running=view.running,
            ended="" if view.running else how_it_ended(record, view.state),
            pid=view.state.pid,
            cost=Cost(writable=self._host.snapshots.size_rw(record.id), log=log_bytes(Path(paths.log))),
        )
        explanation.reach = reach(record, subject.plan)
        explanation.policies = list(policy_items(subject.plan))
        image = self._host.store.images.get(record.image)
        if image is not None:
            explanation.layers = layer_items(image, self._users(images), subject.plan)
        return explanation

    def _users(self, images: Iterable[str]) -> list[ImageRecord]:
        """The image of each container, once for each container."""
        known = {id: self._host.store.images.get(id) for id in set(images)}
        return [image for id in images if (image := known[id]) is not None]

    def _fill(self, explanation: Explanation, subject: Subject, observed: Observed, host: Host) -> None:
        plan = subject.plan
        explanation.namespaces = list(items.namespace_items(subject, observed, host))
        explanation.mounts = items.mount_items(subject, observed)
        explanation.limits = items.limit_items(plan, observed.cgroup)
        explanation.rights = list(rights_items(plan, observed))
        explanation.interfaces = items.interface_items(plan, observed)
        explanation.routes = items.route_items(plan, observed)
        explanation.ports = list(items.port_items(plan, host))
        explanation.processes = list(items.process_items(subject, observed))
        if observed.unread:
            explanation.notes.append(unlisted(observed.unread))
        left = explanation.cost
        explanation.cost = items.cost(observed, writable=left.writable, log=left.log)

    # ------------------------------------------------------------ drift

    def check(self, views: Sequence[ContainerView], running: Iterable[ContainerView]) -> list[Checked]:
        """The differences of each between its plan and the kernel."""
        asked = any(view.running for view in views)
        host = read_host(self._table, list(map(bare, running)), many=True) if asked else None
        pause = Courtesy(self._starts).pause
        return [self._checked(view, host, pause) for view in views]

    def _checked(self, view: ContainerView, host: Host | None, pause: Pause) -> Checked:
        checked = Checked(id=view.id, name=view.record.name)
        if view.running and host is not None:
            subject = self._subject(view, [])
            pause()
            observed = self._read(subject, host, CHECK, pause)
            pause()
            if observed is not None and subject.plan is not NOTHING:
                checked.drift = self._drift(subject, observed, host)
        return checked

    def _read(self, subject: Subject, host: Host, depth: Depth, pause: Pause) -> Observed | None:
        observed = read_container(subject, host, self._host.cgroups, subject.cgroup, depth, pause)
        return observed if self._runs_still(subject) else None

    def _runs_still(self, subject: Subject) -> bool:
        """Whether the process that was read is still the container's: a number may come back as another's."""
        try:
            return self._containers.get(subject.id).state.pid == subject.pid
        except WherryError:
            return False

    def _drift(self, subject: Subject, observed: Observed, host: Host) -> list[Drift]:
        if observed.strays:
            strays = self._lasting(subject, observed.strays, host)
            if strays is None:
                return []
            observed = replace(observed, strays=strays)
        undone = list(preparation_drift(subject.plan, self._host))
        # Where it ends meanwhile its steps are undone, as they should be.
        return [*find_drift(subject, observed, host), *(undone if self._runs_still(subject) else ())]

    def _lasting(self, subject: Subject, strays: tuple[Stray, ...], host: Host) -> tuple[Stray, ...] | None:
        """Those that stay outside: each exec is in the PID namespace first and then enters the cgroups, which on a
        busy machine takes a while. None where the container has gone meanwhile."""
        began = time.monotonic()
        while strays and time.monotonic() - began < (
            ENTERING if any(map(is_entering, strays)) else SECOND_LOOK
        ):
            time.sleep(SECOND_LOOK)
            again = self._read(subject, replace(host, pids=None), CHECK, no_pause)
            if again is None:
                return None
            outside = {stray.pid: stray for stray in again.strays}
            strays = tuple(outside[stray.pid] for stray in strays if stray.pid in outside)
        return strays


def bare(view: ContainerView) -> Subject:
    """A container that is seen beside others: its plan is not needed."""
    return Subject(view.record, NOTHING, view.state.pid)


def unlisted(count: int) -> str:
    if count == 1:
        return "1 more process is not listed, and its memory is not counted"
    return f"{count:,} more processes are not listed, and their memory is not counted"


def is_entering(stray: Stray) -> bool:
    return stray.command == LAUNCHER


def log_bytes(path: Path) -> int:
    """Of a log with the files that it was rotated into."""
    try:
        names = os.listdir(path.parent)
    except OSError:
        return 0
    return sum(
        size_of(path.parent / name) for name in names if name == path.name or name.startswith(f"{path.name}.")
    )


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
