"""Fixtures of the tests of images."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.image.stores import Stores
from wherry.image.blobs import BlobStore
from wherry.snapshot.layers import LayerStore


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return Stores(BlobStore(tmp_path / "blobs"), LayerStore(tmp_path / "layers"))
