"""Which status of a ticket is carried over to its public bug; pure functions."""

from __future__ import annotations

from bugrelay.domain.bugs.schemas import Status
from bugrelay.domain.tickets.schemes import DONE, Scheme


def carried_status(scheme: Scheme, *, old: str, new: str) -> Status | None:
    """The status that the bug gets when the ticket changes from `old` to `new`; None where it keeps its own.

    `old` may be a status of another scheme, if the ticket was moved. A ticket that was done before does not change the
    bug again: one that is resolved and later closed is fixed. Where a scheme has one status for both, it means fixed.
    """
    category = scheme.statuses.get(new)
    if category != DONE:
        return "reviewing" if category == "doing" else None
    if new != scheme.declined_status or new == scheme.status_like(DONE):
        return "fixed"
    return None if scheme.statuses.get(old) == DONE else "wont_fix"
