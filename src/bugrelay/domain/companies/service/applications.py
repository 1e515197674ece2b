"""Get or create the application and the company that a report names."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import JSONB

from bugrelay.domain.companies.domains import application_domain, company_domain
from bugrelay.domain.companies.events import ApplicationAdded, CompanyAdded
from bugrelay.infra.db.query import Query, Row
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.ids import new_id
from bugrelay.infra.text.names import name_key


class ResolvedApplication(Row):
    """The application that a report names, and its company; `is_new` and `company_is_new` where they were created."""

    id: UUID
    company_id: UUID | None
    is_new: bool
    company_is_new: bool


class NamedApplication(Struct):
    """An application as a report names it: the argument of the SQL function `get_or_create_application`.

    A name and a domain (or '') identify an application. `company_domain` is null if the domain cannot be a company;
    `application_id` and `company_id` are the ids of new rows.
    """

    name: str
    name_key: str
    domain: str
    url: str | None
    company_domain: str | None
    application_id: UUID
    company_id: UUID

    @classmethod
    def of(cls, *, name: str, url: str | None) -> NamedApplication:
        domain = (application_domain(url) if url else None) or ""
        of_company = company_domain(url) if url else None
        return cls(name, name_key(name), domain, url, of_company, new_id(), new_id())


_found = func.get_or_create_application(bindparam("wanted", type_=JSONB)).table_valued(
    "application_id", "company_id", "application_is_new", "company_is_new"
)
_GET_OR_CREATE: Query[ResolvedApplication] = Query(
    select(
        _found.c.application_id.label("id"),
        _found.c.company_id,
        _found.c.application_is_new.label("is_new"),
        _found.c.company_is_new,
    ),
    ResolvedApplication,
)


async def get_or_create_application(work: UnitOfWork, *, name: str, url: str | None) -> ResolvedApplication:
    """Get or create the application with that name and domain; the unique indexes decide races.

    For a new domain that can be a company, an unverified company is created.
    """
    named = NamedApplication.of(name=name, url=url)
    values: dict[str, Any] = {"wanted": msgspec.json.encode(named).decode()}
    (found,) = await work.rows(_GET_OR_CREATE, values)
    record_created(work, named, found)
    return found


def record_created(work: UnitOfWork, named: NamedApplication, found: ResolvedApplication) -> None:
    """Record the facts of what was created; public for callers that run the SQL function in their own statement."""
    if found.company_is_new:
        work.record(CompanyAdded(company_id=named.company_id, domain=named.company_domain or ""))
    if found.is_new:
        work.record(
            ApplicationAdded(
                application_id=found.id, company_id=found.company_id, name=named.name, domain=named.domain
            )
        )
