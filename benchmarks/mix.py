"""The fixed mix of requests: the same for every server and every run on a board."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from benchmarks.client import Request

COUNT = 2000  # requests before the mix repeats
SHARES = {
    "recent": 40,
    "popular": 15,
    "status": 15,
    "tags": 10,
    "medium": 10,
    "common": 5,
    "title": 5,
    "application": 5,
}


def requests(request_words: dict[str, Any]) -> list[Request]:
    """Lists in their orders, by status and priority, tags and application; searches for medium and common words and for
    whole titles.

    Args:
        request_words: Words and other values of the board; see `generate`.
    """
    draw = random.Random(42)  # noqa: S311 - a mix, no secret
    kinds = draw.choices([*SHARES], weights=[*SHARES.values()], k=COUNT)
    paths = (f"/api/v1/bugs?{urlencode(_query(kind, draw, request_words))}" for kind in kinds)
    return [Request(kind, path) for kind, path in zip(kinds, paths, strict=True)]


def searches(kinds: Sequence[str], request_words: dict[str, Any]) -> list[Request]:
    """Searches for each word, or title, of these kinds."""
    texts = [text for kind in kinds for text in request_words["words"][kind]]
    return [Request("search", f"/api/v1/bugs?{urlencode({'search': text})}") for text in texts]


def _query(kind: str, draw: random.Random, words: dict[str, Any]) -> dict[str, str | int]:
    query: dict[str, str | int]
    match kind:
        case "recent":
            query = {"page": draw.randint(1, 5)}
        case "popular":
            query = {"sort": "popular", "page": draw.randint(1, 3)}
        case "status":
            status = draw.choice(("open", "reviewing", "fixed"))
            query = {"status": status, "priority": draw.choice(("low", "medium", "high", "critical"))}
        case "tags":
            tags = ",".join(draw.sample(words["tags"][:4], 2))
            query = {"tags": tags, "sort": draw.choice(("recent", "popular"))}
        case "application":
            query = {"application": draw.choice([*words["applications"].values()])}
        case _:
            query = {"search": draw.choice(words["words"][kind])}
    return query
