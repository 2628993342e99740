"""Causes put together: who asked first, each wish once, none without a bound."""

from __future__ import annotations

import pytest

from wherry.messages.container import Config, HostConfig
from wherry.runtime.causes import flagged, hostname_cause, together, whose
from wherry.runtime.steps import DEFAULT, Cause, Origin, asked

IMAGE, DAEMON = Cause(Origin.IMAGE, "CMD"), Cause(Origin.DAEMON, "--init")


@pytest.mark.parametrize(
    ("causes", "said"),
    [
        ((), "default"),
        ((DEFAULT, DEFAULT), "default"),
        ((DEFAULT, IMAGE), "image: CMD"),
        ((IMAGE, asked("--tty"), DEFAULT, asked("--tty")), "request: --tty, image: CMD"),
        ((DAEMON, IMAGE), "image: CMD, daemon: --init"),
        (tuple(asked(f"-v /{n}") for n in range(1000)), "and 992 more"),
    ],
)
def test_together(causes: tuple[Cause, ...], said: str) -> None:
    found = str(together(*causes))
    assert found == said or (found.endswith(said) and len(found) < 200)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((), "default"),
        (("a", "b"), "request: --dns a --dns b"),
        ("abcdef", "request: --dns a --dns b --dns c --dns d and 2 more"),
        (("x" * 300,), f"request: --dns {'x' * 199}…"),
    ],
)
def test_flagged(values: tuple[str, ...], said: str) -> None:
    assert str(flagged("--dns", values)) == said


def test_whose() -> None:
    assert whose("--user 1", "1", "1", "USER") == Cause(Origin.IMAGE, "USER")
    assert whose("--user 1", "1", "2", "USER") == asked("--user 1")
    assert whose("--user ", "", "", "USER") is DEFAULT


def test_a_host_name_that_an_id_happens_to_begin_with_was_asked_for() -> None:
    id = "db" + "0" * 62
    for name, cause in (("db", asked("--hostname db")), (id[:12], DEFAULT), ("here", DEFAULT)):
        assert hostname_cause(id, Config(hostname=name), HostConfig(), "here") == cause
