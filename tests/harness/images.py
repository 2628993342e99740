"""Images that tests, demo and benchmarks make themselves, since there is no registry to pull from."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import subprocess
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
CACHE = Path("/var/cache/wherry-test")
EPOCH = 1_700_000_000
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nbin:x:1:1:bin:/bin:/bin/false\n"
    "user:x:1000:1000::/home/user:/bin/sh\n",
    "etc/group": "root:x:0:\nbin:x:1:\nstaff:x:50:user\nuser:x:1000:\n",
    "etc/os-release": 'NAME="BusyBox"\nID=busybox\nPRETTY_NAME="BusyBox, static"\n',
}
FOLDERS = ("bin", "dev", "etc", "home", "home/user", "proc", "root", "sys", "tmp", "usr", "var", "var/tmp")


def entry(name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = kind, mode, EPOCH
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def add_file(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    tar.addfile(entry(name, mode=mode, size=len(content)), io.BytesIO(content))


def busybox_layer() -> bytes:
    """The root filesystem of a busybox image, as an uncompressed tar."""
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder in FOLDERS:
            mode = 0o1777 if folder.endswith("tmp") else 0o700 if folder == "root" else 0o755
            tar.addfile(entry(folder, tarfile.DIRTYPE, mode))
        add_file(tar, "bin/busybox", BUSYBOX.read_bytes(), 0o755)
        for applet in applets:
            if applet != "busybox":
                tar.addfile(entry(f"bin/{applet}", tarfile.SYMTYPE, 0o777, linkname="busybox"))
        for name, text in FILES.items():
            add_file(tar, name, text.encode())
    return out.getvalue()


def docker_archive(
    layers: Sequence[bytes],
    tags: Sequence[str],
    config: Mapping[str, object],
    created_by: Sequence[str] = (),
    os: str = "linux",
) -> bytes:
    """What ``docker save`` writes: layers (tars, perhaps gzipped), a config, and a manifest that ties them.
    ``created_by``: the command that made each layer, for its history."""
    commands = created_by or [f"layer {n}" for n in range(len(layers))]
    plain = [gzip.decompress(layer) if layer[:2] == b"\x1f\x8b" else layer for layer in layers]
    image = {
        "architecture": "amd64",
        "os": os,
        "created": "2023-11-14T22:13:20Z",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(p).hexdigest()}" for p in plain]},
        "history": [{"created": "2023-11-14T22:13:20Z", "created_by": command} for command in commands],
    }
    encoded = json.dumps(image).encode()
    names = [f"{n}/layer.tar" for n in range(len(layers))]
    config_name = f"{hashlib.sha256(encoded).hexdigest()}.json"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, layer in zip(names, layers, strict=True):
            add_file(tar, name, layer)
        add_file(tar, config_name, encoded)
        manifest = [{"Config": config_name, "RepoTags": list(tags), "Layers": names}]
        add_file(tar, "manifest.json", json.dumps(manifest).encode())
    return out.getvalue()


def busybox_archive(tag: str = "busybox:latest") -> bytes:
    """An image of static busybox whose command is a shell, as ``docker load`` takes it."""
    config = {"Cmd": ["sh"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}
    return docker_archive([busybox_layer()], [tag], config)


def large_layer(number: int, files: int, size: int) -> bytes:
    """A tar of ``files`` files, ``size`` bytes together, that compresses like programs and text do: about by half."""
    rng = random.Random(number)
    words = [rng.randbytes(8) for _ in range(256)]
    each = size // files
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for n in range(files):
            if n % 100 == 0:
                tar.addfile(entry(f"data/{number}/{n // 100}", tarfile.DIRTYPE, 0o755))
            half = rng.randbytes(each // 2)
            text = b"".join(rng.choices(words, k=(each - len(half)) // 8))
            add_file(tar, f"data/{number}/{n // 100}/file{n}", half + text)
    return out.getvalue()


def large_archive(tag: str, layers: int = 4, files: int = 10_000, size: int = 100_000_000) -> bytes:
    """An image of gzip layers, for measuring loads."""
    parts = [large_layer(n, files // layers, size // layers) for n in range(layers)]
    return docker_archive([gzip.compress(p, 6, mtime=0) for p in parts], [tag], {"Cmd": ["/bin/true"]})


def debian_mirror() -> str | None:
    """The mirror that this machine's own apt is set to use."""
    for source in [*Path("/etc/apt/sources.list.d").glob("*.sources"), Path("/etc/apt/sources.list")]:
        text = source.read_text() if source.exists() else ""
        for line in text.splitlines():
            words = line.split()
            if words[:1] == ["URIs:"]:
                return words[1]
            if words[:1] == ["deb"]:
                return next((w for w in words if "://" in w), None)
    return None


def debian_tar(packages: Iterable[str] = ()) -> Path | None:
    """A Debian root filesystem as a tar, by debootstrap, kept in a cache; None where no mirror can be reached."""
    target = CACHE / "-".join(["bookworm", *packages, "minbase.tar"])
    if target.exists():
        return target
    mirror = debian_mirror()
    if mirror is None:
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    tree = CACHE / f"tree.{os.getpid()}"
    include = [f"--include={','.join(packages)}"] if packages else []
    try:
        made = subprocess.run(
            [
                "unshare",
                "--mount",
                "--propagation",
                "private",
                "debootstrap",
                "--variant=minbase",
                *include,
                "bookworm",
                str(tree),
                mirror,
            ],
            capture_output=True,
        )
        if made.returncode != 0:
            return None
        draft = target.with_suffix(f".{os.getpid()}")
        clean = [
            "--exclude=./var/cache/apt/archives/*.deb",
            "--exclude=./var/lib/apt/lists/*",
            "--exclude=./dev/*",
        ]
        subprocess.run(
            ["tar", "-C", str(tree), *clean, "--numeric-owner", "-cf", str(draft), "."], check=True
        )
        draft.replace(target)
    finally:
        subprocess.run(["rm", "-rf", "--one-file-system", str(tree)], check=True)
    return target
