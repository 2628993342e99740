"""What load, import and pull report."""

from __future__ import annotations

import io

import pytest

from wherry.cli.errors import CliError
from wherry.cli.progress import Progress

MESSAGES = [
    {"status": "Pulling from x", "id": "latest"},
    {
        "status": "Downloading",
        "id": "a",
        "progressDetail": {"current": 1, "total": 2},
        "progress": "[=>  ] 1B/2B",
    },
    {
        "status": "Downloading",
        "id": "b",
        "progressDetail": {"current": 1, "total": 2},
        "progress": "[=>  ] 1B/2B",
    },
    {"status": "Pull complete", "id": "a", "progressDetail": {}},
    {"aux": {"ID": "sha256:x"}},
    {"stream": "Loaded image: x\n"},
]


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_only_what_is_final() -> None:
    out = io.StringIO()
    assert Progress(out).show(MESSAGES) == [{"ID": "sha256:x"}]
    assert out.getvalue() == "latest: Pulling from x\na: Pull complete\nLoaded image: x\n"


def test_in_a_terminal_each_id_keeps_its_line() -> None:
    screen = Screen()
    Progress(screen).show(MESSAGES)
    assert screen.getvalue().count("\n") == 4  # three ids, and the last line
    assert "\x1b[2A\x1b[2K\ra: Pull complete\x1b[2B" in screen.getvalue()
    assert "b: Downloading 1B/2B" in screen.getvalue()


def test_quiet_says_nothing() -> None:
    out = io.StringIO()
    Progress(out, quiet=True).show(MESSAGES[:4])
    assert out.getvalue() == ""


@pytest.mark.parametrize("message", [{"error": "no"}, {"errorDetail": {"message": "no"}, "error": "x"}])
def test_an_error_in_the_stream_is_an_error(message: dict[str, object]) -> None:
    with pytest.raises(CliError, match=r"^no$"):
        Progress(io.StringIO()).show([message])
