"""What an archive says of directories that is carried out only when it has ended."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.content.tar import Entry


class Note:
    """Of one name: attributes, if it is a directory; whether that hides what lies below in it; whether what lies
    below under the name itself is hidden."""

    __slots__ = ("attributes", "below", "opaque", "whiteout")

    def __init__(self) -> None:
        self.attributes: Entry | None = None
        self.opaque = self.whiteout = False
        self.below: dict[bytes, Note] = {}

    def child(self, name: bytes) -> Note:
        """The note of a name in this directory, a new one if there is none."""
        note = self.below.get(name)
        if note is None:
            note = self.below[name] = Note()
        return note


class Notes:
    """A tree of notes, by real paths. What it costs to find or to forget one grows with its own path alone."""

    def __init__(self) -> None:
        self.root = Note()

    def at(self, path: bytes) -> Note:
        """The note of a path, a new one if there is none."""
        note = self.root
        for name in path.split(b"/") if path else ():
            note = note.child(name)
        return note

    def hide(self, path: bytes, *, inside: bool = False) -> bool:
        """Whether a path is hidden of what lies below; ``inside``: what is in that directory."""
        note: Note | None = self.root
        for name in path.split(b"/") if path else ():
            assert note is not None
            if note.opaque:
                return True
            note = note.below.get(name)
            if note is None:
                return False
            if note.whiteout:
                return True
        return inside and note is not None and note.opaque

    def forget(self, path: bytes) -> None:
        """What was noted of a directory that is gone, and of all in it. What hides its name still does."""
        note = self.at(path)
        note.attributes, note.opaque, note.below = None, False, {}

    def walk(self) -> Iterator[tuple[bytes, Note]]:
        """All notes with their paths, parents first. What is changed in a note on the way counts for those below."""
        pending = [(b"", self.root)]
        while pending:
            path, note = pending.pop()
            yield path, note
            prefix = path + b"/" if path else b""
            pending += [(prefix + name, below) for name, below in sorted(note.below.items(), reverse=True)]
