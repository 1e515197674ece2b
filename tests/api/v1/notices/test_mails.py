"""Notices by mail, as a mail client sees them: what came over SMTP, read by other libraries than the one that wrote it."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

import html5lib
import httpx
import psycopg
import pytest

from bugrelay.domain.notifications.repository import mails
from bugrelay.infra.jobs import back_off
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.api.v1.moderation.acts import Moderator
from tests.api.v1.notices.conftest import (
    ME,
    Settled,
    commented,
    notices_of,
    reachable,
    responded,
    status_set,
    whole_worker,
)
from tests.api.v1.notices.test_subscriptions import follow, followed, unfollow
from tests.conftest import SignUp
from tests.factories import PASSWORD, Person, a_report, report
from tests.infra.mail.postbox import comes_true, parts_of
from tests.infra.mail.server import MailServer

Bug = dict[str, Any]
Sql = psycopg.Connection[Any]
SITE = "https://a-board-with-a-long-name.bugs-and-other-animals.example"


@pytest.fixture
async def mailing(settings: Settings, empty_board: None, mail_server: MailServer) -> AsyncIterator[Platform]:
    async with whole_worker(settings, mail_url=mail_server.url, public_url=SITE) as platform:
        yield platform


@pytest.fixture
async def reader(client: httpx.AsyncClient, sql: Sql) -> Person:
    """Somebody whose address is verified."""
    return await reachable(client, sql, "reader")


def mails_to(mail_server: MailServer, person: Person) -> list[EmailMessage]:
    """Those about notices, parsed by a policy that raises on whatever does not fit the standards."""
    policy = email.policy.default.clone(raise_on_defect=True)
    found = [
        email.message_from_string(text, policy=policy)
        for _, recipients, text in mail_server.received
        if recipients == [person.email]
    ]
    return [mail for mail in found if mail["List-Unsubscribe"]]  # type: ignore[misc]


def link_of(mail: EmailMessage) -> str:
    """The path that a client posts to."""
    (url,) = re.findall(r"\A<(\S+)>\Z", mail["List-Unsubscribe"])
    assert url.startswith(f"{SITE}/unsubscribe/")
    return urlsplit(url).path


async def test_a_mail_client_reads_a_notice(
    client: httpx.AsyncClient, mailing: Platform, mail_server: MailServer, reader: Person, member: Person,
    sql: Sql, bug: Bug, settled: Settled,
) -> None:  # fmt: skip
    await follow(client, reader, bug["id"], "all")
    await responded(
        client, member, bug["id"], "We **see** it:\n\n<img src=x onerror=alert(1)>\n\n-- \nthe end"
    )
    await status_set(client, member, bug["id"], "fixed")
    await settled()
    first, second = sorted(mails_to(mail_server, reader), key=lambda mail: "fixed" in parts_of(mail)[0])
    assert first["Subject"] == second["Subject"] == f"[BugRelay] {bug['title']}"
    assert first["Auto-Submitted"] == "auto-generated"
    assert first["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert first["Message-ID"] != second["Message-ID"]
    assert first["References"] == second["References"] == first["In-Reply-To"] == second["In-Reply-To"]
    for name in ("Message-ID", "References"):
        assert re.fullmatch(r"<[0-9a-f]{32}@" + re.escape(urlsplit(SITE).netloc) + ">", first[name])
    text, html = parts_of(first)
    company = sql.execute(
        "SELECT name FROM companies WHERE id = %s", (bug["assigned_company_id"],)
    ).fetchone()
    assert company
    assert f"{company[0]} responded officially." in text
    assert "> We **see** it:" in text.splitlines()
    assert "> -- " in text.splitlines()
    assert f"{SITE}{link_of(first)}" in text
    assert f"{SITE}/api/v1/bugs/{bug['id']}" in text
    tree = html5lib.parse(html, namespaceHTMLElements=False)
    assert tree.find(".//blockquote//strong").text == "see"
    assert tree.find(".//img") is None
    assert f"{SITE}{link_of(first)}" in [link.get("href") for link in tree.iter("a")]
    assert "The status is now “fixed”; it was “open”." in parts_of(second)[0]


@pytest.mark.parametrize(
    "title",
    [
        "Bcc: eve@evil.example <b>“Ünï”</b> " + "長い" * 100,
        "<b> =?utf-8?q?x=0ABcc:_eve@evil.example?=",
        "<b> =?utf-8?q?x=0A=0AThe_body?=",
    ],
)
async def test_a_hostile_title_stays_in_its_header(
    client: httpx.AsyncClient, mailing: Platform, mail_server: MailServer, reader: Person, sign_up: SignUp,
    settled: Settled, title: str,
) -> None:  # fmt: skip
    bug = await report(client, reader, title=title)
    await commented(client, await sign_up("bob"), bug["id"])
    await settled()
    (mail,) = mails_to(mail_server, reader)
    assert mail["Subject"] == f"[BugRelay] {bug['title']}"
    assert mail["Bcc"] is None
    assert "<b>" not in parts_of(mail)[1]
    ((_, recipients, _),) = [one for one in mail_server.received if "List-Unsubscribe" in one[2]]
    assert recipients == [reader.email]


async def test_a_title_reverses_no_text_after_it(
    client: httpx.AsyncClient, mailing: Platform, mail_server: MailServer, reader: Person, sign_up: SignUp,
    settled: Settled,
) -> None:  # fmt: skip
    bug = await report(client, reader, title="Crash in \u202eexe.fdp\u2067")
    await commented(client, await sign_up("bob"), bug["id"])
    await settled()
    (mail,) = mails_to(mail_server, reader)
    assert mail["Subject"] == "[BugRelay] Crash in exe.fdp"
    text, html = parts_of(mail)
    assert "<strong>Crash in exe.fdp</strong>" in html
    assert "\u202e" not in text


@pytest.mark.parametrize("body", ["form", "multipart", "nothing"])
async def test_one_click_unsubscribes_and_a_scanner_does_not(
    client: httpx.AsyncClient, mailing: Platform, mail_server: MailServer, reader: Person, sign_up: SignUp,
    settled: Settled, body: str,
) -> None:  # fmt: skip
    bob = await sign_up("bob")
    bug = await report(client, reader)
    await commented(client, bob, bug["id"])
    await settled()
    (mail,) = mails_to(mail_server, reader)
    for method in ("GET", "HEAD"):
        page = await client.request(method, link_of(mail))
        assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    assert bug["title"] in (await client.get(link_of(mail))).text
    assert await followed(client, reader, bug["id"]) is not None
    one_click = {"List-Unsubscribe": "One-Click"}
    bodies: dict[str, dict[str, Any]] = {
        "form": {"data": one_click},
        "multipart": {"files": {"List-Unsubscribe": (None, "One-Click")}},
        "nothing": {},
    }
    for _ in range(2):
        response = await client.post(link_of(mail), **bodies[body])
        assert response.status_code == 200, response.text
    assert await followed(client, reader, bug["id"]) is None
    await commented(client, bob, bug["id"], "Nobody is notified")
    await settled()
    assert len(mails_to(mail_server, reader)) == 1


async def test_a_link_that_is_not_ours_ends_nothing(
    client: httpx.AsyncClient, mailing: Platform, mail_server: MailServer, reader: Person, sign_up: SignUp,
    settled: Settled,
) -> None:  # fmt: skip
    bug = await report(client, reader)
    await commented(client, await sign_up("bob"), bug["id"])
    await settled()
    path = link_of(mails_to(mail_server, reader)[0])
    changed = path[:-1] + ("A" if path[-1] != "A" else "B")
    cut = path[:-20]
    for wrong in (changed, cut, "/unsubscribe/x", "/unsubscribe/%FF%00", "/unsubscribe/" + "A" * 5000):
        for method in ("GET", "POST"):
            response = await client.request(method, wrong)
            assert (response.status_code, "text/html" in response.headers["content-type"]) == (400, True), (
                wrong
            )
    assert await followed(client, reader, bug["id"]) is not None
    await client.request("DELETE", ME, json={"password": PASSWORD}, headers=reader.headers)
    assert (await client.post(path)).status_code == 400


async def test_more_than_five_an_hour_become_one_digest(
    client: httpx.AsyncClient, mailing: Platform, mail_server: MailServer, reader: Person, sign_up: SignUp,
    sql: Sql, settled: Settled,
) -> None:  # fmt: skip
    bob = await sign_up("bob")
    bug, removed = await report(client, reader), await report(client, reader)
    for number in range(8):
        await commented(client, bob, bug["id"], f"number {number}")
        await settled()
    gone = await commented(client, bob, removed["id"], "Removed before the digest")
    await settled()
    assert len(mails_to(mail_server, reader)) == 5
    await client.delete(f"/api/v1/comments/{gone}", headers=bob.headers)
    digests = "kind = 'digest' AND closed_at IS NULL"
    assert sql.execute(
        f"SELECT due_at - made_at = interval '1 hour' FROM notice_mails WHERE {digests}"
    ).fetchall() == [(True,)]
    await _pass(sql, mailing)
    mail = mails_to(mail_server, reader)[5]
    assert mail["Subject"] == "[BugRelay] 3 notices"
    assert (mail["References"], mail["List-Unsubscribe-Post"]) == (None, "List-Unsubscribe=One-Click")
    text, html = parts_of(mail)
    assert text.count("- bob commented.") == 3
    assert len(html5lib.parse(html, namespaceHTMLElements=False).findall(".//li")) == 3
    assert (await client.post(link_of(mail))).status_code == 200
    response = await client.get(f"{ME}/notice-settings", headers=reader.headers)
    assert response.json()["notice_settings"]["mail"] == "none"
    await commented(client, bob, bug["id"], "To be read, not mailed")
    await settled()
    assert len(mails_to(mail_server, reader)) == 6
    assert (await notices_of(client, reader))["unread"] == 9


async def _pass(sql: Sql, platform: Platform) -> None:
    """The time passes at which digests are due, and the clock asks for what is due."""
    from bugrelay.domain.notifications.tasks import send_due

    sql.execute("UPDATE notice_mails SET due_at = now() WHERE closed_at IS NULL")
    await send_due(platform)
    unsent = "SELECT count(*) FROM notice_mails WHERE closed_at IS NULL"
    await comes_true(lambda: sql.execute(unsent).fetchone() == (0,), seconds=60)


async def test_an_address_of_several_anonymous_reports_gets_the_mails_of_one(
    client: httpx.AsyncClient, mailing: Platform, mail_server: MailServer, admin: Person, sign_up: SignUp,
    sql: Sql, settled: Settled,
) -> None:  # fmt: skip
    """Counted for the mailbox, however it is spelt: five mails an hour, and one digest, whose link ends all of them."""
    spellings = ["owner@people.example", "Owner+board@people.example", "owner@people.example"]
    bob, bugs = await sign_up("bob"), []
    for spelling in spellings:
        response = await client.post("/api/v1/bugs", json=a_report(contact_email=spelling))
        bugs.append(response.json()["bug"]["id"])
    sql.execute("UPDATE report_contacts SET confirmed_at = created_at")
    await Moderator(client, admin).merge(bugs[2], bugs[0])
    await settled()
    for bug_id in [*bugs[:2]] * 4:
        await commented(client, bob, bug_id)
    await settled()
    owner = [Person("", "", spelling, "", "") for spelling in spellings[:2]]
    assert sum(len(mails_to(mail_server, one)) for one in owner) == 5
    await _pass(sql, mailing)
    ((digest, *_),) = [
        found
        for one in owner
        if (found := [mail for mail in mails_to(mail_server, one) if "notices" in mail["Subject"]])
    ]
    assert parts_of(digest)[0].count("- bob commented.") == 4
    assert "about the bugs that you reported" in (await client.get(link_of(digest))).text
    for _ in range(2):
        assert (await client.post(link_of(digest))).status_code == 200
    assert sql.execute("SELECT count(*) FROM report_contacts").fetchone() == (0,)


async def test_a_daily_digest_for_users_who_choose_it(
    client: httpx.AsyncClient, mailing: Platform, mail_server: MailServer, reader: Person, sign_up: SignUp,
    sql: Sql, settled: Settled,
) -> None:  # fmt: skip
    bob = await sign_up("bob")
    await client.patch(f"{ME}/notice-settings", json={"mail": "digest"}, headers=reader.headers)
    bugs = [await report(client, reader) for _ in range(2)]
    for bug in bugs:
        await commented(client, bob, bug["id"])
    await settled()
    assert mails_to(mail_server, reader) == []
    assert sql.execute("SELECT due_at - made_at = interval '1 day' FROM notice_mails").fetchall() == [(True,)]
    await _pass(sql, mailing)
    (mail,) = mails_to(mail_server, reader)
    assert mail["Subject"] == "[BugRelay] 2 notices"
    assert all(f"/api/v1/bugs/{bug['id']}" in parts_of(mail)[0] for bug in bugs)
    await commented(client, bob, bugs[0]["id"], "For the next digest")
    await settled()
    assert len(mails_to(mail_server, reader)) == 1


async def test_nobody_is_mailed_at_an_address_that_is_not_proven_or_against_their_will(
    client: httpx.AsyncClient, mailing: Platform, mail_server: MailServer, sign_up: SignUp, sql: Sql,
    bug: Bug, settled: Settled,
) -> None:  # fmt: skip
    unverified = await sign_up("unverified")
    unwilling = await reachable(client, sql, "unwilling")
    await client.patch(f"{ME}/notice-settings", json={"mail": "none"}, headers=unwilling.headers)
    for person in (unverified, unwilling):
        await follow(client, person, bug["id"], "all")
    await commented(client, await sign_up("bob"), bug["id"])
    await settled()
    assert [(await notices_of(client, one))["unread"] for one in (unverified, unwilling)] == [1, 1]
    assert mails_to(mail_server, unverified) + mails_to(mail_server, unwilling) == []


async def test_permissions_are_checked_again_when_a_mail_is_sent(
    client: httpx.AsyncClient, mailing: Platform, mail_server: MailServer, admin: Person, sign_up: SignUp,
    sql: Sql, bug: Bug, settled: Settled, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Digests wait long enough for everything to change meanwhile. Notices that are left out take no place in them."""
    monkeypatch.setattr(mails, "MAX_IN_DIGEST", 1)
    names = ("stays", "muted", "lower", "banned", "erased", "unproven", "unmailed")
    people = {name: await reachable(client, sql, name) for name in names}
    for person in people.values():
        await client.patch(f"{ME}/notice-settings", json={"mail": "digest"}, headers=person.headers)
        await follow(client, person, bug["id"], "all")
    bob = await sign_up("bob")
    gone = await report(client, people["stays"])
    await commented(client, bob, gone["id"], "On a bug that is removed")
    await commented(client, bob, bug["id"])
    await settled()
    await Moderator(client, admin).remove(gone["id"])
    await unfollow(client, people["muted"], bug["id"])
    await follow(client, people["lower"], bug["id"], "resolved")
    sql.execute("UPDATE users SET banned_at = now() WHERE id = %s", (people["banned"].id,))
    sql.execute("UPDATE users SET is_email_verified = false WHERE id = %s", (people["unproven"].id,))
    await client.request("DELETE", ME, json={"password": PASSWORD}, headers=people["erased"].headers)
    await client.patch(f"{ME}/notice-settings", json={"mail": "none"}, headers=people["unmailed"].headers)
    await _pass(sql, mailing)
    assert [name for name, person in people.items() if mails_to(mail_server, person)] == ["stays"]
    (mail,) = mails_to(mail_server, people["stays"])
    assert mail["Subject"] == "[BugRelay] 1 notice"
    assert gone["id"] not in parts_of(mail)[0]
    assert "There is more" not in parts_of(mail)[0]


async def test_a_mail_server_that_was_away_gets_each_mail_once_under_its_name(
    client: httpx.AsyncClient, mailing: Platform, mail_server: MailServer, reader: Person, sign_up: SignUp,
    sql: Sql, settled: Settled, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(back_off, "FIRST_PAUSE_SECONDS", 0.2)
    bug = await report(client, reader)
    mail_server.mood = "fails at the end"
    await commented(client, await sign_up("bob"), bug["id"])
    tried = (
        "SELECT count(*) FROM notice_mails WHERE attempts > 0 AND closed_at IS NULL AND NOT EXISTS ("
        " SELECT FROM procrastinate_jobs WHERE task_name = 'notifications.send_mails')"
    )
    await comes_true(lambda: sql.execute(tried).fetchone() == (1,), seconds=60)
    mail_server.mood = "takes"
    await _pass(sql, mailing)
    assert len(mails_to(mail_server, reader)) == 1


async def test_neither_a_job_nor_a_row_holds_a_link(
    client: httpx.AsyncClient, mailing: Platform, mail_server: MailServer, reader: Person, sign_up: SignUp,
    sql: Sql, settled: Settled, job_log: Any,
) -> None:  # fmt: skip
    bug = await report(client, reader)
    await commented(client, await sign_up("bob"), bug["id"])
    await settled()
    path = link_of(mails_to(mail_server, reader)[0])
    await client.get(path)
    await client.post(path)
    token = path.rpartition("/")[2]
    tables = sql.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    for (table,) in tables:
        found = sql.execute(
            f'SELECT count(*) FROM "{table}" AS t WHERE position(%s in t::text) > 0', (token,)
        )
        assert found.fetchone() == (0,), table
    assert token not in str(job_log)
    assert reader.email not in str(job_log)


async def test_a_confirmed_address_of_an_anonymous_report_gets_mails(
    client: httpx.AsyncClient, mailing: Platform, mail_server: MailServer, sign_up: SignUp, admin: Person,
    sql: Sql, settled: Settled,
) -> None:  # fmt: skip
    owner = Person("", "", "owner@people.example", "", "")
    response = await client.post("/api/v1/bugs", json=a_report(contact_email=owner.email))
    bug, receipt = response.json()["bug"], urlsplit(response.json()["receipt"]["url"]).path
    bob = await sign_up("bob")
    await commented(client, bob, bug["id"], "Before the address is confirmed")
    await comes_true(lambda: [one for one in mail_server.received if one[1] == [owner.email]])
    await settled()
    ((_, _, text),) = [one for one in mail_server.received if one[1] == [owner.email]]
    found = re.search(
        r"confirm\?token=(\S+)", parts_of(email.message_from_string(text, policy=email.policy.default))[0]
    )  # type: ignore[arg-type]
    assert found
    assert (await client.post("/contact/confirm", data={"token": found[1]})).status_code == 200
    other = await report(client, bob)
    await Moderator(client, admin).merge(bug["id"], other["id"])
    await commented(client, admin, other["id"], "Seen by the owner")
    await settled()
    first, second = mails_to(mail_server, owner)
    assert first["References"] == second["References"]
    assert "> Seen by the owner" in parts_of(first)[0] + parts_of(second)[0]
    assert "you reported this bug" in parts_of(first)[0]
    level = {"level": "resolved"}
    assert (await client.put(f"{receipt}/subscription", json=level)).status_code == 200
    await commented(client, admin, other["id"], "Not at this level")
    await status_set(client, admin, other["id"], "fixed")
    await settled()
    assert ["fixed" in parts_of(mail)[0] for mail in mails_to(mail_server, owner)[2:]] == [True]
    assert (await client.get(link_of(second))).status_code == 200
    for _ in range(2):
        assert (await client.post(link_of(second))).status_code == 200
    assert (await client.get(receipt)).json()["receipt"]["subscription"] is None
    await status_set(client, admin, other["id"], "wont_fix")
    await settled()
    assert len(mails_to(mail_server, owner)) == 3
    assert sql.execute("SELECT count(*) FROM report_contacts").fetchone() == (0,)
