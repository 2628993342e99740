"""Whether this process sees its mount namespace from the root, or from a chroot(2) in it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wherry.linux import libc

CLONE_FS, CLONE_NEWNS = 0x200, 0x20000


def in_chroot() -> bool:
    """Whether entering this process's own mount namespace would lead elsewhere than to its root. setns(2)."""
    with ThreadPoolExecutor(1) as thread:  # whose root is its own, and ends with it
        return _root() != thread.submit(_namespace_root).result()


def _root() -> tuple[str, int]:
    """The mount and the directory that are the calling thread's root."""
    root = os.open("/", os.O_PATH | os.O_CLOEXEC)
    try:
        about = Path(f"/proc/thread-self/fdinfo/{root}").read_text().splitlines()
        mount = next(line for line in about if line.startswith("mnt_id:"))
        return mount, os.stat(root).st_ino
    finally:
        os.close(root)


def _namespace_root() -> tuple[str, int]:
    own = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc.call("unshare", CLONE_FS, about="unshare the root directory")
        libc.call("setns", own, CLONE_NEWNS, about="setns to the mount namespace")
    finally:
        os.close(own)
    return _root()
