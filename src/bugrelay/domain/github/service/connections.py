"""Use cases of a company's admins for the connection to GitHub. Each locks the company."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, null, update
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.domain.companies.service.team import lock_as_admin
from bugrelay.domain.github import repository
from bugrelay.domain.github.errors import GitHubNotConnected
from bugrelay.domain.github.events import GitHubConnected, GitHubConnectionChanged, GitHubDisconnected
from bugrelay.domain.github.models import FAILED, PENDING, GitHubConnection, GitHubPush
from bugrelay.domain.github.schemas import (
    ConnectionRow,
    DefaultRepository,
    GitHubConnectionOut,
    SetGitHubConnection,
)
from bugrelay.domain.github.service.secrets import (
    repo_of,
    secret_purpose,
    token_key,
    token_purpose,
    token_shown,
)
from bugrelay.errors import FieldProblem, ValidationFailed
from bugrelay.infra.db.query import Reader
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.security.encryption import Encryption

SECRET_BYTES = 32
CATCH_UP_EVERY = timedelta(hours=1)
_OPTIONS = (
    "labels",
    "enabled",
    "schemes",
    "comments_out",
    "comments_in",
    "status_in",
    "status_out",
    "allow_public",
)
_AUDITED_FIELDS = ("repo", "uses_default", *_OPTIONS)


async def set_connection(
    work: UnitOfWork,
    company_id: UUID,
    *,
    actor_id: UUID,
    wanted: SetGitHubConnection,
    encryption: Encryption,
    default: DefaultRepository | None,
) -> str | None:
    """Connect the company, or change its connection; returns the webhook's secret where the connection is new.

    Failed pushes are retried. A new repository or token is checked before anything is sent.

    Raises:
        AccountBanned, NotMember, InsufficientPermissions, ValidationFailed
    """
    await lock_as_admin(work, company_id, actor_id=actor_id)
    stored = await repository.lock_connection(work, company_id)
    _check(wanted, stored, default=default)
    if stored is None:
        return await _connect(work, company_id, actor_id=actor_id, wanted=wanted, encryption=encryption)
    values = _changes(stored, wanted, encryption=encryption)
    _record_change(work, stored, values, actor_id=actor_id)
    await work.session.execute(
        update(GitHubConnection)
        .where(GitHubConnection.id == stored.id)
        .values(**values, updated_at=func.now())
        .execution_options(synchronize_session=False)
    )
    await _retry_failed(work, company_id)
    return None


def _check(
    wanted: SetGitHubConnection, stored: ConnectionRow | None, *, default: DefaultRepository | None
) -> None:
    """
    Raises:
        ValidationFailed
    """
    problems = []
    if wanted.use_default:
        if default is None:
            problems.append(
                FieldProblem("use_default", "must be false: the operator offers no default repository")
            )
        problems += [
            FieldProblem(name, "must be left out with use_default")
            for name in ("repo", "token")
            if getattr(wanted, name) is not None
        ]
    else:
        if wanted.repo is None:
            problems.append(FieldProblem("repo", "is required"))
        if wanted.token is None and (stored is None or stored.token is None):
            problems.append(FieldProblem("token", "is required"))
    if problems:
        raise ValidationFailed(problems)


async def _connect(
    work: UnitOfWork, company_id: UUID, *, actor_id: UUID, wanted: SetGitHubConnection, encryption: Encryption
) -> str:
    connection_id, secret = new_id(), secrets.token_urlsafe(SECRET_BYTES)
    sealed = encryption.encrypt(secret.encode(), purpose=secret_purpose(company_id), row_id=connection_id)
    work.session.add(
        GitHubConnection(
            id=connection_id,
            company_id=company_id,
            uses_default=wanted.use_default,
            repo=wanted.repo,
            secret=sealed,
            catch_up_at=func.now() + CATCH_UP_EVERY,
            issues_since=func.now(),
            comments_since=func.now(),
            **_token_values(wanted, company_id, connection_id=connection_id, encryption=encryption),
            **{name: getattr(wanted, name) for name in _OPTIONS},
        )
    )
    audited = {"repo": wanted.repo, "uses_default": wanted.use_default}
    audited |= {name: getattr(wanted, name) for name in _OPTIONS}
    work.record(
        GitHubConnected(connection_id=connection_id, company_id=company_id, values=audited, actor_id=actor_id)
    )
    return secret


def _token_values(
    wanted: SetGitHubConnection, company_id: UUID, *, connection_id: UUID, encryption: Encryption
) -> dict[str, Any]:
    if wanted.token is None:
        return {}
    sealed = encryption.encrypt(
        wanted.token.encode(), purpose=token_purpose(company_id), row_id=connection_id
    )
    return {"token": sealed, "token_key": token_key(wanted.token)}


def _changes(stored: ConnectionRow, wanted: SetGitHubConnection, *, encryption: Encryption) -> dict[str, Any]:
    values = {name: getattr(wanted, name) for name in _OPTIONS}
    values |= {"repo": wanted.repo, "uses_default": wanted.use_default, "switched_off_reason": null()}
    if wanted.use_default:
        values |= {"token": null(), "token_key": null()}
    values |= _token_values(wanted, stored.company_id, connection_id=stored.id, encryption=encryption)
    has_moved = wanted.repo != stored.repo or wanted.use_default != stored.uses_default
    if has_moved or wanted.token is not None:
        values |= {"login": null(), "checked_at": null()}
    if has_moved:
        values |= {"repository_id": null(), "is_private": null()}
        values |= {"issues_since": func.now(), "comments_since": func.now()}
    return values


def _record_change(
    work: UnitOfWork, stored: ConnectionRow, values: Mapping[str, Any], *, actor_id: UUID
) -> None:
    changed = [name for name in _AUDITED_FIELDS if values[name] != getattr(stored, name)]
    former = {name: getattr(stored, name) for name in changed}
    audited = {name: values[name] for name in changed}
    if "token" in values:
        audited["token"] = "another one"  # noqa: S105 - never the token itself
    if audited:
        work.record(
            GitHubConnectionChanged(
                connection_id=stored.id,
                company_id=stored.company_id,
                former=former,
                values=audited,
                actor_id=actor_id,
            )
        )


async def _retry_failed(work: UnitOfWork, company_id: UUID) -> None:
    await work.session.execute(
        update(GitHubPush)
        .where(GitHubPush.company_id == company_id, GitHubPush.state == FAILED)
        .values(
            state=PENDING,
            error=null(),
            attempts=0,
            failing_since=null(),
            next_at=func.now(),
            revision=GitHubPush.revision + 1,
        )
        .execution_options(synchronize_session=False)
    )


async def remove_connection(work: UnitOfWork, company_id: UUID, *, actor_id: UUID) -> None:
    """Disconnect the company; pushes are dropped, and issues stay as they are.

    Which ticket has which issue is kept for a later connection to the same repository.

    Raises:
        AccountBanned, NotMember, InsufficientPermissions, GitHubNotConnected
    """
    await lock_as_admin(work, company_id, actor_id=actor_id)
    stored = await repository.lock_connection(work, company_id)
    if stored is None:
        raise GitHubNotConnected
    await work.session.execute(delete(GitHubConnection).where(GitHubConnection.id == stored.id))
    work.record(_removed(stored.id, stored.repo, company_id=company_id, actor_id=actor_id))


async def remove_connections_of(
    session: AsyncSession, actors: Mapping[UUID, UUID]
) -> Sequence[GitHubDisconnected]:
    """Disconnect these companies.

    Args:
        session: The transaction.
        actors: The acting user, by company.
    """
    connections = await repository.lock_connections_of(session, list(actors))
    for connection in connections:
        await session.delete(connection)
    return [
        _removed(one.id, one.repo, company_id=one.company_id, actor_id=actors[one.company_id])
        for one in connections
    ]


def _removed(
    connection_id: UUID, repo: str | None, *, company_id: UUID, actor_id: UUID
) -> GitHubDisconnected:
    former = {"repo": repo, "uses_default": repo is None}
    return GitHubDisconnected(
        connection_id=connection_id, company_id=company_id, former=former, actor_id=actor_id
    )


async def show_connection(
    reader: Reader,
    company_id: UUID,
    *,
    encryption: Encryption,
    default: DefaultRepository | None,
    public_url: str,
) -> GitHubConnectionOut:
    """The connection, without its token and its secret.

    Raises:
        GitHubNotConnected
    """
    stored = await repository.connection_of(reader, company_id)
    if stored is None:
        raise GitHubNotConnected
    counts = await repository.push_counts(reader, company_id)
    return GitHubConnectionOut(
        id=stored.id,
        company_id=company_id,
        repo=repo_of(stored, default=default),
        token=token_shown(stored, encryption),
        use_default=stored.uses_default,
        switched_off_reason=stored.switched_off_reason,
        private=stored.is_private,
        login=stored.login,
        checked_at=stored.checked_at,
        pending=counts.pending,
        failed=counts.failed,
        webhook_url=f"{public_url}/api/v1/integrations/github/{stored.id}",
        created_at=stored.created_at,
        updated_at=stored.updated_at,
        **{name: getattr(stored, name) for name in _OPTIONS},
    )
