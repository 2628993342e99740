"""The plan of a command that is run in a container which runs already. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wherry.runtime import capabilities
from wherry.runtime import oci_spec as oci
from wherry.runtime.cgroups import Cgroups
from wherry.runtime.process_plan import Causes, exec_step, rights_steps, rlimit_steps
from wherry.runtime.seccomp import SeccompProgram
from wherry.runtime.steps import (
    Clone,
    Console,
    Fd,
    JoinNamespace,
    Monitor,
    Namespace,
    OomScoreAdjust,
    Plan,
    Stdio,
    Step,
    asked,
)

TERM = "TERM=xterm"
KINDS = {
    "mount": Namespace.MOUNT,
    "pid": Namespace.PID,
    "network": Namespace.NET,
    "uts": Namespace.UTS,
    "ipc": Namespace.IPC,
    "cgroup": Namespace.CGROUP,
}


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """``docker exec``: empty user, directory and environment mean the container's own."""

    argv: tuple[str, ...]
    env: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    tty: bool = False
    privileged: bool = False


@dataclass(frozen=True, slots=True)
class ExecContext:
    """Where a command enters. The container's first process is ``Fd.TARGET``, a pidfd that the caller passes."""

    cgroups: Cgroups
    spool_dir: str
    stdin: bool = False
    rows: int = 0
    columns: int = 0
    seccomp: SeccompProgram | None = None
    available: tuple[str, ...] = ()  # what --privileged gives
    oom_score_adj: int = 0  # the daemon's own, which a command would inherit


def exec_process(request: ExecRequest, container: oci.Spec, available: tuple[str, ...]) -> oci.Process:
    """The container's process with what the request changes: environment merged, rights widened if privileged."""
    base = container.process or oci.Process()
    wide = list(available)
    return oci.Process(
        terminal=request.tty,
        user=oci.User(username=request.user, groups=base.user.groups) if request.user else base.user,
        args=list(request.argv),
        env=merge_env(base, request),
        cwd=request.working_dir or base.cwd,
        capabilities=oci.Capabilities(bounding=wide, effective=wide, permitted=wide)
        if request.privileged
        else base.capabilities,
        rlimits=base.rlimits,
        no_new_privileges=base.no_new_privileges,
        oom_score_adj=base.oom_score_adj,
    )


def merge_env(container: oci.Process, request: ExecRequest) -> list[str]:
    """The container's variables, replaced or followed by the request's. TERM goes with the command's terminal,
    not with the container's."""
    values = {entry.partition("=")[0]: entry for entry in container.env}
    if request.tty:
        values.setdefault("TERM", TERM)
    elif container.terminal and values.get("TERM") == TERM:
        del values["TERM"]
    for entry in request.env:
        name, equals, _ = entry.partition("=")
        if equals:
            values[name] = entry
        else:
            values.pop(name, None)
    return list(values.values())


def plan_exec(request: ExecRequest, container: oci.Spec, context: ExecContext) -> Plan:
    """Enter the container's cgroups and namespaces, and run the command with its rights.

    A privileged command has the capabilities of the daemon, but the container's filter, as with Docker.
    """
    process = exec_process(request, container, context.available or capabilities.known())
    linux = container.linux or oci.Linux()
    causes = exec_causes(request)
    return Plan(
        (
            Monitor(spool_dir=context.spool_dir, listen=False),
            Stdio(request.tty, context.stdin, context.stdin, context.rows, context.columns),
            *enter_steps(linux, process, context),
            *([Console(bind=False)] if request.tty else []),
            *rlimit_steps(process, causes),
            *rights_steps(process, causes, context.seccomp, enters=has_pids(linux)),
            exec_step(process, causes),
        )
    )


def exec_causes(request: ExecRequest) -> Causes:
    places = {
        "process.args": "exec " + " ".join(request.argv),
        "process.user": f"--user {request.user}" if request.user else "",
        "process.cwd": f"--workdir {request.working_dir}" if request.working_dir else "",
        "process.capabilities": "--privileged" if request.privileged else "",
    }
    return {place: asked(text) for place, text in places.items() if text}


def enter_steps(linux: oci.Linux, process: oci.Process, context: ExecContext) -> Iterator[Step]:
    """Only namespaces that the container has are entered: those that it shares with the host are ours already, and
    one that it joined from another container is what its first process is in. What is written to /proc is written
    before the mount namespace is entered: behind that, /proc is what the container made of it (CVE-2025-52881).
    """
    entry = context.cgroups.entry(linux.cgroups_path)
    yield Clone(Namespace(0), entry.born_in)
    yield from entry.moves
    if process.oom_score_adj is not None and process.oom_score_adj != context.oom_score_adj:
        yield OomScoreAdjust(process.oom_score_adj)
    wanted = Namespace(0)
    for namespace in linux.namespaces:
        wanted |= KINDS.get(namespace.type, Namespace(0))
    yield JoinNamespace(Fd.TARGET, wanted, "the container")


def has_pids(linux: oci.Linux) -> bool:
    """Whether the container is in a PID namespace other than the host's."""
    return any(namespace.type == "pid" for namespace in linux.namespaces)
