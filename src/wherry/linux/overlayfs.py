"""Whether the kernel would mount an overlay: all of a mount but its attachment, so that nobody sees it. fsopen(2)."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from wherry.linux.libc import call

# The same on every machine. <linux/mount.h>, asm-generic/unistd.h
FSOPEN, FSCONFIG = 430, 431
CLOEXEC = 1
SET_STRING, CREATE = 1, 6
MESSAGES = 8192


def try_overlay(lower: Path, upper: Path, work: Path) -> None:
    """Raises the OSError of the mount, with the kernel's own words where it has any."""
    with ExitStack() as opened:
        context = call("syscall", FSOPEN, b"overlay", CLOEXEC, None, None, None, about="mount an overlay")
        opened.callback(os.close, context)
        try:
            for option, folder in ((b"lowerdir", lower), (b"upperdir", upper), (b"workdir", work)):
                # By its descriptor, since options end at a comma, and a path can have one.
                known = os.open(folder, os.O_PATH | os.O_CLOEXEC)
                opened.callback(os.close, known)
                _configure(context, SET_STRING, option, f"/proc/self/fd/{known}".encode())
            _configure(context, CREATE, None, None)
        except OSError as error:
            raise OSError(error.errno, _said(context) or error.strerror, str(upper)) from None


def _configure(context: int, command: int, option: bytes | None, value: bytes | None) -> None:
    call("syscall", FSCONFIG, context, command, option, value, 0, about="configure an overlay")


def _said(context: int) -> str:
    """What the kernel says of the failure, such as ``overlay: filesystem on … not supported as upperdir``."""
    try:
        return os.read(context, MESSAGES).decode(errors="replace").strip().removeprefix("e overlay: ")
    except OSError:
        return ""
