"""Exceptions to the one error body: `{"error": {code, message, details?, fields?, timestamp}}` (docs/api/errors.md).

Older APIs have error bodies of their own, which their clients expect. The path alone decides which form is used, so
that every layer gives the same one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import psycopg
import structlog
from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.types import ExceptionHandlersMap
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bugrelay.errors import (
    BugRelayError,
    FieldProblem,
    InternalError,
    MethodNotAllowed,
    PayloadTooLarge,
    RouteNotFound,
    ServiceUnavailable,
    ValidationFailed,
)
from bugrelay.http.responses import to_json
from bugrelay.infra.db.database import translated

log = structlog.get_logger()


class ErrorBody(msgspec.Struct, omit_defaults=True):
    """The value of `error`; it has `fields` with VALIDATION_ERROR, and `details` where there is more to say."""

    code: str
    message: str
    timestamp: datetime
    details: str | None = None
    fields: list[FieldProblem] | None = None


class ErrorResponse(msgspec.Struct):
    """The body of every response with a status from 400; `error` is an `ErrorBody`, with the error's further facts."""

    error: Any


class TicketErrorDetails(msgspec.Struct, rename="camel"):
    """The value of `details` on the ticket API, which also has the error's further facts.

    Attributes:
        fields: The invalid fields; null if the error is not about fields.
        timestamp: When the server answered.
    """

    fields: list[FieldProblem] | None
    timestamp: datetime


class TicketErrorResponse(msgspec.Struct):
    """The body of every response of the ticket API with a status from 400.

    Attributes:
        error: The kind of error, for programs: `E_`, and the code as on all other routes.
        message: What went wrong, for people.
        details: Further facts.
    """

    error: str
    message: str
    details: TicketErrorDetails


class SupportErrorResponse(msgspec.Struct):
    """The body of every response of the support API with a status from 400.

    Attributes:
        success: False.
        error: The error, as on all other routes.
    """

    success: Literal[False]
    error: Any


TICKET_API = re.compile(r"/+api/+v1/+(?:projects|tickets|attachments|workflows|reports)(?:/|\Z)")
SUPPORT_API = re.compile(r"/+api/+support(?:/|\Z)")
_WORD_BREAK = re.compile(r"_([a-z])")


def error_bytes(error: BugRelayError, path: str) -> bytes:
    """The body of an error, in the form of the API that the path belongs to."""
    if TICKET_API.match(path):
        return to_json(_ticket_error(error))
    if SUPPORT_API.match(path):
        return to_json(SupportErrorResponse(success=False, error=_standard_error(error)))
    return to_json(ErrorResponse(_standard_error(error)))


def _standard_error(error: BugRelayError) -> Any:
    body = ErrorBody(error.code, error.message, datetime.now(UTC), details=error.details, fields=error.fields)
    return {**msgspec.to_builtins(body), **error.facts} if error.facts else body


def _ticket_error(error: BugRelayError) -> Any:
    fields = error.fields and [FieldProblem(_camel(one.field), one.message) for one in error.fields]
    details = TicketErrorDetails(fields or None, datetime.now(UTC))
    message = f"{fields[0].field} {fields[0].message}" if fields else error.message
    if not error.facts:
        return TicketErrorResponse(f"E_{error.code}", message, details)
    facts = {_camel(name): _camel_names(name, value) for name, value in error.facts.items()}
    return {
        "error": f"E_{error.code}",
        "message": message,
        "details": {**msgspec.to_builtins(details), **facts},
    }


def _camel(name: str) -> str:
    return _WORD_BREAK.sub(lambda found: found[1].upper(), name)


def _camel_names(name: str, value: Any) -> Any:
    """Names of fields in camelCase; any other value unchanged."""
    return [_camel(one) for one in value] if name.endswith("_fields") else value


def as_bugrelay_error(exception: BaseException) -> BugRelayError:
    """The error that a client gets for any exception."""
    if isinstance(exception, BaseExceptionGroup):
        return as_bugrelay_error(exception.exceptions[0])
    if isinstance(exception, BugRelayError):
        return exception
    if isinstance(exception, DBAPIError | PoolTimeout | psycopg.Error):
        return _database_error(exception)
    if isinstance(exception, HTTPException):
        return _framework_error(exception)
    return InternalError()


def _database_error(exception: DBAPIError | PoolTimeout | psycopg.Error) -> BugRelayError:
    if isinstance(exception, DataError | psycopg.DataError):
        return ValidationFailed.of("request", "contains a value that cannot be stored")
    known = translated(exception)
    return known if isinstance(known, ServiceUnavailable) else InternalError()


def _framework_error(exception: HTTPException) -> BugRelayError:
    if isinstance(exception, NotFoundException):
        return RouteNotFound()
    if isinstance(exception, MethodNotAllowedException):
        allowed = {name.strip() for name in (exception.headers or {}).get("allow", "").split(",")}
        if "GET" in allowed:
            allowed.add("HEAD")
        return MethodNotAllowed(headers={"Allow": ", ".join(sorted(allowed))})
    if exception.status_code == PayloadTooLarge.status:
        return PayloadTooLarge()
    if isinstance(exception, ValidationException):  # the framework checks only that there is a body
        return ValidationFailed.of("body", "is required")
    if exception.status_code < InternalError.status:
        return ValidationFailed([FieldProblem("request", exception.detail or "does not fit")])
    return InternalError()


def error_response(request: Request[Any, Any, Any], exception: Exception) -> Response[bytes]:
    """Litestar's handler for every exception."""
    error = as_bugrelay_error(exception)
    if isinstance(error, InternalError):
        route = request.scope.get("path_template") or "-"  # the path itself may contain a secret
        log.error("unforeseen_error", route=route, exc_info=exception)
    elif error.status == ServiceUnavailable.status:
        log.warning("unavailable", code=error.code, cause=repr(exception.__cause__ or exception)[:300])
    return Response(
        error_bytes(error, request.scope["path"]),
        status_code=error.status,
        headers=error.headers,
        media_type="application/json",
    )


EXCEPTION_HANDLERS: ExceptionHandlersMap = {Exception: error_response}
