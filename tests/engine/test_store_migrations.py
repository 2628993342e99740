"""A store of every former version is opened: what was in it is there, under this version's names."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from wherry.engine.record import ContainerState, Phase
from wherry.engine.store import Store, migrations
from wherry.engine.store.migrations import VERSION, migrate
from wherry.errors import Internal, Unavailable

SOURCE = Path(migrations.__file__).parents[3]
WEB, OLD, NEW = "a" * 64, "b" * 64, "9" * 64
IMAGE = "sha256:" + "c" * 64
BRIDGE = "d" * 64

SCHEMA_1 = """
CREATE TABLE IF NOT EXISTS containers
    (id TEXT PRIMARY KEY, name TEXT UNIQUE NOT NULL, record BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS images (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tags (name TEXT PRIMARY KEY, image TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
PRAGMA user_version=1;
"""

# A running container with a port, as version 1 wrote it.
RUNNING_1: dict[str, Any] = {
    "id": WEB, "name": "web", "created": "2024-05-01T10:00:00.000000001Z",
    "path": "httpd", "args": ["-f", "-p", "80"],
    "config": {"Hostname": "aaaaaaaaaaaa", "Cmd": ["httpd", "-f", "-p", "80"], "Image": "busybox",
               "Env": ["PATH=/bin"], "Labels": {"tier": "front"}, "Tty": False, "StopTimeout": 3},
    "host_config": {"NetworkMode": "bridge", "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
                    "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "Memory": 67108864,
                    "LogConfig": {"Type": "json-file", "Config": {}}, "ConsoleSize": [0, 0]},
    "image": IMAGE,
    "networks": {"bridge": {"IPAMConfig": None, "Aliases": ["front"], "MacAddress": "02:42:ac:11:00:02",
                            "NetworkID": BRIDGE,
                            "EndpointID": "e" * 64, "Gateway": "172.17.0.1", "IPAddress": "172.17.0.2",
                            "IPPrefixLen": 16, "IPv6Gateway": "fd00::1", "GlobalIPv6Address": "fd00::2",
                            "GlobalIPv6PrefixLen": 64, "DNSNames": None}},
    "mounts": [{"Type": "bind", "Source": "/srv", "Destination": "/data", "Mode": "ro", "RW": False}],
    "state": {"Status": "running", "Running": True, "Pid": 4242, "StartedAt": "2024-05-01T10:00:01Z",
              "FinishedAt": "0001-01-01T00:00:00Z", "ExitCode": 0, "Error": "", "OOMKilled": False},
    "restart_count": 2,
    "attachment": {"network": "bridge", "network_id": BRIDGE, "endpoint_id": "e" * 64, "address": "172.17.0.2/16",
                   "gateway": "172.17.0.1", "mac": "02:42:ac:11:00:02", "interface": "wh01", "ports": [
                       {"proto": "tcp", "host_ip": "0.0.0.0", "host_port": 8080, "container_port": 80}]},
    "platform": "linux",
}  # fmt: skip
ENDED_1: dict[str, Any] = {
    "id": OLD, "name": "old", "created": "2024-04-01T10:00:00Z", "path": "sh", "args": [],
    "config": {"Image": "busybox"}, "host_config": {"NetworkMode": "none"}, "image": IMAGE,
    "state": {"Status": "exited", "ExitCode": 137, "OOMKilled": True, "Error": "out of memory",
              "StartedAt": "2024-04-01T10:00:01Z", "FinishedAt": "2024-04-01T10:00:09Z"},
}  # fmt: skip
NEW_1: dict[str, Any] = {
    "id": NEW, "name": "new", "created": "2024-05-02T10:00:00Z", "path": "sh", "args": [],
    "config": {"Image": "busybox"}, "host_config": {"NetworkMode": "none"}, "image": IMAGE,
}  # fmt: skip
IMAGE_1: dict[str, Any] = {
    "id": IMAGE,
    "config": {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
               "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64]}},
    "chain_ids": ["sha256:" + "1" * 64],
    "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": "sha256:" + "1" * 64, "size": 10}],
    "layer_sizes": [4], "loaded_at": 1714557600.5, "tagged_at": 1714557600.5,
}  # fmt: skip


def make_version_1(path: Path) -> None:
    """By the statements and documents that version 1 had, not by any code of today's."""
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode=WAL")
    db.executescript(SCHEMA_1)
    for record in (RUNNING_1, ENDED_1, NEW_1):
        row = (record["id"], record["name"], json.dumps(record).encode())
        db.execute("INSERT INTO containers VALUES (?, ?, ?)", row)
    db.execute("INSERT INTO images VALUES (?, ?)", (IMAGE, json.dumps(IMAGE_1).encode()))
    db.execute("INSERT INTO tags VALUES ('docker.io/library/busybox:latest', ?)", (IMAGE,))
    db.executemany(
        "INSERT INTO settings VALUES (?, ?)",
        [
            ("network.bridge.id", BRIDGE),
            ("network.bridge.created", "2024-03-01T00:00:00Z"),
            ("network.host.id", "8" * 64),
            ("network.host.created", "2024-03-01T00:00:02Z"),
            ("network.none.id", "f" * 64),
            ("network.none.created", "2024-03-01T00:00:01Z"),
            ("network.bridge.interface", "wherry0"),
        ],
    )
    db.commit()
    db.close()


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    path = tmp_path / "wherry.db"
    make_version_1(path)
    return path


def version_of(path: Path) -> int:
    db = sqlite3.connect(path)
    try:
        return int(db.execute("PRAGMA user_version").fetchone()[0])
    finally:
        db.close()


def test_version_1_containers(version_1: Path) -> None:
    store = Store(version_1)
    found = {record.id: (record, state) for record, state in store.containers.all()}
    web, state = found[WEB]
    assert (web.name, web.argv, web.image) == ("web", ("httpd", "-f", "-p", "80"), IMAGE)
    assert web.created == "2024-05-01T10:00:00.000000001Z"
    assert web.config.labels == {"tier": "front"} and web.config.stop_timeout == 3
    bindings = web.host_config.port_bindings
    assert bindings is not None and bindings["80/tcp"][0].host_port == "8080"  # type: ignore[index]
    assert web.host_config.memory == 67108864
    assert web.mounts[0].destination == "/data" and web.mounts[0].rw is False
    assert (state.phase, state.pid, state.restart_count) == (Phase.RUNNING, 4242, 2)
    assert (state.started_at, state.finished_at) == ("2024-05-01T10:00:01Z", "0001-01-01T00:00:00Z")
    old, ended = found[OLD]
    assert old.argv == ("sh",)
    assert (ended.phase, ended.exit_code, ended.oom_killed) == (Phase.EXITED, 137, True)
    assert (ended.error, ended.finished_at) == ("out of memory", "2024-04-01T10:00:09Z")
    assert found[NEW][1] == ContainerState()  # never started
    store.close()


def test_version_1_endpoints_are_parted_into_wish_and_state(version_1: Path) -> None:
    store = Store(version_1)
    web, state = next((r, s) for r, s in store.containers.all() if r.id == WEB)
    assert state.networks == {"bridge": BRIDGE}
    assert web.networks["bridge"].aliases == ["front"]
    raw = (
        sqlite3.connect(version_1).execute("SELECT record FROM containers WHERE id = ?", (WEB,)).fetchone()[0]
    )
    assert not {"attachment", "state", "restart_count"} & json.loads(raw).keys()
    endpoint = json.loads(raw)["networks"]["bridge"]
    assert {name for name, value in endpoint.items() if value} == {"Aliases", "MacAddress"}
    store.close()


def test_version_1_images_tags_and_settings(version_1: Path) -> None:
    store = Store(version_1)
    image = store.images.get(IMAGE)
    assert image is not None and image.config.run.cmd == ["sh"]
    assert [i.id for i in store.images.all()] == [IMAGE]
    assert store.tags.all() == {"docker.io/library/busybox:latest": IMAGE}
    assert store.settings.get("network.bridge.interface") == "wherry0"
    store.close()


def test_version_1_networks_keep_their_ids(version_1: Path) -> None:
    store = Store(version_1)
    networks = {network.name: network for network in store.networks.all()}
    assert networks.keys() == {"bridge", "host", "none"}
    assert (networks["bridge"].id, networks["bridge"].driver) == (BRIDGE, "bridge")
    assert (networks["host"].id, networks["host"].driver) == ("8" * 64, "host")
    assert (networks["none"].driver, networks["none"].created) == ("null", "2024-03-01T00:00:01Z")
    assert store.settings.get("network.bridge.id") is None
    store.close()


def test_once_brought_forward_it_stays_so(version_1: Path) -> None:
    Store(version_1).close()
    assert version_of(version_1) == VERSION
    store = Store(version_1)
    assert {record.name for record, _ in store.containers.all()} == {"web", "old", "new"}
    store.close()


@pytest.mark.parametrize("number", range(VERSION))
def test_every_version_is_reached_from_the_one_before(tmp_path: Path, number: int) -> None:
    """From nothing to version ``number``, and on: both ways give the same tables."""
    db = sqlite3.connect(tmp_path / "some.db", isolation_level=None)
    migrate(db, tmp_path, to=number)
    migrate(db, tmp_path)
    fresh = sqlite3.connect(tmp_path / "fresh.db", isolation_level=None)
    migrate(fresh, tmp_path)
    tables = "SELECT name, sql FROM sqlite_master ORDER BY name"
    assert db.execute(tables).fetchall() == fresh.execute(tables).fetchall()


class Crash(BaseException):
    """The end of the process, as far as SQLite can tell: nothing is committed after it."""


def test_a_migration_that_is_cut_off_leaves_the_old_store(
    version_1: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(db: sqlite3.Connection, name: str, driver: str) -> None:
        raise Crash

    monkeypatch.setattr(migrations, "move_network", cut_off)  # the last thing that it does
    before = sqlite3.connect(version_1).execute("SELECT * FROM containers").fetchall()
    with pytest.raises(Crash):
        Store(version_1)
    assert version_of(version_1) == 1
    assert sqlite3.connect(version_1).execute("SELECT * FROM containers").fetchall() == before
    monkeypatch.undo()
    store = Store(version_1)
    assert len(store.containers.all()) == 3
    store.close()


KILLED = """
import os, sys
from pathlib import Path
from wherry.engine.store import Store, migrations

before = migrations.MIGRATIONS
def after(db):
    before[1](db)
    os.kill(os.getpid(), 9)
migrations.MIGRATIONS = (before[0], after, *before[2:])
Store(Path(sys.argv[1]))
"""


def test_a_daemon_that_is_killed_in_a_migration_leaves_the_old_store(version_1: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(version_1)], env={**os.environ, "PYTHONPATH": str(SOURCE)}
    )
    assert done.returncode == -signal.SIGKILL
    assert version_of(version_1) == 1
    store = Store(version_1)
    assert {record.name for record, _ in store.containers.all()} == {"web", "old", "new"}
    store.close()


def test_a_newer_store_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "wherry.db"
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version={VERSION + 1}")
    db.close()
    with pytest.raises(Unavailable, match=f"newer version of wherry .*{VERSION + 1}.*start that version"):
        Store(path)
    assert version_of(path) == VERSION + 1


@pytest.mark.parametrize("content", [b"this is not a database, but it is long enough to be read" * 20, b""])
def test_what_is_no_store(tmp_path: Path, content: bytes) -> None:
    """An empty file becomes a store; another one is refused in words, and left as it is."""
    path = tmp_path / "wherry.db"
    path.write_bytes(content)
    if not content:
        Store(path).close()
        assert version_of(path) == VERSION
        return
    with pytest.raises(Internal, match=r"cannot read or write the store .*: file is not a database"):
        Store(path)
    assert path.read_bytes() == content
