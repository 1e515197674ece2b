"""The scripts in `migrations/`, and the revisions that are older than the newest; without loading Alembic."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

_PACKAGE = Path(__file__).parents[2]
_IN_A_WHEEL = _PACKAGE / "_migrations"  # pyproject.toml puts them there
_IN_A_CHECKOUT = _PACKAGE.parents[1] / "migrations"
_FORMER_REVISION = re.compile(r"""^down_revision = ["'](.+)["']$""", re.MULTILINE)


def scripts_folder() -> Path:
    """The folder of `env.py`, `versions/` and `sql/`: in the installed package, or at the top of a checkout."""
    return _IN_A_WHEEL if _IN_A_WHEEL.is_dir() else _IN_A_CHECKOUT


@lru_cache(maxsize=1)
def outdated_revisions() -> frozenset[str]:
    """The revisions that are too old for this release; any other is its own, or that of a newer release."""
    scripts = (path.read_text() for path in (scripts_folder() / "versions").glob("*.py"))
    return frozenset(former for script in scripts for former in _FORMER_REVISION.findall(script))
