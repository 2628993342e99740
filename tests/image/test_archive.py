"""``docker load`` and ``docker import``: both layouts, their variants, and what is wrong with bad ones."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from tests.image.making import (
    Layout,
    Member,
    config,
    directory,
    docker_archive,
    file,
    hardlink,
    sha256,
    symlink,
    tar,
)
from tests.image.stores import AMD64, Image, Stores
from wherry.engine.intake.content import LayerProgress
from wherry.errors import InvalidArgument
from wherry.image.manifest import Platform, host_platform
from wherry.messages.base import Nothing

BASE = tar(directory("etc"), file("etc/name", b"base"), file("etc/old", b"old"))
TOP = tar(file("etc/name", b"top"), file("etc/.wh.old"))


# --- docker-archive


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("manifest_first", [False, True])
def test_docker_archive(stores: Stores, compress: bool, manifest_first: bool) -> None:
    archive = docker_archive(
        [BASE, TOP], ["app:1", "host:5000/app"], compress=compress, manifest_first=manifest_first
    )
    [image] = stores.load(archive)
    document = config([sha256(BASE), sha256(TOP)])
    assert image.id == sha256(document)
    assert [name.familiar() for name in image.names] == ["app:1", "host:5000/app:latest"]
    assert [layer.diff_id for layer in image.layers] == [sha256(BASE), sha256(TOP)]
    assert stores.read(image, "etc/name") == b"top"
    assert stores.read(image, "etc/name", 0) == b"base"
    assert image.config.run.cmd == ["sh"]
    assert image.config.created == "2024-05-06T07:08:09.123456789Z"
    assert stores.blobs.read(image.id) == document  # unknown fields and all


def test_layer_blobs_stay_as_they_came(stores: Stores) -> None:
    compressed = gzip.compress(BASE, 9)
    layout = Layout()
    layout.manifests = [layout.image([BASE])]
    [image] = stores.load(docker_archive([BASE], ["plain"]))
    assert stores.blobs.read(image.blobs[0].digest) == BASE
    assert image.blobs[0].media_type == "application/vnd.oci.image.layer.v1.tar"
    document = config([sha256(BASE)])
    manifest = json.dumps([{"Config": "c", "RepoTags": None, "Layers": ["l"]}]).encode()
    [again] = stores.load(tar(file("c", document), file("l", compressed), file("manifest.json", manifest)))
    assert stores.blobs.read(again.blobs[0].digest) == compressed
    assert again.blobs[0].media_type == "application/vnd.oci.image.layer.v1.tar+gzip"
    assert again.layers == image.layers


def test_members_behind_links_are_found(stores: Stores) -> None:
    document = config([sha256(BASE), sha256(BASE), sha256(TOP)])
    layers = ["one/layer.tar", "two/layer.tar", "three/layer.tar"]
    manifest = json.dumps([{"Config": "config.json", "RepoTags": ["a"], "Layers": layers}]).encode()
    [image] = stores.load(
        tar(
            file("config.json", document),
            file("./one/layer.tar", BASE),
            symlink("two/layer.tar", "../one/layer.tar"),
            file("real.tar", TOP),
            hardlink("three/layer.tar", "real.tar"),
            file("manifest.json", manifest),
            file("repositories", b"{}"),
        )
    )
    assert [layer.diff_id for layer in image.layers] == [sha256(BASE), sha256(BASE), sha256(TOP)]
    assert len({layer.chain_id for layer in image.layers}) == 3


@pytest.mark.parametrize(
    "compress", [gzip.compress, zstandard.ZstdCompressor().compress], ids=["gzip", "zstd"]
)
def test_the_whole_archive_may_be_compressed(stores: Stores, compress: Callable[[bytes], bytes]) -> None:
    [image] = stores.load(compress(docker_archive([BASE], ["app"])))
    assert image.id == sha256(config([sha256(BASE)]))


def test_an_image_without_layers_or_names(stores: Stores) -> None:
    [image] = stores.load(docker_archive([], None))
    assert (image.layers, image.names, image.blobs) == ((), (), ())


def test_several_images_share_layers(stores: Stores) -> None:
    [one] = stores.load(docker_archive([BASE], ["one"]))
    [two] = stores.load(docker_archive([BASE, TOP], ["two"]))
    assert two.layers[0] == one.layers[0]
    assert len(list(stores.layers.list())) == 2


def test_progress_covers_each_new_layer(stores: Stores) -> None:
    big = tar(file("big", os.urandom(2_000_000)))
    seen: list[LayerProgress] = []
    stores.load_from(io.BytesIO(docker_archive([BASE, big], ["x"])), AMD64, seen.append)
    assert {progress.diff_id for progress in seen} == {sha256(BASE), sha256(big)}
    last = [progress for progress in seen if progress.diff_id == sha256(big)][-1]
    assert last.current == last.total == len(big)
    seen.clear()
    stores.load_from(io.BytesIO(docker_archive([BASE, big], ["x"])), AMD64, seen.append)
    assert not seen


# --- OCI layout


def test_oci_layout(stores: Stores) -> None:
    layout = Layout()
    layout.manifests = [
        layout.image([BASE, TOP], annotations={"org.opencontainers.image.ref.name": "localhost/app:2"}),
    ]
    [image] = stores.load(layout.tar())
    assert [name.familiar() for name in image.names] == ["localhost/app:2"]
    assert image.manifest == layout.manifests[0]["digest"]
    assert stores.blobs.exists(image.manifest)
    assert stores.read(image, "etc/name") == b"top"


def test_names_in_annotations(stores: Stores) -> None:
    layout = Layout()
    full = {"io.containerd.image.name": "docker.io/library/app:1", "org.opencontainers.image.ref.name": "1"}
    layout.manifests = [
        layout.image([BASE], annotations=full),
        layout.image([BASE], annotations={"org.opencontainers.image.ref.name": "docker.io/library/app:2"}),
        layout.image([TOP], annotations={"org.opencontainers.image.ref.name": "latest"}),
    ]
    named, nameless = stores.load(layout.tar())
    assert [name.familiar() for name in named.names] == ["app:1", "app:2"]
    assert nameless.names == ()


def platform(architecture: str, variant: str = "") -> dict[str, object]:
    return {
        "platform": {"os": "linux", "architecture": architecture, **({"variant": variant} if variant else {})}
    }


def test_nested_index_picks_the_platform_and_passes_over_attestations(stores: Stores) -> None:
    layout = Layout()
    attestation = {"vnd.docker.reference.type": "attestation-manifest"}
    amd = layout.image([BASE], **platform("amd64"))
    arm = layout.image([TOP], config([sha256(TOP)], architecture="arm64"), **platform("arm64", "v8"))
    noise = layout.image([TOP], **platform("unknown"), annotations=attestation)
    artifact = layout.blob(b"{}", "application/vnd.example+json")
    index = layout.index([noise, arm, amd, artifact])
    layout.manifests = [
        layout.index([index], annotations={"io.containerd.image.name": "docker.io/library/multi:1"})
    ]
    [image] = stores.load(layout.tar())
    assert image.manifest == amd["digest"]
    [other] = stores.load(layout.tar(), Platform("arm64", "linux"))
    assert other.manifest == arm["digest"]
    with pytest.raises(InvalidArgument, match=r"no image for linux/s390x; it has: .*linux/amd64"):
        stores.load(layout.tar(), Platform("s390x", "linux"))


@pytest.mark.skipif(host_platform().architecture != "amd64", reason="of what runs beside amd64")
def test_without_a_platform_the_best_for_this_machine_is_taken(stores: Stores) -> None:
    older, own = Layout(), Layout()
    layers = {"386": [TOP], "amd64": [BASE], "arm64": [BASE, TOP]}
    for layout, offered in ((older, ["arm64", "386"]), (own, ["386", "amd64"])):
        images = [layout.image(layers[one], **platform(one)) for one in offered]
        layout.manifests = [
            layout.index(images, annotations={"io.containerd.image.name": "docker.io/library/multi:1"})
        ]
        [image] = stores.load(layout.tar(), None)
        assert image.manifest == images[-1]["digest"]
    with pytest.raises(InvalidArgument, match=r"no image for linux/amd64; it has: linux/386, linux/arm64"):
        stores.load(older.tar(), Platform("amd64", "linux"))


def test_docker_saves_new_layout_is_both(stores: Stores) -> None:
    """docker 25 and later: a docker-archive whose members are an OCI layout's blobs."""
    layout = Layout()
    layout.manifests = [layout.image([BASE])]
    digests = [digest[7:] for digest in layout.blobs]
    manifest = json.loads(layout.blobs[str(layout.manifests[0]["digest"])])
    assert manifest["config"]["digest"][7:] in digests
    item = {
        "Config": f"blobs/sha256/{manifest['config']['digest'][7:]}",
        "RepoTags": ["app:both"],
        "Layers": [f"blobs/sha256/{layer['digest'][7:]}" for layer in manifest["layers"]],
    }
    [image] = stores.load(layout.tar(file("manifest.json", json.dumps([item]).encode())))
    assert [name.familiar() for name in image.names] == ["app:both"]
    assert image.manifest == layout.manifests[0]["digest"]


# --- real ones


def test_busybox_in_both_layouts_is_one_image(stores: Stores, busybox_tar: bytes) -> None:
    layout = Layout()
    layout.manifests = [layout.image([busybox_tar])]
    [docker] = stores.load(docker_archive([busybox_tar], ["busybox"]))
    [oci] = stores.load(layout.tar())
    assert oci.id == docker.id
    assert oci.layers == docker.layers
    assert stores.read(oci, "bin/busybox") == Path("/bin/busybox").read_bytes()


def test_the_same_image_from_two_threads_at_once(stores: Stores, busybox_tar: bytes) -> None:
    archive = docker_archive([busybox_tar, TOP], ["busybox"], compress=True)
    results: list[Image | BaseException] = []

    def work() -> None:
        try:
            results.extend(stores.load(archive))
        except BaseException as error:
            results.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(result == results[0] for result in results)
    assert isinstance(results[0], Image)
    assert len(list(stores.layers.list())) == 2
    assert stores.read(results[0], "bin/busybox", 0) == Path("/bin/busybox").read_bytes()
    assert not os.listdir(stores.layers.root / "tmp") + os.listdir(stores.blobs.root / "tmp")


# --- bad ones


def listing(**item: object) -> Member:
    return file(
        "manifest.json", json.dumps([{"Config": "c", "RepoTags": ["a"], "Layers": ["l"], **item}]).encode()
    )


GOOD = [file("c", config([sha256(BASE)])), file("l", BASE)]


@pytest.mark.parametrize(
    ("archive", "match"),
    [
        (b"", "not an image archive"),
        (b"no tar at all" * 1000, "not a tar archive"),
        (tar(file("readme", b"x")), "not an image archive"),
        (tar(*GOOD, file("manifest.json", b"{}")), "invalid manifest.json"),
        (tar(*GOOD, file("manifest.json", b"[{]")), "invalid manifest.json"),
        (tar(*GOOD, file("manifest.json", b"[" * 200_000)), "invalid manifest.json"),
        (tar(*GOOD, listing(Config="missing")), "no file 'missing'"),
        (tar(*GOOD, listing(Layers=["../l"])), "no file '../l'"),
        (tar(*GOOD, listing(Layers=["l", "l"])), "layers length mismatch: expected 2, got 1"),
        (tar(*GOOD, listing(RepoTags=["UPPER"])), "must be lowercase"),
        (tar(file("c", config([sha256(TOP)])), file("l", BASE), listing()), "wrong digest: the layer"),
        (
            tar(file("c", config([sha256(BASE)], os="windows")), file("l", BASE), listing()),
            "cannot load windows image",
        ),
        (tar(file("c", config(["sha256:short"])), file("l", BASE), listing()), r"\$.rootfs.diff_ids\[0\]"),
        (
            tar(file("c", config([sha256(BASE)], config={"Env": "A=b"})), file("l", BASE), listing()),
            r"\$.config.Env",
        ),
        (tar(symlink("c", "c"), file("l", BASE), listing()), "no file 'c'"),
        (tar(file("c", config([sha256(b"x")])), file("l", b"x" * 600), listing()), "not a tar archive"),
        (tar(*GOOD, listing())[:-20_000], "truncated|not an image|not a tar archive"),
        (gzip.compress(tar(*GOOD, listing()))[:-300], "truncated|corrupt"),
        (tar(file("blobs/sha256/" + "0" * 64, b"not it"), *GOOD, listing()), "wrong digest"),
        (tar(file("../c", b"x"), *GOOD, listing()), "points out"),
    ],
)
def test_bad_archives_are_refused_and_leave_nothing(stores: Stores, archive: bytes, match: str) -> None:
    with pytest.raises(InvalidArgument, match=match):
        stores.load(archive)
    assert stores.is_empty()


def test_a_bad_second_image_takes_the_first_along(stores: Stores) -> None:
    bad = file("bad", config([sha256(b"not this")]))
    items = [
        {"Config": "c", "RepoTags": ["good"], "Layers": ["l"]},
        {"Config": "bad", "RepoTags": ["bad"], "Layers": ["l"]},
    ]
    with pytest.raises(InvalidArgument, match="wrong digest"):
        stores.load(tar(*GOOD, bad, file("manifest.json", json.dumps(items).encode())))
    assert stores.is_empty()


def test_missing_blobs_of_a_layout_are_named(stores: Stores) -> None:
    layout = Layout()
    layout.manifests = [layout.image([BASE])]
    manifest = str(layout.manifests[0]["digest"])
    for missing in list(layout.blobs):
        broken = Layout()
        broken.manifests = layout.manifests
        broken.blobs = {digest: data for digest, data in layout.blobs.items() if digest != missing}
        with pytest.raises(InvalidArgument, match=rf"lacks the .* {missing}"):
            stores.load(broken.tar())
    assert manifest in layout.blobs
    assert stores.is_empty()


def test_indexes_that_multiply_cost_nothing(stores: Stores) -> None:
    layout = Layout()
    descriptor = layout.index([layout.image([BASE], **platform("s390x"))] * 4000)
    for _ in range(3):
        descriptor = layout.index([descriptor] * 4000)
    layout.manifests = [descriptor] * 100
    with pytest.raises(InvalidArgument, match=r"no image for|nests more than"):
        stores.load(layout.tar())
    assert stores.is_empty()


def test_a_huge_document_is_refused(stores: Stores) -> None:
    padding = config([sha256(BASE)], padding="x" * (17 << 20))
    with pytest.raises(InvalidArgument, match="longer than"):
        stores.load(tar(file("c", padding), file("l", BASE), listing()))
    assert stores.is_empty()


def test_a_stream_that_breaks_leaves_nothing(stores: Stores) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 2000:
                raise ConnectionResetError("gone")
            return super().read(min(size or 1, 1000))

    with pytest.raises(ConnectionResetError):
        stores.load_from(Broken(docker_archive([BASE], ["x"])))
    assert stores.is_empty()


# --- import


def test_import_makes_an_image_of_one_layer(stores: Stores, busybox_tar: bytes) -> None:
    changes = [
        'CMD ["/bin/sh","-c","id"]',
        "ENV A=1 B='2 3'",
        "EXPOSE 80 53/udp",
        "WORKDIR /srv",
        "WORKDIR sub",
    ]
    image = stores.import_rootfs(gzip.compress(busybox_tar), changes, "from a test")
    run = image.config.run
    assert run.cmd == ["/bin/sh", "-c", "id"]
    assert run.env == ["A=1", "B=2 3"]
    assert run.exposed_ports == {"80/tcp": Nothing(), "53/udp": Nothing()}
    assert run.working_dir == "/srv/sub"
    assert image.config.history[0].comment == image.config.comment == "from a test"  # type: ignore[index]
    assert image.config.created_at > 1_700_000_000
    assert image.id == "sha256:" + hashlib.sha256(stores.blobs.read(image.id)).hexdigest()
    assert gzip.decompress(stores.blobs.read(image.blobs[0].digest)) == busybox_tar
    assert stores.read(image, "bin/busybox") == Path("/bin/busybox").read_bytes()


def test_a_truncated_import_leaves_nothing(stores: Stores) -> None:
    for cut in (100, 600, 1026, 1900):
        with pytest.raises(InvalidArgument, match="truncated" if cut >= 512 else "not a tar archive"):
            stores.import_rootfs(BASE[:cut])
    with pytest.raises(InvalidArgument, match="truncated"):
        stores.import_rootfs(gzip.compress(BASE)[:-20])
    assert stores.is_empty()


def test_an_import_may_be_empty_or_end_between_entries(stores: Stores) -> None:
    for archive in (b"", gzip.compress(b""), bytes(1024)):
        assert stores.import_rootfs(archive).layers[0].size == 0
    for cut in (1028, 1500, 1536):  # behind the content of etc/name, its block not full or full
        assert stores.read(stores.import_rootfs(BASE[:cut]), "etc/name") == b"base"
