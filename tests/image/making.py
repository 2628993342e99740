"""Archives made by hand, and trees described so that two can be compared."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wherry.snapshot.layers import Layer, LayerStore


def member(name: str, kind: bytes = tarfile.REGTYPE, **attributes: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    info.mtime = 1_700_000_000
    for key, value in attributes.items():
        setattr(info, key, value)
    return info


Member = tuple[tarfile.TarInfo, bytes]


def file(name: str, content: bytes = b"", **attributes: object) -> Member:
    return member(name, size=len(content), **attributes), content


def directory(name: str, **attributes: object) -> Member:
    return member(name, tarfile.DIRTYPE, **attributes), b""


def symlink(name: str, target: str, **attributes: object) -> Member:
    return member(name, tarfile.SYMTYPE, linkname=target, **attributes), b""


def hardlink(name: str, target: str, **attributes: object) -> Member:
    return member(name, tarfile.LNKTYPE, linkname=target, **attributes), b""


def tar(*members: Member, format: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format, errors="surrogateescape") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def in_chunks(data: bytes, size: int = 1 << 16) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def unpack(store: LayerStore, *archives: bytes) -> list[Layer]:
    """The archives as layers on top of each other, committed."""
    layers: list[Layer] = []
    with store.batch() as batch:
        for archive in archives:
            layers.append(batch.unpack(in_chunks(archive), layers))
        batch.commit()
    return layers


@dataclass(frozen=True)
class Node:
    """All that tells one file from another."""

    mode: int
    owner: tuple[int, int]
    mtime: int
    content: object
    xattrs: dict[str, bytes] = field(default_factory=dict)


def describe(root: Path, *, ignore_root: bool = False) -> dict[bytes, Node]:
    """Every file below ``root`` by relative path; hard links show the first of their names."""
    top = os.fsencode(root)
    firsts: dict[int, bytes] = {}
    found = {} if ignore_root else {b".": _node(top, b".", firsts)}
    for folder, folders, files in os.walk(top):
        for name in sorted(folders + files):
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, top)
            found[relative] = _node(path, relative, firsts)
    return found


def _node(path: bytes, relative: bytes, firsts: dict[int, bytes]) -> Node:
    status = os.lstat(path)
    content: object = None
    if stat.S_ISREG(status.st_mode):
        content = (Path(os.fsdecode(path)).read_bytes(), firsts.setdefault(status.st_ino, relative))
    elif stat.S_ISLNK(status.st_mode):
        content = os.readlink(path)
    elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        content = status.st_rdev
    xattrs = {name: os.getxattr(path, name, follow_symlinks=False) for name in _xattr_names(path)}
    return Node(status.st_mode, (status.st_uid, status.st_gid), status.st_mtime_ns, content, xattrs)


def _xattr_names(path: bytes) -> list[str]:
    return sorted(os.listxattr(path, follow_symlinks=False))


# --- whole images


def config(diff_ids: Sequence[str], **fields: object) -> bytes:
    document = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2024-05-06T07:08:09.123456789Z",
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"], "Labels": {"made": "by hand"}},
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        "history": [
            {"created": "2024-05-06T07:08:09Z", "created_by": f"layer {n}"} for n in range(len(diff_ids))
        ],
        "vendor.extension": True,
    }
    return json.dumps({**document, **fields}).encode()


def docker_archive(
    layers: Sequence[bytes],
    tags: Sequence[str] | None,
    *,
    compress: bool = False,
    manifest_first: bool = False,
) -> bytes:
    """As docker before 25 and podman write it."""
    document = config([sha256(layer) for layer in layers])
    config_name = sha256(document)[7:] + ".json"
    names = [f"{sha256(layer)[7:]}/layer.tar" for layer in layers]
    manifest = json.dumps([{"Config": config_name, "RepoTags": tags, "Layers": names}]).encode()
    blobs = [gzip.compress(layer, 6) if compress else layer for layer in layers]
    members = [file(config_name, document)]
    members += [file(name, blob) for name, blob in zip(names, blobs, strict=True)]
    listing = file("manifest.json", manifest)
    return tar(*([listing, *members] if manifest_first else [*members, listing]))


class Layout:
    """An OCI image layout under construction."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: list[dict[str, object]] = []

    def blob(self, data: bytes, media_type: str, **more: object) -> dict[str, object]:
        self.blobs[sha256(data)] = data
        return {"mediaType": media_type, "digest": sha256(data), "size": len(data), **more}

    def image(
        self, layers: Sequence[bytes], document: bytes | None = None, **more: object
    ) -> dict[str, object]:
        """A descriptor of an image whose layers are gzip compressed."""
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.blob(
                document or config([sha256(layer) for layer in layers]),
                "application/vnd.oci.image.config.v1+json",
            ),
            "layers": [
                self.blob(gzip.compress(layer), "application/vnd.oci.image.layer.v1.tar+gzip")
                for layer in layers
            ],
        }
        return self.blob(json.dumps(manifest).encode(), str(manifest["mediaType"]), **more)

    def index(self, manifests: Iterable[dict[str, object]], **more: object) -> dict[str, object]:
        media_type = "application/vnd.oci.image.index.v1+json"
        document = {"schemaVersion": 2, "mediaType": media_type, "manifests": list(manifests)}
        return self.blob(json.dumps(document).encode(), media_type, **more)

    def tar(self, *extra: Member) -> bytes:
        document = {"schemaVersion": 2, "manifests": self.manifests}
        return tar(
            directory("blobs"),
            directory("blobs/sha256"),
            *[file(f"blobs/sha256/{digest[7:]}", data) for digest, data in sorted(self.blobs.items())],
            file("index.json", json.dumps(document).encode()),
            file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
            *extra,
        )
