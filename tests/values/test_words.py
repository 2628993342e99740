"""Words that mean the same wherever they are read, and texts that are cut alike."""

from __future__ import annotations

import pytest

from wherry.values.words import boolean, counted, shortened


@pytest.mark.parametrize("true", ["1", "t", "T", "true", "TRUE", "True"])
@pytest.mark.parametrize("false", ["0", "f", "F", "false", "FALSE", "False"])
def test_true_and_false(true: str, false: str) -> None:
    assert boolean(true) and not boolean(false)


@pytest.mark.parametrize("text", ["", "yes", "tRUE", " 1", "01"])
def test_other_words_are_neither(text: str) -> None:
    with pytest.raises(ValueError, match=f'strconv.ParseBool: parsing "{text}": invalid syntax'):
        boolean(text)


def test_shortened() -> None:
    assert (shortened("12345", 5), shortened("123456", 5)) == ("12345", "1234…")


def test_counted() -> None:
    assert (counted(1, "layer"), counted(2000, "layer")) == ("1 layer", "2,000 layers")
    assert counted(2, "process", "processes") == "2 processes"
