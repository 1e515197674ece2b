"""Answers from the cache, for the anonymous; the hottest are given before a request is even routed (http/gate.py)."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Response

from bugrelay.http.answers import raw_answer
from bugrelay.http.encoding import weak_etag
from bugrelay.http.request import ApiRequest
from bugrelay.infra.hot import HotAnswer


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
    asked_at = time.monotonic()
    body, hit = await request.platform.cache.get_or_load(group=group, key=key, load=load)
    etag = weak_etag(body)
    hot = HotAnswer(body, etag, group, asked_at)
    request.platform.cache.hot.put(request.scope["state"]["hot_key"], hot)
    return raw_answer(body, headers={"X-Cache": "HIT" if hit else "MISS", "ETag": etag.decode()})
