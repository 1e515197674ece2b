"""Redis for the tests of what talks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from bugrelay.infra.redis import client
from bugrelay.infra.redis.client import RedisClient
from tests.faults.proxy import FaultProxy
from tests.infra.redis.server import Valkey

DEADLINES = {
    name: getattr(client, name) for name in ("DEADLINE_TICKS", "DEADLINE_SECONDS", "CONNECT_SECONDS")
}


@pytest.fixture
def deadlines_of_redis(redis_may_pause: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The product's; to be asked for before a client."""
    for name, value in DEADLINES.items():
        monkeypatch.setattr(client, name, value)


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """A server for all tests; each takes names of its own or does not mind what is there."""
    server = Valkey()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def valkey_url(valkey: Valkey) -> str:
    return valkey.url


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    """A server that the test may break."""
    server = Valkey()
    server.start()
    yield server
    server.remove()


@pytest.fixture
async def gate(valkey_url: str) -> AsyncIterator[RedisClient]:
    gate = RedisClient(valkey_url)
    await gate.start()
    yield gate
    await gate.close()


@pytest.fixture
async def own_gate(own_valkey: Valkey) -> AsyncIterator[RedisClient]:
    """A gate to the server that the test may break."""
    gate = RedisClient(own_valkey.url)
    await gate.start()
    yield gate
    await gate.close()


@pytest.fixture
async def proxy(valkey: Valkey) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(valkey.socket) as proxy:
        yield proxy


@pytest.fixture
async def proxied_gate(proxy: FaultProxy) -> AsyncIterator[RedisClient]:
    """A gate behind the proxy."""
    gate = RedisClient(f"redis://127.0.0.1:{proxy.port}/0")
    await gate.start()
    yield gate
    await gate.close()
