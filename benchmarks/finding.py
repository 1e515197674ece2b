"""`python -m benchmarks.finding BUGS DUPLICATES`: how often the original of a duplicate is found, compared with BM25.

BUGS is a file for `bugrelay import`, oldest first. DUPLICATES has a line `{"id": …, "master": …, "root": …}` for each
report that was closed as a duplicate of another one; the values are external ids. All reports are imported. Then each
duplicate of an earlier report is a query as of the day of its report: later reports are excluded. Reports that are
duplicates of each other (a family) are merged and count as one result; the rank of that result is the measured one.

`similar` uses title and description, `title` only the title. `search` types the title into the search, when the import
has reached the reports before that one, since a search cannot exclude later reports otherwise. Nothing is merged at
that time, but a family counts as one result there, too. BM25 (k1 1.2, b 0.75) ranks the same words of title and
description together, without dates, with families counted likewise. It and `similar` use word frequencies of the whole
board, later reports included.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import uvloop
from sqlalchemy import text

from benchmarks.bm25 import Bm25
from benchmarks.board import Board
from benchmarks.generate import say
from benchmarks.home import ENVIRONMENT
from bugrelay.bootstrap import build
from bugrelay.domain.accounts.schemas import Register
from bugrelay.domain.accounts.service import create_user
from bugrelay.domain.bugs.search.service import BugPage
from bugrelay.domain.bugs.search.some_words import SomeWords
from bugrelay.domain.bugs.similar.finder import find_matches
from bugrelay.domain.bugs.similar.query import RANKING, SEARCH_RANKING, Question, Ranking
from bugrelay.domain.bugs.similar.rebuild import rebuild
from bugrelay.domain.bugs.similar.tasks import fold_similar
from bugrelay.domain.importing import Lines, Summary, import_bugs
from bugrelay.domain.importing.reader import Line
from bugrelay.domain.moderation.service.merging import merge_bugs
from bugrelay.embedded import temporary
from bugrelay.errors import ServiceUnavailable
from bugrelay.infra.db.database import libpq_url
from bugrelay.infra.platform import Platform
from bugrelay.migrate import migrate
from bugrelay.settings import load_settings

PLACES = 20
SEARCH_LIMIT = 100  # results, which are grouped into families
BATCH = 500  # at most so many lines are imported together
FRESH = 2000  # reports between two updates of the planner's statistics
LEAST = timedelta(microseconds=1)
PASSWORD = "nobody signs in with this one"  # noqa: S105 - as it says

INGREDIENTS = {
    "without description": replace(RANKING, description=0),
    "without age": replace(RANKING, age=0),
    "without cover": replace(RANKING, cover=0),
    "without trigrams": replace(RANKING, trigrams=0),
    "without application": replace(RANKING, same_application=0),
    "words alone": Ranking(
        text=RANKING.text, description=RANKING.description, age=0, cover=0, trigrams=0, same_application=0
    ),
}

_BUGS = """
SELECT b.external_id, b.id, b.title, t.description, b.application_id::text, b.created_at
FROM bugs b JOIN bug_texts t ON t.bug_id = b.id
ORDER BY b.created_at, b.id
"""
_TOKENS = """
SELECT b.id, t.word, t.in_title, t.in_description
FROM bugs b, similar_tokens(similar_document(b.id)) AS t
"""


@dataclass(frozen=True)
class Report:
    """One line of BUGS, imported."""

    external_id: str
    id: UUID
    title: str
    description: str
    application_id: str
    created_at: datetime


Find = Callable[[Report], Awaitable[Sequence[UUID]]]
Searched = dict[str, list[UUID]]

# How a search may rank the bugs with some of the words; it has no description and no application.
SEARCHES = {
    "search": SEARCH_RANKING,
    "search, without age": replace(SEARCH_RANKING, age=0),
    "search, without trigrams": replace(SEARCH_RANKING, trigrams=0),
    "search, words alone": replace(SEARCH_RANKING, age=0, trigrams=0),
}
ALL_WORDS = "search, all words alone"


class Families:
    """Groups of reports that are linked by the pairs, in either direction."""

    def __init__(self, pairs: Sequence[dict[str, Any]]) -> None:
        self.duplicates = {pair["id"] for pair in pairs}
        self._parent: dict[str, str] = {}
        for pair in pairs:
            for other in (pair["master"], pair["root"]):
                self._parent[self.top(pair["id"])] = self.top(other)
        self._members: dict[str, list[Report]] = defaultdict(list)
        self._of: dict[UUID, str] = {}

    def add(self, reports: Sequence[Report]) -> None:
        """Add the reports of the board, ordered by date."""
        for report in reports:
            self._members[self.top(report.external_id)].append(report)
            self._of[report.id] = self.top(report.external_id)

    def top(self, external_id: str) -> str:
        while (above := self._parent.get(external_id, external_id)) != external_id:
            external_id = above
        return external_id

    def of(self, bug_id: UUID) -> str:
        return self._of[bug_id]

    def first(self, report: Report) -> Report:
        return self._members[self.of(report.id)][0]

    def larger(self) -> list[list[Report]]:
        """The families of several reports, each with its earliest report first."""
        return [members for members in self._members.values() if len(members) > 1]

    def place(self, report: Report, found: Sequence[UUID]) -> int:
        """The rank of the report's family among the families that were found, from 1; 0 if it was not found."""
        families = list(dict.fromkeys(self.of(bug_id) for bug_id in found))
        own = self.of(report.id)
        return families.index(own) + 1 if own in families else 0


@dataclass(frozen=True)
class Loaded:
    """The board with all reports.

    `asked` are the duplicates of an earlier report; `searched` has what each kind of search found just before their
    import, by external id.
    """

    platform: Platform
    reports: list[Report]
    families: Families
    asked: list[Report]
    searched: dict[str, Searched]


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.finding", description=__doc__)
    parser.add_argument("bugs", help="a file for `bugrelay import`")
    parser.add_argument("duplicates", help="pairs of external ids, one JSON object per line")
    options = parser.parse_args()
    uvloop.run(_run(options.bugs, options.duplicates))


async def _run(bugs: str, duplicates: str) -> None:
    pairs = [json.loads(line) for line in _lines(duplicates)]
    async with _loaded(bugs, Families(pairs)) as loaded:
        if not loaded.asked:
            raise SystemExit(f"{duplicates} has no duplicate of an earlier report of {bugs}")
        print(f"{len(loaded.reports):,} reports, {len(loaded.asked):,} duplicates of an earlier report\n")
        print("| asked with | R@1 | R@5 | R@10 | R@20 | MRR |\n|---|---|---|---|---|---|")
        titles, texts = await _bm25(loaded)
        await _print_row("search", loaded, _searching(loaded, "search"))
        await _print_row("search: BM25", loaded, titles)
        for way in [*SEARCHES, ALL_WORDS][1:]:
            await _print_row(way, loaded, _searching(loaded, way))
        await _merge(loaded)
        for kind, plain in (("title", titles), ("similar", texts)):
            described = kind == "similar"
            await _print_row(kind, loaded, _asking(loaded, described=described))
            await _print_row(f"{kind}: BM25", loaded, plain)
            for name, ranking in INGREDIENTS.items():
                if name == "without description" and not described:
                    continue
                await _print_row(
                    f"{kind}, {name}", loaded, _asking(loaded, described=described, ranking=ranking)
                )
        await _remove_merged(loaded)
        await _print_row(
            "similar, without the texts of merged duplicates", loaded, _asking(loaded, described=True)
        )


def _lines(path: str) -> Iterable[str]:
    with gzip.open(path, "rt") if path.endswith(".gz") else Path(path).open() as file:
        yield from file


@asynccontextmanager
async def _loaded(bugs: str, families: Families) -> AsyncIterator[Loaded]:
    """A board in new databases, which are deleted at the end."""
    with temporary() as urls:
        urls_by_name = {"DATABASE_URL": urls.database_url, "REDIS_URL": urls.redis_url}
        settings = load_settings({**ENVIRONMENT, **urls_by_name})
        migrate(settings)
        platform = build(settings)
        await platform.start()
        try:
            searched = await _import(platform, bugs, families)
            reports = [Report(*row) for row in await _rows(platform, _BUGS)]
            families.add(reports)
            asked = [
                one
                for one in reports
                if one.external_id in families.duplicates and families.first(one) is not one
            ]
            yield Loaded(platform, reports, families, asked, searched)
        finally:
            await platform.close()


def _nothing(*_: object) -> None:
    """Shows no progress."""


async def _import(platform: Platform, path: str, families: Families) -> dict[str, Searched]:
    """Import the reports, and search for each duplicate just before its import; returns the results by external id."""
    summary, board = Summary(), Board(platform)
    searched: dict[str, Searched] = {}
    seen: set[str] = set()
    waiting: list[Line] = []
    with Path(path).open("rb") as file:  # noqa: ASYNC230 - nobody else waits here
        for count, line in enumerate(Lines(file, size_bytes=None)):
            report = json.loads(line.content)
            top = families.top(report["external_id"])
            asks = top in seen and report["external_id"] in families.duplicates
            if asks or len(waiting) == BATCH:
                await import_bugs(
                    waiting, summary, database=platform.database, bus=platform.bus, on_batch=_nothing
                )
                waiting = []
            if asks:
                await fold_similar(platform)
                searched[report["external_id"]] = await _search(board, platform, report)
            if count % FRESH == 0:
                await _execute(platform, "ANALYZE")
            seen.add(top)
            waiting.append(line)
    await import_bugs(waiting, summary, database=platform.database, bus=platform.bus, on_batch=_nothing)
    await rebuild(platform, on_step=_nothing)
    await _execute(platform, "ANALYZE")
    say("\n".join(summary.lines()))
    return searched


async def _search(board: Board, platform: Platform, report: dict[str, Any]) -> Searched:
    """The results of each kind of search on the day of a report; none if a search exceeds its deadline."""
    at, found = datetime.fromisoformat(report["created_at"]), {}
    for way, ranking in SEARCHES.items():
        some_words = SomeWords(platform.computing, ranking, at)
        try:
            page = await board.page(search=report["title"], limit=SEARCH_LIMIT, some_words=some_words)
        except ServiceUnavailable:
            say(f"a search exceeded its deadline: {report['title']}")
            page = BugPage([], 0, "all")
        found[way] = [bug.id for bug in page.bugs]
    found[ALL_WORDS] = [] if page.ranked else found["search"][: page.total]
    return found


async def _execute(platform: Platform, statement: str) -> None:
    async with platform.work() as work:
        await work.set_timeouts(statement_seconds=60, lock_seconds=10)
        await work.session.execute(text(statement))


async def _rows(platform: Platform, statement: LiteralString) -> list[tuple[Any, ...]]:
    """All rows of a SELECT that takes longer than a request may."""
    url = libpq_url(platform.settings.database_url)
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return await (await connection.execute(statement)).fetchall()


async def _print_row(name: str, loaded: Loaded, find: Find) -> None:
    """Query every duplicate and print the row of the table."""
    places = [loaded.families.place(one, await find(one)) for one in loaded.asked]
    recalls = [sum(0 < place <= most for place in places) / len(places) for most in (1, 5, 10, PLACES)]
    rank = sum(1 / place for place in places if 0 < place <= PLACES) / len(places)
    print(f"| {name} | {' | '.join(f'{value:.3f}' for value in (*recalls, rank))} |", flush=True)


async def _bm25(loaded: Loaded) -> tuple[Find, Find]:
    """BM25 with titles, and with titles and descriptions."""
    position = {report.id: number for number, report in enumerate(loaded.reports)}
    bags: list[dict[str, int]] = [{} for _ in position]
    title_words: dict[UUID, list[str]] = defaultdict(list)
    for bug_id, word, in_title, in_description in await _rows(loaded.platform, _TOKENS):
        bags[position[bug_id]][word] = in_title + in_description
        if in_title:
            title_words[bug_id].append(word)
    index = Bm25(bags)

    def asked(words: Callable[[UUID], Iterable[str]]) -> Find:
        async def find(report: Report) -> Sequence[UUID]:
            before = position[report.id]
            best = index.best(words(report.id), before=before, limit=PLACES * 5)
            return [loaded.reports[one].id for one in best]

        return find

    return asked(lambda bug_id: title_words[bug_id]), asked(lambda bug_id: bags[position[bug_id]])


def _searching(loaded: Loaded, way: str) -> Find:
    """The title typed into the search, before the report exists."""

    async def find(report: Report) -> Sequence[UUID]:
        return loaded.searched.get(report.external_id, {}).get(way, [])

    return find


def _asking(loaded: Loaded, *, described: bool, ranking: Ranking = RANKING) -> Find:
    """Similar bugs, as of the day of the report."""
    platform = loaded.platform

    async def find(report: Report) -> Sequence[UUID]:
        question = Question(
            title=report.title,
            description=report.description if described else "",
            application_ids=frozenset({report.application_id}),
            at=report.created_at,
            until=report.created_at - LEAST,
        )
        async with platform.database.reading() as reader, reader.snapshot():
            found = await find_matches(reader, platform.computing, question, limit=PLACES, ranking=ranking)
        return [UUID(one.bug_id) for one in found]

    return find


async def _merge(loaded: Loaded) -> None:
    """Merge each family into its earliest report, as a moderator does."""
    platform = loaded.platform
    async with platform.work() as work:
        wanted = Register(email="moderator@bench.example", username="moderator", password=PASSWORD)
        moderator = await create_user(work, wanted, password_hash="-", is_admin=True)  # noqa: S106 - nobody signs in
    for first, *others in loaded.families.larger():
        for other in others:
            async with platform.work() as work:
                await merge_bugs(
                    work, moderator.id, source_id=other.id, target_id=first.id, reason="the same"
                )


async def _remove_merged(loaded: Loaded) -> None:
    """Remove the merged duplicates, so that only the words of the survivors are left."""
    await _execute(loaded.platform, "UPDATE bugs SET removed_at = now() WHERE merged_into_id IS NOT NULL")
    await fold_similar(loaded.platform)


if __name__ == "__main__":
    main()
