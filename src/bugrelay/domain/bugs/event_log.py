"""The events of the board in the event log: which fact becomes which event (docs/events.md)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol
from uuid import UUID

from bugrelay.domain.bugs import events
from bugrelay.domain.events.schemas import LogEntry, LogTable, stream_of


class _OnBug(Protocol):
    """A fact about one bug."""

    @property
    def bug_id(self) -> UUID: ...
    @property
    def company_id(self) -> UUID | None: ...
    @property
    def actor_id(self) -> UUID | None: ...


def _entry(kind: str, fact: _OnBug, **data: Any) -> tuple[LogEntry, ...]:
    return (_on(kind, fact.bug_id, company_id=fact.company_id, actor_id=fact.actor_id, data=data),)


def _on(
    kind: str, bug_id: UUID, *, company_id: UUID | None, actor_id: UUID | None, data: dict[str, Any]
) -> LogEntry:
    stream = stream_of(company_id=company_id, bug_id=bug_id)
    return LogEntry(stream=stream, type=kind, bug_id=bug_id, actor_id=actor_id, data=data)


def _reported(fact: events.BugReported) -> Iterable[LogEntry]:
    return _entry(
        "bug.created", fact, application_id=fact.application_id, status=fact.status, priority=fact.priority
    )


def _imported(fact: events.BugImported) -> Iterable[LogEntry]:
    data = {
        "application_id": fact.application_id,
        "status": fact.status,
        "priority": fact.priority,
        "created_at": fact.created_at,
        **events.short_values({"external_id": fact.external_id}),
    }
    return (_on("bug.created", fact.bug_id, company_id=fact.company_id, actor_id=None, data=data),)


def _edited(fact: events.BugEdited) -> Iterable[LogEntry]:
    # The former values are in bug_edits only, where they can be blanked.
    return _entry("bug.edited", fact, edit_id=fact.edit_id, fields=fact.fields)


def _status_changed(fact: events.StatusChanged) -> Iterable[LogEntry]:
    return _entry(
        "status.changed",
        fact,
        change_id=fact.change_id,
        **{"from": fact.old, "to": fact.new},
        company_id=fact.answering_company_id,
    )


def _on_both(kind: str, fact: events.BugMerged | events.BugUnmerged) -> Iterable[LogEntry]:
    """An event for each of the two bugs, since the history of both shows the merge."""
    yield from _entry(kind, fact, target_id=fact.target_id)
    yield _on(
        kind,
        fact.target_id,
        company_id=fact.target_company_id,
        actor_id=fact.actor_id,
        data={"source_id": fact.bug_id},
    )


def _attachments(fact: events.AttachmentAdded | events.AttachmentRemoved) -> Iterable[LogEntry]:
    return _entry("bug.edited", fact, fields=("attachments",), attachment_id=fact.attachment_id)


def _reassigned(fact: events.BugReassigned) -> Iterable[LogEntry]:
    # The event and all later ones are in the stream of the new company, not in that of the former one.
    return _entry(
        "bug.edited",
        fact,
        fields=("assigned_company_id",),
        company_id=fact.company_id,
        former_company_id=fact.former_company_id,
    )


ENTRIES: LogTable = {
    events.BugReported: _reported,
    events.BugImported: _imported,
    events.BugEdited: _edited,
    events.BugReassigned: _reassigned,
    events.StatusChanged: _status_changed,
    events.BugRemoved: lambda fact: _entry("bug.removed", fact),
    events.BugRestored: lambda fact: _entry("bug.restored", fact),
    events.BugMerged: lambda fact: _on_both("bug.merged", fact),
    events.BugUnmerged: lambda fact: _on_both("bug.unmerged", fact),
    events.VotesCounted: lambda fact: _entry("bug.voted", fact, vote_count=fact.vote_count),
    events.CommentAdded: lambda fact: _entry("comment.created", fact, comment_id=fact.comment_id),
    events.ResponseAdded: lambda fact: _entry(
        "response.created", fact, comment_id=fact.comment_id, company_id=fact.answering_company_id
    ),
    events.CommentEdited: lambda fact: _entry("comment.edited", fact, comment_id=fact.comment_id),
    events.CommentWithdrawn: lambda fact: _entry("comment.removed", fact, comment_id=fact.comment_id),
    events.CommentRemoved: lambda fact: _entry(
        "comment.removed", fact, comment_id=fact.comment_id, moderated=True
    ),
    events.CommentRestored: lambda fact: _entry(
        "comment.created", fact, comment_id=fact.comment_id, restored=True
    ),
    events.AttachmentAdded: _attachments,
    events.AttachmentRemoved: _attachments,
}
