"""`POST /bugs`."""

from __future__ import annotations

import asyncio
import unicodedata
from typing import Any

import httpx
import psycopg
import pytest

from tests.conftest import SignUp
from tests.factories import Person, a_report, report
from tests.responses import bad_fields, refused

BUGS = "/api/v1/bugs"
KEYS = {
    *("id", "title", "description", "status", "priority", "tags", "operating_system", "device_type"),
    *("app_version", "browser_version", "application_id", "reporter_id", "assigned_company_id", "vote_count"),
    *(
        "comment_count",
        "created_at",
        "updated_at",
        "resolved_at",
        "application",
        "reporter",
        "assigned_company",
    ),
}


async def test_a_report_is_answered_with_the_whole_bug(client: httpx.AsyncClient, ada: Person) -> None:
    sent = a_report(
        priority="high",
        tags=["Crash", "export"],
        application_url="https://notes.paper.example/app",
        operating_system="Debian 13",
        device_type="laptop",
        app_version="2.0.1",
        browser_version="Firefox 140",
        contact_email="me@people.example",
    )
    response = await client.post(BUGS, json=sent, headers=ada.headers)
    assert response.status_code == 201
    assert response.json()["message"] == "Bug report created successfully"
    bug = response.json()["bug"]
    assert bug.keys() >= KEYS
    for name in ("title", "description", "priority", "operating_system", "device_type", "app_version"):
        assert bug[name] == sent[name]
    assert bug["tags"] == ["crash", "export"]
    assert (bug["status"], bug["vote_count"], bug["comment_count"], bug["resolved_at"]) == (
        "open",
        0,
        0,
        None,
    )
    assert bug["reporter"] == {"id": ada.id, "username": "ada", "email": ada.email}
    assert bug["reporter_id"] == ada.id
    assert bug["application"] == {
        "id": bug["application_id"],
        "name": "Notebook",
        "url": "https://notes.paper.example/app",
    }
    assert bug["assigned_company"] == {
        "id": bug["assigned_company_id"],
        "name": "paper.example",
        "domain": "paper.example",
        "verified": False,
    }
    assert "contact_email" not in bug
    assert bug["created_at"].endswith("Z")
    assert bug["id"] == bug["id"].lower()
    assert bug["id"][14] == "7"


async def test_an_anonymous_report_has_no_reporter_and_what_is_not_given_is_null(
    client: httpx.AsyncClient,
) -> None:
    bug = await report(client)
    null = ("operating_system", "device_type", "app_version", "browser_version", "reporter", "reporter_id")
    null += ("assigned_company", "assigned_company_id", "resolved_at")
    assert {name: bug[name] for name in null} == dict.fromkeys(null)
    assert (bug["priority"], bug["tags"], bug["application"]["url"]) == ("medium", [], None)


async def test_an_empty_optional_text_means_null(client: httpx.AsyncClient) -> None:
    names = ("priority", "tags", "application_url", "operating_system", "device_type", "app_version")
    for blank in ("", None, "  \t"):
        bug = await report(client, **dict.fromkeys((*names, "browser_version", "contact_email"), blank))
        assert (bug["priority"], bug["tags"], bug["application"]["url"]) == ("medium", [], None)
        assert (bug["operating_system"], bug["browser_version"]) == (None, None)


async def test_unknown_keys_are_ignored(client: httpx.AsyncClient) -> None:
    bug = await report(client, status="fixed", vote_count=99, id="x", reporter_id="y", colour={"a": [1]})
    assert (bug["status"], bug["vote_count"], bug["reporter_id"]) == ("open", 0, None)


@pytest.mark.parametrize(
    ("field", "shortest", "longest"),
    [
        ("title", 5, 255),
        ("description", 10, 5000),
        ("application_name", 1, 255),
        ("operating_system", 1, 100),
        ("device_type", 1, 100),
        ("app_version", 1, 100),
        ("browser_version", 1, 100),
    ],
)
async def test_lengths_count_characters_after_trimming(
    client: httpx.AsyncClient, field: str, shortest: int, longest: int
) -> None:
    for length in (shortest, longest):
        text = "é😀"[length % 2] * length
        bug = await report(client, **{field: f" \n{text}\t "})
        kept = bug["application"]["name"] if field == "application_name" else bug[field]
        assert kept == text
    assert bad_fields(await client.post(BUGS, json=a_report(**{field: "x" * (longest + 1)}))) == [field]
    if shortest > 1:
        assert bad_fields(await client.post(BUGS, json=a_report(**{field: "x" * (shortest - 1)}))) == [field]
        assert bad_fields(await client.post(BUGS, json=a_report(**{field: " " * shortest}))) == [field]


async def test_lengths_count_characters_after_composition(client: httpx.AsyncClient) -> None:
    composed = "é" * 255
    bug = await report(client, title=unicodedata.normalize("NFD", composed))
    assert bug["title"] == composed


async def test_required_texts_must_be_texts(client: httpx.AsyncClient) -> None:
    for value in (None, "", "   ", 7, True, [], {}, ["a long enough text"]):
        for field in ("title", "description", "application_name"):
            assert bad_fields(await client.post(BUGS, json=a_report(**{field: value}))) == [field]


async def test_every_bad_field_is_named_at_once(
    client: httpx.AsyncClient, sql: psycopg.Connection[Any]
) -> None:
    body = {
        "title": "abc",
        "priority": "urgent",
        "tags": ["fine", "good", "x" * 51, "a,b", ""],
        "application_name": 5,
        "application_url": "ftp://files.example",
        "operating_system": "x" * 101,
        "contact_email": "nobody",
        "recaptcha_token": 5,
    }
    response = await client.post(BUGS, json=body)
    assert bad_fields(response) == [
        "application_name",
        "application_url",
        "contact_email",
        "description",
        "operating_system",
        "priority",
        "recaptcha_token",
        "tags[2]",
        "tags[3]",
        "tags[4]",
        "title",
    ]
    error = response.json()["error"]
    sentences = {one["field"]: one["message"] for one in error["fields"]}
    assert sentences["title"] == "must have 5 to 255 characters"
    assert sentences["priority"] == "must be one of critical, high, low, medium"
    assert sentences["description"] == "is required"
    assert error["details"] == "11 fields do not fit"
    assert sql.execute("SELECT count(*) FROM bugs").fetchone() == (0,)


# --- tags -----------------------------------------------------------------------------------------------------------


async def test_tags_are_trimmed_lower_cased_and_folded(client: httpx.AsyncClient) -> None:
    sent = ["  UI ", "ui", "Ui", "C++", "c#", "Dark Mode", "É", "E\u0301"]
    assert (await report(client, tags=sent))["tags"] == ["ui", "c++", "c#", "dark mode", "é"]


async def test_a_tag_may_be_of_any_script(client: httpx.AsyncClient) -> None:
    for tag in [
        "日本語",
        "ошибка",
        "हिन्दी",
        "خطأ",
        "a-b_c.d+e",
        "x#y&z@w",
        "a/b:c(d)'",
        "v1.2",
        "x" * 50,
        "١٢",
    ]:
        assert (await report(client, tags=[tag]))["tags"] == [tag]


async def test_a_bad_tag_is_an_error_and_is_named(client: httpx.AsyncClient) -> None:
    for tag in [
        "a,b",
        "",
        "   ",
        "x" * 51,
        "<b>",
        "a  b",
        "a!b",
        'a"b',
        "😀",
        "a\u0000b",
        5,
        None,
        ["a"],
        {"a": 1},
    ]:
        assert bad_fields(await client.post(BUGS, json=a_report(tags=["good", tag]))) == ["tags[1]"]


async def test_every_bad_tag_is_named_at_once(client: httpx.AsyncClient) -> None:
    response = await client.post(BUGS, json=a_report(tags=[5, "good", "a,b", None, "nul\0", [[["deep"]]]]))
    assert bad_fields(response) == ["tags[0]", "tags[2]", "tags[3]", "tags[4]", "tags[5]"]


async def test_ten_tags_are_the_most(client: httpx.AsyncClient) -> None:
    ten = [f"tag {i}" for i in range(10)]
    assert (await report(client, tags=[*ten, "TAG 0", "tag 9"]))["tags"] == ten
    assert bad_fields(await client.post(BUGS, json=a_report(tags=[*ten, "eleven"]))) == ["tags"]
    assert bad_fields(await client.post(BUGS, json=a_report(tags=["same"] * 100_000))) == ["tags"]
    assert bad_fields(await client.post(BUGS, json=a_report(tags="a,b"))) == ["tags"]


# --- applications and companies -------------------------------------------------------------------------------------


async def test_one_application_whatever_its_case_width_and_spaces(client: httpx.AsyncClient) -> None:
    names = ["My App", " my  APP ", "ＭＹ\u3000ＡＰＰ", "MY\nAPP"]
    bugs = [await report(client, application_name=name) for name in names]
    assert len({bug["application_id"] for bug in bugs}) == 1
    assert {bug["application"]["name"] for bug in bugs} == {"My App"}


async def test_the_domain_belongs_to_the_application(client: httpx.AsyncClient) -> None:
    urls = ["https://slack.com", "https://app.slack.com/x", "https://attacker.io", None]
    bugs = [await report(client, application_name="Slack", application_url=url) for url in urls]
    ids = [bug["application_id"] for bug in bugs]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert [(bug["assigned_company"] or {}).get("domain") for bug in bugs] == [
        "slack.com",
        "slack.com",
        "attacker.io",
        None,
    ]


async def test_a_host_that_stands_for_nobody_makes_no_company(client: httpx.AsyncClient) -> None:
    for url in [
        "https://somebody.github.io",
        "http://localhost:3000",
        "http://192.0.2.1/x",
        "https://gmail.com",
    ]:
        bug = await report(client, application_url=url)
        assert (bug["assigned_company"], bug["application"]["url"]) == (None, url)


async def test_fifty_first_reports_at_once_make_one_application_and_one_company(
    client: httpx.AsyncClient, sql: psycopg.Connection[Any]
) -> None:
    spellings = ["MyÀpp", " myàpp ", "MYÀPP", unicodedata.normalize("NFD", "MyÀpp"), "ＭｙÀｐｐ"]
    reports = [
        report(
            client,
            application_name=spellings[i % 5],
            application_url=f"https://{'w' * (i % 3 + 1)}.one.example",
        )
        for i in range(50)
    ]
    bugs = await asyncio.gather(*reports)
    assert len({bug["application_id"] for bug in bugs}) == 1
    assert len({bug["assigned_company_id"] for bug in bugs}) == 1
    row = sql.execute(
        "SELECT (SELECT count(*) FROM applications), (SELECT count(*) FROM companies)"
    ).fetchone()
    assert row == (1, 1)


async def test_an_application_url_is_absolute_http(client: httpx.AsyncClient) -> None:
    for url in [
        "paper.example",
        "/path",
        "//paper.example",
        "ftp://paper.example",
        "javascript:alert(1)",
        "http://",
        "https://a b.example",
        "http://x.example:99999",
        "mailto:a@b.example",
        "data:text/html,x",
    ]:
        assert bad_fields(await client.post(BUGS, json=a_report(application_url=url))) == ["application_url"]


async def test_an_application_url_has_five_hundred_characters_at_most(client: httpx.AsyncClient) -> None:
    start = "https://paper.example/"
    longest = start + "x" * (500 - len(start))
    assert (await report(client, application_url=longest))["application"]["url"] == longest
    assert bad_fields(await client.post(BUGS, json=a_report(application_url=longest + "x"))) == [
        "application_url"
    ]


async def test_a_contact_address_is_an_address(client: httpx.AsyncClient) -> None:
    for email in ["nobody", "a@", "@b.example", "a b@c.example", "a@b@c.example", "x" * 250 + "@a.example"]:
        assert bad_fields(await client.post(BUGS, json=a_report(contact_email=email))) == ["contact_email"]


# --- who reports ----------------------------------------------------------------------------------------------------


async def test_the_anonymous_need_a_captcha_token_and_users_do_not(
    client: httpx.AsyncClient, ada: Person, sql: psycopg.Connection[Any]
) -> None:
    for missing in ({}, {"recaptcha_token": ""}, {"recaptcha_token": None}, {"recaptcha_token": "  "}):
        body = a_report()
        del body["recaptcha_token"]
        refused(await client.post(BUGS, json={**body, **missing}), 400, "RECAPTCHA_FAILED")
    assert sql.execute("SELECT count(*) FROM bugs").fetchone() == (0,)
    assert (await report(client, ada, recaptcha_token=None))["reporter_id"] == ada.id


async def test_an_invalid_credential_is_never_taken_for_anonymity(
    client: httpx.AsyncClient, sql: psycopg.Connection[Any]
) -> None:
    for header in [
        "Bearer nonsense",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "nonsense",
        "",
        "Bearer a.b.c",
        "bearer  x y",
    ]:
        response = await client.post(BUGS, json=a_report(), headers={"Authorization": header})
        refused(response, 401, "INVALID_TOKEN")
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert sql.execute("SELECT count(*) FROM bugs").fetchone() == (0,)
        refused(await client.get(BUGS, headers={"Authorization": header}), 401, "INVALID_TOKEN")


async def test_the_scheme_is_read_without_case(client: httpx.AsyncClient, ada: Person) -> None:
    for scheme in ("bearer", "BEARER"):
        response = await client.get(BUGS, headers={"Authorization": f"{scheme} {ada.access_token}"})
        assert response.status_code == 200


async def test_writing_moves_last_active_at(
    client: httpx.AsyncClient,
    sign_up: SignUp,
    sql: psycopg.Connection[Any],
    member: Person,
    bug: dict[str, Any],
) -> None:
    def rest() -> None:
        sql.execute("UPDATE users SET last_active_at = '2020-01-01Z'")

    def active() -> bool:
        row = sql.execute(
            "SELECT last_active_at > now() - interval '1 minute' FROM users WHERE id = %s", (member.id,)
        )
        return bool((row.fetchone() or [False])[0])

    path = f"{BUGS}/{bug['id']}"
    for send in (
        lambda: client.post(BUGS, json=a_report(), headers=member.headers),
        lambda: client.post(f"{path}/vote", headers=member.headers),
        lambda: client.post(f"{path}/comments", json={"content": "x"}, headers=member.headers),
        lambda: client.post(f"{path}/company-response", json={"content": "x"}, headers=member.headers),
    ):
        rest()
        assert not active()
        assert (await send()).status_code == 201
        assert active()
