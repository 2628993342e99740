"""From a record to a plan: everything that is decided about a container's start. Touches nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from wherry.engine.config import EngineConfig
from wherry.engine.image_record import ImageRecord
from wherry.engine.paths import ContainerPaths
from wherry.engine.preparing import preparation
from wherry.engine.record import ContainerRecord
from wherry.engine.request import log_files, log_size
from wherry.engine.sandbox import Sandbox
from wherry.messages.exec import ExecCreate, ExecStart
from wherry.network import files
from wherry.runtime import capabilities, devices, mounts
from wherry.runtime.cgroups import Cgroups
from wherry.runtime.checks import check
from wherry.runtime.exec_plan import ExecContext, ExecRequest, plan_exec
from wherry.runtime.mounts import MountPoint
from wherry.runtime.oci_spec import Spec
from wherry.runtime.plan import PlanContext, plan_container
from wherry.runtime.resources import Causes, host_facts
from wherry.runtime.seccomp import SeccompCompiler, SeccompProgram
from wherry.runtime.security import parse_security
from wherry.runtime.spec import SpecInput, build_spec, thermal_paths
from wherry.runtime.steps import Cause, HostDirectory, HostFile, Log, Origin, OverlayRoot, Plan, Step
from wherry.snapshot.layers import layer_name
from wherry.snapshot.overlay import OverlayStore

Points = tuple[MountPoint, ...]

HOSTS, HOSTNAME, RESOLV_CONF = "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"


def layer_names(image: ImageRecord) -> list[str]:
    """Directories of an image's layers in the layer store, lowest first."""
    return [layer_name(chain_id) for chain_id in image.chain_ids]


class Planner:
    """Plans starts and execs for one engine."""

    def __init__(
        self, config: EngineConfig, cgroups: Cgroups, snapshots: OverlayStore, seccomp: SeccompCompiler
    ) -> None:
        self._config = config
        self._cgroups = cgroups
        self._snapshots = snapshots
        self._seccomp = seccomp
        self._facts = host_facts(cgroups.version)
        self._available = capabilities.available()
        self._thermal = thermal_paths()
        self._oom_score_adj = int(Path("/proc/self/oom_score_adj").read_text())

    def check(self, record: ContainerRecord) -> list[str]:
        """Refuse at create what could never start; the answer are warnings for the user."""
        host = record.host_config
        warnings = check(record.config, host, self._facts, self._available)
        for point in mounts.requested(host):
            if point.type == mounts.BIND and not point.create_source and not os.path.lexists(point.source):
                raise mounts.missing_source(point)
        return warnings

    # ------------------------------------------------------------ a container

    def container(self, record: ContainerRecord, image: ImageRecord, sandbox: Sandbox) -> Plan:
        """The plan of a start. InvalidArgument for what can only be seen now, such as a device that is gone."""
        points = mounts.requested(record.host_config)
        spec, causes = self.spec(record, image, sandbox, points)
        return plan_container(spec, causes, self._context(record, image, sandbox, spec, points))

    def preparation(self, record: ContainerRecord) -> tuple[Step, ...]:
        """The part of the plan that the engine executes itself, before the part above."""
        return preparation(record, self._config)

    def spec(
        self, record: ContainerRecord, image: ImageRecord, sandbox: Sandbox, points: Points
    ) -> tuple[Spec, Causes]:
        """The OCI runtime specification, and who asked for what in it. ``points``: the mounts that were asked for."""
        host, paths = record.host_config, ContainerPaths.of(self._config, record.id)
        return build_spec(
            SpecInput(
                id=record.id,
                root=str(paths.merged),
                argv=(record.path, *record.args),
                config=record.config,
                host=host,
                image=image.config.run,
                mounts=points,
                files=self._own_files(sandbox.files_of or record.id),
                joined=sandbox.joined,
                shm="/dev/shm" if host.ipc_mode == "host" else "",
                shm_size=self._config.shm_size,
                cgroup_parent=self._config.cgroup_parent,
                cgroup_version=self._cgroups.version,
                available=self._available,
                masked=self._thermal,
                devices=self._devices(record),
                security=parse_security(host.security_opt),
                ulimits=self._config.ulimits,
            )
        )

    def _context(
        self, record: ContainerRecord, image: ImageRecord, sandbox: Sandbox, spec: Spec, points: Points
    ) -> PlanContext:
        paths, config = ContainerPaths.of(self._config, record.id), record.config
        rows, columns = record.host_config.console_size
        return PlanContext(
            root=self._root(record, image, paths),
            cgroups=self._cgroups,
            exit_file=str(paths.exit),
            spool_dir=str(paths.home),
            log=log_step(record, paths),
            stdin=config.open_stdin,
            stdin_once=config.stdin_once,
            rows=rows,
            columns=columns,
            files=tuple(self._host_steps(record, sandbox, paths, points)),
            seccomp=self._filter(record, spec),
            init=bool(record.host_config.init),
            oom_score_adj=self._oom_score_adj,
        )

    def _root(self, record: ContainerRecord, image: ImageRecord, paths: ContainerPaths) -> OverlayRoot:
        snapshot = self._snapshots.snapshot(record.id, layer_names(image))
        return OverlayRoot(
            layers_dir=str(snapshot.layers_root),
            lower=snapshot.lower,
            upper=str(snapshot.upper),
            work=str(snapshot.work),
            target=str(paths.merged),
            cause=Cause(Origin.REQUEST, f"image {record.config.image}"),
        )

    def _filter(self, record: ContainerRecord, spec: Spec) -> SeccompProgram | None:
        host, process = record.host_config, spec.process
        granted = process.capabilities.bounding if process and process.capabilities else []
        return self._seccomp.for_container(
            parse_security(host.security_opt), granted, privileged=host.privileged
        )

    def _devices(self, record: ContainerRecord) -> tuple[devices.HostDevice, ...]:
        host = record.host_config
        if host.privileged:
            return devices.every_device()
        return tuple(found for request in host.devices or () for found in devices.requested(request))

    # ------------------------------------------------------------ files that the engine writes

    def _own_files(self, id: str) -> tuple[MountPoint, ...]:
        paths = ContainerPaths.of(self._config, id)
        pairs = ((RESOLV_CONF, paths.resolv_conf), (HOSTNAME, paths.hostname), (HOSTS, paths.hosts))
        return tuple(MountPoint(mounts.BIND, target, source=str(path)) for target, path in pairs)

    def _host_steps(
        self, record: ContainerRecord, sandbox: Sandbox, paths: ContainerPaths, points: Points
    ) -> Iterator[Step]:
        yield HostDirectory(str(paths.merged))
        for point in points:
            if point.type == mounts.BIND and point.create_source:
                yield from missing_directories(point)
        if not sandbox.files_of:
            yield HostFile(str(paths.hosts), self._hosts(record, sandbox).encode())
            yield HostFile(str(paths.hostname), files.render_hostname(record.config.hostname).encode())
            yield HostFile(str(paths.resolv_conf), self._resolv_conf(record).encode())

    def _hosts(self, record: ContainerRecord, sandbox: Sandbox) -> str:
        extra = record.host_config.extra_hosts or ()
        if record.host_config.network_mode == "host":
            text = files.read_if_there(Path(HOSTS))
            return files.render_host_network_hosts(text, extra, sandbox.gateway)
        return files.render_hosts(
            record.config.hostname,
            record.config.domainname,
            address=sandbox.address,
            extra_hosts=extra,
            host_gateway=sandbox.gateway,
        )

    def _resolv_conf(self, record: ContainerRecord) -> str:
        host = record.host_config
        on_host = host.network_mode == "host"
        overrides = files.Overrides(
            host.dns or self._config.dns, host.dns_search or self._config.dns_search, host.dns_options or ()
        )
        text = files.read_host_resolv_conf(host_network=on_host)
        return files.render_resolv_conf(text, overrides, host_network=on_host)

    # ------------------------------------------------------------ an exec

    def exec(
        self,
        record: ContainerRecord,
        image: ImageRecord,
        sandbox: Sandbox,
        request: ExecCreate,
        options: ExecStart,
    ) -> Plan:
        """The plan of a command in a container that runs."""
        spec, _ = self.spec(record, image, sandbox, ())  # a command in a container mounts nothing
        paths = ContainerPaths.of(self._config, record.id)
        rows, columns = options.console_size or request.console_size or (0, 0)
        context = ExecContext(
            cgroups=self._cgroups,
            spool_dir=str(paths.home),
            stdin=request.attach_stdin,
            rows=rows,
            columns=columns,
            seccomp=self._filter(record, spec),
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
        return plan_exec(wish, spec, context)


def log_step(record: ContainerRecord, paths: ContainerPaths) -> Log | None:
    config = record.host_config.log_config
    if config.type != "json-file":
        return None
    return Log(str(paths.log), log_size(config), log_files(config))


def missing_directories(point: MountPoint) -> Iterator[HostDirectory]:
    """``-v`` makes a source that is not there, as Docker does."""
    path = Path(point.source)
    for folder in (*reversed(path.parents), path):
        if not folder.exists():
            yield HostDirectory(str(folder), 0o755, cause=point.cause)
