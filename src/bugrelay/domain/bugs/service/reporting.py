"""Report a bug, and correct a report."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import asdict
from sqlalchemy import insert, update
from sqlalchemy.dialects.postgresql import insert as upsert

from bugrelay.domain.accounts.service import lock_active_user
from bugrelay.domain.bugs import repository
from bugrelay.domain.bugs.errors import BugNotFound
from bugrelay.domain.bugs.events import BugEdited, BugReported, short_values
from bugrelay.domain.bugs.models import INITIAL_STATUS, Bug, BugEdit, BugText, CaptchaToken
from bugrelay.domain.bugs.schemas import ReportBug, UpdateBug
from bugrelay.domain.companies.service import get_or_create_application
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.security.captcha import RecaptchaFailed
from bugrelay.infra.security.tokens import hash_secret
from bugrelay.infra.text.markdown import render
from bugrelay.infra.viewer import Viewer


async def report_bug(
    work: UnitOfWork, viewer: Viewer, wanted: ReportBug, *, spent_captcha: str | None = None
) -> UUID:
    """Put a bug on the board; its application and company are found or made.

    Args:
        work: The change.
        viewer: The reporter, or nobody.
        wanted: The report.
        spent_captcha: The identity of a captcha token that this report uses up.

    Raises:
        AccountBanned: Of the reporter, however late the ban came.
        RecaptchaFailed: The token was used before.
    """
    description_html = render(wanted.description)  # before the first statement, so that no lock waits for it
    if viewer.user_id is not None:
        await lock_active_user(work, viewer.user_id)
    if spent_captcha is not None:
        await _spend(work, spent_captcha)
    application = await get_or_create_application(
        work, name=wanted.application_name, url=wanted.application_url
    )
    bug_id, priority, tags = new_id(), wanted.priority or "medium", wanted.tags or []
    await work.session.execute(
        insert(Bug).values(
            id=bug_id,
            title=wanted.title,
            status=INITIAL_STATUS,
            priority=priority,
            tags=tags,
            application_id=application.id,
            assigned_company_id=application.company_id,
            reporter_id=viewer.user_id,
        )
    )
    await work.session.execute(
        insert(BugText).values(
            bug_id=bug_id,
            description=wanted.description,
            description_html=description_html,
            operating_system=wanted.operating_system,
            device_type=wanted.device_type,
            app_version=wanted.app_version,
            browser_version=wanted.browser_version,
            contact_email=wanted.contact_email,
        )
    )
    work.record(
        BugReported(
            bug_id=bug_id,
            company_id=application.company_id,
            application_id=application.id,
            title=wanted.title,
            status=INITIAL_STATUS,
            priority=priority,
            tags=tuple(tags),
            actor_id=viewer.user_id,
        )
    )
    return bug_id


async def _spend(work: UnitOfWork, token: str) -> None:
    spent = upsert(CaptchaToken).values(token_hash=hash_secret(token)).on_conflict_do_nothing()
    if not (await work.session.execute(spent.returning(CaptchaToken.token_hash))).first():
        raise RecaptchaFailed("recaptcha_token was used before; solve the captcha again")


async def update_bug(work: UnitOfWork, bug_id: UUID, *, user_id: UUID, wanted: UpdateBug) -> None:
    """Change what the reporter corrects; what stood there before goes to the history.

    Raises:
        BugNotFound
    """
    description_html = UNSET if wanted.description is UNSET else render(wanted.description)
    await lock_active_user(work, user_id)
    bug = await repository.lock_bug(work, bug_id, before_writing=(BugText, BugEdit))
    if bug is None:
        raise BugNotFound
    stored = await repository.correctable_fields(work, bug_id)
    assert stored is not None  # noqa: S101 - the bug is locked, and texts are deleted with their bug alone
    former = asdict(stored)
    wishes = {name: getattr(wanted, name) for name in former if getattr(wanted, name) is not UNSET}
    if wishes.get("tags", UNSET) is None:
        wishes["tags"] = []
    changes = {name: value for name, value in wishes.items() if value != former[name]}
    if changes:
        await _write_changes(work, bug_id, changes, description_html=description_html)
        before, edit_id = {name: former[name] for name in changes}, new_id()
        history = msgspec.json.encode(before).decode()
        work.session.add(BugEdit(id=edit_id, bug_id=bug_id, before=history, user_id=user_id))
        work.record(
            BugEdited(
                bug_id=bug_id,
                company_id=bug.assigned_company_id,
                edit_id=edit_id,
                fields=tuple(changes),
                former=short_values(before),
                actor_id=user_id,
            )
        )


_BUG_FIELDS = ("title", "tags")


async def _write_changes(
    work: UnitOfWork, bug_id: UUID, changes: dict[str, Any], *, description_html: str | UnsetType
) -> None:
    bug_values = {name: value for name, value in changes.items() if name in _BUG_FIELDS}
    text_values = {name: value for name, value in changes.items() if name not in _BUG_FIELDS}
    if "description" in text_values:
        text_values["description_html"] = description_html
    await work.session.execute(
        update(Bug).where(Bug.id == bug_id).values(**bug_values, updated_at=datetime.now(UTC))
    )
    if text_values:
        await work.session.execute(update(BugText).where(BugText.bug_id == bug_id).values(**text_values))
