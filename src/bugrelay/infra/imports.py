"""Modules that are imported at their first use: libraries that most workers never need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_deferred: set[str] = set()


class Deferred:
    """A module that is imported when one of its names is first used, for the memory of workers that never use it.

    Type checkers see the usual import: `if TYPE_CHECKING: import httpx`, `else: httpx = Deferred("httpx")`.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        _deferred.add(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._module), name)


def import_deferred() -> None:
    """Import all deferred modules: in a server, no request waits for an import."""
    for module in tuple(_deferred):
        import_module(module)
