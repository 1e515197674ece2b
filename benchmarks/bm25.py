"""Plain BM25 over title and description, as a comparison for the search for duplicates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

K1, B = 1.2, 0.75


class Bm25:
    """Ranks documents, which are identified by their position."""

    def __init__(self, bags: Sequence[dict[str, int]]) -> None:
        """`bags` has the words of each document with their frequencies, ordered by date."""
        postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for position, bag in enumerate(bags):
            for word, count in bag.items():
                postings[word].append((position, count))
        lengths = np.array([sum(bag.values()) for bag in bags], float)
        norms = K1 * (1 - B + B * lengths / lengths.mean())
        self._weights: dict[str, tuple[Any, Any]] = {}
        for word, found in postings.items():
            positions, counts = np.array(found).T
            rarity = np.log(1 + (len(bags) - len(found) + 0.5) / (len(found) + 0.5))
            self._weights[word] = (positions, rarity * (K1 + 1) * counts / (counts + norms[positions]))
        self._size = len(bags)

    def best(self, words: Iterable[str], *, before: int, limit: int) -> list[int]:
        """The positions of the best documents before a given one, best first."""
        scores = np.zeros(self._size)
        for word in words:
            if word in self._weights:
                positions, weights = self._weights[word]
                scores[positions] += weights
        scores = scores[:before]
        ranked = np.argsort(-scores, kind="stable")[:limit]
        return [int(position) for position in ranked if scores[position] > 0]
