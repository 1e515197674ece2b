"""A company at work, and clients of its live updates."""

from __future__ import annotations

from typing import Any

import pytest

from bugrelay.domain.live.service import hub
from tests.api.tickets.conftest import (  # noqa: F401 - fixtures
    Caller,
    Join,
    boss,
    company_id,
    join,
    mae,
    rita,
)

EVENTS = "/api/v1/events"
STREAM = "/api/v1/events/stream"


@pytest.fixture(autouse=True)
def quick_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events that a test writes past the application ring no bell."""
    monkeypatch.setattr(hub, "POLL_SECONDS", 0.1)


async def pulled(caller: Caller, **query: Any) -> dict[str, Any]:
    """A page of events."""
    response = await caller.client.get(EVENTS, params=query, headers=caller.person.headers)
    assert response.status_code == 200, response.text
    page: dict[str, Any] = response.json()
    assert set(page) == {"events", "next", "head"}
    return page


async def all_of(caller: Caller, **query: Any) -> list[dict[str, Any]]:
    """All events that the caller may see, pulled in small pages."""
    found, since = [], 0
    while True:
        page = await pulled(caller, since=since, limit=2, **query)
        found += page["events"]
        if page["next"] >= page["head"]:
            return found
        assert page["next"] > since
        since = page["next"]
