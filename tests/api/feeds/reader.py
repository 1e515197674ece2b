"""A feed reader that is not ours."""

from __future__ import annotations

from typing import Any

import feedparser
import httpx


def parsed(response: httpx.Response) -> Any:
    """What an independent feed reader makes of it; it must have nothing to complain of."""
    assert response.status_code == 200, response.text[:500]
    assert response.headers["content-type"] == "application/atom+xml; charset=utf-8"
    headers = {"content-type": response.headers["content-type"], "content-location": "http://board.example"}
    feed = feedparser.parse(response.content, response_headers=headers, sanitize_html=False)
    assert not feed.bozo, feed.bozo_exception
    assert feed.version == "atom10"
    return feed
