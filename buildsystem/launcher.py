"""Compile ``native/`` into the static launcher.

    python buildsystem/launcher.py [OUTPUT]        (default: src/wherry/_bin/wherry-launcher)

The compiler is ``$CC``, or the first of musl-gcc, gcc and cc that links a static program against the kernel's
headers here, or the one in the ``ziglang`` package. musl comes first: its static programs are smallest,
and one stays in memory with every container.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "native"
OUTPUT = ROOT / "src" / "wherry" / "_bin" / "wherry-launcher"
FLAGS = ("-O2", "-Wall", "-Wextra", "-Werror", "-static", "-s")
PROBE = "#include <linux/openat2.h>\n#include <linux/mount.h>\nint main(void) { return 0; }\n"


def sources() -> list[Path]:
    """Everything that the binary is made of, headers included."""
    return sorted([*SOURCES.glob("*.c"), *SOURCES.glob("*.h")])


def musl_gcc() -> list[str]:
    """musl-gcc sees only musl's headers; the kernel's come behind them, so that musl's win."""
    multiarch = f"/usr/include/{platform.machine()}-linux-gnu"
    return ["musl-gcc", "-idirafter", "/usr/include", "-idirafter", multiarch]


def zig() -> list[str]:
    return [sys.executable, "-m", "ziglang", "cc", "-target", f"{platform.machine()}-linux-musl"]


def candidates() -> Iterator[list[str]]:
    if os.environ.get("CC"):
        yield shlex.split(os.environ["CC"])
        return
    for name, command in (("musl-gcc", musl_gcc()), ("gcc", ["gcc"]), ("cc", ["cc"])):
        if shutil.which(name):
            yield command


def works(compiler: list[str]) -> bool:
    """Can it link a static program that uses the kernel's headers?"""
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder, "probe.c")
        probe.write_text(PROBE)
        command = [*compiler, *FLAGS, str(probe), "-o", f"{folder}/probe"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def system_compiler() -> list[str] | None:
    """The machine's own C compiler, or None where there is none that will do."""
    return next((c for c in candidates() if works(c)), None)


def compiler() -> list[str]:
    found = system_compiler()
    if found is None and find_spec("ziglang"):
        found = zig()
    if found is None:
        raise SystemExit("No C compiler for the launcher: install gcc and libc6-dev, or pip install ziglang.")
    return found


def stale(output: Path) -> bool:
    """Is the binary missing, or older than a source?"""
    if not output.exists():
        return True
    made = output.stat().st_mtime_ns
    return any(s.stat().st_mtime_ns > made for s in [*sources(), Path(__file__)])


def build(output: Path = OUTPUT) -> Path:
    """Make the launcher at ``output``; nothing is done where it is newer than its sources."""
    files = [str(s) for s in sources() if s.suffix == ".c"]
    if not files:
        raise SystemExit(f"No launcher sources in {SOURCES}")
    if stale(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        draft = output.with_name(f".{output.name}.{os.getpid()}")
        command = [*compiler(), *FLAGS, f"-I{SOURCES}", *files, "-o", str(draft)]
        print("launcher:", shlex.join(command), file=sys.stderr)
        try:
            subprocess.run(command, check=True)
            draft.chmod(0o755)
            draft.replace(output)
        finally:
            draft.unlink(missing_ok=True)
    return output


if __name__ == "__main__":
    build(*(Path(argument).absolute() for argument in sys.argv[1:2]))
