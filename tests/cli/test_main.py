"""What a user sees when something goes wrong: one line and an exit code, never a traceback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.recorder import Recorder
from tests.harness.daemon import ROOT, WHERRY
from tests.harness.waiting import eventually
from wherry import __version__
from wherry.cli import tree
from wherry.cli.errors import CliError, start_code
from wherry.cli.host import choose_host, connection_error, parse_host
from wherry.cli.later import LATER
from wherry.cli.main import main

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src")}


def start_wherry(*words: str, host: str, **options: object) -> subprocess.Popen[str]:
    # A shell starts what it puts in the background with SIGINT ignored, and so would all that the tests start.
    listening = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [sys.executable, "-c", listening + WHERRY, "-H", host, *words]
    return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
        command, env=ENVIRONMENT, text=True, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, **options
    )


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        ("ps", 1, "Cannot connect to the Wherry daemon at {host}. Is the daemon running?"),
        ("run x", 125, "Cannot connect to the Wherry daemon at {host}. Is the daemon running?"),
        ("foo", 1, "unknown command: wherry foo"),
        ("container foo", 1, "unknown command: wherry container foo"),
        ("ps x", 1, "'wherry ps' accepts no arguments"),
        ("ps --foo", 125, "unknown flag: --foo"),
        ("--foo ps", 125, "unknown flag: --foo"),
        ("rename a", 1, "'wherry rename' requires 2 arguments"),
        ("images a b", 1, "'wherry images' requires at most 1 argument"),
        ("load -i /no/file", 1, "open /no/file: no such file or directory"),
        ("run -it busybox", 1, "the input device is not a TTY"),
        ("exec -it c sh", 1, "the input device is not a TTY"),
        ("inspect --type foo x", 1, 'unknown type: "foo": must be one of '),
    ],
)
def test_one_line_and_a_code(words: str, code: int, line: str, tmp_path: Path) -> None:
    host = f"unix://{tmp_path}/nobody.sock"
    process = start_wherry(*words.split(), host=host, stdout=subprocess.PIPE)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (code, "")
    assert err.startswith(f"wherry: {line.format(host=host)}")
    assert "Traceback" not in err


def test_an_error_of_the_engine_is_told_in_its_own_words(
    recorder: Recorder, wherry: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    recorder.answers = lambda method, path: (409, {"message": "it is in use"})
    assert wherry("ps") == 1
    assert capsys.readouterr().err == "wherry: Error response from daemon: it is in use\n"
    assert wherry("run", "-d", "x") == 125
    assert capsys.readouterr().err == (
        "wherry: Error response from daemon: it is in use\n\nRun 'wherry run --help' for more information\n"
    )


def test_an_error_without_json_is_told_too(
    recorder: Recorder, wherry: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    recorder.answers = lambda method, path: (500, b"<html>oh no</html>")
    assert wherry("images") == 1
    assert "<html>oh no</html>" in capsys.readouterr().err


def test_an_answer_that_makes_no_sense_is_told_in_one_line(
    recorder: Recorder, wherry: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    recorder.answers = lambda method, path: (200, [{"no": "container"}])
    assert wherry("ps") == 1
    said = capsys.readouterr().err
    assert said.startswith("wherry: unexpected answer or fault: KeyError") and said.count("\n") == 1


def test_a_missing_image_is_pulled_and_the_refusal_shown(
    recorder: Recorder, wherry: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    def answers(method: str, path: str) -> tuple[int, object]:
        if path == "/images/create":
            return (
                200,
                b'{"status":"Pulling","id":"x"}\r\n{"errorDetail":{"message":"pull refused"},"error":"e"}\r\n',
            )
        return 404, {"message": "No such image: nope:latest"}

    recorder.answers = answers
    assert wherry("run", "--rm", "nope") == 125
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Unable to find image 'nope:latest' locally"
    assert "wherry: pull refused" in lines
    assert [r.path for r in recorder.take()] == ["/containers/create", "/images/create"]
    assert wherry("run", "--pull", "never", "nope") == 125
    assert [r.path for r in recorder.take()] == ["/containers/create"]


def test_a_reader_that_goes_away_is_no_error(recorder: Recorder, tmp_path: Path) -> None:
    recorder.answers = lambda method, path: (200, [{"Id": f"{n:064}"} for n in range(20_000)])
    process = start_wherry("ps", "-q", host=f"unix://{tmp_path}/api.sock", stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(20) == 141
    assert process.stderr.read() == ""


def test_a_full_disk_is_told(recorder: Recorder, tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        process = start_wherry("ps", host=f"unix://{tmp_path}/api.sock", stdout=full)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (1, "wherry: no space left on device\n")


def test_ctrl_c_ends_quietly(recorder: Recorder, tmp_path: Path) -> None:
    def slow(method: str, path: str) -> None:
        time.sleep(1.5)

    recorder.answers = slow
    process = start_wherry("wait", "c", host=f"unix://{tmp_path}/api.sock", stdout=subprocess.PIPE)
    assert eventually(lambda: recorder.requests)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (130, "")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('exec: "x": executable file not found in $PATH', 127),
        ("stat /x: no such file or directory", 127),
        ('exec: "/tmp": permission denied', 126),
        ("exec: /tmp: is a directory", 126),
        ("no address left", 125),
    ],
)
def test_exit_codes_of_a_failed_start(message: str, code: int) -> None:
    assert start_code(message) == code


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("unix:///a/b", ("/a/b", "", 0)),
        ("/a/b", ("/a/b", "", 0)),
        ("unix://", ("/run/wherry/wherry.sock", "", 0)),
        ("tcp://1.2.3.4:5", ("", "1.2.3.4", 5)),
        ("tcp://[::1]:5", ("", "::1", 5)),
        ("tcp://[::1]", ("", "::1", 2375)),
        ("host", ("", "host", 2375)),
        ("tcp://:80", ("", "127.0.0.1", 80)),
    ],
)
def test_hosts(url: str, seen: tuple[str, str, int]) -> None:
    host = parse_host(url)
    assert (host.path, host.name, host.port) == seen


def test_which_host() -> None:
    environment = {"WHERRY_HOST": "unix:///w", "DOCKER_HOST": "unix:///d"}
    assert choose_host("/o", environment).path == "/o"
    assert choose_host(None, environment).path == "/w"
    assert choose_host(None, {"DOCKER_HOST": "unix:///d"}).path == "/d"
    assert choose_host(None, {}).path == "/run/wherry/wherry.sock"
    with pytest.raises(CliError, match="TLS"):
        choose_host("tcp://x", {"DOCKER_TLS_VERIFY": "1"})
    with pytest.raises(CliError, match="invalid engine address"):
        parse_host("ssh://x")


SCRIPT = ROOT / "buildsystem" / "bin" / "wherry"


def test_the_script_that_is_installed_runs_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--version"], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"Wherry version {__version__}\n"
    assert SCRIPT.read_text().startswith("#!python\n")  # what pip puts the interpreter's path in place of


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            "-H 127.0.0.1:1 ps",
            "Cannot connect to the Wherry daemon at tcp://127.0.0.1:1. Is the daemon running?",
        ),
        ("-H foo://x ps", "invalid engine address 'foo://x': write unix:///PATH or tcp://NAME:PORT"),
        ("-H tcp://x:99999 ps", "invalid engine address 'tcp://x:99999': '99999' is not a port"),
        ("-H tcp://x:y ps", "invalid engine address 'tcp://x:y': 'y' is not a port"),
        ("-H unix:///nope ps", "Cannot connect to the Wherry daemon at unix:///nope. Is the daemon running?"),
        ("load -i /tmp", "read /tmp: is a directory"),
        ("import /tmp", "read /tmp: is a directory"),
    ],
)
def test_what_cannot_be_reached_is_named(words: str, line: str, tmp_path: Path) -> None:
    host, rest = f"unix://{tmp_path}/nobody.sock", words.split()
    if rest[0] == "-H":
        _, host, *rest = rest
    process = start_wherry(*rest, host=host, stdout=subprocess.PIPE)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "")
    assert err.startswith(f"wherry: {line}") and err.count("\n") == 1


def test_a_name_that_nobody_has_is_named_whole() -> None:
    error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    said = str(connection_error(parse_host("foo"), error))
    assert said == "Cannot connect to the Wherry daemon at tcp://foo:2375: name or service not known"


def test_who_is_not_root_is_told_what_to_do() -> None:
    def said(path: str) -> str:
        error = FileNotFoundError(2, "No such file or directory")
        return str(connection_error(parse_host(path), error))

    remedy = "Only root can start one: run this with sudo, or start wherryd as root."
    assert os.geteuid() == 0 and remedy not in said("unix:///run/wherry/wherry.sock")
    os.seteuid(65534)
    try:
        assert said("unix:///run/wherry/wherry.sock").endswith(f"Is the daemon running? {remedy}")
        assert remedy not in said("unix:///other.sock")
    finally:
        os.seteuid(0)


# What docker's command line has, and what is said where there is no such verb here.


def docker_verbs(docker_cli: str, folder: Path) -> list[str]:
    """All verbs that docker's help lists: at the top, and in the groups that we have too."""

    def listed(*group: str) -> list[str]:
        environment = {**os.environ, "DOCKER_CONFIG": str(folder)}
        done = subprocess.run(
            [docker_cli, *group, "--help"], env=environment, capture_output=True, text=True, check=True
        )
        rows = [line for line in done.stdout.splitlines() if line.startswith("  ") and line[2].isalpha()]
        return [" ".join([*group, row.split()[0].rstrip("*")]) for row in rows]

    own = [group for group in tree.GROUPS if group in listed()]
    return listed() + [name for group in own for name in listed(group) if name not in tree.GROUPS]


def test_every_verb_of_dockers_is_here_or_answered_in_words(
    docker_cli: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    verbs = docker_verbs(docker_cli, tmp_path)
    assert {"build", "run", "container cp", "swarm", "system df"} <= set(verbs)
    for verb in verbs:
        if verb in tree.GROUPS or tree.find(verb.split()):
            continue
        assert main(["-H", "unix:///nope", *verb.split(), "x"]) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"wherry: 'wherry {verb}' is not supported yet") and said.count("\n") == 1


def test_nothing_is_both_here_and_still_to_come() -> None:
    assert not [name for name in LATER if name in tree.GROUPS or tree.find(name.split())]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("pss", "wherry ps"),
        ("imgaes", "wherry images"),
        ("container renam", "wherry container rename"),
        ("sys", "wherry system"),
        ("rnu", "wherry run"),
        ("hlep", "wherry help"),
        ("run --evn A=b x", "--env"),
        ("run --detatch x", "--detach"),
        ("ps --no-trun", "--no-trunc"),
        ("--hots x ps", "--host"),
    ],
)
def test_did_you_mean(words: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) in (1, 125)
    first, blank, second, *_ = capsys.readouterr().err.splitlines()
    assert first.startswith("wherry: unknown ")
    assert (blank, second) == ("", f"Did you mean '{meant}'?")


@pytest.mark.parametrize("words", ["xyzzy", "container xyzzy", "ps --xyzzy"])
def test_nothing_is_meant_by_what_is_like_nothing(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) in (1, 125)
    assert "Did you mean" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "line", ["-h", "ps -h", "container -h", "container ls -h", "exec -h", "-h ps", "ps -ah"]
)
def test_h_is_help_as_with_docker(
    line: str, docker_cli: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {**os.environ, "DOCKER_CONFIG": str(tmp_path)}
    docker = subprocess.run([docker_cli, *line.split()], env=environment, capture_output=True, text=True)
    assert main(line.split()) == docker.returncode == 0
    said = capsys.readouterr()
    assert said.err == docker.stderr
    assert said.out.splitlines()[:2] == docker.stdout.replace("docker", "wherry").splitlines()[:2]


def test_no_text_speaks_of_another_program() -> None:
    """Docker is named where it is meant: a format of its, an environment variable."""
    texts = [entry.summary for entry in tree.COMMANDS] + list(LATER.values()) + list(tree.GROUPS.values())
    texts += [flag.help for entry in tree.COMMANDS for flag in entry.load().flags]
    assert not [text for text in texts if "docker" in text.lower().replace("dockerfile", "")]
