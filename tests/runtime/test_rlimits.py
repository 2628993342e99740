import resource
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.errors import InvalidArgument
from wherry.runtime import rlimits


def limit(name="nofile", soft=8, hard=8):
    return SimpleNamespace(name=name, soft=soft, hard=hard)


def test_numbers_are_the_kernels():
    for name, number in rlimits.numbers().items():
        constant = getattr(resource, f"RLIMIT_{name.upper()}", None)
        assert constant is None or constant == number


def test_refused():
    for bad in (limit("nope"), limit("as"), limit("NOFILE"), limit("")):
        with pytest.raises(InvalidArgument, match="invalid ulimit type"):
            rlimits.check(bad)
    with pytest.raises(InvalidArgument, match="9 > 8"):
        rlimits.check(limit(soft=9, hard=8))
    with pytest.raises(InvalidArgument, match="soft: -1"):
        rlimits.check(limit(soft=-1))
    for bad in (limit(soft=-2), limit(soft=8, hard=-2), limit(soft=-2, hard=-2), limit(soft=-2, hard=-1)):
        with pytest.raises(InvalidArgument, match="only -1 is unlimited"):
            rlimits.check(bad)


def test_a_start_needs_some_files_itself():
    with pytest.raises(InvalidArgument, match="nofile=5:9: no start gets by with fewer than 6"):
        rlimits.check(limit(soft=5, hard=9))


def test_accepted():
    for good in (limit(), limit(soft=-1, hard=-1), limit(soft=6, hard=-1), limit("memlock", 0, 0)):
        rlimits.check(good)


@given(st.text(), st.integers(-2, 2**63), st.integers(-2, 2**63))
def test_only_what_setrlimit_would_take(name: str, soft: int, hard: int):
    try:
        rlimits.check(limit(name, soft, hard))
    except InvalidArgument:
        return
    assert name in rlimits.numbers()
    assert hard == -1 or -1 <= soft <= hard


def test_infinity_however_written():
    assert rlimits.signed(0xFFFFFFFFFFFFFFFF) == -1
    assert rlimits.signed(-1) == -1
    assert rlimits.signed(1024) == 1024


def test_oci_names():
    assert rlimits.number_of("RLIMIT_NOFILE") == resource.RLIMIT_NOFILE
    assert rlimits.number_of("RLIMIT_AS") == resource.RLIMIT_AS
    for bad in ("NOFILE", "RLIMIT_", "RLIMIT_NOPE"):
        with pytest.raises(InvalidArgument):
            rlimits.number_of(bad)


def test_what_cannot_be_raised_is_told():
    own = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    above = int(rlimits.MOST_FILES.read_text()) + 1
    within, beyond = limit("nofile", 10, own), limit("nofile", above, above)
    told = f"ulimit nofile={above}:{above} cannot be set on this host: the hard limit stays at {own}"
    for available in ((), ("CAP_SYS_RESOURCE",)):
        assert rlimits.not_to_be_had([within, beyond], available) == [told]
    assert rlimits.not_to_be_had([limit("cpu", -1, -1)], ()) == []  # which no limit is set on
    assert rlimits.not_to_be_had([limit("stack", 1, 1 << 40)], ("CAP_SYS_RESOURCE",)) == []
