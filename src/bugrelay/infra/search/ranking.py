"""How well a word ranks in a document: the weights of fields, and the tiers that follow from them.

migrations/sql/search_layers.sql writes tiers into documents by the same numbers; a test compares the two.
"""

from __future__ import annotations

from itertools import combinations

# By label: title, name (of a bug's application; a ticket's key), description; ten times the relevance. Weights are
# additive: a word counts once for each field that has it, so a title always stands above a name, and that above a
# description.
WEIGHTS = {"A": 10, "B": 4, "D": 1}

# The least score of a word in each tier, the best first. A tier holds those before it.
TIERS = {3: 14, 2: 11, 1: 10}

# Every score that a word can have in a document.
SCORES = tuple(
    sorted({sum(found) for n in range(len(WEIGHTS) + 1) for found in combinations(WEIGHTS.values(), n)})
)

# The best score of a word outside of each tier.
BEST_OUTSIDE = {tier: max(score for score in SCORES if score < least) for tier, least in TIERS.items()}
