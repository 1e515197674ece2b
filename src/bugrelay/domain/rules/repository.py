"""Every SELECT of workflow rules and their runs; each names the company."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Integer, Uuid, all_, any_, bindparam, exists, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT, aggregate_order_by

from bugrelay.domain.accounts.models import User
from bugrelay.domain.accounts.repository import ACTIVE
from bugrelay.domain.companies.models import ADMIN, Company, Member
from bugrelay.domain.companies.schemas import Role, Tenant
from bugrelay.domain.companies.visibility import EFFECTIVE
from bugrelay.domain.events.models import EventRow
from bugrelay.domain.events.schemas import Event
from bugrelay.domain.notifications.models import NoticeSettings
from bugrelay.domain.rules.models import WorkflowRule, WorkflowRun
from bugrelay.domain.rules.schemas import IDLE, Rule, RuleDetail, RunDetail
from bugrelay.domain.tickets.models import Project, Ticket, TicketAssignee
from bugrelay.domain.tickets.repository.columns import NAME, values_of
from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.pagination import PageQuery

RATE_WINDOW = timedelta(minutes=1)  # in which the acts of a rule on one ticket are limited

_COMPANY_ID = bindparam("company_id", type_=Uuid)
_RULE_ID = bindparam("rule_id", type_=Uuid)
_TICKET_ID = bindparam("ticket_id", type_=Uuid)
_OURS = WorkflowRule.company_id == _COMPANY_ID
_IN_ORDER = (WorkflowRule.position, WorkflowRule.id)
_LIMIT, _OFFSET = bindparam("limit", type_=Integer), bindparam("offset", type_=Integer)

# --- rules ------------------------------------------------------------------------------------------------------------

_DETAILS = select(*(getattr(WorkflowRule, name) for name in RuleDetail.__struct_fields__)).where(_OURS)
_PAGE = Query(_DETAILS.order_by(*_IN_ORDER).limit(_LIMIT).offset(_OFFSET), RuleDetail)
_COUNT = Query(select(func.count()).select_from(WorkflowRule).where(_OURS), int)
_LAST_POSITION = Query(select(func.coalesce(func.max(WorkflowRule.position), 0)).where(_OURS), int)
_ONE = _DETAILS.where(WorkflowRule.id == _RULE_ID)
_FOUND, _LOCKED = Query(_ONE, RuleDetail), Query(_ONE.with_for_update(key_share=True), RuleDetail)


async def list_rules(reader: Reader, tenant: Tenant, query: PageQuery) -> tuple[Sequence[RuleDetail], int]:
    """A page of a company's rules in the order in which they run, and how many there are."""
    page = values_of(tenant, limit=query.limit, offset=query.offset)
    return await reader.rows(_PAGE, page), await count_rules(reader, tenant)


async def count_rules(reader: Reader, tenant: Tenant) -> int:
    return await reader.row(_COUNT, values_of(tenant)) or 0


async def last_position(reader: Reader, tenant: Tenant) -> int:
    """0 where there is no rule."""
    return await reader.row(_LAST_POSITION, values_of(tenant)) or 0


async def find_rule(reader: Reader, tenant: Tenant, rule_id: UUID) -> RuleDetail | None:
    """The rule, where it is this company's."""
    return await reader.row(_FOUND, values_of(tenant, rule_id=rule_id))


async def lock_rule(reader: Reader, tenant: Tenant, rule_id: UUID) -> RuleDetail | None:
    """The same, locked."""
    return await reader.row(_LOCKED, values_of(tenant, rule_id=rule_id))


# Each change has made one version, and one row of the audit log.
_CHANGED = Query(
    text(
        "SELECT DISTINCT f.field FROM (SELECT action, after FROM audit_logs WHERE resource_id = :rule_id"
        " AND action IN ('workflow_change', 'workflow_disable') ORDER BY created_at DESC, id DESC LIMIT :changes) a,"
        " jsonb_array_elements_text(CASE action WHEN 'workflow_change' THEN a.after -> 'fields'"
        " ELSE '[\"enabled\"]' END) AS f(field) ORDER BY 1"
    ),
    str,
)


async def fields_changed(reader: Reader, rule_id: UUID, *, changes: int) -> Sequence[str]:
    """The fields that the last changes of a company's rule have changed."""
    return await reader.rows(_CHANGED, {"rule_id": rule_id, "changes": changes})


_RULE = [getattr(WorkflowRule, name) for name in Rule.__struct_fields__]
_TO_RUN = Query(
    select(*_RULE).where(_OURS, WorkflowRule.enabled, WorkflowRule.trigger != IDLE).order_by(*_IN_ORDER), Rule
)
_FOR_DRY_RUN = Query(select(*_RULE).where(_OURS, WorkflowRule.enabled).order_by(*_IN_ORDER), Rule)
_NAMED = Query(select(*_RULE).where(_OURS, WorkflowRule.id == _RULE_ID), Rule)


async def rules_to_run(reader: Reader, company_id: UUID) -> Sequence[Rule]:
    """Enabled rules with event triggers, in their order."""
    return await reader.rows(_TO_RUN, {"company_id": company_id})


async def rules_for_dry_run(reader: Reader, tenant: Tenant, *, rule_id: UUID | None) -> Sequence[Rule]:
    """All enabled rules in their order, or one rule, enabled or not."""
    if rule_id is None:
        return await reader.rows(_FOR_DRY_RUN, values_of(tenant))
    return await reader.rows(_NAMED, values_of(tenant, rule_id=rule_id))


_PROJECT = Query(
    select(Project.id).where(Project.company_id == _COMPANY_ID, Project.id == bindparam("project_id")), UUID
)


async def is_project(reader: Reader, tenant: Tenant, project_id: UUID) -> bool:
    """Whether the company has this project."""
    return await reader.row(_PROJECT, values_of(tenant, project_id=project_id)) is not None


# --- what a run reads -------------------------------------------------------------------------------------------------


class TicketContext(Row):
    """What conditions compare besides the columns of the ticket."""

    assignee_ids: list[UUID]
    comment_count: int
    attachment_count: int
    created_at: datetime
    now: datetime
    actor: str | None


_ASSIGNEES = (
    select(
        func.coalesce(
            func.array_agg(aggregate_order_by(TicketAssignee.user_id, TicketAssignee.position)), text("'{}'")
        )
    )
    .where(TicketAssignee.company_id == _COMPANY_ID, TicketAssignee.ticket_id == _TICKET_ID)
    .scalar_subquery()
)
_ACTOR = select(NAME).where(User.id == bindparam("actor_id", type_=Uuid)).scalar_subquery()
_TICKET_CONTEXT = Query(
    select(
        _ASSIGNEES.label("assignee_ids"),
        (Ticket.comment_count + Ticket.internal_comment_count).label("comment_count"),
        Ticket.attachment_count,
        Ticket.created_at,
        func.now().label("now"),
        _ACTOR.label("actor"),
    ).where(Ticket.company_id == _COMPANY_ID, Ticket.id == _TICKET_ID),
    TicketContext,
)


async def ticket_context(
    reader: Reader, tenant: Tenant, ticket_id: UUID, *, actor_id: UUID | None
) -> TicketContext | None:
    """Of a ticket that is locked."""
    return await reader.row(_TICKET_CONTEXT, values_of(tenant, ticket_id=ticket_id, actor_id=actor_id))


_RAN = Query(
    select(WorkflowRun.rule_id).where(
        WorkflowRun.company_id == _COMPANY_ID, WorkflowRun.seq == bindparam("seq", type_=BigInteger)
    ),
    UUID,
)


async def rules_that_ran(reader: Reader, tenant: Tenant, seq: int) -> Sequence[UUID]:
    """The rules that have run for this event."""
    return await reader.rows(_RAN, values_of(tenant, seq=seq))


_ACTS = Query(
    select(func.coalesce(func.sum(WorkflowRun.acts), 0).cast(Integer)).where(
        WorkflowRun.company_id == _COMPANY_ID,
        WorkflowRun.ticket_id == _TICKET_ID,
        WorkflowRun.rule_id == _RULE_ID,
        WorkflowRun.happened_at > bindparam("since", type_=DateTime(timezone=True)),
    ),
    int,
)


async def recent_acts(reader: Reader, tenant: Tenant, ticket_id: UUID, *, rule_id: UUID, at: datetime) -> int:
    """The number of acts of a rule on a ticket for events within `RATE_WINDOW` before `at`."""
    since = at - RATE_WINDOW
    values = values_of(tenant, ticket_id=ticket_id, rule_id=rule_id, since=since)
    return await reader.row(_ACTS, values) or 0


class MemberRole(Row):
    """An active member of the company."""

    user_id: UUID
    role: Role


_MEMBERS = (
    select(Member.user_id, Member.role)
    .join(User, User.id == Member.user_id)
    .where(Member.company_id == _COMPANY_ID, EFFECTIVE, ACTIVE)
    .order_by(Member.user_id)
)
_NAMED_MEMBERS = Query(
    _MEMBERS.where(Member.user_id == any_(bindparam("user_ids", type_=ARRAY(Uuid)))), MemberRole
)


async def members_among(reader: Reader, tenant: Tenant, user_ids: Sequence[UUID]) -> Sequence[MemberRole]:
    """Those of these users who are active members of the company, in any role."""
    return await reader.rows(_NAMED_MEMBERS, values_of(tenant, user_ids=list(user_ids)))


# --- idle tickets -----------------------------------------------------------------------------------------------------


class IdleRule(Row):
    """A rule for idle tickets, and its position in the company's stream."""

    rule_id: UUID
    company_id: UUID
    idle_hours: int
    idle_seq: int


_IDLE_RULES = (
    select(
        WorkflowRule.id.label("rule_id"),
        WorkflowRule.company_id,
        WorkflowRule.idle_hours,
        func.coalesce(WorkflowRule.idle_seq, 0).label("idle_seq"),
    )
    .join(Company, Company.id == WorkflowRule.company_id)
    .where(WorkflowRule.enabled, WorkflowRule.trigger == IDLE, Company.verified)
)
_IDLE = Query(_IDLE_RULES.order_by(WorkflowRule.company_id, *_IN_ORDER), IdleRule)
_LOCK_IDLE = Query(
    _IDLE_RULES.where(_OURS, WorkflowRule.id == _RULE_ID).with_for_update(
        of=WorkflowRule, key_share=True, skip_locked=True
    ),
    IdleRule,
)


async def idle_rules(reader: Reader) -> Sequence[IdleRule]:
    """The enabled rules for idle tickets of all companies."""
    return await reader.rows(_IDLE)


async def lock_idle_rule(reader: Reader, company_id: UUID, rule_id: UUID) -> IdleRule | None:
    """None where the rule must not run any more, or is locked by another worker."""
    return await reader.row(_LOCK_IDLE, {"company_id": company_id, "rule_id": rule_id})


class AgedEvent(Row):
    """An event that is as old as the rule's `idle_hours`; `is_last`: whether its ticket has had no event since."""

    seq: int
    is_last: bool


# Changes by rules do not end an idle period: else a rule for idle tickets would trigger itself for ever.
_AGED = Query(
    text("""
    SELECT e.seq, e.ticket_id IS NOT NULL AND e.type <> 'ticket.removed' AND e.cause ->> 'kind' <> 'rule'
        AND NOT EXISTS (
            SELECT FROM events n WHERE n.stream = :company_id AND n.ticket_id = e.ticket_id AND n.seq > e.seq
                AND n.cause ->> 'kind' <> 'rule'
        ) AS is_last
    FROM (
        SELECT * FROM events WHERE stream = :company_id AND seq > :seq ORDER BY seq LIMIT :limit
    ) e
    WHERE e.at <= now() - make_interval(hours => :hours)
    ORDER BY e.seq"""),
    AgedEvent,
)
_LAST_AGED = Query(
    text(
        "SELECT e.seq FROM events e WHERE e.stream = :company_id AND e.at <= now() - make_interval(hours => :hours)"
        " ORDER BY e.seq DESC LIMIT 1"
    ),
    int,
)


async def next_aged_events(
    reader: Reader, company_id: UUID, *, after: int, hours: int, limit: int
) -> Sequence[AgedEvent]:
    """The next events that are at least `hours` old, in order; fewer than `limit` at the end."""
    values = {"company_id": company_id, "seq": after, "hours": hours, "limit": limit}
    return await reader.rows(_AGED, values)


async def last_aged_seq(reader: Reader, company_id: UUID, *, hours: int) -> int:
    """The number of the last event that is at least `hours` old; 0 where there is none."""
    return await reader.row(_LAST_AGED, {"company_id": company_id, "hours": hours}) or 0


# --- dry runs ---------------------------------------------------------------------------------------------------------

_LATEST = Query(
    select(*(getattr(EventRow, name) for name in Event.__struct_fields__))
    .where(
        EventRow.stream == _COMPANY_ID,
        EventRow.ticket_id == _TICKET_ID,
        EventRow.type == any_(bindparam("types", type_=ARRAY(TEXT))),
        func.coalesce(EventRow.data["action"].astext, "created") == "created",
        EventRow.cause["kind"].astext != all_(bindparam("but_of", type_=ARRAY(TEXT))),
    )
    .order_by(EventRow.seq.desc())
    .limit(1),
    Event,
)
_ANY = ["ticket.created", "ticket.changed", "ticket.status_changed", "ticket.commented"]


async def latest_event(reader: Reader, tenant: Tenant, ticket_id: UUID, *, trigger: str) -> Event | None:
    """The last event of a ticket with this trigger; for idle tickets the last one that ended an idle period."""
    types, but_of = (_ANY, ["rule"]) if trigger == IDLE else ([trigger], [])
    return await reader.row(_LATEST, values_of(tenant, ticket_id=ticket_id, types=types, but_of=but_of))


# --- runs -------------------------------------------------------------------------------------------------------------

_RUNS_OF = select(
    WorkflowRun.id,
    WorkflowRun.rule_id,
    WorkflowRun.ticket_id,
    Ticket.key.label("ticket_key"),
    WorkflowRun.seq,
    WorkflowRun.state,
    WorkflowRun.reason,
    WorkflowRun.results,
    WorkflowRun.at,
).join(Ticket, (Ticket.company_id == _COMPANY_ID) & (Ticket.id == WorkflowRun.ticket_id))
_OUR_RUNS = WorkflowRun.company_id == _COMPANY_ID
_OF_RULE = WorkflowRun.rule_id == _RULE_ID
_STILL_THERE = exists(
    select(WorkflowRule.id).where(
        WorkflowRule.company_id == _COMPANY_ID, WorkflowRule.id == WorkflowRun.rule_id
    )
)


def _page_of(*conditions: Any) -> Query[RunDetail]:
    newest = _RUNS_OF.where(_OUR_RUNS, *conditions).order_by(WorkflowRun.id.desc())
    return Query(newest.limit(_LIMIT).offset(_OFFSET), RunDetail)


def _count_of(*conditions: Any) -> Query[int]:
    return Query(select(func.count()).select_from(WorkflowRun).where(_OUR_RUNS, *conditions), int)


_ALL_RUNS, _ALL_COUNTED = _page_of(_STILL_THERE), _count_of(_STILL_THERE)
_RULES_RUNS, _RULES_COUNTED = _page_of(_OF_RULE), _count_of(_OF_RULE)


async def list_runs(
    reader: Reader, tenant: Tenant, query: PageQuery, *, rule_id: UUID | None
) -> tuple[Sequence[RunDetail], int]:
    """A page of the runs of one rule, or of all that the company has; the newest first, and how many there are."""
    page, count = (_ALL_RUNS, _ALL_COUNTED) if rule_id is None else (_RULES_RUNS, _RULES_COUNTED)
    values = values_of(tenant, rule_id=rule_id)
    rows = await reader.rows(page, {**values, "limit": query.limit, "offset": query.offset})
    return rows, await reader.row(count, values) or 0


class RunNotice(Row):
    """A run with a `notify`, and one of its recipients."""

    company_id: UUID
    ticket_id: UUID
    rule_name: str
    results: Any
    visibility: str
    actor: str | None
    role: Role
    email: str
    username: str


# Checked again when the mail is sent: the member may have left, or changed their address or settings.
_RUN_NOTICE = Query(
    select(
        WorkflowRun.company_id,
        WorkflowRun.ticket_id,
        WorkflowRule.name.label("rule_name"),
        WorkflowRun.results,
        EventRow.visibility,
        select(NAME).where(User.id == EventRow.actor_id).correlate(EventRow).scalar_subquery().label("actor"),
        Member.role,
        User.email,
        User.username,
    )
    .select_from(WorkflowRun)
    .join(WorkflowRule, (WorkflowRule.company_id == _COMPANY_ID) & (WorkflowRule.id == WorkflowRun.rule_id))
    .join(Company, (Company.id == _COMPANY_ID) & Company.verified)
    .join(EventRow, (EventRow.stream == _COMPANY_ID) & (EventRow.seq == WorkflowRun.seq))
    .join(Member, Member.company_id == _COMPANY_ID)
    .join(User, User.id == Member.user_id)
    .outerjoin(NoticeSettings, NoticeSettings.user_id == User.id)
    .where(
        _OUR_RUNS,
        WorkflowRun.id == bindparam("run_id", type_=Uuid),
        Member.user_id == bindparam("user_id", type_=Uuid),
        EFFECTIVE,
        ACTIVE,
        User.is_email_verified,
        func.coalesce(NoticeSettings.mail, "each") != "none",
    ),
    RunNotice,
)


async def run_notice(reader: Reader, *, company_id: UUID, run_id: UUID, user_id: UUID) -> RunNotice | None:
    """None where the rule was removed, or the user is no active member now or wants no mail."""
    return await reader.row(_RUN_NOTICE, {"company_id": company_id, "run_id": run_id, "user_id": user_id})


class DisabledRule(Row):
    """A rule that the system has disabled, and an admin of its company."""

    name: str
    domain: str
    username: str
    email: str


_DISABLED = Query(
    select(WorkflowRule.name, Company.domain, User.username, User.email)
    .select_from(WorkflowRule)
    .join(Company, Company.id == WorkflowRule.company_id)
    .join(Member, Member.company_id == Company.id)
    .join(User, User.id == Member.user_id)
    .where(
        _OURS,
        WorkflowRule.id == _RULE_ID,
        WorkflowRule.disabled_reason.is_not(None),
        Company.verified,
        Member.user_id == bindparam("user_id", type_=Uuid),
        Member.role == ADMIN,
        EFFECTIVE,
        ACTIVE,
    ),
    DisabledRule,
)


async def disabled_rule(
    reader: Reader, *, company_id: UUID, rule_id: UUID, user_id: UUID
) -> DisabledRule | None:
    """None where the rule is enabled again, or the user is no admin of the company now."""
    return await reader.row(_DISABLED, {"company_id": company_id, "rule_id": rule_id, "user_id": user_id})
