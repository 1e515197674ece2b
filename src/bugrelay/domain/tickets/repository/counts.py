"""Counts of tickets: folded counts, plus changes by triggers that are not folded yet (docs/adr/0039)."""

from __future__ import annotations

from sqlalchemy import select, union_all

from bugrelay.domain.tickets.models import ticket_count_changes, ticket_counts
from bugrelay.domain.tickets.visibility import COMPANY_ID

COUNTS = union_all(
    *(
        select(table).where(table.c.company_id == COMPANY_ID)
        for table in (ticket_counts, ticket_count_changes)
    )
).subquery("counts")
"""Of the company: sums over its rows are exact, several of which may be of the same tickets."""
