"""Small archives that would cost much: what is said often is read once, and what no archive needs is refused.

A test that is not over in two minutes fails (tests/conftest.py); without the bounds, these take longer.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.image.making import Layout, config, file, sha256, tar
from tests.image.stores import Stores
from wherry.errors import InvalidArgument

LAYER = tar(file("f", b"x"))
JUNK = json.dumps({"junk": [[] for _ in range(900_000)]}).encode()[1:-1]  # 3.6 MB, read and passed over


def heavy(document: bytes) -> bytes:
    return document[:-1] + b", " + JUNK + b"}"


def test_a_config_that_many_images_claim_is_read_once(stores: Stores) -> None:
    items = [{"Config": "c", "RepoTags": [f"i:{n}"], "Layers": ["l"]} for n in range(4000)]
    document = heavy(config([sha256(LAYER)]))
    listing = file("manifest.json", json.dumps(items).encode())
    [image] = stores.load(tar(file("c", document), file("l", LAYER), listing))
    assert len(image.names) == 4000


def test_an_index_that_many_names_point_at_is_read_once(stores: Stores) -> None:
    layout = Layout()
    manifest = layout.image([LAYER])
    inner = {"manifests": [manifest]}
    descriptor = layout.blob(heavy(json.dumps(inner).encode()), "application/vnd.oci.image.index.v1+json")
    layout.manifests = [
        {**descriptor, "annotations": {"io.containerd.image.name": f"docker.io/library/i:{n}"}}
        for n in range(4000)
    ]
    [image] = stores.load(layout.tar())
    assert len(image.names) == 4000


def test_indexes_have_a_limit_together(stores: Stores) -> None:
    layout = Layout()
    index = layout.index([layout.image([LAYER])] * 1000)
    layout.manifests = [
        {**index, "annotations": {"io.containerd.image.name": f"docker.io/library/i:{n}"}} for n in range(20)
    ]
    with pytest.raises(InvalidArgument, match="more than 16384 manifests"):
        stores.load(layout.tar())
    assert stores.is_empty()


@pytest.mark.parametrize("kind", ["manifest.json", "names", "repositories"])
def test_images_have_a_limit(stores: Stores, kind: str) -> None:
    documents = {
        "manifest.json": [{"Config": "c", "Layers": []}] * 4097,
        "names": [{"Config": "c", "Layers": [], "RepoTags": ["a"] * 16385}],
        "repositories": {"a": {f"t{n}": f"{n:064x}" for n in range(4097)}},
    }
    name = "repositories" if kind == "repositories" else "manifest.json"
    with pytest.raises(InvalidArgument, match="more than 4096 images, or 16384 names"):
        stores.load(tar(file(name, json.dumps(documents[kind]).encode())))


def test_an_image_of_more_layers_than_can_be_mounted_is_refused(stores: Stores) -> None:
    item = {"Config": "c", "RepoTags": ["a"], "Layers": ["l"] * 128}
    document = config([sha256(LAYER)] * 128)
    with pytest.raises(InvalidArgument, match="the image has 128 layers; overlayfs takes 127"):
        stores.load(
            tar(file("c", document), file("l", LAYER), file("manifest.json", json.dumps([item]).encode()))
        )
    assert stores.is_empty()


def test_an_old_image_of_endless_ancestors_is_refused(stores: Stores) -> None:
    members = [file(f"{n:064x}/json", json.dumps({"parent": f"{n + 1:064x}"}).encode()) for n in range(200)]
    named = file("repositories", json.dumps({"a": {"1": f"{0:064x}"}}).encode())
    with pytest.raises(InvalidArgument, match="more than 127 layers"):
        stores.load(tar(*members, named))


@pytest.mark.parametrize("last", [{}, {"NO NAME": {"1": "x"}}], ids=["many", "one of them none"])
def test_names_of_old_images_are_counted_before_any_is_read(stores: Stores, last: dict[str, Any]) -> None:
    document = {"a": dict.fromkeys(map(str, range(300_000)), "x")} | last
    with pytest.raises(InvalidArgument, match="more than 4096 images, or 16384 names"):
        stores.load(tar(file("repositories", json.dumps(document, separators=(",", ":")).encode())))


def test_an_old_image_that_many_stand_on_is_read_once(stores: Stores) -> None:
    base, heads = f"{1 << 20:064x}", [f"{n:064x}" for n in range(2000)]
    members = [file(f"{base}/json", heavy(b'{"os": "linux"}')), file(f"{base}/layer.tar", LAYER)]
    for head in heads:
        document = json.dumps({"id": head, "parent": base, "comment": head}).encode()
        members += [file(f"{head}/json", document), file(f"{head}/layer.tar", LAYER)]
    named = {"a": {f"t{n}": head for n, head in enumerate(heads)}}
    images = stores.load(tar(*members, file("repositories", json.dumps(named).encode())), None)
    assert len(images) == 2000
