"""The tree in ARCHITECTURE.md is the tree of the package."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "bugrelay"
TREE = (ROOT / "ARCHITECTURE.md").read_text().partition("## The tree")[2].split("```")[1]
PART = re.compile(r"(?!__init__)\w+(?:\.py|/)")
NOT_OURS = {"__pycache__/", "templates/"}


def test_each_part_of_the_package_has_its_line() -> None:
    there = {
        f"{path.name}/" if path.is_dir() else path.name
        for folder in ("", "api", "domain", "http", "infra")
        for path in (PACKAGE / folder).iterdir()
    }
    assert _named() == {part for part in there if PART.fullmatch(part)} - NOT_OURS


def _named() -> set[str]:
    """What the indented lines of the tree begin with."""
    lines = (line.split() for line in TREE.splitlines() if line.startswith(" "))
    return {word for words in lines for word in takewhile(PART.fullmatch, words)}
