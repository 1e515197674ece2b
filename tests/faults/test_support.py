"""Support reports while what they do not need is away: they stand, and what was owed arrives later."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bugrelay.bootstrap import build
from bugrelay.domain.support.tasks import mail_confirmation
from bugrelay.infra.mail.transport import MailUndelivered
from bugrelay.settings import Rate, Settings
from tests.api.support.conftest import Reporter, Sql
from tests.conftest import StartApp
from tests.factories import make_member, register, report
from tests.infra.mail.server import MailServer
from tests.infra.redis.server import Valkey


@pytest.fixture
def hung_valkey() -> Iterator[Valkey]:
    """One that takes connections and never answers."""
    valkey = Valkey()
    valkey.start()
    valkey.send_signal(signal.SIGSTOP)
    yield valkey
    valkey.send_signal(signal.SIGCONT)
    valkey.remove()


async def test_a_report_stands_while_redis_hangs_and_the_mail_server_is_down(
    start_app: StartApp, settings: Settings, sql: Sql, hung_valkey: Valkey, mail_server: MailServer
) -> None:
    """The limits hold as well, in the memory of the process."""
    mail_server.mood = "hangs up"
    changes = {
        "redis_url": hung_valkey.url,
        "mail_url": mail_server.url,
        "issue_report_rate_limit": Rate(3, 3600),
        "rate_limit_mail": Rate(100, 60),
        "rate_limit_general": Rate(1000, 60),
    }
    async with start_app(**changes) as client:
        bug = await report(client, application_name="Paper", application_url="https://paper.example")
        rita = Reporter(client, await register(client, "rita"), bug["assigned_company_id"])
        make_member(sql, rita.person, rita.company_id, role="reporter")
        numbers = [await rita.report(console_errors=[{"n": n}]) for n in range(3)]
        await rita.refused(429, "RATE_LIMIT_EXCEEDED", "POST", "report", {})
        platform = build(replace(settings, **changes))
        owed = [
            row[0]
            for row in sql.execute(
                "SELECT args - 'request_id' FROM procrastinate_jobs"
                " WHERE task_name = 'support.mail_confirmation' ORDER BY id"
            )
        ]
        with pytest.raises(MailUndelivered):
            await mail_confirmation(platform, **owed[0])
        mail_server.mood = "takes"
        for arguments in owed:
            await mail_confirmation(platform, **arguments)
        await platform.close()
        assert [(await rita.shown(number))["email_sent"] for number in numbers] == [True] * 3
    assert [
        number for number, mail in zip(numbers, mail_server.received, strict=True) if number in mail[2]
    ] == numbers
