"""The steps from limits and rights to the command itself: of a container's first process, and of each exec. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wherry.runtime import capabilities, rlimits
from wherry.runtime import oci_spec as oci
from wherry.runtime.causes import together
from wherry.runtime.seccomp import SeccompProgram
from wherry.runtime.seccomp_answers import lets_through
from wherry.runtime.steps import (
    DEFAULT,
    Capabilities,
    Cause,
    EnterPids,
    Exec,
    NoNewPrivileges,
    Rlimit,
    Seccomp,
    Step,
    User,
    WorkingDirectory,
)

Causes = Mapping[str, Cause]

CLONE_PARENT, SIGCHLD = 0x8000, 17
ENTERING = (  # what EnterPids calls
    ("clone", CLONE_PARENT | SIGCHLD), ("mmap",), ("munmap",), ("dup3",), ("close_range",), ("setsid",),
    ("ioctl",), ("read",), ("exit_group",),
)  # fmt: skip


def rlimit_steps(process: oci.Process, causes: Causes) -> Iterator[Step]:
    """A step for each resource limit. OCI runtime-spec, config.md "POSIX process"."""
    for limit in process.rlimits:
        name = limit.type.removeprefix("RLIMIT_").lower()
        number, cause = rlimits.number_of(limit.type), causes.get(f"process.rlimits:{name}", DEFAULT)
        yield Rlimit(number, rlimits.signed(limit.soft), rlimits.signed(limit.hard), name, cause=cause)


def rights_steps(
    process: oci.Process, causes: Causes, seccomp: SeccompProgram | None, *, enters: bool
) -> Iterator[Step]:
    """A filter needs CAP_SYS_ADMIN, so it comes before rights are given up; with no-new-privileges it needs
    none, and comes last, so that it need not allow what leads up to it.

    A PID namespace that others are in is entered last of all, with the command's own rights and filter: who may trace
    in there has what comes in at their command. Only a filter that forbids the entering comes behind it.
    """
    filters: list[Step] = [seccomp_step(seccomp, causes)] if seccomp is not None else []
    early = enters and seccomp is not None and not lets_through(seccomp.program, *ENTERING)
    if early:
        filters = [EnterPids(), *filters]
    if process.no_new_privileges:
        yield NoNewPrivileges(cause=causes.get("process.noNewPrivileges", DEFAULT))
    else:
        yield from filters
    # As root first, as runc: the user need not be able to enter it from outside.
    yield WorkingDirectory(process.cwd or "/", cause=causes.get("process.cwd", DEFAULT))
    yield user_step(process.user, causes)
    if process.capabilities is not None:
        yield capabilities_step(process.capabilities, causes.get("process.capabilities", DEFAULT))
    if process.no_new_privileges:
        yield from filters
    if enters and not early:
        yield EnterPids()


def seccomp_step(program: SeccompProgram, causes: Causes) -> Seccomp:
    cause = causes.get("linux.seccomp", DEFAULT)
    return Seccomp(program.program, program.flags, program.label, cause=cause)


def user_step(user: oci.User, causes: Causes) -> User:
    """Docker's user string where there is one; numbers otherwise."""
    groups = (*user.groups, *(str(gid) for gid in user.additional_gids))
    spec = user.username or (f"{user.uid}:{user.gid}" if user.uid or user.gid else "")
    return User(spec, groups, cause=causes.get("process.user", DEFAULT))


def capabilities_step(sets: oci.Capabilities, cause: Cause) -> Capabilities:
    return Capabilities(
        capabilities.mask(sets.bounding),
        capabilities.mask(sets.effective),
        capabilities.mask(sets.permitted),
        capabilities.mask(sets.inheritable),
        capabilities.mask(sets.ambient),
        cause=cause,
    )


def exec_step(process: oci.Process, causes: Causes) -> Exec:
    """The last step: the command takes the place of the launcher. execve(2)."""
    cause = together(causes.get("process.args", DEFAULT), causes.get("environment", DEFAULT))
    return Exec(tuple(process.args), tuple(process.env), cause=cause)
