"""An explanation as text, from documents made by hand."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cli.documents import DRIFTS, ID, drift, explanation, layer, limit, mount, right
from wherry.cli.explain_text import show_check, show_explanation
from wherry.cli.explain_words import amount, drift_words, used_words
from wherry.cli.paper import Paper, cells

Json = dict[str, Any]


def shown(found: Json) -> str:
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="")
    show_explanation(found, Paper(out, {}))
    out.seek(0)
    return out.read()


def lines_under(text: str, heading: str) -> list[str]:
    block = text[text.index(f"\n{heading}") + 1 :].split("\n\n", maxsplit=1)[0]
    return block.splitlines()[1:]


def test_every_kind_of_thing_is_shown_with_its_cause() -> None:
    text = shown(explanation())
    assert text.startswith("web  (running, pid 4711)\n")
    assert lines_under(text, "NAMESPACES")[0].split() == ["mnt", "4026532281", "its", "own", "default"]
    assert lines_under(text, "MOUNTS")[-1].split() == [
        "/srv/data", "ext4", "/home/me/data", "ro,relatime", "-v", "/home/me/data:/srv/data:ro",
    ]  # fmt: skip
    memory = lines_under(text, "LIMITS")[0]
    assert "9 MiB of 64 MiB" in memory and "--memory 64m" in memory
    assert "used by 6 other containers" in text
    assert "→ 172.17.0.2:80" in text and "1,284 packets, 96 KiB" in text and "-p 8080:80" in text
    assert "veth3f2a1c" in text
    assert "No drift: the kernel holds what was planned." in text


def test_rights_that_are_the_same_stand_together() -> None:
    rights = [right("effective capabilities", "1", ["CHOWN"]), right("bounding capabilities", "1", ["CHOWN"])]
    (line,) = lines_under(shown(explanation(Rights=rights)), "RIGHTS")
    assert line.split() == ["{effective,", "bounding}", "capabilities", "1:", "CHOWN", "default"]


def test_mounts_that_are_alike_stand_together() -> None:
    mounts = [
        mount("/", "overlay", "overlay", f"rw,lowerdir=a:b,upperdir=/{ID}/upper,workdir=/{ID}/work"),
        mount("/sys/fs/cgroup/cpu", "cgroup", f"/sys/fs/cgroup/cpu/wherry/{ID}", "ro,nosuid,cpu"),
        mount("/sys/fs/cgroup/pids", "cgroup", f"/sys/fs/cgroup/pids/wherry/{ID}", "ro,nosuid,pids"),
        mount("/proc/bus", "proc", "proc[/bus]", "ro"),
        mount("/proc/irq", "proc", "proc[/irq]", "ro"),
        mount("/proc/sys", "proc", "proc[/sys]", "rw"),
        mount("/proc/kcore", "tmpfs", "tmpfs[/null]", "rw"),
    ]
    lines = lines_under(shown(explanation(Mounts=mounts)), "MOUNTS")
    assert [" ".join(line.split()) for line in lines] == [
        "/ overlay rw default",
        "/sys/fs/cgroup/{cpu, pids} cgroup /sys/fs/cgroup/{cpu, pids}/wherry/<id> ro,nosuid default",
        "/proc/{bus, irq} proc ro default",
        "/proc/sys proc rw default",
        "/proc/kcore tmpfs[/null] rw default",
    ]


def test_drift_comes_first() -> None:
    text = shown(explanation(Drift=DRIFTS))
    assert text.index("DRIFT") < text.index("LAYERS")
    assert lines_under(text, "DRIFT") == [
        "  limit memory.limit_in_bytes is 134217728, but 67108864 was planned (--memory 64m)",
        "  mount /mnt is tmpfs rw, which was not planned",
        "  port 0.0.0.0:8080/tcp is missing, but 172.17.0.2:80 was planned (-p 8080:80)",
    ]
    assert "No drift" not in text


def test_a_layer_is_one_line_however_long_its_command() -> None:
    layers = [layer("a1", "RUN " + "apt-get install -y something && " * 20, 5, 2), layer("b1", "X", 5, 0)]
    first, second = lines_under(shown(explanation(Layers=layers)), "LAYERS")
    assert "RUN apt-get install" in first and "…  used by 2 other containers  image shop:2" in first
    assert len(first) <= 100 and first.index("used by") == second.index("used by")


def test_what_it_can_do_to_the_host_comes_before_all_else() -> None:
    text = shown(explanation(Drift=DRIFTS))
    assert text.index("WARNING") < text.index("DRIFT")
    assert "WARNING" not in shown(explanation(Reach=[]))


def test_memory_is_what_the_kernel_charges_for() -> None:
    lines = " ".join(" ".join(lines_under(shown(explanation()), "WHAT IT COSTS")).split())
    said = "charged to its cgroup: processes 372 KiB, tmpfs 8 MiB, file cache 200 KiB, kernel 452 KiB"
    assert lines.startswith(f"memory 9 MiB {said} shared pages")


def test_what_does_not_run_is_said_to_not_run() -> None:
    nothing: Json = {
        key: []
        for key in ["Namespaces", "Mounts", "Limits", "Rights", "Interfaces", "Routes", "Ports", "Processes"]
    }
    text = shown(
        explanation(
            Status="exited",
            Running=False,
            Ended="Ended with 3, its own exit code.",
            Pid=0,
            Notes=["it exited while it was read"],
            **nothing,
        )
    )
    assert text.startswith("web  (exited)\n")
    assert "Note: it exited while it was read" in text
    assert "Ended with 3, its own exit code." in text and "No drift" not in text
    assert [line.split("  ")[1] for line in lines_under(text, "WHAT IT COSTS")] == ["writable layer", "log"]


def test_what_nobody_planned_is_said_so() -> None:
    text = shown(explanation(Limits=[limit("memory", "m", "bytes", 1024, cause="")]))
    assert "not in the plan" in lines_under(text, "LIMITS")[0]


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (None, "bytes", "no limit"),
        (67_108_864, "bytes", "64 MiB"),
        (50_000, "microseconds", "50 ms"),
        (4_380_000, "nanoseconds", "4.38 ms"),
        (3_723_000_000_000, "nanoseconds", "3,723 s"),
        (12_345, "count", "12,345"),
        (1, "switch", "yes"),
    ],
)
def test_amounts(value: int | None, unit: str, said: str) -> None:
    assert amount(value, unit) == said


def test_time_has_no_limit_that_could_be_missed() -> None:
    assert used_words(limit("CPU time", "f", "nanoseconds", None, 2_000_000)) == "2 ms"
    assert used_words(limit("processes", "f", "count", None, 2)) == "2, no limit"


HOSTILE = "\x1b]0;x\x07<script>\u202e\r\n"


def hostile(value: Any, text: str) -> Any:
    """The document with every text in it replaced."""
    if isinstance(value, dict):
        return {key: hostile(item, text) for key, item in value.items()}
    if isinstance(value, list):
        return [hostile(item, text) for item in value]
    return text if isinstance(value, str) else value


def test_a_check_has_one_line_a_drift_whatever_it_holds() -> None:
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="")
    long = drift("mount", "/" + "x" * 200, "", HOSTILE)
    show_check([{"Name": HOSTILE, "Drift": [long, long]}, {"Name": "fine", "Drift": []}], Paper(out, {}))
    out.seek(0)
    lines = out.read().splitlines()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


def test_drift_says_what_is_and_what_was_planned() -> None:
    assert (
        drift_words(drift("route", "default", "via 1.2.3.4", ""))
        == "route default is missing, but via 1.2.3.4 was planned"
    )


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_harmless_and_fits(text: str) -> None:
    lines = shown(hostile(explanation(Drift=DRIFTS, Notes=["note"]), text or "x")).split("\n")
    assert all(line.isprintable() and cells(line) <= 100 for line in lines)


def test_one_whose_image_is_gone_has_no_plan_to_be_shown() -> None:
    ended = {"Running": False, "Ended": "Lost.", "Drift": []}
    assert "wherry plan show web" in shown(explanation(**ended))
    assert "plan show" not in shown(explanation(**ended, Layers=[]))
