"""Filters are judged by what the kernel does with them: a forked child installs one and tries calls."""

import ctypes
import errno
import json
import mmap
import os
import platform
import struct
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.runtime.test_seccomp_compact import ALLOW, REFUSE, X86_64, answer
from wherry.errors import InvalidArgument
from wherry.runtime import capabilities
from wherry.runtime import oci_spec as oci
from wherry.runtime.seccomp import KEPT, SeccompCompiler, compile_filter, load_profile
from wherry.runtime.seccomp_policy import Machine, default_policy, kernel_version
from wherry.runtime.security import Security

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="call numbers of x86_64")

DEFAULT = frozenset(capabilities.defaults())
ALL = frozenset(capabilities.known())
CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, SIGCHLD = 0x10000000, 0x20000, 0x40000000, 17
AF_UNIX, AF_NETLINK, AF_ALG, AF_KEY_39, AF_VSOCK = 1, 16, 38, 39, 40
ALLOWED = 0
MISSING = 0x00050026
BAD = -1  # an argument that makes a call fail with something else than EPERM or ENOSYS

NUMBERS = {
    "getpid": 39,
    "socket": 41,
    "clone": 56,
    "ptrace": 101,
    "syslog": 103,
    "personality": 135,
    "pivot_root": 155,
    "acct": 163,
    "mount": 165,
    "swapon": 167,
    "reboot": 169,
    "init_module": 175,
    "keyctl": 250,
    "add_key": 248,
    "mbind": 237,
    "kexec_load": 246,
    "unshare": 272,
    "setns": 308,
    "kcmp": 312,
    "bpf": 321,
    "userfaultfd": 323,
    "open_by_handle_at": 304,
    "perf_event_open": 298,
    "io_uring_setup": 425,
    "open_tree": 428,
    "fsopen": 430,
    "clone3": 435,
    "cachestat": 451,
    "fchmodat2": 452,
    "statmount": 457,
    "lsm_list_modules": 461,
    "mseal": 462,
    "getxattrat": 464,
    "a_call_of_the_future": 999,
}

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
Call = tuple[str, Sequence[int]]


def attempt(number: int, arguments: Sequence[int]) -> int:
    """0 where it worked, else the errno."""
    result = libc.syscall(number, *(ctypes.c_long(a) for a in arguments))
    error = ctypes.get_errno() if result < 0 else 0
    if number == NUMBERS["clone"] and result == 0:
        os._exit(0)  # the child of the child
    return error


def install(program: bytes, flags: int) -> None:
    buffer = ctypes.create_string_buffer(program, len(program))
    filter = struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer))
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # no new privileges
    assert libc.syscall(317, 1, flags, ctypes.create_string_buffer(filter, 16)) == 0


def under(program: bytes, calls: Sequence[Call], flags: int = 0) -> list[int]:
    """Errors of calls, tried in a child that has installed the filter."""
    shared = mmap.mmap(-1, 8 * len(calls))
    if (child := os.fork()) == 0:
        try:
            install(program, flags)
            for index, (name, arguments) in enumerate(calls):
                struct.pack_into("<q", shared, 8 * index, attempt(NUMBERS[name], arguments))
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return list(struct.unpack(f"<{len(calls)}q", shared[:]))


@pytest.fixture(scope="module")
def compiler() -> SeccompCompiler:
    return SeccompCompiler()


def test_what_a_default_container_may_not_do(compiler: SeccompCompiler):
    filter = compiler.program(DEFAULT)
    assert filter is not None
    refused: list[Call] = [
        ("keyctl", (0, 0, 0)),
        ("add_key", (0, 0, 0, 0, 0)),
        ("unshare", (CLONE_NEWUSER,)),
        ("setns", (BAD, 0)),
        ("mount", (0, 0, 0, 0, 0)),
        ("fsopen", (0, 0)),
        ("open_tree", (BAD, 0, 0)),
        ("pivot_root", (0, 0)),
        ("clone", (CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)),
        ("clone", (CLONE_NEWNET | SIGCHLD, 0, 0, 0, 0)),
        ("socket", (AF_ALG, 5, 0)),
        ("socket", (AF_VSOCK, 1, 0)),
        ("personality", (0x0040000,)),
        ("io_uring_setup", (1, 0)),
        ("userfaultfd", (0,)),
        ("bpf", (0, 0, 0)),
        ("perf_event_open", (0, 0, 0, 0, 0)),
        ("open_by_handle_at", (BAD, 0, 0)),
        ("kexec_load", (0, 0, 0, 0)),
        ("init_module", (0, 0, 0)),
        ("swapon", (0, 0)),
        ("reboot", (0, 0, 0, 0)),
        ("acct", (0,)),
        ("syslog", (3, 0, 0)),
        ("kcmp", (0, 0, 0, 0, 0)),
        ("mbind", (0, 0, 0, 0, 0, 0)),
        ("lsm_list_modules", (0, 0, 0)),
    ]
    errors = under(filter.program, refused, filter.flags)
    assert [(call, error) for call, error in zip(refused, errors, strict=True) if error != errno.EPERM] == []


def test_what_it_may_do(compiler: SeccompCompiler):
    filter = compiler.program(DEFAULT)
    assert filter is not None
    allowed: list[Call] = [
        ("getpid", ()),
        ("socket", (AF_UNIX, 1, 0)),
        ("socket", (AF_NETLINK, 3, 0)),
        ("clone", (SIGCHLD, 0, 0, 0, 0)),
        ("personality", (0xFFFFFFFF,)),
        ("personality", (0x8,)),
        ("personality", (0,)),
    ]
    errors = under(filter.program, allowed, filter.flags)
    assert errors == [ALLOWED] * len(allowed)
    reached: list[Call] = [
        ("ptrace", (BAD, 0, 0, 0)),
        ("cachestat", (BAD, 0, 0, 0)),
        ("fchmodat2", (BAD, 0, 0, 0)),
        ("statmount", (0, 0, 0, 1)),
        ("mseal", (1, 1, 1)),
        ("getxattrat", (BAD, 0, 0, 0, 0, 0)),
    ]
    for call, error in zip(reached, under(filter.program, reached, filter.flags), strict=True):
        assert error not in (0, errno.EPERM), call


def test_calls_that_callers_fall_back_from_do_not_exist(compiler: SeccompCompiler):
    filter = compiler.program(DEFAULT)
    assert filter is not None
    missing: list[Call] = [("clone3", (0, 0)), ("a_call_of_the_future", ())]
    assert under(filter.program, missing) == [errno.ENOSYS] * 2


@pytest.mark.parametrize("number", [467, 468, 469, 470, 999])
def test_calls_newer_than_the_policy_do_not_exist(compiler: SeccompCompiler, number: int):
    """Libraries try a new call first and fall back where there is none: EPERM would be an answer. As runc."""
    for granted in (DEFAULT, ALL):
        filter = compiler.program(granted)
        assert filter is not None
        NUMBERS["newer"] = number
        assert under(filter.program, [("newer", (BAD, 0, 0, 0, 0, 0))]) == [errno.ENOSYS]


def test_calls_newer_than_a_profile_do_not_exist(compiler: SeccompCompiler):
    """And older ones that it does not name are refused, whatever the library knows."""
    names = ["read", "write", "exit_group", "exit", "mseal"]
    rule = {"names": names, "action": "SCMP_ACT_ALLOW"}
    text = json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]})
    filter = compiler.program(DEFAULT, text)
    assert filter is not None
    answers = {
        number: answer(filter.program, X86_64, number, [0] * 6) for number in (452, 462, 463, 467, 470)
    }
    assert answers == {452: REFUSE, 462: ALLOW, 463: MISSING, 467: MISSING, 470: MISSING}
    permissive = compiler.program(
        DEFAULT, profile(syscalls=[{"names": ["mseal"], "action": "SCMP_ACT_ERRNO"}])
    )
    assert permissive is not None
    assert answer(permissive.program, X86_64, 999, [0] * 6) == ALLOW


def test_capabilities_open_calls(compiler: SeccompCompiler):
    filter = compiler.program(ALL)
    assert filter is not None
    open_now: list[Call] = [
        ("setns", (BAD, 0)),
        ("open_by_handle_at", (BAD, 0, 0)),
        ("clone3", (0, 0)),
        ("mbind", (1, 1, 9, 0, 0, 0)),
    ]
    for call, error in zip(open_now, under(filter.program, open_now), strict=True):
        assert error not in (0, errno.EPERM, errno.ENOSYS), call
    still: list[Call] = [("keyctl", (0, 0, 0)), ("io_uring_setup", (1, 0)), ("socket", (AF_ALG, 5, 0))]
    assert under(filter.program, still) == [errno.EPERM] * 3


def test_x32_and_i386_calls_are_judged_by_their_own_numbers(compiler: SeccompCompiler):
    """A filter for several machines begins by telling them apart; ours must not send x32 to the newer calls."""
    filter = compiler.program(DEFAULT)
    assert filter is not None
    NUMBERS["x32_getpid"], NUMBERS["x32_unshare"] = 0x40000000 | 39, 0x40000000 | 272
    errors = under(filter.program, [("x32_getpid", ()), ("x32_unshare", (CLONE_NEWUSER,))])
    assert errors[0] in (0, errno.ENOSYS)  # allowed, where the kernel has x32 at all
    assert errors[1] == errno.EPERM


def profile(**more: object) -> str:
    return json.dumps({"defaultAction": "SCMP_ACT_ALLOW", **more})


def test_a_custom_profile(compiler: SeccompCompiler):
    text = profile(
        archMap=[{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
        syscalls=[
            {"names": ["unshare", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99},
            {"name": "acct", "action": "SCMP_ACT_ERRNO"},
            {"names": ["getxattrat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 98},
            {"names": ["setns"], "action": "SCMP_ACT_ERRNO", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["ptrace"], "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["CAP_CHOWN"]}},
            {"names": ["mbind"], "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "99.0"}},
            {
                "names": ["socket"],
                "action": "SCMP_ACT_ERRNO",
                "errnoRet": 97,
                "args": [
                    {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
                    {"index": 0, "value": 16, "op": "SCMP_CMP_EQ"},
                ],
            },
        ],
    )
    filter = compiler.program(DEFAULT, text)
    assert filter is not None and filter.label == "custom profile"
    calls: list[Call] = [
        ("unshare", (0,)),
        ("acct", (0,)),
        ("getxattrat", (BAD, 0, 0, 0, 0, 0)),
        ("setns", (BAD, 0)),
        ("ptrace", (BAD, 0, 0, 0)),
        ("socket", (AF_UNIX, 1, 0)),
        ("socket", (AF_NETLINK, 3, 0)),
        ("getpid", ()),
    ]
    errors = under(filter.program, calls)
    assert errors[:3] == [99, errno.EPERM, 98]
    assert errors[3] == errno.EBADF
    assert errors[4] not in (0, errno.EPERM)
    assert errors[5:] == [97, 97, 0]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        profile(syscalls=[{"names": ["x"], "action": "SCMP_ACT_NOPE"}]),
        profile(syscalls=[{"names": ["read"], "name": "x", "action": "SCMP_ACT_ERRNO"}]),
        profile(architectures=["SCMP_ARCH_VAX"]),
        profile(architectures=["SCMP_ARCH_X86"], archMap=[{"architecture": "SCMP_ARCH_X86_64"}]),
        profile(architectures=["SCMP_ARCH_S390X"]),  # of the other byte order
        profile(flags=["NO_SUCH_FLAG"]),
        json.dumps({"defaultAction": "nope", "syscalls": []}),
        profile(
            syscalls=[
                {
                    "names": ["read"],
                    "action": "SCMP_ACT_ERRNO",
                    "args": [{"index": 9, "value": 0, "op": "SCMP_CMP_EQ"}],
                }
            ]
        ),
        *(
            profile(
                syscalls=[
                    {
                        "names": ["read"],
                        "action": "SCMP_ACT_ERRNO",
                        "args": [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"}],
                    }
                ]
            )
            for value in (-1, 1 << 64)
        ),
        *(
            profile(
                syscalls=[{"names": ["read"], "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": version}}]
            )
            for version in ("a.b", "5", "5.10.1", "٥.1", "5.", "9" * 5000)
        ),
    ],
)
def test_profiles_refused(compiler: SeccompCompiler, text: str):
    with pytest.raises(InvalidArgument) as refused:
        compiler.program(DEFAULT, text)
    assert "too much time or memory" not in str(refused.value)


def test_a_worker_imports_nothing_of_where_the_daemon_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It is root's, and the folder may be anybody's."""
    (tmp_path / "resource.py").write_text("import pathlib; pathlib.Path('taken').touch()")
    monkeypatch.chdir(tmp_path)
    SeccompCompiler().program(DEFAULT, profile())
    assert not (tmp_path / "taken").exists()


def test_an_empty_profile_is_none(compiler: SeccompCompiler):
    assert compiler.program(DEFAULT, "{}") is None
    assert load_profile("{}", DEFAULT, Machine("x86_64", (6, 1))) is None


def test_who_gets_which(compiler: SeccompCompiler):
    unconfined, default = Security(seccomp="unconfined"), Security()
    assert compiler.for_container(unconfined, DEFAULT, privileged=False) is None
    assert compiler.for_container(default, ALL, privileged=True) is None
    assert compiler.for_container(default, DEFAULT, privileged=False) is compiler.program(DEFAULT)
    own = Security(seccomp=profile(syscalls=[]))
    assert compiler.for_container(own, ALL, privileged=True) is not None


def test_kept_and_quick():
    fresh = SeccompCompiler()
    started = time.perf_counter()
    first = fresh.program(DEFAULT)
    assert time.perf_counter() - started < 0.5  # 13 ms on a quiet machine
    assert fresh.program(DEFAULT) is first
    fresh.warm(ALL).join(5)
    assert (b"", ALL) in fresh._done


def test_policy_depends_on_machine_and_kernel():
    def names(policy: oci.Seccomp) -> set[str]:
        return {name for rule in policy.syscalls for name in rule.names}

    old = names(default_policy(DEFAULT, Machine("x86_64", (4, 7))))
    new = names(default_policy(DEFAULT, Machine("x86_64", (6, 1))))
    arm = default_policy(DEFAULT, Machine("aarch64", (6, 1)))
    assert "ptrace" in new - old
    assert "arch_prctl" in new - names(arm)
    assert arm.architectures == ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
    assert kernel_version("6.18.44-fc-v657") == (6, 18)
    assert kernel_version("5") == (5, 0)


def test_every_policy_compiles():
    for name in ("x86_64", "aarch64", "riscv64", "ppc64le"):
        assert compile_filter(default_policy(DEFAULT, Machine(name, (6, 1)))).program


def test_a_filter_stays_below_the_kernels_limit(compiler: SeccompCompiler):
    for held in (DEFAULT, ALL, frozenset[str]()):
        program = compiler.program(held)
        assert program is not None and len(program.program) // 8 <= 4096


def test_what_takes_for_ever_to_compile_is_given_up(compiler: SeccompCompiler):
    """libseccomp multiplies such rules with one another."""
    rule = {
        "names": ["read"],
        "action": "SCMP_ACT_ALLOW",
        "args": [{"index": index, "value": 7, "op": "SCMP_CMP_GE"} for index in range(6)],
    }
    rules = [
        {**rule, "args": [{**arg, "value": number} for arg in rule["args"]]} for number in range(100_000 // 6)
    ]
    with pytest.raises(InvalidArgument, match="too much time or memory"):
        compiler.program(DEFAULT, json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules}))


def test_no_filter_is_longer_than_the_kernel_takes(compiler: SeccompCompiler):
    args = [{"index": 0, "value": number, "op": "SCMP_CMP_EQ"} for number in range(5000)]
    rule = {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": args}
    with pytest.raises(InvalidArgument, match="the kernel takes 4096"):
        compiler.program(DEFAULT, json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]}))


def test_only_the_latest_profiles_are_kept(compiler: SeccompCompiler):
    fresh = SeccompCompiler()
    fresh.program(DEFAULT)
    fresh._done |= {(bytes([number]), DEFAULT): None for number in range(1, KEPT + 20)}
    fresh.program(DEFAULT, "{}")
    assert len(fresh._done) == KEPT + 1 and (b"", DEFAULT) in fresh._done


def test_a_profile_in_use_is_kept_whatever_others_bring():
    fresh = SeccompCompiler()
    fresh.program(DEFAULT, "{}")
    fresh._done |= {(bytes([number]), DEFAULT): None for number in range(1, KEPT)}
    fresh.program(DEFAULT, "{}")
    fresh.program(DEFAULT, "{} ")  # one too many
    assert fresh.has(DEFAULT, "{}")
    assert not fresh.has(DEFAULT, "") and (bytes([1]), DEFAULT) not in fresh._done


def test_the_default_policy_is_compiled_once_however_many_want_it():
    fresh, together = SeccompCompiler(), threading.Barrier(8)

    def compiled(_: int) -> int:
        together.wait()
        return id(fresh.program(DEFAULT))

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(compiled, range(8)))) == 1
