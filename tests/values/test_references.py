"""Names of images, by the grammar and habits of Docker."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from wherry.errors import InvalidArgument
from wherry.values.globs import Glob
from wherry.values.references import Reference, is_full_id, is_image_id

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "canonical", "familiar"),
    [
        ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("library/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("index.docker.io/a/b", "docker.io/a/b:latest", "a/b:latest"),
        ("user/app:V1_2-3.x", "docker.io/user/app:V1_2-3.x", "user/app:V1_2-3.x"),
        ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
        ("localhost:5000/a/b/c:t", "localhost:5000/a/b/c:t", "localhost:5000/a/b/c:t"),
        ("host:5000/app", "host:5000/app:latest", "host:5000/app:latest"),
        ("Registry/app", "Registry/app:latest", "Registry/app:latest"),
        ("ghcr.io/o/r__x/a-b--c", "ghcr.io/o/r__x/a-b--c:latest", "ghcr.io/o/r__x/a-b--c:latest"),
        ("[2001:db8::1]:5000/app", "[2001:db8::1]:5000/app:latest", "[2001:db8::1]:5000/app:latest"),
        (f"a@sha256:{HEX}", f"docker.io/library/a@sha256:{HEX}", f"a@sha256:{HEX}"),
        (f"a:t@sha256:{HEX}", f"docker.io/library/a:t@sha256:{HEX}", f"a:t@sha256:{HEX}"),
        ("docker.io/example.com/app", "docker.io/example.com/app:latest", "docker.io/example.com/app:latest"),
    ],
)
def test_spellings(text: str, canonical: str, familiar: str) -> None:
    reference = Reference.parse(text)
    assert (reference.canonical(), reference.familiar()) == (canonical, familiar)


@pytest.mark.parametrize(
    "text",
    ["", ":", "a:", "a@", "a//b", "/a", "a/", "-a", "a_", "a..b", "a___b", "a:b:c", "a:-t", "a b", "a\n", "a:t\n",
     f"a@sha256:{HEX[:-1]}", f"a@sha256:{HEX.upper()}", "a@md5:0", "a:" + "t" * 129, "x" * 256, "é", "http://a/b"],
)  # fmt: skip
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(InvalidArgument):
        Reference.parse(text)


def test_texts_of_errors_are_dockers() -> None:
    for text, message in [
        ("Busybox", "invalid reference format: repository name (library/Busybox) must be lowercase"),
        ("a/B:tag", "invalid reference format: repository name (a/B) must be lowercase"),
        ("a b", "invalid reference format"),
        (HEX, f"invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings"),
        (f"a@sha256:{HEX[:40]}", "invalid checksum digest length"),
    ]:
        with pytest.raises(InvalidArgument) as caught:
            Reference.parse(text)
        assert caught.value.message == message


def test_with_tag_replaces_the_tag() -> None:
    assert Reference.parse("h:1/a:old").with_tag("new").canonical() == "h:1/a:new"
    with pytest.raises(InvalidArgument, match="invalid tag format"):
        Reference.parse("a").with_tag("no/tag")


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [("busybox", True), ("busybox:*", True), ("busy*", True), ("*", True), ("b?sybox:1.3[0-9]", True), ("*/*", False),
     ("busybox:1.3[^0-9]", False), ("docker.io/library/busybox", False), ("busybox:1", False)],
)  # fmt: skip
def test_patterns(pattern: str, matches: bool) -> None:
    assert Reference.parse("busybox:1.36").matches(Glob(pattern)) is matches


def test_stars_stop_at_slashes() -> None:
    assert not Reference.parse("a.b/c/d").matches(Glob("a.b/*"))
    assert Reference.parse("a.b/c/d").matches(Glob("a.b/*/d:*"))


PART = st.from_regex(r"[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}", fullmatch=True)
DOMAIN = st.from_regex(
    r"([a-z0-9]{1,5}\.[a-z0-9]{1,5}|localhost|[A-Z][a-z]{2})(:[0-9]{1,5})?", fullmatch=True
)
PATH = st.lists(PART, min_size=1, max_size=4).map("/".join)
TAG = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
DIGEST = st.text("0123456789abcdef", min_size=64, max_size=64).map("sha256:".__add__)


@given(st.none() | DOMAIN, PATH, st.none() | TAG, st.none() | DIGEST)
def test_every_spelling_of_a_reference_means_the_same(
    domain: str | None, path: str, tag: str | None, digest: str | None
) -> None:
    first = path.partition("/")[0]
    assume(domain or "/" not in path or not ("." in first or first == "localhost"))  # else it is a domain
    text = (
        (f"{domain}/" if domain else "")
        + path
        + (f":{tag}" if tag else "")
        + (f"@{digest}" if digest else "")
    )
    reference = Reference.parse(text)
    assert Reference.parse(reference.canonical()) == reference
    assert Reference.parse(reference.familiar()) == reference
    assert reference.tag == (tag or ("" if digest else "latest"))
    assert reference.digest == (digest or "")


# distribution/reference, regexp.go; the grammar as it is written there
DOMAIN_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
GRAMMAR = re.compile(
    rf"(?P<domain>(?:{DOMAIN_PART}(?:\.{DOMAIN_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?)"
    r"/(?P<path>[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?"
)
PIECES = st.sampled_from(
    [
        "a",
        "b1",
        "B",
        ".",
        "_",
        "-",
        "/",
        ":",
        "@",
        "[",
        "]",
        "::1",
        "80",
        "localhost",
        "é",
        " ",
        "x+y",
        "f" * 32,
        "0" * 64,
    ]
)


def too_long(match: re.Match[str]) -> bool:
    """Docker's limit of 255 characters is beside the grammar."""
    return len(match[1]) + 1 + len(match[2]) > 255


@example("x.y/" + "0" * 251)
@example("x.y/" + "0" * 252)
@example("x.y/a@a.b+c:" + "0" * 32)
@example("x.y/a__b---c.d_e")
@example("x.y/a:t@")
@example("x.y/a_.b")
@example("[]/a")
@example("[::1]:/a")
@given(
    st.lists(PIECES, max_size=9).map("".join).map("x.y/".__add__) | st.lists(PIECES, max_size=9).map("".join)
)
def test_the_grammar_is_distributions(text: str) -> None:
    first, slash, _ = text.partition("/")
    assume(slash and ("." in first or ":" in first))  # no domain of its own: another grammar, and defaults
    assume(first not in ("docker.io", "index.docker.io"))
    match = GRAMMAR.fullmatch(text)
    try:
        found = Reference.parse_bare(text)
    except InvalidArgument as error:
        assert match is None or "digest length" in error.message or too_long(match)
        return
    assert match is not None and not too_long(match)
    assert (found.domain, found.path, found.tag or None, found.digest or None) == match.group(1, 2, 3, 4)


@pytest.mark.parametrize(
    ("text", "image_id", "full_id"),
    [(f"sha256:{HEX}", True, True), (HEX, False, True), (HEX[:-1], False, False),
     (f"sha256:{HEX.upper()}", False, False),
     (f"sha512:{HEX}", False, False), (f"sha256:sha256:{HEX}", False, False), ("", False, False)],
)  # fmt: skip
def test_ids_are_no_names(text: str, image_id: bool, full_id: bool) -> None:
    assert (is_image_id(text), is_full_id(text)) == (image_id, full_id)


def test_references_are_values() -> None:
    assert {Reference.parse("a"), Reference.parse("docker.io/library/a:latest")} == {Reference.parse("a")}
    assert sorted(map(Reference.parse, ["b", "a:2", "a:1"])) == list(
        map(Reference.parse, ["a:1", "a:2", "b"])
    )
    assert Reference.parse("a") != "a"


@given(st.text(max_size=40))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidArgument:
        return
    assert Reference.parse(reference.canonical()) == reference
