"""The words that the text and the page of an explanation share: amounts, limits, causes, drifts."""

from __future__ import annotations

from wherry.values.sizes import spaced_memory
from wherry.values.words import counted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]

NANOSECONDS = (("ns", 1), ("µs", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000))
REACHES = "warning: what it can do to the host"
NOBODY = "not in the plan"
SHORT_ID = 12
DIGEST_SHOWN = 12


def amount(value: int | None, unit: str) -> str:
    """``64 MiB``, ``1.5 s``, ``12``; without a limit for None."""
    if value is None:
        return "no limit"
    if unit == "bytes":
        return spaced_memory(value)
    if unit == "nanoseconds":
        return duration(value)
    if unit == "microseconds":
        return duration(value * 1000)
    return f"{value:,}" if unit != "switch" else "yes" if value else "no"


def duration(nanoseconds: int) -> str:
    """In the largest unit of which there is at least one."""
    unit, scale = next(((u, s) for u, s in reversed(NANOSECONDS) if nanoseconds >= s), NANOSECONDS[0])
    return (
        f"{nanoseconds / scale:.3g} {unit}"
        if nanoseconds < 1000 * scale
        else f"{nanoseconds // scale:,} {unit}"
    )


def cause(item: Json) -> str:
    """Who asked; what nobody asked for is said as such."""
    return str(item.get("Cause") or NOBODY).removeprefix("request: ")


def reach_rows(found: Json) -> list[tuple[str, str]]:
    """What it can do to the host, and who asked for that."""
    return [
        (x["Could"], x["Cause"] if x["Origin"] == "request" else f"{x['Origin']}: {x['Cause']}")
        for x in found.get("Reach", ())
    ]


def short_id(id: str) -> str:
    """The first digits of an id."""
    return id[:SHORT_ID]


def short_digest(digest: str) -> str:
    """The first digits of a digest, without its algorithm."""
    return digest.partition(":")[2][:DIGEST_SHOWN] or digest


def sharing(layer: Json) -> str:
    """How many other containers here stand on a layer."""
    others = layer["SharedBy"]
    if not others:
        return "used by no other container"
    return f"used by {counted(others, 'other container')}"


def shared_namespace(item: Json) -> str:
    """With whom it is shared, or that it is the container's own."""
    whose = item["SharedWith"]
    return f"shared with {'the host' if whose == 'host' else whose}" if whose else "its own"


def drift_words(drift: Json) -> str:
    """One sentence: ``limit memory.limit_in_bytes is 128, but 64 was planned (--memory 64)``."""
    about = f"{drift['Kind']} {drift['What']}"
    if not drift["Planned"]:
        return f"{about} is {drift['Actual']}, which was not planned"
    why = f" ({cause(drift)})" if drift["Cause"] else ""
    if not drift["Actual"]:
        return f"{about} is missing, but {drift['Planned']} was planned{why}"
    return f"{about} is {drift['Actual']}, but {drift['Planned']} was planned{why}"


def file_name(limit: Json) -> str:
    """Of the cgroup file, without the way to it."""
    return str(limit["File"]).rpartition("/")[2]


def used_words(limit: Json) -> str:
    """``1.2 MiB of 64 MiB``; time has no limit, so that is not said of it."""
    most = amount(limit["Limit"], limit["Unit"])
    if limit["Used"] is None:
        return most
    used = amount(limit["Used"], limit["Unit"])
    if limit["Limit"] is None:
        return used if limit["Unit"] == "nanoseconds" else f"{used}, {most}"
    return f"{used} of {most}"


def costs(found: Json) -> list[tuple[str, str, str]]:
    """What the container costs, or still costs: name, amount, and what that is."""
    cost = found["Cost"]
    kept = [
        ("writable layer", spaced_memory(cost["Writable"]), "what it has written on top of its image"),
        ("log", spaced_memory(cost["Log"]), "what it has written to its log, kept on disk"),
    ]
    if not found["Running"]:
        return kept
    return [
        ("memory", spaced_memory(cost["Charged"] or cost["Private"]), memory_words(cost)),
        ("shared pages", spaced_memory(cost["Shared"]), "its share of pages that others map too (PSS)"),
        ("monitor", spaced_memory(cost["Monitor"]), "memory of the process that looks after it (PSS)"),
        ("processes", str(cost["Processes"]), "in its cgroup"),
        ("descriptors", str(cost["Descriptors"]), "files, sockets and pipes that they hold open"),
        *kept,
    ]


def memory_words(cost: Json) -> str:
    """What the memory charged to the container is used for; what is left is the kernel's work for it."""
    if not cost["Charged"]:
        return "pages that no other process maps"
    parts = {
        "processes": cost["Anonymous"],
        "tmpfs": cost["Tmpfs"],
        "file cache": cost["Cache"],
    }
    kernel = cost["Charged"] - sum(parts.values())
    said = [f"{name} {spaced_memory(used)}" for name, used in {**parts, "kernel": kernel}.items() if used > 0]
    return f"charged to its cgroup: {', '.join(said)}"
