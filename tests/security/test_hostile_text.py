"""Names, labels, variables and bodies that mean harm to whoever reads them."""

from __future__ import annotations

import json
import socket
import time

import pytest

from tests.harness.daemon import Daemon
from tests.security.image import load_variant, nothing, run

NAMES = [
    "../../etc", "a/b", "/", "//x", "-rf", ".", "..", ".hidden", "_x", "a b", "a\nb", "a\0b", "a\x1b[2J", "\u202egnp",
    "\u0430dmin", "a;id", "$(id)", "%2e%2e", "a:b", "a@b", "'", '"', "a\\b", " ", "a\u200b",
]  # fmt: skip
TEXTS = [
    "\x1b]0;owned\x07\x1b[2J", "line\nbreak\r", '"},{"x":"', "\u202e\u2028\u2029\ufeff", "%s%n%p", "{{.Id}}",
    "'; DROP TABLE x;--",
    "\x7f\x01\x02", "a" * 100_000, "\U0001f4a3" * 1000,
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names(besieged: Daemon, name: str) -> None:
    """A container's name can stand in a path, a command and a terminal."""
    answer = besieged.api("POST", f"/containers/create?name={quoted(name)}", {"Image": "busybox"})
    assert answer.status == 400, answer
    made = besieged.api("POST", "/containers/create?name=plain", {"Image": "busybox"}).body["Id"]
    assert besieged.api("POST", f"/containers/{made}/rename?name={quoted(name)}").status == 400


def quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


def test_overlong_and_odd_references(besieged: Daemon) -> None:
    for ref in ("x" * 5000, "%00", "..%2f..%2f", "%ff%fe", "..", "%2e%2e%2fimages"):
        refused = (301,) if ref == ".." else (400, 404)  # that one is sent to the path that it means
        assert besieged.api("GET", f"/containers/{ref}/json").status in refused
        assert besieged.api("GET", f"/exec/{ref}/json").status in refused


@pytest.mark.parametrize("text", TEXTS)
def test_labels_and_variables_come_back_as_they_were(besieged: Daemon, text: str) -> None:
    body = {
        "Image": "busybox",
        "Cmd": ["cat", "/proc/self/environ"],
        "Env": [f"V={text}"],
        "Labels": {text[:1000]: text},
    }
    made = besieged.api("POST", "/containers/create", body).body["Id"]
    assert besieged.inspect(made)["Config"]["Labels"] == {text[:1000]: text}
    assert besieged.api("GET", "/containers/json?all=1").body[0]["Labels"] == {text[:1000]: text}
    assert besieged.api("POST", f"/containers/{made}/start").status == 204
    besieged.api("POST", f"/containers/{made}/wait")
    client = besieged.docker("logs", made)
    assert f"V={text}" in client.stdout or "\r" in text


def test_a_nul_is_refused_everywhere(besieged: Daemon) -> None:
    """What follows it would be lost silently in C."""
    for change in (
        {"Env": ["A=b\0C=d"]}, {"Cmd": ["true\0x"]}, {"Entrypoint": ["true\0x"]}, {"WorkingDir": "/tmp\0x"},
        {"User": "root\0x"},
        {"Hostname": "a\0b"}, {"Domainname": "a\0b"}, {"HostConfig": {"Binds": ["/tmp\0:/x"]}},
        {"HostConfig": {"Binds": ["/tmp:/x\0y"]}}, {"HostConfig": {"Tmpfs": {"/x\0": ""}}},
        {"HostConfig": {"Tmpfs": {"/x": "size=1m\0"}}}, {"HostConfig": {"Sysctls": {"net.a\0": "1"}}},
        {"HostConfig": {"CgroupParent": "/a\0b"}}, {"HostConfig": {"GroupAdd": ["1\0"]}},
        {"HostConfig": {"ExtraHosts": ["a\0:1.2.3.4"]}},
        {"HostConfig": {"Devices": [{"PathOnHost": "/dev/null\0", "PathInContainer": "/dev/x"}]}},
        {"HostConfig": {"MaskedPaths": ["/x\0"]}}, {"HostConfig": {"ReadonlyPaths": ["/x\0"]}},
        {"HostConfig": {"Sysctls": {"net.ipv4.ip_forward": "1\0"}}}, {"HostConfig": {"Dns": ["1.1.1.1\0"]}},
    ):  # fmt: skip
        made = besieged.api("POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"], **change})
        status = made.status
        if status == 201:
            status = besieged.api("POST", f"/containers/{made.body['Id']}/start").status
        assert status in (400, 500), (change, status)


def test_lines_are_not_smuggled_into_generated_files(besieged: Daemon) -> None:
    """/etc/hosts and /etc/resolv.conf have the lines that were asked for, and no others."""
    for change in (
        {"Hostname": "a\n6.6.6.6 bank.example"},
        {"Domainname": "a\n6.6.6.6 bank.example"},
        {"HostConfig": {"ExtraHosts": ["a\n6.6.6.6 bank.example:1.2.3.4"]}},
        {"HostConfig": {"Dns": ["1.1.1.1\nnameserver 6.6.6.6"]}},
        {"HostConfig": {"DnsSearch": ["x\nnameserver 6.6.6.6"]}},
        {"HostConfig": {"DnsOptions": ["x\nnameserver 6.6.6.6"]}},
    ):
        body = {"Image": "busybox", "Cmd": ["cat", "/etc/hosts", "/etc/resolv.conf"], **change}
        made = besieged.api("POST", "/containers/create", body)
        if made.status == 201 and besieged.api("POST", f"/containers/{made.body['Id']}/start").status == 204:
            besieged.api("POST", f"/containers/{made.body['Id']}/wait")
            lines = besieged.docker("logs", made.body["Id"]).stdout.splitlines()
            assert not [n for n in lines if n.startswith(("6.6.6.6", "nameserver 6.6.6.6"))], (change, lines)


def test_an_images_labels_are_only_labels(besieged: Daemon) -> None:
    """CVE-2026-53488: no label of an image means anything to the engine, whatever its prefix."""
    prefixes = (
        "wherry",
        "io.wherry",
        "containerd.io",
        "com.docker",
        "io.containerd",
        "org.opencontainers",
        "io.podman",
        "",
    )
    keys = (
        "privileged",
        "runtime",
        "hooks",
        "restart",
        "network",
        "binds",
        "user",
        "cap-add",
        "id",
        "name",
        "image",
        "execID",
    )
    labels = {f"{prefix}{'.' if prefix else ''}{key}": "true" for prefix in prefixes for key in keys}
    load_variant(besieged, "labelled", nothing, config={"Labels": labels})
    plain, labelled = (
        run(
            besieged,
            image,
            "sh",
            "-c",
            "grep -E '^(Cap|Seccomp|NoNew|Uid)' /proc/self/status; cat /proc/mounts | wc -l",
        )
        for image in ("busybox", "labelled")
    )
    assert plain.stdout == labelled.stdout and plain.returncode == 0
    made = besieged.docker("run", "-d", "--name", "honest", "labelled", "sleep", "600").stdout.strip()
    now = int(time.time())
    text = besieged.api("GET", f"/events?since={now - 60}&until={now + 1}").body
    events = text if isinstance(text, list) else [json.loads(e) for e in str_lines(text)]
    ours = [e["Actor"]["Attributes"] for e in events if e["Actor"]["ID"] == made]
    assert ours and all(a["name"] == "honest" and a["image"] == "labelled" for a in ours)


def str_lines(text: object) -> list[str]:
    return [text] if isinstance(text, dict) else [line for line in str(text).split("\n") if line]


def memory(daemon: Daemon) -> int:
    with open(f"/proc/{daemon.pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def test_bodies_are_bounded(besieged: Daemon) -> None:
    """A body that never ends, a head that never ends, and JSON that is deep: refused, with bounded memory."""
    before = memory(besieged)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(besieged.socket))
        head = b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        head += b"Content-Length: 4000000000\r\n\r\n"
        client.sendall(head + b'{"Image":"')
        try:
            for _ in range(100):
                client.sendall(b"x" * (1 << 20))
        except OSError:
            pass
        assert memory(besieged) - before < 100 << 10
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(besieged.socket))
        client.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\n")
        try:
            for n in range(2000):
                client.sendall(b"X-%d: " % n + b"y" * 4000 + b"\r\n")
            client.sendall(b"\r\n")
        except OSError:
            pass
    deep = b'{"Image":"busybox","Labels":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}"
    answer = besieged.api("POST", "/containers/create", raw=deep)
    assert answer.status == 400
    assert besieged.api("GET", "/_ping").status == 200


def test_a_plan_that_is_too_long(besieged: Daemon) -> None:
    """CVE-2021-43784: lengths that overflow. Seventy thousand variables, and a mount option of a megabyte."""
    for change in (
        {"Env": [f"A{n}=b" for n in range(70_000)]},
        {"Env": ["A=" + "x" * (1 << 20)]},
        {"Cmd": ["true", *["y"] * 140_000]},
        {"HostConfig": {"Tmpfs": {"/x": "size=1m," + "noexec," * 10_000 + "nosuid"}}},
        {"HostConfig": {"Binds": [f"/tmp:/m{n}" for n in range(5000)]}},
        {"WorkingDir": "/" + "w" * 5000},
        {"WorkingDir": "/w" * 5000},
    ):
        made = besieged.api("POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"], **change})
        if made.status == 201:
            started = besieged.api("POST", f"/containers/{made.body['Id']}/start")
            assert started.status in (204, 400, 500), started
            assert started.status == 204 or started.body["message"]
        else:
            assert made.status == 400
    besieged.remove_containers()
    assert run(besieged, "busybox", "echo", "alive").stdout == "alive\n"
