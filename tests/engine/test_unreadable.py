"""A record that cannot be read: the engine starts, the others are there, and it can be removed or made anew."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from tests.harness.daemon import Daemon

DEEP = b'{"id":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}"
BAD = {
    "no JSON": b"{half a li",
    "nothing": b"",
    "another form": b'{"name": 5, "pid": "x"}',
    "no UTF-8": b'{"id": "\xff", "error": "\xff"}',
    "deep": DEEP,
    "a list": b"[]",
}


WRITE = """
import sqlite3, sys
database, table, column, key, value = sys.argv[1:]
name = "id" if table == "images" else "name"
with sqlite3.connect(database) as db:
    query = f"UPDATE {table} SET {column} = ? WHERE {name} = ?"
    assert db.execute(query, (bytes.fromhex(value), key)).rowcount == 1
"""
REPLACE = """
import json, sqlite3, sys
database, column, field, value = sys.argv[1:]
with sqlite3.connect(database) as db:
    [(raw,)] = db.execute(f"SELECT {column} FROM containers WHERE name = ?", [field])
    raw = json.dumps({**json.loads(raw), field: value}).encode()
    db.execute(f"UPDATE containers SET {column} = ? WHERE name = ?", [raw, field])
"""
TWO = pytest.mark.parametrize("bad", [BAD["no JSON"], BAD["deep"]], ids=["no JSON", "deep"])


def damage(daemon: Daemon, table: str, column: str, key: str, value: bytes) -> None:
    """While no daemon is there."""
    database = daemon.data_root / "wherry.db"
    daemon.run_in_ns([sys.executable, "-c", WRITE, database, table, column, key, value.hex()])


def replace_field(daemon: Daemon, column: str, field: str, value: str) -> None:
    """One field of the container that is called as the field; while no daemon is there."""
    database = daemon.data_root / "wherry.db"
    daemon.run_in_ns([sys.executable, "-c", REPLACE, database, column, field, value])


def states(daemon: Daemon) -> dict[str, str]:
    return {c["Names"][0][1:]: c["State"] for c in daemon.api("GET", "/containers/json?all=1").body}


def test_containers(fresh_daemon: Callable[..., Daemon]) -> None:
    daemon = fresh_daemon()
    broken = {
        f"{column}{n}": (column, value)
        for column in ("record", "state")
        for n, value in enumerate(BAD.values())
    }
    for name in (*broken, "whole"):
        assert daemon.api("POST", f"/containers/create?name={name}", {"Image": "busybox"}).status == 201
    daemon.docker("run", "-d", "--name", "runs", "busybox", "sleep", "600")
    daemon.kill9()
    for name, (column, value) in broken.items():
        damage(daemon, "containers", column, name, value)
    daemon.start()
    assert states(daemon) == {**dict.fromkeys(broken, "dead"), "whole": "created", "runs": "running"}
    shown = daemon.docker("ps", "-a", "--format", "{{.Names}} {{.Status}}").stdout
    assert shown.count("\n") == len(broken) + 2
    for name in broken:
        assert "cannot be read" in daemon.inspect(name)["State"]["Error"]
        assert daemon.docker("start", name, check=False).returncode == 1
        assert "already in use" in daemon.docker("create", "--name", name, "busybox", check=False).stderr
    daemon.docker("rm", *broken)
    daemon.docker("run", "--rm", "--name", "record0", "busybox", "true")
    daemon.docker("rm", "-f", "whole", "runs")
    assert daemon.stop() == 0 and daemon.leaks() == []


@pytest.mark.parametrize("time", ["yesterday", "", "9999999-01-01T00:00:00Z", "2026-02-30T00:00:00Z"])
def test_times_that_are_none(fresh_daemon: Callable[..., Daemon], time: str) -> None:
    """Of the right type, and yet nothing that a list could show."""
    daemon = fresh_daemon()
    fields = {"record": ["created"], "state": ["started_at", "finished_at"]}
    broken = {field: column for column, names in fields.items() for field in names}
    for name in (*broken, "whole"):
        daemon.docker("run", "--name", name, "busybox", "true")
    daemon.kill9()
    for name, column in broken.items():
        replace_field(daemon, column, name, time)
    daemon.start()
    assert states(daemon) == {**dict.fromkeys(broken, "dead"), "whole": "exited"}
    assert daemon.docker("ps", "-a", "-q").stdout.count("\n") == len(broken) + 1
    assert "is not a time" in daemon.inspect("created")["State"]["Error"]
    daemon.docker("rm", *broken)


@TWO
def test_a_container_that_runs(fresh_daemon: Callable[..., Daemon], bad: bytes) -> None:
    daemon = fresh_daemon()
    daemon.docker("run", "-d", "--name", "runs", "-p", "8080:80", "busybox", "sleep", "600")
    daemon.kill9()
    damage(daemon, "containers", "record", "runs", bad)
    daemon.start()
    assert states(daemon) == {"runs": "running"}
    assert daemon.docker("exec", "runs", "echo", "on").stdout == "on\n"
    daemon.docker("rm", "-f", "runs")
    assert daemon.stop() == 0 and daemon.leaks() == []


@TWO
def test_an_image(fresh_daemon: Callable[..., Daemon], busybox_archive: bytes, bad: bytes) -> None:
    daemon = fresh_daemon()
    daemon.docker("tag", "busybox", "other")
    id = daemon.docker("image", "inspect", "-f", "{{.Id}}", "busybox").stdout.strip()
    made = daemon.docker("create", "--name", "box", "busybox", "true").stdout.strip()
    daemon.kill9()
    damage(daemon, "images", "record", id, bad)
    daemon.start()
    assert daemon.api("GET", "/images/json").body == []
    assert states(daemon) == {"box": "created"}
    daemon.load(busybox_archive)
    assert daemon.docker("start", "box").stdout and daemon.docker("wait", made).stdout == "0\n"


@TWO
def test_a_network(fresh_daemon: Callable[..., Daemon], bad: bytes) -> None:
    daemon = fresh_daemon()
    daemon.kill9()
    damage(daemon, "networks", "record", "bridge", bad)
    daemon.start()
    assert daemon.docker("run", "--rm", "busybox", "ip", "addr", "show", "eth0").returncode == 0
    assert {n["Name"] for n in daemon.api("GET", "/networks").body} == {"bridge", "host", "none"}


def test_a_layer(fresh_daemon: Callable[..., Daemon], busybox_archive: bytes) -> None:
    daemon = fresh_daemon()
    daemon.kill9()
    layers = daemon.sandbox.outside(daemon.data_root / "layers")
    for record in layers.glob("*.json"):
        record.write_text("{half a li")
    daemon.start()
    assert daemon.api("GET", "/images/json").body == []
    daemon.load(busybox_archive)
    assert daemon.docker("run", "--rm", "busybox", "echo", "on").stdout == "on\n"


@pytest.mark.parametrize("damage", ["[]", '{"chain_id": "sha256:0", "diff_id": "sha256:0"}'])
def test_a_layer_whose_record_says_something_else(
    fresh_daemon: Callable[..., Daemon], busybox_archive: bytes, damage: str
) -> None:
    daemon = fresh_daemon()
    daemon.kill9()
    for record in daemon.sandbox.outside(daemon.data_root / "layers").glob("*.json"):
        record.write_text(damage)
    daemon.start()
    assert daemon.api("GET", "/images/json").body == []


def test_a_name(fresh_daemon: Callable[..., Daemon]) -> None:
    daemon = fresh_daemon()
    daemon.docker("tag", "busybox", "other")
    daemon.kill9()
    query = "UPDATE tags SET name = 'No name: at all' WHERE name LIKE '%other%'"
    script = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute(sys.argv[2]); db.commit()"
    daemon.run_in_ns([sys.executable, "-c", script, daemon.data_root / "wherry.db", query])
    daemon.start()
    assert [image["RepoTags"] for image in daemon.api("GET", "/images/json").body] == [["busybox:latest"]]


def test_an_image_whose_documents_are_gone(
    fresh_daemon: Callable[..., Daemon], busybox_archive: bytes
) -> None:
    """Its configuration and manifest are only needed to hand it on."""
    daemon = fresh_daemon()
    daemon.stop()
    for blob in daemon.sandbox.outside(daemon.data_root / "blobs" / "sha256").iterdir():
        blob.unlink()
    daemon.start()
    assert daemon.docker("run", "--rm", "busybox", "echo", "on").stdout == "on\n"
    for verb in (("images",), ("image", "inspect", "busybox"), ("history", "busybox"), ("rmi", "busybox")):
        daemon.docker(*verb)
    daemon.load(busybox_archive)
    assert daemon.docker("run", "--rm", "busybox", "echo", "on").stdout == "on\n"
