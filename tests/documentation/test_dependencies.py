"""docs/dependencies.md gives a reason for each direct dependency."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_direct_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs" / "dependencies.md").read_text()
    running, _, developing = page.partition("## To develop")
    assert _reasons(running) == _names(project["dependencies"])
    assert _reasons(developing) == _names(project["optional-dependencies"]["dev"])


def _reasons(text: str) -> set[str]:
    return set(re.findall(r"^\| `([^`]+)` \| \S.{10,} \|$", text, re.MULTILINE))


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=; ]", requirement)[0] for requirement in requirements}
