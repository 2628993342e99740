"""Which route a path means: placeholders, names with slashes, and what may not be declared side by side."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.api.pattern import Pattern, check_distinct, narrowest_first
from wherry.api.routing import Route, Router

REGISTRY = [
    ("GET", "/v2/{name}/manifests/{reference}"),
    ("HEAD", "/v2/{name}/manifests/{reference}"),
    ("PUT", "/v2/{name}/manifests/{reference}"),
    ("GET", "/v2/{name}/blobs/{digest}"),
    ("POST", "/v2/{name}/blobs/uploads"),
    ("PATCH", "/v2/{name}/blobs/uploads/{upload}"),
    ("GET", "/v2/{name}/tags/list"),
    ("GET", "/v2"),
]
CONTAINERS = [
    ("GET", "/containers/json"),
    ("GET", "/containers/{ref}/json"),
    ("POST", "/containers/{ref}/attach"),
    ("GET", "/containers/{ref}/attach/ws"),
    ("GET", "/containers/{ref}/ws"),
    ("DELETE", "/containers/{ref}"),
    ("DELETE", "/containers/{ref}/networks/{network}"),
]


async def serve() -> None:
    """Nothing."""


def router(*declared: tuple[str, str]) -> Router:
    return Router([Route(method, pattern, serve) for method, pattern in declared])


@pytest.mark.parametrize(
    ("method", "path", "pattern", "names"),
    [
        ("GET", "/v2", "/v2", ()),
        ("GET", "/v2/alpine/manifests/3.20", "/v2/{name}/manifests/{reference}", ("alpine", "3.20")),
        ("PUT", "/v2/a/b/c/manifests/x", "/v2/{name}/manifests/{reference}", ("a/b/c", "x")),
        ("HEAD", "/v2/a/manifests/manifests/x", "/v2/{name}/manifests/{reference}", ("a/manifests", "x")),
        ("GET", "/v2/a/blobs/manifests/x", "/v2/{name}/manifests/{reference}", ("a/blobs", "x")),
        ("GET", "/v2/a/manifests/blobs/x", "/v2/{name}/blobs/{digest}", ("a/manifests", "x")),
        ("GET", "/v2/a/blobs/sha256%3Aab", "/v2/{name}/blobs/{digest}", ("a", "sha256:ab")),
        ("PATCH", "/v2/a/b/blobs/uploads/u-1", "/v2/{name}/blobs/uploads/{upload}", ("a/b", "u-1")),
        ("GET", "/v2/tags/list/tags/list", "/v2/{name}/tags/list", ("tags/list",)),
        ("GET", "/containers/json", "/containers/json", ()),
        ("GET", "/containers/json/json", "/containers/{ref}/json", ("json",)),
        ("GET", "/containers/web/attach/ws", "/containers/{ref}/attach/ws", ("web",)),
        ("GET", "/containers/web/ws", "/containers/{ref}/ws", ("web",)),
        ("DELETE", "/containers/a/b:c@d", "/containers/{ref}", ("a/b:c@d",)),
        ("DELETE", "/containers/web/networks/front", "/containers/{ref}/networks/{network}", ("web", "front")),
    ],
)  # fmt: skip
def test_a_path_finds_its_route(method: str, path: str, pattern: str, names: tuple[str, ...]) -> None:
    found = router(*REGISTRY, *CONTAINERS).find(method, path)
    assert found is not None
    assert (found[0].route.method, found[0].route.pattern, found[1]) == (method, pattern, names)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"), ("GET", ""), ("GET", "v2"), ("GET", "/v2/manifests/x"), ("GET", "/v2//manifests"),
        ("GET", "/v2/a/manifests/"), ("DELETE", "/containers/"), ("DELETE", "/containers"), ("PUT", "/v2"),
        ("POST", "/containers//attach"), ("GET", "/containers/attach/ws"), ("GET", "/v2/a/manifests/b/"),
    ],
)  # fmt: skip
def test_what_is_no_routes_path(method: str, path: str) -> None:
    found = router(*REGISTRY, *CONTAINERS[2:]).find(method, path)
    assert found is None or found[0].route.pattern == "/containers/{ref}/ws"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/info", "/info"),
        ("/images/{name}/json", "/images/{ref}/json"),
        ("/v2/{name}/blobs/{digest}", "/v2/{repository}/blobs/{upload}"),
    ],
)
def test_declared_twice(one: str, other: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{one} and {other} are declared twice")):
        router(("GET", one), ("GET", other))
    router(("GET", one), ("PUT", other))


@pytest.mark.parametrize(
    ("one", "other", "path"),
    [
        ("/a/{x}/c", "/a/b/{y}", "/a/b/c"),
        ("/a/{x}/b/{y}", "/a/{x}/{y}/c", "/a/x/b/c"),
        ("/a/{x}/b/{y}", "/a/b/{x}", "/a/b/b/b"),
    ],
)
def test_ambiguous(one: str, other: str, path: str) -> None:
    assert Pattern.parse(one).expression().fullmatch(path)
    assert Pattern.parse(other).expression().fullmatch(path)
    with pytest.raises(ValueError, match="there are paths of both"):
        router(("GET", one), ("GET", other))


@pytest.mark.parametrize("text", ["", "info", "/{a}/b", "/a/{b", "/a/x{b}", "/a/{b}/{b}", "/a/{b-c}"])
def test_what_is_no_pattern(text: str) -> None:
    with pytest.raises(ValueError, match=r"pattern|two placeholders"):
        Pattern.parse(text)


# ---------------------------------------------------------------- compared with what regular expressions say

words = st.sampled_from(["a", "b"])


def pattern_of(first: str, rest: list[str | None]) -> Pattern:
    parts = [f"{{p{index}}}" if word is None else word for index, word in enumerate(rest)]
    return Pattern.parse("/" + "/".join([first, *parts]))


patterns = st.builds(pattern_of, words, st.lists(words | st.none(), max_size=3))
paths = st.lists(words, min_size=1, max_size=6).map(lambda parts: "/" + "/".join(parts))


@given(one=patterns, other=patterns, path=paths)
def test_meeting_and_within_are_true_of_paths(one: Pattern, other: Pattern, path: str) -> None:
    in_one, in_other = (bool(p.expression().fullmatch(path)) for p in (one, other))
    if in_one and in_other:
        assert one.meets(other)
    if in_one and one.within(other):
        assert in_other


@given(declared=st.lists(patterns, max_size=6), path=paths)
def test_the_narrowest_pattern_wins_in_whatever_order(declared: list[Pattern], path: str) -> None:
    try:
        check_distinct(declared)
    except ValueError:
        return
    found = Router([Route("GET", p.text, serve) for p in declared]).find("GET", path)
    fitting = [p for p in narrowest_first(declared) if p.expression().fullmatch(path)]
    if found is None:
        assert fitting == []
        return
    meant = found[0].pattern
    assert meant in fitting
    assert all(meant.within(p) for p in fitting)
