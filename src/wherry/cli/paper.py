"""What explanations are written on: harmless text, aligned columns of at most 100 cells, colour only on a terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple, TextIO
from unicodedata import combining, east_asian_width

from wherry.cli.screen import Screen, draw
from wherry.values.quoting import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

WIDEST = 100
NARROWEST = 40
LEAST_COLUMN = 8
GAP = 2

STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36", "": ""}


def cells(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _split(word: str, width: int) -> tuple[str, str]:
    """As much of the word as fits, cut behind a slash or comma where there is one in its second half."""
    taken, used = 0, 0
    while taken < len(word) and used + cells(word[taken]) <= width:
        used += cells(word[taken])
        taken += 1
    taken = max(taken, 1)
    if taken < len(word):
        nicer = max(word.rfind(mark, taken // 2, taken) for mark in "/,:") + 1
        taken = nicer or taken
    return word[:taken], word[taken:]


def wrap(text: str, width: int) -> list[str]:
    """The text in lines of at most ``width`` cells, broken at spaces where it can be; at least one line."""
    lines, line = [], ""
    for word in text.split(" "):
        joined = f"{line} {word}" if line else word
        if cells(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        while cells(word) > width:
            part, word = _split(word, width)
            lines.append(part)
        line = word
    return [*lines, line] if line or not lines else lines


def clipped(text: str, width: int) -> str:
    """As much of the text as fits into ``width`` cells, with a mark where there was more."""
    if cells(text) <= width:
        return text
    kept = text[: max(width - 1, 0)]
    while cells(kept) >= width > 0:
        kept = kept[:-1]
    return f"{kept}…"[:width]


class Column(NamedTuple):
    """How a column is set: ``right`` for numbers; ``fixed`` ones keep their natural width; what is too long for a
    ``clipped`` one is cut instead of going on below."""

    style: str = ""
    right: bool = False
    fixed: bool = False
    clipped: bool = False


def widths(rows: Sequence[Sequence[str]], columns: Sequence[Column], room: int) -> list[int]:
    """Natural widths, the widest columns cut until all fit into ``room`` cells; fixed ones only as a last resort."""
    sizes = [max((cells(row[at]) for row in rows), default=0) for at in range(len(columns))]
    excess = sum(sizes) + GAP * (len([n for n in sizes if n]) - 1) - room
    for cut_fixed, least in ((False, LEAST_COLUMN), (True, LEAST_COLUMN), (True, 1)):
        while excess > 0:
            loose = [at for at, c in enumerate(columns) if (cut_fixed or not c.fixed) and sizes[at] > least]
            if not loose:
                break
            sizes[max(loose, key=lambda at: sizes[at])] -= 1
            excess -= 1
    return sizes


class Paper:
    """A place for lines: the terminal, or a file or pipe, which gets no colour and 100 columns."""

    def __init__(
        self, out: TextIO | Screen | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self._out = out or sys.stdout
        environment = os.environ if environment is None else environment
        terminal = self._out.isatty()
        self.color = terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
        self.width = _terminal_width(self._out) if terminal else WIDEST

    def styled(self, text: str, style: str) -> str:
        """What is visible already, in colour where there is any. A ``cause`` stands out where somebody asked for it."""
        if style == "cause":
            style = "dim" if text == "default" else "cyan"
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self.color and style and text else text

    def line(self, text: str = "", style: str = "", indent: int = 0) -> None:
        """One paragraph, wrapped."""
        for part in wrap(visible(text), self.width - indent) if text else [""]:
            self._write(" " * indent + self.styled(part, style) if part else "")

    def whole_line(self, text: str) -> None:
        """One line, however long, for those who count lines."""
        self._write(visible(text))

    def heading(self, text: str, style: str = "bold") -> None:
        """A blank line, then the text in capitals."""
        self._write("")
        self._write(self.styled(visible(text.upper()), style))

    def table(
        self, rows: Sequence[Sequence[str]], columns: Sequence[Column], among: Sequence[Sequence[str]] = ()
    ) -> None:
        """Aligned rows; texts too long for their column go on below. ``among``: the rows that decide the widths."""
        shown = [[visible(text) for text in row] for row in rows]
        measured = [[visible(text) for text in row] for row in among] or shown
        sizes = widths(measured, columns, self.width - GAP)
        for row in shown:
            for line in self._row(row, columns, sizes):
                self._write(line)

    def _row(self, row: Sequence[str], columns: Sequence[Column], sizes: Sequence[int]) -> Iterator[str]:
        parts = [
            [clipped(text, size)] if column.clipped else wrap(text, max(size, 1))
            for text, column, size in zip(row, columns, sizes, strict=True)
        ]
        for at in range(max(map(len, parts))):
            texts = [part[at] if at < len(part) else "" for part in parts]
            placed = [
                self.styled(text, column.style).join(_padding(text, size, column.right))
                for text, column, size in zip(texts, columns, sizes, strict=True)
                if size
            ]
            yield (" " * GAP + (" " * GAP).join(placed)).rstrip()

    def _write(self, line: str) -> None:
        encoding = self._out.encoding or "utf-8"
        draw(self._out, line.encode(encoding, "replace").decode(encoding) + "\n")


def _padding(text: str, size: int, right: bool) -> tuple[str, str]:
    blank = " " * (size - cells(text))
    return (blank, "") if right else ("", blank)


def _terminal_width(out: TextIO | Screen) -> int:
    try:
        columns = os.get_terminal_size(out.fileno()).columns
    except OSError:
        columns = WIDEST
    return min(max(columns or WIDEST, NARROWEST), WIDEST)
