"""Tables and rows."""

from __future__ import annotations

from typing import Any

import pytest

from wherry.cli.container_list import ports_text, row
from wherry.cli.events import line
from wherry.cli.image_list import image_rows
from wherry.cli.output import filter_query, table


def port(inside: int, outside: int = 0, address: str = "", protocol: str = "tcp") -> dict[str, Any]:
    published = {"IP": address, "PublicPort": outside} if outside else {}
    return {"PrivatePort": inside, "Type": protocol, **published}


@pytest.mark.parametrize(
    ("ports", "text"),
    [
        ([], ""),
        ([port(80)], "80/tcp"),
        ([port(80, 8080, "0.0.0.0"), port(80, 8080, "::")], "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"),
        ([port(n, n, "0.0.0.0") for n in (9002, 9000, 9001)], "0.0.0.0:9000-9002->9000-9002/tcp"),
        ([port(7), port(8), port(53, 53, "127.0.0.1", "udp")], "7-8/tcp, 127.0.0.1:53->53/udp"),
        ([port(1), port(3), port(4)], "1/tcp, 3-4/tcp"),
        ([port(80, 80, "0.0.0.0"), port(90, 91, "0.0.0.0"), port(70)], "70/tcp, 0.0.0.0:80->80/tcp, 0.0.0.0:91->90/tcp"),  # noqa: E501
    ],
)  # fmt: skip
def test_ports(ports: list[dict[str, Any]], text: str) -> None:
    assert ports_text(ports) == text


def test_columns_are_ten_wide_or_three_more_than_the_widest() -> None:
    assert table([["ID", "NAMES"], ["1", "a"], ["123456789", "b"]]) == (
        "ID          NAMES\n1           a\n123456789   b\n"
    )
    assert table([["TAG", "X"], ["1", "y"]]) == "TAG       X\n1         y\n"


def test_filters_are_sets_of_values() -> None:
    assert filter_query([("label", "a=b"), ("status", "x"), ("label", "c")]) == (
        '{"label":{"a=b":true,"c":true},"status":{"x":true}}'
    )
    assert filter_query([]) is None


CONTAINER: dict[str, Any] = {
    "Id": "f" * 64, "Names": ["/web", "/other/link"], "Image": "sha256:" + "a" * 64, "Command": 'sh -c "a\nb"',
    "Created": 0, "State": "running", "Status": "Up", "Ports": [], "Labels": {"b": "2", "a": "1"},
    "Mounts": [{"Type": "volume", "Name": "v" * 30, "Driver": "local"}, {"Type": "bind", "Source": "/x"}],
    "NetworkSettings": {"Networks": {"bridge": {}}},
}  # fmt: skip


def test_a_container_in_short_and_in_full() -> None:
    short, full = row(CONTAINER, True), row(CONTAINER, False)
    assert (short["ID"], full["ID"]) == ("f" * 12, "f" * 64)
    assert (short["Image"], full["Image"]) == ("a" * 12, "sha256:" + "a" * 64)
    assert (short["Names"], full["Names"]) == ("web", "web,other/link")
    assert full["Command"] == '"sh -c \\"a\\nb\\""'
    assert (short["Mounts"], full["LocalVolumes"]) == ("v" * 14 + "…,/x", "1")
    assert (short["Labels"], short["Label"]("b")) == ("a=1,b=2", "2")


def test_an_image_has_a_row_for_each_tag() -> None:
    image = {
        "Id": "sha256:" + "b" * 64,
        "RepoTags": ["a:1", "host:5000/b:2"],
        "RepoDigests": ["a@sha256:d"],
        "Created": 0,
        "Size": 5,
    }
    rows = [(r["Repository"], r["Tag"], r["Digest"]) for r in image_rows(image, True, True)]
    assert rows == [("a", "1", "sha256:d"), ("host:5000/b", "2", "<none>")]
    untagged = list(image_rows({**image, "RepoTags": [], "RepoDigests": []}, True, False))
    assert [(r["Repository"], r["Tag"], r["ID"]) for r in untagged] == [("<none>", "<none>", "b" * 12)]


def test_an_event_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    actor = {"ID": "x", "Attributes": {"name": "n", "image": "i"}}
    event = {"Type": "container", "Action": "start", "Actor": actor, "timeNano": 1795569765000199064}
    text = line(event)
    assert text.endswith(" container start x (image=i, name=n)") and ".000199064" in text
