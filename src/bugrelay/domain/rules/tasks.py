"""Jobs of rules: idle tickets, mails, deletion of old runs."""

from __future__ import annotations

import time
from uuid import UUID

import structlog

from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.rules import repository
from bugrelay.domain.rules.schemas import MAX_TEXT_LENGTH
from bugrelay.domain.rules.service.actions import NOTIFY_JOB
from bugrelay.domain.rules.service.idle import run_at_next_idle_ticket
from bugrelay.domain.rules.service.removal import remove_old_runs
from bugrelay.domain.rules.service.running import DISABLED_JOB, SOMEBODY
from bugrelay.domain.rules.texts import Placeholders, fill
from bugrelay.domain.tickets.repository.tickets import find_ticket
from bugrelay.domain.tickets.visibility import sees_all
from bugrelay.infra.jobs.tasks import Periodic, Tasks
from bugrelay.infra.mail.limits import MAILS_AN_HOUR, MailLimits
from bugrelay.infra.mail.message import mail_id
from bugrelay.infra.platform import Platform
from bugrelay.infra.redis.rate_limits import Bucket
from bugrelay.infra.text.direction import without_reordering

IDLE_SECONDS = 50.0  # after which the next run of the job continues
BATCH = 5000  # rows of a DELETE, so that it stays within the statement timeout
MAX_MAIL_LENGTH = 5 * MAX_TEXT_LENGTH

log = structlog.get_logger()


async def run_idle(platform: Platform) -> None:
    """Run rules for tickets that have become idle, round-robin over the rules, for at most `IDLE_SECONDS`.

    A rule that fails is left to the next run of the job, and does not stop the others.
    """
    ends_at = time.monotonic() + IDLE_SECONDS
    pending = [(one.company_id, one.rule_id) for one in await repository.idle_rules(platform.database)]
    while pending and time.monotonic() < ends_at:
        pending = [key for key in pending if await _run_next(platform, *key)]


async def _run_next(platform: Platform, company_id: UUID, rule_id: UUID) -> bool:
    try:
        async with platform.work() as work:
            return await run_at_next_idle_ticket(work, company_id, rule_id=rule_id, jobs=platform.jobs)
    except Exception as error:  # noqa: BLE001 - a failure must not stop the other rules
        log.warning("idle_rule_interrupted", rule_id=str(rule_id), cause=repr(error.__cause__ or error)[:300])
        return False


async def notify(platform: Platform, *, company_id: str, run_id: str, place: int, user_id: str) -> None:
    """Mail a `notify` to one member; idempotent by the mail's id. Nothing is sent where they may not see it, or want no
    mail.

    `place` is the index of the action in the rule.
    """
    ids = {"company_id": UUID(company_id), "run_id": UUID(run_id), "user_id": UUID(user_id)}
    notice = await repository.run_notice(platform.database, **ids)
    if notice is None:
        return
    tenant = Tenant(ids["company_id"], ids["user_id"], notice.role)
    if notice.visibility == "internal" and not sees_all(tenant):
        return
    ticket = await find_ticket(platform.database, tenant, notice.ticket_id)
    if ticket is None:
        return
    limits = MailLimits(platform.limiter, Bucket("workflow_mail", MAILS_AN_HOUR))
    if await limits.take(notice.email):
        log.info("workflow_mail_not_sent", run_id=run_id, user_id=user_id)
        return
    placeholders = Placeholders(
        key=ticket.key, title=ticket.title, status=ticket.status, actor=notice.actor or SOMEBODY
    )
    mail = platform.mailer.write(
        "workflow_notice",
        mail_id=mail_id("workflow_notice", run_id, place, user_id),
        to=notice.email,
        thread=mail_id("ticket", ticket.id),
        username=notice.username,
        rule=without_reordering(notice.rule_name),
        key=ticket.key,
        title=without_reordering(ticket.title),
        text=fill(notice.results[place]["text"], placeholders, max_length=MAX_MAIL_LENGTH),
        ticket_url=f"{platform.settings.public_url}/api/v1/tickets/{ticket.key}",
    )
    await platform.mailer.send(mail)


async def mail_disabled(
    platform: Platform, *, company_id: str, rule_id: str, user_id: str, occasion: str
) -> None:
    """Mail an admin that a rule was disabled; idempotent by the mail's id. Nothing is sent where it is enabled
    again."""
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


async def delete_old_runs(platform: Platform) -> None:
    """Delete runs that are older than 30 days."""
    deleted = BATCH
    while deleted == BATCH:
        async with platform.work() as work:
            deleted = await remove_old_runs(work, limit=BATCH)


TASKS = Tasks(
    by_name={NOTIFY_JOB: notify, DISABLED_JOB: mail_disabled},
    periodic={
        "rules.run_idle": Periodic("*/5 * * * *", run_idle),
        "rules.delete_old_runs": Periodic("47 * * * *", delete_old_runs),
    },
)
