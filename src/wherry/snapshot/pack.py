"""A writable tree as the archive of a layer. OCI image-spec, layer.md: "Change Types", "Whiteouts".

The same tree always becomes the same bytes: parents first and by name, a whiteout where the name would be, times
to the nanosecond, no names of users. So that unpacking the archive on the same layers makes the same tree.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from wherry.content.names import PATH_LIMIT, show
from wherry.content.tar import Entry, Kind
from wherry.content.tar_writer import END, header, padding
from wherry.errors import InvalidArgument
from wherry.linux.walk import Visit
from wherry.snapshot.files import xattrs_of
from wherry.snapshot.lower import is_whiteout
from wherry.snapshot.merged import inherited
from wherry.snapshot.upper import Upper, is_opaque, marks_of, opened

CHUNK = 1 << 20
_WHITEOUT, _OPAQUE = b".wh.", b".wh..wh..opq"
_NODES = {
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFCHR: Kind.CHAR,
    stat.S_IFBLK: Kind.BLOCK,
    stat.S_IFIFO: Kind.FIFO,
}


def pack(upper: Upper) -> Iterator[bytes]:
    """The archive, plain, in pieces of about ``CHUNK`` bytes.

    Sockets are left out, as is what is removed while this goes on; a file that changes has the size that it had
    at first. InvalidArgument for what no layer can hold: names that begin with ``.wh.``, paths beyond the
    kernel's limit.
    """
    pieces: list[bytes] = []
    size = 0
    for piece in _pieces(upper):
        pieces.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield b"".join(pieces)
            pieces, size = [], 0
    yield b"".join([*pieces, END])


def root_entry(upper: Upper) -> Entry | None:
    """The entry of the top directory; None where it says nothing but what the layers below say."""
    entry = _entry(b"./", Kind.DIRECTORY, os.fstat(upper.root), xattrs_of(upper.root))
    below = inherited(upper.lower.lookup(b""), b"./")
    same = (entry.mode, entry.uid, entry.gid, entry.xattrs) == (
        below.mode,
        below.uid,
        below.gid,
        below.xattrs,
    )
    return None if same else entry


def _pieces(upper: Upper) -> Iterator[bytes]:
    marks_of(upper.root)
    if (root := root_entry(upper)) is not None:
        yield header(root)
    links: dict[tuple[int, int], bytes] = {}  # of files with several names, the first
    for visit in upper.visits():
        path = _checked(visit)
        try:
            yield from _packed(upper, visit, path, links)
        except (FileNotFoundError, NotADirectoryError):
            continue  # removed or replaced meanwhile


def _packed(upper: Upper, visit: Visit, path: bytes, links: dict[tuple[int, int], bytes]) -> Iterator[bytes]:
    if is_whiteout(visit.status):
        if upper.hides(visit):
            yield _mark(path[: -len(visit.name)] + _WHITEOUT + visit.name)
    elif (first := links.get(_inode(visit))) is not None:
        entry = _entry(path, Kind.HARDLINK, visit.status, {})
        entry.link = first
        yield header(entry)
    else:
        yield from _content(upper, visit, path)
        if visit.status.st_nlink > 1 and stat.S_IFMT(visit.status.st_mode) not in (
            stat.S_IFDIR,
            stat.S_IFSOCK,
        ):
            links[_inode(visit)] = path


def _content(upper: Upper, visit: Visit, path: bytes) -> Iterator[bytes]:
    kind = stat.S_IFMT(visit.status.st_mode)
    if kind == stat.S_IFDIR:
        yield from _directory(upper, visit, path)
    elif kind == stat.S_IFREG:
        yield from _file(visit, path)
    elif kind in _NODES:
        yield header(_node(visit, path, _NODES[kind]))


def _checked(visit: Visit) -> bytes:
    path = visit.path
    if visit.name.startswith(_WHITEOUT):
        raise InvalidArgument(
            f"{show(path)} cannot be part of an image: names that begin with '.wh.' mean deletions there; rename it"
        )
    if len(path) + len(_WHITEOUT) > PATH_LIMIT:
        raise InvalidArgument(f"{show(path)} cannot be part of an image: its path is too long; move it up")
    return path


def _directory(upper: Upper, visit: Visit, path: bytes) -> Iterator[bytes]:
    with opened(visit) as fd:
        yield header(_entry(path + b"/", Kind.DIRECTORY, os.fstat(fd), xattrs_of(fd)))
        opaque = is_opaque(fd)
    found = upper.lower.lookup(path) if opaque else None
    if found is not None and stat.S_ISDIR(found.status.st_mode):
        yield _mark(path + b"/" + _OPAQUE)


def _file(visit: Visit, path: bytes) -> Iterator[bytes]:
    with opened(visit) as fd:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return
        marks_of(fd)
        yield header(_entry(path, Kind.FILE, status, xattrs_of(fd)))
        left = status.st_size
        while left and (data := os.read(fd, min(left, CHUNK))):
            left -= len(data)
            yield data
        while left:  # somebody has cut it off since
            yield bytes(min(left, CHUNK))
            left -= min(left, CHUNK)
    yield padding(status.st_size)


def _node(visit: Visit, path: bytes, kind: Kind) -> Entry:
    xattrs = xattrs_of(b"/proc/self/fd/%d/%s" % (visit.directory, visit.name))
    entry = _entry(path, kind, visit.status, xattrs)
    if kind is Kind.SYMLINK:
        entry.link = os.readlink(visit.name, dir_fd=visit.directory)
    elif kind is not Kind.FIFO:
        entry.major, entry.minor = os.major(visit.status.st_rdev), os.minor(visit.status.st_rdev)
    return entry


def _entry(name: bytes, kind: Kind, status: os.stat_result, xattrs: dict[bytes, bytes]) -> Entry:
    size = status.st_size if kind is Kind.FILE else 0
    mode = stat.S_IMODE(status.st_mode)
    return Entry(name, kind, mode, status.st_uid, status.st_gid, size, status.st_mtime_ns, xattrs=xattrs)


def _mark(name: bytes) -> bytes:
    return header(Entry(name, Kind.FILE, 0, 0, 0, 0, 0))


def _inode(visit: Visit) -> tuple[int, int]:
    return visit.status.st_dev, visit.status.st_ino
