"""Connections to GitHub repositories, token leases, pushes, issues and comments, and webhook deliveries."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.domain.tickets.models import of_ticket
from bugrelay.infra.db.models import Base, CreatedAt, Id, Moment

PENDING, FAILED = PUSH_STATES = ("pending", "failed")
CREATING, SYNCED, ENDED = ISSUE_STATES = ("creating", "synced", "ended")
OPEN, CLOSED, EITHER = "open", "closed", "either"
OUT, IN = "out", "in"
UNAUTHORIZED = "unauthorized"


class GitHubConnection(Base):
    """A company's connection to a GitHub repository.

    `repo` and `token` are null where the operator's default is used. `token` and `secret`, the key that GitHub signs
    deliveries with, are encrypted. `token_key` is a hash of the token: connections with the same one share its limits.
    `repository_id`, `login` (the token's owner) and `is_private` were read from GitHub at `checked_at`; null until
    then. `switched_off_reason` is set where the system has switched the connection off; null where an admin did.
    `issues_since` and `comments_since` are the positions of the catch-up.
    """

    __tablename__ = "github_connections"
    __table_args__ = (
        Index("uq_github_connections_company_id", "company_id", unique=True),
        CheckConstraint("uses_default = (repo IS NULL)", name="repo_is_own"),
        CheckConstraint("(repo IS NULL) = (token IS NULL)", name="token_is_own"),
        CheckConstraint("(token IS NULL) = (token_key IS NULL)", name="token_has_a_key"),
        CheckConstraint("comments_in IN ('internal', 'public', 'off')", name="comments_in_is_known"),
        CheckConstraint("NOT (enabled AND switched_off_reason IS NOT NULL)", name="enabled_has_no_reason"),
    )

    id: Mapped[Id]
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id", ondelete="CASCADE"))
    uses_default: Mapped[bool]
    repo: Mapped[str | None]
    token: Mapped[bytes | None] = mapped_column(LargeBinary)
    token_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    labels: Mapped[list[str]] = mapped_column(ARRAY(Text))
    enabled: Mapped[bool]
    schemes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    comments_out: Mapped[bool]
    comments_in: Mapped[str]
    status_in: Mapped[bool]
    status_out: Mapped[bool]
    allow_public: Mapped[bool]
    switched_off_reason: Mapped[str | None]
    repository_id: Mapped[int | None] = mapped_column(BigInteger)
    login: Mapped[str | None]
    is_private: Mapped[bool | None]
    checked_at: Mapped[Moment | None]
    catch_up_at: Mapped[Moment]
    issues_since: Mapped[Moment]
    comments_since: Mapped[Moment]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]


class GitHubToken(Base):
    """The lease of a token, by the hash of the token: `lease_id` identifies its holder until `leased_until`.

    Before `ready_at` no call may be made with the token. `pauses` counts consecutive secondary limits, `writes` has the
    times of the latest writes, oldest first.
    """

    __tablename__ = "github_tokens"

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    lease_id: Mapped[UUID] = mapped_column(Uuid)
    leased_until: Mapped[Moment]
    ready_at: Mapped[CreatedAt]
    pauses: Mapped[int] = mapped_column(server_default="0")
    writes: Mapped[list[Any]] = mapped_column(ARRAY(DateTime(timezone=True)), server_default="{}")


class GitHubPush(Base):
    """A ticket whose issue has to be brought up to date, or could not be.

    `may_create` says whether an issue is created where the ticket has none. `revision` counts requests, so that a
    request during a push is not lost when the push ends. `failing_since` is the time of the first of consecutive
    failures.
    """

    __tablename__ = "github_pushes"
    __table_args__ = (
        of_ticket(),
        Index("ix_github_pushes_due", "connection_id", "next_at", postgresql_where=text("state = 'pending'")),
        CheckConstraint("state IN ('pending', 'failed')", name="state_is_known"),
        CheckConstraint("(state = 'failed') = (error IS NOT NULL)", name="failed_has_an_error"),
    )

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    ticket_id: Mapped[UUID] = mapped_column(primary_key=True)
    connection_id: Mapped[UUID] = mapped_column(ForeignKey("github_connections.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(server_default="pending")
    may_create: Mapped[bool]
    revision: Mapped[int] = mapped_column(server_default="1")
    attempts: Mapped[int] = mapped_column(server_default="0")
    failing_since: Mapped[Moment | None]
    next_at: Mapped[CreatedAt]
    error: Mapped[str | None]
    created_at: Mapped[CreatedAt]


class GitHubIssue(Base):
    """The issue of a ticket in one repository. It is kept as long as the ticket, so that connections may come and go.

    `creating` is committed before GitHub is called: from then on the issue is created only after it was searched for
    among the issues of `creator` since `first_tried_at`. `issue_state` is the last known state at GitHub, of
    `issue_updated_at`. `pushed_state` is the state that was last pushed for the ticket's category. `asked_state` is a
    state that was requested without a response yet: `open`, `closed`, or `either`, where both were requested.
    """

    __tablename__ = "github_issues"
    __table_args__ = (
        of_ticket(),
        Index(
            "uq_github_issues_issue_id",
            "company_id",
            "repository_id",
            "issue_id",
            unique=True,
        ),
        CheckConstraint("state IN ('creating', 'synced', 'ended')", name="state_is_known"),
        CheckConstraint(
            "state = 'creating' OR (issue_id IS NOT NULL AND number IS NOT NULL AND url IS NOT NULL)",
            name="created_is_named",
        ),
    )

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    ticket_id: Mapped[UUID] = mapped_column(primary_key=True)
    repository_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    state: Mapped[str]
    creator: Mapped[str]
    first_tried_at: Mapped[Moment]
    tried_at: Mapped[Moment]
    issue_id: Mapped[int | None] = mapped_column(BigInteger)
    number: Mapped[int | None] = mapped_column(BigInteger)
    url: Mapped[str | None]
    issue_state: Mapped[str] = mapped_column(server_default="open")
    pushed_state: Mapped[str] = mapped_column(server_default="open")
    asked_state: Mapped[str | None]
    issue_updated_at: Mapped[Moment | None]
    synced_at: Mapped[Moment | None]


class GitHubComment(Base):
    """A comment that is synchronised with GitHub. An outgoing one is `creating` as an issue is; `repository_id` is null
    until then."""

    __tablename__ = "github_comments"
    __table_args__ = (
        ForeignKeyConstraint(
            ["company_id", "comment_id"],
            ["ticket_comments.company_id", "ticket_comments.id"],
            ondelete="CASCADE",
        ),
        Index("uq_github_comments_github_id", "company_id", "repository_id", "github_id", unique=True),
        Index("ix_github_comments_ticket_id", "company_id", "ticket_id", "comment_id"),
        CheckConstraint("direction IN ('out', 'in')", name="direction_is_known"),
        CheckConstraint("state IN ('pending', 'creating', 'synced')", name="state_is_known"),
        CheckConstraint("(state = 'synced') = (github_id IS NOT NULL)", name="synced_is_named"),
        CheckConstraint("state = 'pending' OR repository_id IS NOT NULL", name="sent_is_somewhere"),
    )

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    comment_id: Mapped[UUID] = mapped_column(primary_key=True)
    ticket_id: Mapped[UUID]
    direction: Mapped[str]
    state: Mapped[str]
    repository_id: Mapped[int | None] = mapped_column(BigInteger)
    first_tried_at: Mapped[Moment | None]
    tried_at: Mapped[Moment | None]
    github_id: Mapped[int | None] = mapped_column(BigInteger)


class GitHubDelivery(Base):
    """A delivery of GitHub's webhook, for deduplication; `facts` are what we need of it, null once it was processed."""

    __tablename__ = "github_deliveries"
    __table_args__ = (Index("ix_github_deliveries_received_at", "received_at"),)

    connection_id: Mapped[UUID] = mapped_column(
        ForeignKey("github_connections.id", ondelete="CASCADE"), primary_key=True
    )
    delivery_id: Mapped[str] = mapped_column(primary_key=True)
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    received_at: Mapped[CreatedAt]
