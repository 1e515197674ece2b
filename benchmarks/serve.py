"""`python -m benchmarks.serve NAME`: one of the servers to compare, with the settings of BugRelay's own server."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable

from granian.constants import HTTPModes, Interfaces, Loops
from granian.server import Server
from litestar import Litestar

from bugrelay.app import create_app
from bugrelay.infra.garbage_collector import collect_rarely
from bugrelay.infra.logging import configure_logging
from bugrelay.infra.redis.cache import Cache
from bugrelay.infra.redis.local_cache import CachedResponse, LocalCache, RequestKey
from bugrelay.server import serve
from bugrelay.settings import load_settings

APPLICATIONS = {
    "baseline": "benchmarks.baseline:app",
    "plain": "benchmarks.plain:app",
    "redis-only": "benchmarks.serve:redis_only_app",
    "uncached": "benchmarks.serve:uncached_app",
}
SERVERS = ("bugrelay", *APPLICATIONS)


class NoHotAnswers(LocalCache):
    """Knows which responses are cached, and never returns one itself."""

    def get(self, key: RequestKey) -> CachedResponse | None:  # noqa: ARG002 - nothing is looked up
        return None


def redis_only_app() -> Litestar:
    """BugRelay without the cached responses of the process: each is read from Redis."""
    configure_logging()
    app = create_app(load_settings(os.environ))
    app.state.platform.cache.local = NoHotAnswers()
    collect_rarely()
    return app


class NoAnswers(LocalCache):
    """Stores nothing."""

    def put(self, key: RequestKey, answer: CachedResponse) -> None:
        pass


class NoCache(Cache):
    """Loads the value for every request."""

    async def get_or_load(
        self,
        *,
        group: str,  # noqa: ARG002 - as the cache is called
        key: str,  # noqa: ARG002 - likewise
        load: Callable[[], Awaitable[bytes]],
    ) -> tuple[bytes, bool]:
        return await load(), False


def uncached_app() -> Litestar:
    """BugRelay without any cached responses: each is read from the database."""
    configure_logging()
    app = create_app(load_settings(os.environ))
    app.state.platform.cache.__class__ = NoCache
    app.state.platform.cache.local = NoAnswers()
    collect_rarely()
    return app


def main(name: str) -> None:
    if name == "bugrelay":
        serve(load_settings(os.environ))
        return
    Server(
        APPLICATIONS[name],
        factory=name in ("redis-only", "uncached"),
        address="127.0.0.1",
        port=int(os.environ["PORT"]),
        workers=1,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        log_access=False,
    ).serve()


if __name__ == "__main__":
    main(sys.argv[1])
