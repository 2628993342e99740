"""Reading the files of one container's cgroup. What is not there, or cannot be read, counts nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wherry.linux import cgroupfs, kernel_file


@dataclass(frozen=True, slots=True)
class Readings:
    """``place`` gives the path of a file by its name, "" where this host has no such controller."""

    place: Callable[[str], str]

    def text(self, file: str) -> str:
        """The file's text; "" where there is none."""
        path = self.place(file)
        try:
            return kernel_file.read(path) if path else ""
        except OSError:
            return ""

    def number(self, file: str) -> int:
        """The number that the file holds; 0 for none, or for ``max``."""
        text = self.text(file).strip()
        return int(text) if text.isdigit() else 0

    def keyed(self, file: str) -> dict[str, int]:
        """The numbers of a file with a key on each line."""
        return cgroupfs.keyed(self.text(file))
