"""What workers do for rules: idle tickets by the clock, mails, old runs."""

from __future__ import annotations

import time
from uuid import UUID

import structlog

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.rules import repository
from bugrelay.domain.rules.schemas import MAX_TEXT_LENGTH
from bugrelay.domain.rules.service.acting import NOTIFY_JOB
from bugrelay.domain.rules.service.idle import run_at_next_idle
from bugrelay.domain.rules.service.removal import remove_old_runs
from bugrelay.domain.rules.service.running import DISABLED_JOB, SOMEBODY
from bugrelay.domain.rules.texts import Words, fill
from bugrelay.domain.tickets.repository.tickets import find_ticket
from bugrelay.domain.tickets.visibility import sees_all
from bugrelay.infra.jobs.tasks import Periodic, Tasks
from bugrelay.infra.mail.limits import MAILS_AN_HOUR, MailLimits
from bugrelay.infra.mail.message import mail_id
from bugrelay.infra.platform import Platform
from bugrelay.infra.redis.rate_limits import Bucket
from bugrelay.infra.text.direction import without_reordering

IDLE_SECONDS = 50.0  # then the next run goes on
AT_ONCE = 5000  # rows, so that deleting stays within the deadline of a statement
MAX_MAIL_LENGTH = 5 * MAX_TEXT_LENGTH

log = structlog.get_logger()


async def run_idle(platform: Platform) -> None:
    """Run rules at tickets that have become idle; each rule has its turn, and what remains is for the next run.

    One that cannot go on at the moment is left to the next run as well, and keeps no other from its turn.
    """
    ends_at = time.monotonic() + IDLE_SECONDS
    waiting = [(one.company_id, one.rule_id) for one in await repository.idle_rules(platform.database)]
    while waiting and time.monotonic() < ends_at:
        waiting = [place for place in waiting if await _run_next(platform, *place)]


async def _run_next(platform: Platform, company_id: UUID, rule_id: UUID) -> bool:
    try:
        async with platform.work() as work:
            return await run_at_next_idle(work, company_id, rule_id=rule_id, jobs=platform.jobs)
    except Exception as error:  # noqa: BLE001 - whatever it was, the other rules go on
        log.warning("idle_rule_interrupted", rule_id=str(rule_id), cause=repr(error.__cause__ or error)[:300])
        return False


async def notify(platform: Platform, *, company_id: str, run_id: str, place: int, user_id: str) -> None:
    """Tell one member what a rule says; again without harm. Nothing where they may not know of it, or want no mail."""
    ids = {"company_id": UUID(company_id), "run_id": UUID(run_id), "user_id": UUID(user_id)}
    told = await repository.told_run(platform.database, **ids)
    if told is None:
        return
    tenant = Tenant(ids["company_id"], ids["user_id"], told.role)
    if told.visibility == "internal" and not sees_all(tenant):
        return
    ticket = await find_ticket(platform.database, tenant, told.ticket_id)
    if ticket is None:
        return
    limits = MailLimits(platform.limiter, Bucket("workflow_mail", MAILS_AN_HOUR))
    if await limits.take(told.email):
        log.info("workflow_mail_not_sent", run_id=run_id, user_id=user_id)
        return
    words = Words(key=ticket.key, title=ticket.title, status=ticket.status, actor=told.actor or SOMEBODY)
    mail = platform.mailer.write(
        "workflow_notice",
        mail_id=mail_id("workflow_notice", run_id, place, user_id),
        to=told.email,
        thread=mail_id("ticket", ticket.id),
        username=told.username,
        rule=without_reordering(told.rule_name),
        key=ticket.key,
        title=without_reordering(ticket.title),
        text=fill(told.results[place]["text"], words, max_length=MAX_MAIL_LENGTH),
        ticket_url=f"{platform.settings.public_url}/api/v1/tickets/{ticket.key}",
    )
    await platform.mailer.send(mail)


async def mail_disabled(
    platform: Platform, *, company_id: str, rule_id: str, user_id: str, occasion: str
) -> None:
    """Tell an admin that a rule was disabled; again without harm. Nothing where it is enabled again."""
    ids = {"company_id": UUID(company_id), "rule_id": UUID(rule_id), "user_id": UUID(user_id)}
    disabled = await repository.disabled_rule(platform.database, **ids)
    if disabled is None or await platform.mail_limits.take(disabled.email):
        return
    mail = platform.mailer.write(
        "workflow_disabled",
        mail_id=mail_id("workflow_disabled", rule_id, user_id, occasion),
        to=disabled.email,
        username=disabled.username,
        domain=disabled.domain,
        rule=without_reordering(disabled.name),
        rule_url=f"{platform.settings.public_url}/api/v1/workflows/{rule_id}",
    )
    await platform.mailer.send(mail)


async def forget_old_runs(platform: Platform) -> None:
    """Delete runs that are older than 30 days."""
    deleted = AT_ONCE
    while deleted == AT_ONCE:
        async with platform.work() as work:
            deleted = await remove_old_runs(work, limit=AT_ONCE)


TASKS = Tasks(
    by_name={NOTIFY_JOB: notify, DISABLED_JOB: mail_disabled},
    periodic={
        "rules.run_idle": Periodic("*/5 * * * *", run_idle),
        "rules.forget_old_runs": Periodic("47 * * * *", forget_old_runs),
    },
)
