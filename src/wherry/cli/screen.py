"""Text on its way to the user: what others have written (names, labels, commands, errors) cannot steer a terminal.

* What is for people (tables, events, progress, messages, errors) has every character that does not print written out,
  wherever it goes: it ends on somebody's screen, if only by way of a file.
* What is for programs (``--format``, ids) goes into a pipe or a file byte for byte, as from docker; on a terminal it is
  written out too. JSON escapes what does not print: that is the same value.
* What a container itself prints (``run``, ``exec``, ``attach``, ``logs``) is what was asked for: it goes from one
  descriptor to another and does not pass here.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


class Screen:
    """Stands in for a standard stream: whatever is printed to it is made visible, except by ``draw``."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = stream.encoding

    def write(self, text: str) -> int:
        """Print a text of anybody's."""
        from wherry.values.quoting import visible_lines

        return self._stream.write(visible_lines(text))

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


def screened(stdout: TextIO, stderr: TextIO) -> tuple[TextIO | Screen, Screen]:
    """The standard streams as the command line writes to them: errors always, output where it is a terminal."""
    return Screen(stdout) if stdout.isatty() else stdout, Screen(stderr)
