"""Parts of libraries that are not loaded: packages that they import if installed, and their own unused modules."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from importlib.util import module_from_spec


@contextmanager
def left_out(*packages: str) -> Iterator[None]:
    """Within the block these packages cannot be imported, unless the process has loaded them already.

    None in `sys.modules` is the import system's own marker for that.
    """
    absent = [package for package in packages if package not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type] # None is allowed, and stands for "not found"
    try:
        yield
    finally:
        for package in absent:
            del sys.modules[package]


@contextmanager
def without_init(package: str) -> Iterator[None]:
    """Within the block a module of the package is imported without the package's `__init__`, which imports all others.

    Afterwards the package itself can be imported as usual; it finds these modules.
    """
    spec = PathFinder.find_spec(package)
    if package in sys.modules or spec is None:
        yield
        return
    sys.modules[package] = module_from_spec(spec)
    try:
        yield
    finally:
        del sys.modules[package]
