"""An explanation as text for a terminal of 100 columns."""

from __future__ import annotations

from itertools import groupby

from wherry.cli import explain_words as words
from wherry.cli.paper import Column, Paper
from wherry.cli.plan_text import folded
from wherry.values.sizes import spaced_memory
from wherry.values.words import counted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Json = dict[str, Any]
    Rows = list[tuple[str, ...]]

PLAIN, NAME, NUMBER = Column(), Column("bold", fixed=True), Column(right=True, fixed=True)
DIM, CAUSE = Column("dim"), Column("cause")
LAYER = (
    DIM._replace(fixed=True),
    NUMBER,
    Column(clipped=True),
    DIM._replace(fixed=True),
    CAUSE._replace(fixed=True),
)
CGROUP = "cgroup"
OVERLAY_DIRECTORIES = ("lowerdir=", "lowerdir+=", "upperdir=", "workdir=")


def layer_rows(found: Json) -> Rows:
    return [
        (
            words.short_digest(x["Digest"]),
            spaced_memory(x["Size"]),
            x["CreatedBy"] or "",
            words.sharing(x),
            words.cause(x),
        )
        for x in found["Layers"]
    ]


def namespace_rows(found: Json) -> Rows:
    return [
        (x["Kind"], str(x["Inode"]), words.shared_namespace(x), words.cause(x)) for x in found["Namespaces"]
    ]


def mount_rows(found: Json) -> Rows:
    """Neighbours that are mounted alike stand together: ``/proc/{bus, irq}``."""
    groups = groupby(found["Mounts"], key=lambda x: (mount_kind(x), mount_options(x), words.cause(x)))
    return [mount_row(list(group), found["Id"]) for _, group in groups]


def mount_row(alike: Sequence[Json], id: str) -> tuple[str, ...]:
    sources = dict.fromkeys(mount_source(x).replace(id, "<id>") for x in alike)
    options = mount_options(alike[0])
    return folded([x["Target"] for x in alike]), folded(list(sources)), options, words.cause(alike[0])


def mount_kind(mount: Json) -> str:
    return mount["Fstype"] if mount["Fstype"] == CGROUP else mount_source(mount)


def mount_source(mount: Json) -> str:
    """What is mounted, its type first; not the part of it where that is only the target again."""
    source, fstype = mount["Source"], mount["Fstype"]
    part = source.removeprefix(f"{fstype}[").removesuffix("]")
    if source == f"{fstype}[{part}]" and mount["Target"].endswith(part):
        return str(fstype)
    return str(source if source.startswith(fstype) else f"{fstype} {source}")


def mount_options(mount: Json) -> str:
    """Without those that only name again what stands beside: an overlay's directories, a cgroup's controller."""
    said = mount["Target"].rpartition("/")[2].split(",") if mount["Fstype"] == CGROUP else []
    options = mount["Options"].split(",")
    return ",".join(o for o in options if not o.startswith(OVERLAY_DIRECTORIES) and o not in said)


def limit_rows(found: Json) -> Rows:
    return [
        (
            x["Name"],
            words.used_words(x) + (f"; {x['Note']}" if x["Note"] else ""),
            words.file_name(x),
            words.cause(x),
        )
        for x in found["Limits"]
    ]


def rights_rows(found: Json) -> Rows:
    """Rights that come to the same stand together: ``{effective, permitted} capabilities``."""
    groups = groupby(found["Rights"], key=lambda item: (rights_value(item), words.cause(item)))
    return [(folded([item["Name"] for item in group]), *same) for same, group in groups]


def rights_value(item: Json) -> str:
    names = ", ".join(item["Values"])
    return f"{item['Value']}: {names}" if names and item["Value"] else names or item["Value"]


def interface_rows(found: Json) -> Rows:
    return [
        (
            x["Name"],
            interface_words(x),
            f"in {spaced_memory(x['RxBytes'])}, out {spaced_memory(x['TxBytes'])}",
            words.cause(x),
        )
        for x in found["Interfaces"]
    ]


def interface_words(item: Json) -> str:
    """Addresses, MAC, state, and where the other end is."""
    said = [*item["Addresses"], item["Mac"], item["State"]]
    if item["HostEnd"]:
        said.append(
            f"other end {item['HostEnd']}" + (f" on bridge {item['Bridge']}" if item["Bridge"] else "")
        )
    return ", ".join(part for part in said if part)


def route_rows(found: Json) -> Rows:
    return [
        (
            x["Destination"],
            (f"via {x['Gateway']} " if x["Gateway"] else "") + f"on {x['Interface']}",
            "",
            words.cause(x),
        )
        for x in found["Routes"]
    ]


def port_rows(found: Json) -> Rows:
    return [
        (f"{x['Host']}/{x['Protocol']}", f"→ {x['Container']}", passed(x), words.cause(x))
        for x in found["Ports"]
    ]


def passed(port: Json) -> str:
    """What has come through a published port, in packets and bytes."""
    return f"{counted(port['Packets'], 'packet')}, {spaced_memory(port['Bytes'])}"


def network_rows(found: Json) -> Rows:
    return interface_rows(found) + route_rows(found) + port_rows(found)


def process_rows(found: Json) -> Rows:
    return [
        (str(x["Pid"]), spaced_memory(x["Pss"]), f"{x['Descriptors']} open", x["Command"], words.cause(x))
        for x in found["Processes"]
    ]


def policy_rows(found: Json) -> Rows:
    return [(x["Name"], x["Value"], words.cause(x)) for x in found["Policies"]]


def cost_rows(found: Json) -> Rows:
    return list(words.costs(found))


SECTIONS: tuple[tuple[str, Callable[[Json], Rows], Sequence[Column]], ...] = (
    ("layers, topmost first", layer_rows, LAYER),
    ("namespaces", namespace_rows, (NAME, NUMBER, PLAIN, CAUSE)),
    ("mounts", mount_rows, (Column("bold"), PLAIN, DIM, CAUSE)),
    ("limits", limit_rows, (NAME, PLAIN, DIM, CAUSE)),
    ("rights", rights_rows, (Column("bold"), PLAIN, CAUSE)),
    ("network", network_rows, (NAME, PLAIN, DIM, CAUSE)),
    ("processes", process_rows, (NUMBER, NUMBER, NUMBER, PLAIN, CAUSE)),
    ("what the engine does", policy_rows, (NAME, PLAIN, CAUSE)),
    ("what it costs", cost_rows, (NAME, NUMBER, DIM)),
)


def show_explanation(found: Json, paper: Paper | None = None) -> None:
    """Print all of it: what it is, drifts first, then what the kernel holds, each line with its cause."""
    paper = paper or Paper()
    running = f"{found['Status']}, pid {found['Pid']}" if found["Running"] else found["Status"]
    paper.line(f"{found['Name']}  ({running})", "bold")
    facts = [("image", found["Image"]), ("command", found["Command"]), ("id", words.short_id(found["Id"]))]
    paper.table(facts, (DIM._replace(fixed=True), PLAIN))
    for note in found["Notes"]:
        paper.line(f"Note: {note}", "yellow")
    show_reach(found, paper)
    show_drift(found, paper)
    for title, rows_of, columns in SECTIONS:
        if rows := rows_of(found):
            paper.heading(title)
            paper.table(rows, columns)


def show_reach(found: Json, paper: Paper) -> None:
    """Print what the container can do to the host; nothing where it can do nothing."""
    if rows := words.reach_rows(found):
        paper.heading(words.REACHES, "yellow")
        paper.table(rows, (PLAIN, CAUSE))
        paper.line()


def show_drift(found: Json, paper: Paper) -> None:
    if found["Drift"]:
        paper.heading("drift: the kernel differs from the plan")
        for drift in found["Drift"]:
            paper.line(words.drift_words(drift), "red", indent=2)
    elif found["Running"]:
        paper.line("No drift: the kernel holds what was planned.", "green")
    else:
        paper.line(found["Ended"] or "It is not running.")
        if found["Layers"]:  # without its image there is no plan any more
            paper.line(f"`wherry plan show {found['Name']}` shows its plan; below is what there is of it.")


def show_check(checked: Sequence[Json], paper: Paper | None = None) -> None:
    """Print the drifts only, one line each."""
    paper = paper or Paper()
    for one in checked:
        for drift in one["Drift"]:
            paper.whole_line(f"{one['Name']}: {words.drift_words(drift)}")
