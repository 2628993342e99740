"""What a filter answers, found by walking it: the default policy, and profiles of users'."""

from __future__ import annotations

import json

import pytest

from wherry.runtime import capabilities
from wherry.runtime.process_plan import ENTERING
from wherry.runtime.seccomp import SeccompCompiler
from wherry.runtime.seccomp_answers import lets_through

CLONE_NEWUSER = 0x10000000


def program(profile: object = "") -> bytes:
    made = SeccompCompiler().program(
        frozenset(capabilities.defaults()), json.dumps(profile) if profile else ""
    )
    assert made is not None
    return made.program


def refusing(*names: str) -> dict[str, object]:
    rule = {"names": list(names), "action": "SCMP_ACT_ERRNO"}
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}


def test_the_default_policy() -> None:
    assert lets_through(program(), ("read",), ("openat2",), ("clone", 17))
    assert not lets_through(program(), ("clone", CLONE_NEWUSER))
    assert not lets_through(program(), ("clone",)), "it depends on the flags"
    assert not lets_through(program(), ("read",), ("mount",))


def test_the_default_policy_lets_others_come_in() -> None:
    assert lets_through(program(), *ENTERING)


@pytest.mark.parametrize("name", [name for name, *_ in ENTERING])
def test_a_profile_that_forbids_what_coming_in_needs(name: str) -> None:
    assert lets_through(program(refusing("reboot")), *ENTERING)
    assert not lets_through(program(refusing(name)), *ENTERING)


def test_nothing_is_allowed_where_all_is_refused() -> None:
    assert not lets_through(program({**refusing("read"), "defaultAction": "SCMP_ACT_KILL"}), ("write",))
