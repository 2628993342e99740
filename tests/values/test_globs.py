"""Shell patterns: the answers are those of Go's ``path.Match``."""

from __future__ import annotations

import pytest

from wherry.errors import InvalidArgument
from wherry.values.globs import TOGETHER, Glob, parse

# From the table of Go's path/match_test.go, with more of stars and slashes.
TABLE = """
abc abc yes|* abc yes|*c abc yes|a* a yes|a* abc yes|a* ab/c no|a*/b abc/b yes|a*/b a/c/b no
a*b*c*d*e*/f axbxcxdxe/f yes|a*b*c*d*e*/f axbxcxdxexxx/f yes|a*b*c*d*e*/f axbxcxdxe/xxx/f no
a*b*c*d*e*/f axbxcxdxexxx/fff no|a*b?c*x abxbbxdbxebxczzx yes|a*b?c*x abxbbxdbxebxczzy no
ab[c] abc yes|ab[b-d] abc yes|ab[e-g] abc no|ab[^c] abc no|ab[^b-d] abc no|ab[^e-g] abc yes
a\\*b a*b yes|a\\*b ab no|a?b a☺b yes|a[^a]b a☺b yes|a???b a☺b no|a[^a][^a][^a]b a☺b no|[a-ζ]* α yes|*[a-ζ] A no
a?b a/b no|a*b a/b no|[\\]a] ] yes|[\\-] - yes|[x\\-] x yes|[x\\-] - yes|[x\\-] z no|[\\-x] x yes|[\\-x] a no
*x xxx yes|[b-a] a no|[!a] ! yes|** a yes|a** ab yes|*/* a/b yes|*/* a no|? ☺ yes|a a/ no|*a*b a/ab no
"""
BAD = ["[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "[^bc", "a[", "ab[", "a[]", "[a-", "a*\\"]


@pytest.mark.parametrize("line", TABLE.replace("|", "\n").split("\n")[1:-1])
def test_as_go_matches(line: str) -> None:
    pattern, text, answer = line.split(" ")
    assert Glob(pattern.replace("\\\\", "\\")).matches(text) == (answer == "yes")


@pytest.mark.parametrize("pattern", BAD)
def test_no_patterns(pattern: str) -> None:
    with pytest.raises(InvalidArgument, match="syntax error in pattern"):
        Glob(pattern)


def test_nothing_but_nothing_fits_no_pattern() -> None:
    assert Glob("").matches("")
    assert not Glob("").matches("a")


@pytest.mark.parametrize("pattern", ["*a" * 60 + "b", "*" * 20_000 + "b", "[^/]*" * 100 + "b", "a?" * 20_000])
def test_no_pattern_takes_long(pattern: str) -> None:
    """A matcher that goes back would not be done when the test's time is up."""
    glob = Glob(pattern)
    assert not any(glob.matches("a" * length) for length in range(255))


def test_patterns_of_a_request_have_a_length_together() -> None:
    """Those that mean themselves do not count."""
    assert len(parse(["*a" * (TOGETHER // 2), *(f"plain-{n}:tag" for n in range(1000))])) == 1001
    with pytest.raises(InvalidArgument, match="characters together are more than"):
        parse(["*" + "a" * 400 + "b"] * 30)
