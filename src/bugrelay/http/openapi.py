"""The OpenAPI 3.1 document: what Litestar makes of the handlers, completed by what only we know.

Query structs, uploads, examples, the error body with the codes that a route can answer, and who may call it: all of it
stands in the route's contract (http/routes.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, get_type_hints

import msgspec
from litestar import Controller, Litestar
from litestar.handlers.http_handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig

from bugrelay import __version__
from bugrelay.http.request import ApiRequest
from bugrelay.http.routes import Access, Example, route_of, routes_of

# Status: what it means, and the error of the example.
_ERRORS: dict[str, tuple[str, dict[str, Any]]] = {
    "400": (
        "The request does not fit (`VALIDATION_ERROR`, `INVALID_ID` and others)",
        {
            "code": "VALIDATION_ERROR",
            "message": "title must have 5 to 255 characters",
            "details": "1 field does not fit",
            "fields": [{"field": "title", "message": "must have 5 to 255 characters"}],
        },
    ),
    "401": (
        "No credentials, or some that do not hold (`AUTH_REQUIRED`, `INVALID_TOKEN`)",
        {"code": "INVALID_TOKEN", "message": "The bearer token is malformed, expired or revoked"},
    ),
    "403": (
        "Not for you (`INSUFFICIENT_PERMISSIONS`, `ACCOUNT_BANNED`)",
        {"code": "INSUFFICIENT_PERMISSIONS", "message": "You may not do this"},
    ),
    "404": (
        "No such thing, or not for you to know of",
        {"code": "BUG_NOT_FOUND", "message": "There is no such bug"},
    ),
    "409": (
        "It clashes with what is there",
        {"code": "IDEMPOTENCY_CONFLICT", "message": "This Idempotency-Key was used for another request"},
    ),
    "413": (
        "The body is too large (`PAYLOAD_TOO_LARGE`)",
        {"code": "PAYLOAD_TOO_LARGE", "message": "The request body is larger than 1 MiB"},
    ),
    "415": (
        "The body is of another content type (`UNSUPPORTED_MEDIA_TYPE`)",
        {"code": "UNSUPPORTED_MEDIA_TYPE", "message": "this address reads application/json"},
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
_MOVED = {
    "description": "This bug was merged into another one",
    "headers": {
        "Location": {"schema": {"type": "string"}, "description": "The same address of the other bug"}
    },
}
_MOMENT = "2026-01-15T10:30:00Z"
_ERROR_SCHEMA = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "timestamp"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "details": {"type": "string"},
                "fields": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["field", "message"],
                        "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
                    },
                },
                "timestamp": {"type": "string", "format": "date-time"},
            },
        }
    },
}


def openapi_document(controllers: Sequence[type[Controller]]) -> dict[str, Any]:
    """The whole document. Litestar's own routes for it are not served: they would have no access rule."""
    app = Litestar(
        list(controllers),
        request_class=ApiRequest,
        openapi_config=OpenAPIConfig(title="BugRelay", version=__version__, use_handler_docstrings=True),
        logging_config=None,
    )
    document: dict[str, Any] = deepcopy(app.openapi_schema.to_schema())
    components = document.setdefault("components", {})
    components.setdefault("schemas", {})["Error"] = _ERROR_SCHEMA
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    for path, methods in _handlers(app).items():
        for method, handler in methods.items():
            operation = document["paths"].get(path, {}).get(method)
            if operation is not None:
                _complete(operation, handler)
    return document


def _handlers(app: Litestar) -> dict[str, dict[str, HTTPRouteHandler]]:
    found: dict[str, dict[str, HTTPRouteHandler]] = {}
    for path, handler in routes_of(app):
        for method in handler.http_methods:
            found.setdefault(_openapi_path(path), {})[str(method).lower()] = handler
    return found


def _openapi_path(path: str) -> str:
    return path.replace(":str}", "}")


def _complete(operation: dict[str, Any], handler: HTTPRouteHandler) -> None:
    route = route_of(handler)
    access = route.access
    operation["description"] = f"{operation.get('description', '')}\n\nFor: {access.role}.".strip()
    operation["security"] = [{"bearer": []}] if access.signed_in else [{}, {"bearer": []}]
    parameters = operation.setdefault("parameters", [])
    for parameter in parameters:
        if parameter["in"] == "path" and parameter["name"].endswith("_id"):
            parameter["schema"] = {"type": "string", "format": "uuid"}
    if route.query is not None:
        parameters += query_parameters(route.query)
    if route.idempotent:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "schema": {"type": "string", "minLength": 1, "maxLength": 128},
                "description": "A repeat with the same key within 24 hours answers as the first did.",
            }
        )
    if route.upload is not None:
        operation["requestBody"] = _upload_body(route.upload)
    if route.example is not None:
        _show_example(operation, route.example)
    also = {str(status) for status in route.also}
    errors = {str(status) for status in route.errors}
    if not handler.http_methods <= {"GET"}:
        errors.add("409")
    _response_with_errors(operation, access, errors=errors - also)
    success = min(operation["responses"])
    operation["responses"] |= dict.fromkeys(also, operation["responses"][success])


def query_parameters(struct: type[msgspec.Struct]) -> list[dict[str, Any]]:
    """The parameters that a query struct reads."""
    types = get_type_hints(struct, include_extras=True)
    parameters = []
    for field in msgspec.structs.fields(struct):
        (schema,), components = msgspec.json.schema_components([types[field.name]])
        schema = _without_null(schema)
        if field.default is not msgspec.NODEFAULT and field.default is not None:
            schema["default"] = field.default
        parameters.append(
            {"name": field.encode_name, "in": "query", "required": field.required, "schema": schema}
        )
        assert not components  # noqa: S101 - query fields are scalars
    return parameters


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option.get("type") != "null"]
        if len(options) == 1:
            return dict(options[0])
    if isinstance(schema.get("enum"), list):
        return {**schema, "enum": [value for value in schema["enum"] if value is not None]}
    return dict(schema)


def _upload_body(field: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": [field],
        "properties": {field: {"type": "string", "format": "binary", "contentMediaType": "image/*"}},
    }
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


def _response_with_errors(operation: dict[str, Any], access: Access, *, errors: set[str]) -> None:
    responses = operation.setdefault("responses", {})
    statuses = {"400", "429", "503", "401", *errors}
    if access.signed_in:
        statuses.add("403")
    if named := {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}:
        statuses.add("404")
        if _MERGEABLE in named and not access.admin:
            responses["308"] = _MOVED
    if "requestBody" in operation:
        statuses |= {"413", "415"}
        if "multipart/form-data" in operation["requestBody"]["content"]:
            statuses.add("507")
    for status in sorted(statuses):
        responses[status] = _error_response(status)


def _error_response(status: str) -> dict[str, Any]:
    description, error = _ERRORS[status]
    example = {"error": {**error, "timestamp": _MOMENT}}
    schema = {"$ref": "#/components/schemas/Error"}
    return {
        "description": description,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def _show_example(operation: dict[str, Any], example: Example) -> None:
    success = min(status for status in operation["responses"] if status.startswith("2"))
    operation["responses"][success]["content"]["application/json"]["example"] = example.answer
    if example.request is not None:
        operation["requestBody"]["content"]["application/json"]["example"] = example.request
