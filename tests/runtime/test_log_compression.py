"""Rotated files of a log that are compressed: what is made of them, and that readers see all lines once."""

from __future__ import annotations

import asyncio
import gzip
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.runtime.test_logs import collect, entry, in_time, texts
from wherry.runtime.log_compression import Compressed, compress_one, put_in_place
from wherry.runtime.log_files import BLOCK, open_all, open_number


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "container-json.log"


def rotated(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")


def compressed(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}.gz")


def ready(log: Path) -> Compressed:
    files = compress_one(str(log), lambda: False)
    assert files is not None
    return files


def compress_all(log: Path) -> None:
    while (files := compress_one(str(log), lambda: False)) is not None:
        put_in_place(str(log), files)
        assert files.is_settled
        files.close()


def names(log: Path) -> list[str]:
    return sorted(os.listdir(log.parent))


def write(log: Path, *files: list[str]) -> list[str]:
    """Files, oldest first, with what they hold."""
    for number, lines in zip(reversed(range(len(files))), files, strict=True):
        (rotated(log, number) if number else log).write_text("".join(entry(line) for line in lines))
    return [line for lines in files for line in lines]


def test_a_rotated_file_becomes_a_gzip_file_of_the_same(log: Path) -> None:
    write(log, ["old\n"], ["new\n"], ["now\n"])
    before = rotated(log, 1).read_bytes()
    compress_all(log)
    assert names(log) == [log.name, f"{log.name}.1.gz", f"{log.name}.2.gz"]
    assert gzip.decompress(compressed(log, 1).read_bytes()) == before
    assert compressed(log, 1).stat().st_mode & 0o777 == 0o640


@given(st.lists(st.lists(st.text(max_size=40), max_size=30), min_size=1, max_size=4), st.integers(0, 100))
def test_what_is_read_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[str]], tail: int
) -> None:
    log = tmp_path_factory.mktemp("log") / "c-json.log"
    written = write(log, *files)
    compress_all(log)
    assert texts(log) == written
    assert texts(log, tail=tail) == (written[-tail:] if tail else [])


def test_files_that_are_larger_than_a_block(log: Path) -> None:
    lines = [f"{number}-{'x' * (number % 500)}\n" for number in range(6000)]
    written = write(log, lines[:4000], lines[4000:5999], lines[5999:])
    assert rotated(log, 2).stat().st_size > 2 * BLOCK
    compress_all(log)
    assert texts(log) == written
    for tail in (1, 2, 1999, 2000, 2001, 2500, 5999, 6000, 7000):
        assert texts(log, tail=tail) == written[-tail:]


def test_nothing_is_named_until_it_is_whole(log: Path) -> None:
    """Where the daemon ends before, nothing is left of it."""
    write(log, ["old\n"], ["now\n"])
    files = ready(log)
    assert names(log) == [log.name, f"{log.name}.1"] and not files.is_settled
    files.close()


def test_it_stops_when_it_is_told_to(log: Path) -> None:
    write(log, ["old\n"], ["now\n"])
    assert compress_one(str(log), lambda: True) is None
    assert names(log) == [log.name, f"{log.name}.1"]


def test_one_that_was_rotated_away_meanwhile_is_not_needed(log: Path) -> None:
    write(log, ["old\n"], ["now\n"])
    files = ready(log)
    log.rename(rotated(log, 1))
    assert files.is_settled
    put_in_place(str(log), files)
    assert names(log) == [f"{log.name}.1"] and texts(log) == ["now\n"]
    files.close()


def test_one_that_has_another_number_by_now(log: Path) -> None:
    written = write(log, ["old\n"], ["now\n"])
    files = ready(log)
    rotated(log, 1).rename(rotated(log, 2))
    log.rename(rotated(log, 1))
    put_in_place(str(log), files)
    files.close()
    assert names(log) == [f"{log.name}.1", f"{log.name}.2.gz"] and texts(log) == written


def test_killed_between_the_two_names(log: Path) -> None:
    written = write(log, ["old\n"], ["new\n"], ["now\n"])
    compressed(log, 2).write_bytes(b"whatever")
    assert texts(log) == written
    compress_all(log)
    assert texts(log) == written


def test_killed_in_the_middle_of_a_rotation(log: Path) -> None:
    written = write(log, ["old\n"], ["new\n"], ["now\n"])
    rotated(log, 2).rename(rotated(log, 3))
    rotated(log, 1).rename(rotated(log, 2))
    assert names(log) == [log.name, f"{log.name}.2", f"{log.name}.3"] and texts(log) == written


def test_a_damaged_file_hides_no_other(log: Path) -> None:
    write(log, ["old\n"], ["new\n"], ["now\n"])
    compress_all(log)
    whole = compressed(log, 1).read_bytes()
    for damaged in (b"", whole[:9], whole[:-9], b"\0" * 40):
        compressed(log, 1).write_bytes(damaged)
        assert [texts(log)[0], texts(log)[-1]] == ["old\n", "now\n"]


def test_a_disk_without_room_keeps_the_file_as_it_is(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(log, ["old\n" * 100], ["now\n"])
    full = os.statvfs_result((4096, 4096, 9, 0, 0, 9, 9, 9, 0, 255))
    monkeypatch.setattr(os, "fstatvfs", lambda descriptor: full)
    assert compress_one(str(log), lambda: False) is None
    assert names(log) == [log.name, f"{log.name}.1"]


def test_one_that_is_compressed_while_it_is_opened_is_seen_once(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same file: first as it was, then one number on and compressed."""
    written = write(log, ["old\n"], ["now\n"])
    files = ready(log)

    def moved_on(path: str, number: int) -> object:
        found = open_number(path, number)
        if number == 1 and found is not None and not files.is_settled:
            rotated(log, 1).rename(rotated(log, 2))
            put_in_place(path, files)
        return found

    monkeypatch.setattr("wherry.runtime.log_files.open_number", moved_on)
    opened = open_all(log)
    assert names(log) == [log.name, f"{log.name}.2.gz"]
    assert b"".join(file.next_lines() for file in opened).decode() == "".join(map(entry, written))
    for file in opened:
        file.close()
    files.close()


def test_an_inode_that_is_given_again_is_another_file(log: Path) -> None:
    written = write(log, ["old\n"], ["now\n"])
    compress_all(log)
    os.setxattr(compressed(log, 1), "trusted.wherry.origin", str(log.stat().st_ino).encode())
    assert texts(log) == written


def test_a_reader_goes_on_where_its_file_was_compressed(log: Path) -> None:
    async def run() -> list[str]:
        ended = asyncio.Event()
        write(log, ["old\n"], ["first\n"])
        compress_all(log)
        reading = asyncio.ensure_future(collect(log, ended))
        await asyncio.sleep(0.05)
        for line in ("second\n", "third\n"):
            for number in (2, 1):
                if compressed(log, number).exists():
                    compressed(log, number).rename(compressed(log, number + 1))
            log.rename(rotated(log, 1))
            compress_all(log)
            log.write_text(entry(line))
            await asyncio.sleep(0.05)
        ended.set()
        return await reading

    assert in_time(run()) == ["old\n", "first\n", "second\n", "third\n"]
