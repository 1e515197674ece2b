"""A company at work: its projects and tickets, and their history of a month.

History and statistics are read from the event log, which cannot be changed afterwards. So each fact is recorded with
its time in the story, and the log is written with these times.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import datetime, timedelta
from importlib import resources
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import case, text, update

from bugrelay.demo.story import Story
from bugrelay.domain.companies.repository import company_at_domain
from bugrelay.domain.companies.schemas import Role, Tenant
from bugrelay.domain.companies.service import add_trusted_member
from bugrelay.domain.events.schemas import LogTable
from bugrelay.domain.files.service import put_as_sent
from bugrelay.domain.rules.schemas import NewRule
from bugrelay.domain.rules.service.rules import create_rule
from bugrelay.domain.support.schemas import SCHEME, BrowserRecord, NewReport
from bugrelay.domain.support.service.captures import redacted_record
from bugrelay.domain.support.service.reporting import send_report
from bugrelay.domain.tickets.event_log import ENTRIES
from bugrelay.domain.tickets.models import Project, Ticket, TicketAttachment, TicketComment
from bugrelay.domain.tickets.schemas import NewProject, NewTicket, Priority, ProjectVisibility, TicketChanges
from bugrelay.domain.tickets.schemes import DONE
from bugrelay.domain.tickets.service.attachments import FOLDER, attach
from bugrelay.domain.tickets.service.comments import write_comment
from bugrelay.domain.tickets.service.creating import create_ticket
from bugrelay.domain.tickets.service.editing import edit_ticket
from bugrelay.domain.tickets.service.projects import create_project
from bugrelay.domain.tickets.service.statistics import fill_daily_stats
from bugrelay.domain.tickets.service.statuses import change_status
from bugrelay.infra.db.database import Database
from bugrelay.infra.db.query import Query
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.events import EventBus
from bugrelay.infra.storage.port import Storage

_MONTH = timedelta(days=30)
_LOG = Query(text("SELECT last_seq FROM log_events(CAST(:entries AS jsonb))"), int)


class StoryFile(Struct, kw_only=True, forbid_unknown_fields=True):
    """A text file, as it was sent."""

    name: str
    type: str
    text: str


class Step(Struct, kw_only=True, forbid_unknown_fields=True):
    """What a user did to a ticket after `after` days: one of the other fields."""

    after: float
    by: str
    status: str | None = None
    assign: list[str] | None = None
    text: str | None = None
    internal: str | None = None
    file: StoryFile | None = None


class StoryTicket(Struct, kw_only=True, forbid_unknown_fields=True):
    """A ticket. `project` is the key of a project in the story; by default it is in the scheme's default project.

    A support report has a capture (`recorded`), and no project, department or tags.
    """

    title: str
    days_ago: float
    by: str
    priority: Priority
    description: str = ""
    scheme: str = "tickets"
    kind: str | None = None
    project: str | None = None
    department: str | None = None
    tags: list[str] = []
    recorded: BrowserRecord | None = None
    timeline: list[Step] = []


class StoryProject(Struct, kw_only=True, forbid_unknown_fields=True):
    key: str
    name: str
    description: str
    visibility: ProjectVisibility


class Company(Struct, kw_only=True, forbid_unknown_fields=True):
    """A company's own story; its team is that of the board, and `reporters` are some of the board's users."""

    domain: str
    reporters: list[str]
    projects: list[StoryProject]
    rules: list[NewRule]
    tickets: list[StoryTicket]


def read_company() -> Company:
    file = resources.files("bugrelay.demo") / "company" / "papertrail.toml"
    return msgspec.convert(tomllib.loads(file.read_text("utf-8")), Company)


class DatedUnitOfWork(UnitOfWork):
    """Remembers the time in the story of each fact.

    Attributes:
        at: The time of the story.
    """

    def __init__(self, database: Database, bus: EventBus, *, at: datetime) -> None:
        super().__init__(database, bus)
        self.at = at
        self._dated: list[tuple[datetime, Any]] = []

    def record(self, fact: Any) -> None:
        self._dated.append((self.at, fact))
        super().record(fact)

    async def log(self, table: LogTable, *, recorded_at: datetime) -> None:
        """Write the events of the facts in this table, each at its time in the story; once, after all other changes."""
        because = {"kind": "user", "chain": (), "recorded_later": recorded_at}
        entries = [
            {**vars(entry), "at": at, "cause": because}
            for at, fact in self._dated
            if type(fact) in table
            for entry in table[type(fact)](fact)
        ]
        await self.rows(_LOG, {"entries": msgspec.json.encode(entries).decode()})


class CompanyAtWork:
    """One run of the story.

    Args:
        work: The transaction of the whole demo.
        people: The ids of the board's users, by name.
        storage: Receives the files of tickets.
        now: The end of the story.
    """

    def __init__(
        self,
        work: DatedUnitOfWork,
        story: Story,
        *,
        people: Mapping[str, UUID],
        storage: Storage,
        now: datetime,
    ) -> None:
        self._work = work
        self._company = read_company()
        self._story = story
        self._people = people
        self._storage = storage
        self._now = now
        self._tenants: dict[str, Tenant] = {}
        self._projects: dict[str, UUID] = {}

    async def run(self) -> Company:
        await self._gather()
        self._work.at = self._now - _MONTH
        for project in self._company.projects:
            await self._make(project)
        for ticket in sorted(self._company.tickets, key=lambda ticket: -ticket.days_ago):
            await self._report(ticket)
        for rule in self._company.rules:
            await create_rule(self._work, self._admin, rule)
        (company_id,) = {tenant.company_id for tenant in self._tenants.values()}
        began = {"created_at": self._now - _MONTH, "updated_at": self._now - _MONTH}
        await self._set(Project, Project.company_id == company_id, **began)
        await self._work.log(ENTRIES, recorded_at=self._now)
        await fill_daily_stats(self._work, company_id, moment=self._now)
        return self._company

    async def _gather(self) -> None:
        """The team exists already; the reporters join it."""
        domain = self._company.domain
        for name in self._company.reporters:
            email = self._story.addresses[name]
            await add_trusted_member(self._work, domain=domain, email=email, role="reporter")
        found = await company_at_domain(self._work, domain)
        team = next((each for each in self._story.companies if each.domain == domain), None)
        if found is None or team is None:
            raise RuntimeError(f"no bug made {domain}")
        roles: dict[str, Role] = {team.admin: "admin"}
        for name in team.members:
            roles[name] = "member"
        for name in self._company.reporters:
            roles[name] = "reporter"
        self._tenants = {name: Tenant(found.id, self._people[name], role) for name, role in roles.items()}

    @property
    def _admin(self) -> Tenant:
        return next(tenant for tenant in self._tenants.values() if tenant.role == "admin")

    async def _make(self, project: StoryProject) -> None:
        wanted = NewProject(**{name: getattr(project, name) for name in project.__struct_fields__})
        self._projects[project.key] = await create_project(self._work, self._admin, wanted)

    async def _create(self, ticket: StoryTicket) -> UUID:
        tenant = self._tenants[ticket.by]
        if ticket.scheme == SCHEME.name:
            report = NewReport(
                title=ticket.title,
                description=ticket.description or ticket.title,
                category=ticket.kind or SCHEME.kinds[0],
                severity=ticket.priority,
            )
            record = redacted_record(ticket.recorded or BrowserRecord())
            return (await send_report(self._work, tenant, report, record=record, screenshot=None)).id
        wanted = NewTicket(
            title=ticket.title,
            description=ticket.description,
            project_id=self._projects[ticket.project] if ticket.project else None,
            scheme=ticket.scheme,
            kind=ticket.kind,
            priority=ticket.priority,
            department=ticket.department,
            tags=ticket.tags,
        )
        return (await create_ticket(self._work, tenant, wanted)).id

    async def _report(self, ticket: StoryTicket) -> None:
        self._work.at = reported_at = self._now - timedelta(days=ticket.days_ago)
        ticket_id = await self._create(ticket)
        for step in ticket.timeline:
            self._work.at = reported_at + timedelta(days=step.after)
            await self._take(step, ticket_id)
        resolved_at = case((Ticket.category == DONE, self._work.at), else_=None)
        await self._set(
            Ticket,
            Ticket.id == ticket_id,
            created_at=reported_at,
            updated_at=self._work.at,
            resolved_at=resolved_at,
        )

    async def _take(self, step: Step, ticket_id: UUID) -> None:
        work, tenant = self._work, self._tenants[step.by]
        if step.assign is not None:
            wanted = TicketChanges(assignee_ids=[self._people[name] for name in step.assign])
            await edit_ticket(work, tenant, ticket_id, wanted)
        if step.status is not None:
            await change_status(work, tenant, ticket_id, status=step.status)
        content = step.text or step.internal
        if content is not None:
            internal = step.internal is not None
            comment_id = await write_comment(work, tenant, ticket_id, content=content, is_internal=internal)
            await self._set(
                TicketComment, TicketComment.id == comment_id, created_at=work.at, updated_at=work.at
            )

        if step.file is not None:
            await self._attach(step.file, ticket_id, tenant)

    async def _attach(self, file: StoryFile, ticket_id: UUID, tenant: Tenant) -> None:
        content = file.text.encode()
        stored = await put_as_sent(content, mime_type=file.type, folder=FOLDER, storage=self._storage)
        attachment_id = await attach(self._work, tenant, ticket_id=ticket_id, filename=file.name, file=stored)
        await self._set(TicketAttachment, TicketAttachment.id == attachment_id, created_at=self._work.at)

    async def _set(self, table: type[Any], where: Any, **values: Any) -> None:
        await self._work.session.execute(
            update(table).where(where).values(**values).execution_options(synchronize_session=False)
        )
