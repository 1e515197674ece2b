"""Errors of projects and tickets."""

from __future__ import annotations

from collections.abc import Sequence

from bugrelay.errors import BugRelayError


class ProjectNotFound(BugRelayError):
    code = "PROJECT_NOT_FOUND"
    status = 404
    message = "There is no such project"


class TicketNotFound(BugRelayError):
    code = "TICKET_NOT_FOUND"
    status = 404
    message = "There is no such ticket"


class TicketCommentNotFound(BugRelayError):
    code = "COMMENT_NOT_FOUND"
    status = 404
    message = "There is no such comment"


class HistoryTextNotFound(BugRelayError):
    """The entry is of another ticket, or its values are short ones, which are in the immutable event log."""

    code = "HISTORY_TEXT_NOT_FOUND"
    status = 404
    message = "This entry of the ticket's history has no long text"


class TicketMoved(BugRelayError):
    """The ticket was moved and has another key; requests with any method are redirected (308)."""

    code = "TICKET_MOVED"
    status = 308
    message = "This ticket has another key now"

    def __init__(self, location: str) -> None:
        super().__init__(headers={"Location": location})


class CompanyHasTickets(BugRelayError):
    """A new team has verified the company's domain, and would see the private tickets of the previous team."""

    code = "COMPANY_HAS_TICKETS"
    status = 409
    message = (
        "A former team of this company has projects and tickets here, which a new team would see: ask those who run"
        " this board to hand the company over"
    )


class KeyInUse(BugRelayError):
    code = "KEY_IN_USE"
    status = 409
    message = "Another project of the company has or had this key"


class KeyFixed(BugRelayError):
    code = "KEY_FIXED"
    status = 409
    message = "The key of a project that has had tickets cannot be changed"


class ProjectArchived(BugRelayError):
    code = "PROJECT_ARCHIVED"
    status = 409
    message = "This project is archived and takes no tickets"


class InvalidTransition(BugRelayError):
    """A transition that the ticket's scheme does not allow."""

    code = "INVALID_TRANSITION"
    status = 409

    def __init__(self, *, old: str, new: str, allowed: Sequence[str]) -> None:
        super().__init__(f"A ticket cannot go from {old} to {new}", facts={"allowed": list(allowed)})


class VersionConflict(BugRelayError):
    """The resource was changed since the version that the caller has seen (optimistic locking)."""

    code = "VERSION_CONFLICT"
    status = 412
    message = "It was changed meanwhile; load it again"

    def __init__(self, *, version: int, changed_fields: Sequence[str]) -> None:
        super().__init__(facts={"version": version, "changed_fields": list(changed_fields)})
        self.version, self.changed_fields = version, changed_fields
