"""Exact totals without counting again.

A count is kept with the snapshot it was taken under. Later the total is that count, plus what the log of changes holds
that the snapshot could not see; the sum is taken under a new snapshot and kept in its turn. PostgreSQL decides what
was visible, so the total is the one that count(*) would give in the same statement, under any interleaving.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
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

    def known(self, key: str) -> int | None:
        """The total as it was a moment ago, good for choosing a plan; None for one that is not known."""
        known = self._current(key)
        return known.total if known else None

    async def read(
        self, reader: Reader, key: str, *, count: Query, changes: Query, values: Mapping[str, Any]
    ) -> tuple[int, Sequence[tuple[Any, ...]]]:
        """How many rows there are now, and what else the statement gave: of one snapshot with the total.

        Args:
            reader: The primary: a standby's snapshots do not tell what was visible.
            key: Everything that the count depends on.
            count: SELECT of count, snapshot as text, era, and whatever else, in at least one row.
            changes: The same with the sum of signs in place of the count; `:snapshot` is the one to count from.
            values: Parameters of both.

        Returns:
            The total, and the rows without their first three columns.
        """
        known = self._current(key)
        if known is not None:
            rows = await reader.rows(changes, {**values, "snapshot": known.snapshot})
            change, snapshot, era, *_ = rows[0]
            if era == known.era:
                total = self._keep(key, _Counted(known.total + change, snapshot, era, known.counted_at))
                return total, [row[3:] for row in rows]
        rows = await reader.rows(count, values)
        total, snapshot, era, *_ = rows[0]
        if era is not None:
            self._keep(key, _Counted(total, snapshot, era, time.time()))
        return total, [row[3:] for row in rows]

    def _current(self, key: str) -> _Counted | None:
        known = self._counted.get(key)
        return known if known is not None and time.time() - known.counted_at < KEPT_SECONDS else None

    def _keep(self, key: str, counted: _Counted) -> int:
        self._counted[key] = counted
        self._counted.move_to_end(key)
        if len(self._counted) > MOST_KEPT:
            self._counted.popitem(last=False)
        return counted.total
