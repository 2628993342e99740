"""Plans as readers see them, and compared."""

from __future__ import annotations

import json

import msgspec

from wherry.engine.preparation.networks import NetworkEndpoint, PublishPort
from wherry.engine.preparation.rights import LeftOut
from wherry.runtime.plan_view import compare, view
from wherry.runtime.steps import (
    Capabilities,
    Cause,
    CgroupWrite,
    Clone,
    Exec,
    HostFile,
    Mount,
    Namespace,
    Origin,
    Plan,
    Seccomp,
)

ASKED = Cause(Origin.REQUEST, "--privileged")


def plan(*steps: object, preparation: tuple[object, ...] = ()) -> Plan:
    return Plan((Clone(Namespace.PID), *steps, Exec(("true",), ())), preparation)  # type: ignore[arg-type]


def words(a: Plan, b: Plan) -> list[str]:
    return [d.what for d in compare(view(a), view(b), "a", "b").differences]


def test_steps_are_numbered_in_the_order_of_execution_with_who_does_them() -> None:
    seen = view(
        plan(Mount("proc", "proc", "/proc"), preparation=(NetworkEndpoint("bridge", "wherry0", "eth0"),))
    )
    assert [(s.number, s.phase, s.name) for s in seen.steps] == [
        (1, "engine", "endpoint"),
        (2, "monitor", "clone"),
        (3, "container", "mount"),
        (4, "container", "exec"),
    ]
    assert "from the pool" in seen.steps[0].text


def test_a_view_is_json_whatever_is_in_the_plan() -> None:
    odd = plan(HostFile("/x\udcff", b"\xff\x00"), Seccomp(b"\xff" * 8), Mount("proc", "\udc80", "/p"))
    assert json.loads(msgspec.json.encode(view(odd)))["Steps"]


def test_masked_texts_are_replaced_everywhere() -> None:
    seen = view(plan(CgroupWrite("/sys/abc/limit", "abc")), {"abc": "<id>"})
    step = seen.steps[1]
    assert step.arguments == {"path": "/sys/<id>/limit", "value": "<id>", "optional": False}
    assert "abc" not in step.text


def test_equal_plans_do_not_differ() -> None:
    assert words(plan(), plan()) == []


def test_what_only_one_has_is_said_with_its_cause() -> None:
    found = compare(
        view(plan(Seccomp(b"12345678"))),
        view(plan(preparation=(LeftOut("the filter", cause=ASKED),))),
        "a",
        "b",
    )
    assert [d.what.split(":")[0] for d in found.differences] == ["only in A", "only in B"]
    assert found.differences[1].b is not None and found.differences[1].b.cause == "--privileged"


def test_capabilities_are_named() -> None:
    assert words(plan(Capabilities(1, 1, 1)), plan(Capabilities(3, 3, 3))) == [
        "capabilities: 1 more in B (CAP_DAC_OVERRIDE)"
    ]


def test_a_changed_limit_is_one_difference_and_device_rules_are_single_ones() -> None:
    limit = "/sys/fs/cgroup/memory/x/memory.limit_in_bytes"
    assert len(words(plan(CgroupWrite(limit, "1")), plan(CgroupWrite(limit, "2")))) == 1
    rules = "/sys/fs/cgroup/devices/x/devices.allow"
    a = plan(CgroupWrite(rules, "c 1:3 rwm"), CgroupWrite(rules, "c 1:5 rwm"))
    assert words(a, plan(CgroupWrite(rules, "c 1:3 rwm"))) == [f"only in A: write 'c 1:5 rwm' to {rules}"]


def test_limits_by_device_are_single_ones() -> None:
    rates = "/sys/fs/cgroup/blkio/x/blkio.throttle.read_bps_device"
    a = plan(CgroupWrite(rates, "8:0 100"), CgroupWrite(rates, "8:16 100"))
    b = plan(CgroupWrite(rates, "8:0 200"), CgroupWrite(rates, "8:16 100"))
    assert words(a, b) == [f"write '8:0 100' to {rates} → write '8:0 200' to {rates}"]
    unified = "/sys/fs/cgroup/x/io.max"
    a = plan(CgroupWrite(unified, "8:0 rbps=1"), CgroupWrite(unified, "8:0 wbps=1"))
    assert words(a, plan(CgroupWrite(unified, "8:0 wbps=1"))) == [
        f"only in A: write '8:0 rbps=1' to {unified}"
    ]


def test_ports_are_compared_by_the_containers_port() -> None:
    a = plan(preparation=(PublishPort("tcp", "0.0.0.0", 8080, 0, 80),))
    b = plan(preparation=(PublishPort("tcp", "0.0.0.0", 9090, 0, 80),))
    assert words(a, b) == ["publish 80/tcp on 0.0.0.0:8080 → publish 80/tcp on 0.0.0.0:9090"]


def test_headings_come_in_their_order() -> None:
    a = plan(Capabilities(1, 1, 1), Mount("proc", "proc", "/proc"))
    b = plan(Capabilities(3, 3, 3))
    assert [d.heading for d in compare(view(a), view(b), "a", "b").differences] == ["filesystems", "rights"]
