"""The package's own build: the launcher goes into the package, and the wheel is for one kind of machine."""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "buildsystem"))

import launcher  # noqa: E402
import stamp  # noqa: E402


class BuildWithLauncher(build_py):
    """Python files, then the static binary beside them, and what all of it is built from."""

    def run(self) -> None:
        super().run()
        binary = launcher.OUTPUT if self.editable_mode else self.binary()
        launcher.build(binary)
        stamp.write(binary.parent)

    def binary(self) -> Path:
        return Path(self.build_lib).absolute() / "wherry" / "_bin" / "wherry-launcher"

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        outputs: list[str] = super().get_outputs(include_bytecode)
        made = (self.binary(), self.binary().with_name(stamp.NAME))
        return outputs if self.editable_mode else [*outputs, *map(str, made)]


class PlatformDistribution(Distribution):
    """It holds a binary, so its files are platform dependent though no extension module is."""

    def has_ext_modules(self) -> bool:
        return True


class StaticWheel(bdist_wheel):
    """The binary is static and the Python is plain: any Python 3, any libc, one processor."""

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


setup(
    distclass=PlatformDistribution,
    cmdclass={"build_py": BuildWithLauncher, "bdist_wheel": StaticWheel},
)
