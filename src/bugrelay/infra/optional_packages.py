"""Packages that a library imports where it finds them, for features that nobody here uses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def left_out(*packages: str) -> Iterator[None]:
    """In the block these packages seem not to be installed, unless the process has loaded them already.

    None in `sys.modules` is the import system's own word for that.
    """
    absent = [package for package in packages if package not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type] # None is allowed, and stands for "not found"
    try:
        yield
    finally:
        for package in absent:
            del sys.modules[package]
