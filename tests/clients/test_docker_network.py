"""docker's command line and the default bridge: addresses, neighbours, published ports, host and none."""

from __future__ import annotations

import os
import signal

import pytest

from tests.harness.daemon import Daemon
from tests.harness.waiting import eventually

pytestmark = pytest.mark.usefixtures("docker_cli")

WEB = "echo page >/tmp/index.html; exec httpd -f -p 80 -h /tmp"


def out(daemon: Daemon, *arguments: str) -> str:
    return daemon.docker(*arguments).stdout.strip()


def web(daemon: Daemon, name: str, *options: str) -> str:
    """A web server; its address."""
    daemon.docker("run", "-d", "--name", name, *options, "busybox", "sh", "-c", WEB)
    return str(daemon.inspect(name)["NetworkSettings"]["IPAddress"])


def fetch(daemon: Daemon, address: str) -> str:
    """Fetch a page from the daemon's host; the server may need a moment to listen."""
    return daemon.run_in_ns(f"curl -sS -m 5 --retry 30 --retry-connrefused --retry-delay 0 {address}").stdout


def test_host_reaches_container_and_containers_each_other(daemon: Daemon) -> None:
    address = web(daemon, "server")
    assert fetch(daemon, f"http://{address}/") == "page\n"
    assert out(daemon, "run", "--rm", "busybox", "wget", "-qO-", f"http://{address}/") == "page"


def test_addresses_are_one_network_and_not_the_same(daemon: Daemon) -> None:
    one, two = web(daemon, "one"), web(daemon, "two")
    assert one != two and one.rpartition(".")[0] == two.rpartition(".")[0]
    settings = daemon.inspect("one")["NetworkSettings"]["Networks"]["bridge"]
    text = out(
        daemon,
        "exec",
        "one",
        "sh",
        "-c",
        "ip -4 -o addr show eth0; ip route; cat /sys/class/net/eth0/address",
    )
    assert f"inet {one}/{settings['IPPrefixLen']}" in text
    assert f"default via {settings['Gateway']} dev eth0" in text
    assert settings["MacAddress"] in text


@pytest.mark.parametrize("network", ["bridge", "none", "host"])
def test_host_gateway_is_the_host_on_the_default_network(daemon: Daemon, network: str) -> None:
    """On whatever network the container is, as with Docker; and a plan knows it before there is a container."""
    options = ("--network", network, "--add-host", "there:host-gateway", "busybox")
    (config,) = daemon.api("GET", "/networks/bridge").body["IPAM"]["Config"]
    assert f"{config['Gateway']}\tthere" in out(daemon, "run", "--rm", *options, "cat", "/etc/hosts")
    daemon.docker("create", "--name", "planned", *options)
    for words in (("run", "--dry-run", *options), ("plan", "show", "planned")):
        said = daemon.wherry(*words).stdout
        assert "--add-host there:host-gateway" in said


def test_published_port(daemon: Daemon) -> None:
    web(daemon, "server", "-p", "8080:80")
    assert fetch(daemon, "http://127.0.0.1:8080/") == "page\n"
    assert out(daemon, "port", "server").splitlines()[0] == "80/tcp -> 0.0.0.0:8080"
    assert "0.0.0.0:8080->80/tcp" in out(daemon, "ps", "--format", "{{.Ports}}")


def test_published_on_one_address_and_on_a_port_of_the_engines_choice(daemon: Daemon) -> None:
    web(daemon, "server", "-p", "127.0.0.1::80")
    where = out(daemon, "port", "server", "80")
    assert where.startswith("127.0.0.1:")
    assert fetch(daemon, f"http://{where}/") == "page\n"


def test_published_port_reaches_from_a_container_through_the_host(daemon: Daemon) -> None:
    web(daemon, "server", "-p", "8080:80")
    gateway = daemon.inspect("server")["NetworkSettings"]["Gateway"]
    assert out(daemon, "run", "--rm", "busybox", "wget", "-qO-", f"http://{gateway}:8080/") == "page"


def test_port_is_free_again_after_stop(daemon: Daemon) -> None:
    web(daemon, "one", "-p", "8080:80")
    done = daemon.docker("run", "-d", "--name", "two", "-p", "8080:80", "busybox", "sleep", "9", check=False)
    assert done.returncode == 125 and "port is already allocated" in done.stderr
    daemon.docker("kill", "one")
    daemon.docker("start", "two")
    daemon.docker("kill", "two")
    gone = daemon.run_in_ns("curl -sS -m 2 http://127.0.0.1:8080/", check=False)
    assert gone.returncode != 0


def test_port_of_a_process_on_the_host_is_not_taken(daemon: Daemon) -> None:
    listener = daemon.sandbox.popen(["busybox", "httpd", "-f", "-p", "127.0.0.1:8080", "-h", "/"])
    try:
        assert eventually(lambda: ":8080" in daemon.run_in_ns("ss -ltn").stdout)
        done = daemon.docker("run", "--rm", "-p", "127.0.0.1:8080:80", "busybox", "true", check=False)
        assert done.returncode == 125 and "address already in use" in done.stderr
    finally:
        listener.kill()
        listener.wait()


def test_none_has_only_loopback(daemon: Daemon) -> None:
    assert out(daemon, "run", "--rm", "--network", "none", "busybox", "ls", "/sys/class/net") == "lo"
    assert out(daemon, "run", "--rm", "--network", "none", "busybox", "ip", "route") == ""


def test_nothing_is_published_where_there_is_no_network(daemon: Daemon) -> None:
    """As with Docker, -p is no error there."""
    options = ("--network", "none", "-p", "8080:80", "-P", "--expose", "81")
    daemon.docker("run", "-d", "--name", "alone", *options, "busybox", "sleep", "1000")
    assert out(daemon, "port", "alone") == ""
    assert daemon.docker("run", "--rm", "-p", "8080:80", "busybox", "true").stderr == ""


def test_the_address_of_a_link_goes_with_the_run(daemon: Daemon) -> None:
    """What was wished is told until the first start, then what is the case."""
    wished = "02:42:ac:11:00:33"
    daemon.docker(
        "create", "--name", "linked", "--mac-address", wished, "busybox", "cat", "/sys/class/net/eth0/address"
    )
    told = [daemon.inspect("linked")["NetworkSettings"]["MacAddress"]]
    said = [daemon.docker("start", "-a", "linked").stdout.strip() for _ in range(2)]
    told.append(daemon.inspect("linked")["NetworkSettings"]["MacAddress"])
    assert (said, told) == ([wished, wished], [wished, ""])


def test_host_shares_the_daemons_network(daemon: Daemon) -> None:
    inside = out(daemon, "run", "--rm", "--network", "host", "busybox", "readlink", "/proc/self/ns/net")
    assert inside == daemon.run_in_ns("readlink /proc/self/ns/net").stdout.strip()


def test_masquerade_for_what_lies_beyond_the_bridge(daemon: Daemon) -> None:
    """A second network behind the host, which has no route back to the containers: only masqueraded packets return."""
    daemon.run_in_ns(
        "ip netns add beyond && ip link add up0 type veth peer name down0 netns beyond"
        " && ip addr add 192.0.2.1/24 dev up0 && ip link set up0 up"
        " && ip -n beyond addr add 192.0.2.2/24 dev down0 && ip -n beyond link set down0 up"
    )
    try:
        server = daemon.sandbox.popen(
            ["ip", "netns", "exec", "beyond", "busybox", "nc", "-ll", "-p", "80", "-e", "echo", "beyond"]
        )
        text = out(daemon, "run", "--rm", "busybox", "sh", "-c", "sleep 0.3; nc -w 3 192.0.2.2 80 </dev/null")
        assert text == "beyond"
        server.kill()
        server.wait()
    finally:
        daemon.run_in_ns("ip link del up0; ip netns del beyond")


def test_ping_between_containers(daemon: Daemon) -> None:
    address = web(daemon, "server")
    assert "1 packets received" in out(
        daemon, "run", "--rm", "busybox", "ping", "-c", "1", "-W", "2", address
    )


def test_a_network_that_there_is_not(daemon: Daemon) -> None:
    """The container is made, and it is the start that fails: a client that is told 404 by create misses the image."""
    done = daemon.docker("run", "--name", "lost", "--network", "nosuch", "busybox", "true", check=False)
    assert done.returncode == 125 and "network nosuch not found" in done.stderr
    assert "Unable to find image" not in done.stderr
    lost = daemon.inspect("lost")
    assert (lost["State"]["Status"], lost["State"]["ExitCode"]) == ("created", 128)
    assert lost["State"]["Error"] == "failed to set up container networking: network nosuch not found"
    assert list(lost["NetworkSettings"]["Networks"]) == ["nosuch"]
    assert out(daemon, "ps", "-a", "--format", "{{.Networks}}") == "nosuch"
    for endpoints in ({"nosuch": {}}, {"bridge": {}, "nosuch": {}}):
        body = {"Image": "busybox", "NetworkingConfig": {"EndpointsConfig": endpoints}}
        made = daemon.api("POST", "/containers/create", body)
        assert made.status == 201
        assert daemon.api("POST", f"/containers/{made.body['Id']}/start").status == 404
    assert daemon.api("GET", "/networks/bridge").body["Containers"] == {}
    shown = daemon.wherry("run", "--dry-run", "--network", "nosuch", "busybox", "true").stdout
    assert "nosuch, which does not exist" in shown


def test_a_network_by_its_id(daemon: Daemon) -> None:
    for name, word in {"bridge": "eth0", "none": "lo", "host": "wherry0"}.items():
        id = daemon.api("GET", f"/networks/{name}").body["Id"]
        for ref in (id, id[:10]):
            assert word in out(daemon, "run", "--rm", "--network", ref, "busybox", "ls", "/sys/class/net")
        made = daemon.api(
            "POST", "/containers/create", {"Image": "busybox", "HostConfig": {"NetworkMode": id}}
        )
        assert list(daemon.inspect(made.body["Id"])["NetworkSettings"]["Networks"]) == [name]


def test_network_disabled(daemon: Daemon) -> None:
    """Whatever the mode: a namespace of its own with lo, no network, no published port."""
    for mode in ("", "host", "none", "nosuch"):
        host = {
            "NetworkMode": mode,
            "PortBindings": {"80/tcp": [{"HostPort": "8080"}]},
            "PublishAllPorts": True,
        }
        body = {
            "Image": "busybox", "NetworkDisabled": True, "HostConfig": host, "ExposedPorts": {"80/tcp": {}},
            "Cmd": ["sh", "-c", "ls /sys/class/net; ip -4 -o addr; sleep 60"],
        }  # fmt: skip
        id = daemon.api("POST", "/containers/create", body).body["Id"]
        assert daemon.api("POST", f"/containers/{id}/start").status == 204
        settings = daemon.inspect(id)["NetworkSettings"]
        assert (settings["Networks"], settings["Ports"], settings["IPAddress"]) == ({}, {}, "")
        assert eventually(lambda id=id: "127.0.0.1" in out(daemon, "logs", id))
        words = out(daemon, "logs", id).split()
        assert words[0] == "lo" and "eth0" not in words
        daemon.restart()
        assert (
            daemon.inspect(id)["State"]["Running"] and daemon.inspect(id)["NetworkSettings"]["Networks"] == {}
        )
        daemon.docker("rm", "-f", id)


def test_another_containers_network_comes_with_its_names(daemon: Daemon) -> None:
    """Also through one that shares it itself, and where it is the host's."""
    names = ("--hostname", "joined", "--domainname", "example.org", "--add-host", "db:192.0.2.7")
    daemon.docker("run", "-d", "--name", "base", *names, "busybox", "sleep", "100")
    daemon.docker("run", "-d", "--name", "second", "--network", "container:base", "busybox", "sleep", "100")
    daemon.docker("run", "-d", "--name", "on-host", "--network", "host", "busybox", "sleep", "100")
    own = out(daemon, "run", "--rm", "--network", "host", "busybox", "hostname")
    script = "hostname; echo $HOSTNAME; cat /etc/hostname; hostname -d; grep -c 192.0.2.7 /etc/hosts"
    for other in ("base", "second"):
        told = out(daemon, "run", "--rm", "--network", f"container:{other}", "busybox", "sh", "-c", script)
        assert told.split() == ["joined", "joined", "joined", "example.org", "1"]
    daemon.docker("exec", "second", "sh", "-c", "echo 192.0.2.8 more >> /etc/hosts")
    assert "192.0.2.8" in out(daemon, "exec", "base", "cat", "/etc/hosts")
    assert out(daemon, "exec", "second", "hostname") == "joined"
    assert out(daemon, "run", "--rm", "--network", "container:on-host", "busybox", "hostname") == own


def test_its_own_network_cannot_be_joined(daemon: Daemon) -> None:
    done = daemon.docker(
        "run", "--name", "self", "--network", "container:self", "busybox", "true", check=False
    )
    assert done.returncode == 125 and "cannot join own network namespace" in done.stderr


def test_the_hosts_names_are_the_hosts_alone(daemon: Daemon) -> None:
    """With --uts host the container is called as the host is; its files say its own name, as with Docker."""
    host = out(daemon, "run", "--rm", "--network", "host", "busybox", "hostname")
    id = out(daemon, "run", "-d", "--name", "shared", "--uts", "host", "busybox", "sleep", "100")
    words = out(daemon, "exec", "shared", "sh", "-c", "hostname; echo $HOSTNAME; cat /etc/hostname")
    assert words.split() == [host, id[:12], id[:12]]
    assert out(daemon, "run", "--rm", "--network", "container:shared", "busybox", "hostname") == id[:12]


def test_three_thousand_ports(daemon: Daemon) -> None:
    """All are published, and given back; one that is taken leaves none of them."""
    exposed = {f"{number}/tcp": {} for number in range(1, 3001)}
    body = {"Image": "busybox", "Cmd": ["sleep", "100"], "ExposedPorts": exposed}
    publish = {"PublishAllPorts": True, "PortBindings": {"3000/tcp": [{"HostPort": "8080"}]}}
    many = daemon.api("POST", "/containers/create", {**body, "HostConfig": publish}).body["Id"]
    assert daemon.api("POST", f"/containers/{many}/start").status == 204
    ports = daemon.inspect(many)["NetworkSettings"]["Ports"]
    assert len({ports[key][0]["HostPort"] for key in exposed}) == 3000
    again = daemon.api("POST", "/containers/create", {**body, "HostConfig": publish}).body["Id"]
    refused = daemon.api("POST", f"/containers/{again}/start")
    assert refused.status == 500 and "Bind for 0.0.0.0:8080 failed: port is already allocated" in str(
        refused.body
    )
    assert published(daemon) == 3000
    process = daemon.inspect(many)["State"]["Pid"]
    daemon.kill9()
    os.kill(process, signal.SIGKILL)
    daemon.start()
    assert daemon.inspect(many)["State"]["Status"] == "exited"
    assert published(daemon) == 0


def test_what_somebody_takes_from_the_bridge_is_put_back(daemon: Daemon) -> None:
    address = web(daemon, "server", "-p", "127.0.0.1:8080:80")
    assert fetch(daemon, "http://127.0.0.1:8080/") == "page\n"
    for harm in ("link delete wherry0", "address flush dev wherry0", "link set wherry0 down"):
        daemon.run_in_ns(f"ip {harm}")
        daemon.run_in_ns("nft flush ruleset")
        assert eventually(lambda: "UP" in daemon.run_in_ns("ip -br link show wherry0", check=False).stdout)
        assert eventually(lambda: "8080" in daemon.run_in_ns("nft list ruleset").stdout)
        assert fetch(daemon, "http://127.0.0.1:8080/") == "page\n"
        assert out(daemon, "run", "--rm", "busybox", "wget", "-qO-", f"http://{address}/") == "page"
    assert "network bridge was changed from outside; put back: the interface" in daemon.log.read_text()


def published(daemon: Daemon) -> int:
    return daemon.run_in_ns("nft list map ip wherry published_any").stdout.count("tcp .")
