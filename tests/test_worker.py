"""What a worker is made of."""

from __future__ import annotations

import subprocess
import sys

# Litestar itself comes by way of advanced-alchemy, which imports what it finds.
NOT_FOR_WORKERS = ("granian", "bugrelay.http", "bugrelay.api", "bugrelay.app", "alembic", "obstore")


def test_a_worker_loads_nothing_of_http_nor_what_it_does_not_use() -> None:
    program = (
        f"import bugrelay.worker, sys; print(*(name for name in {NOT_FOR_WORKERS!r} if name in sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []
