"""Due mails, and their contents."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

from sqlalchemy import Integer, bindparam, func, select, text

from bugrelay.domain.notifications.models import UNSENT, NoticeMail
from bugrelay.infra.db.query import Query, Reader, Row

MAX_IN_DIGEST = 100  # notices; all of them are in the list
MAX_READ = 1000  # notices of a digest, of which some may not be visible any more

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
    """The ids of mails that have been due the longest, locked; rows that are locked already are skipped."""
    return await reader.rows(_LOCK_DUE, {"limit": limit})


async def is_mail_due(reader: Reader) -> bool:
    return await reader.row(_IS_DUE) is not None


class MailedNotice(Row):
    """One notice of a mail, with what its recipient may see now: of a bug, or of a ticket, which has a key.

    The recipient is a user, or the confirmed address of an anonymous report. `address_key` is the same for all
    spellings of it; a digest to it may be about several reports, each with its own `contact_id`.

    `actor` is None for anonymous users. `content` and `content_html` are those of a comment, None for other events;
    `company` is the name of the company that wrote an official response. `is_cut` says that the mail may have more
    notices than were read.
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
    from_status: str | None
    to_status: str | None
    about_id: UUID
    key: str | None
    title: str
    reason: str
    actor: str | None
    content: str | None
    content_html: str | None
    company: str | None
    is_cut: bool

    @property
    def event_id(self) -> str:
        return f"evt_{self.stream}_{self.seq}"


# All conditions are checked again: since the notice was written, the bug may have been removed or merged, the comment
# removed, the account banned or erased, its address changed, and its owner may have unsubscribed or left the company.
_MAILED = Query(
    text("""
    WITH mailed AS (
        SELECT m.id AS mail_id, m.kind, u.id AS user_id, u.email, n.id AS notice_id, n.contact_id, n.is_cut, f.stream,
            f.seq, f.type, f.from_status, f.to_status, f.bug_id, f.ticket_id, f.comment_id, f.is_internal, f.levels,
            a.username AS actor
        FROM notice_mails m
        LEFT JOIN users u ON u.id = m.user_id AND u.is_email_verified AND u.erased_at IS NULL
            AND (u.banned_at IS NULL OR u.banned_until <= now())
        LEFT JOIN notice_settings t ON t.user_id = u.id
        CROSS JOIN LATERAL (
            SELECT x.id, x.fan_out_id, x.contact_id, count(*) OVER () = :read AS is_cut
            FROM (SELECT id, fan_out_id, contact_id FROM notices WHERE mail_id = m.id ORDER BY id LIMIT :read) x
        ) n
        JOIN notice_fan_outs f ON f.id = n.fan_out_id
        LEFT JOIN users a ON a.id = f.actor_id
        WHERE m.id = ANY (:ids) AND coalesce(t.mail, 'each') <> 'none'
    ), on_bugs AS (
        SELECT o.mail_id, o.notice_id, k.id AS contact_id, k.address_key, coalesce(o.email, k.email) AS email,
            b.id AS about_id, CAST(NULL AS text) AS key, b.title, coalesce(s.reason, 'reported') AS reason, c.content,
            c.content_html, i.name AS company
        FROM mailed o
        LEFT JOIN report_contacts k ON k.id = o.contact_id AND k.confirmed_at IS NOT NULL
        JOIN bugs b ON b.id = bug_survivor(o.bug_id)
        LEFT JOIN LATERAL bug_subscription(b.id, o.user_id) s ON o.user_id IS NOT NULL
        LEFT JOIN comments c ON c.id = o.comment_id AND c.removed_at IS NULL
        LEFT JOIN companies i ON i.id = c.company_id AND c.is_company_response
        WHERE o.ticket_id IS NULL AND coalesce(s.level, k.level) = ANY (o.levels)
            AND (o.comment_id IS NULL OR c.id IS NOT NULL)
    ), on_tickets AS (
        SELECT o.mail_id, o.notice_id, CAST(NULL AS uuid), CAST(NULL AS uuid), o.email, t.id, t.key, t.title, s.reason,
            c.content, c.content_html, CAST(NULL AS text)
        FROM mailed o
        JOIN tickets t ON t.company_id = o.stream AND t.id = o.ticket_id
        CROSS JOIN LATERAL ticket_subscription(o.stream, o.ticket_id, o.user_id) s
        LEFT JOIN ticket_comments c
            ON c.company_id = o.stream AND c.id = o.comment_id AND c.removed_at IS NULL
        WHERE s.level = ANY (o.levels) AND (o.comment_id IS NULL OR c.id IS NOT NULL)
            AND sees_ticket(o.stream, o.ticket_id, o.user_id, o.is_internal)
    ), visible AS (
        SELECT *, count(*) OVER (PARTITION BY mail_id) AS of_mail,
            row_number() OVER (PARTITION BY mail_id ORDER BY notice_id) AS position
        FROM (SELECT * FROM on_bugs UNION ALL SELECT * FROM on_tickets) x
    )
    SELECT o.mail_id, o.kind, o.user_id, v.contact_id, v.address_key, v.email, o.stream, o.seq, o.type, o.from_status,
        o.to_status, v.about_id, v.key, v.title, v.reason, o.actor, v.content, v.content_html, v.company,
        o.is_cut OR v.of_mail > :most AS is_cut
    FROM mailed o
    JOIN visible v USING (mail_id, notice_id)
    WHERE v.position <= :most
    ORDER BY mail_id, notice_id
    """),
    MailedNotice,
)


async def mailed_notices(reader: Reader, ids: Sequence[UUID]) -> list[list[MailedNotice]]:
    """The notices of these mails, a list for each mail; mails without visible notices or a recipient are left out."""
    rows = await reader.rows(_MAILED, {"ids": list(ids), "most": MAX_IN_DIGEST, "read": MAX_READ})
    return [list(notices) for _, notices in groupby(rows, key=lambda row: row.mail_id)]
