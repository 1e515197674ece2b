"""`/health`: the process is alive. `/ready`: it can serve requests."""

from __future__ import annotations

import asyncio
from typing import Literal

from litestar import Controller, Response, get
from msgspec import UNSET, Struct, UnsetType

from bugrelay.errors import ServiceUnavailable
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, anyone
from bugrelay.infra.db.database import Database
from bugrelay.infra.db.revisions import outdated_revisions

POSTGRES_SECONDS = 2
NEVER_CACHED = {"Cache-Control": "no-store"}


class Health(Struct):
    """The process is alive.

    Attributes:
        status: Always `ok`.
    """

    status: Literal["ok"]


class Checks(Struct):
    """The dependencies of the server.

    Attributes:
        postgres: Whether PostgreSQL responds.
        redis: Whether Redis responds.
        schema: Present while the database needs `bugrelay migrate`.
    """

    postgres: Literal["ok", "down"]
    redis: Literal["ok", "down"]
    schema: Literal["behind"] | UnsetType = UNSET


class Events(Struct):
    """The consumers of the event log, which send mails, webhooks and so on.

    Attributes:
        lag_seconds: For how many seconds the oldest unprocessed event has been waiting; 0 if there is none. It does not
            affect the status, since workers process events, not the server.
    """

    lag_seconds: float


class Readiness(Struct):
    """Whether the server can serve.

    Attributes:
        status: `degraded`: it serves, without its cache, and with rate limits counted by each process.
        events: Present while PostgreSQL responds and is migrated.
    """

    status: Literal["ok", "degraded", "unavailable"]
    checks: Checks
    events: Events | UnsetType = UNSET


class SchemaCheck:
    """Whether the database is migrated far enough for this release; a positive result is final, as migrations are.

    A revision that is unknown here belongs to a newer release, whose schema still serves this one.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._current = False

    async def is_current(self) -> bool:
        """
        Raises:
            ServiceUnavailable, TimeoutError: PostgreSQL does not respond.
        """
        if not self._current:
            outdated = await asyncio.to_thread(outdated_revisions)
            async with asyncio.timeout(POSTGRES_SECONDS):
                revision = await self._database.revision()
            self._current = revision is not None and revision not in outdated
        return self._current


class HealthController(Controller):
    tags = ("Operation",)

    @get("/health")
    @Route(access=anyone(same_for_all=True))
    async def get_health(self) -> Response[Health]:
        """Say that the process is alive; no dependency is checked."""
        return json_response(Health("ok"), headers=NEVER_CACHED)

    @get("/ready")
    @Route(access=anyone(same_for_all=True), also=(503,))
    async def get_readiness(self, request: ApiRequest) -> Response[Readiness]:
        """Say whether the server can serve.

        200 while PostgreSQL responds within two seconds and is migrated, and the server is not draining; otherwise 503.
        """
        checks = await _checks(request)
        events = await _events(request) if checks.postgres == "ok" and checks.schema is UNSET else UNSET
        if checks.postgres == "down" or checks.schema is not UNSET or request.lifecycle.is_draining:
            return json_response(
                Readiness("unavailable", checks, events),
                status=503,
                headers={**NEVER_CACHED, "Retry-After": "2"},
            )
        return json_response(
            Readiness("ok" if checks.redis == "ok" else "degraded", checks, events), headers=NEVER_CACHED
        )


async def _checks(request: ApiRequest) -> Checks:
    database, schema = request.platform.database, request.app.state.schema
    postgres, redis = await asyncio.gather(
        database.ping(timeout_seconds=POSTGRES_SECONDS), request.platform.redis.ping()
    )
    checks = Checks("ok" if postgres else "down", "ok" if redis else "down")
    if postgres:
        try:
            checks.schema = UNSET if await schema.is_current() else "behind"
        except (TimeoutError, ServiceUnavailable):
            checks.postgres = "down"
    return checks


async def _events(request: ApiRequest) -> Events | UnsetType:
    """The lag of the consumers of the event log; UNSET if PostgreSQL does not respond in time."""
    try:
        async with asyncio.timeout(POSTGRES_SECONDS):
            return Events(round(await request.app.state.event_lag(), 3))
    except (TimeoutError, ServiceUnavailable):
        return UNSET
