"""Run in a mount namespace of its own: writes at random in mounted trees, and says what a reader sees then.

Standard input: JSON with the directory of the layers and, for each tree, lower names and, where it is to be written
in, upper, work, options and seed. Output: for each tree a JSON line with its listing and the changes as dockerd finds
them, by comparing the two mounted trees (moby, pkg/archive/changes.go).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

NAMES = "abc"


def mount(options: str, target: str) -> None:
    os.makedirs(target, exist_ok=True)
    subprocess.run(["mount", "-t", "overlay", "-o", options, "none", target], check=True)


def scribble(rng: random.Random, top: Path) -> None:
    operations: list[Callable[[random.Random, Path], None]] = [
        write, write, append, open_to_write, remove, remove, make_directory, make_directory, link, symlink, move, chmod,
        refill, node,
    ]  # fmt: skip
    for _ in range(rng.randrange(1, 12)):
        try:
            rng.choice(operations)(rng, top)
        except OSError:
            continue  # a name in the way, or none there: the next one


def some(rng: random.Random, top: Path) -> Path:
    return top.joinpath(*[rng.choice(NAMES) for _ in range(rng.randrange(1, 4))])


def write(rng: random.Random, top: Path) -> None:
    some(rng, top).write_bytes(rng.randbytes(rng.randrange(4)))


def append(rng: random.Random, top: Path) -> None:
    with some(rng, top).open("r+b") as file:
        file.seek(0, 2)
        file.write(b"more")


def open_to_write(rng: random.Random, top: Path) -> None:
    with some(rng, top).open("r+b"):
        pass


def remove(rng: random.Random, top: Path) -> None:
    path = some(rng, top)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def make_directory(rng: random.Random, top: Path) -> None:
    some(rng, top).mkdir(parents=True)


def refill(rng: random.Random, top: Path) -> None:
    """A directory gone and there again, which overlayfs marks opaque."""
    path = some(rng, top)
    shutil.rmtree(path)
    path.mkdir()
    if rng.random() < 0.5:
        (path / rng.choice(NAMES)).write_bytes(b"again")


def link(rng: random.Random, top: Path) -> None:
    os.link(some(rng, top), some(rng, top), follow_symlinks=False)


def symlink(rng: random.Random, top: Path) -> None:
    some(rng, top).symlink_to(rng.choice(["a", "/b", "../c", "nowhere"]))


def node(rng: random.Random, top: Path) -> None:
    os.mknod(some(rng, top), rng.choice([stat.S_IFIFO, stat.S_IFCHR]) | 0o600, os.makedev(1, 3))


def move(rng: random.Random, top: Path) -> None:
    os.rename(some(rng, top), some(rng, top))


def chmod(rng: random.Random, top: Path) -> None:
    path = some(rng, top)
    if not path.is_symlink():
        path.chmod(rng.choice([0o700, 0o755, 0o644]))


def listing(top: str) -> dict[str, list[object]]:
    """All that tells one file from another, by path."""
    found = {}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            content = os.readlink(path) if stat.S_ISLNK(status.st_mode) else ""
            if stat.S_ISREG(status.st_mode):
                content = Path(path).read_bytes().hex()
            found[path[len(top) :]] = [
                status.st_mode, status.st_uid, status.st_gid, status.st_rdev, content, status.st_mtime_ns,
            ]  # fmt: skip
    return found


def compare(old: dict[str, list[object]], new: dict[str, list[object]]) -> list[str]:
    """What dockerd's naive diff says of two trees, sorted."""
    said = {path: "A" for path in new if path not in old}
    for path in new.keys() & old.keys():
        directory = stat.S_ISDIR(int(str(new[path][0])))
        relevant = slice(0, 4) if directory else slice(0, 6)
        if old[path][relevant] != new[path][relevant]:
            said[path] = "C"
    for path in old.keys() - new.keys():
        above = os.path.dirname(path)
        if above == "/" or (above in new and stat.S_ISDIR(int(str(new[above][0])))):
            said[path] = "D"
    for path in list(said):
        while (path := os.path.dirname(path)) != "/":
            said.setdefault(path, "C")
    return sorted(f"{kind} {path}" for path, kind in said.items())


def main() -> None:
    request = json.load(sys.stdin)
    os.chdir(request["layers"])
    for tree in request["trees"]:
        lower = ":".join(tree["lower"])
        mount(f"lowerdir={lower}:empty", "../below")
        seen = listing("../below")
        said = []
        if "seed" in tree:
            options = f"lowerdir={lower},upperdir={tree['upper']},workdir={tree['work']},{tree['options']}"
            mount(options, "../merged")
            scribble(random.Random(tree["seed"]), Path("../merged"))
            before, seen = seen, listing("../merged")
            said = compare(before, seen)
            subprocess.run(["umount", "../merged"], check=True)
        subprocess.run(["umount", "../below"], check=True)
        print(json.dumps({"changes": said, "listing": seen}))


if __name__ == "__main__":
    main()
