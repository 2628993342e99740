"""Text that cannot steer a terminal, columns that fit, colour only where it belongs."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from wherry.cli.paper import Column, Paper, cells, wrap
from wherry.values.quoting import visible


class Terminal(io.StringIO):
    """A terminal without a size of its own."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class File(io.StringIO):
    encoding = "utf-8"


def test_what_would_steer_a_terminal_is_written_out() -> None:
    assert visible("a\x1b[31mb\r\n\x07\x9b") == r"a\x1b[31mb\x0d\x0a\x07\x9b"
    assert visible("\u202egnp.exe\u2066\u200b") == r"\u202egnp.exe\u2066\u200b"
    assert visible("\udcff\U000e0041") == r"\udcff\U000e0041"


def test_what_prints_stays() -> None:
    assert visible("größe 日本 שלום ✓") == "größe 日本 שלום ✓"


@given(st.text())
def test_visible_text_prints(text: str) -> None:
    assert visible(text).isprintable()


@given(st.text(), st.integers(min_value=2, max_value=40))
def test_wrapped_lines_fit_and_lose_nothing(text: str, width: int) -> None:
    said = visible(text)
    lines = wrap(said, width)
    assert all(cells(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == said.replace(" ", "")


def test_a_long_path_is_broken_behind_a_slash() -> None:
    assert wrap("/sys/fs/cgroup/memory/wherry", 20) == ["/sys/fs/cgroup/", "memory/wherry"]


def test_wide_characters_take_two_cells() -> None:
    assert cells("日本") == 4
    assert wrap("日本日本", 5) == ["日本", "日本"]


@given(st.lists(st.tuples(st.text(), st.text(), st.text()), min_size=1))
def test_tables_fit_into_100_columns(rows: list[tuple[str, str, str]]) -> None:
    out = File()
    Paper(out, {}).table(rows, (Column(), Column(right=True), Column("cause")))
    assert all(cells(line) <= 100 and line.isprintable() for line in out.getvalue().splitlines())


def test_numbers_stand_at_the_right() -> None:
    out = File()
    Paper(out, {}).table([("1", "a"), ("10", "b")], (Column(right=True), Column()))
    assert out.getvalue() == "   1  a\n  10  b\n"


def test_colour_only_on_a_terminal_that_wants_it() -> None:
    assert Paper(Terminal(), {}).color
    assert not Paper(Terminal(), {"NO_COLOR": "1"}).color
    assert not Paper(Terminal(), {"TERM": "dumb"}).color
    assert not Paper(File(), {}).color


def test_colour_changes_no_column() -> None:
    plain, colourful = File(), Terminal()
    for out in (plain, colourful):
        Paper(out, {}).table([("a", "default"), ("long", "--flag")], (Column("bold"), Column("cause")))
    text = colourful.getvalue()
    for code in ("\x1b[1m", "\x1b[2m", "\x1b[36m", "\x1b[0m"):
        assert code in text
        text = text.replace(code, "")
    assert text == plain.getvalue()
