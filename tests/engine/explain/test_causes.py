"""Every option of ``run`` is named as the cause of what it changes.

The options come from their declarations, so that a new one fails here until it has a case, or a reason for having none.
A case is what the option is added to, and the option with a value; both are planned by a real engine, and every step
that is not the same must say that it was asked for, and by which option.
"""

from __future__ import annotations

import shlex
from typing import Any, NamedTuple

import msgspec
import pytest

import wherry.engine.preparation.planned  # noqa: F401 - every kind of step
from tests.harness import disks
from tests.harness.daemon import Daemon
from wherry.cli.command import parse
from wherry.cli.create_body import create_body
from wherry.cli.errors import UsageError
from wherry.cli.run_flags import RUN_FLAGS
from wherry.cli.terminal import NO_SIZE
from wherry.engine.fate import Kind
from wherry.engine.fates import FIELDS
from wherry.messages.container import Config, HostConfig
from wherry.runtime.steps import KINDS

Step = dict[str, Any]


class Case(NamedTuple):
    """``base`` is there with the option and without it."""

    option: str
    base: str = ""


CASES = {
    "add-host": Case("--add-host db:10.0.0.9"),
    "annotation": Case("--annotation team=web"),
    "blkio-weight": Case("--blkio-weight 300"),
    "blkio-weight-device": Case(f"--blkio-weight-device {disks.ONE}:300"),
    "cap-add": Case("--cap-add SYS_ADMIN"),
    "cap-drop": Case("--cap-drop CHOWN"),
    "cgroup-parent": Case("--cgroup-parent /wherry-elsewhere"),
    "cgroupns": Case("--cgroupns private"),
    "cpu-period": Case("--cpu-period 50000"),
    "cpu-quota": Case("--cpu-quota 20000"),
    "cpu-rt-period": Case("--cpu-rt-period 900000"),
    "cpu-rt-runtime": Case("--cpu-rt-runtime 1000", "--cpu-rt-period 900000"),
    "cpu-shares": Case("--cpu-shares 512"),
    "cpus": Case("--cpus 0.5"),
    "cpuset-cpus": Case("--cpuset-cpus 0"),
    "cpuset-mems": Case("--cpuset-mems 0"),
    "device": Case("--device /dev/kmsg"),
    "device-cgroup-rule": Case("--device-cgroup-rule 'c 13:* rwm'"),
    "device-read-bps": Case(f"--device-read-bps {disks.ONE}:1mb"),
    "device-read-iops": Case(f"--device-read-iops {disks.ONE}:50"),
    "device-write-bps": Case(f"--device-write-bps {disks.ONE}:1mb"),
    "device-write-iops": Case(f"--device-write-iops {disks.ONE}:50"),
    "dns": Case("--dns 10.0.0.1"),
    "dns-opt": Case("--dns-option ndots:2"),
    "dns-option": Case("--dns-option ndots:2"),
    "dns-search": Case("--dns-search example.com"),
    "domainname": Case("--domainname example.com"),
    "entrypoint": Case("--entrypoint /bin/echo"),
    "env": Case("--env COLOUR=green"),
    "expose": Case("--expose 9000"),
    "group-add": Case("--group-add 77"),
    "hostname": Case("--hostname shop"),
    "init": Case("--init"),
    "interactive": Case("--interactive"),
    "ipc": Case("--ipc none"),
    "label": Case("--label tier=front"),
    "log-driver": Case("--log-driver none"),
    "log-opt": Case("--log-opt max-size=1m"),
    "mac-address": Case("--mac-address 02:42:ac:11:00:99"),
    "memory": Case("--memory 64m"),
    "memory-reservation": Case("--memory-reservation 32m"),
    "memory-swap": Case("--memory-swap 80m", "--memory 64m"),
    "memory-swappiness": Case("--memory-swappiness 10"),
    "mount": Case("--mount type=bind,source=/tmp,target=/data"),
    "net": Case("--net none"),
    "network": Case("--network host"),
    "oom-kill-disable": Case("--oom-kill-disable"),
    "oom-score-adj": Case("--oom-score-adj 100"),
    "pid": Case("--pid host"),
    "pids-limit": Case("--pids-limit 50"),
    "privileged": Case("--privileged"),
    "publish": Case("--publish 8080:80"),
    "publish-all": Case("--publish-all", "--publish 8080:80 --expose 9000"),
    "read-only": Case("--read-only"),
    "rm": Case("--rm"),
    "security-opt": Case("--security-opt seccomp=unconfined"),
    "shm-size": Case("--shm-size 8m"),
    "stop-signal": Case("--stop-signal SIGINT"),
    "stop-timeout": Case("--stop-timeout 3"),
    "sysctl": Case("--sysctl net.ipv4.ip_forward=1"),
    "tmpfs": Case("--tmpfs /scratch"),
    "tty": Case("--tty"),
    "ulimit": Case("--ulimit nofile=64:128"),
    "user": Case("--user 1000"),
    "uts": Case("--uts host"),
    "volume": Case("--volume /tmp:/data"),
    "workdir": Case("--workdir /srv"),
}

MORE = (
    Case("--add-host there:host-gateway"),
    Case("--cap-add CHOWN --cap-drop ALL"),
    Case("--cgroupns host"),
    Case("--dns 10.0.0.2 --add-host a:10.0.0.9 --hostname shop"),
    Case("--env A=1 --tty --hostname shop"),
    Case("--ipc host"),
    Case("--ipc shareable"),
    Case("--log-opt max-file=3 --log-opt max-size=1m"),
    Case("--memory 64m", "--cgroup-parent /wherry-elsewhere"),
    Case("--network none"),
    Case("--pid host --uts host"),
    Case("--read-only", "--dns 10.0.0.1"),
    Case("--security-opt no-new-privileges"),
    Case("--security-opt systempaths=unconfined"),
    Case("--security-opt writable-cgroups=true"),
    Case("--stop-signal SIGINT --stop-timeout 3"),
    Case("--tty --interactive"),
    Case("--user 1000 --group-add 77"),
    Case("--volume /tmp:/a --volume /tmp:/b"),
)

CHANGE_NOTHING = {
    "attach": "is the client's: which streams it attaches to",
    "cidfile": "is the client's: where it writes the id",
    "detach": "is the client's: it does not wait for the end",
    "detach-keys": "is the client's",
    "disable-content-trust": "is the client's",
    "dry-run": "asks for the plan, and is no part of it",
    "format": "is the client's: how it shows a dry run",
    "isolation": "has one value here, which is what always is",
    "name": "is what the plan and the explanation are headed by",
    "no-healthcheck": "no health check is ever run",
    "platform": "chooses the image, which is named",
    "pull": "is the client's: what it does before",
    "quiet": "is the client's",
    "restart": "has one value here, `no`, which is what always is",
    "runtime": "has one value here, which is what always is",
    "sig-proxy": "is the client's",
    "userns": "has one value here, `host`, which is what always is",
    "env-file": "is what many --env are, read by the client",
    "label-file": "is what many --label are, read by the client",
}

REFUSED = {
    "health-cmd": "true",
    "health-interval": "5s",
    "health-retries": "3",
    "health-start-interval": "5s",
    "health-start-period": "5s",
    "health-timeout": "5s",
    "ip": "172.17.0.99",
    "ip6": "fd00::9",
    "link": "db",
    "link-local-ip": "169.254.7.7",
    "net-alias": "db",
    "network-alias": "db",
    "storage-opt": "size=1g",
    "volume-driver": "nfs",
    "volumes-from": "db",
}


FLAGS = {flag.name: flag for flag in RUN_FLAGS}


def body(options: str) -> dict[str, Any]:
    """The request that the command line makes of options. ValueError for what it refuses itself."""
    parsed = parse(RUN_FLAGS, [*shlex.split(options), "busybox", "true"], interspersed=False)
    return create_body(parsed, {}, NO_SIZE)


def planned(daemon: Daemon, wish: dict[str, Any]) -> dict[tuple[str, str], Step]:
    """The steps of a plan by what makes them the same ones in another plan."""
    answer = daemon.api("POST", "/containers/create?dryRun=1", wish)
    assert answer.status == 200, answer
    steps = answer.body["Steps"]
    return {(step["Name"], KINDS[step["Name"]].identify(step["Arguments"])): step for step in steps}


def difference(before: dict[tuple[str, str], Step], after: dict[tuple[str, str], Step]) -> list[Step]:
    """The steps that only the second has, or has otherwise."""
    return [s for key, s in after.items() if key not in before or before[key]["Arguments"] != s["Arguments"]]


def changed(daemon: Daemon, case: Case) -> list[Step]:
    without, with_it = body(case.base), body(f"{case.base} {case.option}")
    return difference(planned(daemon, without), planned(daemon, with_it))


def words_for(option: str) -> set[str]:
    """What a cause may call an option: by its long name, its short one, or the name that it is another one for."""
    same = [flag for flag in RUN_FLAGS if flag.key == FLAGS[option.removeprefix("--")].key]
    return {f"--{flag.name}" for flag in same} | {f"-{flag.short}" for flag in same if flag.short}


def options_in(text: str) -> list[str]:
    return [word for word in shlex.split(text) if word.startswith("--")]


def test_every_option_has_a_case_or_a_reason() -> None:
    assert set(FLAGS) == {*CASES, *CHANGE_NOTHING, *REFUSED}
    assert not set(CASES) & ({*CHANGE_NOTHING} | {*REFUSED})
    for name, case in CASES.items():
        assert FLAGS[name].key in {FLAGS[word.removeprefix("--")].key for word in options_in(case.option)}


@pytest.mark.parametrize(
    "case", [*CASES.values(), *MORE], ids=lambda case: f"{case.base} {case.option}".strip()
)
def test_what_an_option_changes_names_it(daemon: Daemon, case: Case) -> None:
    steps = changed(daemon, case)
    assert steps, "the option changes no step: explain why in CHANGE_NOTHING"
    unnamed = set(options_in(case.option))
    for step in steps:
        said = set(step["Cause"].replace(",", " ").split())
        named = {option for option in options_in(case.option) if words_for(option) & said}
        assert named and step["Origin"] == "request", f"{step['Text']}: {step['Origin']}, {step['Cause']}"
        unnamed -= named
    assert not unnamed, f"no step names {unnamed}"


WITHOUT_A_FLAG = {
    "AttachStdin AttachStdout AttachStderr": "who attaches says what he wants",
    "ConsoleSize": "is the terminal's size, for --tty",
    "Cmd": "is the command, which stands behind the options: see below",
    "ContainerIDFile": "is the client's: --cidfile",
    "Healthcheck": "has one value here, which is what always is",
    "Image": "is named in the plan and the explanation",
    "LogConfig": "is --log-driver and --log-opt, whose JSON is one",
    "MacAddress": "is --mac-address, as older clients say it",
    "NetworkDisabled": "has no flag: see below",
    "RestartPolicy": "has one value here, which is what always is",
    "Runtime": "has one value here, which is what always is",
    "Volumes": "is what the image declares: its mounts say so",
}


def test_every_field_of_a_request_that_is_done_is_in_a_case() -> None:
    """What no flag asks for has a reason; so a new field of the API fails here, too."""
    plain = body("")
    asked: set[str] = set()
    for case in (*CASES.values(), *MORE):
        wished = body(f"{case.base} {case.option}")
        for before, after in ((plain, wished), (plain["HostConfig"], wished["HostConfig"])):
            asked |= {key for key in after if after[key] != before.get(key)}
    reasons = {word for words in WITHOUT_A_FLAG for word in words.split()}
    for message in (Config, HostConfig):
        keys = {field.name: field.encode_name for field in msgspec.structs.fields(message)}
        done = {keys[name] for name, fate in FIELDS[message].items() if fate.kind is Kind.DONE}
        assert done - asked - reasons == set()


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [("Cmd", ["false"], "the command"), ("NetworkDisabled", True, "NetworkDisabled")],
)
def test_what_has_no_flag_is_named_nevertheless(daemon: Daemon, field: str, value: Any, named: str) -> None:
    before, after = planned(daemon, body("")), planned(daemon, {**body(""), field: value})
    steps = difference(before, after)
    assert steps and {step["Cause"] for step in steps} == {named}


def test_labels_without_end_do_not_make_a_plan_without_end(daemon: Daemon) -> None:
    plain = daemon.api("POST", "/containers/create?dryRun=1", body("")).body
    labels = {f"label{n}": "x" * 10_000 for n in range(50)}
    told = daemon.api("POST", "/containers/create?dryRun=1", {**body(""), "Labels": labels}).body
    assert len(str(told)) < len(str(plain)) + 10_000
    (policy,) = (step for step in told["Steps"] if step["Name"] == "policy")
    assert policy["Text"].startswith("labels: label0=xxx") and policy["Cause"].endswith("and 46 more")


@pytest.mark.parametrize("option", REFUSED)
def test_what_is_refused_needs_no_cause(daemon: Daemon, option: str) -> None:
    try:
        wish = body(f"--{option} {REFUSED[option]}")
    except (ValueError, UsageError):
        return
    assert daemon.api("POST", "/containers/create?dryRun=1", wish).status == 400
