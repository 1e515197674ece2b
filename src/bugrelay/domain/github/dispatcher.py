"""Calls GitHub for all connections: each worker runs one, for as long as it lives.

A turn is one token's: a few reads and one write at most, or a catch-up. Tokens wait for nobody but themselves, so a
repository that hangs delays none but those who share its token.
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
from bugrelay.domain.github.sending import Describe, Turn, Work
from bugrelay.domain.github.service import pushing, tokens
from bugrelay.domain.github.service.secrets import repo_of, token_key, token_of
from bugrelay.domain.github.service.tokens import BETWEEN_WRITES, Lease
from bugrelay.infra.db.database import bulkhead
from bugrelay.infra.db.query import Reader
from bugrelay.infra.jobs.queue import JobQueue
from bugrelay.infra.security.encryption import Encryption, SecretUnreadable
from bugrelay.settings import Rate

log = structlog.get_logger()

AT_ONCE = 8  # tokens
POLL_SECONDS = 1.0
STOP_SECONDS = 10.0
_UNREADABLE = "The token cannot be read any more; an admin of the company has to enter it again"


class Dispatcher:
    """The turns of one worker.

    Args:
        work: Begins a change of the database.
        reader: Reads it.
        client: GitHub's API.
        encryption: What reads tokens.
        default: The operator's repository.
        rate: Of writes with one token.
        describe: What is told of a ticket.
        jobs: Has mails sent.
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
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Take turns until `stopping` is set; what is under way then is given time to end."""
        bulkhead.set("github")
        stopped = asyncio.create_task(stopping.wait())
        try:
            while not stopping.is_set():
                lease = await self._take()
                if lease is None:
                    await asyncio.wait(
                        {stopped, *self._under_way},
                        timeout=POLL_SECONDS,
                        return_when=asyncio.FIRST_COMPLETED,
                    )
                    continue
                task = asyncio.create_task(self._turn(lease))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
        finally:
            stopped.cancel()
            await self._end()

    async def _end(self) -> None:
        if self._under_way:
            _, late = await asyncio.wait(set(self._under_way), timeout=STOP_SECONDS)
            for task in late:  # their tokens are free again when the leases have run out
                task.cancel()

    async def _take(self) -> Lease | None:
        if len(self._under_way) >= AT_ONCE:
            return None
        async with self._work() as work:
            return await tokens.take_due(work, default_key=self._default_key)

    async def _turn(self, lease: Lease) -> None:
        """One turn; where it cannot be ended, its token is free again when the lease has run out."""
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
            log.exception("github_turn_lost", connection_id=str(lease.connection_id))
            await self._release(lease)

    async def _call(self, lease: Lease) -> None:
        connection = await repository.connection(self._reader, lease.connection_id)
        if connection is not None and connection.enabled:
            try:
                token = token_of(connection, encryption=self._encryption, default=self._default)
            except SecretUnreadable:
                await self._give_up(connection)
                token = None
            repo = repo_of(connection, default=self._default)
            if token is not None and repo is not None:
                await self._use(lease, connection, token=token, repo=repo)
        await self._release(lease, answered=True)

    async def _use(self, lease: Lease, connection: ConnectionRow, *, token: str, repo: str) -> None:
        async def permit(*, writes: bool) -> None:
            async with self._work() as work:
                await tokens.renew(work, lease, writes=writes, rate=self._rate)
                if not await repository.is_unchanged(work, connection):
                    raise LeaseLost

        labels = [
            *connection.labels,
            *(self._default.labels if connection.uses_default and self._default else ()),
        ]
        turn = Turn(
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
            await catch_up(turn)
        else:
            await turn.send()

    async def _give_up(self, connection: ConnectionRow) -> None:
        """No key reads the token: what is due fails, and is tried again with the next token."""
        push = await repository.due_push(self._reader, connection.id)
        async with self._work() as work:
            if push is not None:
                await pushing.fail(work, connection, push, None, sentence=_UNREADABLE)
            await pushing.put_off_catch_up(work, connection, pause=timedelta(hours=1))

    async def _release(self, lease: Lease, *, answered: bool = False) -> None:
        async with self._work() as work:
            await tokens.release(work, lease, rest=BETWEEN_WRITES, answered=answered, rate=self._rate)
