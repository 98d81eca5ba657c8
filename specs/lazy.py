"""Lazy imports: a module, or an export of a package, is imported when it is first used."""

import importlib
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any


class LazyModule(ModuleType):
    """Module that is imported when one of its attributes is read.

    A type checker reads the real import:

        if TYPE_CHECKING:
            import torch
        else:
            torch = LazyModule("torch")
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)

    def __dir__(self) -> list[str]:
        return dir(importlib.import_module(self.__name__))


def lazy_exports(package: str, exports: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package that imports its exports when they are first read (PEP 562).

    Args:
        package: `__name__` of the package.
        exports: Relative name, such as `.train`, of the module of each export. A package can export a function `train`
            of its module `train`: the import of the module does not replace the function.
    """
    module = sys.modules[package]

    class LazyPackage(ModuleType):
        def __setattr__(self, name: str, value: object) -> None:
            if not (name in exports and isinstance(value, ModuleType)):  # the import of a submodule of this name
                super().__setattr__(name, value)

    module.__class__ = LazyPackage

    def get(name: str) -> Any:
        if name not in exports:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(exports[name], package), name)
        setattr(module, name, value)
        return value

    return get, lambda: sorted({*vars(module), *exports})
