"""Files to import."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest


def a_line(**changes: Any) -> dict[str, Any]:
    """A line of an import that needs no reshaping; None takes a field away."""
    line = {
        "external_id": "tracker-1",
        "title": "Crash when saving a draft",
        "description": "Saving a draft closes the window at once.",
        "application_name": "Notebook",
        **changes,
    }
    return {name: value for name, value in line.items() if value is not None}


def joined(lines: Iterable[Any]) -> bytes:
    """The content of a file: an object is written as JSON, bytes as they are."""
    return b"".join(
        (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines
    )


Write = Callable[[Iterable[Any]], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write lines to a file and give its path."""

    def write(lines: Iterable[Any]) -> str:
        path = tmp_path / "bugs.jsonl"
        path.write_bytes(joined(lines))
        return str(path)

    return write
