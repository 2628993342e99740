"""A package whose own file is run when somebody asks for what only that file has, and not before."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import threading
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

VERSION = re.compile(r'^__version__ = "([^"]+)"', re.MULTILINE)


def enter_lightly(package: str) -> None:
    """Make a package's modules importable without running its own file. Nothing if it has been imported already.

    The package is whole for whoever wants it: its modules are there by their names, and the first use of anything
    else runs the file, in this same module, so that there are never two of a class.
    """
    if package in sys.modules:
        return
    spec = importlib.util.find_spec(package)
    if spec is None or spec.loader is None or spec.submodule_search_locations is None:
        return  # the import that follows says what is missing
    module = importlib.util.module_from_spec(spec)
    # Its modules ask for the version while they are imported, before anything could be run.
    module.__dict__["__version__"] = version_of(spec)
    module.__dict__["__getattr__"] = Completion(module, spec)
    sys.modules[package] = module


def version_of(spec: ModuleSpec) -> str:
    """``__version__`` as the package's file spells it; empty where it does not."""
    text = Path(spec.origin).read_text(encoding="utf-8") if spec.origin else ""
    found = VERSION.search(text)
    return found[1] if found else ""


class Completion:
    """The ``__getattr__`` of a package that was entered lightly (PEP 562)."""

    def __init__(self, module: ModuleType, spec: ModuleSpec) -> None:
        self._module = module
        self._spec = spec
        self._lock = threading.RLock()
        self._begun = False

    def __call__(self, name: str) -> Any:
        """A submodule, imported; else what the package's own file gives the name. AttributeError as ever."""
        if name.startswith("__") and name != "__all__":
            raise self._missing(name)
        submodule = f"{self._module.__name__}.{name}"
        if importlib.util.find_spec(submodule) is not None:
            return importlib.import_module(submodule)
        with self._lock:
            if not self._begun:
                self._complete()
        if name in self._module.__dict__ or self._module.__dict__.get("__getattr__", self) is not self:
            return getattr(self._module, name)  # the package may have a __getattr__ of its own
        raise self._missing(name)

    def _complete(self) -> None:
        assert self._spec.loader is not None
        self._begun = True
        try:
            self._spec.loader.exec_module(self._module)
        except BaseException:
            self._begun = False
            raise
        if self._module.__dict__["__getattr__"] is self:
            del self._module.__dict__["__getattr__"]

    def _missing(self, name: str) -> AttributeError:
        return AttributeError(f"module {self._module.__name__!r} has no attribute {name!r}")
