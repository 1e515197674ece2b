"""What a search shows behind the bugs with all of its words: those with some, by the ranking of similar bugs.

What was typed is asked for as the title of a report is, so merged bugs are found by their own words, and what is not
indexed yet is found as well. docs/adr/0005.
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

MAX_LISTED = 200  # bugs of a search, those with all words among them
MIN_WORDS = 3  # of a search, for more than the bugs with all words to be shown
CURSOR_ORDER = "relevance, some"
NOBODY = UUID(int=0)  # the first page begins after it


@dataclass(frozen=True)
class SomeWords:
    """How bugs with some of the words are found.

    Attributes:
        threads: Where sums are done.
        ranking: The weights.
        at: From when ages are counted; later reports are left out. Now, where nothing is said.
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
        """The ids of the bugs with some of the words, best first, without those that have all.

        Args:
            reader: Where bugs are read.
            wanted: The search.
            hits: How many bugs have all words.
            shown: Those of them that are on the page: where these are all, no statement asks for them.
            at: As above.
            page_end: How many bugs there are up to the end of the page; those far behind it may be left out. By default
                none is.
        """
        search, filters = wanted.search, wanted.spec.filters
        assert search is not None  # noqa: S101 - of a list without a search nothing is asked
        # Where no bug has all words, the total is that of all of these; else one more tells that others follow.
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
    """Whether bugs with some of the words are shown behind so many with all of them."""
    search = wanted.search
    if search is None or not search.lexemes:
        return False
    if hits == 0:
        return len(search.lexemes) > 1
    return wanted.spec.is_ranked and search.words >= MIN_WORDS and hits < MAX_LISTED


def _question(search: SearchQuery, at: datetime) -> Question:
    return Question(title=search.text, description="", application_ids=frozenset(), at=at, until=at)


async def _listed(reader: SnapshotReader, wanted: BoundQuery, found: list[str]) -> list[str]:
    """Those that the filters let through, and what was excluded or put in quotes."""
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


# --- where a page begins ----------------------------------------------------------------------------------------------


class Position(NamedTuple):
    """Where a page begins.

    Attributes:
        at: When the first page was asked for, so that ages are the same on every page.
        place: How many bugs are before it.
        behind: The last of these.
    """

    at: datetime
    place: int = 0
    behind: UUID = NOBODY

    def first(self, found: Sequence[str]) -> int:
        """The index of the first bug of the page: behind the same bug as before or, if that is gone, in its place."""
        if str(self.behind) in found:
            return found.index(str(self.behind)) + 1
        return max(0, self.place - 1)

    def cursor(self, page: int, *, found: Sequence[str], place: int) -> str:
        """Leads to the page behind the first bugs."""
        behind = found[place - 1] if place else NOBODY
        return encoded_cursor(CURSOR_ORDER, page, [self.at, place, behind])


def position_of(text: str | None) -> Position | None:
    """What a cursor says; None for one that leads to bugs with all words, or is of another list.

    Raises:
        ValidationFailed: It is made up.
    """
    cursor = decoded_cursor(text) if text else None
    if cursor is None or cursor.order != CURSOR_ORDER:
        return None
    at, place, behind = cursor.keys_of(CURSOR_ORDER, [datetime, int, UUID])
    if at.tzinfo is None:
        raise ValidationFailed.of("cursor", NO_CURSOR)
    return Position(at, place, behind)
