"""Profiles that take long, and others that come behind them."""

from __future__ import annotations

import asyncio
import json

import pytest

from wherry.engine.profiles import Lane, Profiles
from wherry.errors import InvalidArgument, Unavailable
from wherry.runtime.seccomp import SeccompCompiler
from wherry.runtime.seccomp_worker import TooMuch

NOTHING = frozenset[str]()
QUICK = '{"defaultAction": "SCMP_ACT_ALLOW"}'


def slow(number: int) -> str:
    """libseccomp multiplies such rules with one another."""
    rules = [
        {
            "names": ["read"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": index, "value": 7 * rule + number, "op": "SCMP_CMP_GT"} for index in range(6)],
        }
        for rule in range(40)
    ]
    return json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": rules})


def test_a_quick_one_does_not_wait_for_slow_ones() -> None:
    """It is done before the last of them is given up."""

    async def scenario() -> None:
        profiles = Profiles(SeccompCompiler(), (Lane(1, places=2, most=8), Lane(1, places=1, most=2)))
        over: list[str] = []

        async def compile(name: str, profile: str) -> type[Exception] | None:
            try:
                await profiles.compile(profile, NOTHING)
            except (TooMuch, Unavailable) as error:
                return type(error)
            finally:
                over.append(name)
            return None

        slow_ones = [asyncio.create_task(compile("slow", slow(number))) for number in range(5)]
        await asyncio.sleep(0)
        assert await compile("quick", QUICK) is None
        ends = await asyncio.gather(*slow_ones)
        assert None not in ends
        assert over.index("quick") < len(over) - 1

    asyncio.run(scenario())


def test_what_is_compiled_already_waits_for_nobody() -> None:
    async def scenario() -> None:
        lane = Lane(1, places=1, most=1)
        profiles = Profiles(SeccompCompiler(), (lane,))
        await profiles.compile(QUICK, NOTHING)
        lane.here = 1
        await profiles.compile(QUICK, NOTHING)
        with pytest.raises(Unavailable, match=r"1 slow seccomp profiles .* try again later"):
            await profiles.compile("{}", NOTHING)

    asyncio.run(scenario())


def test_what_is_wrong_is_told_at_once() -> None:
    async def scenario() -> None:
        lanes = (Lane(1, places=1, most=1), Lane(1, places=1, most=0))
        with pytest.raises(InvalidArgument, match="Decoding seccomp profile failed"):
            await Profiles(SeccompCompiler(), lanes).compile("{", NOTHING)
        assert [lane.here for lane in lanes] == [0, 0]

    asyncio.run(scenario())
