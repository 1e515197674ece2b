"""Mails that are due, and what they tell."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

from sqlalchemy import Integer, bindparam, func, select, text

from bugrelay.domain.bugs.schemas import Reason, Status
from bugrelay.domain.notifications.models import UNSENT, NoticeMail
from bugrelay.infra.db.query import Query, Reader, Row

MAX_IN_DIGEST = 100  # notices; who wants more reads the list

_LOCK_DUE = Query(
    select(NoticeMail.id)
    .where(UNSENT, NoticeMail.due_at <= func.now())
    .order_by(NoticeMail.due_at, NoticeMail.id)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(skip_locked=True),
    UUID,
)
_IS_DUE = Query(select(NoticeMail.id).where(UNSENT, NoticeMail.due_at <= func.now()).limit(1), UUID)


async def lock_due_mails(reader: Reader, *, limit: int) -> Sequence[UUID]:
    """Those that are due the longest, without those that somebody else has locked."""
    return await reader.rows(_LOCK_DUE, {"limit": limit})


async def is_mail_due(reader: Reader) -> bool:
    return await reader.row(_IS_DUE) is not None


class MailedNotice(Row):
    """One notice of a mail, as its recipient may see it at this moment.

    The recipient is a user, or the confirmed address of an anonymous report. `address_key` is the same for all
    spellings of it; a digest may tell it of several reports, of which each has a `contact_id` of its own.

    `actor` is null for the anonymous; `content` and what follows are a comment's, null for other events; `company` is
    in whose name a response was written.
    """

    mail_id: UUID
    kind: str
    user_id: UUID | None
    contact_id: UUID | None
    address_key: UUID | None
    email: str
    stream: UUID
    seq: int
    type: str
    from_status: Status | None
    to_status: Status | None
    bug_id: UUID
    title: str
    status: Status
    reason: Reason
    actor: str | None
    content: str | None
    content_html: str | None
    company: str | None
    is_cut: bool

    @property
    def event_id(self) -> str:
        return f"evt_{self.stream}_{self.seq}"


# Everything is asked again here: since the notice was made, the bug may have been removed or merged, the comment
# withdrawn, the account banned or erased, its address changed, its owner may have unsubscribed.
_MAILED = Query(
    text("""
    SELECT m.id AS mail_id, m.kind, u.id AS user_id, k.id AS contact_id, k.address_key,
        coalesce(u.email, k.email) AS email, f.stream, f.seq, f.type, f.from_status, f.to_status, b.id AS bug_id,
        b.title, b.status,
        coalesce(s.reason, 'reported') AS reason, a.username AS actor, c.content, c.content_html,
        o.name AS company, n.is_cut
    FROM notice_mails m
    LEFT JOIN users u ON u.id = m.user_id AND u.is_email_verified AND u.erased_at IS NULL
        AND (u.banned_at IS NULL OR u.banned_until <= now())
    LEFT JOIN notice_settings t ON t.user_id = u.id
    CROSS JOIN LATERAL (
        SELECT x.id, x.fan_out_id, x.contact_id, count(*) OVER () > :most AS is_cut FROM (
            SELECT id, fan_out_id, contact_id FROM notices WHERE mail_id = m.id ORDER BY id LIMIT :most + 1
        ) x
        ORDER BY x.id LIMIT :most
    ) n
    LEFT JOIN report_contacts k ON k.id = n.contact_id AND k.confirmed_at IS NOT NULL
    JOIN notice_fan_outs f ON f.id = n.fan_out_id
    JOIN bugs b ON b.id = bug_survivor(f.bug_id)
    LEFT JOIN LATERAL bug_subscription(b.id, u.id) s ON u.id IS NOT NULL
    LEFT JOIN comments c ON c.id = f.comment_id AND c.removed_at IS NULL
    LEFT JOIN companies o ON o.id = c.company_id AND c.is_company_response
    LEFT JOIN users a ON a.id = f.actor_id
    WHERE m.id = ANY (:ids) AND coalesce(t.mail, 'each') <> 'none' AND coalesce(s.level, k.level) = ANY (f.levels)
        AND (f.comment_id IS NULL OR c.id IS NOT NULL)
    ORDER BY m.id, n.id
    """),
    MailedNotice,
)


async def mailed_notices(reader: Reader, ids: Sequence[UUID]) -> list[list[MailedNotice]]:
    """What these mails tell, a list a mail; one that has nothing left to tell, or nobody to be told, is not there."""
    rows = await reader.rows(_MAILED, {"ids": list(ids), "most": MAX_IN_DIGEST})
    return [list(notices) for _, notices in groupby(rows, key=lambda row: row.mail_id)]
