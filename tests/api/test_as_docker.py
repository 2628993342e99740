"""Answers that are dockerd 28.5's, each seen there beside ours."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.api.client import Api
from tests.harness.daemon import ROOT, Daemon

TWICE = {"HostPort": "8089"}
SLEEP = {"Image": "busybox", "Cmd": ["sleep", "300"]}


def made(
    daemon: Daemon, body: dict[str, Any] | None = None, *, start: bool = False, version: str = ""
) -> str:
    answer = daemon.api("POST", f"{version}/containers/create", {**SLEEP, **(body or {})})
    assert answer.status == 201, answer
    if start:
        assert daemon.api("POST", f"/containers/{answer.body['Id']}/start").status == 204
    return str(answer.body["Id"])


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", 'invalid resize height "": invalid syntax'),
        ("?w=10", 'invalid resize height "": invalid syntax'),
        ("?h=10", 'invalid resize width "": invalid syntax'),
        ("?h=x&w=1", 'invalid resize height "x": invalid syntax'),
        ("?h=-1&w=5", 'invalid resize height "-1": value out of range'),
        ("?h=5&w=4294967296", 'invalid resize width "4294967296": value out of range'),
        ("?h=0&w=0", None),
        ("?h=70000&w=5", None),
    ],
)
def test_sizes_of_terminals(daemon: Daemon, query: str, said: str | None) -> None:
    id = made(daemon, {"Tty": True}, start=True)
    exec_id = daemon.api("POST", f"/containers/{id}/exec", {"Cmd": ["sleep", "9"], "Tty": True}).body["Id"]
    assert daemon.api("POST", f"/exec/{exec_id}/start", {"Detach": True, "Tty": True}).status == 200
    for path in (f"/containers/{id}/resize", f"/exec/{exec_id}/resize"):
        answer = daemon.api("POST", path + query)
        assert (answer.status, answer.body) == ((400, {"message": said}) if said else (200, "")), path


@pytest.mark.parametrize(
    ("directory", "shown"),
    [("//a/../b/./c/", "/b/c"), ("/.", "/"), ("/../..", "/"), ("/", "/"), ("", "")],
)
def test_a_working_directory_is_cleaned(daemon: Daemon, directory: str, shown: str) -> None:
    assert daemon.inspect(made(daemon, {"WorkingDir": directory}))["Config"]["WorkingDir"] == shown


def test_the_cgroup_namespace_is_shown_as_it_will_be(daemon: Daemon) -> None:
    default = "private" if daemon.api("GET", "/info").body["CgroupVersion"] == "2" else "host"
    assert daemon.inspect(made(daemon))["HostConfig"]["CgroupnsMode"] == default
    own = made(daemon, {"HostConfig": {"CgroupnsMode": "private"}})
    assert daemon.inspect(own)["HostConfig"]["CgroupnsMode"] == "private"


def test_annotations_are_listed(daemon: Daemon) -> None:
    made(daemon, {"HostConfig": {"Annotations": {"a": "b"}}})
    made(daemon)
    shown = [line["HostConfig"] for line in daemon.api("GET", "/containers/json?all=1").body]
    assert shown == [{"NetworkMode": "bridge"}, {"NetworkMode": "bridge", "Annotations": {"a": "b"}}]
    older = daemon.api("GET", "/v1.45/containers/json?all=1").body
    assert [line["HostConfig"] for line in older] == [{"NetworkMode": "bridge"}] * 2
    answer = daemon.api("POST", "/containers/create", {**SLEEP, "HostConfig": {"Annotations": {"": "b"}}})
    assert answer.body["message"].startswith("invalid Annotations: the empty string is not permitted")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("Interval", 1000, "Interval in Healthcheck cannot be less than 1ms"),
        ("Timeout", -5, "Timeout in Healthcheck cannot be less than 1ms"),
        ("StartPeriod", 999_999, "StartPeriod in Healthcheck cannot be less than 1ms"),
        ("StartInterval", 1, "StartInterval in Healthcheck cannot be less than 1ms"),
        ("Retries", -1, "Retries in Healthcheck cannot be negative"),
    ],
)
def test_times_of_a_health_check(daemon: Daemon, field: str, value: int, said: str) -> None:
    body = {**SLEEP, "Healthcheck": {"Test": ["NONE"], field: value}}
    answer = daemon.api("POST", "/containers/create", body)
    assert (answer.status, answer.body["message"]) == (400, said)


def test_several_networks_before_they_could_be(daemon: Daemon) -> None:
    body = {**SLEEP, "NetworkingConfig": {"EndpointsConfig": {"bridge": {}, "none": {}}}}
    answer = daemon.api("POST", "/v1.43/containers/create", body)
    said = "Container cannot be created with multiple network endpoints: bridge, none"
    assert (answer.status, answer.body["message"]) == (400, said)


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ({"Binds": ["/tmp:/x"], "Tmpfs": {"/x": ""}}, "Duplicate mount point: /x"),
        ({"Binds": ["/tmp:/x/"], "Tmpfs": {"/x/": ""}}, "Duplicate mount point: /x"),
        ({"Mounts": [{"Type": "tmpfs", "Target": "/x"}], "Tmpfs": {"/x": ""}}, None),
        ({"Tmpfs": {"/x": "", "/x/": ""}}, None),
    ],
)  # fmt: skip
def test_one_target_twice(daemon: Daemon, host: dict[str, Any], said: str | None) -> None:
    answer = daemon.api("POST", "/containers/create", {**SLEEP, "HostConfig": host})
    assert answer.status == (400 if said else 201) and answer.body.get("message") == said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"HostConfig": {"DeviceCgroupRules": ["c 99999999999999:1 rwm"]}}, "invalid device cgroup rule format"),
        ({"HostConfig": {"Ulimits": [{"Name": "nofile", "Soft": -2, "Hard": 1}]}}, "invalid ulimit nofile=-2:1"),
        ({"HostConfig": {"GroupAdd": [""]}}, "invalid GroupAdd: '' is not a group"),
        ({"HostConfig": {"GroupAdd": ["-1"]}}, "uids and gids must be in range"),
        ({"HostConfig": {"Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/proc/q"}]}}, "no device at"),
        ({"HostConfig": {"UTSMode": "host"}, "Domainname": "x"}, 'sysctl "kernel.domainname" is not in a separate'),
        ({"Volumes": {"/proc/x": {}}}, "invalid Volumes: /proc/x: no directory can be made in /proc"),
        ({"Volumes": {"/dev/pts/x": {}}}, "invalid Volumes: /dev/pts/x: no directory can be made in /dev/pts"),
        ({"HostConfig": {"Tmpfs": {"/proc/x": ""}}}, "invalid Tmpfs or Mounts: /proc/x: no directory can be made"),
        ({"HostConfig": {"Binds": [f"/:/{n}" for n in range(257)]}}, "invalid Binds or Mounts: 257 slave or shared"),
        ({"HostConfig": {"Binds": [f"/:/{n}" for n in range(256)]}}, None),
        ({"MacAddress": "01:00:00:00:00:00"}, "invalid MAC address: '01:00:00:00:00:00'"),
        ({"NetworkingConfig": {"EndpointsConfig": {"bridge": {"MacAddress": "ff:ff:ff:ff:ff:ff"}}}}, "invalid MAC"),
        ({"HostConfig": {"PortBindings": {"80/tcp": [TWICE], "81/tcp": [TWICE]}, "NetworkMode": "none"}}, None),
        ({"HostConfig": {"PortBindings": {"80/tcp": [TWICE] * 3, "80/udp": [TWICE]}}}, None),
        ({"HostConfig": {"CgroupParent": "a\nb"}}, "invalid CgroupParent: 'a\\nb'"),
        ({"HostConfig": {"CgroupParent": "/"}}, None),
        ({"HostConfig": {"CpuQuota": 1 << 44}}, "invalid CpuQuota: 17592186044416 is more than 17592186044415"),
        ({"HostConfig": {"CpuRealtimePeriod": 1 << 55}}, "invalid CpuRealtimePeriod"),
        ({"HostConfig": {"PidsLimit": (4 << 20) + 1}}, "invalid PidsLimit: 4194305 is more than 4194304"),
        ({"HostConfig": {"PidsLimit": 4 << 20, "CpuQuota": (1 << 44) - 1}}, None),
        ({"HostConfig": {"CpusetCpus": ","}}, "Invalid value , for cpuset cpus"),
        ({"HostConfig": {"CpusetMems": " "}}, "Invalid value   for cpuset mems"),
        ({"HostConfig": {"Binds": ["/" + "b" * 256 + ":/x"]}}, "is too long for a path"),
        ({"Cmd": ["/" + "c" * 256]}, "invalid Entrypoint or Cmd"),
        ({"HostConfig": {"Tmpfs": {"/proc": ""}}}, "invalid Tmpfs or Mounts: a tmpfs on /proc would hide"),
        ({"HostConfig": {"Ulimits": [{"Name": "nofile", "Soft": 5, "Hard": 9}]}}, "invalid ulimit nofile=5:9"),
        ({"HostConfig": {"Ulimits": [{"Name": "nofile", "Soft": 6, "Hard": 6}]}}, None),
        ({"HostConfig": {"Mounts": [{"Type": "tmpfs", "Target": "/x", "TmpfsOptions": {"Mode": 1 << 31}}]}}, None),
        ({"HostConfig": {"DeviceCgroupRules": ["c 4294967294:1 rwm"]}}, None),
        ({"HostConfig": {"Ulimits": [{"Name": "cpu", "Soft": 60, "Hard": -1}]}}, None),
        ({"HostConfig": {"Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/pts"}]}}, None),
        ({"HostConfig": {"Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "//dev//zero/"}]}}, None),
        ({"HostConfig": {"Binds": ["/dev/urandom://dev//zero/"]}}, None),
    ],
)  # fmt: skip
def test_what_create_takes_starts(daemon: Daemon, body: dict[str, Any], said: str | None) -> None:
    """Where the request alone decides, create refuses what Docker has fail at start."""
    answer = daemon.api("POST", "/containers/create", {**SLEEP, **body})
    if said:
        assert answer.status == 400 and said in answer.body["message"]
    else:
        assert daemon.api("POST", f"/containers/{answer.body['Id']}/start").status == 204


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ({"HostConfig": {"Sysctls": {"net.ipv4.ip_forward": "x"}}}, 128, "for --sysctl net.ipv4.ip_forward=x): "),
        ({"HostConfig": {"Tmpfs": {"/t": "mpol=x"}}}, 128, "for --tmpfs /t:mpol=x): invalid argument"),
        ({"HostConfig": {"CpuRealtimeRuntime": -2}}, 128, "for --cpu-rt-runtime -2): "),
        ({"HostConfig": {"Binds": ["/tmp:/etc/passwd"]}}, 127, "not a directory: /etc/passwd: Are you trying to mount"),
        ({"HostConfig": {"Binds": ["/etc/passwd:/etc"]}}, 127, "not a directory: /etc: Are you trying to mount a dir"),
        ({"HostConfig": {"Binds": ["/tmp:/proc/x"]}}, 127, "for -v /tmp:/proc/x): no such file or directory"),
        ({"HostConfig": {"Binds": ["/tmp:/dev"]}}, 127, "can't mask paths: open /dev/null: no such file or directory"),
        ({"WorkingDir": "/etc/passwd"}, 127, "Cannot mkdir: /etc/passwd is not a directory"),
    ],
)  # fmt: skip
def test_a_start_that_the_request_rules_out_is_its_fault(
    daemon: Daemon, body: dict[str, Any], code: int, said: str
) -> None:
    """What only the kernel or the image can know, with the option that it is about; exit codes are Docker's."""
    id = daemon.api("POST", "/containers/create", {**SLEEP, **body}).body["Id"]
    answer = daemon.api("POST", f"/containers/{id}/start")
    assert answer.status == 400 and said in answer.body["message"]
    assert daemon.inspect(id)["State"]["ExitCode"] == code


def test_no_log_is_no_empty_log(daemon: Daemon) -> None:
    id = made(daemon, {"HostConfig": {"LogConfig": {"Type": "none"}}}, start=True)
    answer = daemon.api("GET", f"/containers/{id}/logs?stdout=1")
    assert (answer.status, answer.body["message"]) == (
        501,
        "configured logging driver does not support reading",
    )


@pytest.mark.parametrize(
    ("arguments", "titles"),
    [
        ("-o%20pid,comm", ["PID", "COMMAND"]),
        ("-o%20comm,pid,tid%20-T", ["COMMAND", "PID", "TID"]),
        ("-eo%20user,pid,args", ["USER", "PID", "COMMAND"]),
        ("axf", ["PID", "TTY", "STAT", "TIME", "COMMAND"]),
        ("-o%20user,pid,ppid", ["USER", "PID", "PPID"]),
    ],
)
def test_top_with_options_of_ps(daemon: Daemon, arguments: str, titles: list[str]) -> None:
    id = made(daemon, start=True)
    answer = daemon.api("GET", f"/containers/{id}/top?ps_args={arguments}")
    assert answer.status == 200 and answer.body["Titles"] == titles
    assert len(answer.body["Processes"]) == 1


@pytest.mark.parametrize("arguments", ["-o%20comm", "a%00b", "--nonsense"])
def test_top_with_options_that_are_none(daemon: Daemon, arguments: str) -> None:
    id = made(daemon, start=True)
    assert daemon.api("GET", f"/containers/{id}/top?ps_args={arguments}").status == 400


def test_top_is_an_event(daemon: Daemon) -> None:
    id, since = made(daemon, start=True), time.time() - 1
    daemon.docker("top", id)
    done = daemon.docker(
        "events", "--since", f"{since:.3f}", "--until", f"{time.time():.3f}", "--filter", f"container={id}",
        "--filter", "event=top", "--format", "{{.Action}}",
    )  # fmt: skip
    assert done.stdout == "top\n"


def test_half_a_character_in_a_request(daemon: Daemon) -> None:
    answer = daemon.api("POST", "/containers/create", {**SLEEP, "Labels": {"a\ud800": "b\udc00"}})
    assert answer.status == 201, answer
    assert daemon.inspect(answer.body["Id"])["Config"]["Labels"] == {"a\ufffd": "b\ufffd"}


@pytest.mark.parametrize("body", [{"Binds": ["/tmp:/y"], "Privileged": True}, {"Cmd": []}])
def test_a_start_with_options_is_refused(daemon: Daemon, body: dict[str, Any]) -> None:
    id = made(daemon)
    answer = daemon.api("POST", f"/containers/{id}/start", body)
    assert (answer.status, answer.body["message"]) == (
        400,
        "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
    )
    assert daemon.inspect(id)["State"]["Status"] == "created"


def test_a_start_with_options_in_pieces_is_refused(daemon: Daemon) -> None:
    id, piece = made(daemon), b'{"Privileged": true}'
    with Api(daemon.socket).wire() as wire:
        wire.send(
            f"POST /containers/{id}/start HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        wire.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(piece), piece))
        assert wire.reply("POST").status == 400
    assert daemon.inspect(id)["State"]["Status"] == "created"


@pytest.mark.parametrize("body", [None, {}])
def test_a_start_with_an_empty_body(daemon: Daemon, body: dict[str, Any] | None) -> None:
    assert daemon.api("POST", f"/containers/{made(daemon)}/start", body).status == 204


def test_an_unknown_signal_of_a_client(daemon: Daemon) -> None:
    answer = daemon.api("POST", "/containers/create", {**SLEEP, "StopSignal": "NOPE"})
    assert (answer.status, answer.body["message"]) == (400, "invalid signal: NOPE")


@pytest.mark.parametrize(
    ("host", "options"),
    [
        ({}, None),
        ({"Privileged": True}, ["label=disable"]),
        ({"PidMode": "host", "SecurityOpt": ["no-new-privileges"]}, ["no-new-privileges", "label=disable"]),
        ({"IpcMode": "host"}, ["label=disable"]),
        ({"PidMode": "host", "SecurityOpt": ["label=type:x"]}, ["label=type:x"]),
    ],
)
def test_security_options_are_shown_with_what_they_imply(
    daemon: Daemon, host: dict[str, Any], options: list[str] | None
) -> None:
    assert daemon.inspect(made(daemon, {"HostConfig": host}))["HostConfig"]["SecurityOpt"] == options


def test_the_runtime_is_one_of_those_that_there_are(daemon: Daemon) -> None:
    shown = daemon.inspect(made(daemon))["HostConfig"]["Runtime"]
    info = daemon.api("GET", "/info").body
    assert shown == info["DefaultRuntime"] and shown in info["Runtimes"]
    again = daemon.inspect(made(daemon, {"HostConfig": {"Runtime": shown}}))["HostConfig"]["Runtime"]
    assert again == shown


def test_names_and_files_in_the_network_of_another(daemon: Daemon) -> None:
    lender = made(daemon, {"Hostname": "foo", "Domainname": "bar"}, start=True)
    guest = made(daemon, {"HostConfig": {"NetworkMode": f"container:{lender}"}})
    before = daemon.inspect(guest)
    assert (before["Config"]["Hostname"], before["HostsPath"]) == (guest[:12], "")
    assert daemon.api("POST", f"/containers/{guest}/start").status == 204
    lent, seen = daemon.inspect(lender), daemon.inspect(guest)
    assert (seen["Config"]["Hostname"], seen["Config"]["Domainname"]) == ("foo", "bar")
    for path in ("ResolvConfPath", "HostnamePath", "HostsPath"):
        assert seen[path] == lent[path] and daemon.sandbox.outside(seen[path]).is_file()
    assert seen["LogPath"] != lent["LogPath"]


def test_files_after_a_start_that_failed(daemon: Daemon) -> None:
    id = made(daemon, {"Cmd": ["/nosuch"]})
    paths = ("ResolvConfPath", "HostnamePath", "HostsPath", "LogPath")
    assert [daemon.inspect(id)[path] for path in paths] == ["", "", "", ""]
    assert daemon.api("POST", f"/containers/{id}/start").status == 400
    shown = daemon.inspect(id)
    assert all(f"/{id}/" in shown[path] for path in paths)
    assert all(
        daemon.sandbox.outside(shown[path]).is_file() for path in paths[:3]
    )  # of a log, there is nothing as yet


def test_what_went_wrong_comes_first(daemon: Daemon) -> None:
    id, other = made(daemon, start=True), made(daemon)
    taken = daemon.inspect(other)["Name"]
    for path, status, said in (
        (f"/{id}/kill?signal=FOO", 400, f"cannot kill container: {id}: invalid signal: FOO"),
        (
            f"/{id}/kill?signal=65",
            400,
            f"cannot kill container: {id}: the linux daemon does not support signal 65",
        ),
        (
            f"/{id}/kill?signal=33",
            400,
            f"cannot kill container: {id}: the linux daemon does not support signal 33",
        ),
        (f"/{other}/kill", 409, f"cannot kill container: {other}: container {other} is not running"),
        ("/nosuch/kill", 404, "cannot kill container: nosuch: No such container: nosuch"),
        (f"/{id}/stop?signal=FOO", 400, f"cannot stop container: {id}: invalid signal: FOO"),
        (f"/{id}/restart?signal=FOO", 400, f"Cannot restart container {id}: invalid signal: FOO"),
        ("/nosuch/stop", 404, "No such container: nosuch"),
        (f"/{id}/rename?name=!", 400, "Error when allocating new name: Invalid container name (/!), only"),
        (
            f"/{id}/rename?name={taken[1:]}",
            409,
            f'Error when allocating new name: Conflict. The container name "{taken}"',
        ),
    ):
        answer = daemon.api("POST", f"/containers{path}")
        assert answer.status == status and answer.body["message"].startswith(said), (path, answer)


def test_an_event_of_a_command_without_arguments(daemon: Daemon) -> None:
    id = made(daemon, start=True)
    daemon.docker("exec", id, "true")
    seen = daemon.docker(
        "events", "--since", "1", "--until", f"{time.time():.3f}", "--filter", f"container={id}",
        "--filter", "event=exec_create", "--filter", "event=exec_start", "--format", "{{.Action}}",
    )  # fmt: skip
    assert seen.stdout.splitlines() == ["exec_create: true ", "exec_start: true "]


def test_settings_of_a_network_that_are_none(daemon: Daemon) -> None:
    body = {**SLEEP, "NetworkingConfig": {"EndpointsConfig": {"bridge": None}}}
    answer = daemon.api("POST", "/containers/create", body)
    assert (answer.status, answer.body["message"]) == (
        400,
        "invalid config for network bridge: EndpointsConfig is nil",
    )


@pytest.mark.parametrize("mode", ["bridge", "none", "host"])
def test_the_key_of_a_sandbox_can_be_entered(daemon: Daemon, mode: str) -> None:
    id = made(daemon, {"HostConfig": {"NetworkMode": mode}}, start=True)
    settings = daemon.inspect(id)["NetworkSettings"]
    namespace = ["readlink", "/proc/self/ns/net"]
    inside = daemon.run_in_ns(["nsenter", f"--net={settings['SandboxKey']}", *namespace]).stdout
    pid = daemon.inspect(id)["State"]["Pid"]
    assert inside == daemon.run_in_ns(["nsenter", "--net", f"--target={pid}", *namespace]).stdout
    assert (inside == daemon.run_in_ns(namespace).stdout) is (mode == "host")
    assert re.fullmatch("[0-9a-f]{64}", settings["SandboxID"])
    joined = made(daemon, {"HostConfig": {"NetworkMode": f"container:{id}"}}, start=True)
    for other in (joined, made(daemon)):
        settings = daemon.inspect(other)["NetworkSettings"]
        assert (settings["SandboxID"], settings["SandboxKey"]) == ("", "")


def test_each_run_has_a_sandbox_of_its_own(daemon: Daemon) -> None:
    id = made(daemon, start=True)
    first = daemon.inspect(id)["NetworkSettings"]["SandboxID"]
    assert daemon.api("POST", f"/containers/{id}/restart?t=0").status == 204
    assert daemon.inspect(id)["NetworkSettings"]["SandboxID"] != first


def test_the_version_says_what_it_was_built_from_and_when(daemon: Daemon) -> None:
    written = json.loads((ROOT / "src/wherry/_bin/build.json").read_text())
    version = daemon.api("GET", "/version").body
    when = datetime.fromtimestamp(written["time"], UTC)
    details = version["Components"][0]["Details"]
    assert version["GitCommit"] == details["GitCommit"] == written["commit"]
    assert datetime.fromisoformat(version["BuildTime"]) == when
    assert details["BuildTime"] == f"{when:%a %b %e %H:%M:%S %Y}"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"Name": "bridge"}, 403, "operation is not permitted on predefined bridge network"),
        (
            {"Name": "default", "Driver": "host"},
            403,
            "operation is not permitted on predefined default network",
        ),
        ({"Name": "x", "Driver": "host"}, 403, 'only one instance of "host" network is allowed'),
        ({"Name": "x", "Driver": "null"}, 403, 'only one instance of "null" network is allowed'),
        ({}, 400, "invalid name: name is empty"),
        ({"Name": "x"}, 501, "this version of wherry has only the networks bridge, host and none"),
    ],
)
def test_networks_that_nobody_makes(daemon: Daemon, body: dict[str, str], status: int, said: str) -> None:
    answer = daemon.api("POST", "/networks/create", body)
    assert (answer.status, answer.body["message"]) == (status, said)


def test_a_limit_of_kernel_memory(daemon: Daemon) -> None:
    """Until 1.42 it is checked and shown; since then nobody knows of it."""
    asked = {**SLEEP, "HostConfig": {"KernelMemory": 1 << 20}}
    refused = daemon.api("POST", "/v1.41/containers/create", asked)
    assert (refused.status, refused.body["message"]) == (400, "Minimum kernel memory limit allowed is 6MB")
    for version, limit, shown in (("1.41", 8 << 20, 8 << 20), ("1.42", 1, None), ("1.51", 1, None)):
        id = made(daemon, {"HostConfig": {"KernelMemory": limit}}, version=f"/v{version}", start=True)
        assert daemon.inspect(id)["HostConfig"].get("KernelMemory") == shown


@pytest.mark.parametrize(
    "path", ["/containers%2fNAME/json", "/containers/NAME%2Fjson", "/v1.51%2fcontainers/NAME/json"]
)
def test_an_escaped_slash_divides(daemon: Daemon, path: str) -> None:
    id = made(daemon)
    assert daemon.api("GET", path.replace("NAME", id)).body["Id"] == id


@pytest.mark.parametrize(
    ("path", "status"),
    [("/%2e/_ping", 301), ("/containers/%2e%2e/_ping", 301), ("/x%2f_ping", 404), ("/_ping%3fa", 404)],
)
def test_what_an_escaped_path_comes_to(daemon: Daemon, path: str, status: int) -> None:
    assert daemon.api("GET", path).status == status


def test_a_name_is_unescaped_once(daemon: Daemon) -> None:
    answer = daemon.api("GET", "/containers%2fa%2541/json")
    assert (answer.status, answer.body["message"]) == (404, "No such container: a%41")
