"""`/docs` and the OpenAPI document."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import httpx
import msgspec
import pytest
from jsonschema_rs import Draft202012Validator
from litestar.handlers.http_handlers import HTTPRouteHandler

from bugrelay.app import create_app, openapi_bytes
from bugrelay.domain.bugs.models import STATUSES
from bugrelay.domain.bugs.schemas import BugItem, BugQuery
from bugrelay.http.openapi import openapi_document
from bugrelay.http.routes import route_of, routes_of
from bugrelay.infra.validation import read_fields
from bugrelay.settings import Settings

METHODS = ("get", "post", "put", "patch", "delete")
# Their errors have a form of their own (docs/api/tickets.md).
TICKET_API = tuple(
    f"/api/v1/{name}" for name in ("projects", "tickets", "attachments", "workflows", "reports")
)
SUPPORT_API = "/api/support/"
MAIN_OPERATIONS = [
    ("/api/v1/bugs", "post"),
    ("/api/v1/bugs", "get"),
    ("/api/v1/bugs/{bug_id}", "get"),
    ("/api/v1/bugs/{bug_id}", "patch"),
    ("/api/v1/bugs/{bug_id}/status", "patch"),
    ("/api/v1/bugs/{bug_id}/history", "get"),
    ("/api/v1/bugs/{bug_id}/vote", "post"),
    ("/api/v1/bugs/{bug_id}/vote", "put"),
    ("/api/v1/bugs/{bug_id}/vote", "delete"),
    ("/api/v1/bugs/{bug_id}/comments", "post"),
    ("/api/v1/bugs/{bug_id}/company-response", "post"),
    ("/api/v1/auth/register", "post"),
    ("/api/v1/auth/login", "post"),
    ("/api/v1/auth/refresh", "post"),
]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(openapi_bytes())
    return parsed


def operations_of(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]


def handlers_of(settings: Settings) -> list[tuple[str, HTTPRouteHandler]]:
    """Our handlers under the paths of the document; pages for people are not in it."""
    app = create_app(settings)
    return [
        (re.sub(r":[a-z]+\}", "}", path), handler)
        for path, handler in routes_of(app)
        if handler.resolve_include_in_schema()
    ]


def types_of(settings: Settings) -> list[Any]:
    """What the bodies, queries and answers of our routes are made of."""
    handlers = [handler for _, handler in handlers_of(settings)]
    answers = [get_type_hints(handler.fn)["return"] for handler in handlers]
    bodies = [handler.parsed_data_field.annotation for handler in handlers if handler.parsed_data_field]
    return [*answers, *bodies, *(query for handler in handlers if (query := route_of(handler).query))]


def structs_in(types: list[Any]) -> set[type[msgspec.Struct]]:
    found: set[type[msgspec.Struct]] = set()
    while types:
        kind = types.pop()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            types += get_type_hints(kind).values() if kind not in found else []
            found.add(kind)
        else:
            types += get_args(kind)
    return found


async def test_the_document_is_served_and_is_openapi_3_1(
    client: httpx.AsyncClient, document: dict[str, Any]
) -> None:
    response = await client.get("/docs/openapi.json")
    assert response.status_code == 200
    assert response.json() == document
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"]
    assert document["info"]["version"]


def test_the_document_is_the_same_in_every_process(settings: Settings) -> None:
    """Litestar keeps handlers and methods in sets, whose order is another one in each process."""
    reversed_routes = routes_of(create_app(settings))[::-1]
    assert msgspec.json.encode(openapi_document(reversed_routes)) == openapi_bytes()


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)))
    assert references
    for reference in references:
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_every_schema_is_json_schema(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        Draft202012Validator({**schema, "components": document["components"]}), name


def test_every_operation_is_described_completely(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations_of(document)]
    assert len(ids) == len(set(ids))
    for path, method, operation in operations_of(document):
        assert operation["summary"], (path, method)
        assert "For: " in operation["description"], (path, method)
        assert any(status.startswith(("2", "3")) for status in operation["responses"])
        assert operation["security"]
        named = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
        assert named == set(re.findall(r"\{([^}]+)\}", path))
        for status, answer in operation["responses"].items():
            assert answer["description"]
            if status >= "400" and path != "/ready":
                body = answer["content"]["application/json"]
                is_ticket_api = path.startswith(TICKET_API)
                name = "TicketError" if is_ticket_api else "Error"
                if path.startswith(SUPPORT_API):
                    name = "SupportError"
                    assert body["example"]["success"] is False
                assert body["schema"] == {"$ref": f"#/components/schemas/{name}"}
                code = body["example"]["error"] if is_ticket_api else body["example"]["error"]["code"]
                assert code.startswith("E_") is is_ticket_api


def test_every_route_is_in_the_document(document: dict[str, Any], settings: Settings) -> None:
    routed = {
        (path, method.lower()) for path, handler in handlers_of(settings) for method in handler.http_methods
    }
    written = {(path, method) for path, method, _ in operations_of(document)}
    assert written == routed
    assert ("/api/v1/bugs/{bug_id}/vote", "put") in written


def test_the_parameters_of_a_list_are_those_it_reads(document: dict[str, Any]) -> None:
    parameters = document["paths"]["/api/v1/bugs"]["get"]["parameters"]
    assert {one["name"] for one in parameters if one["in"] == "query"} == set(BugQuery.__struct_fields__)
    limits = {one["name"]: one["schema"] for one in parameters}
    assert (limits["limit"]["maximum"], limits["page"]["minimum"]) == (100, 1)
    assert limits["status"]["enum"] == ["fixed", "open", "reviewing", "wont_fix"]


# --- what generators of clients and linters ask for -----------------------------------------------------------------


def schemas_in(part: Any) -> Iterator[dict[str, Any]]:
    """Every schema with properties, however deep."""
    if isinstance(part, dict):
        if isinstance(part.get("properties"), dict):
            yield part
        for inner in part.values():
            yield from schemas_in(inner)
    if isinstance(part, list):
        for inner in part:
            yield from schemas_in(inner)


def test_every_operation_is_named_by_verb_and_noun(document: dict[str, Any]) -> None:
    for path, method, operation in operations_of(document):
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", operation["operationId"]), (path, method)
    ids = {operation["operationId"] for _, _, operation in operations_of(document)}
    assert {"toggle_vote", "list_bugs", "report_bug", "get_company_dashboard"} <= ids


def test_every_summary_says_what_its_route_alone_does(document: dict[str, Any]) -> None:
    summaries = [operation["summary"] for _, _, operation in operations_of(document)]
    assert len(summaries) == len(set(summaries))
    for summary in summaries:
        assert len(summary.split()) > 1, summary
        assert not summary.endswith("."), summary


def test_every_field_and_parameter_is_described(document: dict[str, Any]) -> None:
    undescribed = [
        (schema.get("title"), name)
        for schema in schemas_in(document)
        for name, field in schema["properties"].items()
        if not field.get("description")
    ]
    undescribed += [
        (operation["operationId"], parameter["name"])
        for _, _, operation in operations_of(document)
        for parameter in operation["parameters"]
        if not parameter.get("description")
    ]
    assert undescribed == []
    for name, schema in document["components"]["schemas"].items():
        assert schema["description"], name
        assert "Attributes:" not in schema["description"], name


def test_a_docstring_describes_no_field_that_is_not_there(settings: Settings) -> None:
    """A field that was renamed takes its description with it."""
    for struct in structs_in(types_of(settings)):
        written = set(re.findall(r"^ {8}(\w+): ", struct.__doc__ or "", re.MULTILINE))
        assert written <= set(struct.__struct_fields__), struct


def test_every_schema_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", name) for name in schemas)
    assert [schema["title"] for schema in schemas.values()] == list(schemas)
    assert {"CompanyDashboard", "ModerationDashboard"} <= schemas.keys()


def test_a_status_is_one_of_those_that_there_are(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in ("BugItem", "BugDetail", "ModeratedBug", "BugRef", "ChangeStatus"):
        assert set(schemas[name]["properties"]["status"]["enum"]) == set(STATUSES), name
    assert schemas["BugItem"]["properties"]["created_at"]["format"] == "date-time"
    assert set(schemas["BugItem"]["required"]) == set(BugItem.__struct_fields__)


def test_only_where_a_credential_makes_a_difference_is_one_named(document: dict[str, Any]) -> None:
    security = {(path, method): operation["security"] for path, method, operation in operations_of(document)}
    assert security["/health", "get"] == security["/ready", "get"] == [{}]
    assert security["/api/v1/bugs", "get"] == [{}, {"bearer": []}]
    assert security["/api/v1/bugs/{bug_id}", "patch"] == [{"bearer": []}]


def test_every_tag_is_explained_and_used(document: dict[str, Any]) -> None:
    used = {tag for _, _, operation in operations_of(document) for tag in operation["tags"]}
    assert {tag["name"] for tag in document["tags"]} == used
    assert all(tag["description"] for tag in document["tags"])


# --- examples -------------------------------------------------------------------------------------------------------


def test_the_main_operations_have_examples(document: dict[str, Any]) -> None:
    for path, method in MAIN_OPERATIONS:
        operation = document["paths"][path][method]
        success = min(operation["responses"])
        assert operation["responses"][success]["content"]["application/json"]["example"], (path, method)
        if "requestBody" in operation:
            assert operation["requestBody"]["content"]["application/json"]["example"], (path, method)


def test_every_example_fits_its_structs(settings: Settings) -> None:
    """As requests are read, and exactly as answers are written: no key too many, none too few."""
    seen = 0
    for path, handler in handlers_of(settings):
        example = route_of(handler).example
        if example is None:
            continue
        seen += 1
        hints = get_type_hints(handler.fn)
        (answered,) = get_args(hints["return"])
        value = msgspec.convert(example.response, answered)
        assert json.loads(msgspec.json.encode(value)) == example.response, path
        if example.request is not None:
            wanted = handler.parsed_data_field
            assert wanted is not None
            assert example.request.keys() <= set(wanted.annotation.__struct_fields__)
            read_fields(example.request, wanted.annotation)
    assert seen >= len(MAIN_OPERATIONS)


async def test_the_example_report_is_accepted(client: httpx.AsyncClient, document: dict[str, Any]) -> None:
    operation = document["paths"]["/api/v1/bugs"]["post"]
    sent = operation["requestBody"]["content"]["application/json"]["example"]
    response = await client.post("/api/v1/bugs", json=sent)
    assert response.status_code == 201
    shown = operation["responses"]["201"]["content"]["application/json"]["example"]
    assert response.json().keys() == shown.keys()
    assert response.json()["bug"].keys() == shown["bug"].keys()


# --- the page -------------------------------------------------------------------------------------------------------


async def test_the_page_needs_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", page.text)
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert loaded
    for address in loaded:
        assert address.startswith("/docs/")
        asset = await client.get(address)
        assert asset.status_code == 200, address
        assert asset.headers["content-type"].startswith(("text/css", "application/javascript"))
        assert not re.search(rb"@import|url\(\s*[\"']?https?:", asset.content[:2_000_000]), address
    start = next(address for address in loaded if address.endswith("start.js"))
    assert "/docs/openapi.json" in (await client.get(start)).text


async def test_only_the_named_assets_are_served(client: httpx.AsyncClient) -> None:
    for name in ("x.js", "..%2f..%2fsettings.py", "%00", "swagger-ui.css.map", ""):
        assert (await client.get(f"/docs/assets/{name}")).status_code == 404


async def test_an_asset_is_compressed_once_and_kept_by_clients(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Swagger UI has 1.5 MB: compressing it for each request would hold the event loop for a tenth of a second."""
    address = "/docs/assets/swagger-ui-bundle.js"
    plain = await client.get(address, headers={"Accept-Encoding": "identity"})
    compressed: list[int] = []
    compress = gzip.compress

    def counted(content: bytes, *args: Any, **options: Any) -> bytes:
        compressed.append(len(content))
        return compress(content, *args, **options)

    monkeypatch.setattr(gzip, "compress", counted)
    for _ in range(3):
        packed = await client.get(address, headers={"Accept-Encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.content == plain.content
        assert packed.headers["etag"] == plain.headers["etag"]
    assert compressed == []
    known = {"If-None-Match": plain.headers["etag"]}
    assert (await client.get(address, headers=known)).status_code == 304
