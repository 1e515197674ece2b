"""Create, change, archive and restore projects."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET
from msgspec.structs import asdict
from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.tickets.errors import KeyFixed, KeyInUse, ProjectNotFound
from bugrelay.domain.tickets.events import Action, ProjectChanged
from bugrelay.domain.tickets.models import Project, ProjectKey
from bugrelay.domain.tickets.repository.projects import (
    ProjectState,
    has_had_tickets,
    lock_project,
    project_fields_changed_since,
)
from bugrelay.domain.tickets.schemas import NewProject, ProjectChanges
from bugrelay.domain.tickets.schemes import SCHEMES, Scheme
from bugrelay.domain.tickets.service.acting import lock_member
from bugrelay.domain.tickets.service.locking import Expected, require_version
from bugrelay.infra.db.database import violated_constraint
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id


async def create_project(work: UnitOfWork, tenant: Tenant, wanted: NewProject) -> UUID:
    """Create a project; returns its id.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, InsufficientPermissions
        KeyInUse: Another project of the company has or had the key, or it is reserved for another scheme.
    """
    await lock_member(work, tenant)
    _refuse_reserved(wanted.key, scheme=wanted.scheme)
    project_id = new_id()
    if not await _insert(work, tenant, project_id, asdict(wanted)):
        raise KeyInUse
    if not await _take_key(work, tenant, project_id, wanted.key):
        raise KeyInUse
    return project_id


async def make_default_project(work: UnitOfWork, tenant: Tenant, scheme: Scheme) -> None:
    """Create the default project of a scheme, unless it exists by now; its key may have been another project's."""
    project_id = new_id()
    values = {"key": scheme.project_key, "name": scheme.project_name, "scheme": scheme.name}
    if await _insert(work, tenant, project_id, values):
        await _take_key(work, tenant, project_id, scheme.project_key)


async def _insert(work: UnitOfWork, tenant: Tenant, project_id: UUID, values: dict[str, Any]) -> bool:
    """Insert the project; returns whether the key was free."""
    making = (
        insert(Project)
        .values(id=project_id, company_id=tenant.company_id, **values)
        .on_conflict_do_nothing(index_elements=["company_id", "key"])
        .returning(Project.id)
    )
    if await work.session.scalar(making) is None:
        return False
    work.record(_fact(project_id, tenant, "created", version=1))
    return True


async def _take_key(work: UnitOfWork, tenant: Tenant, project_id: UUID, key: str) -> bool:
    """Record a key of the project; returns whether no other project of the company has or had it."""
    taking = insert(ProjectKey).values(company_id=tenant.company_id, key=key, project_id=project_id)
    own = taking.on_conflict_do_update(
        index_elements=["company_id", "key"],
        set_={"project_id": project_id},
        where=ProjectKey.project_id == project_id,
    )
    return await work.session.scalar(own.returning(ProjectKey.key)) is not None


def _refuse_reserved(key: str, *, scheme: str) -> None:
    """Refuse the keys of the default projects of other schemes.

    Raises:
        KeyInUse
    """
    if any(one.project_key == key and one.name != scheme for one in SCHEMES.values()):
        raise KeyInUse("This key is kept for the project of another scheme")


async def edit_project(
    work: UnitOfWork,
    tenant: Tenant,
    project_id: UUID,
    wanted: ProjectChanges,
    *,
    expected: Expected = None,
) -> None:
    """
    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, InsufficientPermissions, ProjectNotFound, VersionConflict
        KeyInUse
        KeyFixed: The project has had tickets.
    """
    await lock_member(work, tenant)
    project = await _locked(work, tenant, project_id)
    await require_version(
        expected,
        current=project.version,
        changed_since=lambda seen: project_fields_changed_since(work, tenant, project_id, seen),
    )
    sent = {name: value for name, value in asdict(wanted).items() if value is not UNSET}
    changes = {name: value for name, value in sent.items() if value != getattr(project, name)}
    if "key" in changes:
        await _check_new_key(work, tenant, project, changes["key"])
    if changes:
        await _write(work, tenant, project, changes, action="edited")


async def _check_new_key(work: UnitOfWork, tenant: Tenant, project: ProjectState, key: str) -> None:
    _refuse_reserved(key, scheme=project.scheme)
    if await has_had_tickets(work, tenant, project.id):
        raise KeyFixed
    if not await _take_key(work, tenant, project.id, key):
        raise KeyInUse


async def archive_project(work: UnitOfWork, tenant: Tenant, project_id: UUID) -> None:
    """Archive a project; idempotent.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, InsufficientPermissions, ProjectNotFound
    """
    await lock_member(work, tenant)
    project = await _locked(work, tenant, project_id)
    if project.archived_at is None:
        await _write(work, tenant, project, {"archived_at": datetime.now(UTC)}, action="archived")


async def restore_project(work: UnitOfWork, tenant: Tenant, project_id: UUID) -> None:
    """Restore an archived project, which accepts tickets again; idempotent.

    Raises:
        AccountBanned, InvalidToken, CompanyNotFound, InsufficientPermissions, ProjectNotFound
    """
    await lock_member(work, tenant)
    project = await _locked(work, tenant, project_id)
    if project.archived_at is not None:
        await _write(work, tenant, project, {"archived_at": None}, action="restored")


async def _locked(work: UnitOfWork, tenant: Tenant, project_id: UUID) -> ProjectState:
    project = await lock_project(work, tenant, project_id)
    if project is None:
        raise ProjectNotFound
    return project


async def _write(
    work: UnitOfWork, tenant: Tenant, project: ProjectState, changes: dict[str, Any], *, action: Action
) -> None:
    version = project.version + 1
    try:
        await work.session.execute(
            update(Project)
            .where(Project.company_id == tenant.company_id, Project.id == project.id)
            .values(**changes, version=version, updated_at=func.now())
            .execution_options(synchronize_session=False)
        )
    except IntegrityError as error:
        if violated_constraint(error) == "uq_projects_company_id_key":
            raise KeyInUse from error
        raise
    work.record(_fact(project.id, tenant, action, version=version, fields=tuple(changes)))


def _fact(
    project_id: UUID, tenant: Tenant, action: Action, *, version: int, fields: tuple[str, ...] = ()
) -> ProjectChanged:
    return ProjectChanged(
        project_id=project_id,
        company_id=tenant.company_id,
        action=action,
        fields=fields,
        version=version,
        actor_id=tenant.actor_id,
    )
