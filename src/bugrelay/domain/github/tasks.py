"""Jobs of GitHub: the dispatcher, deliveries, mails to admins, deletion of old rows, re-encryption."""

from __future__ import annotations

import asyncio
from uuid import UUID

import structlog

from bugrelay.domain.github import describing, repository
from bugrelay.domain.github.client import GitHubClient
from bugrelay.domain.github.dispatcher import Dispatcher
from bugrelay.domain.github.issue_text import TicketText
from bugrelay.domain.github.models import GitHubConnection
from bugrelay.domain.github.repository import SealedSecrets
from bugrelay.domain.github.schemas import ConnectionRow, TicketRow
from bugrelay.domain.github.service import receiving, tokens
from bugrelay.domain.github.service.pushing import MAIL_JOB
from bugrelay.domain.github.service.receiving import DELETED_AT_ONCE, DELIVERY_JOB
from bugrelay.domain.github.service.secrets import default_repository, secret_purpose, token_purpose
from bugrelay.infra.jobs.tasks import Periodic, Tasks
from bugrelay.infra.mail.message import mail_id
from bugrelay.infra.platform import Platform
from bugrelay.infra.security.reencryption import reencrypt_rows

log = structlog.get_logger()


async def call(platform: Platform, stopping: asyncio.Event) -> None:
    """Run the dispatcher until the worker stops."""

    async def describe(connection: ConnectionRow, ticket: TicketRow, is_private: bool) -> TicketText:
        return await describing.describe(platform.database, connection, ticket, is_private)

    client = GitHubClient(platform.settings.github_api_url)
    dispatcher = Dispatcher(
        platform.work,
        reader=platform.database,
        client=client,
        encryption=platform.encryption,
        default=default_repository(platform.settings),
        rate=platform.settings.github_writes,
        describe=describe,
        jobs=platform.jobs,
    )
    try:
        await dispatcher.run(stopping)
    finally:
        await client.close()


async def process_delivery(platform: Platform, *, connection_id: str, delivery_id: str) -> None:
    """Process a delivery of GitHub's webhook."""
    async with platform.work() as work:
        await receiving.process_delivery(work, connection_id=UUID(connection_id), delivery_id=delivery_id)


async def mail_switched_off(platform: Platform, *, connection_id: str, user_id: str, occasion: str) -> None:
    """Mail an admin that GitHub refuses the token; idempotent by the mail's id.

    Nothing is sent where another token was entered meanwhile, or where the address has reached its mail limit.
    """
    ids = {"connection_id": UUID(connection_id), "user_id": UUID(user_id)}
    found = await repository.switched_off(platform.database, **ids)
    if found is None or await platform.mail_limits.take(found.email):
        return
    mail = platform.mailer.write(
        "github_switched_off",
        mail_id=mail_id("github_switched_off", connection_id, user_id, occasion),
        to=found.email,
        username=found.username,
        domain=found.domain,
        repo=found.repo or platform.settings.github_repo,
    )
    await platform.mailer.send(mail)


async def delete_expired(platform: Platform) -> None:
    """Delete deliveries older than 30 days, and leases of unused tokens."""
    deleted = DELETED_AT_ONCE
    while deleted == DELETED_AT_ONCE:
        async with platform.work() as work:
            deleted = await receiving.delete_old_deliveries(work)
    async with platform.work() as work:
        await tokens.delete_unused(work)


async def reencrypt_secrets(platform: Platform) -> None:
    """Encrypt tokens and secrets of older keys with the newest one."""
    await reencrypt_rows(
        platform.work,
        GitHubConnection,
        encryption=platform.encryption,
        lock_after=repository.lock_secrets_after,
        columns_of=_secrets_of,
    )


def _secrets_of(row: SealedSecrets) -> dict[str, tuple[bytes | None, str]]:
    return {
        "token": (row.token, token_purpose(row.company_id)),
        "secret": (row.secret, secret_purpose(row.company_id)),
    }


TASKS = Tasks(
    by_name={MAIL_JOB: mail_switched_off, DELIVERY_JOB: process_delivery},
    periodic={
        "github.delete_expired": Periodic("47 * * * *", delete_expired),
        "github.reencrypt_secrets": Periodic("9 * * * *", reencrypt_secrets),
    },
    continuous={"github.call": call},
)
