"""Errors of moderation."""

from __future__ import annotations

from bugrelay.errors import BugRelayError


class AlreadyFlagged(BugRelayError):
    code = "ALREADY_FLAGGED"
    status = 409
    message = "You have reported this already"


class AlreadyRemoved(BugRelayError):
    code = "ALREADY_REMOVED"
    status = 409
    message = "This was removed already"


class BugNotDeleted(BugRelayError):
    code = "BUG_NOT_DELETED"
    status = 409
    message = "This bug is not removed"


class CommentNotDeleted(BugRelayError):
    code = "COMMENT_NOT_DELETED"
    status = 409
    message = "This comment was not removed by an admin"


class InvalidMerge(BugRelayError):
    code = "INVALID_MERGE"
    status = 400
    message = "These bugs cannot be merged"


class SourceBugNotFound(BugRelayError):
    code = "SOURCE_BUG_NOT_FOUND"
    status = 404
    message = "There is no such source bug, or it is removed"


class TargetBugNotFound(BugRelayError):
    code = "TARGET_BUG_NOT_FOUND"
    status = 404
    message = "There is no such target bug, or it is removed"


class NotMerged(BugRelayError):
    code = "NOT_MERGED"
    status = 409
    message = "This bug is not merged into another one"


class CompanyNotVerified(BugRelayError):
    code = "NOT_VERIFIED"
    status = 409
    message = "This company is not verified"
