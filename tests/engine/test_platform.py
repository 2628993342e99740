"""An image that is for another platform, asked for by one or not."""

from __future__ import annotations

import re

import pytest

from wherry.content.digest import Digest
from wherry.engine.image_record import ImageRecord
from wherry.engine.platform import check_platform, foreign
from wherry.errors import NotFound
from wherry.image.manifest import ImageConfig, Platform, host_platform


def image(has: Platform) -> ImageRecord:
    config = ImageConfig(architecture=has.architecture, os=has.os, variant=has.variant)
    return ImageRecord(
        id=Digest("sha256:" + "1" * 64), config=config, chain_ids=(), layers=(), layer_sizes=()
    )


@pytest.mark.parametrize(
    ("wanted", "has", "fits"),
    [
        ("linux/amd64", Platform("amd64", "linux"), True),
        ("linux/x86_64", Platform("amd64", "linux"), True),
        ("linux/amd64", Platform("386", "linux"), True),
        ("linux/amd64", Platform("x86_64", "linux"), True),
        ("linux/amd64", Platform("amd64"), True),
        ("linux/amd64", Platform("", "linux"), False),
        ("linux/amd64/v2", Platform("amd64", "linux", "v1"), True),
        ("linux/amd64", Platform("amd64", "linux", "v2"), False),
        ("linux/arm64", Platform("amd64", "linux"), False),
        ("linux/386", Platform("amd64", "linux"), False),
        ("windows/amd64", Platform("amd64", "linux"), False),
        ("linux/arm/v6", Platform("arm", "linux", "v7"), False),
    ],
)
def test_platforms(wanted: str, has: Platform, fits: bool) -> None:
    if fits:
        check_platform("busybox", image(has), Platform.parse(wanted))
        return
    text = f"image with reference busybox was found but its platform ({has}) does not match the specified"
    with pytest.raises(NotFound, match=re.escape(text)):
        check_platform("busybox", image(has), Platform.parse(wanted))


@pytest.mark.parametrize(
    ("has", "told"),
    [
        (Platform("s390x", "linux"), "linux/s390x"),
        (Platform("arm", "linux", "v7"), "linux/arm/v7"),
        (Platform("", "linux"), "linux"),
        (Platform("", ""), "unknown"),
        (host_platform(), ""),
        (Platform(host_platform().architecture, "linux", "v3"), ""),
    ],
)
def test_an_image_for_another_processor_is_told(has: Platform, told: str) -> None:
    warnings = foreign(image(has))
    assert len(warnings) == bool(told)
    assert all(f"platform ({told}) does not match the detected host platform (linux/" in w for w in warnings)
