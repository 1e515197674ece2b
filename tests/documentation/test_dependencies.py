"""docs/dependencies.md gives a reason for each direct dependency."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def test_each_direct_dependency_has_its_reason() -> None:
    project = _project()
    page = (ROOT / "docs" / "dependencies.md").read_text()
    _, running, embedded, developing, *_ = page.split("\n## ")
    assert _reasons(running) == _names(project["dependencies"])
    assert _reasons(embedded) == _names(project["optional-dependencies"]["embedded"])
    assert _reasons(developing) == _names(project["optional-dependencies"]["dev"])


def test_what_serves_has_no_embedded_databases() -> None:
    embedded = (ROOT / "requirements" / "embedded.in").read_text().split()
    assert set(embedded) == set(_project()["optional-dependencies"]["embedded"])
    assert _locked("embedded") | _locked("build") | _locked("runtime") <= _locked("dev")
    assert not _names(embedded) & _locked("runtime")


def test_the_lock_files_name_no_host() -> None:
    for file in (ROOT / "requirements").iterdir():
        assert "://" not in file.read_text(), file.name


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def _locked(name: str) -> set[str]:
    text = (ROOT / "requirements" / f"{name}.lock").read_text()
    return set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))


def _reasons(text: str) -> set[str]:
    return set(re.findall(r"^\| `([^`]+)` \| \S.{10,} \|$", text, re.MULTILINE))


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=; ]", requirement)[0] for requirement in requirements}
