"""Publish a ticket as a bug on the board."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import insert

from bugrelay.domain.bugs.models import Attachment
from bugrelay.domain.bugs.service.publishing import publish_bug
from bugrelay.domain.companies.errors import ApplicationNotFound
from bugrelay.domain.companies.repository import lock_application
from bugrelay.domain.companies.schemas import ApplicationState, Tenant
from bugrelay.domain.files.schemas import NewFile
from bugrelay.domain.links import repository
from bugrelay.domain.links.errors import AlreadyLinked, PreviewOutdated
from bugrelay.domain.links.schemas import PublicBug, ReportExcerpt
from bugrelay.domain.links.service.linking import add_link, record_linked, require_team
from bugrelay.domain.links.service.previews import (
    MIN_DESCRIPTION,
    MIN_TITLE,
    Publishable,
    preview_token,
    redacted,
)
from bugrelay.domain.tickets.service.acting import lock_member
from bugrelay.domain.tickets.service.locking import lock_ticket
from bugrelay.errors import FieldProblem, InsufficientPermissions, ValidationFailed
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id


async def publish_ticket(
    work: UnitOfWork,
    tenant: Tenant,
    ticket_id: UUID,
    *,
    token: str,
    application_id: UUID,
    carry_status: bool,
    pictures: Sequence[NewFile],
    key: str,
) -> UUID:
    """Publish a ticket as it was previewed, and link it to the new bug; returns the bug's id.

    Concurrent publications of a ticket are serialised by its row; the second finds the link.

    Args:
        work: The unit of work.
        tenant: The company, and the user who saw the preview.
        ticket_id: The ticket.
        token: The token of the preview.
        application_id: The application of the bug; the company's own.
        carry_status: Whether the ticket's status is carried over to the bug.
        pictures: Screenshots, re-encoded and stored for the public.
        key: The signing key.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, TicketNotFound, ApplicationNotFound, AlreadyLinked,
        PreviewOutdated
        InsufficientPermissions: The user is not on the team of the company behind the application.
        ValidationFailed: Title or description is too short for the board.
    """
    require_team(tenant)
    await lock_member(work, tenant)
    application = await _lock_application_of(work, tenant, application_id)
    ticket = await lock_ticket(work, tenant, ticket_id)
    links = await repository.links_of(work, company_id=tenant.company_id, ticket_id=ticket_id)
    if any(link.survivor_id is not None for link in links):
        raise AlreadyLinked
    excerpt = await repository.report_excerpt(work, company_id=tenant.company_id, ticket_id=ticket_id)
    bug = _as_previewed(tenant, ticket, excerpt, token=token, key=key)
    bug_id = await _create_bug(work, application, bug, pictures)
    await add_link(work, tenant, ticket_id, bug_id=bug_id, kind="published", carry_status=carry_status)
    record_linked(
        work,
        tenant,
        ticket_id,
        project_id=ticket.project_id,
        version=ticket.version,
        bug_id=bug_id,
        kind="published",
        carry_status=carry_status,
    )
    return bug_id


async def _lock_application_of(work: UnitOfWork, tenant: Tenant, application_id: UUID) -> ApplicationState:
    """
    Raises:
        ApplicationNotFound, InsufficientPermissions
    """
    application = await lock_application(work, application_id)
    if application is None:
        raise ApplicationNotFound
    if application.company_id != tenant.company_id:
        raise InsufficientPermissions("Only members of the company behind the application may publish there")
    return application


def _as_previewed(
    tenant: Tenant, ticket: Publishable, excerpt: ReportExcerpt, *, token: str, key: str
) -> PublicBug:
    """The public bug, composed again, if it is what the preview showed.

    Raises:
        PreviewOutdated, ValidationFailed
    """
    bug = redacted(ticket, excerpt).bug
    seen = preview_token(tenant, ticket, bug, key=key)
    if not hmac.compare_digest(seen.encode(), token.encode()):
        raise PreviewOutdated
    problems = []
    if len(bug.title) < MIN_TITLE:
        problems.append(FieldProblem("title", f"must have at least {MIN_TITLE} characters to be public"))
    if len(bug.description) < MIN_DESCRIPTION:
        message = f"must have at least {MIN_DESCRIPTION} characters to be public"
        problems.append(FieldProblem("description", message))
    if problems:
        raise ValidationFailed(problems)
    return bug


async def _create_bug(
    work: UnitOfWork, application: ApplicationState, bug: PublicBug, pictures: Sequence[NewFile]
) -> UUID:
    bug_id = await publish_bug(
        work,
        application,
        title=bug.title,
        description=bug.description,
        priority=bug.priority,
        tags=bug.tags,
        operating_system=bug.operating_system,
        device_type=bug.device_type,
        app_version=bug.app_version,
        browser_version=bug.browser_version,
    )
    rows = [
        {
            "id": new_id(),
            "bug_id": bug_id,
            "filename": f"screenshot-{number}.{picture.storage_key.rpartition('.')[2]}",
            "storage_key": picture.storage_key,
            "file_size": picture.size_bytes,
            "mime_type": picture.mime_type,
        }
        for number, picture in enumerate(pictures, 1)
    ]
    if rows:
        await work.session.execute(insert(Attachment), rows)
    return bug_id
