import pytest

from wherry.errors import InvalidArgument
from wherry.runtime import capabilities

KNOWN = capabilities.known()


def granted(add=(), drop=(), *, privileged=False, available=KNOWN):
    return capabilities.granted(add, drop, privileged=privileged, available=available)


def test_the_fourteen_by_default():
    assert granted() == capabilities.defaults()
    assert len(granted()) == 14
    assert capabilities.mask(granted()) == 0xA80425FB  # as CapEff of a default Docker container


def test_bits_are_the_kernels():
    assert capabilities.mask(["CAP_CHOWN"]) == 1
    assert capabilities.mask(["CAP_SYS_ADMIN"]) == 1 << 21
    assert capabilities.mask(["CAP_CHECKPOINT_RESTORE"]) == 1 << 40
    assert capabilities.names_of(0b11) == ("CAP_CHOWN", "CAP_DAC_OVERRIDE")


def test_add_and_drop():
    kept = granted(["net_admin"], ["CAP_CHOWN", "mknod"])
    assert "CAP_NET_ADMIN" in kept
    assert not {"CAP_CHOWN", "CAP_MKNOD"} & set(kept)
    assert len(kept) == 13


def test_all():
    assert granted(["ALL"]) == KNOWN
    assert granted(["all"], ["SYS_ADMIN"]) == tuple(n for n in KNOWN if n != "CAP_SYS_ADMIN")
    assert granted([], ["ALL"]) == ()
    assert granted(["NET_BIND_SERVICE"], ["ALL"]) == ("CAP_NET_BIND_SERVICE",)


def test_nothing_beyond_what_the_daemon_has():
    available = tuple(n for n in KNOWN if n not in ("CAP_SYS_RESOURCE", "CAP_KILL"))
    assert granted(privileged=True, available=available) == available
    assert "CAP_KILL" not in granted(available=available)
    with pytest.raises(InvalidArgument, match="not available in the current environment"):
        granted(["SYS_RESOURCE"], available=available)


def test_dropped_twice_and_added_twice_is_once():
    assert granted(["NET_ADMIN", "net_admin"]).count("CAP_NET_ADMIN") == 1


@pytest.mark.parametrize("name", ["", "NOPE", "CAP_", "cap_cap_chown", "CHOWN "])
def test_unknown(name: str):
    with pytest.raises(InvalidArgument, match="unknown capability"):
        granted([name])


def test_what_we_have_ourselves():
    have = capabilities.available()
    assert set(have) <= set(KNOWN)
    with open("/proc/self/status") as status:
        (line,) = [line for line in status if line.startswith("CapBnd")]
    assert capabilities.mask(have) == int(line.split()[1], 16) & capabilities.mask(KNOWN)
