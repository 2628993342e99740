"""Templates through docker's own command line and through ours, on one engine: the same text, or an error from both."""

from __future__ import annotations

import pytest

from tests.harness.daemon import Daemon

OF_A_LIST = r"""
{{.ID}} {{.Names}} {{.Image}}
table {{.Names}}\t{{.Status}}\t{{.Ports}}
{{json .Names}}
{{.Label "a"}}|{{.Label "nope"}}
{{range $n, $x := split .Names ","}}{{$n}}={{$x}};{{end}}
{{if eq .Names "two"}}yes{{else if eq .Names "one"}}first{{else}}no{{end}}
{{printf "%-10s|%5s|%q" .Names .State .Image}}
{{upper .Names}} {{title .Names}} {{lower "ABC"}}
{{join (split .Names "w") "-"}}
{{truncate .Names 2}} {{pad .Names 1 2}}|
{{with .Label "a"}}{{.}}{{else}}none{{end}}
{{- /* a comment */ -}} {{.Names}}
{{len .Names}} {{index (split .Names "w") 0}}
{{.Nope}}
{{.Names
{{nope .Names}}
{{if}}x{{end}}
{{end}}
""".strip().splitlines()
OF_AN_OBJECT = r"""
{{.Name}} {{.State.Status}} {{.Config.Image}}
{{json .Config.Labels}}
{{range $k, $v := .Config.Labels}}{{$k}}={{$v}} {{end}}
{{range .Config.Env}}{{println .}}{{end}}
{{index .Config.Labels "a"}} {{.HostConfig.Memory}} {{.Config.Tty}}
{{.NetworkSettings.Networks.bridge.NetworkID | len}}
{{with .Config.Nope}}x{{end}}
{{if and .State.Running (not .State.Paused)}}up{{end}}
{{printf "%d %v %t" .HostConfig.Memory .Config.Cmd .Config.Tty}}
{{$x := .Name}}{{$x = "y"}}{{$x}}
{{range $i, $c := .Config.Cmd}}{{if $i}}{{break}}{{end}}{{$c}}{{end}}
{{lt .HostConfig.Memory 5}} {{ge 3 2}} {{or "" "x"}}
{{.State.Nope}}
{{index .Config.Cmd 99}}
""".strip().splitlines()


@pytest.fixture
def two(daemon: Daemon) -> Daemon:
    for name, label in (("one", "a=1"), ("two", "b=2")):
        daemon.docker("run", "-d", "--name", name, "-l", label, "-m", "64m", "busybox", "sleep", "1000")
    return daemon


def compare(daemon: Daemon, *words: str) -> None:
    """The same text; where docker fails it may have written an empty line already."""
    docker, ours = daemon.docker(*words, check=False), daemon.wherry(*words, check=False)
    if docker.returncode:
        assert ours.returncode and ours.stdout == docker.stdout.strip(), docker.stderr
    else:
        assert (ours.returncode, ours.stdout) == (0, docker.stdout), ours.stderr


@pytest.mark.parametrize("template", OF_A_LIST)
def test_lists(two: Daemon, docker_cli: str, template: str) -> None:
    compare(two, "ps", "--format", template)


@pytest.mark.parametrize("template", OF_AN_OBJECT)
def test_objects(two: Daemon, docker_cli: str, template: str) -> None:
    compare(two, "inspect", "--format", template, "one")
