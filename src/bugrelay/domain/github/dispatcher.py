"""The dispatcher calls GitHub for all connections; each worker runs one.

A sync run holds the lease of one token, and makes a few reads and at most one write, or a catch-up. Tokens are
independent of each other, so a repository that hangs delays only connections with the same token.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from bugrelay.domain.github import repository
from bugrelay.domain.github.catching_up import catch_up
from bugrelay.domain.github.client import GitHubClient
from bugrelay.domain.github.errors import LeaseLost, Limited
from bugrelay.domain.github.schemas import ConnectionRow, DefaultRepository
from bugrelay.domain.github.sending import Describe, SyncRun, Work
from bugrelay.domain.github.service import pushing, tokens
from bugrelay.domain.github.service.secrets import repo_of, token_key, token_of
from bugrelay.domain.github.service.tokens import BETWEEN_WRITES, Lease
from bugrelay.infra.db.database import bulkhead
from bugrelay.infra.db.query import Reader
from bugrelay.infra.jobs.queue import JobQueue
from bugrelay.infra.security.encryption import Encryption, SecretUnreadable
from bugrelay.settings import Rate

log = structlog.get_logger()

MAX_CONCURRENT_TOKENS = 8
POLL_SECONDS = 1.0
STOP_SECONDS = 10.0
_UNREADABLE = "The token cannot be decrypted any more; an admin of the company has to enter it again"


class Dispatcher:
    """Runs up to `MAX_CONCURRENT_TOKENS` sync runs at once.

    Args:
        work: Begins a unit of work.
        reader: Reads the database.
        client: GitHub's API.
        encryption: Decrypts tokens.
        default: The operator's repository, if there is one.
        rate: The limit of writes with one token.
        describe: Reads what is sent of a ticket.
        jobs: The queue, for mails.
    """

    def __init__(
        self,
        work: Work,
        *,
        reader: Reader,
        client: GitHubClient,
        encryption: Encryption,
        default: DefaultRepository | None,
        rate: Rate | None,
        describe: Describe,
        jobs: JobQueue,
    ) -> None:
        self._work = work
        self._reader = reader
        self._client = client
        self._encryption = encryption
        self._default = default
        self._default_key = token_key(default.token) if default else None
        self._rate = rate
        self._describe = describe
        self._jobs = jobs
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Run until `stopping` is set; runs in progress then get `STOP_SECONDS` to end."""
        bulkhead.set("github")
        stopped = asyncio.create_task(stopping.wait())
        try:
            while not stopping.is_set():
                lease = await self._take_lease()
                if lease is None:
                    await asyncio.wait(
                        {stopped, *self._running},
                        timeout=POLL_SECONDS,
                        return_when=asyncio.FIRST_COMPLETED,
                    )
                    continue
                task = asyncio.create_task(self._run_lease(lease))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
        finally:
            stopped.cancel()
            await self._end()

    async def _end(self) -> None:
        if self._running:
            _, late = await asyncio.wait(set(self._running), timeout=STOP_SECONDS)
            for task in late:  # their leases expire
                task.cancel()

    async def _take_lease(self) -> Lease | None:
        if len(self._running) >= MAX_CONCURRENT_TOKENS:
            return None
        async with self._work() as work:
            return await tokens.lease_due(work, default_key=self._default_key)

    async def _run_lease(self, lease: Lease) -> None:
        """One sync run; where its lease cannot be released, it expires."""
        try:
            await self._call(lease)
        except Limited as limit:
            log.warning("github_limits", connection_id=str(lease.connection_id), seconds=limit.seconds)
            async with self._work() as work:
                await tokens.pause(work, lease, seconds=limit.seconds)
        except LeaseLost:
            log.info("github_lease_lost", connection_id=str(lease.connection_id))
            await self._release(lease)
        except Exception:
            log.exception("github_run_failed", connection_id=str(lease.connection_id))
            await self._release(lease)

    async def _call(self, lease: Lease) -> None:
        connection = await repository.connection(self._reader, lease.connection_id)
        if connection is not None and connection.enabled:
            try:
                token = token_of(connection, encryption=self._encryption, default=self._default)
            except SecretUnreadable:
                await self._fail_unreadable(connection)
                token = None
            repo = repo_of(connection, default=self._default)
            if token is not None and repo is not None:
                await self._sync(lease, connection, token=token, repo=repo)
        await self._release(lease, answered=True)

    async def _sync(self, lease: Lease, connection: ConnectionRow, *, token: str, repo: str) -> None:
        async def permit(*, writes: bool) -> None:
            async with self._work() as work:
                await tokens.renew(work, lease, writes=writes, rate=self._rate)
                if not await repository.is_unchanged(work, connection):
                    raise LeaseLost

        labels = [
            *connection.labels,
            *(self._default.labels if connection.uses_default and self._default else ()),
        ]
        run = SyncRun(
            work=self._work,
            reader=self._reader,
            connection=connection,
            repo=repo,
            user=self._client.as_user(token, permit),
            labels=tuple(labels),
            describe=self._describe,
            jobs=self._jobs,
        )
        if await repository.is_to_catch_up(self._reader, connection.id):
            await catch_up(run)
        else:
            await run.send()

    async def _fail_unreadable(self, connection: ConnectionRow) -> None:
        """No key decrypts the token: pushes that are due fail, and are retried once there is another token."""
        push = await repository.due_push(self._reader, connection.id)
        async with self._work() as work:
            if push is not None:
                await pushing.fail(work, connection, push, None, sentence=_UNREADABLE)
            await pushing.schedule_catch_up(work, connection, pause=timedelta(hours=1))

    async def _release(self, lease: Lease, *, answered: bool = False) -> None:
        async with self._work() as work:
            await tokens.release(work, lease, rest=BETWEEN_WRITES, answered=answered, rate=self._rate)
