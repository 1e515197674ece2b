"""Jobs of notices: fan-out, mails, deletion of old rows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import delete, func, select

from bugrelay.domain.notifications import repository
from bugrelay.domain.notifications.models import ContactMail, Notice, NoticeFanOut, NoticeMail, ReportContact
from bugrelay.domain.notifications.repository import MailedNotice
from bugrelay.domain.notifications.service import contacts, mails
from bugrelay.domain.notifications.service.announcing import FAN_OUT_JOB
from bugrelay.domain.notifications.service.fan_out import run_step
from bugrelay.domain.notifications.service.mails import SEND_JOB
from bugrelay.domain.notifications.service.writing import write_mail
from bugrelay.infra.ids import lowest_id_of
from bugrelay.infra.jobs.queue import NOTICE_QUEUE
from bugrelay.infra.jobs.tasks import Periodic, Tasks
from bugrelay.infra.mail.message import mail_id
from bugrelay.infra.mail.transport import MailUndelivered
from bugrelay.infra.platform import Platform

RUN_SECONDS = 60.0  # then a job that is not finished adds another one
STEP_SECONDS = 20
PAUSE_FACTOR = 8  # of the duration of the previous step
MAX_PAUSE_SECONDS = 0.4  # so that 100,000 people are notified within a minute, even if a step takes 0.2 s
SENT_AT_ONCE = 5
KEPT_FOR = timedelta(days=90)
WAITING_KEPT_FOR = timedelta(days=3)  # a link is valid for two, and its mail may have been delayed
AT_ONCE = 5000  # rows, so that deleting stays within the deadline of a statement

log = structlog.get_logger()


async def fan_out(platform: Platform, *, fan_out_id: str) -> None:
    """Run the steps of a fan-out, and then add the job that sends the mails; idempotent.

    Between two steps it pauses eight times as long as the last one took, so that few concurrent reads of the board
    coincide with a step.
    """
    ends_at = time.monotonic() + RUN_SECONDS
    finished = False
    while not finished and time.monotonic() < ends_at:
        began = time.monotonic()
        finished = await _run_step(platform, UUID(fan_out_id))
        if not finished:
            await asyncio.sleep(min(PAUSE_FACTOR * (time.monotonic() - began), MAX_PAUSE_SECONDS))
    if not finished:
        async with platform.work() as work:
            await platform.jobs.add(work.session, FAN_OUT_JOB, fan_out_id=fan_out_id)
    await send_due(platform)


async def _run_step(platform: Platform, fan_out_id: UUID) -> bool:
    """Run one step; returns whether it was the last."""
    async with platform.work() as work:
        await work.set_timeouts(statement_seconds=STEP_SECONDS, lock_seconds=STEP_SECONDS)
        return (await run_step(work, fan_out_id)).finished


async def send_mails(platform: Platform) -> None:
    """Send due mails. It ends when the mail server accepts none; the periodic job starts it again."""
    ends_at = time.monotonic() + RUN_SECONDS
    while time.monotonic() < ends_at:
        async with platform.work() as work:
            claimed = await mails.claim_due(work)
        if not claimed or not await _send_claimed(platform, claimed):
            return
    await send_due(platform)


async def _send_claimed(platform: Platform, claimed: Sequence[UUID]) -> bool:
    """Returns whether to continue: a mail was accepted, or none had to be sent."""
    to_send = await repository.mailed_notices(platform.database, claimed)
    slots = asyncio.Semaphore(SENT_AT_ONCE)
    outcomes = await asyncio.gather(*(_send(platform, notices, slots) for notices in to_send))
    unsent = [mail_id for mail_id in outcomes if mail_id is not None]
    async with platform.work() as work:
        await mails.close(work, [mail_id for mail_id in claimed if mail_id not in unsent])
        given_up = await mails.give_up(work, unsent)
    if given_up:
        log.error("notice_mails_given_up", mails=[str(mail_id) for mail_id in given_up])
    return len(unsent) < len(to_send) or not to_send


async def _send(platform: Platform, notices: Sequence[MailedNotice], slots: asyncio.Semaphore) -> UUID | None:
    """Send a mail; returns its id if it was not accepted."""
    settings = platform.settings
    mail = write_mail(platform.mailer, notices, key=settings.signing_key, public_url=settings.public_url)
    try:
        async with slots:
            await platform.mailer.send(mail)
    except MailUndelivered as error:
        log.warning("notice_mail_undelivered", mail=str(notices[0].mail_id), cause=str(error))
        return notices[0].mail_id
    return None


async def send_due(platform: Platform) -> None:
    """Add the job that sends mails if any are due: digests, or retries."""
    async with platform.work() as work:
        if await repository.is_mail_due(work):
            await platform.jobs.add(work.session, SEND_JOB, queue=NOTICE_QUEUE)


async def clean_up(platform: Platform) -> None:
    """Delete old notices, their mails and their fan-outs.

    Ids contain the time, so old rows are found by the primary key. Fan-outs and mails are kept a day longer than
    notices, since a digest is up to a day older than its last notice.
    """
    before = datetime.now(UTC) - KEPT_FOR
    for table, cutoff in (
        (Notice, before),
        (NoticeMail, before - timedelta(days=1)),
        (NoticeFanOut, before - timedelta(days=1)),
    ):
        await _delete_before(platform, table, cutoff)


async def _delete_before(
    platform: Platform, table: type[Notice | NoticeMail | NoticeFanOut], cutoff: datetime
) -> None:
    """Delete in batches, each in its own transaction, oldest first."""
    deleted = AT_ONCE
    while deleted == AT_ONCE:
        async with platform.work() as work:
            old = select(table.id).where(table.id < lowest_id_of(cutoff)).order_by(table.id).limit(AT_ONCE)
            # Locked rows are skipped and deleted in the next hour: without waiting there is no deadlock.
            unlocked = old.with_for_update(skip_locked=True)
            outcome = await work.session.execute(
                delete(table).where(table.id.in_(unlocked)).returning(table.id),
                execution_options={"synchronize_session": False},
            )
            deleted = len(outcome.all())


async def mail_contact_link(platform: Platform, *, contact_id: str) -> None:
    """Mail the owner of a report a link that confirms the address; idempotent."""
    async with platform.work() as work:
        made = await contacts.make_contact_link(work, UUID(contact_id), key=platform.settings.signing_key)
    if made is None:
        return
    email, token = made
    mail = platform.mailer.write(
        contacts.PURPOSE,
        mail_id=mail_id(contacts.PURPOSE, contact_id),
        to=email,
        link=f"{platform.settings.public_url}/contact/confirm?token={token}",
    )
    await platform.mailer.send(mail)


async def delete_expired_contacts(platform: Platform) -> None:
    """Delete old addresses without confirmation, and old records of mailed links."""
    async with platform.work() as work:
        await work.session.execute(
            delete(ReportContact).where(
                ReportContact.confirmed_at.is_(None), ReportContact.created_at < func.now() - WAITING_KEPT_FOR
            )
        )
        await work.session.execute(
            delete(ContactMail).where(ContactMail.mailed_at < func.now() - contacts.BETWEEN_MAILS)
        )


TASKS = Tasks(
    by_name={FAN_OUT_JOB: fan_out, SEND_JOB: send_mails, contacts.MAIL_JOB: mail_contact_link},
    periodic={
        "notifications.delete_expired_contacts": Periodic("27 * * * *", delete_expired_contacts),
        "notifications.send_due": Periodic("* * * * *", send_due),
        "notifications.clean_up": Periodic("23 * * * *", clean_up),
    },
)
