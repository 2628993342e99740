"""Files in the root of another process, which may have made of them what it likes."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from wherry.linux.mountinfo import parse
from wherry.linux.openat2 import IN_ROOT, NO_MAGIC_LINKS, NO_OTHER_MOUNTS, openat2

REFUSED = frozenset({errno.EXDEV, errno.ELOOP, errno.EAGAIN})
NONE_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENXIO})
# Filesystems of this machine's disks, memory and kernel. Those of networks and of programs may not answer.
ANSWERING = frozenset(
    {
        "bpf", "btrfs", "cgroup", "cgroup2", "debugfs", "devpts", "devtmpfs", "erofs", "ext2", "ext3", "ext4", "f2fs",
        "hugetlbfs", "iso9660", "mqueue", "nsfs", "overlay", "proc", "pstore", "ramfs", "securityfs", "squashfs",
        "sysfs", "tmpfs", "tracefs", "vfat", "xfs", "zfs",
    }
)  # fmt: skip
FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


def read_in_root(pid: int, path: str, limit: int) -> bytes | None:
    """A file as a process sees it; empty where there is none, where it is no file, or has ``limit`` bytes and more.
    None for one that is of another mount, where one of its mounts may not answer.

    Links lead nowhere out of its root, and no filesystem is asked that the process may have mounted and may not
    answer. OSError where there is no such process, or where the host cannot read.
    """
    root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        file = open_in(root, path, NO_OTHER_MOUNTS)
        if file is None and all_answer(pid):
            file = open_in(root, path)
    except OSError as error:
        if error.errno in NONE_THERE:
            return b""
        raise
    finally:
        os.close(root)
    if file is None:
        return None
    try:
        found = os.fstat(file)
        fits = stat.S_ISREG(found.st_mode) and found.st_size < limit
        return os.read(file, limit) if fits else b""
    finally:
        os.close(file)


def all_answer(pid: int) -> bool:
    """Whether what a process has mounted is the kernel's own, so that nobody else has to answer for it."""
    mounts = parse(Path(f"/proc/{pid}/mountinfo").read_bytes())
    return all(mount.fstype in ANSWERING for mount in mounts)


def open_in(root: int, path: str, resolve: int = 0) -> int | None:
    """A descriptor; None where the way leads over a magic link or, if that is not to be, a mount."""
    try:
        return openat2(root, os.fsencode(path), FLAGS, resolve | NO_MAGIC_LINKS | IN_ROOT)
    except OSError as error:
        if error.errno in REFUSED:
            return None
        raise
