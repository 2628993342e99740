"""All verbs but run and create: the same requests as docker's own command line sends."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.cli.recorder import Recorder, Request
from tests.cli.test_create_body import by_docker, by_wherry
from wherry.cli import tree
from wherry.cli.main import main

SAME = """
exec c sh -c 'a b'
exec -i c cat
exec -d -e A=1 -e NOT_SET_ANYWHERE -u 1 -w /x --privileged c sh
start c
attach c
attach --no-stdin --detach-keys a c
stop c
stop -t 3 -s INT c
restart -t 3 c
restart c
kill c
kill -s 9 c
wait c
rm c
rm -fv c
rename a b
top c
top c -eo pid,comm
logs c
logs -f -t --details --since 1700000000 -n 5 c
logs --since 2024-01-02T03:04:05Z --until 2024-01-02T10:00:00.5Z --tail all c
events --until 1700000000 --since 2024-01-02T03:04:05Z --filter type=container --filter event=start -f type=image
ps
ps -a --filter status=running --filter label=a=b --filter name=x -n 3
ps -l
ps -s
container ls --format '{{.ID}}{{.Size}}'
ps --format 'table {{.ID}}\\t{{.Size}}'
images
images -a busybox
image ls --filter dangling=true foo:bar
rmi a
rmi -f --no-prune a
tag a b
tag a b/c:d
tag sha256:abc localhost:5000/x
image history x
inspect x y
inspect --type image x
inspect --type volume x
inspect --type network x
inspect --size x
container inspect x
image inspect x
import {file}
import -c 'CMD ["x"]' -m msg --platform linux/amd64 {file} foo:bar
import http://x/y foo
load -i {file}
load -q -i {file}
pull a
pull a:b
pull -q --platform linux/arm64 localhost:5000/x
pull -a x
info
version
""".strip().splitlines()

QUIET_DIFFERENCES = {  # requests that docker sends and that change nothing
    "exec": ("GET", "/containers/c/json"),
    "attach": ("GET", "/containers/c/json"),
}


def comparable(requests: list[Request], verb: str) -> list[Request]:
    ignored = QUIET_DIFFERENCES.get(verb)
    kept = [r._replace(headers={}) for r in requests if (r.method, r.path) != ignored]
    return [r._replace(path=r.path.replace("c0ffee" * 10 + "beef", "c")) for r in kept]


@pytest.mark.parametrize("line", SAME)
def test_same_requests(
    line: str, docker_cli: str, recorder: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "input"
    file.write_bytes(b"not really a tar" * 100)
    recorder.answers = answers
    words = shlex.split(line.replace("{file}", str(file)).replace("\\t", "\\\\t"))
    docker = by_docker(docker_cli, recorder, words, tmp_path)
    ours = by_wherry(recorder, words, capsys)
    assert (ours[0], docker[0]) == (0, 0), (ours[1], docker[1])
    assert comparable(ours[2], words[0]) == comparable(docker[2], words[0])


def answers(method: str, path: str) -> tuple[int, object] | None:
    ends = {
        "/logs": b"\1\0\0\0\0\0\0\2x\n",
        "/top": {"Titles": ["PID"], "Processes": [["1"]]},
        "/history": [],
        "/events": b"",
        "/info": INFO,
        "/version": {"Version": "1", "ApiVersion": "1.50", "Components": []},
    }
    return next(((200, answer) for end, answer in ends.items() if path.endswith(end)), None)


INFO = {
    "Containers": 0, "ContainersRunning": 0, "ContainersPaused": 0, "ContainersStopped": 0, "Images": 0, "ServerVersion": "1",  # noqa: E501
    "Driver": "x", "MemTotal": 1, "OSType": "linux", "Swarm": {"LocalNodeState": "inactive"}, "ID": "x",
    "RegistryConfig": {"IndexConfigs": {}},
}  # fmt: skip


def test_many_are_asked_at_once_and_reported_in_order(
    recorder: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder.answers = lambda method, path: (
        (404, {"message": "No such container: b"}) if "/b/" in path else None
    )
    code = main(["-H", f"unix://{tmp_path}/api.sock", "stop", "a", "b", "c"])
    said = capsys.readouterr()
    assert (code, said.out) == (1, "a\nc\n")
    assert said.err == "wherry: Error response from daemon: No such container: b\n"
    assert sorted(r.path for r in recorder.take()) == [f"/containers/{n}/stop" for n in "abc"]


@pytest.mark.parametrize("entry", tree.COMMANDS, ids=lambda entry: entry.names[0])
def test_every_command_has_help_and_no_flag_twice(
    entry: tree.Entry, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = entry.load().flags
    assert len({flag.name for flag in flags}) == len(flags)
    shorts = [flag.short for flag in flags if flag.short]
    assert len(set(shorts)) == len(shorts)
    for name in entry.names:
        assert main([*name.split(), "--help"]) == 0
        said = capsys.readouterr().out
        assert said.startswith(f"Usage:  wherry {name}") and entry.summary in said
        assert all(f"--{flag.name}" in said for flag in flags if not flag.hidden)


@pytest.mark.parametrize(
    "words", [[], ["--help"], ["container"], ["image", "--help"], ["system"], ["help", "ps"]]
)
def test_help_of_groups(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert "Usage:  wherry" in capsys.readouterr().out
