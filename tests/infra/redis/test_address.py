"""`REDIS_URL`: passwords, databases, TLS, and what cannot be meant."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from structlog.testing import capture_logs

from bugrelay.infra.redis.address import redis_address
from bugrelay.infra.redis.client import RedisClient
from bugrelay.settings import SettingError
from tests.infra.redis.server import Valkey

SECRET = "s3cr/t@?#%"
QUOTED = "s3cr%2Ft%40%3F%23%25"


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[RedisClient]:
    client = RedisClient(url)
    await client.start()
    yield client
    await client.close()


async def test_a_password_and_a_database_are_those_of_the_url(own_valkey: Valkey) -> None:
    own_valkey.ask(f"CONFIG SET requirepass {SECRET}")
    own_valkey.ask(f"AUTH {SECRET}")
    async with client_of(f"unix://:{QUOTED}@{own_valkey.socket}?db=3") as client:
        assert client.state == "ok"
        await client.run("SET", "here", "1")
        assert b"db=3" in await client.run("CLIENT", "LIST")
    async with client_of(f"unix://default:{QUOTED}@{own_valkey.socket}") as client:
        assert await client.run("GET", "here") is None  # database 0


@pytest.mark.parametrize("login", ["", ":wrong@"])
async def test_a_refused_password_is_reported_without_it(own_valkey: Valkey, login: str) -> None:
    own_valkey.ask(f"CONFIG SET requirepass {SECRET}")
    with capture_logs() as logs:
        async with client_of(f"unix://{login}{own_valkey.socket}") as client:
            assert client.state == "down"
    (line,) = [line for line in logs if line["event"] == "redis_unavailable"]
    assert ("WRONGPASS" if login else "NOAUTH") in line["reason"]
    assert "wrong@" not in line["reason"]


async def test_tls_is_spoken_and_the_name_of_the_server_is_checked(valkey: Valkey, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificates = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(certificates)
    for name, state in (("localhost", "ok"), ("elsewhere.example", "down")):
        async with tls_in_front_of(valkey, authority.issue_cert(name)) as port:
            url = f"rediss://localhost:{port}/1"
            async with client_of(f"{url}?ssl_ca_certs={certificates}") as client:
                assert client.state == state
            async with client_of(url) as client:
                assert client.state == "down"
            async with client_of(f"{url}?ssl_cert_reqs=none") as client:
                assert await client.ping()


@asynccontextmanager
async def tls_in_front_of(valkey: Valkey, certificate: trustme.LeafCert) -> AsyncIterator[int]:
    """The port of a server that speaks TLS and hands all on."""

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
        target.close()

    async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ours, theirs = await asyncio.open_unix_connection(str(valkey.socket))
        await asyncio.gather(pump(reader, theirs), pump(ours, writer), return_exceptions=True)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    server = await asyncio.start_server(hand_on, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


def test_what_a_url_leaves_out_is_usual() -> None:
    address = redis_address("redis://cache.example")
    assert (address.host, address.port, address.path, address.tls) == ("cache.example", 6379, "", None)
    assert address.greeting == ()


@pytest.mark.parametrize(
    "url",
    [
        "redis://host:port/0",
        "redis://host:99999",
        "redis://host/cache",
        "redis://host/0?timeout=5",
        "redis://host?ssl_cert_reqs=none",
        "rediss://host?ssl_ca_certs=/nowhere.pem",
    ],
)
def test_a_url_that_cannot_be_used_is_named(url: str) -> None:
    with pytest.raises(SettingError, match="REDIS_URL"):
        redis_address(url)
