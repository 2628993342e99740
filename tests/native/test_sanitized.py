"""All the tests with real containers once more, by a launcher that is built with sanitizers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.native.probe import FLAGS, NATIVE

ROOT = NATIVE.parent
OPTIONS = """
const char *__asan_default_options(void) { return "log_path=%s:detect_leaks=0:abort_on_error=1"; }
const char *__ubsan_default_options(void) { return "log_path=%s:halt_on_error=1:print_stacktrace=1"; }
"""


@pytest.mark.slow
def test_nothing_for_the_sanitizers(tmp_path: Path) -> None:
    reports, binary, options = tmp_path / "report", tmp_path / "launcher", tmp_path / "options.c"
    options.write_text(OPTIONS % (reports, reports))
    sources = sorted(NATIVE.glob("*.c"))
    subprocess.run(["gcc", *FLAGS, f"-I{NATIVE}", *sources, options, "-o", binary], check=True)
    tests = sorted((ROOT / "tests" / "runtime").glob("test_launcher*.py"))
    memory = "tests/runtime/test_launcher.py::test_memory_of_an_idle_monitor"  # a sanitizer takes much more
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "not slow", f"--deselect={memory}", *tests],
        cwd=ROOT,
        env={**os.environ, "WHERRY_TEST_LAUNCHER": str(binary)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert list(tmp_path.glob("report*")) == []
    assert done.returncode == 0, done.stdout[-4000:]
