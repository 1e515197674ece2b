"""Every error leaves in one body: `{"error": {code, message, details?, fields?, timestamp}}` (docs/api/errors.md)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

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
    """What `error` holds; `fields` always with VALIDATION_ERROR, `details` where there is something to add."""

    code: str
    message: str
    timestamp: datetime
    details: str | None = None
    fields: list[FieldProblem] | None = None


class ErrorResponse(msgspec.Struct):
    """The body of every answer of 400 and above."""

    error: ErrorBody


def error_bytes(error: BugRelayError) -> bytes:
    body = ErrorBody(error.code, error.message, datetime.now(UTC), details=error.details, fields=error.fields)
    return to_json(ErrorResponse(body))


def as_bugrelay_error(exception: BaseException) -> BugRelayError:
    """The error that a caller sees for whatever was raised below."""
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
        return ValidationFailed.of("request", "holds a value that cannot be stored")
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
    if isinstance(
        exception, ValidationException
    ):  # the framework checks nothing for us but that there is a body
        return ValidationFailed.of("body", "is required")
    if exception.status_code < InternalError.status:
        return ValidationFailed([FieldProblem("request", exception.detail or "does not fit")])
    return InternalError()


def error_response(request: Request[Any, Any, Any], exception: Exception) -> Response[bytes]:
    """Litestar's handler for every exception."""
    error = as_bugrelay_error(exception)
    if isinstance(error, InternalError):
        route = request.scope.get("path_template") or "-"  # the path itself may hold a secret
        log.error("unforeseen_error", route=route, exc_info=exception)
    elif error.status == ServiceUnavailable.status:
        log.warning("unavailable", code=error.code, cause=repr(exception.__cause__ or exception)[:300])
    return Response(
        error_bytes(error), status_code=error.status, headers=error.headers, media_type="application/json"
    )


EXCEPTION_HANDLERS: ExceptionHandlersMap = {Exception: error_response}
