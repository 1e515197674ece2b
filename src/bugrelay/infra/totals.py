"""Exact totals without counting again.

A count is kept with the snapshot it was taken under. Later the total is that count, plus what the log of changes holds
that the snapshot could not see; the sum is taken under a new snapshot and kept in its turn. PostgreSQL decides what
was visible, so the total is the one that count(*) would give in the same statement, under any interleaving.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bugrelay.infra.db import Query, Reader

MOST_KEPT = 4096
# The log keeps an hour; a count is carried forward for far less, so that no clock can bring the two together.
KEPT_SECONDS = 300


@dataclass(frozen=True)
class _Counted:
    total: int
    snapshot: str
    era: str
    counted_at: float


class Totals:
    """Totals of this process, by key; the least recently asked go first."""

    def __init__(self) -> None:
        self._counted: OrderedDict[str, _Counted] = OrderedDict()

    async def total(
        self, reader: Reader, key: str, *, count: Query, changes: Query, values: Mapping[str, Any]
    ) -> int:
        """How many rows there are now.

        Args:
            reader: The primary: a standby's snapshots do not tell what was visible.
            key: Everything that the count depends on.
            count: SELECT count, snapshot as text, era.
            changes: SELECT sum of signs, snapshot as text, era; `:snapshot` is the one to count from.
            values: Parameters of both.
        """
        known = self._counted.get(key)
        if known is not None and time.time() - known.counted_at < KEPT_SECONDS:
            row = await reader.row(changes, {**values, "snapshot": known.snapshot})
            if row is not None and row[2] == known.era:
                return self._keep(key, _Counted(known.total + row[0], row[1], row[2], known.counted_at))
        row = await reader.row(count, values)
        total, snapshot, era = row or (0, "", None)
        if era is None:
            return int(total)
        return self._keep(key, _Counted(total, snapshot, era, time.time()))

    def _keep(self, key: str, counted: _Counted) -> int:
        self._counted[key] = counted
        self._counted.move_to_end(key)
        if len(self._counted) > MOST_KEPT:
            self._counted.popitem(last=False)
        return counted.total
