"""Two block devices of this machine, for limits to name. Nothing reads or writes them."""

from __future__ import annotations

from pathlib import Path

ONE, OTHER = sorted(str(path) for path in Path("/dev").iterdir() if path.is_block_device())[:2]
