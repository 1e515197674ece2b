"""Daily statistics: computed from the event log; computing them again or late gives the same rows."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import text

from bugrelay.domain.tickets.schemes import SCHEMES, Scheme
from bugrelay.infra.db.query import Query, Reader

Stage = Literal["open", "triaged", "in_progress", "done"]

_FILL = Query(text("SELECT daily_stats_fill(:company_id, CAST(:words AS jsonb), :moment)"))


def stage_of(scheme: Scheme, status: str) -> Stage:
    """The stage of a status: the first one is open, others of the category `todo` are triaged."""
    category = scheme.category_of(status)
    if category == "todo":
        return "open" if status == scheme.initial_status else "triaged"
    return "in_progress" if category == "doing" else "done"


async def fill_daily_stats(reader: Reader, company_id: UUID, *, moment: datetime) -> None:
    """Compute the days of a company up to now, including days that were missed."""
    words = [
        {"scheme": scheme.name, "status": status, "stage": stage_of(scheme, status)}
        for scheme in SCHEMES.values()
        for status in scheme.statuses
    ]
    values = {"company_id": company_id, "words": msgspec.json.encode(words).decode(), "moment": moment}
    await reader.rows(_FILL, values)
