"""Writing a layer's entries as the directory tree that overlayfs takes for a lower layer.

OCI image-spec, layer.md: "Applying Changesets", "Whiteouts". An archive is hostile until it has been read:
every file is made relative to the descriptor of its directory; directories are opened one component at a
time and never through a symlink; a symlink on the way is resolved inside the image, as a container would.
The tree lies in a directory that nobody else can enter, and is moved into place only when it is whole.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from errno import E2BIG, EFBIG, EINVAL, EISDIR, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, ERANGE
from pathlib import Path

from wherry.content.names import Whiteout, clean, show, split_whiteout
from wherry.content.tar import Entry, Kind
from wherry.errors import Internal, InvalidArgument
from wherry.linux.openat2 import BENEATH, NO_SYMLINKS, openat2
from wherry.linux.trees import remove_tree
from wherry.linux.walk import DIRECTORY
from wherry.snapshot.files import (
    checked,
    copy_content,
    set_attributes,
    set_attributes_of_link,
    set_attributes_of_name,
    umask,
    write,
    write_sparse,
    xattrs_of,
)
from wherry.snapshot.lower import OPAQUE, Found, Lower
from wherry.snapshot.merged import Merged, inherited
from wherry.snapshot.notes import Note

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DIRECTORIES = 128
_SIZE_LIMIT = (
    1 << 55
)  # bytes; holes count, and the sizes of all layers together are a number of 64 bits for clients
_WALKED = frozenset({ENOENT, ENOTDIR, ELOOP})  # a step is missing or a symlink: to be looked at one by one
_ARCHIVE_FAULTS = frozenset({E2BIG, EFBIG, EINVAL, EISDIR, ELOOP, ENAMETOOLONG, ENOTDIR, ERANGE})


class LayerTree:
    """One layer under construction in ``root``, an empty directory, on top of ``lower``.

    ``add`` every entry in order, then ``finish``; ``close`` in any case. ``size`` counts the bytes of regular
    files. Raises InvalidArgument for what is wrong with the archive and Internal for what is with the host.
    """

    def __init__(self, root: Path, lower: Lower) -> None:
        self.size = 0
        self._root = os.open(root, DIRECTORY)
        self._merged = Merged(self._root, lower)
        self._dirs: dict[bytes, int] = {b"": self._root}  # as spelled in the archive → descriptor
        self._aliases: dict[bytes, bytes] = {}  # spelled through symlinks → real
        self._notes = self._merged.notes
        self._umask = umask()

    def close(self) -> None:
        """Close the directories that are open. The tree stays."""
        self._forget_directories()
        os.close(self._root)

    def add(self, entry: Entry, content: Iterable[memoryview] = ()) -> None:
        """Make the entry's file; a whiteout is kept for ``finish``. OCI image-spec, layer.md "Whiteouts"."""
        path = clean(entry.name)
        try:
            if b".wh." in path and (whiteout := split_whiteout(path)):
                self._note_whiteout(whiteout)
            elif not path:
                self._add_root(entry)
            else:
                self._make(path, entry, content)
        except (OSError, OverflowError) as error:
            raise _failure(entry.name, error) from error

    def finish(self) -> None:
        """Whiteouts, opaque marks and the attributes of directories, which further entries would change."""
        try:
            if self._notes.root.attributes is None:
                self._notes.root.attributes = inherited(self._merged.below(b""), b"")
            self._hide_root()
            for path, note in self._notes.walk():
                self._settle(path, note)
        except OSError as error:
            raise _failure(b"its directories", error) from error

    # --- entries

    def _add_root(self, entry: Entry) -> None:
        if entry.kind is not Kind.DIRECTORY:
            raise InvalidArgument("the archive replaces the root directory by something else")
        self._notes.root.attributes = checked(entry)

    def _make(self, path: bytes, entry: Entry, content: Iterable[memoryview]) -> None:
        parent, _, base = path.rpartition(b"/")
        directory = self._dirs.get(parent)
        if directory is None:
            directory = self._directory(parent)
        kind = entry.kind
        if kind is Kind.FILE:
            self._make_file(directory, parent, base, entry, content)
        elif kind is Kind.DIRECTORY:
            self._make_directory(directory, parent, base, entry)
        elif kind is Kind.SYMLINK:
            self._make_symlink(directory, parent, base, entry)
        elif kind is Kind.HARDLINK:
            self._make_hardlink(parent, base, entry)
        else:
            self._make_node(directory, parent, base, entry)

    def _make_file(
        self, directory: int, parent: bytes, base: bytes, entry: Entry, content: Iterable[memoryview]
    ) -> None:
        mode = entry.mode
        try:
            fd = os.open(base, _CREATE, mode & 0o777, dir_fd=directory)
        except FileExistsError:
            self._replace(directory, parent, base)
            fd = os.open(base, _CREATE, mode & 0o777, dir_fd=directory)
        try:
            if entry.extents is None:
                for span in content:
                    write(fd, span)
            else:
                write_sparse(fd, entry, content)
            if entry.uid or entry.gid or entry.xattrs or mode & ~0o777 or mode & self._umask:
                set_attributes(fd, checked(entry), mode)
            else:
                os.utime(fd, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(fd)
        self._count(entry.size)

    def _make_directory(self, directory: int, parent: bytes, base: bytes, entry: Entry) -> None:
        try:
            os.mkdir(base, 0o700, dir_fd=directory)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(base, dir_fd=directory, follow_symlinks=False).st_mode):
                self._replace(directory, parent, base)
                os.mkdir(base, 0o700, dir_fd=directory)
        self._notes.at(self._real(parent, base)).attributes = checked(entry)
        self._forget_aliases()

    def _make_symlink(self, directory: int, parent: bytes, base: bytes, entry: Entry) -> None:
        if not entry.link or b"\0" in entry.link:
            raise InvalidArgument(f"the archive has a symlink without a usable target: {show(entry.name)}")
        try:
            os.symlink(entry.link, base, dir_fd=directory)
        except FileExistsError:
            self._replace(directory, parent, base)
            os.symlink(entry.link, base, dir_fd=directory)
        set_attributes_of_name(directory, base, entry)
        self._forget_aliases()

    def _make_hardlink(self, parent: bytes, base: bytes, entry: Entry) -> None:
        target, _, name = clean(entry.link).rpartition(b"/")
        self._directory(target)
        real = self._real(target, name)
        if real == self._real(parent, base):
            return  # a link to itself changes nothing
        try:
            self._link(real, parent, base, entry)
        except FileExistsError:
            self._replace(self._directory(parent), parent, base)
            self._link(real, parent, base, entry)

    def _link(self, real: bytes, parent: bytes, base: bytes, entry: Entry) -> None:
        above, _, name = real.rpartition(b"/")
        self._find_link_target(real, entry)
        source = os.dup(self._directory(above))  # opening the other directory may close the first
        try:
            directory = self._directory(parent)
            os.link(name, base, src_dir_fd=source, dst_dir_fd=directory, follow_symlinks=False)
            set_attributes_of_link(directory, base, entry)
        except PermissionError as error:
            raise InvalidArgument(
                f"hard link {show(entry.name)}: {show(entry.link)} cannot be linked to"
            ) from error
        finally:
            os.close(source)

    def _make_node(self, directory: int, parent: bytes, base: bytes, entry: Entry) -> None:
        if entry.kind is Kind.CHAR and entry.major == entry.minor == 0:
            self._notes.at(self._real(parent, base)).whiteout = True  # overlay's own spelling of one
            return
        types = {Kind.CHAR: stat.S_IFCHR, Kind.BLOCK: stat.S_IFBLK, Kind.FIFO: stat.S_IFIFO}
        mode = types[entry.kind] | entry.mode
        device = os.makedev(entry.major, entry.minor)
        try:
            os.mknod(base, mode, device, dir_fd=directory)
        except FileExistsError:
            self._replace(directory, parent, base)
            os.mknod(base, mode, device, dir_fd=directory)
        set_attributes_of_name(directory, base, entry)

    # --- directories

    def _directory(self, path: bytes) -> int:
        """The descriptor of a directory of this tree, made where it is only implied. It stays ours."""
        fd = self._dirs.get(path)
        if fd is not None:
            return fd
        parent, _, base = path.rpartition(b"/")
        known = self._dirs.get(parent)
        if known is not None:
            try:
                fd = os.open(base, DIRECTORY, dir_fd=known)
            except (FileNotFoundError, NotADirectoryError):
                pass  # implied, or a symlink is on the way
            else:
                if parent in self._aliases:
                    self._aliases[path] = self._real(parent, base)
                return self._remember(path, fd)
        real, fd = self._entered(path)
        if real != path:
            self._aliases[path] = real
        return self._remember(path, fd)

    def _entered(self, path: bytes) -> tuple[bytes, int]:
        """The real path and a descriptor: at once where all of it is there without a symlink."""
        try:
            return path, openat2(self._root, path, DIRECTORY, BENEATH | NO_SYMLINKS)
        except OSError as error:
            if error.errno not in _WALKED:
                raise
        return self._merged.enter(path)

    def _remember(self, path: bytes, fd: int) -> int:
        if len(self._dirs) >= _OPEN_DIRECTORIES:
            for old in list(self._dirs)[1 : _OPEN_DIRECTORIES // 2]:
                os.close(self._dirs.pop(old))
        self._dirs[path] = fd
        return fd

    def _forget_directories(self) -> None:
        del self._dirs[b""]
        for fd in self._dirs.values():
            os.close(fd)
        self._dirs = {b"": self._root}
        self._aliases.clear()

    def _forget_aliases(self) -> None:
        """A new directory or symlink may stand where a path was followed before."""
        if self._aliases:
            self._forget_directories()

    def _real(self, parent: bytes, base: bytes) -> bytes:
        parent = self._aliases.get(parent, parent)
        return parent + b"/" + base if parent else base

    # --- hard links

    def _find_link_target(self, real: bytes, entry: Entry) -> None:
        """Make sure that this tree has it; a file that only a layer below has is copied up first."""
        if self._merged.lstat(real) is not None:
            return
        found = self._merged.below(real)
        if found is None or not stat.S_ISREG(found.status.st_mode):
            raise InvalidArgument(
                f"hard link {show(entry.name)}: its target {show(entry.link)} is not in the image"
            )
        self._copy_up(found, real)

    def _copy_up(self, found: Found, real: bytes) -> None:
        parent, _, base = real.rpartition(b"/")
        source = found.open_file()
        try:
            fd = os.open(base, _CREATE, 0o600, dir_fd=self._directory(parent))
            try:
                copy_content(source, fd)
                status = found.status
                copy = Entry(
                    real, Kind.FILE, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, 0, 0
                )
                copy.mtime, copy.xattrs = status.st_mtime_ns, xattrs_of(source)
                set_attributes(fd, copy, copy.mode)
            finally:
                os.close(fd)
        finally:
            os.close(source)
        self._count(found.status.st_size)

    def _count(self, size: int) -> None:
        self.size += size
        if self.size > _SIZE_LIMIT:
            raise InvalidArgument(f"the archive's files are larger than {_SIZE_LIMIT} bytes together")

    # --- replacing and hiding

    def _replace(self, directory: int, parent: bytes, base: bytes) -> None:
        """Make room for an entry of the same name: the later one wins, whatever the types.

        ``directory`` stays open; other cached descriptors go, for what they were found through may be gone.
        """
        if not stat.S_ISDIR(os.stat(base, dir_fd=directory, follow_symlinks=False).st_mode):
            os.unlink(base, dir_fd=directory)
            if not self._aliases:
                return
        else:
            remove_tree(base, dir_fd=directory)
            self._notes.forget(self._real(parent, base))
        for path in [path for path in self._dirs if path not in (b"", parent)]:
            os.close(self._dirs.pop(path))
        self._aliases = {path: to for path, to in self._aliases.items() if path == parent}

    def _note_whiteout(self, whiteout: Whiteout) -> None:
        if whiteout.ignored:
            return
        self._directory(whiteout.parent)
        real = self._aliases.get(whiteout.parent, whiteout.parent)
        note = self._notes.at(real)
        if whiteout.opaque:
            note.opaque = True
        else:
            note.child(whiteout.name).whiteout = True

    def _hide_root(self) -> None:
        """Overlayfs knows no opaque root: each name that the layers below show there is hidden by itself."""
        root = self._notes.root
        if root.opaque:
            root.opaque = False
            for name in self._merged.lower.names(b""):
                root.child(name).whiteout = True

    def _settle(self, path: bytes, note: Note) -> None:
        """Carry out what was noted of a directory, in the order in which one thing would undo the other."""
        hidden = [name for name, below in note.below.items() if below.whiteout]
        if not (hidden or note.opaque or note.attributes):
            return
        directory = self._directory(path)
        if hidden:
            self._apply_whiteouts(path, note, directory, hidden)
        if note.opaque:
            os.setxattr(directory, OPAQUE, b"y")
        if note.attributes:
            set_attributes(directory, note.attributes, note.attributes.mode)

    def _apply_whiteouts(self, path: bytes, note: Note, directory: int, names: list[bytes]) -> None:
        """Hide what lies below; this layer's own files of these names stay (layer.md "Whiteouts").

        Where nothing lies below, no mark is made: in a directory that is not merged it would be seen.
        """
        level = self._merged.level(path)
        try:
            for name in names:
                try:
                    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
                except FileNotFoundError:
                    if level.find(name) is not None:
                        os.mknod(name, stat.S_IFCHR, 0, dir_fd=directory)
                    continue
                if stat.S_ISDIR(status.st_mode):
                    note.below[name].opaque = True
        finally:
            level.close()


def _failure(name: bytes, error: OSError | OverflowError) -> InvalidArgument | Internal:
    code = error.errno if isinstance(error, OSError) else EINVAL
    reason = os.strerror(code or EINVAL)
    if code in _ARCHIVE_FAULTS:
        return InvalidArgument(f"the archive's {show(name)} cannot be made: {reason}")
    return Internal(f"cannot write the layer's {show(name)}: {reason}")
