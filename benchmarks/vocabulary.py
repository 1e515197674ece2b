"""An invented language for the benchmark's board: 60,000 words with Zipfian frequencies, the same on every machine.

Words are drawn independently, so more bugs share two words than in real text; that makes searches for two words harder,
not easier.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZE = 60_000

_STOP_WORDS = "the to and a when in is it on of i not"
_HEAD = """
app error crash page button screen user login open click load file list version update message time fix window
save display image text server device menu system account search request value field form link view test build
code module config slow freeze timeout memory network sync export import upload download browser mobile
android ios windows linux macos safari chrome firefox notification profile payment checkout password token
session database cache query thread exception stack trace log warning fail startup install upgrade permission
layout scroll keyboard input cursor font color theme dark light audio video camera battery location map
calendar
"""
_CONSONANTS = "b c d f g h j k l m n p r s t v w z br tr st pl kr"

STOP_WORDS = _STOP_WORDS.split()
HEAD = _HEAD.split()
_SYLLABLES = [consonant + vowel for consonant in _CONSONANTS.split() for vowel in "aeiou"]
_LAST_LETTERS = "kxtnrmp"  # not `s`, `e` or `y`, so that the stemmer leaves these words alone

Indexes = NDArray[np.int64]


class Vocabulary:
    """Words by rank, drawn with the frequency 1 / (rank + 2.7) ** 1.03; stop words are rarer in titles."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.words = _words(rng)
        self._array = np.array(self.words, dtype=object)
        frequency = 1 / (np.arange(SIZE) + 2.7) ** 1.03
        self._in_text = _cumulated(frequency)
        frequency[: len(STOP_WORDS)] *= 0.4
        self._in_title = _cumulated(frequency)

    def draw(self, rng: np.random.Generator, count: int, *, title: bool = False) -> Indexes:
        """Ranks of `count` words."""
        found: Any = np.searchsorted(self._in_title if title else self._in_text, rng.random(count))
        ranks: Indexes = np.minimum(found, SIZE - 1).astype(np.int64)
        return ranks

    def spelled(self, ranks: Indexes) -> list[str]:
        """The words of these ranks."""
        spelled: list[str] = self._array[ranks].tolist()
        return spelled


def _words(rng: np.random.Generator) -> list[str]:
    words = dict.fromkeys([*STOP_WORDS, *HEAD])
    while len(words) < SIZE:
        length = int(rng.integers(2, 5))
        syllables = [_SYLLABLES[i] for i in rng.integers(0, len(_SYLLABLES), length)]
        words.setdefault("".join(syllables) + _LAST_LETTERS[int(rng.integers(0, len(_LAST_LETTERS)))])
    return list(words)


def _cumulated(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    summed: NDArray[np.float64] = np.cumsum(weights / weights.sum())
    return summed
