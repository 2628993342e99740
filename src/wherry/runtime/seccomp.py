"""Seccomp filters: a policy, or a profile in Docker's or the OCI's form, to a BPF program.

Compiled with libseccomp. System calls that are newer than the library are handled by a short program of our own
in front of the library's, and the whole is made smaller (``seccomp_compact``). seccomp(2); OCI runtime-spec,
config-linux.md "Seccomp".
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from wherry.errors import InvalidArgument, Unavailable
from wherry.linux import libseccomp
from wherry.runtime import oci_spec as oci
from wherry.runtime.seccomp_compact import compact
from wherry.runtime.seccomp_newer import MACHINES, NUMBERS, prefix
from wherry.runtime.seccomp_policy import ARCHITECTURES, Machine, default_policy, kernel_version, this_machine
from wherry.runtime.seccomp_worker import SECONDS, Job, compiled
from wherry.runtime.security import Security

KERNEL = re.compile(r"\d{1,3}\.\d{1,3}", re.ASCII)
WORD_MAX = (1 << 64) - 1

ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
PERMISSIVE = frozenset({"SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"})
WITH_NUMBER = frozenset({"SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"})
OPERATORS = {
    "SCMP_CMP_NE": 1,
    "SCMP_CMP_LT": 2,
    "SCMP_CMP_LE": 3,
    "SCMP_CMP_EQ": 4,
    "SCMP_CMP_GE": 5,
    "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}
FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 1,
    "SECCOMP_FILTER_FLAG_LOG": 2,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4,
}
SPECULATION_ALLOWED = 4
EPERM = 1
KEPT = 64  # filters of profiles, that is; those of the default policy are few
MACHINE_ALIASES = {"amd64": "x86_64", "arm64": "aarch64"}


Key = tuple[bytes, frozenset[str]]  # a profile's digest, none for the default policy, and what is granted


@dataclass(frozen=True, slots=True)
class SeccompProgram:
    """A compiled filter (``struct sock_filter`` array), SECCOMP_FILTER_FLAG_*, and which it is in words."""

    program: bytes
    flags: int = 0
    label: str = "default policy"


class Conditions(msgspec.Struct, rename="camel"):
    """``includes`` and ``excludes`` of a rule in Docker's form."""

    arches: list[str] = []
    caps: list[str] = []
    min_kernel: str = ""

    def __post_init__(self) -> None:
        if self.min_kernel and not KERNEL.fullmatch(self.min_kernel):
            wanted = f'invalid kernel version: "{self.min_kernel[:40]}", expected "<kernel>.<major>"'
            raise ValueError(wanted)


class DockerSyscall(oci.Syscall, kw_only=True):
    names: list[str] = msgspec.field(default_factory=list)
    name: str = ""
    includes: Conditions | None = None
    excludes: Conditions | None = None


class ArchitectureMap(msgspec.Struct, rename="camel"):
    architecture: str
    sub_architectures: list[str] | None = None


class DockerProfile(msgspec.Struct, rename="camel"):
    """A profile as ``--security-opt seccomp=FILE`` has it: the OCI's, with conditions and a map of architectures."""

    default_action: str = ""
    default_errno_ret: int | None = None
    architectures: list[str] | None = None
    arch_map: list[ArchitectureMap] | None = None
    flags: list[str] | None = None
    syscalls: list[DockerSyscall] | None = None


class SeccompCompiler:
    """Compiles filters, and keeps those that it has compiled. Safe to use from several threads."""

    def __init__(self, machine: Machine | None = None) -> None:
        self._machine = machine or this_machine()
        self._done: dict[Key, SeccompProgram | None] = {}
        self._lock = threading.Lock()  # of what is kept
        self._default_lock = threading.Lock()  # held while the default policy is compiled

    def for_container(
        self, security: Security, capabilities: Iterable[str], *, privileged: bool
    ) -> SeccompProgram | None:
        """The filter that a container gets, or None for no filter. InvalidArgument for a profile that is no good."""
        if not security.filters(privileged=privileged):
            return None
        return self.program(frozenset(capabilities), security.seccomp)

    def has(self, capabilities: frozenset[str], profile: str) -> bool:
        """Whether it is compiled already, and kept."""
        with self._lock:
            return key_of(capabilities, profile) in self._done

    def program(
        self, capabilities: frozenset[str], profile: str = "", seconds: int = SECONDS
    ) -> SeccompProgram | None:
        """``profile`` is JSON text, or "" for the default policy. None for a profile without any rule.

        Blocks for a profile that has not been compiled yet. TooMuch where that takes so many seconds of a processor.
        """
        key = key_of(capabilities, profile)
        with suppress(KeyError):
            return self._kept(key)
        return self._brought(key, profile, seconds) if profile else self._default(key)

    def warm(self, *capabilities: frozenset[str]) -> threading.Thread:
        """Compile the default policy for sets of capabilities in the background, before anybody waits for it."""

        def work() -> None:
            for names in capabilities:
                self.program(names)

        thread = threading.Thread(target=work, name="seccomp", daemon=True)
        thread.start()
        return thread

    def _kept(self, key: Key) -> SeccompProgram | None:
        """KeyError where it is not, or no longer. What was used last is kept longest."""
        with self._lock:
            found = self._done.pop(key)
            self._done[key] = found
            return found

    def _keep(self, key: Key, made: SeccompProgram | None) -> SeccompProgram | None:
        with self._lock:
            self._done[key] = made
            brought = [known for known in self._done if known[0]]
            for old in brought[:-KEPT]:
                del self._done[old]
            return made

    def _default(self, key: Key) -> SeccompProgram | None:
        """Compiled once, however many threads come for it."""
        with self._default_lock:
            with suppress(KeyError):
                return self._kept(key)
            policy = default_policy(key[1], self._machine)
            return self._keep(key, compile_filter(policy, "default policy"))

    def _brought(self, key: Key, profile: str, seconds: int) -> SeccompProgram | None:
        answer = compiled(Job(profile, sorted(key[1]), seconds))
        made = None
        if answer.program is not None:
            made = SeccompProgram(answer.program, answer.flags, "custom profile")
        return self._keep(key, made)


def key_of(capabilities: frozenset[str], profile: str) -> Key:
    return (sha256(profile.encode()).digest() if profile else b"", capabilities)


def compile_profile(text: str, capabilities: frozenset[str]) -> SeccompProgram | None:
    """A profile in Docker's form to a program. May take for ever: see ``seccomp_worker``. InvalidArgument."""
    policy = load_profile(text, capabilities, this_machine())
    return compile_filter(policy, "custom profile") if policy is not None else None


# ---------------------------------------------------------------- Docker's form of a profile


def load_profile(text: str, capabilities: frozenset[str], machine: Machine) -> oci.Seccomp | None:
    """Choose the rules that hold for a container. None for an empty profile, which means no filter."""
    try:
        profile = msgspec.json.decode(text, type=DockerProfile)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise InvalidArgument(f"Decoding seccomp profile failed: {error}") from error
    if not profile.default_action and not profile.syscalls:
        return None
    if profile.architectures and profile.arch_map:
        raise InvalidArgument(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, "
            "use either 'architectures' or 'archMap'"
        )
    return oci.Seccomp(
        default_action=profile.default_action,
        default_errno_ret=profile.default_errno_ret,
        architectures=[*(profile.architectures or ()), *mapped(profile, machine)],
        flags=list(profile.flags or ()),
        syscalls=[plain(rule) for rule in profile.syscalls or () if holds(rule, capabilities, machine)],
    )


def mapped(profile: DockerProfile, machine: Machine) -> Iterator[str]:
    native = ARCHITECTURES.get(machine.name, ("",))[0]
    for entry in profile.arch_map or ():
        if entry.architecture == native:
            yield native
            yield from entry.sub_architectures or ()


def plain(rule: DockerSyscall) -> oci.Syscall:
    if rule.name and rule.names:
        raise InvalidArgument(
            "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'"
        )
    names = [rule.name] if rule.name else rule.names
    return oci.Syscall(names=names, action=rule.action, errno_ret=rule.errno_ret, args=rule.args)


def holds(rule: DockerSyscall, capabilities: frozenset[str], machine: Machine) -> bool:
    """Every condition of ``includes`` and none of ``excludes``."""
    wanted, unwanted = rule.includes or Conditions(), rule.excludes or Conditions()
    included = (
        (not wanted.arches or on(machine, wanted.arches))
        and capabilities.issuperset(wanted.caps)
        and (not wanted.min_kernel or machine.kernel >= kernel_version(wanted.min_kernel))
    )
    excluded = (
        on(machine, unwanted.arches)
        or not capabilities.isdisjoint(unwanted.caps)
        or (bool(unwanted.min_kernel) and machine.kernel >= kernel_version(unwanted.min_kernel))
    )
    return included and not excluded


def on(machine: Machine, names: Iterable[str]) -> bool:
    return any(MACHINE_ALIASES.get(name, name) == machine.name for name in names)


# ---------------------------------------------------------------- compiling


def compile_filter(policy: oci.Seccomp, label: str = "profile") -> SeccompProgram:
    """A policy to a program. InvalidArgument for actions, operators or architectures that do not exist.

    Calls that nobody knows by name are skipped, as every runtime does.
    """
    if policy.listener_path:
        raise InvalidArgument("seccomp listeners are not supported")
    require_library()
    try:
        newer, main = build(policy)
    except OSError as error:
        raise InvalidArgument(f"the seccomp profile cannot be compiled: {error}") from error
    program = compact(prefix(newer, libseccomp.newest(), horizons(policy)) + main)
    return SeccompProgram(program, flag_bits(policy.flags), label)


def require_library() -> None:
    try:
        libseccomp.library()
    except OSError as error:
        raise Unavailable(f"libseccomp is not installed, so no container can be confined: {error}") from error


def build(policy: oci.Seccomp) -> tuple[dict[str, int], bytes]:
    """Calls that the library does not know, with their actions, and its program for all others."""
    default = action_number(policy.default_action, policy.default_errno_ret)
    with libseccomp.Filter(default) as filter:
        for name in policy.architectures:
            if not filter.add_architecture(name.removeprefix("SCMP_ARCH_").lower()):
                raise InvalidArgument(f'unknown seccomp architecture "{name}"')
        return add_rules(filter, policy.syscalls, default), filter.export()


def horizons(policy: oci.Seccomp) -> dict[int, int]:
    """By machine, the newest call that a policy names; nothing where it lets through what it does not name."""
    if policy.default_action in PERMISSIVE:
        return {}
    names = {name for rule in policy.syscalls for name in rule.names}
    found = {}
    for machine in MACHINES:
        numbers = [NUMBERS.get(name) or libseccomp.number(name, machine) for name in names]
        newest = max(numbers, default=-1)
        if newest >= 0:
            found[machine] = newest
    return found


def flag_bits(names: list[str]) -> int:
    """Without flags: speculation stays allowed, as runc has it (turning it off costs, and protects no one here)."""
    if not names:
        return SPECULATION_ALLOWED
    unknown = [name for name in names if name not in FLAGS]
    if unknown:
        raise InvalidArgument(f'unknown seccomp flag "{unknown[0]}"')
    return sum(FLAGS[name] for name in set(names))


def action_number(action: str, errno: int | None) -> int:
    if action not in ACTIONS:
        raise InvalidArgument(f'unknown or unsupported seccomp action "{action}"')
    return ACTIONS[action] | ((EPERM if errno is None else errno & 0xFFFF) if action in WITH_NUMBER else 0)


def add_rules(filter: libseccomp.Filter, rules: Iterable[oci.Syscall], default: int) -> dict[str, int]:
    """Give all rules to the library; the answer are calls that it does not know, and their actions."""
    unknown: dict[str, int] = {}
    for rule in rules:
        action = action_number(rule.action, rule.errno_ret)
        if action == default:
            continue
        comparisons = [comparison(arg) for arg in rule.args]
        for name in rule.names:
            number = filter.resolve(name)
            if number is None:
                unknown |= {} if comparisons else {name: action}
                continue
            for group in alternatives(comparisons):
                filter.add_rule(action, number, group)
    return unknown


def comparison(arg: oci.SyscallArg) -> libseccomp.Comparison:
    if arg.op not in OPERATORS or not 0 <= arg.index <= 5:
        raise InvalidArgument(f'invalid seccomp argument rule "{arg.op}" on argument {arg.index}')
    for value in (arg.value, arg.value_two):
        if not 0 <= value <= WORD_MAX:
            raise InvalidArgument(f"invalid value {value} in a seccomp argument rule: it has 64 bits")
    return libseccomp.Comparison(arg.index, OPERATORS[arg.op], arg.value, arg.value_two)


def alternatives(comparisons: list[libseccomp.Comparison]) -> list[list[libseccomp.Comparison]]:
    """Conditions on different arguments must all hold; several on one argument are alternatives, as in runc."""
    counts = Counter(entry.index for entry in comparisons)
    if any(count > 1 for count in counts.values()):
        return [[entry] for entry in comparisons]
    return [comparisons]
