"""The mails that tell of notices: one event in a mail of its own, or several in a digest."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from bugrelay.domain.notifications.models import DIGEST_MAIL
from bugrelay.domain.notifications.repository import MailedNotice
from bugrelay.domain.notifications.service.unsubscribe_links import UnsubscribeLink, unsubscribe_token
from bugrelay.infra.mail.mailer import Mailer
from bugrelay.infra.mail.message import Mail, mail_id
from bugrelay.infra.text.direction import without_reordering

_STATUS = {"open": "open", "reviewing": "in review", "fixed": "fixed", "wont_fix": "not going to be fixed"}
_BECAUSE = {
    "chosen": "you follow this bug",
    "reported": "you reported this bug",
    "commented": "you commented on this bug",
    "voted": "you voted for this bug",
}


def write_mail(mailer: Mailer, notices: Sequence[MailedNotice], *, key: str, public_url: str) -> Mail:
    """The mail of these notices, which are one or a digest; the same notices always give the same one.

    Args:
        mailer: Writes it.
        notices: What one mail tells one person, in order.
        key: Signs the link to unsubscribe.
        public_url: What links begin with.
    """
    first = notices[0]
    if first.kind == DIGEST_MAIL:
        return _digest(mailer, notices, key=key, public_url=public_url)
    link = UnsubscribeLink(user_id=first.user_id, bug_id=first.bug_id, contact_id=first.contact_id)
    return mailer.write(
        "notice",
        mail_id=mail_id("notice", first.event_id, first.user_id or first.contact_id),
        to=first.email,
        thread=mail_id("bug", first.bug_id),
        unsubscribe_url=f"{public_url}/unsubscribe/{unsubscribe_token(key, link)}",
        title=without_reordering(first.title),
        sentence=sentence_of(first),
        content=_quoted(first.content),
        content_html=first.content_html,
        because=_BECAUSE[first.reason],
        bug_url=_bug_url(public_url, first),
    )


def _digest(mailer: Mailer, notices: Sequence[MailedNotice], *, key: str, public_url: str) -> Mail:
    first = notices[0]
    link = UnsubscribeLink(
        user_id=first.user_id,
        address_key=first.address_key,
        contact_id=first.contact_id if first.address_key is None else None,
    )
    by_bug = groupby(sorted(notices, key=lambda one: one.bug_id), key=lambda one: one.bug_id)
    return mailer.write(
        "notice_digest",
        mail_id=mail_id("digest", first.mail_id),
        to=first.email,
        unsubscribe_url=f"{public_url}/unsubscribe/{unsubscribe_token(key, link)}",
        count=len(notices),
        is_cut=first.is_cut,
        bugs=[_told(list(of_bug), public_url) for _, of_bug in by_bug],
    )


def _told(notices: Sequence[MailedNotice], public_url: str) -> dict[str, Any]:
    return {
        "title": without_reordering(notices[0].title),
        "url": _bug_url(public_url, notices[0]),
        "sentences": [sentence_of(one) for one in notices],
    }


def sentence_of(notice: MailedNotice) -> str:
    """What has happened, in a sentence without the text of a comment."""
    who = notice.actor or "Somebody"
    if notice.type == "comment.created":
        return f"{who} commented."
    if notice.type == "response.created":
        return f"{without_reordering(notice.company or who)} responded officially."
    if notice.type == "status.changed" and notice.from_status and notice.to_status:
        return f"The status is now “{_STATUS[notice.to_status]}”; it was “{_STATUS[notice.from_status]}”."
    return "Another report of the same bug was merged into this one."


def _quoted(content: str | None) -> str | None:
    """Set off from what we say: nobody's comment can pass for the end of the mail."""
    return "\n".join(f"> {line}" for line in content.splitlines()) if content is not None else None


def _bug_url(public_url: str, notice: MailedNotice) -> str:
    return f"{public_url}/api/v1/bugs/{notice.bug_id}"
