"""Mail through a server that may be away, hang, refuse or fail: delayed at worst, and never a request."""

from __future__ import annotations

import email
import email.policy
import time
from collections.abc import MutableMapping, Sequence
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.infra.jobs import back_off, worker
from bugrelay.infra.mail.mailer import Mailer
from bugrelay.infra.mail.message import mail_id
from bugrelay.infra.mail.smtp import SMTP_SECONDS
from bugrelay.infra.mail.transport import MailUndelivered
from bugrelay.settings import Settings
from tests.conftest import StartApp
from tests.factories import register
from tests.infra.mail.mails import TO, written
from tests.infra.mail.postbox import comes_true, parts_of, working
from tests.infra.mail.server import MailServer, free_port

Sql = psycopg.Connection[Any]
JobLog = Sequence[MutableMapping[str, Any]]


async def test_a_mail_reaches_the_server_with_both_parts(settings: Settings, mail_server: MailServer) -> None:
    changes = {"mail_url": mail_server.url, "mail_from": "Bugs <bugs@board.example>"}
    mailer = Mailer(replace(settings, **changes, public_url="https://board.example"))
    await mailer.send(written(mailer))
    ((sender, recipients, text),) = mail_server.received
    assert (sender, recipients) == ("bugs@board.example", [TO])
    message = email.message_from_string(text, policy=email.policy.default)
    assert message["To"] == TO
    assert message["From"] == "Bugs <bugs@board.example>"
    assert message["Message-ID"] == f"<{mail_id('test', 1)}@board.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert all("https://board.example/x?token=secret" in part for part in parts_of(message))  # type: ignore[arg-type]


@pytest.mark.parametrize("mood", ["refuses the recipient", "fails at the end", "hangs up"])
async def test_a_mail_that_is_not_taken_says_so_without_the_address(
    settings: Settings, mail_server: MailServer, mood: Any
) -> None:
    mail_server.mood = mood
    mailer = Mailer(replace(settings, mail_url=mail_server.url))
    with pytest.raises(MailUndelivered) as caught:
        await mailer.send(written(mailer))
    assert TO not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_a_server_that_hangs_is_given_up_in_time(settings: Settings, mail_server: MailServer) -> None:
    mail_server.mood = "hangs"
    mailer = Mailer(replace(settings, mail_url=mail_server.url), smtp_seconds=0.5)
    began = time.monotonic()
    with pytest.raises(MailUndelivered):
        await mailer.send(written(mailer))
    assert time.monotonic() - began >= 0.5
    assert SMTP_SECONDS == 20


async def test_a_server_that_is_not_there_is_an_error(settings: Settings) -> None:
    mailer = Mailer(replace(settings, mail_url=f"smtp://127.0.0.1:{free_port()}"))
    with pytest.raises(MailUndelivered, match="Connect"):
        await mailer.send(written(mailer))


async def test_a_down_server_delays_mails_and_no_request(
    start_app: StartApp, settings: Settings, sql: Sql, job_log: JobLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Away, refusing, failing and well again: each mail arrives once, and neither the queue's log nor a row knows its token."""
    monkeypatch.setattr(back_off, "FIRST_PAUSE_SECONDS", 0.2)
    monkeypatch.setattr(back_off, "MAX_PAUSE_SECONDS", 0.5)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.2)
    server = MailServer(port=free_port())
    changes = {"mail_url": server.url}
    async with start_app(**changes) as client, working(settings, **changes):
        ada = await register(client, "ada", email=TO)
        assert (await client.get("/api/v1/auth/profile", headers=ada.headers)).status_code == 200
        await comes_true(lambda: any(one["event"] == "job_failed" for one in job_log))
        with server:
            server.mood = "refuses the recipient"
            await comes_true(lambda: server.attempts >= 1)
            server.mood = "fails at the end"
            tried = server.attempts
            await comes_true(lambda: server.attempts > tried)
            rows = _all_rows(sql)
            server.mood = "takes"
            await comes_true(
                lambda: sql.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)
            )
    ((_, recipients, text),) = server.received
    assert recipients == [TO]
    token = text.partition("token=")[2].split()[0]
    assert len(token) == 43
    told = "\n".join(repr(one) for one in job_log)
    assert token not in told
    assert TO not in told
    assert token not in rows + _all_rows(sql)


def _all_rows(sql: Sql) -> str:
    tables = [row[0] for row in sql.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    return "\n".join(
        str(row[0]) for table in tables for row in sql.execute(f'SELECT t::text FROM "{table}" AS t')
    )


async def test_requests_that_mail_do_not_wait_for_a_server_that_hangs(
    start_app: StartApp, settings: Settings, mail_server: MailServer
) -> None:
    mail_server.mood = "hangs"
    mailer = Mailer(replace(settings, mail_url=mail_server.url), smtp_seconds=1)
    async with start_app() as client, working(settings, mailer=mailer):
        for number in range(6):
            await register(client, f"ada{number}")
        await comes_true(lambda: mail_server.attempts > 0)
        body = {"email": "ada1@people.example"}
        response: httpx.Response = await client.post("/api/v1/auth/password-reset", json=body)
        assert response.status_code == 200
