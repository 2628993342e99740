"""Mounts that the engine itself makes on the host. mount(2), umount2(2)."""

from __future__ import annotations

import errno

from wherry.linux import libc

MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8


def mount_tmpfs(target: str, name: str, options: str) -> None:
    """A tmpfs, called ``name`` in mount tables, without set-user-ID, device nodes and programs. OSError."""
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
    libc.call("mount", name.encode(), target.encode(), b"tmpfs", flags, options.encode(), about=target)


def unmount(target: str) -> None:
    """Take down all that is mounted on a path. Nothing is fine; who has it mounted elsewhere keeps it. OSError."""
    while True:
        try:
            libc.call("umount2", target.encode(), MNT_DETACH | UMOUNT_NOFOLLOW, about=target)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return
            raise
