"""Find similar bugs: candidates from the index and from pending bugs, ranked again by more features.

Everything is read in one snapshot, or in one state of the index, so that a bug is found once while it is being folded.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from itertools import islice
from math import log, log1p
from typing import Any

from msgspec import structs

from bugrelay.domain.bugs.similar import statements
from bugrelay.domain.bugs.similar.query import (
    MAX_PENDING,
    RANKING,
    SEARCH_RANKING,
    Question,
    Ranking,
    Term,
    Totals,
    weighed,
)
from bugrelay.domain.bugs.similar.scoring import BestDocuments, best_documents
from bugrelay.domain.bugs.similar.statements import AskedWord, Block, Candidate, PendingText, RankedBugs
from bugrelay.infra.db.query import Query, Reader, SnapshotReader, Values
from bugrelay.infra.search.parser import MAX_TITLE_BYTES, WITHOUT_SPACES, beginning, quoted
from bugrelay.infra.threads import BoundedThreads

MAX_CANDIDATES = 300  # the best by text and age, which are ranked again
MAX_SEARCHED = 220  # the same for a search, which shows up to 200
MAX_COMPARED = 60  # the same whose titles are compared, for a search without filters
NEWEST_PENDING = 32
MAX_BYTES_HERE = 350_000  # of postings; adding up more is worth the half millisecond of a thread
RAREST_WORDS = 8  # the maximum by which a long queue or a filtered list is searched
MAX_FILTERED = 5000  # bugs with the rarest word, up to which a filtered list is searched as well
MAX_DESCRIPTION_BYTES = 5000  # that are used; more would cost time without finding more
MIN_STEM = 4  # characters; the last one of a stem may differ from the word (`happi`, `happy`)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WORD = re.compile(rf"[^\W_{WITHOUT_SPACES}]+")
_PART = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")  # begins here (search_parts.sql)
_DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Match:
    """A similar bug.

    Attributes:
        bug_id: The bug that is shown.
        matched_id: The bug whose words matched: the same, or one that was merged into it.
        matched_title: The title of that one.
        score: For sorting only.
        words: The matching words as they were typed, heaviest first.
        same_application: Whether it is in the application of the question.
        title_similarity: The trigram similarity of the titles, 0 to 1.
    """

    bug_id: str
    matched_id: str
    matched_title: str
    score: float
    words: tuple[str, ...]
    same_application: bool
    title_similarity: float


@dataclass(frozen=True)
class Filter:
    """A filtered list, whose bugs may not be among the best of the whole board.

    Attributes:
        numbers: SELECT of the numbers of the list's documents that match the tsquery `:rarest`.
        values: The values of its other parameters.
    """

    numbers: Query[int]
    values: Values


async def find_ranked(
    reader: SnapshotReader,
    threads: BoundedThreads,
    question: Question,
    *,
    words: Sequence[str],
    within: Filter | None,
    enough: int | None = None,
    ranking: Ranking = SEARCH_RANKING,
) -> list[str]:
    """The ids of the listed bugs that a search shows by the ranking, best first; a bug and what was merged into it make
    one result.

    There is no transaction, which saves two statements: if the index has changed between the statements, everything is
    read again in one snapshot.

    Args:
        reader: The connection.
        threads: The threads for large sums.
        question: The search.
        words: Its words as lexemes of documents.
        within: A filtered list from which more candidates are read; it does not exclude others.
        enough: How many of the best results are needed; all by default.
        ranking: The weights; cover and application are ignored.
    """
    finder = _Finder(reader, threads, question, ranking)
    found = await finder.ranked(words, within, enough=enough, in_snapshot=False)
    if found is None:
        async with reader.snapshot():
            found = await finder.ranked(words, within, enough=enough, in_snapshot=True)
    return found or []


async def find_matches(
    reader: Reader, threads: BoundedThreads, question: Question, *, limit: int, ranking: Ranking = RANKING
) -> list[Match]:
    """Listed bugs that are similar, best first; a bug and what was merged into it make one result.

    Args:
        reader: A connection in one snapshot.
        threads: The threads for large sums.
        question: The report.
        limit: The maximum number of results.
        ranking: The weights.
    """
    return await _Finder(reader, threads, question, ranking).matches(limit)


class _Finder:
    """The steps of one question."""

    def __init__(self, reader: Reader, threads: BoundedThreads, question: Question, ranking: Ranking) -> None:
        self._reader = reader
        self._threads = threads
        self._question = replace(
            question,
            title=beginning(question.title, MAX_TITLE_BYTES),
            description=beginning(question.description, MAX_DESCRIPTION_BYTES),
        )
        self._ranking = ranking

    async def matches(self, limit: int) -> list[Match]:
        values = {"title": self._question.title, "description": self._question.description}
        rows = await self._reader.rows(statements.ASKED_TEXTS, values)
        asked = await self._looked_up(rows, None, most=MAX_CANDIDATES)
        if asked is None:
            return []
        best = asked.families(await self._candidates(asked))
        return await self._explained(best[:limit], asked)

    async def ranked(
        self, words: Sequence[str], within: Filter | None, *, enough: int | None, in_snapshot: bool
    ) -> list[str] | None:
        """The ids of the results; None if the index has changed between the statements, or if too many changes are
        pending to score them outside of a snapshot."""
        rows = await self._reader.rows(statements.ASKED_WORDS, {"words": list(words)})
        if rows and rows[0].pending > MAX_PENDING and not in_snapshot:
            return None
        asked = await self._looked_up(rows, within, most=MAX_SEARCHED)
        if asked is None:
            return []
        compared = MAX_COMPARED if within is None else len(asked.texts)  # documents of the list are the last
        found = await self._ranked(asked, compared, enough)
        if found.state != rows[0].state:
            return None
        return found.ids[1:-1].split(",") if found.ids != "{}" else []

    async def _ranked(self, asked: _Asked, compared: int, enough: int | None) -> RankedBugs:
        """The ranked bugs. If a few are enough, only the documents whose titles are compared are ranked first: usually
        no other one can be among these few."""
        if enough is not None and compared < len(asked.texts):
            values = asked.ranked_values(compared, most=compared, enough=enough)
            (found,) = await self._reader.rows(statements.RANKED, values)
            if found.least_score is not None and found.least_score > asked.best_after(compared):
                return found
        (found,) = await self._reader.rows(statements.RANKED, asked.ranked_values(compared))
        return found

    async def _looked_up(
        self, rows: Sequence[AskedWord], within: Filter | None, *, most: int
    ) -> _Asked | None:
        """The words of the question and the best documents with them; None if the question has no words."""
        if not rows:
            return None
        first = rows[0]
        totals = Totals(first.indexed, first.title_length, first.description_length, first.pending)
        terms: Sequence[Term] = [
            Term(row.word, row.id, row.in_title, row.in_description, row.documents)
            for row in {row.word: row for row in rows}.values()
        ]
        documents = float(totals.documents + totals.pending)
        if totals.pending > MAX_PENDING:
            documents, terms = await self._estimated(terms, documents)
        weights = weighed(terms, documents, self._ranking)
        read = [
            Block(row.id, row.postings) for row in rows if row.id is not None and row.postings is not None
        ]
        texts = await self._indexed(weights, within, read=read, most=most)
        pending = await self._pending(weights, terms, totals)
        return _Asked(self._question, self._ranking, terms, weights, *texts, pending)

    async def _estimated(self, terms: Sequence[Term], documents: float) -> tuple[float, list[Term]]:
        """The number of documents and the terms, by the planner's statistics: while most of the board is not indexed,
        the index has no true frequencies."""
        rows = await self._reader.rows(statements.ESTIMATES, {"words": [term.word for term in terms]})
        bugs = max(rows[0].bugs, documents)
        shares = {row.word: row.share or 0.0 for row in rows}
        return bugs, [
            structs.replace(term, documents=max(term.documents, bugs * shares.get(term.word, 0.0)))
            for term in terms
        ]

    async def _indexed(
        self, weights: Mapping[Term, float], within: Filter | None, *, read: Sequence[Block], most: int
    ) -> BestDocuments:
        """The best documents of the index by text and age.

        `read` has blocks that have been read already, all of a word.
        """
        by_id = {term.id: weight for term, weight in weights.items() if term.id is not None}
        wanted: Sequence[int] = ()
        if within is not None and min(term.documents for term in weights) <= MAX_FILTERED:
            rarest = " | ".join(_rarest(weights, most=MAX_FILTERED))
            wanted = await self._reader.rows(within.numbers, {**within.values, "rarest": rarest})
        blocks = [block for block in read if block.word in by_id]
        if unread := by_id.keys() - {block.word for block in blocks}:
            blocks += await self._reader.rows(statements.BLOCKS, {"words": list(unread)})
        sums = partial(
            best_documents,
            blocks,
            by_id,
            ranking=self._ranking,
            day=(self._question.at - _EPOCH).days,
            last_day=(self._question.until - _EPOCH).days,
            limit=most,
            wanted=wanted,
        )
        few = sum(len(block.postings) for block in blocks) <= MAX_BYTES_HERE
        return sums() if few else await self._threads.run(sums)

    async def _pending(
        self, weights: Mapping[Term, float], terms: Sequence[Term], totals: Totals
    ) -> dict[str, PendingText]:
        """The pending bugs, which the index does not have, or in an outdated version, by their ids."""
        if not totals.pending:
            return {}
        values: dict[str, Any] = {
            "most": MAX_PENDING,
            "until": self._question.until,
            "known": [term.word for term in terms],
            "asked": [term.word for term in weights],
            "title_average": totals.title_average,
            "description_average": totals.description_average,
        }
        query = statements.PENDING
        if totals.pending > MAX_PENDING:
            query = statements.LIKELY_PENDING
            rarest = _rarest(weights, most=MAX_PENDING)
            values |= {"newest": NEWEST_PENDING, "rarest": rarest, "each": MAX_PENDING // len(rarest)}
        return {row.bug_id: row for row in await self._reader.rows(query, values)}

    async def _candidates(self, asked: _Asked) -> Sequence[Candidate]:
        """The candidates of the best documents and the pending bugs."""
        values = {
            "numbers": _array(asked.texts),
            "pending": list(asked.pending),
            "until": self._question.until,
            "title": self._question.title,
        }
        return await self._reader.rows(statements.CANDIDATES, values)

    async def _explained(self, best: Sequence[tuple[float, Candidate]], asked: _Asked) -> list[Match]:
        numbers = [candidate.number for _, candidate in best if candidate.number is not None]
        rows = await self._reader.rows(statements.WORDS, {"numbers": numbers})
        indexed = {row.no: set(row.words) for row in rows}
        typed = _TypedWords(f"{self._question.title}\n{self._question.description}")
        words = {term: typed.of(term.word) for term in asked.weights}  # once, not for each match
        return [
            Match(
                bug_id=candidate.shown_id,
                matched_id=candidate.bug_id,
                matched_title=candidate.title,
                score=score,
                words=tuple(
                    dict.fromkeys(word for term, word in words.items() if asked.has(candidate, term, indexed))
                ),
                same_application=asked.same_application(candidate),
                title_similarity=candidate.title_similarity,
            )
            for score, candidate in best
        ]


def _array(values: Iterable[float]) -> str:
    """The text of an array: hundreds of numbers take longer to pass as a list."""
    return f"{{{','.join(map(repr, values))}}}"


@dataclass(frozen=True)
class _Asked:
    """A question with everything that has been read to rank its candidates; for `texts` and `scores` see
    `BestDocuments`."""

    question: Question
    ranking: Ranking
    terms: Sequence[Term]
    weights: Mapping[Term, float]
    texts: Mapping[int, float]
    scores: Sequence[float]
    pending: Mapping[str, PendingText]

    @cached_property
    def by_word(self) -> dict[str, float]:
        return {term.word: weight for term, weight in self.weights.items()}

    def families(self, candidates: Sequence[Candidate]) -> list[tuple[float, Candidate]]:
        """The best candidate for each bug that is shown, best first, with its score; without the question's own bug."""
        known = {term.id for term in self.terms}
        scored = [(-self._score(one, known), one.bug_id, one) for one in candidates]
        scored.sort()  # ids differ, so no bug is compared
        families: dict[str, tuple[float, Candidate]] = {}
        for score, _, one in scored:
            families.setdefault(one.shown_id, (-score, one))
        families.pop(str(self.question.bug_id), None)
        return list(families.values())

    def best_after(self, compared: int) -> float:
        """An upper bound for the scores of the documents after the first `compared`, whose titles are not compared.

        `scores` count age in whole days; the error is at most the penalty of the first day.
        """
        return self.scores[compared] + self.ranking.age * log(2)

    def ranked_values(self, compared: int, *, most: int | None = None, enough: int = 1) -> dict[str, Any]:
        """The parameters of `statements.RANKED`, which ranks as `families` does, without cover and application.

        Args:
            compared: The number of documents, from the first, whose titles are compared.
            most: The number of documents to rank; all by default.
            enough: The position, from 1, whose score is returned.
        """
        weight = self.ranking.text
        return {
            "numbers": _array(islice(self.texts, most)),
            "scores": _array(weight * text for text in islice(self.texts.values(), most)),
            "pending": list(self.pending),
            "pending_scores": _array(weight * self._pending_text(one) for one in self.pending.values()),
            "compared": compared,
            "enough": enough,
            "title": self.question.title,
            "at": self.question.at,
            "until": self.question.until,
            "trigrams": self.ranking.trigrams,
            "age": self.ranking.age,
        }

    def _score(self, candidate: Candidate, known: set[int | None]) -> float:
        ranking = self.ranking
        days = abs((self.question.at - candidate.created_at).total_seconds()) / _DAY_SECONDS
        return (
            ranking.text * self._text(candidate)
            - ranking.age * log1p(days)
            + ranking.cover * self._cover(candidate, known)
            + ranking.trigrams * candidate.title_similarity
            + ranking.same_application * self.same_application(candidate)
        )

    def _text(self, candidate: Candidate) -> float:
        if candidate.number is not None:
            return self.texts[candidate.number]
        return self._pending_text(self.pending[candidate.bug_id])

    def _pending_text(self, text: PendingText) -> float:
        return sum(self.by_word[word] * weight for word, weight in zip(text.words, text.weights, strict=True))

    def _cover(self, candidate: Candidate, known: set[int | None]) -> float:
        if candidate.title_words is None:
            return self.pending[candidate.bug_id].cover
        words = candidate.title_words
        return len(known.intersection(words)) / len(words) if words else 0.0

    def same_application(self, candidate: Candidate) -> bool:
        return candidate.application_id in self.question.application_ids

    def has(self, candidate: Candidate, term: Term, indexed: Mapping[int, set[int]]) -> bool:
        """Whether a candidate has a word; `indexed` has the ids of the words of documents, by their numbers."""
        if candidate.number is None:
            return term.word in self.pending[candidate.bug_id].words
        return term.id in indexed[candidate.number]


class _TypedWords:
    """Finds the typed word for a stem of the index.

    Parts of camel case are words as well. Scripts without spaces are left out, since their pairs of characters are
    indexed as they are typed.
    """

    def __init__(self, typed: str) -> None:
        plain = unicodedata.normalize("NFKC", typed)
        words = _WORD.findall(f"{plain}\n{_PART.sub(' ', plain)}".lower())
        self._words = sorted(dict.fromkeys(words), key=len)

    def of(self, stem: str) -> str:
        """The shortest typed word that begins like the stem (`happy` for `happi`), or the stem if there is none."""
        beginnings = (stem, stem[:-1]) if len(stem) >= MIN_STEM else (stem,)
        return next((word for start in beginnings for word in self._words if word.startswith(start)), stem)


def _rarest(weights: Mapping[Term, float], *, most: int) -> list[str]:
    """The tsqueries of the rarest words, as long as at most `most` bugs have them; at least one."""
    chosen: list[Term] = []
    for term in sorted(weights, key=lambda term: term.documents)[:RAREST_WORDS]:
        if chosen and sum(one.documents for one in (*chosen, term)) > most:
            break
        chosen.append(term)
    return [quoted(term.word) for term in chosen]
