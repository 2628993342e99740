"""The way of a packet from a published port to the process, as a drawing of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from wherry.cli.page_drawings import CODE_CELL, TEXT_CELL, WIDE, both, box, esc, label
from wherry.cli.paper import wrap
from wherry.values.quoting import visible
from wherry.values.sizes import spaced_memory
from wherry.values.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Json = dict[str, Any]


class Station(NamedTuple):
    """A place that a packet passes: what it is, its name, and what more is known."""

    what: str
    name: str
    more: tuple[str, ...] = ()
    process: bool = False


class Way(NamedTuple):
    """``doors`` are published ports, each with its element of the map; then come places on the host, and inside."""

    doors: list[tuple[Station, Station]]
    host: list[Station]
    inside: list[Station]
    said: str


def packet_drawing(found: Json) -> str:
    """The way of a packet, for a wide page and for a narrow one."""
    way = way_of(found)
    ways = [f"{door.name} to {mapped.name} ({', '.join(mapped.more)})" for door, mapped in way.doors]
    said = "; ".join([*ways, *(f"{s.what} {s.name}" for s in (*way.host, *way.inside)), way.said])
    return both(
        "packet", "The path of a packet from a published port to the process", said, lambda w: draw(way, w)
    )


# ---------------------------------------------------------------- which places there are


def way_of(found: Json) -> Way:
    """Which places a packet passes on its way to the process, by what the kernel holds."""
    process = process_station(found)
    if any(x["Kind"] == "net" and x["SharedWith"] == "host" for x in found["Namespaces"]):
        host = [Station("interfaces", "the host's own"), process]
        return Way([], host, [], "It uses the host's network: whatever reaches the host can reach it.")
    doors = [port_stations(port) for port in found["Ports"]]
    wired = next((x for x in found["Interfaces"] if x["HostEnd"]), None)
    if wired is None:
        names = ", ".join(x["Name"] for x in found["Interfaces"]) or "none"
        return Way([], [], [Station("interfaces", names), process], "Nothing outside can reach it.")
    bridge = [Station("bridge", wired["Bridge"])] if wired["Bridge"] else []
    inner = Station("veth, inner end", wired["Name"], tuple(wired["Addresses"]))
    said = (
        "" if doors else "No port is published: only the host and its neighbours on the bridge can reach it."
    )
    return Way(doors, [*bridge, Station("veth, host end", wired["HostEnd"])], [inner, process], said)


def process_station(found: Json) -> Station:
    others = len(found["Processes"]) - 1
    commands = (process["Command"] for process in found["Processes"] if process["Pid"] == found["Pid"])
    name = next(commands, "") or found["Command"] or found["Name"]
    more = (f"pid {found['Pid']}", *([f"and {others} more"] if others > 0 else []))
    return Station("process", name, more, True)


def port_stations(port: Json) -> tuple[Station, Station]:
    went = (counted(port["Packets"], "packet"), spaced_memory(port["Bytes"]))
    return (
        Station("port on the host", f"{port['Host']}/{port['Protocol']}"),
        Station("nft map, to", port["Container"], went),
    )


# ---------------------------------------------------------------- where they are drawn

SHOWN_PORTS = 6
LINE, INSET = 16, 10  # of a place's text
GAP, SIDE, TOP = 12, 12, 30
ACROSS, BETWEEN = 18, 18  # from place to place, from namespace to namespace
DOWN = 22
WIDEST = 190
TALLEST = 2  # lines that a name, or what more is known, may take


class Size(NamedTuple):
    width: float
    height: float


def lines_of(place: Station, width: float) -> list[tuple[str, str]]:
    """A place's text in lines, each with its class."""
    room = width - 2 * INSET
    name = wrap(visible(place.name), max(int(room / CODE_CELL), 4))
    more = [line for said in place.more for line in wrap(visible(said), max(int(room / TEXT_CELL), 4))]
    return [
        (place.what, "small"),
        *((text, "code strong") for text in shortened(name)),
        *((text, "small") for text in shortened(more)),
    ]


def shortened(lines: list[str]) -> list[str]:
    return lines if len(lines) <= TALLEST else [*lines[: TALLEST - 1], f"{lines[TALLEST - 1][:-1]}…"]


def height_of(places: Sequence[Station], width: float) -> float:
    return max(len(lines_of(place, width)) for place in places) * LINE + 14


def draw(way: Way, width: float) -> tuple[str, float]:
    return draw_across(way, width) if width == WIDE else draw_down(way, width)


def draw_across(way: Way, width: float) -> tuple[str, float]:
    """From left to right; published ports stand above each other."""
    doors = way.doors[:SHOWN_PORTS]
    hosted = 2 * bool(doors) + len(way.host)
    regions = [count for count in (hosted, len(way.inside)) if count]
    places = [*(place for pair in doors for place in pair), *way.host, *way.inside]
    size = size_across(regions, places, width)
    height = max(len(doors), 1) * (size.height + GAP) - GAP
    columns = across(regions, size.width)
    middle = TOP + (height - size.height) / 2
    parts = [
        *draw_regions(regions, columns, size.width, height, hosted > 0),
        *draw_doors(doors, columns, size, middle),
    ]
    first = 2 * bool(doors)
    for at, place in enumerate([*way.host, *way.inside], first):
        parts += station(place, columns[at], middle, size)
        if at > first:
            parts.append(arrow(columns[at - 1] + size.width, middle, columns[at], middle, size))
    return with_remark("".join(parts), way, width, TOP + height + SIDE + 2)


def size_across(regions: Sequence[int], places: Sequence[Station], width: float) -> Size:
    columns = sum(regions)
    blank = 2 * SIDE * len(regions) + BETWEEN * (len(regions) - 1) + ACROSS * (columns - len(regions)) + 4
    each = min((width - blank) / columns, WIDEST)
    return Size(each, height_of(places, each))


def across(regions: Sequence[int], width: float) -> list[float]:
    """Where each place begins."""
    places, x = [], 2.0
    for count in regions:
        x += SIDE
        for at in range(count):
            places.append(x)
            x += width + (ACROSS if at < count - 1 else 0)
        x += SIDE + BETWEEN
    return places


def draw_regions(
    regions: Sequence[int], columns: Sequence[float], width: float, height: float, hosted: bool
) -> Iterator[str]:
    first = 0
    for at, count in enumerate(regions):
        left, right = columns[first] - SIDE, columns[first + count - 1] + width + SIDE
        yield from region(left, 4, right - left, TOP + height + SIDE - 4, inside=at > 0 or not hosted)
        first += count


def draw_doors(
    doors: Sequence[tuple[Station, Station]], columns: Sequence[float], size: Size, middle: float
) -> Iterator[str]:
    for at, (door, mapped) in enumerate(doors):
        y = TOP + at * (size.height + GAP)
        yield from station(door, columns[0], y, size)
        yield from station(mapped, columns[1], y, size)
        yield arrow(columns[0] + size.width, y, columns[1], y, size)
        yield arrow(columns[1] + size.width, y, columns[2], middle, size)


def region(x: float, y: float, width: float, height: float, inside: bool) -> Iterator[str]:
    whose = "the container's" if inside else "the host's"
    yield box(x, y, width, height, "region inside" if inside else "region")
    yield label(x + SIDE, y + 17, f"{whose} network namespace", width - 2 * SIDE, "small")


def station(place: Station, x: float, y: float, size: Size) -> Iterator[str]:
    yield f"<g><title>{esc(' '.join([place.what, place.name, *place.more]))}</title>"
    yield box(x, y, *size, "process" if place.process else "box")
    for at, (text, kind) in enumerate(lines_of(place, size.width)):
        yield label(x + INSET, y + 20 + at * LINE, text, size.width - INSET, kind)
    yield "</g>"


def arrow(x1: float, y1: float, x2: float, y2: float, size: Size) -> str:
    """From the right edge of one place to the left edge of another; ``y`` are their tops."""
    y1, y2, bend = y1 + size.height / 2, y2 + size.height / 2, (x2 - x1) / 2
    line = f"M{x1:.1f} {y1:.1f}C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2 - 6:.1f} {y2:.1f}"
    return path(line, f"M{x2 - 1:.1f} {y2:.1f}l-7 -4v8z")


def arrow_down(x: float, y1: float, y2: float) -> str:
    return path(f"M{x:.1f} {y1:.1f}V{y2 - 6:.1f}", f"M{x:.1f} {y2 - 1:.1f}l-4 -7h8z")


def path(line: str, head: str) -> str:
    return f'<path class="way" d="{line}"/><path class="head" d="{head}"/>'


def draw_down(way: Way, width: float) -> tuple[str, float]:
    """From top to bottom, for a narrow screen; the places of one namespace are in one frame."""
    doors = [place for pair in way.doors[:SHOWN_PORTS] for place in pair]
    each = width - 2 * SIDE - 2
    size = Size(each, height_of([*doors, *way.host, *way.inside], each))
    parts, y = [], 1.0
    for inside, places in ((False, [*doors, *way.host]), (True, way.inside)):
        if not places:
            continue
        if inside and y > 1:
            parts.append(arrow_down(width / 2, y - SIDE, y + DOWN + 26))
            y += DOWN
        height = 26 + len(places) * (size.height + DOWN) - DOWN + SIDE
        parts += region(1, y, width - 2, height, inside)
        parts += draw_column(places, doors, y + 26, size)
        y += height
    return with_remark("".join(parts), way, width, y + 2)


def draw_column(places: Sequence[Station], doors: Sequence[Station], y: float, size: Size) -> Iterator[str]:
    for at, place in enumerate(places):
        top = y + at * (size.height + DOWN)
        yield from station(place, 1 + SIDE, top, size)
        another_port = place in doors and at % 2 == 0  # no way leads to it from the one above
        if at and not another_port:
            yield arrow_down(1 + SIDE + size.width / 2, top - DOWN, top)


def with_remark(body: str, way: Way, width: float, bottom: float) -> tuple[str, float]:
    """The drawing with a line of words below, where there is something to be said."""
    hidden = len(way.doors) - SHOWN_PORTS
    remark = way.said or (f"and {counted(hidden, 'more port')}, listed in the table" if hidden > 0 else "")
    if not remark:
        return body, bottom
    lines = wrap(remark, int(width / TEXT_CELL))
    texts = [label(4, bottom + 18 + at * LINE, line, width, "small") for at, line in enumerate(lines)]
    return body + "".join(texts), bottom + 10 + len(lines) * LINE
