"""Archives as other tools and other times write them, and names that an archive must not give."""

from __future__ import annotations

import json

import msgspec
import pytest

from tests.image.making import Layout, Member, config, directory, docker_archive, file, sha256, tar
from tests.image.stores import AMD64, Stores
from wherry.content.digest import chain_ids
from wherry.errors import InvalidArgument
from wherry.image.manifest import Descriptor, History, ImageConfig, Platform, RunConfig
from wherry.messages.base import Nothing

BASE = tar(directory("etc"), file("etc/name", b"base"))
TOP = tar(file("etc/name", b"top"))
DIGEST = "sha256:" + "a" * 64
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def archive(*members: Member, config: str = "c", layers: list[str] | None = None) -> bytes:
    item = {"Config": config, "RepoTags": ["app"], "Layers": ["l"] if layers is None else layers}
    return tar(*members, file("manifest.json", json.dumps([item]).encode()))


# --- names


@pytest.mark.parametrize(
    ("name", "match"),
    [
        (f"app@{DIGEST}", "digest reference"),
        (f"app:1@{DIGEST}", "digest reference"),
        ("sha256:" + "b" * 64, "ambiguous tag"),
        ("docker.io/library/sha256:1", "ambiguous tag"),
        ("b" * 64, "64-byte hexadecimal"),
    ],
)
def test_what_means_content_is_no_name(stores: Stores, name: str, match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        stores.load(docker_archive([BASE], [name]))
    assert stores.is_empty()


@pytest.mark.parametrize("annotation", ["io.containerd.image.name", "org.opencontainers.image.ref.name"])
@pytest.mark.parametrize(
    "name", [f"docker.io/library/app@{DIGEST}", "sha256:" + "b" * 64, "no name/at all:1"]
)
def test_a_layouts_image_with_no_usable_name_has_none(stores: Stores, annotation: str, name: str) -> None:
    layout = Layout()
    layout.manifests = [layout.image([BASE], annotations={annotation: name})]
    [image] = stores.load(layout.tar())
    assert image.names == ()


def repositories(document: dict[str, dict[str, str]]) -> Member:
    return file("repositories", json.dumps(document).encode())


@pytest.mark.parametrize(
    ("name", "tag", "match"),
    [
        ("sha256", "1", "ambiguous"),
        (f"x@{DIGEST}", "1", "digest"),
        ("x", "", "tag format"),
        ("X", "1", "lower"),
    ],
)
def test_an_old_archive_gives_no_such_name_either(stores: Stores, name: str, tag: str, match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        stores.load(tar(*OLD, repositories({name: {tag: "2" * 64}})))
    assert stores.is_empty()


# --- documents


def nested(levels: int) -> bytes:
    return b'{"x":' * levels + b"{}" + b"}" * levels


def with_config(fields: bytes, **top: object) -> bytes:
    """An archive whose image's ``config`` is this JSON."""
    document = config([sha256(BASE)], config="here", **top)
    return archive(file("c", document.replace(b'"here"', fields)), file("l", BASE))


def test_the_values_of_a_set_are_passed_over(stores: Stores) -> None:
    """They are kept nowhere: what nests deep could not be read again."""
    ports = b'{"80/tcp": %s, "81/tcp": null}' % nested(200)
    [image] = stores.load(with_config(b'{"ExposedPorts": %s, "Volumes": {"/v": {"x": [1]}}}' % ports))
    assert image.config.run.exposed_ports == {"80/tcp": Nothing(), "81/tcp": Nothing()}
    assert image.config.run.volumes == {"/v": Nothing()}
    assert msgspec.json.decode(msgspec.json.encode(image.config), type=ImageConfig) == image.config


@pytest.mark.parametrize("levels", [2_000, 100_000])
def test_what_nests_too_deep_is_refused_in_words(stores: Stores, levels: int) -> None:
    layout = Layout()
    deep = nested(levels)
    for bad in (
        with_config(b'{"ExposedPorts": {"80/tcp": %s}}' % deep),
        with_config(b'{"unknown": %s}' % deep),
        tar(file("manifest.json", deep)),
        tar(file("index.json", deep)),
        tar(file("repositories", deep)),
        tar(repositories({"a": {"1": "2" * 64}}), file("2" * 64 + "/json", deep)),
    ):
        with pytest.raises(InvalidArgument, match="it nests too deeply"):
            stores.load(bad)
    layout.manifests = [layout.blob(deep, MANIFEST)]
    with pytest.raises(InvalidArgument, match="it nests too deeply"):
        stores.load(layout.tar())
    assert stores.is_empty()


def test_nulls_are_as_if_nothing_were_said(stores: Stores) -> None:
    nulls = dict.fromkeys(RunConfig.__struct_encode_fields__)
    document = config(
        [sha256(BASE)], config=nulls, author=None, variant=None, comment=None, docker_version=None, created=None,
        history=[{"created": None, "created_by": None, "author": None, "comment": None, "empty_layer": None}],
    )  # fmt: skip
    [image] = stores.load(archive(file("c", document), file("l", BASE)))
    assert image.config.run == RunConfig()
    assert image.config.history == [History()]
    [image] = stores.load(with_config(b'{"Env": [null, "A=1"], "Labels": {"k": null}}', os=None))
    assert (image.config.run.env, image.config.run.labels) == (["", "A=1"], {"k": ""})


def test_nulls_in_a_layout(stores: Stores) -> None:
    layout = Layout()
    descriptor = layout.image([BASE])
    manifest = json.loads(layout.blobs[str(descriptor["digest"])])
    document = json.dumps({**manifest, "mediaType": None, "annotations": None, "subject": None}).encode()
    layout.manifests = [
        {**layout.blob(document, MANIFEST), "annotations": None, "platform": None, "urls": None}
    ]
    [image] = stores.load(layout.tar())
    assert stores.read(image, "etc/name") == b"base"


def test_a_history_of_more_layers_than_there_are_is_refused(stores: Stores) -> None:
    history = [{"created_by": "a"}, {"created_by": "b"}, {"empty_layer": True}]
    with pytest.raises(InvalidArgument, match="too many non-empty layers in History"):
        stores.load(with_config(b"{}", history=history))
    [image] = stores.load(with_config(b"{}", history=history[1:]))
    assert len(image.config.history or ()) == 2


# --- how members are called, and which are left out


@pytest.mark.parametrize("named", ["%s", "./%s", "/%s", ".//%s", "x/../%s"])
@pytest.mark.parametrize("meant", ["%s", "./%s", "/%s", ".//%s", "x/../%s"])
def test_every_spelling_of_a_members_name(stores: Stores, named: str, meant: str) -> None:
    item = {"Config": meant % "c.json", "RepoTags": ["app"], "Layers": [meant % "a/layer.tar"]}
    [image] = stores.load(
        tar(
            file(named % "c.json", config([sha256(BASE)])),
            file(named % "a/layer.tar", BASE),
            file(named % "manifest.json", json.dumps([item]).encode()),
        )
    )
    assert stores.read(image, "etc/name") == b"base"


def test_layers_that_are_here_already_may_be_missing(stores: Stores) -> None:
    [base] = stores.load(docker_archive([BASE], ["base"]))
    here: dict[str, Descriptor] = {base.layers[0].chain_id: base.blobs[0]}
    document = file("c", config([sha256(BASE), sha256(TOP)]))
    for name, members in {"a/layer.tar": [], "": [], "empty": [file("empty", b"")], "./l": []}.items():
        given = archive(document, file("l", TOP), *members, layers=[name, "l"])
        [image] = stores.load(given, known=here.get)
        assert stores.read(image, "etc/name") == b"top"
        assert image.blobs[0] == base.blobs[0]
        assert [layer.chain_id for layer in image.layers] == list(chain_ids([sha256(BASE), sha256(TOP)]))
    with pytest.raises(InvalidArgument, match=r"has no file 'b/layer.tar'"):
        stores.load(archive(document, layers=["a/layer.tar", "b/layer.tar"]), known=here.get)


def test_a_layer_that_was_here_and_is_gone_is_missing(stores: Stores) -> None:
    gone = Descriptor("application/vnd.oci.image.layer.v1.tar", sha256(BASE), len(BASE))
    with pytest.raises(InvalidArgument, match="has no file 'gone'"):
        stores.load(archive(file("c", config([sha256(BASE)])), layers=["gone"]), known=lambda chain_id: gone)


def test_an_archive_for_another_platform_than_was_asked_for(stores: Stores) -> None:
    document = config([sha256(BASE)], architecture="arm64")
    given = archive(file("c", document), file("l", BASE))
    with pytest.raises(InvalidArgument, match="has no image for linux/amd64; it has: linux/arm64"):
        stores.load(given, AMD64)
    for platform in (None, Platform("arm64", "linux")):
        [image] = stores.load(given, platform)
        assert image.config.architecture == "arm64"


# --- what is no image


def artifact(layout: Layout, config_type: str, layer_type: str, **more: object) -> dict[str, object]:
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": layout.blob(b'{"rootfs": {"diff_ids": ["%s"]}}' % sha256(b"{}").encode(), config_type),
        "layers": [layout.blob(b"{}", layer_type)],
    }
    return layout.blob(json.dumps(document).encode(), MANIFEST, **more)


ARTIFACTS = [
    ("application/vnd.oci.empty.v1+json", "application/spdx+json"),
    ("application/vnd.oci.image.config.v1+json", "application/vnd.dev.cosign.simplesigning.v1+json"),
    ("application/vnd.cncf.helm.config.v1+json", "application/vnd.cncf.helm.chart.content.v1.tar+gzip"),
]


@pytest.mark.parametrize(("config_type", "layer_type"), ARTIFACTS)
def test_artifacts_beside_an_image_are_passed_over(stores: Stores, config_type: str, layer_type: str) -> None:
    layout = Layout()
    platform = {"platform": {"os": "linux", "architecture": "amd64"}}
    index = layout.index(
        [artifact(layout, config_type, layer_type, **platform), layout.image([TOP], **platform)]
    )
    layout.manifests = [artifact(layout, config_type, layer_type), layout.image([BASE]), index]
    assert [stores.read(image, "etc/name") for image in stores.load(layout.tar())] == [b"base", b"top"]
    alone = Layout()
    alone.manifests = [artifact(alone, config_type, layer_type)]
    with pytest.raises(InvalidArgument, match="has no image for linux/amd64"):
        stores.load(alone.tar())


# --- as docker saved images before 1.10


def old_image(id: str, layer: bytes, **fields: object) -> list[Member]:
    document = {"id": id, "os": "linux", "architecture": "amd64", **fields}
    return [
        file(f"{id}/VERSION", b"1.0"), file(f"{id}/json", json.dumps(document).encode()),
        file(f"{id}/layer.tar", layer),
    ]  # fmt: skip


OLD = [
    *old_image("1" * 64, BASE, created="2015-01-01T00:00:00Z", container_config={"Cmd": ["made", "base"]}),
    *old_image(
        "2" * 64, TOP, parent="1" * 64, created="2015-01-02T00:00:00Z", Size=9, author="me", comment="hi",
        config={"Cmd": ["sh"], "ExposedPorts": None}, container_config=None,
    ),
]  # fmt: skip


def test_an_archive_of_old(stores: Stores) -> None:
    named = {"old": {"1": "2" * 64, "latest": "2" * 64}, "base": {"1": "1" * 64}}
    image, base = stores.load(tar(*OLD, repositories(named)))
    assert [name.familiar() for name in image.names] == ["old:1", "old:latest"]
    assert stores.read(image, "etc/name") == b"top"
    assert [layer.chain_id for layer in base.layers] == [image.layers[0].chain_id]
    assert image.config.run.cmd == ["sh"]
    assert image.config.history == [
        History("2015-01-01T00:00:00Z", "made base"),
        History("2015-01-02T00:00:00Z", "", "me", "hi"),
    ]
    document = json.loads(stores.blobs.read(image.id))
    assert document["rootfs"] == {"type": "layers", "diff_ids": [sha256(BASE), sha256(TOP)]}
    assert document.keys().isdisjoint({"id", "parent", "Size"})


@pytest.mark.parametrize(
    ("members", "match"),
    [
        ([repositories({"a": {"1": "3" * 64}})], "no file '3+/json'"),
        ([repositories({"a": {"1": "22"}})], "invalid image id: '22'"),
        ([repositories({"a": {"1": "../x"}})], "invalid image id"),
        ([*old_image("3" * 64, BASE, parent="3" * 64), repositories({"a": {"1": "3" * 64}})], "own ancestor"),
        ([file("3" * 64 + "/json", b"{}"), repositories({"a": {"1": "3" * 64}})], "no file '3+/layer.tar'"),
        ([file("3" * 64 + "/json", b"null"), repositories({"a": {"1": "3" * 64}})], "invalid image"),
        ([*old_image("3" * 64, BASE, os="windows"), repositories({"a": {"1": "3" * 64}})], "windows"),
    ],
)
def test_bad_archives_of_old(stores: Stores, members: list[Member], match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        stores.load(tar(*OLD, *members))
    assert stores.is_empty()
