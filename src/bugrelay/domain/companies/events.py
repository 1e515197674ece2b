"""What has happened to companies and applications."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class CompanyClaimed:
    """A user proved control of the domain: the company is verified, and they are its admin.

    `method` is how: "mail", "dns" or "file".
    """

    company_id: UUID
    user_id: UUID
    method: str


@dataclass(frozen=True)
class ApplicationLinked:
    """The application stands behind another company now, or behind none; its bugs follow.

    `reason` is what a system admin gave, where one was asked for.
    """

    application_id: UUID
    company_id: UUID | None
    former_company_id: UUID | None
    actor_id: UUID
    reason: str | None


@dataclass(frozen=True)
class CompanyChanged:
    """Something that the public sees of a company is different: its profile, its team, whether it is verified."""

    company_id: UUID
