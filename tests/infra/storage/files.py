"""Files to store, and what is stored."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

from bugrelay.infra.storage.port import Storage

KEY = "bugs/Zk3-x_9.png"
PICTURE = bytes(range(256)) * 16
LARGE = os.urandom(3 * 1024 * 1024 + 17)


async def chunks_of(content: bytes, *, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def keys_of(store: Storage) -> list[str]:
    return sorted([file.key async for file in store.listing()])


def left_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
