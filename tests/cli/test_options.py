"""The small languages of the options: mounts, ports, names, keys. Whatever is typed gives a value or a ValueError;
that the values are Docker's own is shown in ``test_create_body``."""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.cli.command import Flag, parse, repeated, switch, text
from wherry.cli.create_body import restart_policy
from wherry.cli.csv_fields import csv_fields
from wherry.cli.endpoints import parse_network
from wherry.cli.errors import CliError, UsageError
from wherry.cli.mounts import parse_device, parse_mount, split_volumes
from wherry.cli.ports import exposed, published
from wherry.cli.run_flags import CREATE_FLAGS, RUN_FLAGS, extra_host, parse_ulimit

ALPHABET = 'abz/:,=.-_"09 @[]\\é\n'
PARSERS: list[Callable[[str], object]] = [
    parse_mount, parse_device, parse_network, extra_host, parse_ulimit, csv_fields,
    lambda t: published([t]), lambda t: exposed([t]), lambda t: split_volumes([t]),
    lambda t: restart_policy(t, False),
]  # fmt: skip


@given(st.text(ALPHABET, max_size=40) | st.text(max_size=20))
def test_any_text_is_a_value_or_an_error(typed: str) -> None:
    for parser in PARSERS:
        try:
            parser(typed)
        except ValueError:
            continue


@given(st.lists(st.text(st.characters(exclude_characters="\r\n\0"), min_size=1), min_size=1))
def test_fields_survive_quoting(fields: list[str]) -> None:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    assert csv_fields(line.getvalue()) == fields


@given(
    st.integers(1, 65000), st.integers(0, 500), st.integers(1, 65000), st.sampled_from(["tcp", "udp", "sctp"])
)
def test_ranges_of_ports_map_one_to_one(first: int, more: int, host: int, protocol: str) -> None:
    _, bindings = published([f"{host}-{host + more}:{first}-{first + more}/{protocol}"])
    got = {int(port.split("/")[0]): int(bound[0]["HostPort"]) for port, bound in bindings.items()}
    assert got == {first + n: host + n for n in range(more + 1)}


FLAGS: tuple[Flag, ...] = (
    switch("all", "a", ""), switch("proxy", "", "", default=True), text("name", "n", ""), repeated("env", "e", ""),
    repeated("environment", "", "", alias_of="env"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        ("-a x", (True, True, "", [], ["x"])),
        ("-an5 x", (True, True, "5", [], ["x"])),
        ("-n=5 --proxy=false", (False, False, "5", [], [])),
        ("--name x --env 1 -e 2 --environment=3", (False, True, "x", ["1", "2", "3"], [])),
        ("x -a y", (True, True, "", [], ["x", "y"])),
        ("-- -a --name", (False, True, "", [], ["-a", "--name"])),
        ("- -a", (True, True, "", [], ["-"])),
        ("--name= -e=", (False, True, "", [""], [])),
    ],
)
def test_flags(words: str, seen: tuple[object, ...]) -> None:
    options = parse(FLAGS, words.split())
    assert (options.all, options.proxy, options.name, options.env, options.args) == seen


def test_flags_end_at_the_first_argument() -> None:
    options = parse(FLAGS, ["-a", "image", "-n", "--all"], interspersed=False)
    assert options.args == ["image", "-n", "--all"]


@pytest.mark.parametrize("words", ["--foo", "-z", "-n", "--name", "--all=x", "-az"])
def test_wrong_flags(words: str) -> None:
    with pytest.raises(UsageError) as failure:
        parse(FLAGS, words.split())
    assert failure.value.code == 125


@given(st.lists(st.text("-=abnex ", max_size=6), max_size=6))
def test_any_words_are_options_or_a_usage_error(words: list[str]) -> None:
    with contextlib.suppress(CliError):
        parse(FLAGS, words)


@pytest.mark.parametrize("flags", [CREATE_FLAGS, RUN_FLAGS])
def test_no_flag_twice(flags: tuple[Flag, ...]) -> None:
    for names in ([f.name for f in flags], [f.short for f in flags if f.short]):
        assert len(names) == len(set(names))
