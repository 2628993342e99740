"""What a bind's source must be for mounts to pass, on real mounts in a mount namespace of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MOUNTS = """
mount -t tmpfs spare "$1/spare"
mount -t tmpfs below "$1/place"
umount "$1/spare"
mount -t tmpfs above "$1/place"
mount --make-shared "$1/place"
exec "$2" -c "$3" "$1/place"
"""
CHECK = """
import sys
from pathlib import Path
from wherry.linux import mountinfo
from wherry.runtime.mounts import BIND, MountPoint
from wherry.runtime.propagation import check_sources

place = sys.argv[1]
check_sources([MountPoint(BIND, "/in", source=place, propagation="rshared", propagation_asked=True)])
print(mountinfo.mount_of(Path(place)).source)
"""


def test_of_two_mounts_at_one_place_the_upper_one_counts_whatever_its_id(tmp_path: Path) -> None:
    """The kernel gives the id of a mount that is no more to the next one."""
    for name in ("spare", "place"):
        (tmp_path / name).mkdir()
    own = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", MOUNTS, "sh"]
    done = subprocess.run(
        [*own, str(tmp_path), sys.executable, CHECK], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["above"]
