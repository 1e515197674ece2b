"""Support reports while what they do not need is away: they stand, and what was owed arrives later."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from bugrelay.bootstrap import build
from bugrelay.domain.support.tasks import mail_confirmation
from bugrelay.infra.mail.transport import MailUndelivered
from bugrelay.settings import Rate, Settings
from tests.api.support.conftest import Reporter, Sql
from tests.conftest import StartApp, empty
from tests.domain.github.fake_github import TOKEN, FakeGitHub, fake_github
from tests.factories import make_member, register, report
from tests.faults.conftest import StartBoard
from tests.faults.proxy import FaultProxy
from tests.faults.servers import Board, complaints_in, worker
from tests.faults.test_redis import in_use
from tests.infra.mail.server import MailServer
from tests.infra.redis.server import Valkey, eventually

SECONDS = 120  # for what a busy machine may take

Outage = tuple[Literal["refused", "hanging"], tuple[str, ...]]
DEPENDENCIES = ("github", "mail", "redis")
TOGETHER: Sequence[Outage] = (("refused", DEPENDENCIES), ("hanging", DEPENDENCIES))
EACH_WAY: Sequence[Outage] = [
    (how, names)
    for size in range(1, len(DEPENDENCIES) + 1)
    for names, how in product(combinations(DEPENDENCIES, size), ("refused", "hanging"))
]


@pytest.fixture
def hung_valkey() -> Iterator[Valkey]:
    """One that takes connections and never answers."""
    valkey = Valkey()
    valkey.start()
    valkey.send_signal(signal.SIGSTOP)
    yield valkey
    valkey.send_signal(signal.SIGCONT)
    valkey.remove()


async def test_a_report_succeeds_while_redis_hangs_and_the_mail_server_is_down(
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


@dataclass
class Owed:
    """What follows from a report once it is committed, and the board where it can be asked for."""

    rita: Reporter
    board: Board
    rows: psycopg.Connection[Any]
    github: FakeGitHub
    mail_server: MailServer
    proxies: dict[str, FaultProxy]

    async def report(self) -> tuple[str, float]:
        """A report over HTTP: its number, and how many seconds the answer took."""
        began = time.perf_counter()
        number = await self.rita.report(console_errors=[{"message": "TypeError"}])
        return number, time.perf_counter() - began

    async def take_down(self, outage: Outage) -> dict[str, int]:
        """How often each was called until then."""
        how, names = outage
        for name in names:
            if how == "refused":
                self.proxies[name].refuse()
            else:
                self.proxies[name].set_mode("hang")
        return {name: self.proxies[name].connections for name in names}

    async def bring_back(self) -> None:
        for proxy in self.proxies.values():
            await proxy.listen()

    def tried_in_vain(self, number: str) -> set[str]:
        """Whom a worker has asked without an answer, for this report."""
        row = self.rows.execute(
            "SELECT (SELECT coalesce(sum(p.attempts), 0) FROM github_pushes AS p WHERE p.ticket_id = t.id),"
            " (SELECT coalesce(sum(j.attempts), 0) FROM procrastinate_jobs AS j"
            " WHERE j.task_name = 'support.mail_confirmation' AND j.args ->> 'ticket_id' = t.id::text)"
            " FROM tickets AS t JOIN support_reports AS r ON r.ticket_id = t.id WHERE t.key = %s",
            (number,),
        ).fetchone()
        assert row is not None, "an answered report is not there"
        return {name for name, attempts in zip(("github", "mail"), row, strict=True) if attempts > 0}

    async def arrived(self, number: str) -> None:
        """Until GitHub has the issue, and the reporter the mail; without the pauses between two tries."""
        async with asyncio.timeout(SECONDS):
            while not await self._has_arrived(number):
                self.rows.execute("UPDATE github_pushes SET next_at = now() WHERE next_at > now()")
                self.rows.execute(
                    "UPDATE procrastinate_jobs SET scheduled_at = now() WHERE scheduled_at > now()"
                )
                await asyncio.sleep(0.1)
            while not await in_use(self.board):
                await asyncio.sleep(0.1)

    async def outlives(self, outage: Outage, *, outlast: bool) -> str:
        """The number of a report that was made while they were down, and of which all has arrived since."""
        how, names = outage
        before = await self.take_down(outage)
        number, seconds = await self.report()
        print(f"{how} {' and '.join(names)}: answered after {seconds:.3f} s")
        # Nothing of what is down was needed for the answer: it is down still.
        vain = {*names} - {"redis"}
        assert not ("redis" in names and await in_use(self.board))
        if how == "refused" or outlast:
            await eventually(lambda: vain <= self.tried_in_vain(number), seconds=SECONDS)
        else:
            await eventually(
                lambda: all(self.proxies[name].connections > before[name] for name in vain), seconds=SECONDS
            )
        shown = await self.rita.shown(number)
        assert not ("mail" in names and shown["email_sent"])
        assert not ("github" in names and shown["github_sync_status"] != "pending")
        await self.bring_back()
        await self.arrived(number)
        return number

    async def _has_arrived(self, number: str) -> bool:
        shown = await self.rita.shown(number)
        return shown["email_sent"] is True and shown["github_sync_status"] == "synced"


@pytest.mark.parametrize(
    ("outages", "outlast"), [(TOGETHER, False), pytest.param(EACH_WAY, True, marks=pytest.mark.slow)]
)
async def test_a_report_succeeds_while_github_mail_and_redis_are_down_and_is_synced_later(
    start_board: StartBoard,
    rows: psycopg.Connection[Any],
    own_valkey: Valkey,
    mail_server: MailServer,
    tmp_path: Path,
    outages: Sequence[Outage],
    outlast: bool,
) -> None:
    """One server and one worker for all of it. `outlast`: also what hangs is away for longer than anybody waits."""
    empty(rows)
    async with (
        fake_github() as github,
        FaultProxy(("127.0.0.1", urlsplit(github.url).port or 0)) as to_github,
        FaultProxy(("127.0.0.1", mail_server.port)) as to_mail,
        FaultProxy(own_valkey.socket) as to_redis,
    ):
        github.add()
        board = start_board(
            REDIS_URL=f"redis://127.0.0.1:{to_redis.port}/0",
            MAIL_URL=f"smtp://127.0.0.1:{to_mail.port}",
            GITHUB_API_URL=f"http://127.0.0.1:{to_github.port}",
            GITHUB_WRITES="off",
            **dict.fromkeys(
                ("RATE_LIMIT_GENERAL", "RATE_LIMIT_MAIL", "ISSUE_REPORT_RATE_LIMIT"), "1000/minute"
            ),
        )
        log = tmp_path / "worker.log"
        with worker(board.environment, log) as process:
            following = "SELECT FROM event_consumers WHERE name = 'github'"
            await eventually(lambda: rows.execute(following).fetchone() is not None, seconds=SECONDS)
            async with board.visitor() as visitor:
                rita = await connected(visitor, rows)
                proxies = {"github": to_github, "mail": to_mail, "redis": to_redis}
                owed = Owed(rita, board, rows, github, mail_server, proxies)
                numbers = [await owed.outlives(outage, outlast=outlast) for outage in outages]
            assert process.poll() is board.process.poll() is None
        assert complaints_in(log.read_text(errors="replace")) == []
        ids = [str(row[0]) for row in rows.execute("SELECT ticket_id FROM support_reports")]
        assert sorted(github.marks()) == sorted(ids)
        assert len(ids) == len(numbers)
        assert {one for one in numbers if any(one in mail[2] for mail in mail_server.received)} == {*numbers}


async def connected(visitor: httpx.AsyncClient, rows: psycopg.Connection[Any]) -> Reporter:
    """A reporter of a company whose reports have issues at GitHub."""
    bug = await report(visitor, application_name="Paper", application_url="https://paper.example")
    company_id = bug["assigned_company_id"]
    boss, rita = await register(visitor, "boss"), await register(visitor, "rita")
    make_member(rows, boss, company_id, role="admin")
    make_member(rows, rita, company_id, role="reporter")
    answer = await visitor.put(
        f"/api/v1/companies/{company_id}/github",
        json={"repo": "paper/reports", "token": TOKEN},
        headers=boss.headers,
    )
    assert answer.is_success, answer.text
    return Reporter(visitor, rita, company_id)
