"""A daemon takes over what one of store version 1 left: it kept leases in the records, and wrote no journal."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.harness.daemon import Daemon

pytestmark = pytest.mark.usefixtures("docker_cli")

LEASE = {
    "NetworkID": "network_id", "EndpointID": "endpoint_id", "Gateway": "gateway", "MacAddress": "mac",
}  # fmt: skip
STATE = ("Status", "Pid", "ExitCode", "Error", "OOMKilled", "StartedAt", "FinishedAt")


@pytest.fixture
def daemon(busybox_archive: bytes) -> Iterator[Daemon]:
    with Daemon().with_image(busybox_archive) as daemon:
        yield daemon


def store_of(daemon: Daemon, work: Path) -> sqlite3.Connection:
    """A copy of a daemon's store: SQLite itself does not find the way into the sandbox."""
    root = daemon.sandbox.outside(daemon.data_root)
    for name in ("wherry.db", "wherry.db-wal"):
        if (root / name).exists():
            (work / name).write_bytes((root / name).read_bytes())
    return sqlite3.connect(work / "wherry.db")


def put_back(daemon: Daemon, work: Path) -> None:
    root = daemon.sandbox.outside(daemon.data_root)
    for path in root.glob("wherry.db-*"):
        path.unlink()
    (root / "wherry.db").write_bytes((work / "wherry.db").read_bytes())


def lease_of(inspected: Any, journal: Any) -> dict[str, Any]:
    """A lease as version 1 had it in the record."""
    name, place = next(iter(inspected["NetworkSettings"]["Networks"].items()))
    lease = {"network": name, **{ours: place[theirs] for theirs, ours in LEASE.items()}}
    lease["address"] = f"{place['IPAddress']}/{place['IPPrefixLen']}" if place["IPAddress"] else ""
    endpoints = [fields for kind, fields, *_ in journal["preparation"] if kind == "endpoint"]
    lease["interface"] = endpoints[0]["interface"]
    lease["ports"] = [
        {
            "proto": key.partition("/")[2], "container_port": int(key.partition("/")[0]),
            "host_ip": binding["HostIp"], "host_port": int(binding["HostPort"]),
        }
        for key, bindings in inspected["NetworkSettings"]["Ports"].items()
        for binding in bindings or ()
    ]  # fmt: skip
    return lease


def back_to_version_1(daemon: Daemon, inspected: dict[str, Any], work: Path) -> None:
    """The store and the exec root as a daemon of version 1 would have left them."""
    journals = {}
    for id in inspected:
        runtime = daemon.sandbox.outside(daemon.exec_root / "containers" / id)
        (runtime / "ended.json").unlink(missing_ok=True)
        if (journal := runtime / "launch.json").exists():
            journals[id] = json.loads(journal.read_text())
            journal.unlink()
    with closing(store_of(daemon, work)) as database:
        convert(database, inspected, journals)
    put_back(daemon, work)


def convert(database: sqlite3.Connection, inspected: dict[str, Any], journals: dict[str, Any]) -> None:
    for id, raw in database.execute("SELECT id, record FROM containers").fetchall():
        record = json.loads(raw)
        record["state"] = {field: inspected[id]["State"][field] for field in STATE}
        for name, place in inspected[id]["NetworkSettings"]["Networks"].items():
            record["networks"].setdefault(name, {})["NetworkID"] = place["NetworkID"]
        if id in journals:
            record["attachment"] = lease_of(inspected[id], journals[id])
        database.execute("UPDATE containers SET record = ? WHERE id = ?", (json.dumps(record), id))
    for name, raw in database.execute("SELECT name, record FROM networks").fetchall():
        for field in ("id", "created"):
            setting = (f"network.{name}.{field}", json.loads(raw)[field])
            database.execute("INSERT INTO settings VALUES (?, ?)", setting)
    database.execute("DROP TABLE networks")
    database.execute("ALTER TABLE containers DROP COLUMN state")
    database.execute("PRAGMA user_version = 1")
    database.commit()


def test_containers_of_version_1_keep_what_they_have(daemon: Daemon, tmp_path: Path) -> None:
    """Those that run keep address and ports, and nobody else gets them; all are told of as before."""
    docker = daemon.docker
    docker("run", "-d", "--name", "web", "-p", "18081:81", "-p", "0:80", "busybox", "sleep", "1000")
    docker("run", "-d", "--name", "alone", "--network", "none", "busybox", "sleep", "1000")
    docker("run", "--name", "over", "-p", "18082:82", "busybox", "sh", "-c", "exit 5", check=False)
    docker("create", "--name", "new", "-l", "a=b", "busybox", "echo", "hi")
    before = {i["Id"]: i for i in map(daemon.inspect, ("web", "alone", "over", "new"))}
    networks = sorted((n["Id"], n["Created"]) for n in daemon.api("GET", "/networks").body)
    daemon.kill9()
    back_to_version_1(daemon, before, tmp_path)
    daemon.start()

    assert {i["Id"]: i for i in map(daemon.inspect, ("web", "alone", "over", "new"))} == before
    assert sorted((n["Id"], n["Created"]) for n in daemon.api("GET", "/networks").body) == networks
    assert "172.17.0.2" in docker("exec", "web", "ip", "address").stdout
    others = [docker("run", "-d", "busybox", "sleep", "1000").stdout.strip() for _ in range(3)]
    addresses = [daemon.inspect(id)["NetworkSettings"]["IPAddress"] for id in (*others, "web")]
    assert len(set(addresses)) == len(addresses)
    taken = docker("run", "--rm", "-p", "18081:81", "busybox", "true", check=False)
    assert "Bind for 0.0.0.0:18081 failed: port is already allocated" in taken.stderr
    assert docker("start", "-a", "new").stdout == "hi\n"
    docker("restart", "-t", "0", "web")
    assert docker("port", "web", "81").stdout == "0.0.0.0:18081\n"
    daemon.remove_containers()
    daemon.stop()
    assert daemon.leaks() == []


def test_a_store_on_which_version_1_was_tried(daemon: Daemon, tmp_path: Path) -> None:
    """It says version 1 and has that version's settings, with nothing else undone: all is as it was."""
    daemon.docker("create", "--name", "kept", "-l", "a=b", "busybox", "true")
    before = daemon.inspect("kept"), daemon.api("GET", "/networks").body
    daemon.stop()
    with closing(store_of(daemon, tmp_path)) as database:
        for field in ("id", "created"):
            database.execute("INSERT INTO settings VALUES (?, ?)", (f"network.bridge.{field}", "another"))
        database.execute("PRAGMA user_version = 1")
        database.commit()
    put_back(daemon, tmp_path)
    daemon.start()
    assert (daemon.inspect("kept"), daemon.api("GET", "/networks").body) == before


def test_a_store_of_a_newer_version_is_refused(daemon: Daemon, tmp_path: Path) -> None:
    daemon.stop()
    with closing(store_of(daemon, tmp_path)) as database:
        database.execute("PRAGMA user_version = 1000")
    put_back(daemon, tmp_path)
    daemon.start(wait=False)
    assert daemon.process.wait(timeout=30) == 1
    assert "was written by a newer version of wherry" in daemon.log_tail(1)
