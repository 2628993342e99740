"""Drawings of the page, as SVG: the stack of layers, bars of limits and use, and what all drawings are made with.

Each is drawn twice, wide and narrow; the style sheet shows one of them. Coordinates are CSS pixels at full size.
"""

from __future__ import annotations

from html import escape
from math import sqrt

from wherry.cli import explain_words as words
from wherry.values.quoting import visible
from wherry.values.sizes import spaced_memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    Json = dict[str, Any]

WIDE, NARROW = 960, 340
CODE_CELL, TEXT_CELL = 7.0, 6.4  # the width of a character, about
SHOWN_LAYERS = 20
RADIUS = 8


def esc(text: object) -> str:
    """Harmless in HTML, in text and in quoted attributes alike."""
    return escape(visible(text), quote=True)


def clipped(text: object, room: float, cell: float) -> str:
    """As much as there is room for."""
    said, most = visible(text), max(int(room / cell), 2)
    return said if len(said) <= most else said[: most - 1] + "…"


def label(x: float, y: float, text: object, room: float, kind: str = "") -> str:
    """A text in SVG, cut to the ``room`` that it has, in the drawing's units."""
    cell = CODE_CELL if "code" in kind else TEXT_CELL
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}">{escape(clipped(text, room, cell))}</text>'


def box(x: float, y: float, width: float, height: float, kind: str) -> str:
    """A rectangle in SVG; ``kind`` is its class in the page's style."""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{RADIUS}" class="{kind}"/>'


def both(name: str, title: str, said: str, draw: Callable[[float], tuple[str, float]]) -> str:
    """The drawing for wide and for narrow screens, each with its words for those who do not see it."""
    return "".join(
        svg(f"{name}-{kind}", kind, title, said, width, *draw(width))
        for kind, width in (("wide", WIDE), ("narrow", NARROW))
    )


def svg(id: str, kind: str, title: str, said: str, width: float, body: str, height: float) -> str:
    """A whole drawing, with a title and a description for who does not see it."""
    return (
        f'<svg class="{kind}" viewBox="0 0 {width} {height:.0f}" role="img" aria-labelledby="{id}-t {id}-d">'
        f'<title id="{id}-t">{esc(title)}</title><desc id="{id}-d">{esc(said)}</desc>{body}</svg>'
    )


# ---------------------------------------------------------------- the stack of layers

BEHIND, MOST_BEHIND = (
    5,
    4,
)  # pixels by which the cards of those who share a layer stand out, and how many at most
LAYER, LAYER_MORE, LAYER_GAP = 46, 34, 7


def layers_drawing(found: Json) -> str:
    """The stack of layers, for a wide page and for a narrow one."""
    layers = found["Layers"]
    said = "From top to bottom: the writable layer; " + "; ".join(
        f"{layer['CreatedBy'] or layer['Digest']}, {spaced_memory(layer['Size'])}, {words.sharing(layer)}"
        for layer in layers
    )
    written = found["Cost"]["Writable"]
    return both("layers", "The stack of layers", said, lambda width: draw_layers(layers, written, width))


def draw_layers(layers: Sequence[Json], written: int, width: float) -> tuple[str, float]:
    room = width - BEHIND * MOST_BEHIND - 2
    parts = [box(1, 1, room, LAYER, "writable"), *layer_labels(1, LAYER, room, WRITABLE, written)]
    y = 1.0 + LAYER + LAYER_GAP
    largest = max((layer["Size"] for layer in layers[:SHOWN_LAYERS]), default=0) or 1
    for layer in layers[:SHOWN_LAYERS]:
        height = LAYER + LAYER_MORE * sqrt(layer["Size"] / largest)
        behind = min(layer["SharedBy"], MOST_BEHIND)
        ghosts = (box(1 + BEHIND * n, y + 2 * n, room, height - 4 * n, "ghost") for n in range(behind, 0, -1))
        parts += [
            *ghosts,
            box(1, y, room, height, "layer"),
            *layer_labels(y, height, room, layer, layer["Size"]),
        ]
        y += height + LAYER_GAP
    if len(layers) > SHOWN_LAYERS:
        parts.append(label(14, y + 14, f"and {len(layers) - SHOWN_LAYERS} more below", room, "small"))
        y += 22
    return "".join(parts), y


WRITABLE: Json = {}


def layer_labels(y: float, height: float, room: float, layer: Json, size: int) -> Iterator[str]:
    middle = y + height / 2
    kind = "strong end" if layer else "strong end warm-text"
    yield label(room - 14, middle - 3, spaced_memory(size), 90, kind)
    if not layer:
        yield label(16, middle - 3, "writable layer", room - 110, "strong warm-text")
        yield label(16, middle + 14, "what the container has written; removed with it", room - 40, "small")
        return
    yield label(16, middle - 3, layer["CreatedBy"] or "(no command recorded)", room - 116, "code")
    said = f"{words.short_digest(layer['Digest'])} · {words.sharing(layer)}"
    yield label(16, middle + 14, said, room - 40, "small")


# ---------------------------------------------------------------- bars

BAR, BAR_ROW, BAR_GAP = 12, 62, 44
NEAR, FULL = 0.7, 0.9


def bars_drawing(found: Json) -> str:
    """ "" where there is nothing to be drawn."""
    limits = [x for x in found["Limits"] if x["Used"] is not None and x["Unit"] != "nanoseconds"]
    said = "; ".join(f"{x['Name']}: {words.used_words(x)}" for x in limits)
    return both("bars", "Limits and use", said, lambda width: draw_bars(limits, width)) if limits else ""


def draw_bars(limits: Sequence[Json], width: float) -> tuple[str, float]:
    columns = 2 if width == WIDE else 1
    size = (width - BAR_GAP * (columns - 1)) / columns
    parts = [
        part
        for at, limit in enumerate(limits)
        for part in bar(limit, (at % columns) * (size + BAR_GAP), (at // columns) * BAR_ROW, size)
    ]
    return "".join(parts), -(-len(limits) // columns) * BAR_ROW


def bar(limit: Json, x: float, y: float, width: float) -> Iterator[str]:
    yield label(x, y + 14, limit["Name"], width / 2, "strong")
    yield label(x + width, y + 14, words.used_words(limit), width / 2 + 20, "end")
    if limit["Limit"]:
        share = min(limit["Used"] / limit["Limit"], 1)
        kind = "used full" if share >= FULL else "used near" if share >= NEAR else "used"
        yield box(x, y + 23, width, BAR, "track")
        yield box(x, y + 23, max(width * share, 3 if share else 0), BAR, kind)
    else:
        yield box(x + 1, y + 23, width - 2, BAR, "open")
    yield label(x, y + 50, limit["Note"] or words.file_name(limit), width, "small")
