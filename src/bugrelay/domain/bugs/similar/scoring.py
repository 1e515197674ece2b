"""The arithmetic of similar bugs. The only module that computes with numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bugrelay.domain.bugs.similar.query import Ranking
from bugrelay.domain.bugs.similar.statements import Block

_POSTING = np.dtype([("no", ">u4"), ("day", ">u2"), ("weight", "u1")])  # as similar_post writes it


def best_documents(
    blocks: Sequence[Block],
    weights: Mapping[int, float],
    *,
    ranking: Ranking,
    day: int,
    last_day: int,
    limit: int,
    wanted: Sequence[int] = (),
) -> dict[int, float]:
    """The documents that score best by text and age, as number to score of the text.

    Args:
        blocks: Of the words that are asked for.
        weights: Of each word, what a posting's weight is multiplied by.
        ranking: The weights of text and age.
        day: From which ages are counted, in days since 1970.
        last_day: Younger documents are left out.
        limit: How many.
        wanted: Documents that are given beside these, those of them that have a word.
    """
    if not blocks:
        return {}
    postings = np.frombuffer(b"".join(block.postings for block in blocks), _POSTING)
    sizes = [len(block.postings) // _POSTING.itemsize for block in blocks]
    factors = np.repeat(np.array([weights[block.word] for block in blocks]), sizes)
    numbers = postings["no"].astype(np.int64)
    first = int(numbers.min())
    numbers -= first
    texts = np.bincount(numbers, weights=postings["weight"] * factors)
    days = np.zeros(len(texts), np.int64)
    days[numbers] = postings["day"]
    found = np.flatnonzero((texts > 0) & (days <= last_day))
    scores = ranking.text * texts[found] - ranking.age * np.log1p(np.abs(day - days[found]))
    best = found[np.argpartition(-scores, limit)[:limit]] if len(found) > limit else found
    if wanted and len(found) > limit:
        best = np.union1d(best, np.intersect1d(found, np.array(wanted, np.int64) - first))
    return {int(number) + first: float(texts[number]) for number in best}
