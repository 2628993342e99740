"""Who a command is: hostile user strings, hostile user databases, groups."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable

import pytest

from tests.harness.daemon import Daemon
from tests.harness.images import add_file, entry
from tests.security.image import Fill, load_variant, run

ROOT = "uid=0(root) gid=0(root)"
USER = "uid=1000(user) gid=1000(user)"
EXACT = {
    "": ROOT,
    "root": ROOT,
    "user": USER,
    "1000": USER,
    "+1000": USER,
    "01000": USER,
    "user:": USER,
    "user:50": "uid=1000(user) gid=50(staff)",
    "1000:bin": "uid=1000(user) gid=1(bin)",
    "4711": "uid=4711 gid=0(root)",
    "4711:4712": "uid=4711 gid=4712",
    "2147483647:2147483647": "uid=2147483647 gid=2147483647",
    ":50": "uid=0(root) gid=50(staff)",
}
REFUSED = [
    "-1", "-0", "--1", "2147483648", "4294967295", "4294967296", "18446744073709551616", "9" * 400, "0:-1",
    "0:2147483648", "0:4294967296", "user:4294967296", " 0", "0 ", " ", "\t0", "0\n", "root\n", "1000:0:0", "0x0",
    "0.0", "1e3", "nobody", "user:nogroup", "root,user", "root\\", "\u0660", "\uff10", "u" * 600, "-", "+", "user user",
    "root:\u0660", "..", "/", "root;id", "$(id)", "%s%n", "*",
]  # fmt: skip


def command(user: str) -> dict[str, object]:
    return {"Image": "busybox", "Cmd": ["id"], "User": user}


@pytest.mark.parametrize("user", sorted(EXACT))
def test_users_that_are_someone(besieged: Daemon, user: str) -> None:
    """CVE-2026-30892, CVE-2022-36109: exactly who was asked for, with exactly the image's groups; also by exec."""
    container = besieged.docker("run", "-d", "busybox", "sleep", "600").stdout.strip()
    by_run = run(besieged, "--user", user, "busybox", "id").stdout.strip()
    by_exec = besieged.docker("exec", "--user", user, container, "id").stdout.strip()
    assert by_run == by_exec
    who, _, groups = by_run.partition(" groups=")
    assert who == EXACT[user]
    listed = set(filter(None, groups.split(",")))
    primary = who.rpartition("gid=")[2]
    assert listed <= {primary} | ({"50(staff)"} if who == USER else set())
    assert who != USER or "50(staff)" in listed


@pytest.mark.parametrize("user", REFUSED)
def test_users_that_are_nobody(besieged: Daemon, user: str) -> None:
    """CVE-2024-40635: no number wraps round to root, and nothing that is no name or number is taken for one."""
    created = besieged.api("POST", "/containers/create", command(user))
    if created.status == 201:
        started = besieged.api("POST", f"/containers/{created.body['Id']}/start")
        assert started.status in (400, 404, 500), (started, user)
    else:
        assert created.status == 400
    container = besieged.docker("run", "-d", "busybox", "sleep", "600").stdout.strip()
    prepared = besieged.api("POST", f"/containers/{container}/exec", {**command(user), "AttachStdout": True})
    if prepared.status == 201:
        started = besieged.api("POST", f"/exec/{prepared.body['Id']}/start", {"Detach": True})
        assert started.status in (400, 404, 500), (started, user)
    else:
        assert prepared.status == 400
    assert besieged.api("GET", "/_ping").status == 200


@pytest.mark.parametrize("user", ["4294967296", "-1", "2147483648", "0\n", "nobody"])
def test_an_images_user_is_no_better(besieged: Daemon, user: str) -> None:
    load_variant(besieged, "who", lambda tar: None, config={"User": user})
    done = run(besieged, "who", "id")
    assert done.returncode != 0 and "uid=" not in done.stdout


def special(kind: bytes, **fields: object) -> Callable[[str], Fill]:
    return lambda name: lambda tar: tar.addfile(entry(name, kind, 0o666, **fields))


def content(text: bytes) -> Callable[[str], Fill]:
    return lambda name: lambda tar: add_file(tar, name, text)


def sparse(size: int) -> Callable[[str], Fill]:
    def fill(name: str) -> Fill:
        return lambda tar: tar.addfile(entry(name, size=size), io.BytesIO(bytes(size)))

    return fill


MANY = b"".join(b"u%d:x:%d:%d::/:/bin/sh\n" % (n, n, n) for n in range(2000, 60000))


def memberships(count: int) -> bytes:
    return b"".join(b"g%d:x:%d:user\n" % (n, n) for n in range(2000, 2000 + count))


DATABASES: dict[str, Callable[[str], Fill]] = {
    "link-out": special(tarfile.SYMTYPE, linkname="../../../../../../../etc/shadow"),
    "link-proc": special(tarfile.SYMTYPE, linkname="/proc/1/environ"),
    "link-fd": special(tarfile.SYMTYPE, linkname="/proc/self/fd/3"),
    "link-loop": special(tarfile.SYMTYPE, linkname="passwd"),
    "fifo": special(tarfile.FIFOTYPE),
    "directory": special(tarfile.DIRTYPE),
    "zero-device": special(tarfile.CHRTYPE, devmajor=1, devminor=5),
    "huge": sparse(40 << 20),
    "one-line": content(b"user:" + b"x" * (6 << 20)),
    "many": content(MANY),
    "nuls": content(b"\0" * 100_000 + b"\nuser\0:x:0:0::/:\n"),
    "negative": content(b"user:x:-1:-1::/:\nuser:x:4294967296:0::/:\nuser:x:+0:0::/:\n" * 10),
    "fields": content(b"user:x:0\nuser\n:::::::::\nuser:x::::\n" * 1000),
}


@pytest.mark.parametrize("kind", sorted(DATABASES))
@pytest.mark.parametrize("name", ["passwd", "group"])
def test_strange_user_databases(besieged: Daemon, name: str, kind: str) -> None:
    """CVE-2024-9676, GHSA-72x6-4j93-7w86, CVE-2026-47262: links, FIFOs, devices, sizes; the daemon never reads them."""
    load_variant(besieged, "strange", DATABASES[kind](f"etc/{name}"), removed=(f"etc/{name}",))
    before, began = resident(besieged), time.monotonic()
    done = run(
        besieged, "--user", "1000:1000", "-m", "64m", "strange", "grep", "^[UG]id", "/proc/self/status"
    )
    assert done.stdout.split() == ["Uid:", *["1000"] * 4, "Gid:", *["1000"] * 4], done
    named = run(besieged, "--user", "user", "strange", "grep", "^Uid", "/proc/self/status")
    assert named.returncode != 0 or named.stdout.split()[1] in ("1000", "0")
    assert time.monotonic() - began < 10 and resident(besieged) - before < 20 << 10


def resident(daemon: Daemon) -> int:
    """The daemon's memory in KiB."""
    with open(f"/proc/{daemon.pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def test_a_container_changes_its_own_database(besieged: Daemon) -> None:
    """An exec as a user whom the container's root has made root gives what the container has anyway, no more."""
    container = besieged.docker("run", "-d", "--cap-drop", "ALL", "busybox", "sleep", "600").stdout.strip()
    besieged.docker("exec", container, "sh", "-c", "echo 'user:x:0:0::/:/bin/sh' > /etc/passwd")
    text = besieged.docker(
        "exec", "-u", "user", container, "grep", "-E", "^(Uid|CapEff|CapPrm)", "/proc/self/status"
    ).stdout
    assert text.split()[1] == "0" and "0000000000000000" in text


def test_many_groups_are_kept(besieged: Daemon) -> None:
    """A group that is dropped silently could open what its absence opens (negative permissions)."""
    load_variant(besieged, "groups", content(memberships(20_000))("etc/group"))
    done = run(besieged, "--user", "user", "groups", "grep", "^Groups", "/proc/self/status")
    assert len(done.stdout.split()) - 1 == 20_001
    load_variant(besieged, "groups", content(memberships(65_536))("etc/group"))
    done = run(besieged, "--user", "user", "groups", "true")
    assert done.returncode != 0 and "more than 65536 groups" in done.stderr


def test_added_groups(besieged: Daemon) -> None:
    text = run(
        besieged, "--user", "1000", "--group-add", "bin", "--group-add", "77", "busybox", "id", "-G"
    ).stdout
    assert set(text.split()) == {"1000", "50", "1", "77"}
    for wrong in ("-1", "4294967296", "nogroup", "2147483648"):
        assert run(besieged, "--group-add", wrong, "busybox", "id").returncode != 0
