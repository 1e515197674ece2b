"""Assign applications to companies."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, update

from bugrelay.domain.accounts.service import lock_active_user
from bugrelay.domain.companies import policies, repository
from bugrelay.domain.companies.errors import ApplicationNotFound, CompanyNotFound
from bugrelay.domain.companies.events import ApplicationAssigned
from bugrelay.domain.companies.models import Application
from bugrelay.errors import InsufficientPermissions
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.viewer import Viewer


async def link_application(
    work: UnitOfWork, viewer: Viewer, *, company_id: UUID, application_id: UUID, actor_id: UUID
) -> None:
    """Assign the application, with its bugs, to the company, if the viewer may.

    Raises:
        AccountBanned, CompanyNotFound, ApplicationNotFound
        InsufficientPermissions: Also if the right was lost after the request was authorised.
    """
    await lock_active_user(work, actor_id)
    role = await repository.lock_role_of(work, user_id=actor_id, company_id=company_id)
    company = await repository.company_state(work, company_id)
    application = await repository.lock_application(work, application_id)
    if company is None:
        raise CompanyNotFound
    if application is None:
        raise ApplicationNotFound
    if not policies.may_link(viewer, company, application, company_role=role):
        raise InsufficientPermissions
    await assign_application(
        work, application_id=application_id, company_id=company_id, actor_id=actor_id, reason=None
    )


async def assign_application(
    work: UnitOfWork, *, application_id: UUID, company_id: UUID | None, actor_id: UUID, reason: str | None
) -> bool:
    """Assign the application to a company, or to none; returns False if it is assigned so already.

    Its row is locked, which reports that name it wait for: so a concurrent report either sees the assignment, or is
    committed before it.

    Raises:
        ApplicationNotFound
        CompanyNotFound
    """
    application = await repository.lock_application(work, application_id)
    if application is None:
        raise ApplicationNotFound
    if company_id is not None and await repository.company_state(work, company_id) is None:
        raise CompanyNotFound
    if application.company_id == company_id:
        return False
    await work.session.execute(
        update(Application)
        .where(Application.id == application_id)
        .values(company_id=company_id, updated_at=func.now())
    )
    work.record(
        ApplicationAssigned(
            application_id=application_id,
            company_id=company_id,
            former_company_id=application.company_id,
            reason=reason,
            actor_id=actor_id,
        )
    )
    return True
