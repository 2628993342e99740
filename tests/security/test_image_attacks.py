"""Images made to harm the engine that takes them in: by docker's command line, on a daemon of the test's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import images
from tests.harness.daemon import Daemon
from tests.image.making import config, file, sha256, tar

pytestmark = pytest.mark.usefixtures("docker_cli")


def archive(name: str, layer: bytes, document: bytes) -> bytes:
    item = {"Config": "c", "RepoTags": [name], "Layers": ["l"]}
    return tar(file("c", document), file("l", layer), file("manifest.json", json.dumps([item]).encode()))


@pytest.mark.parametrize("levels", [500, 900, 940, 960, 970, 975, 980, 985, 990, 1000])
@pytest.mark.parametrize("field", ["ExposedPorts", "Volumes", "Labels", "Unknown"])
def test_a_config_that_nests_deep(daemon: Daemon, tmp_path: Path, field: str, levels: int) -> None:
    """Taken or refused: what is listed and looked at afterwards is as before."""
    layer = tar(file("f", b"x"))
    deep = b'{"a":' * levels + b"{}" + b"}" * levels
    document = config([sha256(layer)], config={"Cmd": ["sh"], field: "deep"}).replace(b'"deep"', deep)
    (tmp_path / "deep.tar").write_bytes(archive("deep:1", layer, document))
    done = daemon.docker("load", "-i", tmp_path / "deep.tar", check=False)
    assert done.returncode == 0 or "invalid image config" in done.stderr
    assert "busybox" in daemon.docker("images").stdout
    if done.returncode == 0:
        daemon.docker("image", "inspect", "deep:1")
        daemon.docker("create", "deep:1")
    daemon.docker("create", "busybox")


def test_a_daemon_starts_on_what_it_has_taken_in(fresh_daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    daemon = fresh_daemon()
    layer = tar(file("f", b"x"))
    for levels in range(930, 1000, 3):
        deep = b'{"a":' * levels + b"{}" + b"}" * levels
        document = config([sha256(layer)], config={"ExposedPorts": {"1/tcp": levels}})
        document = document.replace(b": %d}" % levels, b": %s}" % deep)
        daemon.api("POST", "/images/load", raw=archive(f"deep:{levels}", layer, document))
    before = daemon.docker("images", "-q").stdout
    assert before.count("\n") > 1
    daemon.restart()
    assert daemon.docker("images", "-q").stdout == before


def test_files_of_more_bytes_than_clients_can_count(daemon: Daemon, tmp_path: Path) -> None:
    """Sparse files are as large as they say. docker's command line could not read the list of images any more."""
    size = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 62)}
    hole = b"1\n0\n0\n".ljust(512, b"\0")
    layer = tar(*[file(name, hole, pax_headers={**size, "GNU.sparse.name": name}) for name in "abc"])
    (tmp_path / "large.tar").write_bytes(archive("large:1", layer, config([sha256(layer)])))
    done = daemon.docker("load", "-i", tmp_path / "large.tar", check=False)
    assert done.returncode == 1
    assert "larger than" in done.stderr or "File too large" in done.stderr  # as the filesystem has it
    assert "busybox" in daemon.docker("images").stdout


@pytest.mark.parametrize("name", ["busybox@sha256:" + "a" * 64, "sha256:" + "a" * 64])
def test_a_name_that_means_content(daemon: Daemon, tmp_path: Path, name: str) -> None:
    layer = images.busybox_layer()
    (tmp_path / "named.tar").write_bytes(archive(name, layer, config([sha256(layer)])))
    before = daemon.docker("images", "--digests").stdout
    done = daemon.docker("load", "-i", tmp_path / "named.tar", check=False)
    assert done.returncode == 1
    assert "refusing to create" in done.stderr
    assert daemon.docker("images", "--digests").stdout == before
    assert daemon.docker("create", "--pull", "never", name, check=False).returncode != 0
