"""Errors of links between tickets and public bugs."""

from __future__ import annotations

from bugrelay.errors import BugRelayError


class AlreadyLinked(BugRelayError):
    code = "ALREADY_LINKED"
    status = 409
    message = "The ticket is already linked to a public bug"


class LinkNotFound(BugRelayError):
    code = "LINK_NOT_FOUND"
    status = 404
    message = "The ticket is not linked to this bug"


class PreviewOutdated(BugRelayError):
    code = "PREVIEW_OUTDATED"
    status = 409
    message = "The ticket has changed since the preview; request another preview"


class TooManyLinks(BugRelayError):
    code = "TOO_MANY_LINKS"
    status = 409
    message = "The ticket or the bug has the maximum number of links"
