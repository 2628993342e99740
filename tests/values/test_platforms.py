"""Platforms as they are typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.errors import InvalidArgument
from wherry.values.platforms import parse_platform

WORD = st.text("abc123", min_size=1)


@given(WORD, st.none() | WORD, st.none() | WORD)
def test_what_is_left_out_is_empty(os: str, architecture: str | None, variant: str | None) -> None:
    parts = [os, architecture, variant] if architecture else [os]
    assert parse_platform("/".join(part for part in parts if part)) == (
        os,
        architecture or "",
        (variant or "") if architecture else "",
    )


@pytest.mark.parametrize("text", ["", "/amd64", "linux/arm64/v8/x", "a/b/c/"])
def test_no_platforms(text: str) -> None:
    with pytest.raises(InvalidArgument, match="is not a platform, such as linux/amd64"):
        parse_platform(text)
