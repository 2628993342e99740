"""The page: self-contained, harmless whatever a container is called, with its three drawings."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cli.documents import DRIFTS, explanation, interface, layer, limit, namespace
from tests.cli.test_explain_text import hostile
from wherry.cli.page import page
from wherry.cli.page_style import STYLE

Json = dict[str, Any]

READ_AT = datetime(2026, 11, 25, 1, 40, tzinfo=UTC)
SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)
KNOWN = (
    "html head meta title style body header main footer section nav ul li a h1 h2 p dl dt dd div small span code "
    "figure svg desc g rect path text table thead tbody tr th td wbr"
)
TAGS = frozenset(KNOWN.split())
NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onload='x",
    "</title></svg></style><script>",
    "\x1b[2J\x00\x07",
    "\u202egnp.exe",
    "&lt;b&gt; &#60;script&#62;",
    "]]><!--",
    "\ud800",
]


class Tags(HTMLParser):
    """Collects tags, attributes, and the texts between."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def made(**changed: Any) -> str:
    return page(explanation(**changed), READ_AT)


def drawings(text: str) -> dict[str, ElementTree.Element]:
    """The drawings for a wide screen by name; that they parse as XML is part of it."""
    found = {}
    for svg in SVG.findall(text):
        root = ElementTree.fromstring(svg)
        name, _, kind = root.attrib["aria-labelledby"].split()[0].removesuffix("-t").partition("-")
        if kind == "wide":
            found[name] = root
    return found


def texts(drawing: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in drawing.iter("text")]


def test_the_page_asks_for_nothing() -> None:
    parsed = Tags(made(Drift=DRIFTS))
    assert parsed.tags <= TAGS
    assert not [
        a for a in parsed.attributes if a[0] in ("src", "srcset", "style", "action") or a[0].startswith("on")
    ]
    assert all(value.startswith("#") for name, value in parsed.attributes if name == "href")
    assert not re.search(r"url\(|@import|https?:", made())


def test_the_policy_allows_the_pages_own_style_and_nothing_else() -> None:
    text = made()
    match = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert match and style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert match[1] == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_drift_stands_before_all_else() -> None:
    text = made(Drift=DRIFTS)
    assert text.index('id="drift"') < text.index('id="cost"')
    assert "No drift" not in text
    assert "No drift" in made()


def test_links_lead_to_sections_that_are_there() -> None:
    for text in (made(), made(Ports=[], Interfaces=[], Layers=[])):
        parsed = Tags(text)
        ids = {value for name, value in parsed.attributes if name == "id"}
        assert {value[1:] for name, value in parsed.attributes if name == "href"} <= ids


def test_the_stack_has_the_writable_layer_on_top_and_the_command_of_each() -> None:
    said = texts(drawings(made())["layers"])
    assert said[:3] == ["36 KiB", "writable layer", "what the container has written; removed with it"]
    assert said[3:6] == ["180 KiB", "COPY site /srv", "a1b2c3d4a1b2 · used by no other container"]
    assert said[-1] == "c1b2c3d4c1b2 · used by 6 other containers"


def test_a_shared_layer_has_cards_behind_it() -> None:
    stack = drawings(made(Layers=[layer("a", "X", 5, 2), layer("b", "Y", 5, 0)]))["layers"]
    assert [r.attrib["class"] for r in stack.iter("rect")] == ["writable", "ghost", "ghost", "layer", "layer"]


def test_more_layers_than_can_be_drawn_are_counted() -> None:
    assert texts(drawings(made(Layers=[layer("a", "X", 5, 0)] * 127))["layers"])[-1] == "and 107 more below"


def test_the_way_of_a_packet_has_real_names_and_counters() -> None:
    said = texts(drawings(made())["packet"])
    for name in (
        "0.0.0.0:8080/tcp",
        "172.17.0.2:80",
        "1,284 packets",
        "wherry0",
        "veth3f2a1c",
        "eth0",
        "172.17.0.2/16",
    ):
        assert name in said
    assert "pid 4711" in said and "and 1 more" in said
    order = [
        said.index(word)
        for word in ("port on the host", "nft map, to", "bridge", "veth, host end", "process")
    ]
    assert order == sorted(order)


def test_on_the_hosts_network_there_is_no_way_between() -> None:
    said = texts(drawings(made(Namespaces=[namespace("net", 1, "host")], Ports=[], Interfaces=[]))["packet"])
    assert (
        "the host's own" in said
        and "It uses the host's network: whatever reaches the host can reach it." in said
    )


def test_without_an_interface_no_way_leads_in() -> None:
    said = texts(drawings(made(Ports=[], Interfaces=[interface("lo", ["127.0.0.1/8"])]))["packet"])
    assert "Nothing outside can reach it." in said


@pytest.mark.parametrize(
    ("used", "kind"), [(10, "used"), (75, "used near"), (95, "used full"), (200, "used full")]
)
def test_a_bar_is_as_long_as_what_is_used(used: int, kind: str) -> None:
    bars = drawings(made(Limits=[limit("processes", "/x/pids.max", "count", 100, used)]))["bars"]
    track, bar = bars.iter("rect")
    assert bar.attrib["class"] == kind
    share = float(bar.attrib["width"]) / float(track.attrib["width"])
    assert share == pytest.approx(min(used / 100, 1), abs=0.01)


def test_no_limit_is_an_open_bar() -> None:
    bars = drawings(made(Limits=[limit("processes", "/x/pids.max", "count", None, 3)]))["bars"]
    assert [r.attrib["class"] for r in bars.iter("rect")] == ["open"]


def test_each_drawing_says_in_words_what_it_shows() -> None:
    for drawing in drawings(made()).values():
        title, described = drawing.find("title"), drawing.find("desc")
        assert title is not None and title.text and described is not None and described.text
        assert drawing.attrib["role"] == "img"


@pytest.mark.parametrize("nasty", NASTY)
def test_a_nasty_text_is_harmless_everywhere(nasty: str) -> None:
    check_harmless(page(hostile(explanation(Drift=DRIFTS, Notes=["x"]), nasty), READ_AT))


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_harmless(text: str) -> None:
    check_harmless(page(hostile(explanation(Drift=DRIFTS, Notes=["x"]), text), READ_AT))


def check_harmless(text: str) -> None:
    parsed = Tags(text)
    assert parsed.tags <= TAGS
    names = {name for name, _ in parsed.attributes}
    assert not {n for n in names if n.startswith("on")} and not names & {"src", "style"}
    assert all(value.startswith("#") for name, value in parsed.attributes if name == "href")
    assert all(c.isprintable() or c == "\n" for c in text)
    assert text.count("<svg") == len(SVG.findall(text))
    drawings(text)
    text.encode()


def test_a_nasty_name_can_still_be_read() -> None:
    assert "<script>alert(1)</script>" in "".join(Tags(made(Name="<script>alert(1)</script>")).text)


# ---------------------------------------------------------------- colours

PAPERS = {
    "paper": "ink soft calm",
    "card": "ink soft calm warm",
    "calm-tint": "ink soft calm",
    "warm-tint": "ink soft warm",
}
PALETTE = re.compile(r"--([a-z-]+): (#[0-9a-f]{6})")


def palettes() -> dict[str, dict[str, str]]:
    light, dark = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    return {"light": dict(PALETTE.findall(light)), "dark": dict(PALETTE.findall(dark))}


def luminance(color: str) -> float:
    """WCAG 2.2, "relative luminance"."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read_on_what_is_below_them(scheme: str) -> None:
    colors = palettes()[scheme]
    pairs = [(ink, paper) for paper, inks in PAPERS.items() for ink in inks.split()]
    for ink, paper in [*pairs, ("bad", "bad-tint"), ("calm", "bad-tint"), ("soft", "bad-tint")]:
        brighter, darker = sorted((luminance(colors[ink]), luminance(colors[paper])), reverse=True)
        assert (brighter + 0.05) / (darker + 0.05) >= 4.5, f"{ink} on {paper}"
