"""Answers from the cache, for the anonymous; the hottest are given before a request is even routed (http/hot.py)."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Response

from bugrelay.http.answers import raw_answer
from bugrelay.http.hot import hot_answer, packed
from bugrelay.http.request import ApiRequest
from bugrelay.infra.hot import Place


async def cached_answer(
    request: ApiRequest, *, group: str, key: str, load: Callable[[], Awaitable[bytes]]
) -> Response[Any]:
    """The JSON that `load` gives, or a copy less than a second old. Only for what everybody may see.

    Args:
        request: An anonymous one.
        group: What a write forgets.
        key: Everything that the bytes depend on.
        load: Reads the database.
    """
    cache = request.platform.cache

    async def entry() -> bytes:
        return packed(await load())

    asked_at = time.monotonic()
    kept, hit = await cache.get_or_load(group=group, key=key, load=entry)
    place = Place(group, cache.digest(group, key), request.scope["path_template"])
    hot = hot_answer(kept, place, asked_at)
    cache.hot.put((request.scope["path"], request.scope["query_string"]), hot)
    return raw_answer(hot.body, headers={"X-Cache": "HIT" if hit else "MISS", "ETag": hot.etag.decode()})
