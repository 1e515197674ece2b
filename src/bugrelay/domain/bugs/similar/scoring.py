"""The scores of documents, computed with NumPy; no other module uses it.

The posting lists of rare words are added up at once. Those of common words follow, shortest first, with the pruning of
MaxScore: only postings of documents that can still be among the best are added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from bugrelay.domain.bugs.similar.query import MAX_WEIGHT, Ranking
from bugrelay.domain.bugs.similar.statements import Block

Floats: TypeAlias = NDArray[np.floating[Any]]
Integers: TypeAlias = NDArray[np.integer[Any]]

_POSTING = np.dtype([("no", ">u4"), ("day", ">u2"), ("weight", "u1")])  # as similar_post writes it
_MAX_DAY = 65_535  # of a posting
_LONG = 20_000  # postings of a list that is pruned if it has also half as many as all shorter ones
_SPARSE = 8  # numbers for each posting, from which sorting costs less than an array of all numbers
_ROUNDING = 1e-9  # more than the rounding errors of a score


class BestDocuments(NamedTuple):
    """The best documents by text and age.

    Attributes:
        texts: The scores of their texts by document number, best first by text and age.
        scores: Their scores by text and age, in the same order.
    """

    texts: Mapping[int, float]
    scores: Sequence[float]


def best_documents(
    blocks: Sequence[Block],
    weights: Mapping[int, float],
    *,
    ranking: Ranking,
    day: int,
    last_day: int,
    limit: int,
    wanted: Sequence[int] = (),
) -> BestDocuments:
    """The documents with the highest scores by text and age in whole days.

    Args:
        blocks: The blocks of postings of all words; those of a word in their order.
        weights: The factor for the weights of a word's postings, by the id of the word.
        ranking: The weights of text and age.
        day: The day from which ages are computed, in days since 1970.
        last_day: Later documents are left out.
        limit: The maximum number of documents.
        wanted: Numbers of documents to append, as far as they have any of the words.
    """
    if not blocks:
        return BestDocuments({}, ())
    last_day = min(last_day, _MAX_DAY)
    sums = _Sums(ranking.text, _age_costs(ranking.age, day, last_day), limit)
    lists = _lists(blocks, weights)
    together = len(lists) if wanted else _unpruned(lists)  # pruning would lose wanted documents
    found = _documents(lists[:together], last_day)
    for place, one in enumerate(lists[together:], start=together + 1):
        found = sums.with_list(found, one, later=sum(other.most for other in lists[place:]))
    scores = sums.scores(found)
    best = _highest(scores, limit)
    if wanted and len(scores) > limit:
        also = np.flatnonzero(np.isin(found.numbers, np.array(wanted)))
        best = np.concatenate((best, np.setdiff1d(also, best)))
    texts = zip(found.numbers[best].tolist(), found.texts[best].tolist(), strict=True)
    return BestDocuments(dict(texts), scores[best[:limit]].tolist())


class _Documents(NamedTuple):
    """Documents, as columns: their numbers, the days of their reports, and the scores of their texts so far."""

    numbers: Integers
    days: Integers
    texts: Floats

    def only(self, chosen: NDArray[Any]) -> _Documents:
        return _Documents(self.numbers[chosen], self.days[chosen], self.texts[chosen])


@dataclass(frozen=True)
class _List:
    """The posting list of a word: blocks by document number; `factor` is for the weights."""

    blocks: Sequence[bytes]
    factor: float

    @cached_property
    def size(self) -> int:
        return sum(map(len, self.blocks)) // _POSTING.itemsize

    @property
    def postings(self) -> NDArray[np.void]:
        return np.frombuffer(b"".join(self.blocks), _POSTING)

    @property
    def most(self) -> float:
        """The maximum that the word adds to the score of a text."""
        return self.factor * MAX_WEIGHT


@dataclass(frozen=True)
class _Sums:
    """Adds lists to the scores of documents, and leaves out documents that cannot be among the `limit` best.

    Attributes:
        text: The weight of text.
        costs: The age penalty by day.
        limit: The number of documents that are wanted.
    """

    text: float
    costs: Floats
    limit: int

    def scores(self, found: _Documents) -> Floats:
        return self.text * found.texts - self.costs[found.days]

    def with_list(self, found: _Documents, added: _List, *, later: float) -> _Documents:
        """The documents with the postings of a list, of which those are read whose documents have been found or can
        be among the best for their day; `later` is the maximum that the lists after it add to the score of a text."""
        scores = self.scores(found)
        least = np.partition(scores, -self.limit)[-self.limit] if len(scores) > self.limit else -np.inf
        least -= self.text * (added.most + later) + _ROUNDING
        found = found.only(scores >= least)
        (near,) = np.nonzero(-self.costs >= least)
        first, last = (near[0], near[-1]) if len(near) else (1, 0)
        postings = added.postings
        numbers = postings["no"].astype(np.int32)
        chosen = (postings["day"] >= first) & (postings["day"] <= last)
        places = np.minimum(np.searchsorted(numbers, found.numbers), len(numbers) - 1)
        chosen[places[numbers[places] == found.numbers]] = True
        (rows,) = np.nonzero(chosen)
        return _summed(
            _Documents(
                np.concatenate((found.numbers, numbers[rows])),
                np.concatenate((found.days, postings["day"][rows])),
                np.concatenate((found.texts, postings["weight"][rows] * added.factor)),
            )
        )


def _lists(blocks: Sequence[Block], weights: Mapping[int, float]) -> list[_List]:
    """The posting lists, shortest first."""
    by_word: dict[int, list[bytes]] = {}
    for block in blocks:
        by_word.setdefault(block.word, []).append(block.postings)
    lists = (_List(postings, weights[word]) for word, postings in by_word.items())
    return sorted(lists, key=lambda one: one.size)


def _unpruned(lists: Sequence[_List]) -> int:
    """The number of lists, from the shortest, that are added up at once."""
    sizes = np.array([one.size for one in lists])
    (short,) = np.nonzero((sizes < _LONG) | (2 * sizes < np.cumsum(sizes) - sizes))
    return int(short[-1]) + 1 if len(short) else 1


def _documents(lists: Sequence[_List], last_day: int) -> _Documents:
    """The documents of some lists, without those after a day."""
    postings = np.frombuffer(b"".join(chain.from_iterable(one.blocks for one in lists)), _POSTING)
    factors = np.repeat([one.factor for one in lists], [one.size for one in lists])
    numbers, days = postings["no"].astype(np.int32), postings["day"].astype(np.uint16)
    found = _summed(_Documents(numbers, days, postings["weight"] * factors))
    return found.only(found.days <= last_day)


def _summed(added: _Documents) -> _Documents:
    """The same documents by number, each once, with the sum of its scores."""
    size = int(added.numbers.max(initial=0)) + 1
    return (
        _summed_by_sorting(added) if size > _SPARSE * len(added.numbers) else _summed_in_arrays(added, size)
    )


def _summed_by_sorting(added: _Documents) -> _Documents:
    order = np.argsort(added.numbers, kind="stable")  # the fastest for lists that are sorted
    numbers = added.numbers[order]
    (first,) = np.nonzero(np.diff(numbers, prepend=-1))
    sums = np.add.reduceat(added.texts[order], first) if len(first) else added.texts
    return _Documents(numbers[first], added.days[order[first]], sums)


def _summed_in_arrays(added: _Documents, size: int) -> _Documents:
    sums: NDArray[Any] = np.bincount(added.numbers, weights=added.texts)
    days = np.zeros(size, np.uint16)
    days[added.numbers] = added.days
    found = np.flatnonzero(sums)
    return _Documents(found.astype(np.int32), days[found], sums[found])


@lru_cache(maxsize=4)
def _age_costs(age: float, day: int, last_day: int) -> Floats:
    """The age penalty by day, for days from 1970 to `last_day`."""
    costs: Floats = age * np.log1p(np.abs(day - np.arange(last_day + 1)))
    return costs


def _highest(scores: Floats, limit: int) -> NDArray[np.intp]:
    """The indexes of the `limit` highest scores, highest first."""
    least = np.partition(scores, -limit)[-limit] if len(scores) > limit else -np.inf
    high = np.flatnonzero(scores >= least)
    return high[np.argsort(-scores[high], kind="stable")][:limit]
