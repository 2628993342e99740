"""Whose wish each part of a container is: from what was asked, by whom, to causes. Pure.

Causes are found by places in the specification (``mounts:/data``, ``linux.resources.memory.limit``, ``process.args``),
and by a word for what stands beside it: ``stdin``, ``init``, ``environment``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from wherry.messages.container import Config, HostConfig
from wherry.runtime import capabilities
from wherry.runtime.image_config import words
from wherry.runtime.seccomp_policy import WITH_CAPABILITY
from wherry.runtime.security import UNCONFINED
from wherry.runtime.steps import DEFAULT, Cause, Origin, asked
from wherry.values.words import shortened

if TYPE_CHECKING:
    from wherry.runtime.spec import SpecInput

Causes = dict[str, Cause]

FULL_ID, SHORT_ID = 64, 12
NAMED = 4  # that a cause names of many wishes of one kind
MANY = 8  # that it names of different ones
LONGEST = 200  # characters of one of them: labels and names may have any length
STRENGTH = (Origin.REQUEST, Origin.IMAGE, Origin.DAEMON, Origin.DEFAULT)
POLICY_ASKS_FOR = frozenset(WITH_CAPABILITY) | {
    "CAP_SYS_ADMIN"
}  # the default system call policy depends on them


# ---------------------------------------------------------------- making causes


def together(*causes: Cause) -> Cause:
    """One cause for what several have asked for, the request's wishes first; the default where nobody did."""
    wishes = [cause for cause in dict.fromkeys(causes) if cause.origin is not Origin.DEFAULT]
    if len(wishes) < 2:
        return wishes[0] if wishes else DEFAULT
    wishes.sort(key=lambda cause: STRENGTH.index(cause.origin))
    strongest = wishes[0].origin
    texts = [cause.text if cause.origin is strongest else str(cause) for cause in wishes]
    more = [f"and {len(texts) - MANY} more"] if len(texts) > MANY else []
    return Cause(strongest, ", ".join([*texts[:MANY], *more]))


def flagged(name: str, values: Iterable[object] | None) -> Cause:
    """The cause of what a repeated flag asks for: ``--dns 1.1.1.1 --dns 8.8.8.8``; the default without values."""
    given = [f"{name} {shortened(str(value), LONGEST)}" for value in values or ()]
    if not given:
        return DEFAULT
    more = [f"and {len(given) - NAMED} more"] if len(given) > NAMED else []
    return asked(" ".join([*given[:NAMED], *more]))


def valued(name: str, value: object) -> Cause:
    """The cause of what a flag with one value asks for; the default without a value."""
    return flagged(name, [value] if value else ())


def switched(name: str, on: object) -> Cause:
    """The cause of what a switch asks for; the default where it is off."""
    return asked(name) if on else DEFAULT


def by_daemon(text: str, own: object) -> Cause:
    """The cause of what the daemon's options ask for; the default where they do not."""
    return Cause(Origin.DAEMON, text) if own else DEFAULT


def whose(request: str, value: object, of_image: object, instruction: str) -> Cause:
    """Why a value is as it is: the image has the same, or the request asks for it. The default without a value."""
    if not value:
        return DEFAULT
    return Cause(Origin.IMAGE, instruction) if of_image and value == of_image else asked(request)


# ---------------------------------------------------------------- what was asked for


def process_causes(wish: SpecInput) -> Causes:
    """Of the process: what it runs, as whom, where, with which rights and streams."""
    config, host, image = wish.config, wish.host, wish.image
    entrypoint = words(config.entrypoint)
    command = whose("the command", words(config.cmd), image and words(image.cmd), "CMD")
    program = whose(
        flag("--entrypoint", entrypoint), entrypoint, image and words(image.entrypoint), "ENTRYPOINT"
    )
    named = hostname_cause(wish.id, config, host, wish.host_name)
    terminal = switched("--tty", config.tty)
    rights = capability_cause(host)
    user = whose(f"--user {config.user}", config.user, image and image.user, "USER")
    where = f"--workdir {config.working_dir}"
    return {
        "process.args": together(program, command),
        "environment": together(
            environment_cause(config, image.env if image is not None else None), terminal, named
        ),
        "process.terminal": terminal,
        "stdin": switched("--interactive", config.open_stdin),
        "init": by_daemon("--init", host.init) if wish.daemon_init else switched("--init", host.init),
        "process.user": together(user, flagged("--group-add", host.group_add)),
        "process.cwd": whose(where, config.working_dir, image and image.working_dir, "WORKDIR"),
        "process.oomScoreAdj": valued("--oom-score-adj", host.oom_score_adj),
        "process.capabilities": rights,
        "process.noNewPrivileges": no_new_privileges_cause(wish),
        "linux.seccomp": seccomp_cause(wish, rights),
        "hostname": named,
        "domainname": valued("--domainname", config.domainname),
    }


def flag(name: str, argv: list[str] | None) -> str:
    return " ".join([name, *(argv or ())[:1]])


def environment_cause(config: Config, of_image: Iterable[str] | None) -> Cause:
    """Of the variables that the image does not have so, by their names: a value may be a secret."""
    known = set(of_image or ())
    return flagged("--env", [entry.partition("=")[0] for entry in config.env or () if entry not in known])


def cgroup_parent_cause(host: HostConfig) -> Cause:
    return valued("--cgroup-parent", host.cgroup_parent)


def hostname_cause(id: str, config: Config, host: HostConfig, host_name: str) -> Cause:
    """Of the name: the container's own by default; with the host's network or names, the host's."""
    network = asked(f"--network {mode_words(host.network_mode)}")
    if host.network_mode.startswith("container:"):
        return network
    if config.hostname not in ("", host_name, id[:SHORT_ID]):
        return asked(f"--hostname {config.hostname}")
    if host.network_mode == "host":
        return network
    return valued("--uts", host.uts_mode)


def capability_cause(host: HostConfig) -> Cause:
    if host.privileged:
        return asked("--privileged")
    parts = (flagged("--cap-add", host.cap_add), flagged("--cap-drop", host.cap_drop))
    texts = [cause.text for cause in parts if cause is not DEFAULT]
    return asked(" ".join(texts)) if texts else DEFAULT


def no_new_privileges_cause(wish: SpecInput) -> Cause:
    on = wish.security.no_new_privileges
    if wish.daemon_no_new_privileges:
        return by_daemon("--no-new-privileges", on)
    return switched("--security-opt no-new-privileges", on)


def seccomp_cause(wish: SpecInput, rights: Cause) -> Cause:
    """A profile of one's own, and capabilities that the policy lets more or fewer calls through for."""
    profile = wish.security.seccomp
    own = switched("--security-opt seccomp=PROFILE", profile and profile != UNCONFINED)
    if rights is DEFAULT:
        return own
    host = wish.host
    kept = capabilities.granted(
        host.cap_add or (), host.cap_drop or (), privileged=host.privileged, available=wish.available
    )
    changed = set(kept) ^ set(capabilities.defaults_within(wish.available))
    return together(own, rights) if profile or changed & POLICY_ASKS_FOR else own


def namespace_modes(host: HostConfig) -> tuple[tuple[str, str, str], ...]:
    """Kind, mode and flag of each namespace that can be chosen."""
    return (
        ("network", host.network_mode, "--network"),
        ("pid", host.pid_mode, "--pid"),
        ("ipc", host.ipc_mode, "--ipc"),
        ("uts", host.uts_mode, "--uts"),
        ("cgroup", host.cgroupns_mode, "--cgroupns"),
    )


def mode_words(mode: str) -> str:
    """A mode for readers: a container's id, which has taken the place of the name, is shortened."""
    kind, colon, other = mode.partition(":")
    return f"{kind}{colon}{other[:SHORT_ID]}" if len(other) == FULL_ID else mode


def namespace_causes(config: Config, host: HostConfig, default_network: str) -> Causes:
    """Of each kind of namespace, by the specification's name of the kind."""
    usual = {"network": ("", "default", default_network), "ipc": ("", "private")}
    disabled = {"network": asked("NetworkDisabled")} if config.network_disabled else {}
    chosen = {
        kind: asked(f"{flag} {mode_words(mode)}")
        for kind, mode, flag in namespace_modes(host)
        if mode not in usual.get(kind, ("",))
    }
    return chosen | disabled
