"""Every refusal has one body; no input is a crash; checks come in the contract's order."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from bugrelay.http.request import query_values
from bugrelay.settings import Rate
from tests.conftest import StartApp
from tests.factories import Person, a_report, register, report
from tests.responses import bad_fields, refused

Bug = dict[str, Any]
BUGS = "/api/v1/bugs"
JSON = {"Content-Type": "application/json"}


async def test_an_unknown_address_is_404(client: httpx.AsyncClient) -> None:
    for path in [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v2/bugs",
        "/api/v1/bug",
        "/favicon.ico",
        "/.env",
        "/a/../b",
    ]:
        for method in ("GET", "POST", "PATCH", "DELETE"):
            refused(await client.request(method, path), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/v1/bugs", "GET, HEAD, OPTIONS, POST"),
        ("DELETE", "/api/v1/bugs/", "GET, HEAD, OPTIONS, POST"),
        ("POST", "/api/v1/tags", "GET, HEAD, OPTIONS"),
        ("GET", "/api/v1/auth/login", "OPTIONS, POST"),
        ("POST", "/api/v1/bugs/0190a2b4-7d1e-7000-8000-000000000000", "GET, HEAD, OPTIONS, PATCH"),
        ("TRACE", "/api/v1/bugs", "GET, HEAD, OPTIONS, POST"),
        ("BREW", "/api/v1/bugs", "GET, HEAD, OPTIONS, POST"),
        ("POST", "/health", "GET, HEAD, OPTIONS"),
        ("DELETE", "/docs", "GET, HEAD, OPTIONS"),
    ],
)
async def test_another_method_is_405_with_allow(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    response = await client.request(method, path)
    refused(response, 405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == allowed


async def test_a_json_endpoint_reads_json_alone(client: httpx.AsyncClient, ada: Person, bug: Bug) -> None:
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "",
        "text/json",
    ]:
        body = json.dumps(a_report())
        refused(
            await client.post(BUGS, content=body, headers={"Content-Type": kind}),
            415,
            "UNSUPPORTED_MEDIA_TYPE",
        )
        headers = {**ada.headers, "Content-Type": kind}
        response = await client.post(
            f"{BUGS}/{bug['id']}/comments", content=b'{"content": "x"}', headers=headers
        )
        refused(response, 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_the_parameters_and_case_of_the_type_do_not_matter(client: httpx.AsyncClient) -> None:
    for kind in ["application/json; charset=utf-8", "Application/JSON", "application/json;charset=x"]:
        response = await client.post(BUGS, content=json.dumps(a_report()), headers={"Content-Type": kind})
        assert response.status_code == 201


async def test_a_body_without_a_type_is_not_read(client: httpx.AsyncClient) -> None:
    request = client.build_request("POST", BUGS, content=json.dumps(a_report()))
    assert "content-type" not in request.headers
    refused(await client.send(request), 415, "UNSUPPORTED_MEDIA_TYPE")


BODIES: dict[str, bytes] = {
    "empty": b"",
    "space": b"  ",
    "cut": b'{"title": "abc',
    "no json": b"title=abc",
    "array": b"[]",
    "text": b'"text"',
    "number": b"5",
    "null": b"null",
    "two": b"{}{}",
    "nested arrays": b"[" * 100_000 + b"]" * 100_000,
    "nested objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "open arrays": b"[" * 100_000,
    "bad utf-8": b'{"title": "\xff\xfe abcdef"}',
    "bad utf-8 outside": b"\xff{}",
    "utf-16": '{"title": "abcdef"}'.encode("utf-16"),
    "bom": b"\xef\xbb\xbf{}",
    "lone surrogate": b'{"title": "abc \\ud800 def"}',
    "turned surrogates": b'{"title": "abc \\udc00\\ud800 def"}',
    "huge number": b'{"title": 1' + b"0" * 5000 + b"}",
    "huge exponent": b'{"title": 1e999999}',
    "not a number": b'{"title": NaN}',
    "comment": b'{"title": "abcde" /* x */}',
    "trailing comma": b'{"title": "abcde",}',
    "nul outside": b"{}\0",
}


async def test_a_body_that_cannot_be_read(client: httpx.AsyncClient, ada: Person, bug: Bug) -> None:
    for name, body in BODIES.items():
        for method, path in (
            ("POST", BUGS),
            ("POST", f"{BUGS}/{bug['id']}/comments"),
            ("POST", "/api/v1/auth/login"),
        ):
            response = await client.request(method, path, content=body, headers={**ada.headers, **JSON})
            assert bad_fields(response), name


async def test_a_deep_value_is_no_crash(client: httpx.AsyncClient) -> None:
    for depth in (100, 400, 800, 990, 2000):
        for field in ("tags", "title", "priority", "unknown"):
            body = json.dumps(a_report(**{field: "HERE"})).replace('"HERE"', "[" * depth + "]" * depth)
            response = await client.post(BUGS, content=body, headers=JSON)
            assert response.status_code == 400 or (field == "unknown" and response.status_code == 201)


ODD_VALUES = {
    "10**5000": "1" + "0" * 5000,
    "-10**5000": "-1" + "0" * 5000,
    "1e308": "1e308",
    "10**19": "1" + "0" * 19,
    **{
        text: text
        for text in ("-1", "0.1", "true", "null", "{}", "[]", '"\\u0000"', '"a\\u0000b"', '{"$ne": 1}')
    },
}


async def test_odd_values_in_any_field_are_refused_by_its_name(client: httpx.AsyncClient) -> None:
    for name, value in ODD_VALUES.items():
        fields = [*a_report(), "priority", "tags", "application_url", "operating_system", "contact_email"]
        for field in fields:
            body = json.dumps(a_report(**{field: "HERE"})).replace('"HERE"', value)
            response = await client.post(BUGS, content=body, headers=JSON)
            if response.status_code == 201:
                assert (name, field == "tags") in (("null", False), ("null", True), ("[]", True))
            elif (field, name) == ("recaptcha_token", "null"):
                refused(response, 400, "RECAPTCHA_FAILED")
            else:
                assert bad_fields(response) in ([field], ["body"])


SENTENCES: list[tuple[bytes | dict[str, Any], str, str]] = [
    (b"", "body", "is required"),
    (b"[]", "body", "must be a JSON object"),
    (b'"x"', "body", "must be a JSON object"),
    (b"\xff", "body", "must be UTF-8"),
    (b'{"title": ', "body", "must be valid JSON: it ends too early or has a lone surrogate"),
    (b"{]", "body", "must be valid JSON: object keys must be strings (byte 1)"),
    (b"{} {}", "body", "must be valid JSON: trailing characters (byte 4)"),
    (b"[" * 2000 + b"]" * 2000, "body", "is nested too deeply"),
    (b"{}", "title", "is required"),
    ({"title": None}, "title", "is required"),
    ({"title": 5}, "title", "must be text"),
    ({"title": "Four"}, "title", "must have 5 to 255 characters"),
    ({"title": "x" * 256}, "title", "must have 5 to 255 characters"),
    ({"priority": "urgent"}, "priority", "must be one of critical, high, low, medium"),
    ({"priority": 1}, "priority", "must be one of critical, high, low, medium"),
    ({"contact_email": "ada"}, "contact_email", "must be an e-mail address"),
    ({"contact_email": {}}, "contact_email", "must be text or null"),
    ({"tags": "drafts"}, "tags", "must be a list or null"),
    ({"tags": ["x"] * 101}, "tags", "must have at most 100 items"),
    ({"tags": ["x", 5]}, "tags[1]", "must be text"),
]


async def test_a_sentence_says_what_each_field_of_a_body_must_be(client: httpx.AsyncClient) -> None:
    for sent, field, sentence in SENTENCES:
        body = sent if isinstance(sent, bytes) else json.dumps(a_report(**sent)).encode()
        response = await client.post(BUGS, content=body, headers=JSON)
        fields = refused(response, 400, "VALIDATION_ERROR")["fields"]
        assert {"field": field, "message": sentence} in fields, body[:100]


async def test_a_sentence_says_what_each_parameter_must_be(
    client: httpx.AsyncClient, ada: Person, admin: Person
) -> None:
    ban = f"/api/v1/admin/users/{ada.id}/ban"
    time = "must be a time like 2026-01-31T12:00:00Z"
    for method, path, field, value, sentence in (
        ("GET", BUGS, "limit", "x", "must be a whole number"),
        ("GET", BUGS, "limit", "101", "must be at most 100"),
        ("GET", BUGS, "page", "0", "must be at least 1"),
        ("GET", BUGS, "application_id", "1", "must be a UUID"),
        ("GET", BUGS, "cursor", "x", "must be a cursor that a list has returned"),
        ("GET", "/api/v1/admin/audit-logs", "from", "yesterday", time),
        ("POST", ban, "until", "tomorrow", time),
        ("POST", ban, "until", 5, f"{time} or null"),
        ("POST", ban, "until", "2030-01-31T12:00:00", "must have a time zone, like 2026-01-31T12:00:00Z"),
    ):
        values = {"params": {field: value}} if method == "GET" else {"json": {"reason": "x", field: value}}
        response = await client.request(method, path, headers=admin.headers, **values)
        fields = refused(response, 400, "VALIDATION_ERROR")["fields"]
        assert fields == [{"field": field, "message": sentence}]


async def test_a_query_that_cannot_be_read(client: httpx.AsyncClient) -> None:
    for query in [
        "search=%ff",
        "search=%c3%28",
        "search=%ed%a0%80",
        "tags=%00",
        "search=a%00b",
        "application=%e2%82",
    ]:
        assert bad_fields(await client.get(f"{BUGS}?{query}"))
        value = query.partition("=")[2]
        assert bad_fields(await client.get(f"/api/v1/tags?search={value}"))


def test_a_query_may_be_sent_without_escapes() -> None:
    assert query_values("search=сохранение&x=%20".encode()) == {"search": "сохранение", "x": " "}


async def test_odd_queries_are_no_crash(client: httpx.AsyncClient) -> None:
    for query in (
        "&&&",
        "=",
        "?",
        "a=b=c",
        "%",
        "%zz",
        "page",
        "page=1&page=x",
        ";",
        "search[]=x",
        "#",
        "search=%",
    ):
        assert (await client.get(f"{BUGS}?{query}")).status_code in (200, 400), query


# --- size -----------------------------------------------------------------------------------------------------------


async def test_a_body_over_one_mebibyte_is_not_read(client: httpx.AsyncClient, ada: Person, bug: Bug) -> None:
    mebibyte = 1024 * 1024
    base = json.dumps(a_report(padding="")).encode()
    full = base.replace(b'"padding": ""', b'"padding": "' + b"x" * (mebibyte - len(base)) + b'"')
    assert len(full) == mebibyte
    assert (await client.post(BUGS, content=full, headers=JSON)).status_code == 201
    for method, path in (
        ("POST", BUGS),
        ("PATCH", f"{BUGS}/{bug['id']}/status"),
        ("POST", f"{BUGS}/{bug['id']}/vote"),
        ("POST", "/api/v1/auth/login"),
    ):
        response = await client.request(method, path, content=full + b" ", headers={**ada.headers, **JSON})
        if path.endswith("status"):
            refused(response, 403, "INSUFFICIENT_PERMISSIONS")
        else:
            refused(response, 413, "PAYLOAD_TOO_LARGE")


async def test_an_endless_body_is_not_read_to_its_end(client: httpx.AsyncClient) -> None:
    async def endless() -> Any:
        yield b'{"title": "'
        for _ in range(100):
            yield b"x" * 100_000

    refused(await client.post(BUGS, content=endless(), headers=JSON), 413, "PAYLOAD_TOO_LARGE")


# --- the order of checks --------------------------------------------------------------------------------------------


async def test_each_check_comes_before_the_next(
    client: httpx.AsyncClient, ada: Person, member: Person, bug: Bug
) -> None:
    """Rate limit, route, authentication, path id, existence, permission, then the body."""
    large = {"content": b"x" * (1024 * 1024 + 1)}
    text = {"Content-Type": "text/plain"}

    def status_of(bug_id: str) -> str:
        return f"{BUGS}/{bug_id}/status"

    async def sent(path: str, headers: dict[str, str], **body: Any) -> httpx.Response:
        return await client.patch(path, headers=headers, **body)

    bad = {"Authorization": "Bearer nonsense", **text}
    refused(await client.patch("/api/v1/nothing", headers=bad, **large), 404, "NOT_FOUND")
    refused(await client.delete(BUGS, headers=bad), 405, "METHOD_NOT_ALLOWED")
    refused(await sent(status_of("5"), bad, **large), 401, "INVALID_TOKEN")
    refused(await sent(status_of("5"), text, **large), 401, "AUTH_REQUIRED")
    signed_in = {**ada.headers, **text}
    refused(await sent(status_of("5"), signed_in, **large), 400, "INVALID_ID")
    refused(await sent(status_of(str(uuid4())), signed_in, **large), 404, "BUG_NOT_FOUND")
    refused(await sent(status_of(bug["id"]), signed_in, **large), 403, "INSUFFICIENT_PERMISSIONS")
    allowed = {**member.headers, **text}
    refused(await sent(status_of(bug["id"]), allowed, **large), 415, "UNSUPPORTED_MEDIA_TYPE")
    allowed = {**member.headers, **JSON}
    refused(await sent(status_of(bug["id"]), allowed, **large), 413, "PAYLOAD_TOO_LARGE")
    assert bad_fields(await sent(status_of(bug["id"]), allowed, content=b"{}")) == ["status"]


async def test_the_rate_limit_comes_first_of_all(start_app: StartApp, fresh_counts: None) -> None:
    async with start_app(rate_limit_general=Rate(1, 60)) as client:
        assert (await client.get("/api/v1/nothing")).status_code == 404
        refused(await client.get("/api/v1/nothing"), 429, "RATE_LIMIT_EXCEEDED")
        bad = {"Authorization": "Bearer nonsense"}
        refused(await client.delete(BUGS, headers=bad), 429, "RATE_LIMIT_EXCEEDED")


async def test_the_id_of_an_attachment_is_checked_before_the_bug_is_looked_up(
    client: httpx.AsyncClient, ada: Person, bug: Bug
) -> None:
    path = f"{BUGS}/{uuid4()}/attachments/5"
    refused(await client.delete(path, headers=ada.headers), 400, "INVALID_ID")
    missing = f"{BUGS}/{bug['id']}/attachments/{uuid4()}"
    refused(await client.delete(missing, headers=ada.headers), 404, "ATTACHMENT_NOT_FOUND")


# --- addresses and ids of requests ----------------------------------------------------------------------------------


async def test_a_slash_at_the_end_changes_nothing(client: httpx.AsyncClient, ada: Person) -> None:
    created = await client.post(f"{BUGS}/", json=a_report(), headers=ada.headers)
    assert created.status_code == 201
    path = f"{BUGS}/{created.json()['bug']['id']}"
    for url in (
        BUGS,
        path,
        f"{path}/comments",
        f"{path}/history",
        "/api/v1/tags",
        "/api/v1/config",
        "/health",
    ):
        plain, slashed = await client.get(url), await client.get(f"{url}/")
        assert (plain.status_code, plain.content) == (slashed.status_code, slashed.content)
    assert (await client.post(f"{path}/vote/", headers=ada.headers)).status_code == 201
    assert (await client.patch(f"{path}/", json={}, headers=ada.headers)).status_code == 200


async def test_a_request_id_is_taken_or_made(client: httpx.AsyncClient) -> None:
    for given in ("a", "A-b_c.9", "x" * 128):
        response = await client.get(BUGS, headers={"X-Request-ID": given})
        assert response.headers["x-request-id"] == given
    for refused_id in ("", "x" * 129, "a b", "a\tb", "ä", "a/b", "<script>", "a,b"):
        response = await client.get(BUGS, headers={"X-Request-ID": refused_id.encode()})  # type: ignore[dict-item]
        made = response.headers["x-request-id"]
        assert made != refused_id
        assert 1 <= len(made) <= 128
    for path in ("/nothing", "/api/v1/nothing", f"{BUGS}/5", "/health", "/docs", "/uploads/bugs/x.png"):
        assert (await client.get(path, headers={"X-Request-ID": "mine"})).headers["x-request-id"] == "mine"


async def test_no_error_reveals_internals(client: httpx.AsyncClient, ada: Person) -> None:
    for response in (
        await client.get(f"{BUGS}/'"),
        await client.get(f"{BUGS}?search=%ff"),
        await client.post(BUGS, content=b"{", headers=JSON),
        await client.get("/api/v1/../../etc/passwd"),
    ):
        assert response.status_code >= 400
        for word in ("Traceback", "SELECT", "psycopg", "msgspec", "site-packages", "litestar", ".py"):
            assert word not in response.text


async def test_a_crash_is_one_error_body_with_its_request_id(
    client: httpx.AsyncClient, sql: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    sql.execute("ALTER TABLE bug_edits RENAME TO bug_edits_away")
    try:
        bug = await report(client)
        response = await client.get(f"{BUGS}/{bug['id']}/history", headers={"X-Request-ID": "the-crash"})
    finally:
        sql.execute("ALTER TABLE bug_edits_away RENAME TO bug_edits")
    error = refused(response, 500, "INTERNAL_ERROR")
    assert "bug_edits" not in json.dumps(error)
    assert response.headers["x-request-id"] == "the-crash"


async def test_a_banned_user_can_do_nothing(
    client: httpx.AsyncClient, ada: Person, bug: Bug, sql: Any
) -> None:
    sql.execute("UPDATE users SET banned_at = now() WHERE id = %s", (ada.id,))
    for method, path in (("POST", f"{BUGS}/{bug['id']}/vote"), ("GET", "/api/v1/auth/profile")):
        refused(await client.request(method, path, headers=ada.headers), 403, "ACCOUNT_BANNED")
    refused(await client.post(BUGS, json=a_report(), headers=ada.headers), 403, "ACCOUNT_BANNED")
    sign_in = {"email": ada.email, "password": "correct horse battery staple"}
    refused(await client.post("/api/v1/auth/login", json=sign_in), 403, "ACCOUNT_BANNED")


async def test_an_expired_or_revoked_token_is_401(
    client: httpx.AsyncClient, ada: Person, sql: Any, start_app: StartApp
) -> None:
    assert (await client.post("/api/v1/auth/logout", headers=ada.headers)).status_code == 200
    refused(await client.get(BUGS, headers=ada.headers), 401, "INVALID_TOKEN")
    async with start_app(access_token_minutes=-1) as late:
        bob = await register(late, "bob")
        refused(await late.get(BUGS, headers=bob.headers), 401, "INVALID_TOKEN")
