"""`python -m benchmarks.tickets [--size TICKETS] [--cpu]`: lists, searches, statistics and creation of tickets.

Prints ratios. One database has a company with that many tickets, one with 10,000, and a small board. Everything runs
in this process, by the functions that the routes call; tables and indexes are created once and stored in
`var/bench-tickets-<size>`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
import uvloop

from benchmarks.board import Board, opened_board
from benchmarks.generate import generate, say
from benchmarks.home import ENVIRONMENT, ROOT
from benchmarks.vocabulary import Vocabulary
from benchmarks.write_bars import per_second
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.schemas import NewTicket, ReportScope, TicketQuery
from bugrelay.domain.tickets.search.service import list_tickets
from bugrelay.domain.tickets.service.creating import create_ticket
from bugrelay.domain.tickets.service.reports import get_dashboard
from bugrelay.embedded import running
from bugrelay.infra.db.database import libpq_url
from bugrelay.infra.ids import new_id
from bugrelay.infra.platform import Platform
from bugrelay.migrate import migrate
from bugrelay.settings import Settings, load_settings

VERSION = 2
SMALL, LARGE, BUGS = 10_000, 1_000_000, 10_000
PROJECTS, PEOPLE, BLOCK, YEARS = 10, 200, 10_000, 3
ROUNDS, REPEATS = 5, 10
CREATORS = 16
SHARE = 50_000  # tickets written, and documents built, at a time
NOW = np.datetime64("now", "us")
DAY_US = 86_400_000_000
_US = "timedelta64[us]"
DEPARTMENTS = ("Sales", "Support", "Finance", "Legal", "Operations", "Research")
STATUSES = (("open", "todo"), ("in_progress", "doing"), ("blocked", "doing"), ("closed", "done"))

_COLUMNS = (
    "id, company_id, project_id, number, key, kind, title, description, description_html, status, category, priority,"
    " department, tags, reporter_id, created_at, updated_at, resolved_at"
)


# --- the tables -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Company:
    """A company with so many tickets, in ten projects; its users are the same for all sizes."""

    name: str
    tickets: int

    def id(self, kind: int, number: int = 0) -> UUID:
        return UUID(int=(self.tickets << 64) | (kind << 40) | number | (0x7 << 76) | (2 << 62))

    @property
    def member(self) -> Tenant:
        return Tenant(self.id(1), self.id(3), "member")

    @property
    def reporter(self) -> Tenant:
        return Tenant(self.id(1), self.id(3, 7), "reporter")


def fill(url: str, company: Company, first: int, last: int) -> None:
    """Write these of the company's tickets, without documents and counts; before the first one also the company."""
    created = np.sort(NOW - (YEARS * 365 * DAY_US * _drawn(company).random(company.tickets)).astype(_US))
    vocabulary, rng = Vocabulary(np.random.default_rng(7)), _drawn(company, first)
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        if first == 0:
            _people(connection, company)
        with connection.cursor() as cursor, cursor.copy(f"COPY tickets ({_COLUMNS}) FROM STDIN") as copy:
            for begin in range(first, last, BLOCK):
                moments = created[begin : min(begin + BLOCK, last)]
                copy.write(_block(company, vocabulary, rng, moments, first=begin))
        connection.execute(
            "INSERT INTO ticket_assignees (company_id, ticket_id, user_id, position)"
            " SELECT company_id, id, (%s::uuid[])[1 + number %% %s], 0 FROM tickets"
            " WHERE company_id = %s AND id >= %s AND id < %s AND number %% 3 > 0",
            (
                [company.id(3, i) for i in range(PEOPLE)],
                PEOPLE,
                company.id(1),
                company.id(4, first),
                company.id(4, last),
            ),
        )


def _drawn(company: Company, first: int | None = None) -> np.random.Generator:
    """Random values, the same in each run, for the company or for one share of its tickets."""
    return np.random.default_rng(company.tickets if first is None else (company.tickets, first))


def _people(connection: psycopg.Connection[Any], company: Company) -> None:
    domain = f"{company.name}.example"
    connection.execute(
        "INSERT INTO companies (id, name, domain, verified) VALUES (%s, %s, %s, true)",
        (company.id(1), company.name, domain),
    )
    for i in range(PROJECTS):
        visibility = "company" if i < 2 else "team"  # noqa: PLR2004 - what reporters see is a fifth of all
        connection.execute(
            "INSERT INTO projects (id, company_id, key, name, scheme, visibility)"
            " VALUES (%s, %s, %s, %s, 'tickets', %s)",
            (company.id(2, i), company.id(1), f"PR{i}", f"Project {i}", visibility),
        )
        connection.execute(
            "INSERT INTO ticket_numbers (company_id, project_id, year, last_number) VALUES (%s, %s, 0, %s)",
            (company.id(1), company.id(2, i), 1000 + company.tickets),
        )
    for i in range(PEOPLE):
        name = f"{company.name}{i}"
        connection.execute(
            "INSERT INTO users (id, email, email_key, username, is_email_verified) VALUES (%s, %s, %s, %s, true)",
            (company.id(3, i), f"{name}@{domain}", f"{name}@{domain}", name),
        )
        connection.execute(
            "INSERT INTO company_members (id, company_id, user_id, role) VALUES (%s, %s, %s, %s)",
            (new_id(), company.id(1), company.id(3, i), "member" if i % 2 == 0 else "reporter"),
        )


def _block(
    company: Company, vocabulary: Vocabulary, rng: np.random.Generator, created: Any, *, first: int
) -> str:
    count = len(created)
    titles = _texts(vocabulary, rng, np.clip(rng.normal(7, 2, count), 3, 16), title=True)
    texts = _texts(vocabulary, rng, np.clip(rng.lognormal(4.0, 0.5, count), 8, 400), title=False)
    age = (NOW - created).astype(np.int64)
    # Nine of ten tickets that are older than a month are closed, after two weeks on average.
    after = np.minimum(rng.exponential(14 * DAY_US, count), age).astype(_US)
    statuses = np.where(
        age > 30 * DAY_US,
        np.searchsorted([0.05, 0.08, 0.1], rng.random(count)),
        np.searchsorted([0.5, 0.7, 0.75], rng.random(count)),
    ).tolist()
    draws = rng.integers(0, 1_000_000, (count, 5)).tolist()
    stamps, resolved = (np.datetime_as_string(moments).tolist() for moments in (created, created + after))
    lines = []
    for i in range(count):
        project, priority, department, person, tag = draws[i]
        status, category = STATUSES[statuses[i]]
        number = 1001 + first + i
        lines.append(
            "\t".join(
                (
                    str(company.id(4, first + i)),
                    str(company.id(1)),
                    str(company.id(2, project % PROJECTS)),
                    str(number),
                    f"PR{project % PROJECTS}-{number}",
                    "ticket",
                    titles[i],
                    texts[i],
                    f"<p>{texts[i]}</p>",
                    status,
                    category,
                    ("low", "medium", "medium", "high", "critical")[priority % 5],
                    DEPARTMENTS[department % 6],
                    f"{{tag-{tag % 50}}}",
                    str(company.id(3, person % PEOPLE)),
                    f"{stamps[i]}+00",
                    f"{stamps[i]}+00",
                    f"{resolved[i]}+00" if category == "done" else r"\N",
                )
            )
        )
    return "\n".join(lines) + "\n"


def _texts(vocabulary: Vocabulary, rng: np.random.Generator, lengths: Any, *, title: bool) -> list[str]:
    counts = lengths.astype(np.int64)
    words = vocabulary.spelled(vocabulary.draw(rng, int(counts.sum()), title=title))
    ends = np.cumsum(counts).tolist()
    limit = 255 if title else 5000
    return [
        " ".join(words[end - count : end])[:limit].strip()
        for end, count in zip(ends, counts.tolist(), strict=True)
    ]


@contextmanager
def opened(size: int) -> Iterator[tuple[Settings, str]]:
    """The databases, started and filled, for the duration of the block. A filling that was interrupted is continued."""
    directory = ROOT / "var" / f"bench-tickets-{size}"
    with running(load_settings({**ENVIRONMENT, "BUGRELAY_HOME": str(directory)})) as settings:
        migrate(settings)
        url = libpq_url(settings.database_url)
        stamp = directory / "tickets.json"
        done: list[str] = json.loads(stamp.read_text()) if stamp.exists() else []
        for name, step in _steps(size).items():
            if f"{VERSION} {name}" not in done:
                say(name)
                step(url)
                done.append(f"{VERSION} {name}")
                stamp.write_text(json.dumps(done))
        yield settings, url


def _steps(size: int) -> dict[str, Callable[[str], Any]]:
    small, large = Company("small", SMALL), Company("large", size)
    shares = [(first, min(first + SHARE, size)) for first in range(0, size, SHARE)]
    return {
        "a small board": lambda url: generate(url, BUGS),
        "the small company": lambda url: fill(url, small, 0, SMALL),
        **{
            f"tickets from {first:,} to {last:,}": partial(fill, company=large, first=first, last=last)
            for first, last in shares
        },
        "documents of the small company": lambda url: _documents(url, small, 0, SMALL),
        **{
            f"documents from {first:,} to {last:,}": partial(
                _documents, company=large, first=first, last=last
            )
            for first, last in shares
        },
        "counts, days and indexes": _counts_and_indexes,
    }


def _documents(url: str, company: Company, first: int, last: int) -> None:
    """As `ticket_search_rebuild` builds them, a share at a time and without the index."""
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DROP INDEX IF EXISTS ix_ticket_search_document")
        connection.execute(
            "INSERT INTO ticket_search (company_id, ticket_id, status, category, priority, created_at, document)"
            " SELECT t.company_id, t.id, t.status, t.category, t.priority, t.created_at,"
            " ticket_document(t, ARRAY(SELECT user_id FROM ticket_assignees a"
            " WHERE a.company_id = t.company_id AND a.ticket_id = t.id))"
            " FROM tickets t WHERE t.company_id = %s AND t.id >= %s AND t.id < %s ORDER BY t.id",
            (company.id(1), company.id(4, first), company.id(4, last)),
        )


def _counts_and_indexes(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '1GB'")
        connection.execute("DROP INDEX IF EXISTS ix_ticket_search_document")
        connection.execute("CREATE INDEX ix_ticket_search_document ON ticket_search USING gin (document)")
        connection.execute(
            "INSERT INTO ticket_counts SELECT company_id, project_id, status, category, priority,"
            " coalesce(department, ''), count(*) FROM tickets GROUP BY 1, 2, 3, 4, 5, 6 ON CONFLICT DO NOTHING"
        )
        connection.execute(
            "INSERT INTO daily_stats SELECT company_id, id, day, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1"
            " FROM projects, generate_series(current_date - 365, current_date, interval '1 day') AS day"
            " ON CONFLICT DO NOTHING"
        )
        connection.execute("VACUUM (ANALYZE, FREEZE)")


# --- measurements -----------------------------------------------------------------------------------------------------


class Tickets:
    """Tickets by the product's own functions, without HTTP."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    async def page(self, tenant: Tenant, **query: Any) -> int:
        async with self.platform.database.reading() as reader:
            page = await list_tickets(reader, self.platform.counts, tenant, query=TicketQuery(**query))
        return page.pagination.total

    async def dashboard(self, tenant: Tenant) -> None:
        async with self.platform.database.reading() as reader:
            await get_dashboard(reader, tenant, scope=ReportScope())

    async def create(self, tenant: Tenant, project_id: UUID) -> None:
        async with self.platform.work() as work:
            await create_ticket(
                work,
                tenant,
                NewTicket(
                    title="A ticket of the benchmark",
                    description="What it says does not matter here, but it has some words.",
                    project_id=project_id,
                ),
            )


@asynccontextmanager
async def opened_tickets(
    settings: Settings, *, is_logged: bool = True
) -> AsyncIterator[tuple[Board, Tickets]]:
    """The board and the tickets of one process; `is_logged`: whether it writes the event log."""
    async with opened_board(settings, connections=3 * CREATORS, is_logged=is_logged) as board:
        yield board, Tickets(board.platform)


Clock = Callable[[], float]


def wall_clock() -> Clock:
    return time.perf_counter


def cpu_clock(connection: psycopg.Connection[Any]) -> Clock:
    """CPU seconds of this process and of the backends of its connections; other load does not count."""
    asking = "SELECT pid FROM pg_stat_activity WHERE application_name = 'bugrelay'"
    paths = [Path(f"/proc/{pid}/schedstat") for (pid,) in connection.execute(asking)]
    return lambda: time.process_time() + sum(int(path.read_text().split()[0]) for path in paths) / 1e9


async def timed(run: Callable[[], Awaitable[Any]], new_clock: Callable[[], Clock]) -> list[float]:
    """Milliseconds of each repetition, after one that is not counted."""
    await run()
    clock, found = new_clock(), []
    for _ in range(REPEATS):
        began = clock()
        await run()
        found.append(1000 * (clock() - began))
    return found


LISTS: dict[str, dict[str, Any]] = {
    "newest": {},
    "by category": {"category": "todo"},
    "by status": {"status": "blocked"},
    "by project": {"project_id": 0},
    "by department": {"department": "Sales"},
    "by tag": {"tag": "tag-7"},
    "by assignee": {"assignee_id": 0},
    "most urgent": {"sort": "priority"},
    "last changed": {"sort": "updated"},
}
SEARCHES: dict[str, dict[str, Any]] = {
    "common word": {"q": "error"},
    "common word, newest": {"q": "error", "sort": "recent"},
    "two common words": {"q": "error crash"},
    "medium word": {"q": "upload"},
    "rare word": {"q": ""},
    "common word, open": {"q": "error", "category": "todo"},
    "a key": {"q": "PR3-1500"},
}


def _query(company: Company, query: dict[str, Any], *, rare: str) -> dict[str, Any]:
    """The query with the company's ids instead of numbers."""
    kinds = {"project_id": 2, "assignee_id": 3}
    found = {
        name: company.id(kinds[name], value) if name in kinds else value for name, value in query.items()
    }
    return {**found, "q": rare} if found.get("q") == "" else found


async def reads(settings: Settings, size: int, clock: Callable[[], Clock]) -> dict[str, dict[str, float]]:
    """Milliseconds of each list and search for a member and a reporter of both companies, and of the board's page."""
    small, large = Company("small", SMALL), Company("large", size)
    rare = Vocabulary(np.random.default_rng(7)).words[9000]
    found: dict[str, dict[str, list[float]]] = {}
    async with opened_tickets(settings) as (board, tickets):
        for _ in range(ROUNDS):
            for name, query in {**LISTS, **SEARCHES}.items():
                for who in ("member", "reporter"):
                    for company in (small, large):
                        tenant = getattr(company, who)
                        wanted = _query(company, query, rare=rare)
                        times = await timed(lambda: tickets.page(tenant, **wanted), clock)  # noqa: B023 - awaited here
                        found.setdefault(f"{name}, {who}", {}).setdefault(company.name, []).extend(times)
            for company in (small, large):
                times = await timed(lambda: tickets.dashboard(company.member), clock)  # noqa: B023 - awaited here
                found.setdefault("dashboard", {}).setdefault(company.name, []).extend(times)
            times = await timed(board.page, clock)
            found.setdefault("the board's page", {}).setdefault("board", []).extend(times)
    return {
        name: {side: round(median(times), 2) for side, times in sides.items()}
        | {f"{side} p95": round(quantiles(times, n=20)[-1], 2) for side, times in sides.items()}
        for name, sides in found.items()
    }


async def creates(settings: Settings, url: str, seconds: float) -> dict[str, list[float]]:
    """Tickets per second: with and without the event log; sixteen at once in one project, and in sixteen."""
    company = Company("small", SMALL)
    member = company.member
    one = company.id(2, 0)
    many = _projects(url, company)
    rates: dict[str, list[float]] = {}
    async with (
        opened_tickets(settings) as (_, logged),
        opened_tickets(settings, is_logged=False) as (_, silent),
    ):
        for number in range(-1, ROUNDS):
            projects = itertools.cycle(many)
            ways = {
                "with log": (lambda: logged.create(member, next(projects)), 8),  # noqa: B023 - awaited here
                "without log": (lambda: silent.create(member, next(projects)), 8),  # noqa: B023 - likewise
                "in one project": (lambda: logged.create(member, one), CREATORS),
                "in sixteen": (lambda: logged.create(member, next(projects)), CREATORS),  # noqa: B023 - likewise
            }
            for name, (write, at_once) in ways.items() if number % 2 else reversed(ways.items()):
                rate = await per_second(write, at_once=at_once, seconds=seconds)
                if number >= 0:
                    rates.setdefault(name, []).append(round(rate, 1))
    return rates


def _projects(url: str, company: Company) -> list[UUID]:
    """Sixteen projects of the company to create tickets in."""
    ids = [company.id(5, i) for i in range(CREATORS)]
    with psycopg.connect(url) as connection:
        for i, project_id in enumerate(ids):
            connection.execute(
                "INSERT INTO projects (id, company_id, key, name, scheme) VALUES (%s, %s, %s, 'Benchmark', 'tickets')"
                " ON CONFLICT DO NOTHING",
                (project_id, company.id(1), f"BN{i}"),
            )
    return ids


def ratios(found: dict[str, dict[str, float]], rates: dict[str, list[float]]) -> dict[str, tuple[float, str]]:
    """Each ratio with its bar."""

    def worst(names: dict[str, Any]) -> tuple[float, str]:
        pairs = [
            (sides["large"] / sides["small"], name)
            for name, sides in found.items()
            if name.rpartition(", ")[0] in names
        ]
        return max(pairs)

    def rounds(one: str, other: str) -> float:
        return median(a / b for a, b in zip(rates[one], rates[other], strict=True))

    lists, searches = worst(LISTS), worst(SEARCHES)
    return {
        f"lists, large ÷ small, the worst: {lists[1]}": (lists[0], "≤ 3"),
        f"searches, large ÷ small, the worst: {searches[1]}": (searches[0], "≤ 3"),
        "dashboard, large ÷ small": (found["dashboard"]["large"] / found["dashboard"]["small"], "≤ 2"),
        "page of tickets, large ÷ the board's": (
            found["newest, member"]["large"] / found["the board's page"]["board"],
            "≤ 1.5",
        ),
        "create with the event log ÷ without": (rounds("with log", "without log"), "≥ 0.85"),
        "16 creators in one project ÷ in sixteen": (rounds("in one project", "in sixteen"), "≥ 0.3"),
    }


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tickets", description=__doc__)
    parser.add_argument(
        "--size", type=int, default=LARGE, help="tickets of the large company (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="duration of each turn of creates (default: %(default)s)"
    )
    parser.add_argument("--cpu", action="store_true", help="measure only reads, by CPU time")
    options = parser.parse_args()
    with opened(options.size) as (settings, url):
        say("lists, searches and figures")
        with psycopg.connect(url, autocommit=True) as connection:
            clock = partial(cpu_clock, connection) if options.cpu else wall_clock
            found = uvloop.run(reads(replace(settings), options.size, clock))
        if options.cpu:
            print(json.dumps({"ms": found}, indent=1))
            return
        say("creates")
        rates = uvloop.run(creates(settings, url, options.seconds))
    print(json.dumps({"ms": found, "creates a second": rates}, indent=1))
    for name, (value, bar) in ratios(found, rates).items():
        print(f"{value:6.2f}  {bar:>7}  {name}")


if __name__ == "__main__":
    main()
