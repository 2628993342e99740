"""``--help``: what it marks as not supported is what the engine refuses, and what it shows as an example works."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.harness.daemon import Daemon
from wherry.cli import tree
from wherry.cli.command import Flag, all_of, check_arguments, parse
from wherry.cli.help import command_help
from wherry.cli.run_flags import RUN_FLAGS, RUN_GROUPS

DISK = next(path for path in sorted(Path("/dev").iterdir()) if path.is_block_device())

# A value for each option of run, or several where some are accepted and others not.
VALUES = {
    "add-host": "a:1.2.3.4", "annotation": "a=b", "attach": "stdout", "blkio-weight": "500",
    "blkio-weight-device": f"{DISK}:500", "cap-add": "NET_ADMIN", "cap-drop": "ALL", "cgroup-parent": "/x",
    "cgroupns": "host private", "cidfile": "/nowhere/id", "cpu-period": "50000", "cpu-quota": "50000",
    "cpu-rt-period": "50000", "cpu-rt-runtime": "1000", "cpu-shares": "512", "cpus": "1", "cpuset-cpus": "0",
    "cpuset-mems": "0", "detach-keys": "a", "device": "/dev/null:/dev/n", "device-cgroup-rule": "'c 1:3 r'",
    "device-read-bps": f"{DISK}:1mb", "device-read-iops": f"{DISK}:5", "device-write-bps": f"{DISK}:1mb",
    "device-write-iops": f"{DISK}:5", "dns": "1.1.1.1", "dns-option": "ndots:1", "dns-search": "a.b",
    "domainname": "a.b", "entrypoint": "sh", "env": "A=1", "env-file": "/dev/null", "expose": "80", "format": "json",
    "group-add": "5", "health-cmd": "true", "health-interval": "1s", "health-retries": "3",
    "health-start-interval": "1s", "health-start-period": "1s", "health-timeout": "1s", "hostname": "h",
    "ip": "172.17.0.9", "ip6": "2001:db8::3", "ipc": "host private", "isolation": "hyperv", "label": "a=b",
    "label-file": "/dev/null", "link": "a:b", "link-local-ip": "169.254.1.1", "log-driver": "none json-file syslog",
    "log-opt": "max-size=1m", "mac-address": "92:d0:c6:0a:29:33", "memory": "64m", "memory-reservation": "32m",
    "memory-swap": "-1", "memory-swappiness": "10",
    "mount": "type=bind,src=/tmp,dst=/x type=tmpfs,dst=/x type=volume,src=v,dst=/x", "name": "some-name",
    "network": "none host bridge mine", "network-alias": "b", "oom-score-adj": "5", "pid": "host",
    "pids-limit": "10", "platform": "linux/amd64", "publish": "8080:80", "pull": "never always",
    "restart": "no always", "runtime": "runc kata", "security-opt": "no-new-privileges apparmor=x",
    "shm-size": "1m", "stop-signal": "INT", "stop-timeout": "3", "storage-opt": "size=3",
    "sysctl": "net.ipv4.ip_forward=1", "tmpfs": "/x", "ulimit": "nofile=10", "user": "1", "userns": "host",
    "uts": "host", "volume": "/tmp:/x v:/x", "volume-driver": "x", "volumes-from": "c", "workdir": "/tmp",
}  # fmt: skip
OURS = ("dry-run", "disable-content-trust")
SHOWN = [flag for flag in RUN_FLAGS if flag.key == flag.name.replace("-", "_") and flag.name not in OURS]


def accepted(daemon: Daemon, flag: Flag, value: str) -> bool:
    if (flag.name, value) == ("pull", "always"):  # a dry run pulls nothing
        return daemon.wherry("pull", "busybox", check=False).returncode == 0
    how = "--rm" if flag.name == "network" else "--dry-run"  # a network is looked for at the start
    words = ["run", how, f"--{flag.name}={value}", "busybox", "true"]
    return daemon.wherry(*words, check=False).returncode == 0


@pytest.mark.parametrize("flag", SHOWN, ids=lambda flag: flag.name)
def test_what_is_marked_is_what_the_engine_refuses(daemon: Daemon, flag: Flag) -> None:
    values = ["true"] if flag.is_bool else shlex.split(VALUES[flag.name])
    taken = [accepted(daemon, flag, value) for value in values]
    assert bool(flag.limit) is not all(taken)
    assert flag.refused is not any(taken)


@pytest.mark.parametrize("entry", tree.COMMANDS, ids=lambda entry: entry.names[0])
def test_examples_are_command_lines(entry: tree.Entry) -> None:
    declared = entry.load()
    for line, said in declared.examples:
        program, *words = shlex.split(line.rpartition("| ")[2].partition(" >")[0])
        found = tree.find(words)
        assert program == "wherry" and found is not None and found[0] is entry and said
        options = parse(declared.flags, words[found[2] :], declared.interspersed, declared.quoted)
        check_arguments(declared, "", len(options.args))
        assert line in command_help(entry, declared, found[1])


def test_options_of_run_stand_in_groups() -> None:
    assert sorted(all_of(RUN_GROUPS), key=id) == sorted(RUN_FLAGS, key=id)
    lines = command_help(*_run()).splitlines()
    headings = [line.rstrip(":") for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["Aliases", "Examples", *(heading for heading, _ in RUN_GROUPS)]
    assert len(RUN_GROUPS) > 5


def _run() -> tuple[tree.Entry, object, str]:
    entry, called, _ = tree.find(["run"]) or pytest.fail()
    return entry, entry.load(), called
