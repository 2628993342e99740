"""Plans and their differences as text: what is alike stands together, nothing is lost."""

from __future__ import annotations

import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wherry.cli.paper import Paper, cells
from wherry.cli.plan_text import changed, folded, plan_rows, show_difference, show_plan

Json = dict[str, Any]


def step(number: int, heading: str, name: str, text: str, cause: str = "default", **arguments: Any) -> Json:
    return {
        "Number": number, "Phase": "engine" if number < 3 else "monitor", "Heading": heading, "Name": name,
        "Text": text, "Origin": "default" if cause == "default" else "request", "Cause": cause,
        "Arguments": arguments,
    }  # fmt: skip


STEPS = [
    step(1, "process", "record", "record the container"),
    step(2, "network", "publish-port", "publish 0.0.0.0:80 as 80/tcp", "-p 80:80"),
    step(3, "limits", "cgroup-create", "make cgroup /sys/cpu/x"),
    step(4, "limits", "cgroup-create", "make cgroup /sys/pids/x"),
    step(5, "limits", "cgroup-write", "write '1' to /sys/pids/x/pids.max", "--pids-limit 1"),
    step(6, "rights", "mask", "mask /proc/keys"),
    step(7, "rights", "mask", "mask /proc/kcore"),
    step(8, "rights", "mask", "mask /sys/firmware"),
]


def shown(steps: list[Json]) -> str:
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    show_plan({"Steps": steps}, "A plan.", Paper(out, {}))
    out.seek(0)
    return out.read()


def test_a_plan_stands_under_headings_with_numbers_and_causes() -> None:
    assert shown(STEPS).splitlines() == [
        "A plan.",
        "8 steps, numbered in the order of execution: the engine does 1–2, the monitor 3–8.",
        "",
        "NETWORK",
        "    2  publish 0.0.0.0:80 as 80/tcp       -p 80:80",
        "",
        "LIMITS",
        "  3–4  make cgroup /sys/{cpu, pids}/x     default",
        "    5  write '1' to /sys/pids/x/pids.max  --pids-limit 1",
        "",
        "RIGHTS",
        "  6–7  mask /proc/{keys, kcore}           default",
        "    8  mask /sys/firmware                 default",
        "",
        "PROCESS",
        "    1  record the container               default",
    ]


def test_steps_with_another_cause_or_not_in_a_row_stand_alone() -> None:
    masks = [step(1, "rights", "mask", "mask /proc/keys"), step(3, "rights", "mask", "mask /proc/kcore")]
    assert [row[0] for row in plan_rows(masks)] == ["1", "3"]
    masks[1].update(Number=2, Cause="--privileged", Phase="engine")
    assert [row[2] for row in plan_rows(masks)] == ["default", "--privileged"]


def test_who_else_asked_is_said() -> None:
    causes = {"image": "image: ENV", "daemon": "daemon: ENV", "request": "ENV"}
    for origin, said in causes.items():
        assert plan_rows([{**step(1, "process", "exec", "run"), "Origin": origin, "Cause": "ENV"}]) == [
            ("1", "run", said)
        ]


def test_what_two_texts_share_is_said_once() -> None:
    assert folded(["write a (1 bytes)", "write b (22 bytes)"]) == "write {a (1 bytes), b (22 bytes)}"
    assert folded(["link /dev/fd to /proc/self/fd", "link /dev/ptmx to pts/ptmx"]) == (
        "link /dev/{fd to /proc/self/fd, ptmx to pts/ptmx}"
    )


@given(st.lists(st.text("ab/ ()", min_size=1), min_size=2, max_size=5))
def test_folding_can_be_undone(texts: list[str]) -> None:
    together = folded(texts)
    assert len(together) <= sum(map(len, texts)) + 2 * len(texts)
    head, _, rest = together.partition("{")
    middle, _, tail = rest.rpartition("}")
    assert [head + part + tail for part in middle.split(", ")] == texts


def test_a_hostile_command_is_harmless() -> None:
    text = shown([step(1, "process", "exec", "run \x1b]0;owned\x07 \u202e", "\x1b[2J")])
    assert r"run \x1b]0;owned\x07 \u202e" in text
    assert r"\x1b[2J" in text
    assert "\x1b" not in text


@given(st.text(), st.text())
def test_any_text_fits(said: str, cause: str) -> None:
    lines = shown([step(1, "process", "exec", said, cause)]).split("\n")
    assert all(cells(line) <= 100 for line in lines)


def difference(a: Json | None, b: Json | None, what: str = "") -> Json:
    some = a or b
    assert some
    if a and b:
        what = what or f"{a['Text']} → {b['Text']}"
    return {"Heading": some["Heading"], "Name": some["Name"], "What": what, "A": a, "B": b}


def test_a_difference_says_who_has_what_and_why() -> None:
    found = [
        difference(None, step(1, "devices", "mknod", "device /dev/fuse (c 10:229)", "--privileged")),
        difference(None, step(2, "devices", "mknod", "device /dev/kvm (c 10:232)", "--privileged")),
        difference(
            step(3, "limits", "cgroup-write", "write '1' to /x/pids.max", "--pids-limit 1"),
            step(3, "limits", "cgroup-write", "write '2' to /x/pids.max", "--pids-limit 2"),
        ),
        difference(step(4, "rights", "seccomp", "seccomp filter"), None),
    ]
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    show_difference({"Differences": found}, "web", "--privileged web", Paper(out, {}))
    out.seek(0)
    assert out.read().splitlines() == [
        "  - A  web",
        "  + B  --privileged web",
        "",
        "DEVICES",
        "  +  device /dev/{fuse (c 10:229), kvm (c 10:232)}  --privileged",
        "",
        "LIMITS",
        "  ~  write {'1' → '2'} to /x/pids.max               --pids-limit 1 → --pids-limit 2",
        "",
        "RIGHTS",
        "  -  seccomp filter                                 default",
    ]


def test_a_wall_of_devices_is_counted() -> None:
    devices = [
        step(n, "devices", "mknod", f"device /dev/tty{n} (c 4:{n})", "--privileged") for n in range(130)
    ]
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    show_difference({"Differences": [difference(None, d) for d in devices]}, "a", "b", Paper(out, {}))
    out.seek(0)
    text = " ".join(out.read().split())
    assert "tty0 (c 4:0)" in text and "tty11 (c 4:11), and 118 more}" in text and "tty12" not in text


def test_a_step_that_differs_in_what_its_text_leaves_out() -> None:
    a = step(1, "process", "exec", "run sh", env=["A=1", "B=2"], program="x" * 300)
    b = step(1, "process", "exec", "run sh", env=["B=2", "C=3"], program="y" * 300)
    assert changed("run sh → run sh", a, b) == "run sh: env: - A=1, + C=3; another program"
