"""The stored databases of a benchmark, `var/bench-<bugs>`, filled once, and the settings of what runs on them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import uvloop
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import text

from benchmarks.generate import VERSION, generate, say
from bugrelay.bootstrap import build
from bugrelay.domain.bugs.similar.rebuild import rebuild
from bugrelay.domain.bugs.similar.tasks import fold_similar
from bugrelay.embedded import running
from bugrelay.infra.db.database import libpq_url
from bugrelay.infra.db.query import Query
from bugrelay.migrate import migrate
from bugrelay.settings import Settings, load_settings

ROOT = Path(__file__).parents[1]
TITLES = 200

_UNINDEXED = Query(
    text(
        "SELECT (SELECT count(*) FROM similar_docs) < 0.99 * (SELECT count(*) FROM bugs WHERE removed_at IS NULL)"
    ),
    bool,
)
_PENDING = Query(text("SELECT EXISTS (SELECT FROM similar_pending)"), bool)

# Differences from a new installation: no rate limits and no captcha.
ENVIRONMENT = {
    "SECRET_KEY": "a key for benchmarks only, of no value at all",
    "CAPTCHA": "off",
    "RATE_LIMIT_GENERAL": "off",
    "RATE_LIMIT_BUG_SUBMISSION": "off",
    "RATE_LIMIT_SIGN_IN": "off",
    "RATE_LIMIT_MAIL": "off",
    "RATE_LIMIT_SIMILAR": "off",
    "RATE_LIMIT_FEEDS": "off",
    "ISSUE_REPORT_RATE_LIMIT": "off",
    "NEW_APPLICATIONS_PER_DAY": "off",
    "ACCESS_TOKEN_MINUTES": "1000",
    "HOST": "127.0.0.1",
    # The issuer of tokens, the same for every port.
    "PUBLIC_URL": "http://bench.example",
}


@dataclass(frozen=True)
class Home:
    """A filled board with running databases. `environment` is what a server needs to serve it."""

    bugs: int
    directory: Path
    settings: Settings
    environment: dict[str, str]
    request_words: dict[str, Any]

    @property
    def url(self) -> str:
        """The URL for psycopg, as superuser."""
        return libpq_url(self.settings.database_url)

    def words(self, kind: str) -> list[str]:
        """Words that are `common`, `mid`, `medium` or `rare`, and whole titles under `title`."""
        words: list[str] = self.request_words["words"][kind]
        return words


@contextmanager
def opened(bugs: int) -> Iterator[Home]:
    """The databases of this size, started and filled, for the duration of the block.

    They run as in `make run`: durable, with the same settings of PostgreSQL.
    """
    directory = ROOT / "var" / f"bench-{bugs}"
    environment = {**ENVIRONMENT, "BUGRELAY_HOME": str(directory)}
    with running(load_settings(environment)) as settings:
        request_words = _filled(settings, directory / "board.json", bugs)
        uvloop.run(_indexed(settings))
        request_words["words"]["title"] = _titles(settings)
        urls = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}
        yield Home(bugs, directory, settings, environment | urls, request_words)


def _filled(settings: Settings, stamp: Path, bugs: int) -> dict[str, Any]:
    """The stamp of a complete board; without one the board is generated again."""
    if stamp.exists():
        kept: dict[str, Any] = json.loads(stamp.read_text())
        if kept["version"] == VERSION:
            migrate(settings)
            _delete_changes(settings)
            return kept
        stamp.unlink()
    say(f"generating a board of {bugs:,} bugs, stored in {stamp.parent}")
    url = libpq_url(settings.database_url)
    with psycopg.connect(make_conninfo(**_in_database(url, "postgres")), autocommit=True) as connection:
        connection.execute("DROP DATABASE bugrelay WITH (FORCE)")
        connection.execute("CREATE DATABASE bugrelay")
    migrate(settings)
    made = generate(url, bugs)
    stamp.write_text(json.dumps(made, indent=1))
    return made


def _delete_changes(settings: Settings) -> None:
    """Delete the log of changes, as the worker that trims it does not run here; old totals are of another era."""
    with psycopg.connect(libpq_url(settings.database_url)) as connection:
        connection.execute("TRUNCATE bug_search_changes")
        connection.execute("UPDATE bug_search_era SET era = gen_random_uuid()")


async def _indexed(settings: Settings) -> None:
    """The index of similar bugs, complete: rebuilt if bugs are missing, otherwise only brought up to date."""
    platform = build(settings)
    await platform.start()
    try:
        if await platform.database.row(_UNINDEXED):
            say("the index of similar bugs")
            await rebuild(platform, on_step=_say_steps)
        while await platform.database.row(_PENDING):
            await fold_similar(platform)
    finally:
        await platform.close()
    with psycopg.connect(libpq_url(settings.database_url), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE similar_words, similar_docs, similar_blocks, similar_pending")


def _say_steps(done: int, steps: int) -> None:
    if done % 100 == 0:
        say(f"{done} of {steps} steps")


def _titles(settings: Settings) -> list[str]:
    """Whole titles as users paste them: of one bug, and halves of two titles, whose words no bug has all."""
    with psycopg.connect(libpq_url(settings.database_url)) as connection:
        rows = connection.execute("SELECT title FROM bugs ORDER BY id LIMIT %s", (TITLES,)).fetchall()
    titles = [row[0].split() for row in rows]
    mixed = (
        one[: len(one) // 2] + other[len(other) // 2 :] for one, other in pairwise(titles[: TITLES // 2 + 1])
    )
    return [" ".join(words) for words in (*titles[TITLES // 2 :], *mixed)]


def _in_database(url: str, name: str) -> dict[str, Any]:
    return {**conninfo_to_dict(url), "dbname": name}
