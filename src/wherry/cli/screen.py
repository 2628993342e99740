"""Text on its way to the user: what others have written (names, labels, commands, errors) cannot steer a terminal.

* What is printed has every character that does not print written out, wherever it goes: it ends on somebody's screen,
  if only by way of a file or a pager. JSON escapes what does not print: that is the same value.
* What is for programs (``--format``, the page) goes into a pipe or a file byte for byte, as from docker, by
  ``hand_over``; on a terminal it is written out too.
* What a container itself prints (``run``, ``exec``, ``attach``, ``logs``) is what was asked for: it goes from one
  descriptor to another and does not pass here.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


class Screen:
    """Stands in for a standard stream: whatever is printed to it is made visible, except by ``draw``, and what its
    encoding does not have is a question mark."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = stream.encoding

    def write(self, text: str) -> int:
        """Print a text of anybody's."""
        from wherry.values.quoting import visible_lines

        shown = visible_lines(text)
        if not shown.isascii():
            shown = shown.encode(self.encoding, "replace").decode(self.encoding)
        return self._stream.write(shown)

    def draw(self, text: str) -> None:
        """Print what has sequences of our own in it, and of others only what is visible already."""
        self._stream.write(text)

    def flush(self) -> None:
        """Send on what was written."""
        self._stream.flush()

    def fileno(self) -> int:
        """The descriptor, such as for the terminal's size."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream.isatty()


def draw(out: TextIO | Screen, text: str) -> None:
    """Print, with our own sequences, on a stream that may be a screen."""
    if isinstance(out, Screen):
        out.draw(text)
    else:
        out.write(text)


def hand_over(text: str) -> None:
    """Print a line that a program may have asked for, whatever is in it; on a terminal it is made visible."""
    if sys.stdout.isatty():
        print(text)
    else:
        draw(sys.stdout, text + "\n")
