"""docs/api/errors.md has every code that an answer can carry, with its status."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import bugrelay
from bugrelay.errors import BugRelayError

PAGE = Path(__file__).parents[2] / "docs" / "api" / "errors.md"


def test_the_page_has_each_code_with_its_status() -> None:
    raised: dict[str, set[int]] = defaultdict(set)
    for error in _subclasses(BugRelayError):
        raised[error.code].add(error.status)
    rows = re.findall(r"^\| `([A-Z_]+)` \| (\d{3}) \| \S.+ \|$", PAGE.read_text(), re.MULTILINE)
    assert len(rows) == len(dict(rows)), "a code is there twice"
    assert {code: {int(status)} for code, status in rows} == raised


def _subclasses(error: type[BugRelayError]) -> Iterator[type[BugRelayError]]:
    _import_everything()
    yield error
    for subclass in error.__subclasses__():
        yield from _subclasses(subclass)


def _import_everything() -> None:
    """An error class exists once its module is imported."""
    for module in pkgutil.walk_packages(bugrelay.__path__, "bugrelay."):
        if module.name != "bugrelay.__main__":
            importlib.import_module(module.name)
