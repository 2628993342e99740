"""Two engines on one host: what they may not share, and that neither does the other's containers any harm."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually
from wherry.errors import Unavailable
from wherry.runtime.cgroups.claim import ATTRIBUTE, ParentClaim, process_mark

OWN = ("--data-root", "--exec-root", "--cgroup-parent", "--bridge")


def command(first: Daemon, *shared: str) -> list[str]:
    """A second engine beside the first, which shares with it what the options say."""
    state, parent = first.sandbox.state, first.sandbox.cgroup_parent
    theirs = (first.data_root, first.exec_root, parent, "wherry0")
    others = (state / "data2", state / "run2", f"{parent}/second", "second0")
    options = {own: theirs[at] if own in shared else others[at] for at, own in enumerate(OWN)}
    words = [word for option, value in options.items() for word in (option, str(value))]
    host = f"unix://{first.base}/second.sock"
    return [sys.executable, "-m", "wherry.daemon", "-H", host, "--bip", "172.31.0.1/24", *words]


@contextmanager
def second(first: Daemon, *shared: str) -> Iterator[subprocess.Popen[str]]:
    process = first.sandbox.popen(
        command(first, *shared),
        env=first._environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture
def engine(fresh_daemon: Callable[..., Daemon]) -> Iterator[Daemon]:
    daemon = fresh_daemon()
    daemon.docker("run", "-d", "--name", "first", "busybox", "sleep", "1000")
    yield daemon
    assert daemon.docker("exec", "first", "echo", "lives").stdout == "lives\n"
    for folder in Path("/sys/fs/cgroup").glob(f"*/{daemon.sandbox.cgroup_parent}/second"):
        with suppress(FileNotFoundError):
            folder.rmdir()


@pytest.mark.parametrize("shared", [(option,) for option in OWN] + [OWN[1:], OWN[1:3]], ids=" ".join)
def test_what_engines_may_not_share(engine: Daemon, shared: tuple[str, ...]) -> None:
    """Each of them by default. The second one ends at once; its sweep would have killed the first one's containers."""
    with second(engine, *shared) as process:
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 1 and shared[0] in said and "another" in said


def test_two_that_share_nothing(engine: Daemon) -> None:
    with second(engine) as process:
        assert eventually((engine.base / "second.sock").exists)
        assert process.poll() is None


def test_a_stopped_engines_containers_live_on(engine: Daemon) -> None:
    """It has given everything up; but what is in its roots and below its parent is not another one's to sweep away."""
    engine.stop()
    with second(engine, "--exec-root", "--cgroup-parent") as process:
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 1 and "has containers of the engine with the data root" in said
    with second(engine, "--cgroup-parent") as process:
        assert eventually((engine.base / "second.sock").exists)
        with pytest.raises(RuntimeError, match="another engine uses the parent cgroup"):
            engine.start()
    engine.start()


def test_a_parent_that_was_made_anew_is_claimed_again(fresh_daemon: Callable[..., Daemon]) -> None:
    daemon = fresh_daemon()
    folders = list(Path("/sys/fs/cgroup").glob(f"*/{daemon.sandbox.cgroup_parent}"))
    for folder in folders:
        folder.rmdir()
    assert eventually(
        lambda: all(map(Path.exists, folders)) and os.listxattr(min(folders)) == [ATTRIBUTE], seconds=20
    )
    with second(daemon, "--cgroup-parent") as process:
        assert "--cgroup-parent" in process.communicate(timeout=30)[0]


def test_only_a_living_process_has_a_claim(tmp_path: Path) -> None:
    """Also where its number is another's by now; and whoever may only open the directory can claim nothing."""
    claim = ParentClaim("x", str(tmp_path))
    for gone in (b"999999999 1", b"%d 1" % os.getpid(), b"nonsense", b""):
        os.setxattr(tmp_path, ATTRIBUTE, gone)
        claim.take()
        claim.take()
        assert os.getxattr(tmp_path, ATTRIBUTE) == process_mark(os.getpid())
    os.setxattr(tmp_path, ATTRIBUTE, process_mark(1))
    with pytest.raises(Unavailable, match="--cgroup-parent"):
        claim.take()
    assert not claim.give_up()


def test_one_that_was_killed_has_none_though_nobody_has_collected_it(tmp_path: Path) -> None:
    """Its parent may be a supervisor that looks only now and then."""
    killed = subprocess.Popen(["sleep", "1000"])
    os.setxattr(tmp_path, ATTRIBUTE, process_mark(killed.pid))
    claim = ParentClaim("x", str(tmp_path))
    with pytest.raises(Unavailable):
        claim.take()
    killed.kill()
    try:
        os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)
        claim.take()
    finally:
        killed.wait()


def test_roots_by_another_name_are_the_same_engines(engine: Daemon) -> None:
    root = engine.data_root
    engine.stop()
    engine.run_in_ns(["ln", "-s", root, engine.sandbox.state / "alias"])
    engine.data_root = engine.sandbox.state / "alias"
    engine.start()
    assert engine.docker("exec", "first", "echo", "lives").stdout == "lives\n"
    engine.data_root = root
    engine.restart()


def told(first: Daemon, *options: str) -> str:
    """What a second engine that is refused says."""
    refused = first.sandbox.popen(
        list(options), env=first._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said, _ = refused.communicate(timeout=30)
    assert refused.returncode == 1, said
    return str(said)


def test_a_pidfile_is_one_engines(fresh_daemon: Callable[..., Daemon]) -> None:
    """Also of two that share nothing else. That of a killed one is free, whoever has its number by now."""
    first = fresh_daemon("--pidfile", "/run/engine.pid")
    pidfile = first.sandbox.outside(Path("/run/engine.pid"))
    noted = pidfile.read_text()
    assert "/run/engine.pid is another wherryd's" in told(
        first, *command(first), "--pidfile", "/run/engine.pid"
    )
    assert pidfile.read_text() == noted
    first.kill9()
    pidfile.write_text("1\n")
    first.start()
    assert pidfile.read_text() not in ("1\n", noted)
    first.stop()
    assert not pidfile.exists()


def test_an_engine_that_is_refused_leaves_the_others_pidfile(engine: Daemon) -> None:
    pidfile = engine.base / "pid"
    engine.sandbox.outside(pidfile).write_text("4711\n")
    for shared in OWN:
        told(engine, *command(engine, shared), "--pidfile", str(pidfile))
        assert engine.sandbox.outside(pidfile).read_text() == "4711\n"
