"""Errors of the board."""

from __future__ import annotations

from bugrelay.errors import BugRelayError


class BugNotFound(BugRelayError):
    code = "BUG_NOT_FOUND"
    status = 404
    message = "There is no such bug"


class BugMerged(BugRelayError):
    """The bug was merged into another one; every method is redirected to `location`, a path with its query."""

    code = "BUG_MERGED"
    status = 308
    message = "This bug was merged into another one"

    def __init__(self, location: str) -> None:
        super().__init__(headers={"Location": location})


class ReceiptNotFound(BugRelayError):
    code = "RECEIPT_NOT_FOUND"
    status = 404
    message = "There is no such receipt"


class CommentNotFound(BugRelayError):
    code = "COMMENT_NOT_FOUND"
    status = 404
    message = "There is no such comment"
