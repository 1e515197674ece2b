"""`REDIS_URL`: the address of the server, and the commands that open a connection to it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from bugrelay.settings import SettingError

P = TypeVar("P", bound=asyncio.Protocol)

DEFAULT_PORT = 6379
_TLS_OPTIONS = {"ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile"}


@dataclass(frozen=True)
class RedisAddress:
    """A host and port, or the path of a Unix socket.

    Attributes:
        host: The host name; not used for a Unix socket.
        port: The port; not used for a Unix socket.
        path: The path of a Unix socket; empty for TCP.
        tls: The TLS context for `rediss://`, else None.
        greeting: The commands to send first: `AUTH` and `SELECT`, if the URL has a password and a database.
    """

    host: str
    port: int
    path: str
    tls: ssl.SSLContext | None
    greeting: tuple[tuple[str, ...], ...]

    async def open(self, protocol: Callable[[], P]) -> P:
        """Open a connection with this protocol; the greeting is not sent yet.

        Raises:
            OSError: The connection or the TLS handshake failed.
        """
        loop = asyncio.get_running_loop()
        if self.path:
            return (await loop.create_unix_connection(protocol, self.path))[1]
        return (await loop.create_connection(protocol, self.host, self.port, ssl=self.tls))[1]


def redis_address(url: str) -> RedisAddress:
    """The address in `redis://[user:password@]host[:port][/db]`, `rediss://…` or `unix://[…@]/path?db=0`.

    Raises:
        SettingError: It is not such a URL, or has unknown options.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    is_socket = parts.scheme == "unix"
    database = options.pop("db", "" if is_socket else unquote(parts.path).strip("/")) or "0"
    if options.keys() - (_TLS_OPTIONS if parts.scheme == "rediss" else set()) or not database.isdecimal():
        raise SettingError("REDIS_URL may have a database number, and for rediss:// the options ssl_…")
    try:
        port = parts.port or DEFAULT_PORT
        tls = _tls(options) if parts.scheme == "rediss" else None
    except (ValueError, OSError) as error:  # an invalid port, or certificates that cannot be read
        raise SettingError("REDIS_URL has a port or certificates that cannot be used") from error
    return RedisAddress(
        host=unquote(parts.hostname or "localhost"),
        port=port,
        path=unquote(parts.path) if is_socket else "",
        tls=tls,
        greeting=_greeting(unquote(parts.username or ""), unquote(parts.password or ""), database),
    )


def _greeting(username: str, password: str, database: str) -> tuple[tuple[str, ...], ...]:
    greeting: list[tuple[str, ...]] = []
    if password:
        greeting.append(("AUTH", username, password) if username else ("AUTH", password))
    if int(database):
        greeting.append(("SELECT", database))
    return tuple(greeting)


def _tls(options: dict[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
    if options.get("ssl_cert_reqs") == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if "ssl_certfile" in options:
        context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
    return context
