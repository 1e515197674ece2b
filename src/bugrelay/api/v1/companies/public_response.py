"""Cached responses with public data of companies and applications."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Response

from bugrelay.domain.dashboards import cache
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import raw_json_response


async def public_response(
    request: ApiRequest, load: Callable[[], Awaitable[bytes]], *, key: str, cached: bool = True
) -> Response[Any]:
    """A response from the cache for anonymous users, from the database for signed-in ones, who must see their own
    writes."""
    if request.viewer.signed_in or not cached:
        return raw_json_response(await load())
    body, hit = await request.platform.cache.get_or_load(group=cache.COMPANIES, key=key, load=load)
    return raw_json_response(body, headers={"X-Cache": "HIT" if hit else "MISS"})
