"""A board of any size, identical for the same size: companies, applications, users, bugs, votes, comments.

Rows are written by COPY without triggers and secondary indexes, in blocks of bugs with their votes and comments;
counters are computed from the rows. What triggers maintain is built at the end by `search_rebuild()` of the database.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray

from benchmarks.vocabulary import HEAD, STOP_WORDS, Indexes, Vocabulary
from bugrelay.infra.text.names import name_key

VERSION = 1  # of the rows; with another version stored boards are generated again
SEED = 7
BLOCK = 10_000  # bugs per block
NOW = np.datetime64("2026-11-01T00:00:00", "us")  # of the board: every run generates the same rows
YEARS = 4
RECENT_DAYS = 30
DAY_US = 86_400_000_000

LOADED = ("companies", "applications", "users", "bugs", "bug_texts", "bug_votes", "comments", "bug_search")

STARTED = time.monotonic()

Moments = NDArray[np.datetime64]


@dataclass(frozen=True)
class Sizes:
    """How many rows of each kind a board of `bugs` bugs has; votes and comments are averages."""

    bugs: int

    @property
    def companies(self) -> int:
        return max(50, self.bugs // 200)

    @property
    def applications(self) -> int:
        return max(200, self.bugs // 50)

    @property
    def users(self) -> int:
        return max(500, self.bugs // 5)

    @property
    def votes(self) -> int:
        return self.bugs * 4

    @property
    def comments(self) -> int:
        return self.bugs * 2


def generate(url: str, bugs: int) -> dict[str, Any]:
    """Fill the tables of a migrated, empty database.

    Args:
        url: The database, for a superuser.
        bugs: How many bugs.

    Returns:
        Values for requests: words by the number of bugs that have them, tags, parts of applications' names.
    """
    board = _Board(Sizes(bugs))
    with psycopg.connect(url, autocommit=True) as connection:
        indexes = _drop_indexes(connection)
        _copy_small_tables(url, board)
        _copy_bugs(url, board)
        say("rows are in; search documents …")
        connection.execute("SELECT search_rebuild()")
        say("search documents are in; indexes …")
    _create_indexes(url, indexes)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE, FREEZE)")
    say(f"{bugs:,} bugs are ready")
    return board.request_words()


def say(text: str) -> None:
    """Print progress with the seconds since the start, to standard error."""
    print(f"bench: {time.monotonic() - STARTED:4.0f} s  {text}", file=sys.stderr, flush=True)


class _Board:
    """All random values that are drawn before the first bug is written."""

    def __init__(self, sizes: Sizes) -> None:
        rng = np.random.default_rng(SEED)
        self.rng = rng
        self.sizes = sizes
        self.vocabulary = Vocabulary(rng)
        self.document_counts: Indexes = np.zeros(len(self.vocabulary.words), dtype=np.int64)
        self.company_ids = [_id(1, i) for i in range(sizes.companies)]
        self.application_ids = [_id(2, i) for i in range(sizes.applications)]
        self.user_ids = [_id(3, i) for i in range(sizes.users)]
        self.company_names = self._names(sizes.companies, ("Labs", "Inc", "Software", "Systems", "Group"))
        endings = ("", "Mobile", "Pro", "Web", "Desktop", "Studio", "API", "Cloud")
        self.application_names = self._names(sizes.applications, endings)
        shares = rng.pareto(1.1, sizes.applications) * sizes.companies / 12
        self.application_companies = np.minimum(shares.astype(np.int64), sizes.companies - 1)
        self.tags = [*HEAD, *(f"{a}-{b}" for a in HEAD[:20] for b in HEAD[40:60])][:500]
        self.tag_shares = _shares(len(self.tags), offset=3, power=0.9)
        self.application_shares = _shares(sizes.applications, offset=8, power=0.95)
        span = YEARS * 365 * DAY_US
        self.created = np.sort(NOW - (span * rng.random(sizes.bugs) ** 1.4).astype("timedelta64[us]"))
        drawn = np.minimum((rng.pareto(1.15, sizes.bugs) * 1.6).astype(np.int64), sizes.users // 3)
        self.votes = np.round(drawn * min(1.0, sizes.votes / max(1, drawn.sum()))).astype(np.int64)
        mean = 0.4 + 0.6 * (self.votes + 1) / (self.votes.mean() + 1)
        self.comments = np.minimum(rng.poisson(sizes.comments / sizes.bugs * mean), 400)

    def _names(self, count: int, endings: Sequence[str]) -> list[str]:
        words = self.vocabulary.spelled(self.vocabulary.draw(self.rng, count * 2) % 20_000 + 150)
        pairs = zip(words[::2], words[1::2], strict=True)
        return [
            f"{first.capitalize()} {second.capitalize()} {endings[i % len(endings)]}".strip()
            for i, (first, second) in enumerate(pairs)
        ]

    def request_words(self) -> dict[str, Any]:
        """Words by the share of bugs that have them, and other values for requests."""
        shares = {"common": 0.3, "mid": 0.05, "medium": 0.005, "rare": 0.000_075}
        words = {name: self._words_in(max(5.0, share * self.sizes.bugs)) for name, share in shares.items()}
        part = self.application_names[self.sizes.applications // 4].split()[0].lower()
        return {
            "version": VERSION,
            "bugs": self.sizes.bugs,
            "words": words,
            "tags": self.tags[:12],
            "applications": {"broad": "mobile", "narrow": part},
        }

    def _words_in(self, target: float) -> list[str]:
        """The six words whose number of bugs is nearest to the target, without stop words."""
        first = len(STOP_WORDS)
        nearest = np.argsort(np.abs(self.document_counts[first:] - target), kind="stable")[:6]
        return [self.vocabulary.words[first + int(i)] for i in nearest]


def _id(kind: int, number: int) -> str:
    return str(UUID(int=(kind << 96) | (0x7000 << 64) | (2 << 62) | number))


def _bug_ids(created: Moments, first: int) -> list[str]:
    """UUIDs of version 7: the time, then the bug's number, mixed so that ids of one millisecond differ."""
    milliseconds = created.astype("datetime64[ms]").astype(np.int64).tolist()
    return [
        str(UUID(int=(ms << 80) | (0x7 << 76) | (0x2 << 62) | ((first + i) * 2_654_435_761 % (1 << 62))))
        for i, ms in enumerate(milliseconds)
    ]


def _shares(count: int, *, offset: float, power: float) -> NDArray[np.float64]:
    weights = 1 / (np.arange(count) + offset) ** power
    summed: NDArray[np.float64] = np.cumsum(weights / weights.sum())
    return summed


def _picked(rng: np.random.Generator, shares: NDArray[np.float64], count: int) -> list[int]:
    picked: list[int] = np.minimum(np.searchsorted(shares, rng.random(count)), len(shares) - 1).tolist()
    return picked


def _stamps(moments: Moments) -> list[str]:
    stamps: list[str] = [f"{stamp}+00" for stamp in np.datetime_as_string(moments, unit="us").tolist()]
    return stamps


# --- COPY -------------------------------------------------------------------------------------------------------------


@contextmanager
def _copying(url: str, table: str, columns: str) -> Iterator[Callable[[str], None]]:
    """Yields a function that writes lines into a table, on a separate connection without triggers."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET synchronous_commit = off")
        with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
            yield copy.write


def _copy_small_tables(url: str, board: _Board) -> None:
    with _copying(url, "companies", "id, name, domain, verified") as write:
        for i, (company_id, name) in enumerate(zip(board.company_ids, board.company_names, strict=True)):
            write(f"{company_id}\t{name}\tcompany{i}.example\t{'t' if i % 3 else 'f'}\n")
    with _copying(url, "applications", "id, name, name_key, domain, url, company_id") as write:
        companies = board.application_companies.tolist()
        for i, (application_id, name) in enumerate(
            zip(board.application_ids, board.application_names, strict=True)
        ):
            domain = f"app{i}.example"
            company_id = board.company_ids[companies[i]]
            write(f"{application_id}\t{name}\t{name_key(name)}\t{domain}\thttps://{domain}\t{company_id}\n")
    with _copying(url, "users", "id, email, email_key, username, is_email_verified") as write:
        for i, user_id in enumerate(board.user_ids):
            write(f"{user_id}\tuser{i}@people.example\tuser{i}@people.example\tuser{i}\tt\n")


_BUG_COLUMNS = (
    "id, title, status, priority, tags, application_id, assigned_company_id, reporter_id, vote_count,"
    " recent_vote_count, comment_count, created_at, updated_at, resolved_at"
)
_TEXT_COLUMNS = "bug_id, description, description_html, operating_system, device_type, app_version"
_COMMENT_COLUMNS = (
    "id, bug_id, user_id, company_id, content, content_html, is_company_response, created_at, updated_at"
)
_SYSTEMS = ("iOS 19.2", "Android 16", "Windows 11", "macOS 26.1", "Ubuntu 26.04")


def _copy_bugs(url: str, board: _Board) -> None:
    """Bugs, texts, votes and comments in parallel: four backends write while the next block is generated."""
    with ExitStack() as stack:
        writers = [
            stack.enter_context(_copying(url, "bugs", _BUG_COLUMNS)),
            stack.enter_context(_copying(url, "bug_texts", _TEXT_COLUMNS)),
            stack.enter_context(
                _copying(url, "bug_votes", "bug_id, user_id, created_at, is_recent, counted")
            ),
            stack.enter_context(_copying(url, "comments", _COMMENT_COLUMNS)),
        ]
        for first in range(0, board.sizes.bugs, BLOCK):
            block = _Block(board, first)
            for write, lines in zip(writers, block.lines(), strict=True):
                write(lines)
            if first // BLOCK % 10 == 0:
                say(f"{block.last:,} of {board.sizes.bugs:,} bugs")


class _Block:
    """Some thousand bugs in the order of their time, with their texts, votes and comments."""

    def __init__(self, board: _Board, first: int) -> None:
        self.board = board
        self.rng = board.rng
        self.first, self.last = first, min(first + BLOCK, board.sizes.bugs)
        self.count = self.last - first
        self.created = board.created[first : self.last]
        self.stamps = _stamps(self.created)
        self.ids = _bug_ids(self.created, first)
        self.votes = board.votes[first : self.last]
        self.comments = board.comments[first : self.last]
        self.applications = _picked(self.rng, board.application_shares, self.count)

    def lines(self) -> tuple[str, str, str, str]:
        """Lines for bugs, bug_texts, bug_votes and comments."""
        votes, recent_votes = self._vote_lines()
        titles, descriptions = self._texts()
        return (
            self._bug_lines(titles, recent_votes),
            self._text_lines(descriptions),
            votes,
            self._comment_lines(),
        )

    def _texts(self) -> tuple[list[str], list[str]]:
        rng, vocabulary = self.rng, self.board.vocabulary
        title_lengths = np.clip(rng.normal(7, 2, self.count), 3, 16).astype(np.int64)
        text_lengths = np.clip(rng.lognormal(4.05, 0.6, self.count), 8, 600).astype(np.int64)
        title_words = vocabulary.draw(rng, int(title_lengths.sum()), title=True)
        text_words = vocabulary.draw(rng, int(text_lengths.sum()))
        bugs = np.arange(self.count)
        places = np.concatenate([np.repeat(bugs, title_lengths), np.repeat(bugs, text_lengths)])
        self._count_documents(places, np.concatenate([title_words, text_words]))
        titles = _sentences(vocabulary.spelled(title_words), title_lengths.tolist(), max_characters=255)
        texts = _sentences(vocabulary.spelled(text_words), text_lengths.tolist(), max_characters=5000)
        return titles, texts

    def _count_documents(self, places: Indexes, words: Indexes) -> None:
        size = len(self.board.vocabulary.words)
        pairs = np.sort(places * size + words)
        each_once = pairs[np.diff(pairs, prepend=-1) > 0] % size
        self.board.document_counts += np.bincount(each_once, minlength=size)

    def _bug_lines(self, titles: list[str], recent_votes: list[int]) -> str:
        board, rng = self.board, self.rng
        statuses = np.searchsorted([0.55, 0.67, 0.92], rng.random(self.count)).tolist()
        priorities = np.searchsorted([0.2, 0.7, 0.93], rng.random(self.count)).tolist()
        tag_counts = np.searchsorted([0.15, 0.4, 0.7, 0.9, 0.97], rng.random(self.count)).tolist()
        tags = iter(_picked(rng, board.tag_shares, sum(tag_counts)))
        anonymous = (rng.random(self.count) < 0.3).tolist()  # noqa: PLR2004 - three of ten
        reporters = rng.integers(0, board.sizes.users, self.count).tolist()
        votes, comments = self.votes.tolist(), self.comments.tolist()
        lines = []
        for i, title in enumerate(titles):
            status = ("open", "reviewing", "fixed", "wont_fix")[statuses[i]]
            stamp = self.stamps[i]
            application = self.applications[i]
            own_tags = ",".join(dict.fromkeys(board.tags[next(tags)] for _ in range(tag_counts[i])))
            fields = (
                self.ids[i],
                title,
                status,
                ("low", "medium", "high", "critical")[priorities[i]],
                f"{{{own_tags}}}",
                board.application_ids[application],
                board.company_ids[board.application_companies[application]],
                r"\N" if anonymous[i] else board.user_ids[reporters[i]],
                str(votes[i]),
                str(recent_votes[i]),
                str(comments[i]),
                stamp,
                stamp,
                stamp if status in ("fixed", "wont_fix") else r"\N",
            )
            lines.append("\t".join(fields))
        return "\n".join(lines) + "\n"

    def _text_lines(self, descriptions: list[str]) -> str:
        return "".join(
            f"{self.ids[i]}\t{text}\t<p>{text}</p>\\n\t{_SYSTEMS[i % 5]}\tPhone {i % 12}\t{1 + i % 9}.{i % 7}.0\n"
            for i, text in enumerate(descriptions)
        )

    def _vote_lines(self) -> tuple[str, list[int]]:
        """The lines, and the number of recent votes of each bug."""
        rng, users = self.rng, self.board.user_ids
        total = int(self.votes.sum())
        owners = np.repeat(np.arange(self.count), self.votes)
        age_us = (NOW - self.created).astype(np.int64)[owners]
        after_us = np.minimum(rng.exponential(100 * DAY_US, total), age_us * rng.random(total))
        cast = self.created[owners] + after_us.astype("timedelta64[us]")
        recent = cast > NOW - np.timedelta64(RECENT_DAYS * DAY_US, "us")
        # From a first voter in steps of a prime number: no user twice, as there are fewer votes than users.
        first_voters = rng.integers(0, len(users), self.count)[owners]
        steps = np.arange(total) - np.repeat(np.cumsum(self.votes) - self.votes, self.votes)
        voters = ((first_voters + 7919 * steps) % len(users)).tolist()
        rows = zip(owners.tolist(), voters, _stamps(cast), recent.tolist(), strict=True)
        lines = "".join(
            f"{self.ids[bug]}\t{users[user]}\t{stamp}\t{'t' if is_recent else 'f'}\tt\n"
            for bug, user, stamp, is_recent in rows
        )
        return lines, np.bincount(owners[recent], minlength=self.count).tolist()

    def _comment_lines(self) -> str:
        rng, board = self.rng, self.board
        total = int(self.comments.sum())
        owners = np.repeat(np.arange(self.count), self.comments)
        lengths = np.clip(rng.lognormal(2.9, 0.6, total), 3, 200).astype(np.int64)
        words = board.vocabulary.spelled(board.vocabulary.draw(rng, int(lengths.sum())))
        texts = _sentences(words, lengths.tolist(), max_characters=2000)
        after = rng.exponential(20 * DAY_US, total).astype("timedelta64[us]")
        written = np.minimum(self.created[owners] + after, NOW)
        authors = rng.integers(0, len(board.user_ids), total).tolist()
        lines = []
        for number, (bug, stamp) in enumerate(zip(owners.tolist(), _stamps(written), strict=True)):
            company = board.application_companies[self.applications[bug]]
            response = number % 17 == 0
            fields = (
                _id(4 + self.first // BLOCK, number),
                self.ids[bug],
                board.user_ids[authors[number]],
                board.company_ids[company] if response else r"\N",
                texts[number],
                f"<p>{texts[number]}</p>\\n",
                "t" if response else "f",
                stamp,
                stamp,
            )
            lines.append("\t".join(fields))
        return "\n".join(lines) + "\n" if lines else ""


def _sentences(words: list[str], lengths: list[int], *, max_characters: int) -> list[str]:
    sentences = []
    at = 0
    for length in lengths:
        sentence = " ".join(words[at : at + length])[:max_characters].rstrip()
        sentences.append(sentence[0].upper() + sentence[1:])
        at += length
    return sentences


# --- indexes ----------------------------------------------------------------------------------------------------------

_SECONDARY = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
WHERE indrelid = ANY(%s::regclass[]) AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""


def _drop_indexes(connection: psycopg.Connection[Any]) -> list[str]:
    """Drop the indexes that belong to no constraint; returns the statements that create them again."""
    indexes = connection.execute(_SECONDARY, ([*LOADED],)).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    return [definition for _, definition in indexes]


def _create_indexes(url: str, definitions: list[str]) -> None:
    """Two at a time, beginning with the search index, which takes as long as several others."""
    definitions = sorted(definitions, key=lambda definition: "USING gin (document" not in definition)

    def create(definition: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET maintenance_work_mem = '512MB'")
            connection.execute(definition)

    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(create, definitions):
            pass
