"""Report a bug, and edit a reported one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects.postgresql import JSONB

from bugrelay.domain.accounts.service import lock_active_user
from bugrelay.domain.bugs import repository
from bugrelay.domain.bugs.errors import BugNotFound
from bugrelay.domain.bugs.events import BugEdited, BugReported, short_values
from bugrelay.domain.bugs.models import INITIAL_STATUS, Bug, BugEdit, BugText
from bugrelay.domain.bugs.policies import may_see_address
from bugrelay.domain.bugs.schemas import (
    ApplicationRef,
    BugWithTechnical,
    CompanyRef,
    Priority,
    ReportBug,
    Status,
    UpdateBug,
    UserRef,
)
from bugrelay.domain.bugs.service.receipts import receipt_secret
from bugrelay.domain.companies.service import NamedApplication, ResolvedApplication, record_created
from bugrelay.errors import AccountBanned, InvalidToken
from bugrelay.infra.db.query import Query, Row
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.security.captcha import RecaptchaFailed
from bugrelay.infra.security.tokens import hash_secret
from bugrelay.infra.text.markdown import render
from bugrelay.infra.viewer import Viewer


class UnknownApplication(Exception):
    """The report would create its application without permission; its transaction must be rolled back."""


class _Report(Struct, kw_only=True):
    """A report as the function `report_bug` of the database reads it (migrations/sql/report_bug.sql)."""

    id: UUID
    title: str
    status: Status
    priority: Priority
    tags: list[str]
    description: str
    description_html: str
    operating_system: str | None
    device_type: str | None
    app_version: str | None
    browser_version: str | None
    contact_email: str | None
    reporter_id: UUID | None
    captcha: str | None
    receipt: str | None
    may_add_application: bool
    application: NamedApplication


class _Written(Row):
    """The result of the function. `refused` is the reason why the transaction must be rolled back, or None. The columns
    of the reporter are null for an anonymous report, and those of the company if there is none."""

    refused: str | None
    reported_at: datetime
    username: str
    email: str
    application_id: UUID
    application_name: str
    application_url: str | None
    application_is_new: bool
    company_id: UUID | None
    company_name: str
    company_domain: str
    company_verified: bool
    company_is_new: bool


_WRITE = Query(
    select(func.report_bug(bindparam("report", type_=JSONB)).table_valued(*_Written.__struct_fields__)),
    _Written,
)


async def report_bug(
    work: UnitOfWork,
    viewer: Viewer,
    wanted: ReportBug,
    *,
    spent_captcha: str | None = None,
    receipt_key: str | None = None,
    may_add_application: bool = True,
) -> BugWithTechnical:
    """Create a bug in one statement, with its application and company where these are new.

    Args:
        work: The unit of work.
        viewer: The reporter, who may be anonymous.
        wanted: The report.
        spent_captcha: The identity of a captcha token that this report uses up.
        receipt_key: The key from which the secret of an anonymous report's receipt is derived; None for no receipt.
        may_add_application: Whether the report may create its application.

    Returns:
        The bug, as the viewer may see it.

    Raises:
        AccountBanned: The reporter is banned, possibly since the request was authenticated.
        InvalidToken: The account was erased meanwhile.
        RecaptchaFailed: The token was used before.
        UnknownApplication: The application is new, and `may_add_application` is false.
    """
    report = _report(
        wanted,
        reporter_id=viewer.user_id,
        spent_captcha=spent_captcha,
        receipt_key=receipt_key if viewer.user_id is None else None,
        may_add_application=may_add_application,
    )
    (written,) = await work.rows(_WRITE, {"report": msgspec.json.encode(report).decode()})
    _raise_refusal(written.refused)
    found = ResolvedApplication(
        written.application_id, written.company_id, written.application_is_new, written.company_is_new
    )
    record_created(work, report.application, found)
    work.record(_reported(report, found))
    return _as_written(report, written, viewer)


def _report(
    wanted: ReportBug,
    *,
    reporter_id: UUID | None,
    spent_captcha: str | None,
    receipt_key: str | None,
    may_add_application: bool,
) -> _Report:
    bug_id = new_id()
    secret = receipt_secret(receipt_key, bug_id) if receipt_key is not None else None
    return _Report(
        id=bug_id,
        title=wanted.title,
        status=INITIAL_STATUS,
        priority=wanted.priority or "medium",
        tags=wanted.tags or [],
        description=wanted.description,
        description_html=render(wanted.description),
        operating_system=wanted.operating_system,
        device_type=wanted.device_type,
        app_version=wanted.app_version,
        browser_version=wanted.browser_version,
        contact_email=wanted.contact_email,
        reporter_id=reporter_id,
        captcha=hash_secret(spent_captcha).hex() if spent_captcha is not None else None,
        receipt=hash_secret(secret).hex() if secret is not None else None,
        may_add_application=may_add_application,
        application=NamedApplication.of(name=wanted.application_name, url=wanted.application_url),
    )


def _raise_refusal(refused: str | None) -> None:
    match refused:
        case None:
            return
        case "banned":
            raise AccountBanned
        case "account":
            raise InvalidToken
        case "captcha":
            raise RecaptchaFailed("recaptcha_token was used before; solve the captcha again")
        case _:
            raise UnknownApplication


def _reported(report: _Report, application: ResolvedApplication) -> BugReported:
    return BugReported(
        bug_id=report.id,
        company_id=application.company_id,
        application_id=application.id,
        title=report.title,
        status=report.status,
        priority=report.priority,
        tags=tuple(report.tags),
        actor_id=report.reporter_id,
    )


def _as_written(report: _Report, written: _Written, viewer: Viewer) -> BugWithTechnical:
    """The bug as the viewer may see it, from the report and its result, without reading it again."""
    reporter = None
    if report.reporter_id is not None:
        sees_address = may_see_address(viewer, user_id=report.reporter_id)
        reporter = UserRef(report.reporter_id, written.username, written.email if sees_address else None)
    company = None
    if written.company_id is not None:
        company = CompanyRef(
            written.company_id, written.company_name, written.company_domain, written.company_verified
        )
    return BugWithTechnical(
        id=report.id,
        title=report.title,
        description=report.description,
        description_html=report.description_html,
        status=report.status,
        priority=report.priority,
        tags=report.tags,
        application_id=written.application_id,
        reporter_id=report.reporter_id,
        assigned_company_id=written.company_id,
        vote_count=0,
        comment_count=0,
        created_at=written.reported_at,
        updated_at=written.reported_at,
        resolved_at=None,
        application=ApplicationRef(written.application_id, written.application_name, written.application_url),
        reporter=reporter,
        assigned_company=company,
        operating_system=report.operating_system,
        device_type=report.device_type,
        app_version=report.app_version,
        browser_version=report.browser_version,
    )


async def update_bug(work: UnitOfWork, bug_id: UUID, *, user_id: UUID, wanted: UpdateBug) -> None:
    """Edit the fields that are set; the former values go to the history. Equal values are no change.

    Raises:
        BugNotFound, AccountBanned
    """
    description_html = UNSET if wanted.description is UNSET else render(wanted.description)
    await lock_active_user(work, user_id)
    bug = await repository.lock_bug(work, bug_id, before_writing=(BugText, BugEdit))
    if bug is None:
        raise BugNotFound
    stored = await repository.correctable_fields(work, bug_id)
    assert stored is not None  # noqa: S101 - the bug is locked, and texts are deleted with their bug alone
    former = asdict(stored)
    changes = _changes(former, wanted)
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


def _changes(former: dict[str, Any], wanted: UpdateBug) -> dict[str, Any]:
    """The new values of the fields that change; null tags are none."""
    sent = {name: getattr(wanted, name) for name in former if getattr(wanted, name) is not UNSET}
    if sent.get("tags", UNSET) is None:
        sent["tags"] = []
    return {name: value for name, value in sent.items() if value != former[name]}


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
