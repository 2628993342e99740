"""Errors of calls that Python does not have, and of files of the kernel, name what they were about."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from wherry.linux import inotify, kernel_file, libc, netns, ptrace, sysctl
from wherry.linux.sync import syncfs


def test_a_call_that_fails_says_what_it_was_about() -> None:
    with pytest.raises(OSError) as caught:
        libc.call("setns", -1, 0, about="a namespace")
    assert (caught.value.errno, caught.value.strerror) == (errno.EBADF, os.strerror(errno.EBADF))
    assert caught.value.filename == "a namespace"


def test_what_the_kernel_said_stands_beside_the_reason() -> None:
    assert str(libc.failure(errno.EINVAL, "rule 1", "bad rule")) == (
        "[Errno 22] Invalid argument (bad rule): 'rule 1'"
    )


def test_every_door_names_the_path(tmp_path: Path) -> None:
    missing, watcher = str(tmp_path / "no"), inotify.instance()
    for wanted, act in (
        (missing, lambda: inotify.add(watcher, missing)),
        (missing, lambda: syncfs([Path(missing)])),
        (missing, lambda: kernel_file.read(missing)),
        (missing, lambda: kernel_file.write(missing, "1")),
        ("/proc/self", lambda: kernel_file.read("/proc/self")),
        ("/proc/sys/kernel/version", lambda: sysctl.write("kernel/version", "x")),
        ("/proc/sys/vm/overcommit_ratio", lambda: sysctl.write("vm/overcommit_ratio", "none")),
        ("/proc/0", lambda: ptrace.seccomp_filter(0)),
        ("setns to a network namespace", lambda: netns.enter(-1)),
    ):
        with pytest.raises(OSError) as caught:
            act()
        assert (caught.value.errno or 0) > 0
        assert caught.value.filename == wanted
    os.close(watcher)


def test_a_kernel_file_is_written_in_one_piece_and_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 200_000 + b"\xff")
    assert kernel_file.read(str(file)) == "x" * 200_000 + "\ufffd"
    assert kernel_file.read_bytes(str(file), limit=5) == b"xxxxx"
    kernel_file.write(str(file), "ab")
    assert file.read_bytes()[:3] == b"abx"  # as the kernel's files, it is not cut
