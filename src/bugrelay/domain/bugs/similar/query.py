"""Queries of the index: the words of a report, which of them are looked up, and their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import log
from uuid import UUID

from msgspec import Struct

SATURATION = 3.4  # of BM25: the maximum that a word counts, in units of its inverse document frequency
MAX_WEIGHT = 255  # of a posting, by similar_weight

MAX_PENDING = 128  # bugs that are scored one by one; of a longer queue, the likeliest
MAX_TITLE_WORDS = 12
MAX_DESCRIPTION_WORDS = 24
POSTINGS_SHARE = 0.4  # the maximum of postings for one query, relative to the number of documents
MIN_POSTINGS, MAX_POSTINGS = 20_000, 400_000


@dataclass(frozen=True)
class Ranking:
    """The weights of the ranking, fitted on one tracker (docs/finding.md).

    score = text (BM25F(title) + description BM25F(description)) - age ln(1 + days)
            + cover [share of the candidate's title words that the report has]
            + trigrams similarity(title, title) + same_application [1 if so]
    """

    text: float = 0.07
    description: float = 0.4
    age: float = 0.5
    cover: float = 3.0
    trigrams: float = 4.0
    same_application: float = 0.4


RANKING = Ranking()
SEARCH_RANKING = Ranking(cover=0.0, same_application=0.0)  # a search has no application


@dataclass(frozen=True)
class Question:
    """A report whose duplicates are looked for.

    Attributes:
        title: The title as typed.
        description: The description; empty without one.
        application_ids: The id of its application; several if it is known by a name that several have.
        at: When it was reported; ages are computed from here.
        until: Later reports are left out.
        bug_id: The bug, if it exists already; it and what was merged into it are left out.
    """

    title: str
    description: str
    application_ids: frozenset[str]
    at: datetime
    until: datetime
    bug_id: UUID | None = None


class Term(Struct, frozen=True):
    """A word of the query; `id` is None if no indexed document has it, `documents` is its document frequency."""

    word: str
    id: int | None
    in_title: int
    in_description: int
    documents: float


class Totals(Struct):
    """Totals of the index: documents, the sums of their lengths in words, and pending changes, counted up to
    `MAX_PENDING` + 1."""

    documents: int
    title_length: int
    description_length: int
    pending: int

    @property
    def title_average(self) -> float:
        return self.title_length / max(self.documents, 1)

    @property
    def description_average(self) -> float:
        return self.description_length / max(self.documents, 1)


def rarity(term: Term, documents: float) -> float:
    """The inverse document frequency, never negative."""
    return log(1 + (max(documents - term.documents, 0) + 0.5) / (term.documents + 0.5))


def weighed(terms: Sequence[Term], documents: float, ranking: Ranking) -> dict[Term, float]:
    """The words that are looked up, heaviest first, each with the factor by which the weights of its postings count.

    Title and description are two queries, of which the second has a lower weight: in a single query, a long description
    would outweigh the title. Of each, the heaviest words are taken until the limit of postings is reached.
    """
    unit = SATURATION / MAX_WEIGHT
    title = {term: unit * rarity(term, documents) for term in terms if term.in_title}
    description = {
        term: unit * ranking.description * rarity(term, documents) * _repeated(term.in_description)
        for term in terms
        if term.in_description
    }
    weights = dict(_heaviest(title)[:MAX_TITLE_WORDS])
    for term, weight in _heaviest(description)[:MAX_DESCRIPTION_WORDS]:
        weights[term] = weights.get(term, 0.0) + weight
    return _fitting(weights, documents)


def _repeated(times: int) -> float:
    """The factor for a word that the description repeats, less than 2 (BM25 with k3 = 1)."""
    return 2 * times / (1 + times)


def _heaviest(weights: Mapping[Term, float]) -> list[tuple[Term, float]]:
    return sorted(weights.items(), key=lambda item: (-item[1], item[0].word))


def _fitting(weights: Mapping[Term, float], documents: float) -> dict[Term, float]:
    """The heaviest terms within the limit of postings; at least one."""
    room = min(max(POSTINGS_SHARE * documents, MIN_POSTINGS), MAX_POSTINGS)
    fitting: dict[Term, float] = {}
    for term, weight in _heaviest(weights):
        room -= term.documents
        if room < 0 and fitting:
            break
        fitting[term] = weight
    return fitting
