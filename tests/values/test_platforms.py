"""Platforms as they are typed: the answers are those of dockerd."""

from __future__ import annotations

import pytest

from wherry.errors import InvalidArgument
from wherry.values.platforms import Triple, fitness, host_architecture, normal, parse_platform


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


# Of each image those that dockerd 28.5 gave it to, of all that were asked for: by create and inspect, and by load.
AMD = "linux/amd64 linux/amd64/v1 LINUX/AMD64 linux/x86_64"
ARM = "linux/arm linux/arm/v7"
ARM64 = "linux/arm64 linux/arm64/v8 linux/aarch64"
ASKED = f"{AMD} linux/amd64/v2 linux/amd64/v3 linux/386 linux/i386 {ARM64} linux/arm64/v9 {ARM} " + (
    "linux/arm/v5 linux/arm/v6 linux/arm/v8 linux/riscv64 windows/amd64"
)
ANSWERS = {
    "linux/amd64/": (f"{AMD} linux/amd64/v2 linux/amd64/v3", AMD),
    "linux/amd64/v1": (f"{AMD} linux/amd64/v2 linux/amd64/v3", AMD),
    "linux/x86_64/": (f"{AMD} linux/amd64/v2 linux/amd64/v3", AMD),
    "/amd64/": (f"{AMD} linux/amd64/v2 linux/amd64/v3", AMD),
    "linux/amd64/v2": ("linux/amd64/v2 linux/amd64/v3", "linux/amd64/v2"),
    "linux/386/": (
        f"{AMD} linux/amd64/v2 linux/amd64/v3 linux/386 linux/i386",
        "linux/386 linux/i386",
    ),
    "linux/arm64/": (f"{ARM64} linux/arm64/v9", ARM64),
    "linux/arm64/v8": (f"{ARM64} linux/arm64/v9", ARM64),
    "linux/aarch64/": (f"{ARM64} linux/arm64/v9", ARM64),
    "linux/arm64/v9": ("linux/arm64/v9", "linux/arm64/v9"),
    "linux/arm/": (f"{ARM64} linux/arm64/v9 {ARM} linux/arm/v5 linux/arm/v6 linux/arm/v8", ARM),
    "linux/arm/v5": (f"{ARM64} linux/arm64/v9 {ARM} linux/arm/v5 linux/arm/v6 linux/arm/v8", "linux/arm/v5"),
    "linux/arm/v6": (f"{ARM64} linux/arm64/v9 {ARM} linux/arm/v6 linux/arm/v8", "linux/arm/v6"),
    "linux/arm/v7": (f"{ARM64} linux/arm64/v9 {ARM} linux/arm/v8", ARM),
    "linux/arm/v8": (f"{ARM64} linux/arm64/v9 linux/arm/v8", "linux/arm/v8"),
    "linux/riscv64/": ("linux/riscv64", "linux/riscv64"),
    "linux//": ("", ""),
}


def triple(text: str) -> Triple:
    system, architecture, variant = f"{text}//".split("/")[:3]
    return system, architecture, variant


@pytest.mark.parametrize("image", ANSWERS)
def test_which_runs_what_and_which_is_what(image: str) -> None:
    runs, same = ANSWERS[image]
    asked = ASKED.split()
    assert {one for one in asked if fitness(triple(one), triple(image))} == set(runs.split())
    assert {one for one in asked if normal(triple(one)) == normal(triple(image))} == set(same.split())


def test_the_best_of_several() -> None:
    offered = [
        "linux/arm/v6",
        "linux/arm64/v9",
        "linux/arm64",
        "linux/arm",
        "linux/arm/v5",
        "linux/arm64/v8.1",
    ]
    ranked = sorted(offered, key=lambda one: fitness(("linux", "arm64", "v8.2"), triple(one)), reverse=True)
    assert ranked[:5] == ["linux/arm64/v8.1", "linux/arm64", "linux/arm", "linux/arm/v6", "linux/arm/v5"]
    assert not fitness(("linux", "arm64", "v8.2"), triple(ranked[5]))


@pytest.mark.parametrize("strange", ["x", "v", "v²", "v1.2.3", "vnan", "v" + "9" * 400])
def test_variants_that_are_no_numbers_are_themselves_only(strange: str) -> None:
    one = ("linux", "mips", strange)
    assert fitness(one, one) and not fitness(("linux", "mips", "hardfloat"), one)
    assert not fitness(("linux", "amd64", "v3"), ("linux", "amd64", strange))
