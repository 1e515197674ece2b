"""Tables of companies, their members, invitations and claims, and of applications."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.infra.db.models import Base, CreatedAt, Id, Moment

ADMIN, MEMBER = TEAM_ROLES = ("admin", "member")
REPORTER = "reporter"
ROLES = (*TEAM_ROLES, REPORTER)
CLAIM_METHODS = ("mail", "dns", "file")


class Company(Base):
    """A company *is* its domain: created unverified by the first report, verified once a user proves control of it."""

    __tablename__ = "companies"
    __table_args__ = (
        Index("uq_companies_domain", "domain", unique=True),
        Index("ix_companies_name_trgm", text("lower(name) gin_trgm_ops"), postgresql_using="gin"),
        Index("ix_companies_domain_trgm", text("domain gin_trgm_ops"), postgresql_using="gin"),
        Index("ix_companies_by_name", text("lower(name)"), "id"),
    )

    id: Mapped[Id]
    name: Mapped[str]
    domain: Mapped[str]
    verified: Mapped[bool] = mapped_column(server_default="false")
    verified_at: Mapped[Moment | None]
    url: Mapped[str | None]
    description: Mapped[str | None]
    description_html: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]


class Member(Base):
    """A membership. It gives rights only while it is active and the company is verified.

    Admins and members are the company's team. A reporter reports tickets to the company, and has no right on the board.

    `email_key` is the address by which an admin added the user (as `users.email_key`): the membership is effective only
    while that is the user's address, and verified. It is null if something else identifies the user: the claim that
    they have proven, or the operator.
    """

    __tablename__ = "company_members"
    __table_args__ = (
        Index("uq_company_members_company_id_user_id", "company_id", "user_id", unique=True),
        Index("ix_company_members_user_id", "user_id"),
        CheckConstraint(f"role IN {ROLES}", name="role_is_known"),
    )

    id: Mapped[Id]
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    role: Mapped[str]
    added_at: Mapped[CreatedAt]
    email_key: Mapped[str | None]
    is_active: Mapped[bool] = mapped_column(server_default="true")


class FormerMember(Base):
    """A membership that ended when somebody else claimed the company; it gives no rights."""

    __tablename__ = "former_company_members"
    __table_args__ = (
        Index("ix_former_company_members_user_id", "user_id"),
        CheckConstraint(f"role IN {ROLES}", name="role_is_known"),
    )

    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    role: Mapped[str]
    added_at: Mapped[Moment]
    ended_at: Mapped[CreatedAt]


class Invitation(Base):
    """An invitation of an address to a company: one for each address, a newer one replaces the older.

    It is valid while its sender is an admin of the company, and deleted when it is accepted or withdrawn. The token is
    derived from the signing key and the id (infra/security/signed_links.py); only its SHA-256 is stored.
    """

    __tablename__ = "company_invitations"
    __table_args__ = (
        Index("uq_company_invitations_company_id_email_key", "company_id", "email_key", unique=True),
        Index("uq_company_invitations_token_hash", "token_hash", unique=True),
        Index("ix_company_invitations_email_key", "email_key"),
        Index("ix_company_invitations_inviter_id", "inviter_id"),
        Index("ix_company_invitations_expires_at", "expires_at"),
        CheckConstraint(f"role IN {ROLES}", name="role_is_known"),
        CheckConstraint("length(token_hash) = 32", name="token_hash_is_sha256"),
    )

    id: Mapped[Id]
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id", ondelete="CASCADE"))
    email: Mapped[str]
    email_key: Mapped[str]
    role: Mapped[str]
    inviter_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment]


class CompanyClaim(Base):
    """A user's claim of a company's domain: one for each user and company, a newer one replaces the older.

    The token is derived from the signing key and the id (infra/security/signed_links.py); only its SHA-256 is stored.
    `email` is the address of a claim by mail, and is shown to nobody. `checked_at` is when a check of the published
    proof was last queued.
    """

    __tablename__ = "company_claims"
    __table_args__ = (
        Index("uq_company_claims_company_id_user_id", "company_id", "user_id", unique=True),
        Index("ix_company_claims_user_id", "user_id"),
        Index("ix_company_claims_expires_at", "expires_at"),
        CheckConstraint("method IN ('mail', 'dns', 'file')", name="method_is_known"),
        CheckConstraint("(method = 'mail') = (email IS NOT NULL)", name="mail_has_an_address"),
        CheckConstraint("length(token_hash) = 32", name="token_hash_is_sha256"),
    )

    id: Mapped[Id]
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    method: Mapped[str]
    email: Mapped[str | None]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[Moment]
    checked_at: Mapped[Moment | None]
    used_at: Mapped[Moment | None]


class Application(Base):
    """An application, identified by name *and* domain: nobody takes over "Slack" by reporting it with their own URL.

    `name_key` is the name regardless of case, width and repeated spaces; a missing domain is stored as ''.
    """

    __tablename__ = "applications"
    __table_args__ = (
        Index("uq_applications_name_key_domain", "name_key", "domain", unique=True),
        Index("ix_applications_name_key_trgm", text("name_key gin_trgm_ops"), postgresql_using="gin"),
        Index("ix_applications_company_id", "company_id"),
    )

    id: Mapped[Id]
    name: Mapped[str]
    name_key: Mapped[str]
    domain: Mapped[str] = mapped_column(server_default="")
    url: Mapped[str | None]
    company_id: Mapped[UUID | None] = mapped_column(ForeignKey("companies.id", ondelete="SET NULL"))
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[CreatedAt]
