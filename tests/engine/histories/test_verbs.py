"""Several verbs at once on one container: some order of the calls explains the answers, and nothing is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.engine.histories.rounds import PAIRS, at_random, pair, play, seeds, with_a_crash
from tests.harness.daemon import Daemon

pytestmark = pytest.mark.slow


@pytest.fixture
def clean_daemon(fresh_daemon: Callable[..., Daemon]) -> Iterator[Daemon]:
    """A daemon that has to be as it was when a test is over: no container, also for the next daemon; no leak."""
    daemon = fresh_daemon()
    yield daemon
    assert daemon.restart().api("GET", "/containers/json?all=1").body == []
    assert daemon.stop() == 0
    assert daemon.leaks() == []
    assert "Traceback" not in daemon.log.read_text()


def test_all_pairs(clean_daemon: Daemon) -> None:
    play(clean_daemon, pair, seeds(2 * PAIRS))


def test_random_programs(clean_daemon: Daemon) -> None:
    play(clean_daemon, at_random, seeds(300))


def test_random_programs_and_the_daemon_killed(clean_daemon: Daemon) -> None:
    play(clean_daemon, with_a_crash, seeds(25), at_once=1)
