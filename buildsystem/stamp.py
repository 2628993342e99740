"""Write down what the package is built from and when: ``docker version`` tells it.

python buildsystem/stamp.py [FOLDER]        (default: src/wherry/_bin)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "src" / "wherry" / "_bin"
NAME = "build.json"


def commit() -> str:
    """The commit that is checked out, with ``-dirty`` where files of it are changed; "" where this is no checkout."""
    if not (ROOT / ".git").exists():
        return ""
    command = [
        "git",
        "-c",
        "safe.directory=*",
        "-C",
        str(ROOT),
        "describe",
        "--always",
        "--dirty",
        "--abbrev=40",
    ]
    command += ["--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def write(folder: Path = FOLDER) -> Path:
    """Make the file; one of the same commit keeps its time. ``SOURCE_DATE_EPOCH`` is the time where it is given."""
    path, built_from = folder / NAME, commit()
    try:
        if json.loads(path.read_text())["commit"] == built_from:
            return path
    except (OSError, ValueError, KeyError, TypeError):
        pass
    folder.mkdir(parents=True, exist_ok=True)
    when = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    path.write_text(json.dumps({"commit": built_from, "time": when}) + "\n")
    return path


if __name__ == "__main__":
    write(*(Path(argument).absolute() for argument in sys.argv[1:2]))
