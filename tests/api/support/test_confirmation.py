"""The confirmation mail: one a report, later where mail is down, within the budget."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest

from bugrelay.bootstrap import build
from bugrelay.domain.support.service.confirmation import record_public_issue
from bugrelay.domain.support.tasks import mail_confirmation
from bugrelay.infra.mail.transport import MailUndelivered
from bugrelay.infra.platform import Platform
from bugrelay.settings import Rate, SettingError, Settings
from tests.api.support.conftest import Reporter, Sql
from tests.conftest import RunJobs, StartApp
from tests.factories import make_member, register, report
from tests.infra.mail.postbox import Postbox, parts_of
from tests.infra.mail.server import MailServer

JOB = "support.mail_confirmation"


def job_of(sql: psycopg.Connection[Any]) -> Any:
    row = sql.execute("SELECT args FROM procrastinate_jobs WHERE task_name = %s", (JOB,)).fetchone()
    assert row is not None
    row[0].pop("request_id", None)
    return row[0]


async def test_a_report_is_confirmed_by_one_mail(
    rita: Reporter, sql: Sql, run_jobs: RunJobs, postbox: Postbox, settings: Settings
) -> None:
    number = await rita.report(
        title="Export <fails> & stops", category="feature_request", severity="critical"
    )
    arguments = job_of(sql)
    assert arguments.keys() == {"company_id", "ticket_id"}
    shown = await rita.shown(number)
    assert (shown["email_sent"], shown["email_sent_at"]) == (False, None)
    await run_jobs()
    mail = await postbox.next(rita.person.email, subject=number)
    assert mail["Subject"] == f"[{number}] We have your report: Export <fails> & stops"
    text, html = parts_of(mail)
    for part in (number, "feature request", "critical", "What happens next"):
        assert part in text
        assert part in html
    assert "Export &lt;fails&gt; &amp; stops" in html
    assert mail["Reply-To"] is None
    assert "Replies to this mail are not read" in text
    shown = await rita.shown(number)
    assert shown["email_sent"] is True
    assert shown["email_sent_at"] is not None

    platform = build(settings)
    await mail_confirmation(platform, **arguments)
    await platform.close()
    assert len([one for one in postbox.mails(rita.person.email) if number in one["Subject"]]) == 1


async def test_a_mail_server_that_is_down_delays_the_mail(
    rita: Reporter, sql: Sql, settings: Settings, mail_server: MailServer
) -> None:
    """The report stands; the next attempt of the job sends the same mail."""
    number = await rita.report()
    platform = build(replace(settings, mail_url=mail_server.url, support_email="Help <help@paper.example>"))
    mail_server.mood = "fails at the end"
    with pytest.raises(MailUndelivered):
        await mail_confirmation(platform, **job_of(sql))
    assert (await rita.shown(number))["email_sent"] is False
    mail_server.mood = "takes"
    for _ in range(2):
        await mail_confirmation(platform, **job_of(sql))
    await platform.close()
    ((_, recipients, message),) = mail_server.received
    assert recipients == [rita.person.email]
    assert "Reply-To: Help <help@paper.example>" in message
    assert "reply to this mail" in message
    assert (await rita.shown(number))["email_sent"] is True


async def test_the_mail_names_a_public_issue_that_exists_by_then(
    rita: Reporter, run_jobs: RunJobs, postbox: Postbox, platform: Platform
) -> None:
    url = "https://github.com/paper/app/issues/7"
    number, other = await rita.report(), await rita.report()
    ticket_id = UUID((await rita.shown(number))["id"])
    async with platform.work() as work:
        await record_public_issue(work, company_id=UUID(rita.company_id), ticket_id=ticket_id, url=url)
    await run_jobs()
    named, unnamed = [await postbox.next(rita.person.email, subject=one) for one in (number, other)]
    assert all(url in part for part in parts_of(named))
    assert not any("GitHub" in part for part in parts_of(unnamed))


async def test_mails_are_limited_and_reports_are_accepted_without_them(start_app: StartApp, sql: Sql) -> None:
    async with start_app(rate_limit_mail=Rate(2, 60)) as client:
        bug = await report(client, application_name="Paper", application_url="https://paper.example")
        rita = Reporter(client, await register(client, "rita"), bug["assigned_company_id"])
        make_member(sql, rita.person, rita.company_id, role="reporter")
        for _ in range(4):
            await rita.report()
    row = sql.execute("SELECT count(*) FROM procrastinate_jobs WHERE task_name = %s", (JOB,)).fetchone()
    assert row is not None
    assert row[0] < 4


def test_an_invalid_address_is_reported_at_start(settings: Settings) -> None:
    with pytest.raises(SettingError, match=r"^SUPPORT_EMAIL must be one e-mail address"):
        build(replace(settings, support_email="nobody"))
