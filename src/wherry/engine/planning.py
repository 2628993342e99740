"""From a task to a plan: everything that is decided about a start. Reads some files of the host, changes nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import msgspec

from wherry.engine.causes import HOSTNAME, HOSTS, RESOLV_CONF, file_causes, log_cause
from wherry.engine.config import EngineConfig
from wherry.engine.journal import Launched
from wherry.engine.log_options import attributes, is_compressed, log_files, log_size
from wherry.engine.paths import ContainerPaths
from wherry.engine.plan_template import Nodes, Templates, WrittenPlan
from wherry.engine.preparation.planned import DriverOf, Neighbours, lasting, preparation
from wherry.engine.preparation.step import EngineStep
from wherry.engine.preparation.surroundings import Surroundings
from wherry.engine.profiles import Profiles, lanes
from wherry.engine.task import Task
from wherry.engine.wanted_mounts import Points, declared_volumes, wanted_mounts
from wherry.errors import wanting
from wherry.messages.container import Config, HostConfig
from wherry.messages.exec import ExecCreate, ExecStart
from wherry.network import files
from wherry.network.drivers.catalogue import DEFAULT_NETWORK
from wherry.runtime import capabilities, devices, mounts, rlimits
from wherry.runtime.causes import Causes
from wherry.runtime.cgroups import Cgroups
from wherry.runtime.checks import check
from wherry.runtime.exec_plan import ExecContext, ExecRequest, plan_exec
from wherry.runtime.mounts import MountPoint
from wherry.runtime.oci_spec import Spec
from wherry.runtime.plan import PlanContext, plan_container
from wherry.runtime.propagation import check_sources
from wherry.runtime.resources import block_devices, check_block_devices, host_facts
from wherry.runtime.seccomp import SeccompCompiler, SeccompProgram
from wherry.runtime.security import UNCONFINED, parse_security
from wherry.runtime.spec import SpecInput, build_spec, cgroup_path, thermal_paths
from wherry.runtime.steps import (
    Cause,
    HostDirectory,
    HostFile,
    Log,
    OverlayRoot,
    Plan,
    Seccomp,
    Step,
    asked,
)
from wherry.snapshot.overlay import OverlayStore


class Planner:
    """Plans starts and execs for one engine."""

    def __init__(
        self,
        config: EngineConfig,
        cgroups: Cgroups,
        snapshots: OverlayStore,
        seccomp: SeccompCompiler,
        driver_of: DriverOf,
    ) -> None:
        self._config = config
        self._cgroups = cgroups
        self._snapshots = snapshots
        self._seccomp = seccomp
        self._driver_of = driver_of
        self._profiles = Profiles(seccomp, lanes())
        self._resolver = files.HostResolver()
        self._templates = Templates()
        self._facts = host_facts(cgroups.version, block_weights=cgroups.weighs)
        self._available = capabilities.available()
        self._thermal = thermal_paths()
        self._host_name = socket.gethostname()
        self._oom_score_adj = int(Path("/proc/self/oom_score_adj").read_text())

    def check(self, config: Config, host: HostConfig, points: Points) -> list[str]:
        """Refuse at create what could never start; the answer are warnings for the user. ``points``: its mounts."""
        warnings = check(config, host, points, self._facts, self._available)
        if host.oom_score_adj < self._oom_score_adj and rlimits.MAY_RAISE not in self._available:
            warnings.append(
                f"the OOM score adjustment {host.oom_score_adj} cannot be set on this host: "
                f"it stays at {self._oom_score_adj}"
            )
        points = (*points, *declared_volumes(config, (), points, ""))
        mounts.check_places(points)
        for point in points:
            if point.type == mounts.BIND and not point.create_source and not os.path.lexists(point.source):
                raise mounts.missing_source(point)
        check_block_devices(host)
        return warnings

    async def compile_profile(self, host: HostConfig) -> None:
        """Have a profile compiled that the request brings with it, so that planning finds it done. InvalidArgument;
        Unavailable where too many wait for theirs."""
        security = parse_security(host.security_opt)
        if security.seccomp not in ("", UNCONFINED):
            granted = capabilities.granted(
                host.cap_add or (), host.cap_drop or (), privileged=host.privileged, available=self._available
            )
            await self._profiles.compile(security.seccomp, frozenset(granted))

    # ------------------------------------------------------------ a start

    def preparation(self, task: Task, neighbours: Neighbours) -> tuple[EngineStep, ...]:
        """The part of a plan that the engine executes itself, before the other."""
        return preparation(task, self._config, neighbours, self._driver_of)

    def lasting(self, task: Task) -> tuple[EngineStep, ...]:
        """The part of that which stays until the task is removed."""
        return lasting(task, self._config)

    def cgroup(self, task: Task) -> str:
        """The cgroup that its processes will be in."""
        return cgroup_path(task.id, task.host, self._config.cgroup_parent)

    def plan(self, task: Task, prepared: Sequence[EngineStep]) -> Launched:
        """The whole plan, and the specification that it is of; ``prepared`` as it was done, or as it would be.

        InvalidArgument for what can only be seen now, such as a device that is gone; Internal for what cannot be read.
        """
        place, points = Surroundings.of(prepared), self._points(task)
        with wanting("plan the container"):
            nodes, files = self._nodes(task.host), self._files(task, place, points)
            plan, spec = self._plan(task, place, points, self._log(task), nodes, files)
        return Launched(replace(plan, preparation=tuple(prepared)), spec)

    def write(self, task: Task, prepared: Sequence[EngineStep]) -> WrittenPlan:
        """The same, ready to go out. Where the same was planned of late for another container, that is used again."""
        place, points, log = Surroundings.of(prepared), self._points(task), self._log(task)
        with wanting("plan the container"):
            nodes, files = self._nodes(task.host), self._files(task, place, points)
            key = self._templates.key(task, place, points, log, nodes)
            template = self._templates.find(key)
            if template is None:
                plan, spec = self._plan(task, place, points, log, nodes, files)
                template = self._templates.make(key, task.id, plan.steps, files, spec)
        return WrittenPlan(template, task.id, files, prepared)

    def _points(self, task: Task) -> Points:
        """The mounts that were asked for. InvalidArgument where a source cannot be had."""
        points = wanted_mounts(task.host, self._config, recursive_read_only=task.recursive_read_only)
        check_sources(points)
        root = ContainerPaths(self._config, task.id).merged
        return (*points, *declared_volumes(task.config, task.image.volumes, points, root))

    def _plan(
        self,
        task: Task,
        place: Surroundings,
        points: Points,
        log: Log | None,
        nodes: Nodes,
        files: tuple[Step, ...],
    ) -> tuple[Plan, Spec]:
        """The launcher's steps and the specification. Pure: what they know of the host is given, or as it was when the
        planner was made."""
        spec, causes = self._spec(task, place, points, nodes)
        return plan_container(spec, causes, self._context(task, spec, log, files)), spec

    def _spec(self, task: Task, place: Surroundings, points: Points, nodes: Nodes) -> tuple[Spec, Causes]:
        """The OCI runtime specification, and who asked for what in it. ``points``: the mounts that were asked for."""
        host, paths = task.host, ContainerPaths(self._config, task.id)
        causes = file_causes(task, self._config, self._host_name)
        return build_spec(
            SpecInput(
                id=task.id,
                root=paths.merged,
                argv=task.argv,
                config=called_as(task.config, place),
                host=host,
                image=task.image,
                mounts=points,
                files=self._own_files(place.files_of or task.id, causes),
                joined=place.joined,
                shm="/dev/shm" if host.ipc_mode == "host" else place.shm,
                shm_size=self._config.shm_size,
                cgroup_parent=self._config.cgroup_parent,
                cgroup_version=self._cgroups.version,
                available=self._available,
                masked=self._thermal,
                devices=nodes.devices,
                blocks=nodes.blocks,
                security=parse_security(host.security_opt),
                ulimits=self._config.ulimits,
                host_name=self._host_name,
                default_network=DEFAULT_NETWORK,
                daemon_init=self._config.init,
                daemon_no_new_privileges=self._config.no_new_privileges,
            )
        )

    def _context(self, task: Task, spec: Spec, log: Log | None, files: tuple[Step, ...]) -> PlanContext:
        paths = ContainerPaths(self._config, task.id)
        rows, columns = task.host.console_size
        return PlanContext(
            root=self._root(task, paths),
            cgroups=self._cgroups,
            exit_file=paths.exit,
            spool_dir=paths.home,
            log=log,
            stdin=task.config.open_stdin,
            stdin_once=task.config.stdin_once,
            rows=rows,
            columns=columns,
            files=files,
            seccomp=self._filter(task.host, spec),
            init=bool(task.host.init),
            oom_score_adj=self._oom_score_adj,
        )

    def _log(self, task: Task) -> Log | None:
        return log_step(task, ContainerPaths(self._config, task.id), self._config)

    def _root(self, task: Task, paths: ContainerPaths) -> OverlayRoot:
        snapshot = self._snapshots.snapshot(task.id, task.layers)
        return OverlayRoot(
            layers_dir=str(snapshot.layers_root),
            lower=snapshot.lower,
            upper=str(snapshot.upper),
            work=str(snapshot.work),
            target=paths.merged,
            options=snapshot.options,
            cause=asked(f"image {task.config.image}"),
        )

    def _filter(self, host: HostConfig, spec: Spec) -> SeccompProgram | None:
        process = spec.process
        granted = process.capabilities.bounding if process and process.capabilities else []
        return self._seccomp.for_container(
            parse_security(host.security_opt), granted, privileged=host.privileged
        )

    # ------------------------------------------------------------ files that the engine writes

    def _own_files(self, id: str, causes: Mapping[str, Cause]) -> tuple[MountPoint, ...]:
        paths = ContainerPaths(self._config, id)
        pairs = ((RESOLV_CONF, paths.resolv_conf), (HOSTNAME, paths.hostname), (HOSTS, paths.hosts))
        return tuple(
            MountPoint(mounts.BIND, target, source=path, cause=causes[target]) for target, path in pairs
        )

    def _nodes(self, host: HostConfig) -> Nodes:
        """What a plan knows of the host's devices. InvalidArgument for one that is gone."""
        given = devices.every_device() if host.privileged else devices.requested(host.devices or ())
        return Nodes(given, block_devices(host))

    def _files(self, task: Task, place: Surroundings, points: Points) -> tuple[Step, ...]:
        """What is made on the host for this start: the steps that look at it."""
        return tuple(self._host_steps(task, place, points))

    def _host_steps(self, task: Task, place: Surroundings, points: Points) -> Iterator[Step]:
        paths = ContainerPaths(self._config, task.id)
        yield HostDirectory(paths.merged)
        for point in points:
            if point.type == mounts.BIND and point.create_source:
                yield from missing_directories(point)
        if not place.files_of:
            causes = file_causes(task, self._config, self._host_name)
            hostname = files.render_hostname(task.config.hostname)
            yield HostFile(
                paths.hosts, hosts_file(task, place, self._host_gateway).encode(), cause=causes[HOSTS]
            )
            yield HostFile(paths.hostname, hostname.encode(), cause=causes[HOSTNAME])
            resolv_conf = self._resolv_conf(task.host)
            yield HostFile(paths.resolv_conf, resolv_conf.encode(), cause=causes[RESOLV_CONF])

    def _host_gateway(self) -> IPv4Address | None:
        """What ``host-gateway`` stands for: the host on the default network, whatever network the container is on."""
        default = self._driver_of(DEFAULT_NETWORK)
        subnets = default.describe().subnets if default is not None else ()
        return subnets[0].gateway if subnets else None

    def _resolv_conf(self, host: HostConfig) -> str:
        on_host = host.network_mode == "host"
        overrides = files.Overrides(
            tuple(host.dns or self._config.dns),
            tuple(host.dns_search or self._config.dns_search),
            tuple(host.dns_options or ()),
        )
        text = self._resolver.text(host_network=on_host)
        return files.render_resolv_conf(text, overrides, host_network=on_host)

    # ------------------------------------------------------------ an exec

    def exec(self, id: str, launched: Launched, request: ExecCreate, options: ExecStart) -> Plan:
        """The plan of a command in a container that runs, by what that was started with."""
        rows, columns = options.console_size or request.console_size or (0, 0)
        context = ExecContext(
            cgroups=self._cgroups,
            spool_dir=ContainerPaths(self._config, id).home,
            stdin=request.attach_stdin,
            rows=rows,
            columns=columns,
            seccomp=filter_of(launched.plan),
            available=self._available,
            oom_score_adj=self._oom_score_adj,
        )
        wish = ExecRequest(
            argv=tuple(request.cmd or ()),
            env=tuple(request.env or ()),
            user=request.user,
            working_dir=request.working_dir,
            tty=request.tty,
            privileged=request.privileged,
        )
        return plan_exec(wish, launched.spec or Spec(), context)


def filter_of(plan: Plan) -> SeccompProgram | None:
    """The filter that a container was started with, for what joins it."""
    step = next((step for step in plan.steps if isinstance(step, Seccomp)), None)
    return SeccompProgram(step.program, step.flags, step.label) if step is not None else None


def called_as(config: Config, place: Surroundings) -> Config:
    """With the names of the container whose network it shares, if it does."""
    if not place.files_of:
        return config
    return msgspec.structs.replace(config, hostname=place.hostname, domainname=place.domainname)


def hosts_file(task: Task, place: Surroundings, host_gateway: Callable[[], IPv4Address | None]) -> str:
    extra = task.host.extra_hosts or ()
    gateway = host_gateway() if extra else None
    if task.host.network_mode == "host":
        text = files.read_if_there(Path(HOSTS))
        return files.render_host_network_hosts(text, extra, gateway)
    return files.render_hosts(
        task.config.hostname,
        task.config.domainname,
        address=place.address,
        extra_hosts=extra,
        host_gateway=gateway,
    )


def log_step(task: Task, paths: ContainerPaths, defaults: EngineConfig) -> Log | None:
    config = task.host.log_config
    if config.type != "json-file":
        return None
    carried = attributes(task.record) if task.record is not None else ""
    cause = log_cause(config, defaults)
    return Log(paths.log, log_size(config), log_files(config), carried, is_compressed(config), cause=cause)


def missing_directories(point: MountPoint) -> Iterator[HostDirectory]:
    """``-v`` makes a source that is not there, as Docker does."""
    path = Path(point.source)
    for folder in (*reversed(path.parents), path):
        if not folder.exists():
            yield HostDirectory(str(folder), 0o755, cause=point.cause)
