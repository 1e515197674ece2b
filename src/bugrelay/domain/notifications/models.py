"""Subscriptions and notices: one fan-out for each event, one notice for each event and recipient."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.infra.db.models import Base, Counter, CreatedAt, Id, Moment

MUTED = "none"  # the level of users who want no notices, whatever they did
FOLLOWING_LEVELS = ("all", "official", "resolved")
MAIL_MODES = ("each", "digest", "none")
NOTICE_MAIL, DIGEST_MAIL = "notice", "digest"

_RECIPIENT = "coalesce(user_id, contact_id)"
_ONE_RECIPIENT = "num_nonnulls(user_id, contact_id) = 1"
OPEN_DIGEST = text("kind = 'digest' AND sealed_at IS NULL")
UNSENT = text("closed_at IS NULL")


class Subscription(Base):
    """A user's choice for a bug. Subscriptions by reporting, voting and commenting have no row (docs/notices.md)."""

    __tablename__ = "bug_subscriptions"
    __table_args__ = (
        CheckConstraint("level IN ('all', 'official', 'resolved', 'none')", name="level_is_known"),
        Index("ix_bug_subscriptions_user_id", "user_id"),
    )

    bug_id: Mapped[UUID] = mapped_column(ForeignKey("bugs.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    level: Mapped[str]
    chosen_at: Mapped[CreatedAt]


class TicketSubscription(Base):
    """A user's choice for a ticket. Subscriptions by reporting, being assigned and commenting have no row."""

    __tablename__ = "ticket_subscriptions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["company_id", "ticket_id"], ["tickets.company_id", "tickets.id"], ondelete="CASCADE"
        ),
        CheckConstraint("level IN ('all', 'official', 'resolved', 'none')", name="level_is_known"),
        Index("ix_ticket_subscriptions_user_id", "user_id"),
    )

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    ticket_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    level: Mapped[str]
    chosen_at: Mapped[CreatedAt]


class ReportContact(Base):
    """An address for notifications of an anonymous report. It gets none before `confirmed_at` is set.

    A report has at most one that is confirmed, and one that is waiting to replace it. `address_key` is the same for all
    spellings of a mailbox and for all reports; mails are counted by it.
    """

    __tablename__ = "report_contacts"
    __table_args__ = (
        CheckConstraint("level IN ('all', 'official', 'resolved')", name="level_is_known"),
        Index(
            "uq_report_contacts_waiting", "bug_id", unique=True, postgresql_where=text("confirmed_at IS NULL")
        ),
        Index(
            "uq_report_contacts_confirmed",
            "bug_id",
            unique=True,
            postgresql_where=text("confirmed_at IS NOT NULL"),
        ),
        Index("uq_report_contacts_token_hash", "token_hash", unique=True),
        Index(
            "ix_report_contacts_address_key",
            "address_key",
            postgresql_where=text("confirmed_at IS NOT NULL"),
        ),
        Index("ix_report_contacts_created_at", "created_at", postgresql_where=text("confirmed_at IS NULL")),
    )

    id: Mapped[Id]
    bug_id: Mapped[UUID] = mapped_column(ForeignKey("bugs.id", ondelete="CASCADE"))
    email: Mapped[str]
    address_key: Mapped[UUID | None]
    level: Mapped[str]
    token_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment | None]
    confirmed_at: Mapped[Moment | None]


class ContactMail(Base):
    """When an address was last mailed a link to confirm it, and for which contact; stored for a day, under a hash."""

    __tablename__ = "contact_mails"

    address_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    contact_id: Mapped[UUID]
    mailed_at: Mapped[Moment]


class NoticeSettings(Base):
    """The settings of a user; a user without a row has the defaults.

    `default_level` is the maximum level of subscriptions by reporting and commenting.
    """

    __tablename__ = "notice_settings"
    __table_args__ = (
        CheckConstraint("mail IN ('each', 'digest', 'none')", name="mail_is_known"),
        CheckConstraint("default_level IN ('all', 'official', 'resolved')", name="default_level_is_known"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    mail: Mapped[str] = mapped_column(server_default="each")
    default_level: Mapped[str] = mapped_column(server_default="all")
    updated_at: Mapped[CreatedAt]


class NoticeFanOut(Base):
    """The fan-out of an event: all users up to `position`, by their ids, have been notified.

    The event is of a bug, or of a ticket of the company whose stream it is in. `levels` are the levels of the
    subscriptions that are notified. Like the event, it has no foreign keys.
    """

    __tablename__ = "notice_fan_outs"
    __table_args__ = (
        UniqueConstraint("stream", "seq", name="uq_notice_fan_outs_stream_seq"),
        Index("ix_notice_fan_outs_at", "at"),
    )

    id: Mapped[Id]
    stream: Mapped[UUID]
    seq: Mapped[int] = mapped_column(BigInteger)
    type: Mapped[str]
    at: Mapped[Moment]
    actor_id: Mapped[UUID | None]
    bug_id: Mapped[UUID | None]
    ticket_id: Mapped[UUID | None]
    is_internal: Mapped[bool] = mapped_column(server_default="false")
    comment_id: Mapped[UUID | None]
    from_status: Mapped[str | None]
    to_status: Mapped[str | None]
    levels: Mapped[list[str]] = mapped_column(ARRAY(Text))
    position: Mapped[UUID | None]
    finished_at: Mapped[Moment | None]


class NoticeMail(Base):
    """A mail to send, or done (`closed_at`): of one notice, with the same id, or a digest of several.

    A digest collects notices until it is sealed; a recipient has one open digest at a time. Each attempt advances
    `due_at`, so that a killed worker loses no mail, and two never send the same one at once. `contact_id` is a
    confirmed address without an account: among spellings of one mailbox, the one that was confirmed first. It has no
    foreign keys (docs/adr/0035).
    """

    __tablename__ = "notice_mails"
    __table_args__ = (
        CheckConstraint("kind IN ('notice', 'digest')", name="kind_is_known"),
        CheckConstraint(_ONE_RECIPIENT, name="one_recipient"),
        Index("uq_notice_mails_open_digest", "recipient_id", unique=True, postgresql_where=OPEN_DIGEST),
        Index("ix_notice_mails_due", "due_at", "id", postgresql_where=UNSENT),
        Index("ix_notice_mails_recipient_id", "recipient_id", "made_at"),
    )

    id: Mapped[Id]
    user_id: Mapped[UUID | None]
    contact_id: Mapped[UUID | None]
    recipient_id: Mapped[UUID | None] = mapped_column(Computed(_RECIPIENT, persisted=True))
    kind: Mapped[str]
    made_at: Mapped[CreatedAt]
    due_at: Mapped[Moment]
    sealed_at: Mapped[Moment | None]
    attempts: Mapped[Counter]
    closed_at: Mapped[Moment | None]


class Notice(Base):
    """A notification of one recipient about one event; `mail_id` is its mail, if there is one.

    It has no foreign keys to fan-out, user and mail, which would double the cost of a notice (docs/adr/0035).
    """

    __tablename__ = "notices"
    __table_args__ = (
        CheckConstraint(_ONE_RECIPIENT, name="one_recipient"),
        UniqueConstraint("fan_out_id", "recipient_id", name="uq_notices_fan_out_id_recipient_id"),
        Index("ix_notices_user_id", "user_id", "id"),
        Index("ix_notices_contact_id", "contact_id", postgresql_where=text("contact_id IS NOT NULL")),
        Index("ix_notices_mail_id", "mail_id", postgresql_where=text("mail_id IS NOT NULL")),
    )

    id: Mapped[Id]
    fan_out_id: Mapped[UUID]
    user_id: Mapped[UUID | None]
    contact_id: Mapped[UUID | None] = mapped_column(ForeignKey("report_contacts.id", ondelete="CASCADE"))
    recipient_id: Mapped[UUID | None] = mapped_column(Computed(_RECIPIENT, persisted=True))
    mail_id: Mapped[UUID | None]
    created_at: Mapped[CreatedAt]
    read_at: Mapped[Moment | None]
