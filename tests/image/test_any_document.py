"""Whatever JSON stands where a document is meant: an error of ours, or an image that can be kept and read again."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.image.making import Layout, file, sha256, tar
from tests.image.stores import Stores
from wherry.engine.image_record import ImageRecord
from wherry.engine.image_register import record_of
from wherry.engine.intake.content import UnpackedImage
from wherry.errors import InvalidArgument
from wherry.image.manifest import ImageConfig, RunConfig
from wherry.image.packed import PackedImage

LAYER = tar(file("f", b"x"))
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.just({})
)
ANY = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
SETTINGS = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def fields(kind: type[msgspec.Struct]) -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from([*kind.__struct_encode_fields__, "unknown"])
    return st.dictionaries(names | names.map(str.swapcase), ANY, max_size=4)


def loads(stores: Stores, archive: bytes) -> None:
    try:
        images = stores.load(archive)
    except InvalidArgument:
        return
    for image in images:
        packed = PackedImage(image.id, image.config, image.blobs, image.names, image.manifest)
        record = record_of(UnpackedImage(packed, image.layers))
        assert msgspec.json.decode(msgspec.json.encode(record), type=ImageRecord) == record


@SETTINGS
@given(fields(ImageConfig), fields(RunConfig))
def test_any_config(stores: Stores, top: dict[str, Any], run: dict[str, Any]) -> None:
    good = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [sha256(LAYER)]}}
    document = json.dumps({**good, "config": run, **top}).encode()
    listing = json.dumps([{"Config": "c", "Layers": ["l"]}]).encode()
    loads(stores, tar(file("c", document), file("l", LAYER), file("manifest.json", listing)))


@SETTINGS
@given(ANY, ANY)
def test_any_list_of_images(stores: Stores, document: Any, item: Any) -> None:
    for text in (json.dumps(document).encode(), json.dumps([{"Config": item, "Layers": document}]).encode()):
        for name in ("manifest.json", "index.json", "repositories"):
            loads(stores, tar(file("l", LAYER), file(name, text)))


@SETTINGS
@given(ANY, st.sampled_from(["config", "layers", "annotations", "mediaType"]), st.booleans())
def test_any_manifest(stores: Stores, value: Any, field: str, in_index: bool) -> None:
    layout = Layout()
    descriptor = layout.image([LAYER])
    if in_index:
        layout.manifests = [{**descriptor, field: value, "platform": value}]
    else:
        manifest = json.loads(layout.blobs[str(descriptor["digest"])])
        changed = json.dumps({**manifest, field: value}).encode()
        layout.manifests = [layout.blob(changed, str(descriptor["mediaType"]))]
    loads(stores, layout.tar())
