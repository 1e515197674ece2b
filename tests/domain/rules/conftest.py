"""A tenant with workflow rules, and a worker that runs them when a test says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from bugrelay.domain.events.consumers import Consumer, start_consumers
from bugrelay.domain.rules.plugin import consumers
from bugrelay.infra.platform import Platform
from tests.api.tickets.conftest import Caller, Sql, boss, company_id, join, mae, rita
from tests.domain.events.conftest import following
from tests.infra.redis.server import eventually

__all__ = ["boss", "company_id", "join", "mae", "rita"]


@dataclass
class Rules:
    """The workflow rules of the company, as its admin calls them."""

    platform: Platform
    sql: Sql
    boss: Caller
    company_id: str

    async def add(self, trigger: str, *actions: dict[str, Any], **fields: Any) -> dict[str, Any]:
        body = {"name": fields.pop("name", trigger), "trigger": trigger, "actions": actions, **fields}
        made: dict[str, Any] = await self.boss.done("POST", "workflows", body)
        return made

    async def run(self, *, workers: int = 1) -> None:
        """Let workers follow the log until nothing is left to do."""
        if workers == 0:
            await eventually(self.is_caught_up, seconds=60)
            return
        async with following(self.platform, *consumers(self.platform)):
            await self.run(workers=workers - 1)

    def is_caught_up(self) -> bool:
        left = self.sql.execute(
            "SELECT count(*) FROM event_streams s LEFT JOIN event_cursors c"
            " ON c.stream = s.stream AND c.consumer = 'rules' WHERE s.last_seq > coalesce(c.seq, 0)"
        ).fetchone()
        return left == (0,)

    async def runs(self, rule: dict[str, Any]) -> list[dict[str, Any]]:
        """The newest first."""
        listed: list[dict[str, Any]] = await self.boss.done("GET", f"workflows/{rule['id']}/runs?limit=100")
        return listed

    async def shown(self, rule: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = await self.boss.done("GET", f"workflows/{rule['id']}")
        return found

    async def ticket(self, ticket: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = await self.boss.done("GET", f"tickets/{ticket['id']}")
        return found

    async def comments(self, ticket: dict[str, Any], *, of: Caller | None = None) -> list[str]:
        listed = await (of or self.boss).done("GET", f"tickets/{ticket['id']}/comments?limit=100")
        return [one["content"] for one in listed]


@pytest.fixture
async def rules(platform: Platform, sql: Sql, boss: Caller, company_id: str) -> Rules:
    """The consumer is known before anything happens, as it is when a worker runs."""
    known: Sequence[Consumer] = consumers(platform)
    async with platform.work() as work:
        await start_consumers(work, [one.name for one in known])
    return Rules(platform, sql, boss, company_id)
