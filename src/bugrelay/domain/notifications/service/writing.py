"""The mails of notices: one for a single event, or a digest of several."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from bugrelay.domain.notifications.models import DIGEST_MAIL
from bugrelay.domain.notifications.repository import MailedNotice
from bugrelay.domain.notifications.service.unsubscribe_links import (
    FollowedTicket,
    UnsubscribeLink,
    unsubscribe_token,
)
from bugrelay.infra.mail.mailer import Mailer
from bugrelay.infra.mail.message import Mail, mail_id
from bugrelay.infra.text.direction import without_reordering

_STATUS = {"open": "open", "reviewing": "in review", "fixed": "fixed", "wont_fix": "not going to be fixed"}
_BECAUSE = {
    "chosen": "you follow this {thing}",
    "reported": "you reported this {thing}",
    "assigned": "this {thing} is assigned to you",
    "commented": "you commented on this {thing}",
    "voted": "you voted for this {thing}",
}


def write_mail(mailer: Mailer, notices: Sequence[MailedNotice], *, key: str, public_url: str) -> Mail:
    """The mail of these notices: of a single one, or a digest. The same notices always make the same mail.

    Args:
        mailer: Renders the mail.
        notices: The notices of one mail, in order, at least one.
        key: The key that signs the unsubscribe link.
        public_url: The base URL of links.
    """
    first = notices[0]
    if first.kind == DIGEST_MAIL:
        return _digest(mailer, notices, key=key, public_url=public_url)
    thing = _thing_of(first)
    return mailer.write(
        "notice",
        mail_id=mail_id("notice", first.event_id, first.user_id or first.contact_id),
        to=first.email,
        thread=mail_id(thing, first.about_id),
        unsubscribe_url=f"{public_url}/unsubscribe/{unsubscribe_token(key, _link_of(first))}",
        title=_title_of(first),
        thing=thing,
        sentence=sentence_of(first),
        content=_quoted(first.content),
        content_html=first.content_html,
        because=_BECAUSE[first.reason].format(thing=thing),
        url=_url_of(public_url, first),
    )


def _link_of(notice: MailedNotice) -> UnsubscribeLink:
    if notice.key is not None and notice.user_id is not None:
        ticket = FollowedTicket(notice.stream, notice.user_id, notice.about_id)
        return UnsubscribeLink(user_id=notice.user_id, ticket=ticket)
    return UnsubscribeLink(user_id=notice.user_id, bug_id=notice.about_id, contact_id=notice.contact_id)


def _thing_of(notice: MailedNotice) -> str:
    return "bug" if notice.key is None else "ticket"


def _title_of(notice: MailedNotice) -> str:
    title = without_reordering(notice.title)
    return title if notice.key is None else f"{notice.key}: {title}"


def _digest(mailer: Mailer, notices: Sequence[MailedNotice], *, key: str, public_url: str) -> Mail:
    first = notices[0]
    link = UnsubscribeLink(
        user_id=first.user_id,
        address_key=first.address_key,
        contact_id=first.contact_id if first.address_key is None else None,
    )
    by_thing = groupby(sorted(notices, key=lambda one: one.about_id), key=lambda one: one.about_id)
    return mailer.write(
        "notice_digest",
        mail_id=mail_id("digest", first.mail_id),
        to=first.email,
        unsubscribe_url=f"{public_url}/unsubscribe/{unsubscribe_token(key, link)}",
        count=len(notices),
        is_cut=first.is_cut,
        things=[_section(list(of_thing), public_url) for _, of_thing in by_thing],
    )


def _section(notices: Sequence[MailedNotice], public_url: str) -> dict[str, Any]:
    return {
        "title": _title_of(notices[0]),
        "url": _url_of(public_url, notices[0]),
        "sentences": [sentence_of(one) for one in notices],
    }


def sentence_of(notice: MailedNotice) -> str:
    """The event in one sentence, without the text of a comment."""
    who = notice.actor or "Somebody"
    if notice.type in ("comment.created", "ticket.commented"):
        return f"{who} commented."
    if notice.type == "response.created":
        return f"{without_reordering(notice.company or who)} responded officially."
    if notice.from_status and notice.to_status:
        old, new = _status(notice, notice.from_status), _status(notice, notice.to_status)
        return f"The status is now “{new}”; it was “{old}”."
    return "Another report of the same bug was merged into this one."


def _status(notice: MailedNotice, status: str) -> str:
    """The status in readable form; a ticket's is a value of its project's scheme."""
    return _STATUS[status] if notice.key is None else status.replace("_", " ").lower()


def _quoted(content: str | None) -> str | None:
    """The text with quote markers, so that a comment cannot imitate the rest of the mail."""
    return "\n".join(f"> {line}" for line in content.splitlines()) if content is not None else None


def _url_of(public_url: str, notice: MailedNotice) -> str:
    if notice.key is None:
        return f"{public_url}/api/v1/bugs/{notice.about_id}"
    return f"{public_url}/api/v1/tickets/{notice.about_id}?company={notice.stream}"
