"""Support reports: the columns besides those of their tickets, and screenshots."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.domain.tickets.models import of_ticket
from bugrelay.infra.db.models import Base, CreatedAt, Id, Moment

_IS_TIMED = "capture IS NOT NULL OR screenshot_annotations IS NOT NULL"


class SupportReport(Base):
    """A ticket that came in through the support API. Title, kind, priority and status are the ticket's.

    `capture` is what the browser had recorded (`schemas.Capture`), redacted; null if there was none, or once it was
    deleted. `redactions` lists what was redacted. JSON, not JSONB: it is never queried, and is stored as it was
    encoded. `public_issue_url` is the report's issue in a public repository.
    """

    __tablename__ = "support_reports"
    __table_args__ = (
        of_ticket(),
        Index("ix_support_reports_user_id", "user_id"),
        Index("ix_support_reports_created_at", "created_at", postgresql_where=text(_IS_TIMED)),
    )

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    ticket_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    steps_to_reproduce: Mapped[str | None]
    expected_behavior: Mapped[str | None]
    actual_behavior: Mapped[str | None]
    browser_info: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))
    page_url: Mapped[str | None]
    page_title: Mapped[str | None]
    viewport_size: Mapped[str | None]
    screen_resolution: Mapped[str | None]
    screenshot_annotations: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))
    capture: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))
    truncated: Mapped[bool] = mapped_column(server_default="false")
    redactions: Mapped[Any | None] = mapped_column(JSON(none_as_null=True))
    public_issue_url: Mapped[str | None]
    email_sent_at: Mapped[Moment | None]
    created_at: Mapped[CreatedAt]


class Screenshot(Base):
    """A screenshot. Until a report uses it, `ticket_id` is null, and it is visible to its uploader only.

    `name` is its public name; the storage key is never shown.
    """

    __tablename__ = "support_screenshots"
    __table_args__ = (
        of_ticket(),
        CheckConstraint("file_size > 0", name="file_has_bytes"),
        Index("uq_support_screenshots_storage_key", "storage_key", unique=True),
        Index("uq_support_screenshots_name", "company_id", "user_id", "name", unique=True),
        Index("uq_support_screenshots_ticket_id", "company_id", "ticket_id", unique=True),
        Index("ix_support_screenshots_user_id", "user_id"),
        Index("ix_support_screenshots_created_at", "created_at"),
    )

    id: Mapped[Id]
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id", ondelete="CASCADE"))
    ticket_id: Mapped[UUID | None]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str]
    storage_key: Mapped[str]
    mime_type: Mapped[str]
    file_size: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[CreatedAt]
