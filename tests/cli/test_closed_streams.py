"""Streams that the caller has closed, and removing what is gone."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from tests.harness.daemon import Daemon


def shell(daemon: Daemon, command: str, redirection: str) -> subprocess.CompletedProcess[str]:
    line = f"{shlex.join(daemon.wherry_argv(*command.split()))} {redirection}"
    return subprocess.run(
        ["sh", "-c", line],
        env=daemon.client_environment(),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_a_closed_stdin_has_an_end(daemon: Daemon) -> None:
    done = shell(daemon, "run --rm -i busybox cat", "<&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(("redirection", "told"), [(">&-", False), ("2>&-", True)])
def test_closed_output_is_no_failure(daemon: Daemon, redirection: str, told: bool) -> None:
    done = shell(daemon, "ps", redirection)
    assert (done.returncode, done.stdout.startswith("CONTAINER ID"), done.stderr) == (0, told, "")


def test_forced_removal_of_what_is_gone_is_said_and_no_failure(daemon: Daemon) -> None:
    forced, plain = daemon.wherry("rm", "-f", "nope", check=False), daemon.wherry("rm", "nope", check=False)
    assert (forced.returncode, plain.returncode) == (0, 1)
    assert "No such container: nope" in forced.stderr and "No such container: nope" in plain.stderr
