import asyncio
import itertools
import json
import os
import struct
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.descriptors import open_before, open_now
from wherry.runtime import log_files
from wherry.runtime.log_files import BLOCK, TAIL_BLOCK
from wherry.runtime.log_format import LogsQuery
from wherry.runtime.log_watch import LogWatch
from wherry.runtime.logs import follow, read
from wherry.values.times import parse_rfc3339

SECOND = 1_000_000_000
START = parse_rfc3339("2026-11-25T01:00:00Z")


def stamp(second: float) -> str:
    minutes, rest = divmod(second, 60)
    return f"2026-11-25T01:{int(minutes):02}:{rest:012.9f}Z"


def entry(text: str, stream: str = "stdout", second: float = 0, **more: object) -> str:
    return (
        json.dumps({"log": text, "stream": stream, **more, "time": stamp(second)}, separators=(",", ":"))
        + "\n"
    )


def frames(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(data):
        stream, length = struct.unpack_from(">BxxxI", data, at)
        found.append((stream, data[at + 8 : at + 8 + length]))
        at += 8 + length
    return found


def texts(path: Path, **query: object) -> list[str]:
    return [text.decode() for _, text in frames(b"".join(read(path, LogsQuery(**query))))]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "container-json.log"


def test_frames_as_docker_has_them(log: Path):
    log.write_text(entry("one\n") + entry("ä\n", "stderr") + entry("half"))
    assert b"".join(read(log, LogsQuery())) == (
        b"\x01\0\0\0\0\0\0\x04one\n" + b"\x02\0\0\0\0\0\0\x03" + "ä\n".encode() + b"\x01\0\0\0\0\0\0\x04half"
    )
    assert b"".join(read(log, LogsQuery(framed=False))) == "one\nä\nhalf".encode()


def test_streams(log: Path):
    log.write_text(entry("out\n") + entry("err\n", "stderr"))
    assert texts(log, stderr=False) == ["out\n"]
    assert texts(log, stdout=False) == ["err\n"]


def test_no_log_and_an_empty_one(log: Path):
    assert texts(log) == []
    log.write_text("")
    assert texts(log, tail=5) == []


def test_timestamps_have_nine_digits(log: Path):
    log.write_text(
        '{"log":"a\\n","stream":"stdout","time":"2026-11-25T01:02:03.5Z"}\n' + entry("b\n", second=1)
    )
    assert texts(log, timestamps=True) == [
        "2026-11-25T01:02:03.500000000Z a\n",
        "2026-11-25T01:00:01.000000000Z b\n",
    ]


def test_details(log: Path):
    log.write_text(entry("a\n", attrs={"b": "x y", "a": "1"}) + entry("c\n"))
    assert texts(log, details=True) == ["a=1,b=x+y a\n", " c\n"]
    assert texts(log, details=True, timestamps=True)[0] == "2026-11-25T01:00:00.000000000Z a=1,b=x+y a\n"


def test_since_and_until(log: Path):
    log.write_text("".join(entry(f"{n}\n", second=n) for n in range(10)))
    assert texts(log, since=START + 7 * SECOND) == ["7\n", "8\n", "9\n"]
    assert texts(log, until=START + 2 * SECOND) == ["0\n", "1\n", "2\n"]
    assert texts(log, since=START + 4 * SECOND, until=START + 5 * SECOND) == ["4\n", "5\n"]
    assert texts(log, tail=3, until=START + 7 * SECOND) == ["7\n"]


@given(lines=st.integers(0, 40), tail=st.integers(0, 50), cuts=st.lists(st.integers(0, 40), max_size=2))
def test_tail_over_rotated_files(
    tmp_path_factory: pytest.TempPathFactory, lines: int, tail: int, cuts: list[int]
):
    log = tmp_path_factory.mktemp("tail") / "log"
    bounds = [0, *sorted(min(cut, lines) for cut in cuts), lines]
    parts = [range(a, b) for a, b in itertools.pairwise(bounds)]
    for age, part in enumerate(reversed(parts)):
        Path(f"{log}.{age}" if age else log).write_text("".join(entry(f"{n}\n") for n in part))
    expected = [f"{n}\n" for n in range(lines)]
    assert texts(log, tail=tail) == expected[max(0, lines - tail) :]
    assert texts(log) == expected


def test_tail_over_long_lines(log: Path):
    big = ["x" * size + "\n" for size in (10, TAIL_BLOCK, 3 * TAIL_BLOCK, 5, BLOCK * 2)]
    log.write_text("".join(entry(text) for text in big))
    for count in range(len(big) + 1):
        assert texts(log, tail=count) == big[len(big) - count :]
    assert texts(log) == big


def test_what_is_broken_is_left_out(log: Path):
    log.write_bytes(
        entry("a\n").encode()
        + b'{"log":"cut of\n\0\0\n{"log":"\xff"}\n[]\n'
        + entry("b\n").encode()
        + b'{"log":"half'
    )
    assert texts(log) == ["a\n", "b\n"]
    assert texts(log, timestamps=True, since=0)[0].endswith("a\n")


def test_a_log_that_is_a_link_is_not_followed(tmp_path: Path):
    (tmp_path / "secret").write_text(entry("secret\n"))
    (tmp_path / "log").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError):
        list(read(tmp_path / "log", LogsQuery()))


def test_quick_on_a_long_log(log: Path):
    with log.open("w") as file:
        file.writelines(entry(f"line {n:07} " + "x" * 85 + "\n") for n in range(200_000))
    started = time.perf_counter()
    size = sum(len(batch) for batch in read(log, LogsQuery()))
    spent = time.perf_counter() - started
    assert size == 200_000 * (99 + 8)
    assert spent < 1  # 0.06 on a quiet machine
    started = time.perf_counter()
    assert len(texts(log, tail=10)) == 10
    assert time.perf_counter() - started < 0.1


# ---------------------------------------------------------------- following


class Writer:
    """The monitor's part: appends and rotates."""

    def __init__(self, path: Path, files: int = 3) -> None:
        self.path, self.files = path, files

    def add(self, *lines: str) -> None:
        with self.path.open("a") as file:
            file.write("".join(entry(line) for line in lines))

    def rotate(self) -> None:
        if self.files == 1:
            os.truncate(self.path, 0)
            return
        for age in range(self.files - 1, 0, -1):
            source = Path(f"{self.path}.{age - 1}" if age > 1 else self.path)
            if source.exists():
                source.rename(f"{self.path}.{age}")


async def collect(path: Path, ended: asyncio.Event, **query: object) -> list[str]:
    batches = [b async for b in follow(path, LogsQuery(follow=True, **query), ended, LogWatch())]
    return [text.decode() for _, text in frames(b"".join(batches))]


def in_time(work: object) -> list[str]:
    async def run() -> list[str]:
        return await asyncio.wait_for(work, 10)

    return asyncio.run(run())


def test_without_follow_it_ends_at_once(log: Path):
    log.write_text(entry("a\n"))

    async def run() -> list[str]:
        batches = [b async for b in follow(log, LogsQuery(), asyncio.Event(), LogWatch())]
        return [t.decode() for _, t in frames(b"".join(batches))]

    assert in_time(run()) == ["a\n"]


@pytest.mark.parametrize("files", [1, 2, 3])
def test_everything_comes_through_rotations(log: Path, files: int):
    async def run() -> list[str]:
        ended, writer = asyncio.Event(), Writer(log, files)
        reading = asyncio.ensure_future(collect(log, ended))
        await asyncio.sleep(0.02)
        for n in range(30):
            writer.add(f"{n}\n")
            await asyncio.sleep(0.005)
            if n % 7 == 6:
                writer.rotate()
                await asyncio.sleep(0.005)
        writer.add("last\n")
        ended.set()
        return await reading

    assert in_time(run()) == [*(f"{n}\n" for n in range(30)), "last\n"]


def test_two_rotations_at_once(log: Path):
    async def run() -> list[str]:
        ended, writer = asyncio.Event(), Writer(log)
        writer.add("0\n")
        reading = asyncio.ensure_future(collect(log, ended))
        await asyncio.sleep(0.02)
        for n in (1, 2, 3):
            writer.add(f"{n}\n")
            if n < 3:
                writer.rotate()
        ended.set()
        return await reading

    assert in_time(run()) == ["0\n", "1\n", "2\n", "3\n"]


def test_tail_then_what_comes(log: Path):
    async def run() -> list[str]:
        ended, writer = asyncio.Event(), Writer(log)
        writer.add(*(f"{n}\n" for n in range(10)))
        reading = asyncio.ensure_future(collect(log, ended, tail=2))
        await asyncio.sleep(0.02)
        writer.add("new\n")
        ended.set()
        return await reading

    assert in_time(run()) == ["8\n", "9\n", "new\n"]


def test_tail_0_only_what_comes(log: Path):
    async def run() -> list[str]:
        ended, writer = asyncio.Event(), Writer(log)
        writer.add("old\n")
        reading = asyncio.ensure_future(collect(log, ended, tail=0))
        await asyncio.sleep(0.02)
        writer.add("new\n")
        ended.set()
        return await reading

    assert in_time(run()) == ["new\n"]


def test_until_ends_it_though_the_container_runs(log: Path):
    async def run() -> list[str]:
        Writer(log).add("a\n")
        started = time.monotonic()
        got = await collect(log, asyncio.Event(), until=time.time_ns() + 100_000_000)
        assert time.monotonic() - started >= 0.09
        return got

    assert in_time(run()) == ["a\n"]
    assert in_time(collect(log, asyncio.Event(), until=START - 1)) == []


def test_a_slow_reader_holds_one_batch_and_leaks_nothing(log: Path):
    with log.open("w") as file:
        file.writelines(entry("x" * 100 + "\n") for _ in range(20_000))

    async def run() -> list[str]:
        before = open_before()
        stream: AsyncIterator[bytes] = follow(log, LogsQuery(follow=True), asyncio.Event(), LogWatch())
        first = await anext(stream)
        assert len(first) <= BLOCK * 2
        await stream.aclose()  # the client has gone
        assert open_now() == before
        return []

    in_time(run())


def test_files_are_in_order_however_often_they_rotate_while_they_are_opened(
    log: Path, monkeypatch: pytest.MonkeyPatch
):
    writer, opened, tries = Writer(log, 4), log_files.open_number, []
    lines = map("{:03}\n".format, range(1000))

    def rotate() -> None:
        writer.rotate()
        writer.add(next(lines))

    def rotating(path: str, number: int) -> log_files.AnyFile | None:
        tries.append(number)
        if number == 1 and tries.count(number) < 4:
            rotate()
            rotate()
        return opened(path, number)

    for _ in range(4):
        rotate()
    monkeypatch.setattr(log_files, "open_number", rotating)
    told = [text.decode() for batch in read(log, LogsQuery()) for _, text in frames(batch)]
    assert len(told) == 4 and told == sorted(told)


def test_as_many_follow_as_like(tmp_path: Path):
    """More than the kernel gives a user of what tells of changes; each is told of its own, and one leaves before."""
    logs = [tmp_path / str(number) / "log" for number in range(200)]
    for log in logs:
        log.parent.mkdir()
        log.write_text(entry("before\n"))
    before = open_before()

    async def run() -> list[str]:
        everyone, ended = LogWatch(), asyncio.Event()
        query = LogsQuery(follow=True)
        streams = [follow(log, query, ended, everyone) for log in [*logs, *logs]]
        for stream in streams:
            await anext(stream)
        await streams[0].aclose()
        waiting = [asyncio.ensure_future(anext(stream)) for stream in streams[1:]]
        await asyncio.sleep(0.05)
        for log in logs:
            with log.open("a") as file:
                file.write(entry(f"{log.parent.name}\n"))
        news = [text.decode() for batch in await asyncio.gather(*waiting) for _, text in frames(batch)]
        for stream in streams:
            await stream.aclose()
        return news

    assert sorted(in_time(run())) == sorted(
        [*map("{}\n".format, range(200)), *map("{}\n".format, range(1, 200))]
    )
    assert open_now() == before


def test_present_reading_closes_its_files(log: Path):
    log.write_text("".join(entry("x\n") for _ in range(50_000)))
    before = open_before()
    batches: Iterator[bytes] = read(log, LogsQuery())
    next(batches)
    batches.close()
    assert open_now() == before
