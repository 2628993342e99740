"""From the bridge and from the host's network: the host's loopback, forged addresses, names that we use."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually
from tests.security.image import attack, run

LISTENER = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
while True:
    text, source = sock.recvfrom(100)
    print(text.decode(), source[0], flush=True)
"""


class Listener:
    """A UDP service in the daemon's network namespace; ``heard`` are the senders of its packets so far."""

    def __init__(self, daemon: Daemon, address: str, port: int) -> None:
        self.port = port
        self._log = daemon.base / f"udp-{address}-{port}"
        with self._log.open("wb") as log:
            words = ["python3", "-uc", LISTENER, address, str(port)]
            self._process = daemon.sandbox.popen(words, stdout=log, stderr=subprocess.STDOUT)
        assert eventually(lambda: "ready" in self._log.read_text()), self._log.read_text()

    def heard(self, seconds: float = 0.3) -> list[str]:
        time.sleep(seconds)
        return self._log.read_text().splitlines()[1:]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


Listen = Callable[[str, int], Listener]


@pytest.fixture
def listen(besieged: Daemon) -> Iterator[Listen]:
    made: list[Listener] = []

    def start(address: str, port: int) -> Listener:
        made.append(Listener(besieged, address, port))
        return made[-1]

    yield start
    for listener in made:
        listener.close()


def bridge_of(daemon: Daemon) -> tuple[str, str]:
    """Address and MAC of the default bridge."""
    network = daemon.api("GET", "/networks/bridge").body
    name = network["Options"]["com.docker.network.bridge.name"]
    mac = daemon.sandbox.run(["cat", f"/sys/class/net/{name}/address"]).stdout.strip()
    return network["IPAM"]["Config"][0]["Gateway"], mac


def test_the_hosts_loopback_is_out_of_reach(besieged: Daemon, listen: Listen) -> None:
    """CVE-2020-8558, with raw frames: CAP_NET_RAW is on by default."""
    gateway, mac = bridge_of(besieged)
    loopback, everywhere = listen("127.0.0.1", 5555), listen("0.0.0.0", 5556)
    forged = attack(besieged, "datagram", mac, "172.31.255.9", "127.0.0.1", "5555")
    assert forged["sent"] == "ok" and loopback.heard() == []
    attack(besieged, "datagram", mac, "127.0.0.1", gateway, "5556")
    attack(besieged, "datagram", mac, "127.0.0.1", "127.0.0.1", "5555")
    assert loopback.heard() == [] and everywhere.heard(0) == []
    neighbour = gateway.rpartition(".")[0] + ".77"
    attack(besieged, "datagram", mac, neighbour, gateway, "5556")
    assert everywhere.heard() == [f"spoof {neighbour}"], "the listener hears nothing: the test shows nothing"


def rules(daemon: Daemon) -> list[str]:
    return sorted(daemon.sandbox.run("nft list ruleset | grep -v counter").stdout.splitlines())


def test_a_flushed_firewall_is_back_at_once(besieged: Daemon, listen: Listen) -> None:
    """CVE-2025-54388, CVE-2025-54410: the host's firewall is reloaded, and with it go our rules."""
    _, mac = bridge_of(besieged)
    loopback = listen("127.0.0.1", 5557)
    before = rules(besieged)
    for _ in range(3):
        besieged.sandbox.run("nft flush ruleset")
        assert eventually(lambda: rules(besieged) == before, 30)
    attack(besieged, "datagram", mac, "172.31.255.9", "127.0.0.1", "5557")
    assert loopback.heard() == []


def test_a_firewall_flushed_while_no_engine_runs(
    fresh_daemon: Callable[..., Daemon], hostile_archive: bytes
) -> None:
    """The host's loopback stays out of reach, and a port that was published on it works again with the engine."""
    daemon = fresh_daemon()
    daemon.load(hostile_archive)
    gateway, mac = bridge_of(daemon)
    neighbour = gateway.rpartition(".")[0] + ".77"
    forge = f"/attacker datagram {mac} 172.31.255.9 127.0.0.1 5558; /attacker datagram {mac} {neighbour} {gateway} 5558"
    daemon.docker("run", "-d", "attacker", "sh", "-c", f"while :; do {forge}; sleep 0.05; done")
    daemon.docker("run", "-d", "-p", "127.0.0.1:8088:80", "busybox", "httpd", "-f", "-p", "80", "-h", "/etc")
    daemon.kill9()
    daemon.sandbox.run("nft flush ruleset")
    loopback, bridge = Listener(daemon, "127.0.0.1", 5558), Listener(daemon, gateway, 5558)
    heard, on_bridge = loopback.heard(1), bridge.heard(0)
    daemon.start()
    got = daemon.sandbox.run(["curl", "-s", "http://127.0.0.1:8088/hostname"])
    for listener in (loopback, bridge):
        listener.close()
    daemon.remove_containers()
    assert heard == [] and on_bridge, "the bridge's own address hears nothing: the test shows nothing"
    assert got.stdout.strip()


def test_the_gateway_keeps_its_addresses(besieged: Daemon) -> None:
    """A container claims the bridge's IP address, and then its MAC: the host and others still reach it."""
    gateway, mac = bridge_of(besieged)
    victim = besieged.docker("run", "-d", "busybox", "httpd", "-f", "-p", "80").stdout.strip()
    address = besieged.inspect(victim)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    ping = ("exec", victim, "ping", "-c", "1", "-W", "2", gateway)
    besieged.docker(*ping)
    for _ in range(3):
        assert attack(besieged, "claim-address", gateway, mac)["sent"] == "ok"
    besieged.docker(*ping)
    for _ in range(3):
        assert attack(besieged, "claim-address", gateway, "02:00:00:00:00:66")["sent"] == "ok"
    besieged.sandbox.run(["timeout", "3", "bash", "-c", f"exec 3<>/dev/tcp/{address}/80"])
    neighbours = besieged.sandbox.run(["ip", "neigh", "show", gateway]).stdout
    assert "02:00:00:00:00:66" not in neighbours


def test_there_is_no_ipv6(besieged: Daemon) -> None:
    """CVE-2024-32473, CVE-2020-13401: no link-local address, so nobody listens to a rogue router."""
    inside = run(besieged, "busybox", "sh", "-c", "ip -6 addr show dev eth0; cat /proc/net/if_inet6").stdout
    assert "fe80" not in inside and "eth0" not in inside
    assert "fe80" not in besieged.sandbox.run("ip -6 addr").stdout


def test_network_administration_is_not_given(besieged: Daemon) -> None:
    for words in (("ip", "link", "set", "eth0", "down"), ("ip", "addr", "add", "10.9.9.9/8", "dev", "eth0")):
        done = run(besieged, "busybox", *words)
        assert done.returncode != 0 and "permitted" in done.stderr
        done = run(besieged, "--network", "host", "busybox", *words)
        assert done.returncode != 0


def test_abstract_sockets_in_the_hosts_network(besieged: Daemon) -> None:
    """CVE-2020-15257: a container in the host's network sees no name of ours that it could call or take."""
    assert "@" not in run(besieged, "--network", "host", "busybox", "cat", "/proc/net/unix").stdout
    assert "@" not in run(besieged, "busybox", "cat", "/proc/net/unix").stdout


def second_engine(daemon: Daemon) -> subprocess.CompletedProcess[str]:
    state = daemon.sandbox.state
    second = [
        sys.executable, "-m", "wherry.daemon", "--data-root", f"{state}/second", "--exec-root", f"{state}/second-run",
        "-H", f"unix://{state}/second.sock", "--cgroup-parent", f"{daemon.sandbox.cgroup_parent}/second",
    ]  # fmt: skip
    return subprocess.run(
        daemon.sandbox.enter(second), env=daemon.client_environment(), text=True,
        capture_output=True, timeout=30,
    )  # fmt: skip


def test_two_engines_on_one_bridge(fresh_daemon: Callable[..., Daemon], hostile_archive: bytes) -> None:
    """Whatever a container in the host's network took while no engine ran."""
    daemon = fresh_daemon()
    daemon.load(hostile_archive)
    script = "until /attacker squat wherry/bridge/wherry0; do sleep 0.02; done"
    daemon.docker("run", "-d", "--name", "squatter", "--network", "host", "attacker", "sh", "-c", script)
    daemon.restart()
    for _ in range(2):
        done = second_engine(daemon)
        assert done.returncode == 1 and "another engine uses it" in done.stderr
        assert not list(Path("/sys/fs/cgroup").glob(f"*/{daemon.sandbox.cgroup_parent}/second"))
        daemon.sandbox.run("nft flush ruleset")
    with pytest.raises(subprocess.CalledProcessError):
        daemon.sandbox.run("nft delete table ip wherry_has_wherry0")
    assert daemon.docker("logs", "squatter").stdout == "squat: ok\n"
    daemon.remove_containers()


def test_nobody_keeps_a_killed_engine_from_its_bridge(fresh_daemon: Callable[..., Daemon]) -> None:
    """Its claim goes with it; and a table of that name that is nobody's is no claim."""
    daemon = fresh_daemon()
    daemon.docker("run", "-d", "--name", "alive", "busybox", "sleep", "60")
    daemon.kill9()
    daemon.sandbox.run("nft add table ip wherry_has_wherry0")
    daemon.start()
    assert daemon.docker("exec", "alive", "echo", "yes").stdout == "yes\n"
    daemon.docker("rm", "-f", "alive")
