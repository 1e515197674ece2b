"""`/health`: the process lives. `/ready`: it can serve."""

from __future__ import annotations

import asyncio
from typing import Literal

from litestar import Controller, Response, get
from msgspec import Struct

from bugrelay.http.access import anyone
from bugrelay.http.answers import answer
from bugrelay.http.request import ApiRequest

POSTGRES_SECONDS = 2
NEVER_CACHED = {"Cache-Control": "no-store"}


class Health(Struct):
    status: Literal["ok"]


class Checks(Struct):
    postgres: Literal["ok", "down"]
    redis: Literal["ok", "down"]


class Readiness(Struct):
    """`degraded`: it serves, without its cache and with limits by process."""

    status: Literal["ok", "degraded", "unavailable"]
    checks: Checks


class HealthController(Controller):
    opt = anyone().opt()
    tags = ("Operation",)

    @get("/health")
    async def health(self) -> Response[Health]:
        """The process lives; no dependency is asked."""
        return answer(Health("ok"), headers=NEVER_CACHED)

    @get("/ready", opt={"also": (503,)})
    async def ready(self, request: ApiRequest) -> Response[Readiness]:
        """200 while PostgreSQL answers within two seconds and the server is not about to stop, else 503."""
        platform = request.platform
        postgres, redis = await asyncio.gather(
            platform.database.ping(timeout_seconds=POSTGRES_SECONDS), platform.redis.ping()
        )
        checks = Checks("ok" if postgres else "down", "ok" if redis else "down")
        if not postgres or request.lifecycle.is_draining:
            return answer(
                Readiness("unavailable", checks), status=503, headers={**NEVER_CACHED, "Retry-After": "2"}
            )
        return answer(Readiness("ok" if redis else "degraded", checks), headers=NEVER_CACHED)
