"""What everybody may see of companies and applications, from the cache."""

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
    """From the cache for the anonymous, from the database for the signed-in, so that nobody misses their own write."""
    if request.viewer.signed_in or not cached:
        return raw_json_response(await load())
    body, hit = await request.platform.cache.get_or_load(group=cache.COMPANIES, key=key, load=load)
    return raw_json_response(body, headers={"X-Cache": "HIT" if hit else "MISS"})
