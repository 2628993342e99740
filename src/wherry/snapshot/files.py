"""Content and attributes of single files, as an archive's entries give them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from errno import ENOTSUP, ENXIO, EPERM
from pathlib import Path

from wherry.content.names import show
from wherry.content.tar import Entry, Kind
from wherry.errors import InvalidArgument

_ID_LIMIT = 2**32 - 1
OVERLAY_XATTRS = (b"trusted.overlay.", b"user.overlay.")


def set_attributes(fd: int, entry: Entry, mode: int) -> None:
    """Owner first: the kernel clears setuid bits and file capabilities when it changes."""
    os.fchown(fd, entry.uid, entry.gid)
    os.fchmod(fd, mode)
    if entry.xattrs:
        set_xattrs(fd, entry.xattrs, follow=True)
    os.utime(fd, ns=(entry.mtime, entry.mtime))


def set_attributes_of_name(directory: int, base: bytes, entry: Entry) -> None:
    """For a file just made that cannot be opened without side effects: a symlink, device or fifo."""
    checked(entry)
    if entry.uid or entry.gid:
        os.chown(base, entry.uid, entry.gid, dir_fd=directory, follow_symlinks=False)
    if entry.kind is not Kind.SYMLINK:
        os.chmod(base, entry.mode, dir_fd=directory)
    if entry.xattrs:
        set_xattrs(b"/proc/self/fd/%d/%s" % (directory, base), entry.xattrs, follow=False)
    os.utime(base, ns=(entry.mtime, entry.mtime), dir_fd=directory, follow_symlinks=False)


def set_attributes_of_link(directory: int, base: bytes, entry: Entry) -> None:
    """For a further name of a file that has attributes already: the link's own count, as they do for Docker.

    What is the same is left alone: a change of the owner would take capabilities away.
    """
    checked(entry)
    status = os.stat(base, dir_fd=directory, follow_symlinks=False)
    if (entry.uid, entry.gid) != (status.st_uid, status.st_gid):
        os.chown(base, entry.uid, entry.gid, dir_fd=directory, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        return
    os.chmod(base, entry.mode, dir_fd=directory)
    if entry.xattrs:
        set_xattrs(b"/proc/self/fd/%d/%s" % (directory, base), entry.xattrs, follow=False)
    os.utime(base, ns=(entry.mtime, entry.mtime), dir_fd=directory, follow_symlinks=False)


def checked(entry: Entry) -> Entry:
    """The entry itself. InvalidArgument for an owner that chown(2) does not take, or takes for "unchanged"."""
    if not (0 <= entry.uid < _ID_LIMIT and 0 <= entry.gid < _ID_LIMIT):
        raise InvalidArgument(f"{show(entry.name)} has an owner out of range: {entry.uid}:{entry.gid}")
    return entry


def write(fd: int, span: memoryview) -> None:
    """Write all of it, at the descriptor's position. OSError as of write(2)."""
    while (count := os.write(fd, span)) < len(span):
        span = span[count:]


def write_sparse(fd: int, entry: Entry, content: Iterable[memoryview]) -> None:
    """Write the content where the entry's extents lie; what is between them stays a hole."""
    spans = iter(content)
    span = memoryview(b"")
    for offset, length in entry.extents or ():
        os.lseek(fd, offset, os.SEEK_SET)
        while length:
            span = span or next(spans)
            write(fd, span[:length])
            length, span = length - min(length, len(span)), span[length:]
    os.ftruncate(fd, entry.size)


def copy_content(source: int, target: int) -> None:
    """Copy the data of a layer's file, which does not change; its holes stay holes. A filesystem that can, shares
    the blocks. OSError."""
    size = os.fstat(source).st_size
    at = 0
    while (at := _next_data(source, at)) < size:
        end = os.lseek(source, at, os.SEEK_HOLE)
        while at < end:
            at += os.copy_file_range(source, target, min(end - at, 1 << 24), at, at) or end - at
    os.ftruncate(target, size)


def _next_data(file: int, at: int) -> int:
    """Where data begins, from a place on; the file's end where there is none."""
    try:
        return os.lseek(file, at, os.SEEK_DATA)
    except OSError as error:
        if error.errno != ENXIO:
            raise
        return os.lseek(file, 0, os.SEEK_END)


def set_xattrs(file: int | bytes, xattrs: dict[bytes, bytes], follow: bool) -> None:
    """All but overlayfs' own, which would let an image steer the mount. What a filesystem cannot hold is left out."""
    for name, value in xattrs.items():
        if name.startswith(OVERLAY_XATTRS):
            continue
        if not name or b"\0" in name:
            raise InvalidArgument(
                f"the archive has an extended attribute of an impossible name: {show(name)}"
            )
        try:
            os.setxattr(file, name, value, follow_symlinks=follow)
        except OSError as error:
            if error.errno not in (ENOTSUP, EPERM):
                raise


def xattrs_of(file: int | bytes) -> dict[bytes, bytes]:
    """The extended attributes that are the file's own: not overlayfs', nor SELinux labels, which are the host's.

    Of a path that is a symlink, the link's. None where the filesystem knows no such attributes.
    """
    follow = isinstance(file, int)
    try:
        names = sorted(map(os.fsencode, os.listxattr(file, follow_symlinks=follow)))
    except OSError as error:
        if error.errno != ENOTSUP:
            raise
        return {}
    own = [name for name in names if not name.startswith((*OVERLAY_XATTRS, b"security.selinux"))]
    return {name: os.getxattr(file, name, follow_symlinks=follow) for name in own}


def umask() -> int:
    """This process's, read without changing it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("Umask:")[2].split()[0], 8)
