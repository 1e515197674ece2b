"""How many examples Hypothesis makes of what takes long."""

from __future__ import annotations

import os


def examples(count: int) -> int:
    """All of them with the slow tests (`make test-all`), else a quarter."""
    return count if os.environ.get("ALL_EXAMPLES") else count // 4
