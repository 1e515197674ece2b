"""docs/settings.md and .env.example name every setting, with the default that it has."""

from __future__ import annotations

import re
from pathlib import Path

from bugrelay.settings import SETTINGS

ROOT = Path(__file__).parents[2]
DEFAULTS = {setting.name.upper(): setting.metadata["default"] for setting in SETTINGS}


def test_the_page_has_each_setting_with_its_default() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| (?:`(.+?)`|empty) \| \S.+ \|$", page, re.MULTILINE)
    assert dict(rows) == DEFAULTS


def test_the_example_has_each_setting_with_its_default() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    named = [line.removeprefix("# ").partition("=") for line in lines if "=" in line]
    assert {name: value for name, _, value in named} == DEFAULTS
