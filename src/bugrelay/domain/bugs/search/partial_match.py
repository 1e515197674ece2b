"""What a search gives that no bug matches in full: the bugs with most of its words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bugrelay.domain.bugs.search.parser import SearchQuery, any_of
from bugrelay.domain.bugs.search.planner import BoundQuery
from bugrelay.domain.bugs.search.statements import WORD_HITS, most_words_query
from bugrelay.infra.db.query import Reader

MAX_CANDIDATES = 20_000  # bugs looked at, about


async def partial_match(reader: Reader, wanted: BoundQuery, search: SearchQuery) -> BoundQuery | None:
    """Bugs with at least half of the words, or, where none has, with as many as any bug has; None when none has one."""
    hits = {row.word: row.hits for row in await reader.rows(WORD_HITS, {"words": list(search.lexemes)})}
    candidates = any_of(rarest(search.lexemes, hits))
    if search.excluded:
        candidates = f"({candidates}) & {search.excluded}"
    values = {**wanted.values, "search": candidates}
    most = await reader.row(most_words_query(wanted.spec), values)
    if not most:
        return None
    half = -(-wanted.spec.words // 2)
    return replace(
        wanted,
        spec=replace(wanted.spec, partial=True),
        values={**values, "at_least": min(most, half)},
    )


def rarest(lexemes: tuple[str, ...], hits: Mapping[str, float]) -> tuple[str, ...]:
    """The words that candidates are found by: the rarest first, while they are expected to be few enough.

    A word that the statistics do not name is rare. The commonest words of a pasted sentence tell nothing about its
    twin, and would bring in most of the board.

    Args:
        lexemes: Of the search, at least one.
        hits: How many bugs have a word, about.
    """
    first, *others = sorted(lexemes, key=lambda lexeme: hits.get(lexeme, 0))
    chosen, expected = [first], hits.get(first, 0)
    for lexeme in others:
        expected += hits.get(lexeme, 0)
        if expected > MAX_CANDIDATES:
            break
        chosen.append(lexeme)
    return tuple(chosen)
