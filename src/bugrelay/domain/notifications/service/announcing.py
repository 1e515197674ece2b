"""The consumer of the event log that begins a fan-out for each event with recipients."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from bugrelay.domain.bugs.models import RESOLVED_STATUSES
from bugrelay.domain.events.schemas import Event
from bugrelay.domain.notifications.models import NoticeFanOut
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.jobs.queue import JobQueue

CONSUMER = "notices"
FAN_OUT_JOB = "notifications.fan_out"

_EVERYTHING, _OFFICIAL, _RESOLVED = ["all"], ["all", "official"], ["all", "official", "resolved"]


def announce_to(jobs: JobQueue) -> Callable[[UnitOfWork, Sequence[Event]], Awaitable[None]]:
    """The consumer: adds a row and a job for each event with recipients, in the cursor's transaction."""

    async def announce(work: UnitOfWork, events: Sequence[Event]) -> None:
        rows = [_fan_out_of(event, levels) for event in events if (levels := levels_of(event))]
        if not rows:
            return
        beginning = insert(NoticeFanOut).values(rows).on_conflict_do_nothing()
        for fan_out_id in (await work.session.scalars(beginning.returning(NoticeFanOut.id))).all():
            await jobs.add(work.session, FAN_OUT_JOB, fan_out_id=str(fan_out_id))

    return announce


def levels_of(event: Event) -> list[str]:
    """The levels of the subscriptions that are notified of an event; empty if nobody is.

    Of the two events of a merge, only the survivor's has recipients. A comment that a moderator restored was announced
    when it was written.
    """
    if event.ticket_id is not None:
        return _levels_of_ticket(event)
    if event.bug_id is None or event.visibility != "public":
        return []
    if event.type == "comment.created":
        return [] if event.data.get("restored") else _EVERYTHING
    if event.type == "bug.merged":
        return _EVERYTHING if "source_id" in event.data else []
    if event.type == "status.changed":
        return _RESOLVED if event.data["to"] in RESOLVED_STATUSES else _OFFICIAL
    return _OFFICIAL if event.type == "response.created" else []


def _levels_of_ticket(event: Event) -> list[str]:
    """The same for tickets. The fan-out excludes users who may not see an internal event."""
    if event.type == "ticket.commented":
        return _EVERYTHING if event.data["action"] == "created" else []
    if event.type == "ticket.status_changed":
        return _RESOLVED if event.data["category"] == "done" else _OFFICIAL
    return []


def _fan_out_of(event: Event, levels: Sequence[str]) -> dict[str, Any]:
    comment_id = event.data.get("comment_id")
    return {
        "id": new_id(),
        "stream": event.stream,
        "seq": event.seq,
        "type": event.type,
        "at": event.at,
        "actor_id": event.actor_id,
        "bug_id": event.bug_id if event.ticket_id is None else None,
        "ticket_id": event.ticket_id,
        "is_internal": event.visibility == "internal",
        "comment_id": UUID(comment_id) if comment_id else None,
        "from_status": event.data.get("from"),
        "to_status": event.data.get("to"),
        "levels": levels,
    }
