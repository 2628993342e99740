"""An explanation as one HTML page that needs nothing beside it: no script, no request, no font.

Every text from outside goes through ``esc``: it is harmless whatever it holds. The policy in the page's head forbids
all but the page's own style sheet.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from wherry.cli import explain_words as words
from wherry.cli.explain_text import interface_words, mount_rows, passed, rights_rows
from wherry.cli.page_drawings import bars_drawing, esc, layers_drawing
from wherry.cli.page_packet import packet_drawing
from wherry.cli.page_style import STYLE
from wherry.values.sizes import spaced_memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    Json = dict[str, Any]


class Heading(NamedTuple):
    """A table's column."""

    name: str
    kind: str = ""  # class names of its cells: mono, number


class Table(NamedTuple):
    headings: Sequence[Heading]
    rows: Sequence[tuple[str, ...]]


def page(found: Json, read_at: datetime) -> str:
    """The page. ``read_at``: when the kernel was asked."""
    sections = [section for section in page_sections(found) if section]
    body = [
        page_header(found, read_at),
        "<main>",
        reach_section(found),
        drift_section(found),
        *sections,
        "</main>",
        FOOTER,
    ]
    return f"{page_head(found)}<body>{''.join(body)}</body></html>\n"


def page_head(found: Json) -> str:
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{esc(found['Name'])}, explained</title><style>{STYLE}</style></head>"
    )


FOOTER = (
    "<footer><p>Read from /proc, netlink, nftables and the cgroup files, not from records. Each line names its cause: "
    "who asked for it, or that it is the default. Made by <code>wherry explain --html</code>.</p></footer>"
)
NAVIGATION = (
    ("cost", "cost"), ("layers", "layers"), ("network", "network"), ("limits", "limits"),
    ("namespaces", "namespaces"), ("mounts", "mounts"), ("rights", "rights"), ("processes", "processes"),
    ("policies", "engine"),
)  # fmt: skip


def page_header(found: Json, read_at: datetime) -> str:
    state = f"{found['Status']}, pid {found['Pid']}" if found["Running"] else found["Status"]
    facts = (("image", found["Image"]), ("command", found["Command"]), ("id", words.short_id(found["Id"])))
    about = "".join(f"<dt>{name}</dt><dd><code>{esc(value)}</code></dd>" for name, value in facts)
    links = "".join(f'<li><a href="#{id}">{name}</a></li>' for id, name in NAVIGATION if has(found, id))
    when = esc(read_at.strftime("%-d %B %Y, %H:%M:%S %Z").strip())
    return (
        f'<header><h1>{esc(found["Name"])}<span class="state">{esc(state)}</span></h1>'
        f'<p class="lead">What the kernel holds for this container, and why. Read on {when}.</p>'
        f'<dl class="about">{about}</dl><nav aria-label="On this page"><ul>{links}</ul></nav></header>'
    )


def has(found: Json, id: str) -> bool:
    fields = {"network": ("Interfaces", "Ports"), "cost": ("Cost",)}.get(id, (id.capitalize(),))
    return any(found[field] for field in fields) or (id == "network" and found["Running"])


def reach_section(found: Json) -> str:
    """ "" where it can do nothing to the host."""
    rows = words.reach_rows(found)
    title = words.REACHES.capitalize()
    shown = table(Table((Heading("what it can do"),), rows))
    return f'<section class="reach" id="reach"><h2>{title}</h2>{shown}</section>' if rows else ""


def drift_section(found: Json) -> str:
    notes = "".join(f'<section class="note"><p>{esc(note)}</p></section>' for note in found["Notes"])
    if found["Drift"]:
        return notes + (
            '<section class="drift" id="drift"><h2>Drift: the kernel differs from the plan</h2>'
            f"{table(drift_table(found))}</section>"
        )
    if not found["Running"]:
        ended = esc(found["Ended"] or "It is not running.")
        return notes + f'<section class="note"><p>{ended} This is what there is of it.</p></section>'
    return notes + '<section class="fine"><p>No drift: the kernel holds what was planned.</p></section>'


def page_sections(found: Json) -> Iterable[str]:
    yield section("cost", "What it costs", "", cost_list(found))
    yield section(
        "layers", "The root, a stack of layers",
        "Each layer is stored once, however many containers use it; the cards behind a layer are other containers "
        "that do. Only the writable layer is this container's own.",
        figure(layers_drawing(found)) if found["Layers"] else "", table(layer_table(found)),
    )  # fmt: skip
    yield section(
        "network", "The path of a packet",
        "The map is consulted once per connection, so it counts only first packets." if found["Ports"] else "",
        figure(packet_drawing(found)) if found["Interfaces"] or found["Running"] else "",
        table(port_table(found)), table(interface_table(found)), table(route_table(found)),
    )  # fmt: skip
    yield section("limits", "Limits and use", "", figure(bars_drawing(found)), table(limit_table(found)))
    yield section(
        "namespaces", "Namespaces", "What it sees instead of the host's; the number is how the kernel identifies one.",
        table(namespace_table(found)),
    )  # fmt: skip
    yield section("mounts", "Mounts", "", table(mount_table(found)))
    yield section("rights", "Rights", "What its processes may ask of the kernel.", table(rights_table(found)))
    yield section("processes", "Processes", "", table(process_table(found)))
    yield section("policies", "What the engine does", "", table(policy_table(found)))


def section(id: str, title: str, lead: str, *content: str) -> str:
    """ "" where there is no content."""
    inner = "".join(content)
    said = f"<p>{lead}</p>" if lead else ""
    return f'<section id="{id}"><h2>{title}</h2>{said}{inner}</section>' if inner else ""


def figure(drawing: str) -> str:
    return f"<figure>{drawing}</figure>" if drawing else ""


def cost_list(found: Json) -> str:
    items = "".join(
        f"<div><dt>{esc(name)}<small>{esc(what)}</small></dt><dd>{esc(much)}</dd></div>"
        for name, much, what in words.costs(found)
    )
    return f'<dl class="costs">{items}</dl>'


# ---------------------------------------------------------------- tables

MONO, NUMBER, NUMERIC = "mono", "number", ' class="number"'


def table(of: Table) -> str:
    """A table whose last column is the cause; "" without rows."""
    if not of.rows:
        return ""
    heads = "".join(
        f'<th scope="col"{NUMERIC if h.kind == NUMBER else ""}>{h.name}</th>'
        for h in (*of.headings, Heading("cause"))
    )
    rows = "".join(f"<tr>{table_row(of.headings, row)}</tr>" for row in of.rows)
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def table_row(headings: Sequence[Heading], row: Sequence[str]) -> str:
    *values, cause = row
    cells = "".join(
        f'<td class="{heading.kind}" data-label="{heading.name}">{breakable(value)}</td>'
        for heading, value in zip(headings, values, strict=True)
    )
    kind = {"default": "default", words.NOBODY: "nobody"}.get(cause, "why")
    return f'{cells}<td class="{kind}" data-label="cause">{esc(cause)}</td>'


def breakable(value: str) -> str:
    """A text that may go on in the next line behind a slash."""
    return esc(value).replace("/", "/<wbr>")


def drift_table(found: Json) -> Table:
    headings = (
        Heading("kind"),
        Heading("what", MONO),
        Heading("planned", MONO),
        Heading("in the kernel", MONO),
    )
    rows = [
        (x["Kind"], x["What"], x["Planned"] or "nothing", x["Actual"] or "not there", words.cause(x))
        for x in found["Drift"]
    ]
    return Table(headings, rows)


def layer_table(found: Json) -> Table:
    headings = (Heading("digest", MONO), Heading("made by", MONO), Heading("size", NUMBER), Heading("shared"))
    rows = [
        (
            words.short_digest(x["Digest"]),
            x["CreatedBy"],
            spaced_memory(x["Size"]),
            words.sharing(x),
            words.cause(x),
        )
        for x in found["Layers"]
    ]
    return Table(headings, rows)


def port_table(found: Json) -> Table:
    headings = (Heading("published port", MONO), Heading("leads to", MONO), Heading("has passed"))
    rows = [
        (f"{x['Host']}/{x['Protocol']}", x["Container"], passed(x), words.cause(x)) for x in found["Ports"]
    ]
    return Table(headings, rows)


def interface_table(found: Json) -> Table:
    headings = (
        Heading("interface", MONO),
        Heading("addresses, MAC, state, other end"),
        Heading("in"),
        Heading("out"),
    )
    rows = [
        (
            x["Name"],
            interface_words(x),
            spaced_memory(x["RxBytes"]),
            spaced_memory(x["TxBytes"]),
            words.cause(x),
        )
        for x in found["Interfaces"]
    ]
    return Table(headings, rows)


def route_table(found: Json) -> Table:
    headings = (Heading("route to", MONO), Heading("via", MONO), Heading("on", MONO))
    rows = [(x["Destination"], x["Gateway"], x["Interface"], words.cause(x)) for x in found["Routes"]]
    return Table(headings, rows)


def limit_table(found: Json) -> Table:
    headings = (Heading("limit"), Heading("use and limit"), Heading("note"), Heading("file", MONO))
    rows = [
        (x["Name"], words.used_words(x), x["Note"], words.file_name(x), words.cause(x))
        for x in found["Limits"]
    ]
    return Table(headings, rows)


def namespace_table(found: Json) -> Table:
    headings = (Heading("kind", MONO), Heading("number", MONO), Heading("whose"))
    rows = [
        (x["Kind"], str(x["Inode"]), words.shared_namespace(x), words.cause(x)) for x in found["Namespaces"]
    ]
    return Table(headings, rows)


def mount_table(found: Json) -> Table:
    headings = (Heading("on", MONO), Heading("what", MONO), Heading("options", MONO))
    rows = [(on, what, options.replace(",", ", "), why) for on, what, options, why in mount_rows(found)]
    return Table(headings, rows)


def rights_table(found: Json) -> Table:
    return Table((Heading("right"), Heading("value")), rights_rows(found))


def process_table(found: Json) -> Table:
    headings = (
        Heading("pid", MONO),
        Heading("command", MONO),
        Heading("memory (PSS)", NUMBER),
        Heading("open", NUMBER),
    )
    rows = [
        (str(x["Pid"]), x["Command"], spaced_memory(x["Pss"]), str(x["Descriptors"]), words.cause(x))
        for x in found["Processes"]
    ]
    return Table(headings, rows)


def policy_table(found: Json) -> Table:
    rows = [(x["Name"], x["Value"], words.cause(x)) for x in found["Policies"]]
    return Table((Heading("about"), Heading("what is done")), rows)
