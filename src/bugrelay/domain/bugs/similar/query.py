"""What is asked of the index: the words of a report, which of them are looked up, and how much each counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import log
from uuid import UUID

from msgspec import Struct

SATURATION = 3.4  # of BM25: what a word counts at most, in units of its rarity
MAX_WEIGHT = 255  # of a posting: similar_weight

MAX_PENDING = 128  # bugs that are scored one by one; of a longer queue, the likeliest
MAX_TITLE_WORDS = 12
MAX_DESCRIPTION_WORDS = 24
POSTINGS_SHARE = 0.4  # of the board's documents: what may be summed up for one question
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
    """A report that others may be similar to.

    Attributes:
        title: As typed.
        description: Empty where there is none.
        application_ids: Of its application; several where only a name is known that several have.
        at: When it was reported: ages are counted from here.
        until: Reports after that are left out.
        bug_id: Of the bug itself, where it exists; its family is left out.
    """

    title: str
    description: str
    application_ids: frozenset[str]
    at: datetime
    until: datetime
    bug_id: UUID | None = None


class Term(Struct, frozen=True):
    """A word of the question; `id` is null where no indexed document has it, `documents` is how many do."""

    word: str
    id: int | None
    in_title: int
    in_description: int
    documents: float


class Totals(Struct):
    """Of the index; `pending` is counted only as far as it matters."""

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
    """The words that are looked up, heaviest first, with what one unit of a posting's weight counts.

    Title and description are two queries, of which the second is weak: mixed into one, a long description would
    drown the title. The heaviest words of each are taken while their postings fit.
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
    """A word that the description has again and again counts up to twice (k3 = 1 of BM25)."""
    return 2 * times / (1 + times)


def _heaviest(weights: Mapping[Term, float]) -> list[tuple[Term, float]]:
    return sorted(weights.items(), key=lambda item: (-item[1], item[0].word))


def _fitting(weights: Mapping[Term, float], documents: float) -> dict[Term, float]:
    """The heaviest, while the postings that have to be read are few enough; at least one."""
    room = min(max(POSTINGS_SHARE * documents, MIN_POSTINGS), MAX_POSTINGS)
    fitting: dict[Term, float] = {}
    for term, weight in _heaviest(weights):
        room -= term.documents
        if room < 0 and fitting:
            break
        fitting[term] = weight
    return fitting
