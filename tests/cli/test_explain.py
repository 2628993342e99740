"""``explain`` of wherry's command line against a real daemon, and what it says when the kernel was tampered with."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.test_page import check_harmless
from tests.cli.test_plan import sections
from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually

HTTPD = "mkdir /www; echo hello >/www/index.html; exec httpd -f -p 80 -h /www"
LIMITS = ["--memory", "64m", "--pids-limit", "50", "-p", "18084:80"]


@pytest.fixture
def web(daemon: Daemon) -> Daemon:
    """A daemon whose container ``web`` has answered once."""
    daemon.docker("run", "-d", "--name", "web", *LIMITS, "busybox", "sh", "-c", HTTPD)
    ask = ["curl", "-sf", "http://127.0.0.1:18084/"]
    assert eventually(lambda: daemon.run_in_ns(ask, check=False).returncode == 0), (
        "the server does not answer"
    )
    return daemon


def pid_of(daemon: Daemon, name: str) -> int:
    return int(daemon.inspect(name)["State"]["Pid"])


def tamper(daemon: Daemon) -> None:
    """An address that nobody planned."""
    daemon.run_in_ns(
        [
            "nsenter",
            "-t",
            str(pid_of(daemon, "web")),
            "-n",
            "ip",
            "address",
            "add",
            "10.9.8.7/32",
            "dev",
            "eth0",
        ]
    )


def test_the_text_tells_what_the_kernel_holds(web: Daemon) -> None:
    text = web.wherry("explain", "web").stdout
    found = sections(text)
    assert text.startswith(f"web  (running, pid {pid_of(web, 'web')})\n")
    assert "No drift: the kernel holds what was planned." in text
    memory, processes = (
        next(x for x in found["LIMITS"] if x.startswith(f"  {n} ")) for n in ("memory", "processes")
    )
    assert "of 64 MiB" in memory and "--memory" in memory
    assert "1 of 50" in processes and "--pids-limit 50" in processes
    port = next(x for x in found["NETWORK"] if "18084" in x)
    assert "→ 172.17.0." in port and "0 packets" not in port and "-p 18084:80" in port
    assert all(len(line) <= 100 for line in text.splitlines())


def test_json_is_what_the_api_answers(web: Daemon) -> None:
    found = json.loads(web.wherry("explain", "--format", "json", "web").stdout)
    answer = web.api("GET", "/containers/web/explain").body
    assert found.keys() == answer.keys()
    assert found["Namespaces"] == answer["Namespaces"]


def test_the_page_has_the_names_that_the_kernel_has(web: Daemon, tmp_path: Path) -> None:
    target = tmp_path / "web.html"
    done = web.wherry("explain", "--html", target, "web")
    assert done.stdout == ""
    page = target.read_text()
    check_harmless(page)
    host_end = json.loads(web.wherry("explain", "--format", "json", "web").stdout)["Interfaces"][-1][
        "HostEnd"
    ]
    assert host_end in web.run_in_ns(["ip", "-o", "link"]).stdout
    for word in (host_end, "0.0.0.0:18084/tcp", "wherry0", "eth0"):
        assert f">{word}</text>" in page
    assert web.wherry("explain", "--html", "-", "web").stdout.startswith("<!doctype html>")


def test_a_page_that_cannot_be_written(web: Daemon) -> None:
    done = web.wherry("explain", "--html", "/nowhere/web.html", "web", check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "wherry: open /nowhere/web.html: no such file or directory\n",
    )


def test_a_page_has_the_containers_name_where_it_is_given_none(web: Daemon, tmp_path: Path) -> None:
    done = subprocess.run(
        web.wherry_argv("explain", "--html", "web"), env=web.client_environment(), cwd=tmp_path,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "web.html\n"
    check_harmless((tmp_path / "web.html").read_text())


def test_a_check_without_drift_says_nothing(web: Daemon) -> None:
    for words in (["web"], ["--all"]):
        done = web.wherry("explain", "--check", *words)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_check_with_drift_fails_and_says_only_that(web: Daemon) -> None:
    web.docker("run", "-d", "--name", "calm", "busybox", "sleep", "60")
    tamper(web)
    said = "web: address eth0 is 10.9.8.7/32, which was not planned\n"
    for words in (["web", "calm"], ["--all"]):
        done = web.wherry("explain", "--check", *words, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (1, said, "")
    assert web.wherry("explain", "--check", "calm").stdout == ""
    checked = json.loads(web.wherry("explain", "--check", "--all", "--format", "json", check=False).stdout)
    assert {one["Name"]: len(one["Drift"]) for one in checked} == {"web": 1, "calm": 0}


def test_drift_comes_first_in_text_and_page(web: Daemon) -> None:
    tamper(web)
    assert next(iter(sections("\n\n" + web.wherry("explain", "web").stdout.partition("\n\n")[2]))).startswith(
        "DRIFT"
    )
    page = web.wherry("explain", "--html", "-", "web").stdout
    assert page.index("10.9.8.7") < page.index('id="cost"')


KINDS = {
    "default": [],
    "privileged": ["--privileged"],
    "read-only with tmpfs and binds": ["--read-only", "--tmpfs", "/scratch", "-v", "/usr/share:/data:ro"],
    "host network": ["--network", "host"],
    "no network": ["--network", "none"],
    "limits and ports": [*LIMITS, "--cpus", "0.5", "--ulimit", "nofile=64:128"],
    "few rights": ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "-u", "1000"],
}


UNSAID = (
    "--ulimit",
    "--network",
)  # a line names the limit's cause in other words; one cause stands for all namespaces


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_every_kind_of_container_is_as_planned_and_can_be_shown(daemon: Daemon, options: list[str]) -> None:
    daemon.docker("run", "-d", "--name", "it", *options, "busybox", "sleep", "60")
    done = daemon.wherry("explain", "--check", "it", check=False)
    assert (done.returncode, done.stdout) == (0, "")
    text = daemon.wherry("explain", "it").stdout
    assert "not in the plan" not in text
    for option in options:
        if option.startswith("--") and "none" not in options:  # one cause stands for all new namespaces
            assert option in text
    check_harmless(daemon.wherry("explain", "--html", "-", "it").stdout)


def test_the_filter_is_read_from_the_kernel_where_that_is_asked_for(web: Daemon) -> None:
    assert "from the plan's program" in " ".join(web.wherry("explain", "web").stdout.split())
    said = " ".join(web.wherry("explain", "--filter", "web").stdout.split())
    assert "read from the kernel" in said and "the kernel's program and the plan's are the same" in said


def test_an_unknown_container_is_one_line_and_the_others_are_checked(web: Daemon) -> None:
    tamper(web)
    said = "wherry: Error response from daemon: No such container: nobody\n"
    for words in (["nobody"], ["--html", "-", "nobody"]):
        done = web.wherry("explain", *words, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
    done = web.wherry("explain", "--check", "nobody", "web", check=False)
    assert (done.returncode, done.stderr) == (1, said)
    assert done.stdout.startswith("web: address")


def test_of_a_stopped_one_there_is_what_is_left(daemon: Daemon) -> None:
    daemon.docker("run", "--name", "gone", "busybox", "sh", "-c", "echo said; echo written >/file")
    text = daemon.wherry("explain", "gone").stdout
    assert text.startswith("gone  (exited)\n") and "Ended with 0, its own exit code." in text
    assert {"LAYERS, TOPMOST FIRST", "WHAT THE ENGINE DOES", "WHAT IT COSTS"} == set(sections(text))
    assert "8 B" in next(line for line in sections(text)["WHAT IT COSTS"] if "writable layer" in line)
    check_harmless(daemon.wherry("explain", "--html", "-", "gone").stdout)


NASTY = "\x1b]0;owned\x07 </title><script>alert(1)</script> ' \" \u202e"


def test_a_nasty_command_is_harmless(daemon: Daemon) -> None:
    daemon.docker(
        "run",
        "-d",
        "--name",
        "nasty",
        "-l",
        f"label={NASTY}",
        "busybox",
        "sh",
        "-c",
        f": '{NASTY}'; sleep 60",
    )
    for words in (["explain", "nasty"], ["plan", "show", "nasty"], ["explain", "--format", "json", "nasty"]):
        text = daemon.wherry(*words).stdout
        assert "alert" in text
        assert all(c.isprintable() or c == "\n" for c in text)
    page = daemon.wherry("explain", "--html", "-", "nasty").stdout
    assert "alert(1)" in page
    check_harmless(page)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "'wherry explain' takes 1 container; several only with --check"),
        (["a", "b"], "'wherry explain' takes 1 container; several only with --check"),
        (["--check"], "'wherry explain --check' takes at least 1 container, or --all"),
        (["--all"], "--all requires --check"),
        (["--check", "--all", "web"], "--all cannot be combined with container names"),
        (["--html", "x", "--check", "web"], "--html cannot be combined with --format or --check"),
        (["--format", "yaml", "web"], "unknown format 'yaml': use 'json', or leave it out for text"),
    ],
)
def test_what_does_not_go_together(daemon: Daemon, words: list[str], said: str) -> None:
    done = daemon.wherry("explain", *words, check=False)
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, f"wherry: {said}")
