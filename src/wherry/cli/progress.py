"""The progress of load, import and pull (``jsonmessage``): redrawn in place on a terminal, else plain lines."""

from __future__ import annotations

import sys

from wherry.cli.errors import CliError
from wherry.cli.screen import draw
from wherry.cli.terminal import size
from wherry.values.quoting import visible, visible_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TextIO

    Json = dict[str, Any]

WIDE = 110  # columns that a line with a drawn bar needs


class Progress:
    """Shows messages as they come; lines that have an id keep their place on a terminal."""

    def __init__(self, out: TextIO | None = None, quiet: bool = False) -> None:
        self._quiet = quiet
        self._out = out or sys.stdout
        self._terminal = self._out.isatty()
        self._rows: dict[str, int] = {}

    def show(self, messages: Iterable[Json]) -> list[Json]:
        """Show all messages; returns what came as ``aux``. Raises CliError for an error among them."""
        extra = []
        for message in messages:
            if "error" in message or "errorDetail" in message:
                raise CliError(_error_text(message))
            if "aux" in message:
                extra.append(message["aux"])
            elif not self._quiet and (not message.get("progressDetail") or self._terminal):
                self._line(message)
        self._out.flush()
        return extra

    def _line(self, message: Json) -> None:
        if message.get("stream"):
            self._out.write(visible_lines(message["stream"]))
            return
        identity, status, bar = (visible(message.get(key, "")) for key in ("id", "status", "progress"))
        text = f"{identity}: {status}" if identity else status
        line = f"{text} {self._fitting(bar)}" if bar and self._terminal else text
        if identity and self._terminal:
            self._redraw(identity, line)
        else:
            self._rows.clear()
            self._out.write(f"{line}\n")
        self._out.flush()

    @staticmethod
    def _fitting(bar: str) -> str:
        """``[===>   ] 1MB/2MB``, without the drawing where the terminal is too narrow for it."""
        return bar if size()[1] > WIDE else bar.partition("] ")[2] or bar

    def _redraw(self, identity: str, line: str) -> None:
        if identity not in self._rows:
            self._rows[identity] = len(self._rows)
            self._out.write("\n")
        up = len(self._rows) - self._rows[identity]
        draw(self._out, f"\x1b[{up}A\x1b[2K\r{line}\x1b[{up}B\r")


def _error_text(message: Json) -> str:
    detail = message.get("errorDetail") or {}
    return str(detail.get("message") or message.get("error"))
