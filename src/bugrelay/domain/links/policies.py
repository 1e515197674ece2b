"""What follows from a ticket's status for its public bug; pure functions of the facts."""

from __future__ import annotations

from bugrelay.domain.bugs.schemas import Status
from bugrelay.domain.tickets.schemes import DONE, Scheme


def carried_status(scheme: Scheme, *, old: str, new: str) -> Status | None:
    """The status that the bug gets when the ticket goes from `old` to `new`; None where it keeps its own.

    `old` may be a word of another scheme, where the ticket came from another project. A ticket that was done before
    stays what it was: resolved, and closed in the end, is fixed. A scheme with one word for both tells no difference.
    """
    category = scheme.statuses.get(new)
    if category != DONE:
        return "reviewing" if category == "doing" else None
    if new != scheme.declined_status or new == scheme.status_like(DONE):
        return "fixed"
    return None if scheme.statuses.get(old) == DONE else "wont_fix"
