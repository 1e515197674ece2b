"""The scores of documents, computed with NumPy; no other module uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bugrelay.domain.bugs.similar.query import Ranking
from bugrelay.domain.bugs.similar.statements import Block

_POSTING = np.dtype([("no", ">u4"), ("day", ">u2"), ("weight", "u1")])  # as similar_post writes it
_SAMPLED = 8  # one score in eight is sampled


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
        blocks: The blocks of postings of all words.
        weights: The factor for the weights of a word's postings, by the id of the word.
        ranking: The weights of text and age.
        day: The day from which ages are computed, in days since 1970.
        last_day: Later documents are left out.
        limit: The maximum number of documents.
        wanted: Numbers of documents to append, as far as they have any of the words.
    """
    if not blocks:
        return BestDocuments({}, ())
    postings = np.frombuffer(b"".join(block.postings for block in blocks), _POSTING)
    sizes = [len(block.postings) // _POSTING.itemsize for block in blocks]
    factors = np.repeat(np.array([weights[block.word] for block in blocks]), sizes)
    numbers = postings["no"].astype(np.int64)
    first = int(numbers.min())
    numbers -= first
    texts = np.bincount(numbers, weights=postings["weight"] * factors)
    days = np.zeros(len(texts), np.uint16)
    days[numbers] = postings["day"]
    found = np.flatnonzero(texts > 0)
    scores = ranking.text * texts[found]
    scores -= _age_costs(ranking.age, int(days.max()) + 1, day=day, last_day=last_day)[days[found]]
    highest = _highest(scores, limit)
    best = found[highest]
    if wanted and len(found) > limit:
        also = np.intersect1d(found[scores > -np.inf], np.array(wanted, np.int64) - first)
        best = np.concatenate((best, np.setdiff1d(also, best)))
    by_number = dict(zip((best + first).tolist(), texts[best].tolist(), strict=True))
    return BestDocuments(by_number, scores[highest].tolist())


def _age_costs(age: float, days: int, *, day: int, last_day: int) -> NDArray[np.floating[Any]]:
    """The age penalty by day, for days since 1970 below `days`, computed once for each day; infinite after
    `last_day`."""
    costs: NDArray[np.floating[Any]] = age * np.log1p(np.abs(day - np.arange(days)))
    costs[max(last_day + 1, 0) :] = np.inf
    return costs


def _highest(scores: NDArray[np.floating[Any]], limit: int) -> NDArray[np.intp]:
    """The indexes of the `limit` highest scores, highest first, without minus infinity.

    The `limit`-th highest score of a sample is a lower bound for them, so that lower scores need not be sorted.
    """
    sample = scores[::_SAMPLED]
    least = np.partition(sample, -limit)[-limit] if len(sample) > limit else -np.inf
    high = np.flatnonzero((scores >= least) & (scores > -np.inf))
    if len(high) > limit:
        high = high[np.argpartition(scores[high], -limit)[-limit:]]
    return high[np.argsort(-scores[high], kind="stable")]
