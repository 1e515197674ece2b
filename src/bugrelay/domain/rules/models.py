"""Workflow rules and their runs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.domain.tickets.models import of_ticket
from bugrelay.infra.db.models import Base, Counter, CreatedAt, Id, Moment

RUNS_WILD = "runs_wild"


class WorkflowRule(Base):
    """A workflow rule. It belongs to the company, not to the admin who created it.

    It runs for events since `active_since`. `conditions` and `actions` have the form of the API. `idle_hours` and
    `idle_seq` are for rules for idle tickets; `idle_seq` is the position in the company's stream up to which tickets
    were checked. `disabled_reason` is set where the system has disabled the rule; null where an admin did.
    """

    __tablename__ = "workflow_rules"
    __table_args__ = (
        UniqueConstraint("company_id", "id"),
        ForeignKeyConstraint(
            ["company_id", "project_id"], ["projects.company_id", "projects.id"], ondelete="CASCADE"
        ),
        Index("ix_workflow_rules_position", "company_id", "position", "id"),
        CheckConstraint("(trigger = 'ticket.idle') = (idle_hours IS NOT NULL)", name="idle_has_a_bound"),
        CheckConstraint("disabled_reason IN ('runs_wild')", name="disabled_reason_is_known"),
        CheckConstraint("NOT (enabled AND disabled_reason IS NOT NULL)", name="enabled_has_no_reason"),
    )

    id: Mapped[Id]
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id", ondelete="CASCADE"))
    name: Mapped[str]
    enabled: Mapped[bool] = mapped_column(server_default="true")
    position: Mapped[int]
    project_id: Mapped[UUID | None]
    trigger: Mapped[str]
    idle_hours: Mapped[int | None]
    idle_seq: Mapped[int | None] = mapped_column(BigInteger)
    conditions: Mapped[dict[str, Any]] = mapped_column(JSONB)
    actions: Mapped[list[Any]] = mapped_column(JSONB)
    active_since: Mapped[CreatedAt]
    disabled_reason: Mapped[str | None]
    disabled_at: Mapped[Moment | None]
    version: Mapped[int] = mapped_column(server_default="1")
    created_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]


class WorkflowRun(Base):
    """A run of a rule for an event; unique, so that a rule runs once for an event. It outlives its rule for a while.

    `seq` is the event's number in the company's stream; for an idle ticket, that of its last event. `acts` counts the
    actions that changed something; `results` has each action. `happened_at` is the time of the event, by which acts are
    rate-limited.
    """

    __tablename__ = "workflow_runs"
    __table_args__ = (
        UniqueConstraint("company_id", "rule_id", "seq"),
        of_ticket(),
        Index("ix_workflow_runs_seq", "company_id", "seq"),
        Index("ix_workflow_runs_rule_id", "company_id", "rule_id", "id"),
        Index("ix_workflow_runs_ticket_id", "company_id", "ticket_id", "rule_id", "happened_at"),
        Index("ix_workflow_runs_at", "at"),
        CheckConstraint("state IN ('done', 'skipped', 'failed', 'disabled')", name="state_is_known"),
    )

    id: Mapped[Id]
    company_id: Mapped[UUID]
    rule_id: Mapped[UUID]
    ticket_id: Mapped[UUID]
    seq: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str]
    reason: Mapped[str | None]
    acts: Mapped[Counter]
    results: Mapped[list[Any]] = mapped_column(JSONB)
    happened_at: Mapped[Moment]
    at: Mapped[CreatedAt]
