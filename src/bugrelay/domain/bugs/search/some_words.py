"""Bugs with some of the words of a search, which follow those with all words, by the ranking of similar bugs.

The search is used like the title of a report, so merged bugs are found by their own words, and pending bugs are found
as well. docs/adr/0005.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from bugrelay.domain.bugs.search.planner import BoundQuery
from bugrelay.domain.bugs.search.statements import all_words_query, listed_query, numbers_query
from bugrelay.domain.bugs.similar.finder import Filter, find_ranked
from bugrelay.domain.bugs.similar.query import SEARCH_RANKING, Question, Ranking
from bugrelay.errors import ValidationFailed
from bugrelay.infra.db.query import SnapshotReader
from bugrelay.infra.pagination import NO_CURSOR, decoded_cursor, encoded_cursor
from bugrelay.infra.search.parser import SearchQuery
from bugrelay.infra.threads import BoundedThreads

MAX_LISTED = 200  # results of a search, including those with all words
MIN_WORDS = 3  # of a search with some matches of all words, for bugs with some of the words to follow
CURSOR_ORDER = "relevance, some"
NOBODY = UUID(int=0)  # the first page begins after it


@dataclass(frozen=True)
class SomeWords:
    """Finds bugs with some of the words.

    Attributes:
        threads: The threads for large sums.
        ranking: The weights.
        at: The time from which ages are computed; later reports are left out. The current time by default.
    """

    threads: BoundedThreads
    ranking: Ranking = SEARCH_RANKING
    at: datetime | None = None

    async def ranked(
        self,
        reader: SnapshotReader,
        wanted: BoundQuery,
        *,
        hits: int,
        shown: Sequence[str],
        at: datetime,
        page_end: int | None = None,
    ) -> list[str]:
        """The ids of bugs with some of the words, best first, without those that have all.

        Args:
            reader: The connection for bugs.
            wanted: The search.
            hits: The number of bugs with all words.
            shown: The ids of those of them on the page; if these are all, they need not be read.
            at: The time from which ages are computed.
            page_end: The number of bugs up to the end of the page; bugs far after it may be left out. By default
                all are returned.
        """
        search, filters = wanted.search, wanted.spec.filters
        assert search is not None  # noqa: S101 - it is called for searches only
        # If no bug has all words, the total counts all of these; else one bug after the page tells that others follow.
        is_whole = hits == 0 or filters or search.required
        found = await find_ranked(
            reader,
            self.threads,
            _question(search, at),
            words=search.indexed,
            within=Filter(numbers_query(filters), wanted.values) if filters else None,
            enough=None if page_end is None or is_whole else page_end + 1,
            ranking=self.ranking,
        )
        found = await _listed(reader, wanted, found)
        with_all = frozenset(shown)
        if hits > len(with_all):
            with_all = await _with_all_words(reader, wanted)
        return [bug_id for bug_id in found if bug_id not in with_all][: max(0, MAX_LISTED - hits)]


def follow(wanted: BoundQuery, *, hits: int) -> bool:
    """Whether bugs with some of the words follow, if `hits` bugs have all of them."""
    search = wanted.search
    if search is None or not search.lexemes:
        return False
    return hits == 0 or (wanted.spec.is_ranked and search.words >= MIN_WORDS and hits < MAX_LISTED)


def _question(search: SearchQuery, at: datetime) -> Question:
    return Question(title=search.text, description="", application_ids=frozenset(), at=at, until=at)


async def _listed(reader: SnapshotReader, wanted: BoundQuery, found: list[str]) -> list[str]:
    """The ids in `found` whose bugs pass the filters, excluded words and quoted phrases, in the same order."""
    required = wanted.search.required if wanted.search else ""
    if not (found and (required or wanted.spec.filters)):
        return found
    query = listed_query(wanted.spec.filters, required=bool(required))
    ids = f"{{{','.join(found)}}}"
    listed = set(await reader.rows(query, {**wanted.values, "required": required, "ids": ids}))
    return [bug_id for bug_id in found if bug_id in listed]


async def _with_all_words(reader: SnapshotReader, wanted: BoundQuery) -> frozenset[str]:
    query = all_words_query(wanted.spec.counted)
    return frozenset(await reader.rows(query, {**wanted.values, "limit": MAX_LISTED}))


# --- cursors ----------------------------------------------------------------------------------------------------------


class Position(NamedTuple):
    """The position of a page in the ranking.

    Attributes:
        at: The time of the first page, so that ages are the same on every page.
        offset: The number of bugs before the page.
        after: The last of these.
    """

    at: datetime
    offset: int = 0
    after: UUID = NOBODY

    def first(self, found: Sequence[str]) -> int:
        """The index of the page's first bug: after the last one of the previous page or, if that is gone, at its
        index."""
        if str(self.after) in found:
            return found.index(str(self.after)) + 1
        return max(0, self.offset - 1)

    def cursor(self, page: int, *, found: Sequence[str], offset: int) -> str:
        """The cursor of the page with this number, which begins after the first `offset` bugs of `found`."""
        after = found[offset - 1] if offset else NOBODY
        return encoded_cursor(CURSOR_ORDER, page, [self.at, offset, after])


def position_of(text: str | None) -> Position | None:
    """The position in a cursor; None without a cursor, or for one of bugs with all words or of another list.

    Raises:
        ValidationFailed: The cursor is invalid.
    """
    cursor = decoded_cursor(text) if text else None
    if cursor is None or cursor.order != CURSOR_ORDER:
        return None
    at, offset, after = cursor.keys_of(CURSOR_ORDER, [datetime, int, UUID])
    if at.tzinfo is None:
        raise ValidationFailed.of("cursor", NO_CURSOR)
    return Position(at, offset, after)
