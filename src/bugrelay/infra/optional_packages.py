"""Packages that a library imports if they are installed, for features that are not used here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


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
