"""Platforms as they are typed: the answers are those of dockerd."""

from __future__ import annotations

import pytest

from wherry.errors import InvalidArgument
from wherry.values.platforms import host_architecture, parse_platform, runs


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/amd64", ("linux", "amd64", "")),
        ("LINUX/AMD64", ("linux", "amd64", "")),
        ("linux/x86_64", ("linux", "amd64", "")),
        ("linux/amd64/v1", ("linux", "amd64", "")),
        ("linux/amd64/v2", ("linux", "amd64", "v2")),
        ("linux/arm64", ("linux", "arm64", "")),
        ("linux/aarch64", ("linux", "arm64", "")),
        ("linux/arm64/v8", ("linux", "arm64", "")),
        ("linux/arm", ("linux", "arm", "")),
        ("linux/arm/v7", ("linux", "arm", "")),
        ("linux/arm/v6", ("linux", "arm", "v6")),
        ("linux/nonsense", ("linux", "nonsense", "")),
        ("arm64", ("linux", "arm64", "")),
        ("x86_64", ("linux", "amd64", "")),
        ("armel", ("linux", "arm", "v6")),
        ("windows/amd64", ("windows", "amd64", "")),
        ("linux", ("linux", host_architecture(), "")),
        ("windows", ("windows", host_architecture(), "")),
    ],
)
def test_one_spelling(text: str, platform: tuple[str, str, str]) -> None:
    assert parse_platform(text) == platform


@pytest.mark.parametrize(
    "text", ["", "/amd64", "linux/", "linux/arm64/v8/x", "a/b/c/", "lin ux", "linux/ä", "a//b"]
)
def test_no_platforms(text: str) -> None:
    with pytest.raises(InvalidArgument, match="is not a platform, such as linux/amd64"):
        parse_platform(text)


@pytest.mark.parametrize("text", ["nonsense", "local", "v7"])
def test_neither_a_system_nor_a_processor(text: str) -> None:
    with pytest.raises(InvalidArgument, match="is neither an operating system nor an architecture"):
        parse_platform(text)


def test_what_runs_without_an_emulator() -> None:
    assert runs("amd64", "amd64") and runs("amd64", "386") and runs("arm64", "arm")
    assert not runs("amd64", "arm64") and not runs("386", "amd64") and not runs("amd64", "")
