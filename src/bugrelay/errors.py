"""The base class of all errors, and the errors that any part of BugRelay may raise.

Each domain has its own errors in its `errors.py`; `http/errors.py` turns all of them into the one error body
(docs/api/errors.md). Codes and statuses are a contract with clients.
"""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct


class FieldProblem(Struct, frozen=True):
    """An invalid input field: its path (`tags[3]`), and what it must be ("must have …")."""

    field: str
    message: str


class BugRelayError(Exception):
    """An error for the client: a stable code, an HTTP status, a sentence, and further headers.

    `facts` are values that a program needs to handle the error, by their names in snake_case.
    """

    code: ClassVar[str] = "INTERNAL_ERROR"
    status: ClassVar[int] = 500
    message: str = "Something went wrong on our side"

    def __init__(
        self,
        message: str | None = None,
        *,
        details: str | None = None,
        fields: list[FieldProblem] | None = None,
        headers: dict[str, str] | None = None,
        facts: dict[str, Any] | None = None,
    ) -> None:
        self.message = message or type(self).message
        self.details = details
        self.fields = fields
        self.headers = headers or {}
        self.facts = facts or {}
        super().__init__(self.message)


class ValidationFailed(BugRelayError):
    """Invalid input; names all invalid fields at once."""

    code = "VALIDATION_ERROR"
    status = 400
    message = "The request does not fit"

    def __init__(self, fields: list[FieldProblem], *, message: str | None = None) -> None:
        first = fields[0]
        count = "1 field does" if len(fields) == 1 else f"{len(fields)} fields do"
        super().__init__(
            message or f"{first.field} {first.message}", details=f"{count} not fit", fields=fields
        )

    @classmethod
    def of(cls, field: str, message: str) -> ValidationFailed:
        """The error of a single invalid field."""
        return cls([FieldProblem(field, message)])


class InvalidId(BugRelayError):
    code = "INVALID_ID"
    status = 400
    message = "The id in the path is not a UUID"


class AuthRequired(BugRelayError):
    code = "AUTH_REQUIRED"
    status = 401
    message = "Sign in to do this"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message, headers={"WWW-Authenticate": "Bearer"})


class InvalidToken(BugRelayError):
    code = "INVALID_TOKEN"
    status = 401
    message = "The bearer token is malformed, expired or revoked"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


class InvalidLinkToken(BugRelayError):
    code = "INVALID_LINK_TOKEN"
    status = 400
    message = "This link is wrong, used or expired"


class AccountBanned(BugRelayError):
    code = "ACCOUNT_BANNED"
    status = 403
    message = "This account is banned"


class EmailNotVerified(BugRelayError):
    code = "EMAIL_NOT_VERIFIED"
    status = 403
    message = "Verify your e-mail address first; a new link can be sent to it"


class InsufficientPermissions(BugRelayError):
    code = "INSUFFICIENT_PERMISSIONS"
    status = 403
    message = "You may not do this"


class RouteNotFound(BugRelayError):
    code = "NOT_FOUND"
    status = 404
    message = "There is nothing at this address"


class MethodNotAllowed(BugRelayError):
    code = "METHOD_NOT_ALLOWED"
    status = 405
    message = "This address does not take that method"


class PayloadTooLarge(BugRelayError):
    code = "PAYLOAD_TOO_LARGE"
    status = 413
    message = "The request body is larger than 1 MiB"


class UnsupportedMediaType(BugRelayError):
    code = "UNSUPPORTED_MEDIA_TYPE"
    status = 415
    message = "This address reads another content type"


class RateLimitExceeded(BugRelayError):
    code = "RATE_LIMIT_EXCEEDED"
    status = 429
    message = "Too many requests; try again later"


class ServiceUnavailable(BugRelayError):
    """A dependency is down or too slow, or the process is overloaded. Usually nothing was changed, but the outcome may
    be unknown."""

    code = "SERVICE_UNAVAILABLE"
    status = 503
    message = "BugRelay cannot answer right now; try again shortly"

    def __init__(self, message: str | None = None, *, retry_after_seconds: int = 2) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after_seconds)})


class InternalError(BugRelayError):
    """An unexpected error; the log has its traceback with the request id."""
