"""The test of a connection while an admin waits: checks repository and token at GitHub without writing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

from bugrelay.domain.github import repository
from bugrelay.domain.github.client import GitHubClient, Permit, Repository
from bugrelay.domain.github.errors import GitHubNotConnected, LeaseLost, Limited, Refused, Unavailable
from bugrelay.domain.github.schemas import ConnectionRow, DefaultRepository, GitHubTestOut
from bugrelay.domain.github.sending import Work
from bugrelay.domain.github.service import tokens
from bugrelay.domain.github.service.secrets import repo_of, token_key, token_of
from bugrelay.errors import ServiceUnavailable
from bugrelay.infra.db.query import Reader
from bugrelay.infra.security.encryption import Encryption, SecretUnreadable

TEST_SECONDS = 4.0  # in all; the request timeout is 5.5 s
WAIT_SECONDS = 0.2


async def check_connection(
    company_id: UUID,
    *,
    work: Work,
    reader: Reader,
    client: GitHubClient,
    encryption: Encryption,
    default: DefaultRepository | None,
) -> GitHubTestOut:
    """Test a company's connection.

    Raises:
        GitHubNotConnected
        ServiceUnavailable: The token is in use, or limited by GitHub.
    """
    connection = await repository.connection_of(reader, company_id)
    if connection is None:
        raise GitHubNotConnected
    try:
        token = token_of(connection, encryption=encryption, default=default)
    except SecretUnreadable:
        return GitHubTestOut(ok=False, error="The token cannot be decrypted any more; enter it again")
    repo = repo_of(connection, default=default)
    if token is None or repo is None:
        return GitHubTestOut(ok=False, error="The operator no longer offers a default repository")

    key = token_key(default.token) if default else None
    try:
        async with asyncio.timeout(TEST_SECONDS), _leased(work, connection, default_key=key) as permit:
            user = client.as_user(token, permit)
            login = (await user.account()).login
            return _test_result(connection, await user.repository(repo), login=login)
    except Refused as refusal:
        return GitHubTestOut(ok=False, error=str(refusal))
    except Unavailable:
        return GitHubTestOut(ok=False, error="GitHub did not answer")
    except (TimeoutError, LeaseLost, Limited) as error:
        raise ServiceUnavailable("GitHub is busy with this token; try again shortly") from error


@asynccontextmanager
async def _leased(
    work: Work, connection: ConnectionRow, *, default_key: bytes | None
) -> AsyncIterator[Permit]:
    """Wait for the lease of the token, and release it after the block; the token is used for reads only."""
    lease = None
    while lease is None:
        async with work() as taking:
            lease = await tokens.lease_for(taking, connection.id, default_key=default_key)
        if lease is None:
            await asyncio.sleep(WAIT_SECONDS)

    async def permit(*, writes: bool) -> None:
        async with work() as renewing:
            await tokens.renew(renewing, lease, writes=writes, rate=None)

    try:
        yield permit
    except Limited as limit:
        async with work() as pausing:
            await tokens.pause(pausing, lease, seconds=limit.seconds)
        raise
    finally:
        async with work() as releasing:
            await tokens.release(releasing, lease, rest=timedelta(0), answered=False, rate=None)


def _test_result(connection: ConnectionRow, found: Repository, *, login: str) -> GitHubTestOut:
    may_write = None
    if found.permissions is not None:
        may_write = found.permissions.push or found.permissions.triage
    error = None
    if found.archived:
        error = "The repository is archived"
    elif not found.has_issues:
        error = "Issues are disabled in the repository"
    elif may_write is False:
        error = "The token may read the repository but not write to it"
    elif not (found.private or connection.allow_public):
        error = "The repository is public; set allow_public if that is intended"
    return GitHubTestOut(
        ok=error is None,
        repository=True,
        issues=found.has_issues and not found.archived,
        write=may_write,
        private=found.private,
        login=login,
        error=error,
    )
