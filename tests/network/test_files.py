"""hosts, hostname and resolv.conf, compared with what dockerd 28 writes."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.errors import InvalidArgument
from wherry.network import files
from wherry.network.files import (
    Overrides,
    format_resolver,
    own_names,
    parse_resolv_conf,
    render_host_network_hosts,
    render_hostname,
    render_hosts,
    render_resolv_conf,
)

GATEWAY = IPv4Address("172.17.0.1")
NO_OVERRIDES = Overrides()


def test_hosts_on_a_bridge() -> None:
    extra = ["db:10.0.0.9", "host.docker.internal:host-gateway", "six=fd00::1"]
    content = render_hosts("web", address=IPv4Address("172.17.0.2"), extra_hosts=extra, host_gateway=GATEWAY)
    assert content == (
        "127.0.0.1\tlocalhost\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::\tip6-localnet\n"
        "ff00::\tip6-mcastprefix\n"
        "ff02::1\tip6-allnodes\n"
        "ff02::2\tip6-allrouters\n"
        "10.0.0.9\tdb\n"
        "172.17.0.1\thost.docker.internal\n"
        "fd00::1\tsix\n"
        "172.17.0.2\tweb\n"
    )


def test_hosts_without_a_network_name_nobody() -> None:
    assert render_hosts("web").endswith("ip6-allrouters\n")


@pytest.mark.parametrize(
    ("hostname", "domainname", "names"),
    [("web", "", "web"), ("web", "a.b", "web.a.b web"), ("web.a.b", "", "web.a.b web")],
)
def test_own_names(hostname: str, domainname: str, names: str) -> None:
    assert own_names(hostname, domainname) == names


def test_hosts_on_the_hosts_network() -> None:
    assert (
        render_host_network_hosts("127.0.0.1 localhost", ["db:10.0.0.9"])
        == "127.0.0.1 localhost\n10.0.0.9\tdb\n"
    )


@pytest.mark.parametrize("entry", ["db", "db:nowhere", ":1.2.3.4", "db=", "x:host-gateway"])
def test_bad_extra_hosts(entry: str) -> None:
    with pytest.raises(InvalidArgument, match=r"add-host|host-gateway"):
        render_hosts("web", extra_hosts=[entry])


def test_hostname() -> None:
    assert render_hostname("web") == "web\n"


HOST = """\
# made by hand
; so is this
nameserver 127.0.0.53
nameserver 10.0.0.53
nameserver fd00::53
nameserver nonsense
domain old.example
search corp.example lab.example
options edns0
options ndots:2 trust-ad
sortlist 10.0.0.0
"""


def test_resolv_conf_on_a_bridge() -> None:
    assert render_resolv_conf(HOST, NO_OVERRIDES) == (
        "nameserver 10.0.0.53\n"
        "search corp.example lab.example\n"
        "options edns0 ndots:2 trust-ad\n"
        "sortlist 10.0.0.0\n"
    )


def test_fallback_only_where_no_name_server_is_left() -> None:
    assert render_resolv_conf("nameserver 127.0.0.1\nnameserver ::1\n", NO_OVERRIDES) == (
        "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"
    )


def test_overrides_replace() -> None:
    overrides = Overrides(("127.0.0.1", "fd00::1"), ("a", "."), ("ndots:1",))
    assert render_resolv_conf(HOST, overrides) == (
        "nameserver 127.0.0.1\nnameserver fd00::1\nsearch a\noptions ndots:1\nsortlist 10.0.0.0\n"
    )
    assert "search" not in render_resolv_conf(HOST, Overrides(search=(".",)))


def test_on_the_hosts_network_it_is_the_hosts() -> None:
    assert render_resolv_conf(HOST, NO_OVERRIDES, host_network=True) == HOST
    changed = render_resolv_conf(HOST, Overrides(options=("rotate",)), host_network=True)
    assert changed.startswith("nameserver 127.0.0.53\n") and changed.count("options rotate\n") == 1


@given(st.text())
def test_any_text_is_read(content: str) -> None:
    parse_resolv_conf(content)


WORD = st.from_regex(r"[a-z][a-z0-9.:-]{0,8}", fullmatch=True)


@given(st.lists(st.ip_addresses(v=4).map(str)), st.lists(WORD), st.lists(WORD))
def test_what_is_written_is_read_back(nameservers: list[str], search: list[str], options: list[str]) -> None:
    lines = [f"nameserver {n}" for n in nameservers]
    lines += ["search " + " ".join(search)] * bool(search) + ["options " + " ".join(options)] * bool(options)
    parsed = parse_resolv_conf("\n".join(lines))
    assert parse_resolv_conf(format_resolver(parsed)) == parsed
    assert (list(parsed.nameservers), list(parsed.search)) == (nameservers, search)


def test_the_hosts_resolver_is_read_anew_when_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, behind = tmp_path / "resolv.conf", tmp_path / "resolved.conf"
    monkeypatch.setattr(files, "HOST_RESOLV_CONF", own)
    monkeypatch.setattr(files, "SYSTEMD_RESOLV_CONF", behind)
    host = files.HostResolver()
    assert host.text() == ""
    own.write_text("nameserver 192.0.2.1\n")
    assert host.text() == host.text() == "nameserver 192.0.2.1\n"
    draft = tmp_path / "draft"
    draft.write_text("nameserver 192.0.2.2\n")
    draft.rename(own)
    assert host.text() == "nameserver 192.0.2.2\n"
    own.write_text("nameserver 127.0.0.53\n")
    assert host.text() == "nameserver 127.0.0.53\n"
    behind.write_text("nameserver 192.0.2.3\n")
    assert host.text() == "nameserver 192.0.2.3\n"
    assert host.text(host_network=True) == "nameserver 127.0.0.53\n"
    own.unlink()
    assert host.text() == ""
