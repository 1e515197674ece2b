"""The OpenAPI 3.1 document, generated from the routes: contracts (http/routes.py), docstrings, bodies, responses.

A handler's name is the id of its operation, the first sentence of its docstring the summary.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, get_args, get_origin

from litestar import Response
from litestar.handlers.http_handlers import HTTPRouteHandler
from msgspec import Struct

from bugrelay import __version__
from bugrelay.http.errors import SUPPORT_API, TICKET_API
from bugrelay.http.openapi_schemas import field_schemas, schemas_of
from bugrelay.http.routes import Example, Route, route_of

# By status: its description, and the error in its example.
_ERRORS: dict[str, tuple[str, dict[str, Any]]] = {
    "400": (
        "The request is invalid (`VALIDATION_ERROR`, `INVALID_ID` and others)",
        {
            "code": "VALIDATION_ERROR",
            "message": "title must have 5 to 255 characters",
            "details": "1 field does not fit",
            "fields": [{"field": "title", "message": "must have 5 to 255 characters"}],
        },
    ),
    "401": (
        "The credentials are missing or invalid (`AUTH_REQUIRED`, `INVALID_TOKEN`)",
        {"code": "INVALID_TOKEN", "message": "The bearer token is malformed, expired or revoked"},
    ),
    "403": (
        "You may not do this (`INSUFFICIENT_PERMISSIONS`, `ACCOUNT_BANNED`)",
        {"code": "INSUFFICIENT_PERMISSIONS", "message": "You may not do this"},
    ),
    "404": (
        "It does not exist, or you may not see it",
        {"code": "BUG_NOT_FOUND", "message": "There is no such bug"},
    ),
    "409": (
        "The request conflicts with the current state",
        {"code": "IDEMPOTENCY_CONFLICT", "message": "This Idempotency-Key was used for another request"},
    ),
    "412": (
        "It was changed in the meantime (`VERSION_CONFLICT`)",
        {"code": "VERSION_CONFLICT", "message": "It was changed meanwhile; load it again"},
    ),
    "413": (
        "The body is too large (`PAYLOAD_TOO_LARGE`)",
        {"code": "PAYLOAD_TOO_LARGE", "message": "The request body is larger than 1 MiB"},
    ),
    "415": (
        "The body has the wrong content type (`UNSUPPORTED_MEDIA_TYPE`)",
        {"code": "UNSUPPORTED_MEDIA_TYPE", "message": "this address reads application/json"},
    ),
    "410": (
        "The missed events are too old to be sent one by one (`CURSOR_EXPIRED`); continue from `head`",
        {
            "code": "CURSOR_EXPIRED",
            "message": "The events after this position are no longer available",
            "head": 1720,
        },
    ),
    "423": (
        "Too many wrong passwords (`ACCOUNT_LOCKED`), with `Retry-After`",
        {"code": "ACCOUNT_LOCKED", "message": "Too many wrong passwords; try again later"},
    ),
    "429": (
        "Too many requests (`RATE_LIMIT_EXCEEDED`), with `Retry-After`",
        {"code": "RATE_LIMIT_EXCEEDED", "message": "Too many requests; try again in 12 s"},
    ),
    "503": (
        "A dependency is down or too slow (`SERVICE_UNAVAILABLE`), with `Retry-After`",
        {"code": "SERVICE_UNAVAILABLE", "message": "BugRelay cannot answer right now; try again shortly"},
    ),
    "507": (
        "The file cannot be stored (`STORAGE_UNAVAILABLE`)",
        {"code": "STORAGE_UNAVAILABLE", "message": "The file cannot be stored right now; try again later"},
    ),
}
_MERGEABLE = "bug_id"
_MOVABLE = "ticket"
_MOVED = {
    "description": "This bug was merged into another one",
    "headers": {
        "Location": {"schema": {"type": "string"}, "description": "The same address of the other bug"}
    },
}
_MOVED_TICKET = {
    "description": "This ticket was moved to another project and has a new key",
    "headers": {
        "Location": {"schema": {"type": "string"}, "description": "The same address with the current key"}
    },
}
_LOCATION = {"schema": {"type": "string"}, "description": "Where the browser is redirected to"}
_MOMENT = "2026-01-15T10:30:00Z"
_JSON = "application/json"
_FORM = "multipart/form-data"
_PARAMETER = re.compile(r"\{(\w+):str\}")
_PATH_PARAMETERS = {
    "connection_id": "The connection's id, which is part of its `webhook_url`.",
    "bug_id": "The bug.",
    "attachment_id": "The picture or file, by its id in the `attachments` of the bug or ticket.",
    "file_id": "The file.",
    "comment_id": "The comment.",
    "company_id": "The company.",
    "application_id": "The application.",
    "user_id": "The user.",
    "session_id": "The session, by its id in `GET /api/v1/auth/sessions`.",
    "provider": "The provider, by its name in the `sign_in_providers` of `GET /api/v1/config`.",
    "webhook_id": "The webhook.",
    "workflow_id": "The workflow rule.",
    "invitation_id": "The invitation, by its id in `GET /api/v1/invitations`.",
    "delivery_id": "The delivery, by its id in the `deliveries` of the webhook.",
    "name": "The file, by the name in the picture's `file_url`.",
    "file": "The bug's id, followed by `.atom`.",
    "issue_id": "The issue.",
    "project": "The project, by its id or key.",
    "ticket": "The ticket, by its id or key.",
    "entry": "The entry, by its id in the `history` of the ticket.",
    "screenshot_id": "The screenshot.",
    "ticket_number": "The report, by its `ticket_number`.",
    "secret": "The secret in `receipt.url` of the response to `POST /api/v1/bugs`.",
}
_COMPANY = {
    "schema": {"type": "string"},
    "description": "The company, by its id or domain. Not needed by users of a single company.",
}
_COMPANY_PARAMETER: dict[str, Any] = {"name": "company", "in": "query", **_COMPANY}
_COMPANY_HEADER: dict[str, Any] = {"name": "X-Company-ID", "in": "header", **_COMPANY}
_IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 128},
    "description": "A repeated request with the same key gets the response of the first one, for 24 hours.",
}
_FILE = {"type": "string", "format": "binary"}
_NO_UUIDS = {"name", "provider", "file", "secret", "project", "ticket", "ticket_number", "entry"}
_IDS = _PATH_PARAMETERS.keys() - _NO_UUIDS
_TAGS = {
    "GitHub": "GitHub issues for a company's tickets: its connection, and the webhook for changes there.",
    "Accounts": "Registration, sessions, the own account; profiles of other users.",
    "Attachments": "Pictures of a bug.",
    "Bugs": "The board: report, find and correct bugs; their status and history.",
    "Comments": "Comments, and the company's official response.",
    "Companies": "Companies and their applications; claims, teams, dashboards.",
    "Events": "Live updates: events of a company for its users, events of the board for everybody.",
    "Feeds": "Atom feeds of the board.",
    "Issues": "Tickets of one scheme, in the form that older clients know as issues.",
    "Moderation": "Flagging content, and what admins do.",
    "Notices": "Following bugs, and notices of what happens to them.",
    "Operation": "Health and configuration of the server.",
    "Projects": "Projects of a company, which contain its tickets.",
    "Receipts": "What the owner of an anonymous report can do.",
    "Reports": "Statistics of a company's tickets, as JSON or CSV.",
    "Support": "Reports from inside a company's product.",
    "Tickets": "Private tickets of a company, for its members and reporters.",
    "Ticket files": "Files of tickets, uploaded directly into storage and downloaded by signed links.",
    "Issue files": "Files of issues, uploaded in one step.",
    "Votes": "Votes for a bug.",
    "Webhooks": "Endpoints that a company's events are posted to.",
    "Workflows": "Rules of a company that act on its tickets automatically.",
}
_INFO = {
    "title": "BugRelay",
    "version": __version__,
    "summary": "A public bug board",
    "description": "Report bugs in any application, vote for them, and hear from the company behind it.",
    "license": {"name": "All rights reserved", "identifier": "LicenseRef-All-Rights-Reserved"},
}
_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "The `access_token` of a session (`POST /api/v1/auth/login`).",
}
_FIELD_ERROR_SCHEMA = {
    "type": "object",
    "required": ["field", "message"],
    "properties": {
        "field": {
            "type": "string",
            "description": "The field or parameter; for an item of a list with its index, as in `tags[3]`.",
        },
        "message": {"type": "string", "description": "What the value must be."},
    },
}
_ERROR_SCHEMA: dict[str, Any] = {
    "title": "Error",
    "description": "The body of every response with a status from 400.",
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "description": "What went wrong.",
            "required": ["code", "message", "timestamp"],
            "properties": {
                "code": {"type": "string", "description": "The error code, for programs."},
                "message": {"type": "string", "description": "What went wrong, for people."},
                "details": {"type": "string", "description": "Further details."},
                "fields": {
                    "type": "array",
                    "description": "Every invalid field; always present with `VALIDATION_ERROR`.",
                    "items": _FIELD_ERROR_SCHEMA,
                },
                "timestamp": {
                    "type": "string",
                    "format": "date-time",
                    "description": "When the server answered.",
                },
            },
        }
    },
}
_TICKET_ERROR_SCHEMA = {
    "title": "TicketError",
    "description": "The body of every response of the ticket API with a status from 400.",
    "type": "object",
    "required": ["error", "message", "details"],
    "properties": {
        "error": {"type": "string", "description": "The error code, for programs."},
        "message": {"type": "string", "description": "What went wrong, for people."},
        "details": {
            "type": "object",
            "description": "Further details, including values that a program needs to handle the error.",
            "required": ["fields", "timestamp"],
            "properties": {
                "fields": {
                    "description": "Every invalid field; null if no field is invalid.",
                    "anyOf": [{"type": "array", "items": _FIELD_ERROR_SCHEMA}, {"type": "null"}],
                },
                "timestamp": {
                    "type": "string",
                    "format": "date-time",
                    "description": "When the server answered.",
                },
            },
        },
    },
}
_SUPPORT_ERROR_SCHEMA = {
    "title": "SupportError",
    "description": "The body of every response of the support API with a status from 400.",
    "type": "object",
    "required": ["success", "error"],
    "properties": {
        "success": {"type": "boolean", "const": False, "description": "False."},
        **_ERROR_SCHEMA["properties"],
    },
}


def openapi_document(routes: Sequence[tuple[str, HTTPRouteHandler]]) -> dict[str, Any]:
    """The whole document, of all handlers with their paths; the same for every order of these."""
    shown = [(path, handler) for path, handler in routes if handler.resolve_include_in_schema()]
    shown.sort(key=lambda one: (one[0], sorted(one[1].http_methods)))
    bodies = {handler: _body_type(handler) for _, handler in shown}
    responses = {handler: _response_type(handler) for _, handler in shown}
    schemas, components = schemas_of(
        [kind for kind in bodies.values() if kind is not None], [*responses.values()]
    )
    paths: dict[str, dict[str, Any]] = {}
    for path, handler in shown:
        for method in sorted(handler.http_methods):
            operation = _operation(
                path, handler, body=schemas.get(bodies[handler]), response=schemas[responses[handler]]
            )
            paths.setdefault(_PARAMETER.sub("{\\1}", path), {})[str(method).lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": _INFO,
        "servers": [{"url": "/", "description": "The server that this document came from."}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": {
                **components,
                "Error": _ERROR_SCHEMA,
                "SupportError": _SUPPORT_ERROR_SCHEMA,
                "TicketError": _TICKET_ERROR_SCHEMA,
            },
            "securitySchemes": {"bearer": _BEARER},
        },
    }


def _body_type(handler: HTTPRouteHandler) -> Any:
    """What the body is read as; None where there is none, or only a form."""
    data = handler.parsed_data_field
    return route_of(handler).reads if data is None else data.annotation


def _response_type(handler: HTTPRouteHandler) -> Any:
    """The type in `Response[…]`; of a handler that may also stream, the type of its other response."""
    annotation = handler.parsed_return_field.annotation
    response = annotation if get_origin(annotation) is Response else get_args(annotation)[0]
    return get_args(response)[0]


def _operation(
    path: str, handler: HTTPRouteHandler, *, body: dict[str, Any] | None, response: dict[str, Any]
) -> dict[str, Any]:
    route = route_of(handler)
    summary, _, rest = inspect.cleandoc(handler.fn.__doc__ or "").partition("\n\n")
    operation: dict[str, Any] = {
        "operationId": handler.handler_name,
        "summary": " ".join(summary.split()).rstrip("."),
        "description": f"{_joined(rest)}\n\nFor: {route.access.role}.".strip(),
        "tags": list(handler.resolve_tags()),
        "security": _security(route),
        "parameters": [*_path_parameters(path), *_query_parameters(route), *_header_parameters(route)],
        "responses": {str(handler.status_code): _success(route, handler.status_code, response)},
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": body}}}
    if route.upload is not None:
        operation["requestBody"] = _upload_body(route.upload, route.upload_type, body)
    if route.example is not None:
        _show_example(operation, route.example)
    _add_errors(operation, route, path=path, writes=not handler.http_methods <= {"GET"})
    return operation


def _joined(text: str) -> str:
    """Paragraphs, each in one line."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.access.signed_in:
        return [{"bearer": []}]
    return [{}] if route.access.same_for_all else [{}, {"bearer": []}]


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "format": "uuid"} if name in _IDS else {"type": "string"},
            "description": _PATH_PARAMETERS[name],
        }
        for name in _PARAMETER.findall(path)
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    named = [_COMPANY_PARAMETER] if route.access.tenant else []
    if route.query is None:
        return named
    return [
        *named,
        *_parameters_of(route.query),
    ]


def _parameters_of(query: type[Struct]) -> list[dict[str, Any]]:
    return [
        {
            "name": field.encode_name,
            "in": "query",
            "required": field.required,
            "schema": schema,
            "description": description,
        }
        for field, schema, description in field_schemas(query)
    ]


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    sent = {_COMPANY_HEADER["name"]: route.access.tenant, _IDEMPOTENCY_KEY["name"]: route.idempotent}
    return [parameter for parameter in (_COMPANY_HEADER, _IDEMPOTENCY_KEY) if sent[parameter["name"]]]


def _success(route: Route, status: int, response: dict[str, Any]) -> dict[str, Any]:
    """The response: the struct as JSON, and the other media types that the route can send; a redirect has no body."""
    if status == HTTPStatus.FOUND:
        return {"description": HTTPStatus(status).phrase, "headers": {"Location": _LOCATION}}
    content = {
        kind: {"schema": response if kind == _JSON else {"type": "string", "format": "binary"}}
        for kind in route.media_types
    }
    return {"description": HTTPStatus(status).phrase, "content": content}


def _upload_body(field: str, media_type: str, body: dict[str, Any] | None) -> dict[str, Any]:
    """A form with a file. A route that also reads JSON takes the JSON alone, or a form with the JSON in one part."""
    file = {**_FILE, "contentMediaType": media_type, "description": "The file."}
    schema = {"type": "object", "required": [field], "properties": {field: file}}
    if body is None:
        return {"required": True, "content": {_FORM: {"schema": schema}}}
    report = {**body, "description": "The same object as in the JSON body."}
    with_file = {"type": "object", "required": ["report"], "properties": {"report": report, field: file}}
    return {"required": True, "content": {_JSON: {"schema": body}, _FORM: {"schema": with_file}}}


def _add_errors(operation: dict[str, Any], route: Route, *, path: str, writes: bool) -> None:
    """The errors of a route, and the further statuses in its contract."""
    responses, body = operation["responses"], operation.get("requestBody", {"content": {}})
    named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
    statuses = {"400", "401", "429", "503"} | {str(status) for status in route.errors}
    statuses |= {"409"} if writes else set()
    statuses |= {"403"} if route.access.signed_in else set()
    statuses |= {"404"} if named or route.access.tenant else set()
    statuses |= {"413", "415"} if body["content"] else set()
    statuses |= {"507"} if _FORM in body["content"] else set()
    (success,) = responses.values()
    if _MERGEABLE in named and not route.access.admin:
        responses["308"] = _MOVED
    if _MOVABLE in named:
        responses["308"] = _MOVED_TICKET
    also = {str(status): {**success, "description": HTTPStatus(status).phrase} for status in route.also}
    responses |= {status: _error_response(status, path) for status in sorted(statuses - also.keys())} | also


def _error_response(status: str, path: str) -> dict[str, Any]:
    description, error = _ERRORS[status]
    example: dict[str, Any] = {"error": {**error, "timestamp": _MOMENT}}
    schema = {"$ref": "#/components/schemas/Error"}
    if TICKET_API.match(path):
        details = {"fields": error.get("fields"), "timestamp": _MOMENT}
        example = {"error": f"E_{error['code']}", "message": error["message"], "details": details}
        schema = {"$ref": "#/components/schemas/TicketError"}
    if SUPPORT_API.match(path):
        example = {"success": False, **example}
        schema = {"$ref": "#/components/schemas/SupportError"}
    return {
        "description": description,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def _show_example(operation: dict[str, Any], example: Example) -> None:
    success = min(status for status in operation["responses"] if status.startswith("2"))
    operation["responses"][success]["content"]["application/json"]["example"] = example.response
    if example.request is not None:
        operation["requestBody"]["content"]["application/json"]["example"] = example.request
