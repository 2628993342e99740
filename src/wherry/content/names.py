"""Names in layer archives: made clean, and told apart from whiteouts. OCI image-spec, layer.md "Whiteouts"."""

from __future__ import annotations

from typing import NamedTuple

from wherry.errors import InvalidArgument

PATH_LIMIT = 4095  # bytes, as the kernel's PATH_MAX without the NUL
_MARK = b".wh."
_OPAQUE = b".wh..wh..opq"


class Whiteout(NamedTuple):
    """What a marker says: ``name`` in ``parent`` is gone, or all that lies below in ``parent`` is (opaque)."""

    parent: bytes
    name: bytes
    opaque: bool = False
    ignored: bool = False  # bookkeeping of aufs, which nothing reads any more


def clean(name: bytes) -> bytes:
    """Relative to the image's root, without ``.`` and doubled or trailing slashes; ``b""`` is the root.

    A leading slash means the image's root, as Docker and containerd have it. InvalidArgument for ``..``,
    for an empty name, a NUL or a name longer than the kernel takes.
    """
    if name[-1:] == b"/":
        name = name.rstrip(b"/") or b"/"
    if not name or b"\0" in name or len(name) > PATH_LIMIT:
        raise InvalidArgument(f"the archive has an impossible file name: {show(name)}")
    if name[0] in b"./" or b"/." in name or b"//" in name:
        parts = [part for part in name.split(b"/") if part not in (b"", b".")]
        if b".." in parts:
            raise InvalidArgument(f"the archive points out of the image: {show(name)}")
        return b"/".join(parts)
    return name


def split_whiteout(path: bytes) -> Whiteout | None:
    """The whiteout that a clean path stands for; None for an ordinary file."""
    parent, _, base = path.rpartition(b"/")
    if b"/.wh..wh." in b"/" + path and base != _OPAQUE:
        return Whiteout(parent, base, ignored=True)
    if b"/.wh." in b"/" + parent:
        raise InvalidArgument(f"the archive uses a whiteout as a directory: {show(path)}")
    if base == _OPAQUE:
        return Whiteout(parent, b"", opaque=True)
    if not base.startswith(_MARK):
        return None
    name = base[len(_MARK) :]
    if name in (b"", b".", b".."):
        raise InvalidArgument(f"the archive has an impossible whiteout: {show(path)}")
    return Whiteout(parent, name)


def show(name: bytes) -> str:
    """A name for a message: quoted, short, with nothing that a terminal would act on."""
    text = repr(name.decode("utf-8", "backslashreplace"))
    return text if len(text) <= 200 else text[:197] + "..."
