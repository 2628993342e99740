"""docker's command line and images: load, import, ls, inspect, tag, rmi."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.harness import images
from tests.harness.daemon import Daemon

pytestmark = pytest.mark.usefixtures("docker_cli")


@pytest.fixture
def layered(daemon: Daemon, tmp_path: Path) -> str:
    """An image of two layers whose second one deletes, replaces and adds; loaded by docker."""
    upper = io.BytesIO()
    with tarfile.open(fileobj=upper, mode="w") as tar:
        images.add_file(tar, "etc/.wh.os-release", b"")
        images.add_file(tar, "home/.wh..wh..opq", b"")
        images.add_file(tar, "home/new", b"new")
        tar.addfile(images.entry("bin/hard", tarfile.LNKTYPE, linkname="home/new"))
        images.add_file(tar, "bin/tool", b"#!/bin/sh\necho tool\n", 0o4755)
    config = {"Cmd": ["/bin/tool"], "Env": ["PATH=/bin"], "Labels": {"made": "here"}, "WorkingDir": "/home"}
    layers = [images.busybox_layer(), gzip.compress(upper.getvalue())]
    (tmp_path / "image.tar").write_bytes(images.docker_archive(layers, ["layered:1"], config))
    done = daemon.docker("load", "-i", tmp_path / "image.tar")
    assert "Loaded image: layered:1" in done.stdout
    return "layered:1"


def out(daemon: Daemon, *arguments: str) -> str:
    return daemon.docker(*arguments).stdout.strip()


def test_a_file_whose_name_ends_in_a_slash(daemon: Daemon, tmp_path: Path) -> None:
    made = io.BytesIO(images.busybox_layer())
    with tarfile.open(fileobj=made, mode="a") as tar:
        images.add_file(tar, "odd/", b"content")
    (tmp_path / "tree.tar").write_bytes(made.getvalue())
    daemon.docker("import", tmp_path / "tree.tar", "odd:1")
    assert out(daemon, "run", "--rm", "odd:1", "/bin/cat", "/odd") == "content"


def test_load_and_run_layers(daemon: Daemon, layered: str) -> None:
    assert out(daemon, "run", "--rm", layered) == "tool"
    script = "ls /etc/os-release 2>&1; ls /home; cat /bin/hard; stat -c %a /bin/tool; pwd"
    lines = daemon.docker("run", "--rm", layered, "sh", "-c", script).stdout.splitlines()
    assert lines[0].endswith("No such file or directory")
    assert lines[1:] == ["new", "new4755", "/home"]


def test_loading_twice_changes_nothing(daemon: Daemon, busybox_archive: bytes, tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_bytes(busybox_archive)
    before = out(daemon, "images", "-q", "--no-trunc", "busybox")
    daemon.docker("load", "-i", tmp_path / "image.tar")
    assert out(daemon, "images", "-q", "--no-trunc", "busybox") == before


def test_list_and_inspect(daemon: Daemon, layered: str) -> None:
    table = out(daemon, "images", "--format", "{{.Repository}}:{{.Tag}} {{.Size}}").splitlines()
    assert any(line.startswith("layered:1 ") for line in table)
    assert out(daemon, "images", "--filter", "reference=layer*", "--format", "{{.Repository}}") == "layered"
    assert out(daemon, "images", "--filter", "label=made=here", "--format", "{{.Repository}}") == "layered"
    info = json.loads(out(daemon, "image", "inspect", layered))[0]
    assert info["RepoTags"] == ["layered:1"] and info["Os"] == "linux" and info["Architecture"] == "amd64"
    assert info["Config"]["Cmd"] == ["/bin/tool"] and info["Config"]["WorkingDir"] == "/home"
    assert len(info["RootFS"]["Layers"]) == 2
    assert "layer 0" in out(daemon, "history", "--no-trunc", layered)


def test_tag_and_remove(daemon: Daemon, layered: str) -> None:
    daemon.docker("tag", layered, "example.test:5000/team/tool:v2")
    assert out(daemon, "run", "--rm", "example.test:5000/team/tool:v2") == "tool"
    done = out(daemon, "rmi", "example.test:5000/team/tool:v2")
    assert done == "Untagged: example.test:5000/team/tool:v2"
    done = out(daemon, "rmi", layered)
    assert "Untagged: layered:1" in done and "Deleted: sha256:" in done
    assert daemon.docker("image", "inspect", layered, check=False).returncode == 1


def test_image_in_use_is_not_removed(daemon: Daemon, layered: str) -> None:
    daemon.docker("create", "--name", "user", layered)
    done = daemon.docker("rmi", layered, check=False)
    assert done.returncode == 1 and "conflict: unable to remove repository reference" in done.stderr
    daemon.docker("rmi", "-f", layered)
    daemon.docker("rm", "user")


def test_import_with_changes(daemon: Daemon, busybox_tar: bytes, tmp_path: Path) -> None:
    (tmp_path / "root.tar.gz").write_bytes(gzip.compress(busybox_tar))
    daemon.docker(
        "import", "-c", 'CMD ["echo", "imported"]', "-c", "ENV A=b", "-m", "by hand",
        tmp_path / "root.tar.gz", "imported:1",
    )  # fmt: skip
    assert out(daemon, "run", "--rm", "imported:1") == "imported"
    assert out(daemon, "inspect", "-f", "{{.Config.Env}}", "imported:1") == "[A=b]"
    daemon.docker("rmi", "imported:1")


def test_import_from_standard_input(daemon: Daemon, busybox_tar: bytes) -> None:
    done = subprocess.run(
        daemon.docker_argv("import", "-", "piped"), env=daemon.client_environment(), input=busybox_tar,
        capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(b"sha256:")
    assert out(daemon, "run", "--rm", "piped:latest", "echo", "hi") == "hi"
    daemon.docker("rmi", "piped")


def test_an_image_that_is_not_there(daemon: Daemon) -> None:
    done = daemon.docker("run", "--rm", "--pull", "never", "nowhere:1", check=False)
    assert done.returncode == 125 and "No such image: nowhere:1" in done.stderr


@pytest.mark.parametrize("damage", ["truncated", "corrupt", "not an archive"])
def test_damaged_archive_leaves_no_image(daemon: Daemon, tmp_path: Path, damage: str) -> None:
    layer = images.large_layer(
        7, 10, 1_000_000
    )  # no other test's: a layer that is there already is not read again
    archive = images.docker_archive([gzip.compress(layer)], ["broken:1"], {})
    half = len(archive) // 2
    broken = {
        "truncated": archive[:half],
        "corrupt": archive[:half] + bytes(4096) + archive[half + 4096 :],
        "not an archive": b"nothing of the kind" * 1000,
    }[damage]
    (tmp_path / "broken.tar").write_bytes(broken)
    before = out(daemon, "images", "-q")
    assert daemon.docker("load", "-i", tmp_path / "broken.tar", check=False).returncode == 1
    assert out(daemon, "images", "-q") == before


@pytest.mark.slow
def test_a_whole_debian(daemon: Daemon, debian_tar: Path) -> None:
    daemon.docker("import", debian_tar, "debian:bookworm", timeout=300)
    text = out(daemon, "run", "--rm", "debian:bookworm", "cat", "/etc/os-release")
    assert "VERSION_CODENAME=bookworm" in text
    script = "dpkg --audit && useradd -m someone && su someone -c 'id -un'"
    assert out(daemon, "run", "--rm", "debian:bookworm", "bash", "-c", script) == "someone"
    daemon.docker("rmi", "debian:bookworm")


def test_an_import_says_which_platform_it_is_for(daemon: Daemon, busybox_tar: bytes, tmp_path: Path) -> None:
    (tmp_path / "root.tar").write_bytes(busybox_tar)
    host = out(daemon, "version", "-f", "{{.Server.Arch}}")
    for asked, told in {
        "linux": f"linux/{host}/",
        "linux/aarch64": "linux/arm64/",
        "linux/arm/v6": "linux/arm/v6",
    }.items():
        daemon.docker("import", "--platform", asked, tmp_path / "root.tar", "platform:1")
        shown = out(daemon, "image", "inspect", "-f", "{{.Os}}/{{.Architecture}}/{{.Variant}}", "platform:1")
        assert shown == told
    done = daemon.docker("import", "--platform", "nonsense", tmp_path / "root.tar", check=False)
    assert done.returncode == 1 and "neither an operating system nor an architecture" in done.stderr


def test_an_image_for_another_processor_is_warned_of(
    daemon: Daemon, busybox_tar: bytes, tmp_path: Path
) -> None:
    (tmp_path / "root.tar").write_bytes(busybox_tar)
    for platform, warned in {"linux/s390x": True, "linux/386": False, "linux/amd64": False}.items():
        daemon.docker("import", "--platform", platform, tmp_path / "root.tar", "foreign:1")
        text = f"The requested image's platform ({platform}) does not match the detected host platform (linux/amd64)"
        assert (text in daemon.docker("create", "foreign:1", "true").stderr) == warned
        assert text not in daemon.docker("create", "--platform", platform, "foreign:1", "true").stderr
    daemon.remove_containers()
    daemon.docker("rmi", "foreign:1")


def test_a_platform_means_the_same_everywhere(daemon: Daemon, busybox_tar: bytes, tmp_path: Path) -> None:
    """As dockerd 28.5 answers, but that a load which takes nothing says so."""
    (tmp_path / "root.tar").write_bytes(busybox_tar)
    options = ("--platform", "linux/amd64/v2", "-c", 'CMD ["true"]')
    daemon.docker("import", *options, tmp_path / "root.tar", "level:2")
    for verb in (["create"], ["history"], ["image", "inspect"]):
        for asked, fits in {"linux/amd64/v3": True, "linux/amd64/v2": True, "linux/x86_64": False}.items():
            done = daemon.docker(*verb, "--platform", asked, "level:2", check=False)
            assert (done.returncode == 0) == fits, done.stderr
    daemon.remove_containers()
    daemon.docker("rmi", "level:2")
    (tmp_path / "image.tar").write_bytes(images.docker_archive([busybox_tar], ["level:latest"], {}))
    for asked, fits in {"linux/amd64/v2": False, "linux/386": False, "linux/x86_64": True}.items():
        done = daemon.docker("load", "--platform", asked, "-i", tmp_path / "image.tar", check=False)
        assert (done.returncode == 0) == fits, done.stderr
    daemon.docker("rmi", "level:latest")


def test_an_import_of_a_private_directory_is_open_to_all(daemon: Daemon, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin/sh").write_bytes(Path("/bin/busybox").read_bytes())
    (root / "bin/sh").chmod(0o755)
    root.chmod(0o700)
    subprocess.run(["tar", "-C", root, "-cf", tmp_path / "root.tar", "."], check=True)
    daemon.docker("import", tmp_path / "root.tar", "private:1")
    assert out(daemon, "run", "--rm", "-u", "1000", "private:1", "sh", "-c", "echo in") == "in"
    daemon.docker("rmi", "private:1")


def loaded(daemon: Daemon, tmp_path: Path, **config: object) -> str:
    archive = images.docker_archive([images.busybox_layer()], ["odd:1"], {"Cmd": ["sh"], **config})
    (tmp_path / "odd.tar").write_bytes(archive)
    daemon.docker("load", "-i", tmp_path / "odd.tar")
    return "odd:1"


@pytest.mark.parametrize("field", ["Cmd", "Entrypoint", "Shell"])
def test_a_command_that_is_no_list(daemon: Daemon, tmp_path: Path, field: str) -> None:
    name = loaded(daemon, tmp_path, **{field: "echo a"})
    shown = json.loads(daemon.docker("image", "inspect", name).stdout)
    assert shown[0]["Config"][field] == ["echo a"]


def test_a_stop_signal_of_an_image_that_is_none(daemon: Daemon, tmp_path: Path) -> None:
    name = loaded(daemon, tmp_path, StopSignal="FOO")
    ready = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done"
    daemon.docker("run", "-d", "--name", "odd", name, "sh", "-c", ready)
    with daemon.docker_popen("logs", "-f", "odd") as logs:
        assert logs.stdout is not None and logs.stdout.readline() == "ready\n"
        daemon.docker("stop", "odd")
    assert daemon.inspect("odd")["State"]["ExitCode"] == 7


def test_an_image_that_names_no_system(daemon: Daemon, tmp_path: Path) -> None:
    archive = images.docker_archive([images.busybox_layer()], ["odd:1"], {"Cmd": ["true"]}, os="")
    (tmp_path / "odd.tar").write_bytes(archive)
    daemon.docker("load", "-i", tmp_path / "odd.tar")
    assert out(daemon, "image", "inspect", "-f", "{{.Os}}", "odd:1") == "linux"
    assert daemon.docker("run", "--rm", "odd:1").stderr == ""
