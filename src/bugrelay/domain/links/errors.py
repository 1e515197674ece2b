"""What can go wrong between tickets and public bugs."""

from __future__ import annotations

from bugrelay.errors import BugRelayError


class AlreadyLinked(BugRelayError):
    code = "ALREADY_LINKED"
    status = 409
    message = "The ticket is tied to a public bug already"


class LinkNotFound(BugRelayError):
    code = "LINK_NOT_FOUND"
    status = 404
    message = "The ticket is not tied to this bug"


class PreviewOutdated(BugRelayError):
    code = "PREVIEW_OUTDATED"
    status = 409
    message = "The ticket has changed since the preview; look at it again"


class TooManyLinks(BugRelayError):
    code = "TOO_MANY_LINKS"
    status = 409
    message = "The ticket, or the bug, has as many links as it can have"
