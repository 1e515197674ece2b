"""Create a public bug from a company's ticket."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import insert

from bugrelay.domain.bugs.events import BugReported
from bugrelay.domain.bugs.models import INITIAL_STATUS, Bug, BugText
from bugrelay.domain.companies.schemas import ApplicationState
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.text.markdown import render


async def publish_bug(
    work: UnitOfWork,
    application: ApplicationState,
    *,
    title: str,
    description: str,
    priority: str,
    tags: list[str],
    operating_system: str | None,
    device_type: str | None,
    app_version: str | None,
    browser_version: str | None,
) -> UUID:
    """Create a bug without a reporter in an application that is locked, and return its id.

    Neither the bug nor its event names the user who publishes it.
    """
    bug_id = new_id()
    await work.session.execute(
        insert(Bug).values(
            id=bug_id,
            title=title,
            status=INITIAL_STATUS,
            priority=priority,
            tags=tags,
            application_id=application.id,
            assigned_company_id=application.company_id,
        )
    )
    await work.session.execute(
        insert(BugText).values(
            bug_id=bug_id,
            description=description,
            description_html=render(description),
            operating_system=operating_system,
            device_type=device_type,
            app_version=app_version,
            browser_version=browser_version,
        )
    )
    work.record(
        BugReported(
            bug_id=bug_id,
            company_id=application.company_id,
            application_id=application.id,
            title=title,
            status=INITIAL_STATUS,
            priority=priority,
            tags=tuple(tags),
            actor_id=None,
        )
    )
    return bug_id
