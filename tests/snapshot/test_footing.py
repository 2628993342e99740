"""A data root that cannot hold overlays is refused when the engine starts, with what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import images
from tests.harness.daemon import Daemon
from wherry.errors import Unavailable
from wherry.snapshot import footing
from wherry.snapshot.footing import check_footing


@pytest.fixture
def idle() -> Iterator[Daemon]:
    """A daemon that was not started, with its sandbox."""
    daemon = Daemon()
    yield daemon
    daemon.close()


OVERLAY = "mkdir l u w '{root}' && mount -t overlay x -o lowerdir=l,upperdir=u,workdir=w '{root}'"
RAMFS = "mkdir '{root}' && mount -t ramfs x '{root}'"


@pytest.mark.parametrize(
    ("mount", "reason"),
    [(OVERLAY, "is itself on overlayfs"), (RAMFS, "is on ramfs")],
)
def test_an_engine_is_not_started_where_no_container_could(idle: Daemon, mount: str, reason: str) -> None:
    root = idle.sandbox.state / "root"
    idle.sandbox.run(f"cd {idle.sandbox.state} && {mount.format(root=root)}")
    idle.data_root = root / "data"
    with pytest.raises(RuntimeError, match=reason) as refused:
        idle.start()
    said = str(refused.value).splitlines()[-1]
    assert said.startswith(f"wherryd: the data root {root}/data {reason}, which cannot hold")
    assert "give --data-root a directory on ext4, xfs, btrfs or tmpfs" in said
    assert not list(idle.sandbox.outside(root / "data").glob(".overlay-*"))


def test_any_path_will_do(idle: Daemon) -> None:
    idle.data_root = idle.sandbox.state / "a, b:c=\\d"
    idle.start()
    idle.load(images.busybox_archive())
    assert not list(idle.sandbox.outside(idle.data_root).glob(".overlay-*"))


def test_a_full_disk_keeps_no_engine_from_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(number: int) -> None:
        def refuse(*_: object) -> None:
            raise OSError(number, "no")

        monkeypatch.setattr(footing, "try_overlay", refuse)

    for number in (errno.ENOSPC, errno.EDQUOT):
        fails(number)
        check_footing(tmp_path)
    fails(errno.EINVAL)
    with pytest.raises(Unavailable, match="--data-root"):
        check_footing(tmp_path)
    assert not list(tmp_path.iterdir())
