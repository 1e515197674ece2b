"""The unsubscribe links in mails: signed, so that neither jobs nor the database contain them.

A link is valid for as long as the signing key. It can only end mails, and gives access to nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from uuid import UUID

from bugrelay.domain.accounts.repository import lock_user
from bugrelay.domain.notifications import repository
from bugrelay.domain.notifications.service import subscriptions
from bugrelay.domain.notifications.service.contacts import delete_address, delete_contact
from bugrelay.errors import InvalidLinkToken
from bugrelay.infra.db.query import Reader
from bugrelay.infra.db.unit_of_work import UnitOfWork

_ID_BYTES, _MAC_BYTES = 16, 16
_BUG, _TICKET, _ALL, _CONTACT, _ADDRESS = b"b", b"t", b"a", b"c", b"d"  # kinds of tokens


@dataclass(frozen=True)
class FollowedTicket:
    """A ticket that a user follows, and its company."""

    company_id: UUID
    user_id: UUID
    ticket_id: UUID


@dataclass(frozen=True, kw_only=True)
class UnsubscribeLink:
    """The mails that a link ends: a user's for one bug or ticket, all of a user's, those of one anonymous report, or
    those of all anonymous reports of an address."""

    user_id: UUID | None = None
    bug_id: UUID | None = None
    ticket: FollowedTicket | None = None
    contact_id: UUID | None = None
    address_key: UUID | None = None


def unsubscribe_token(key: str, link: UnsubscribeLink) -> str:
    """URL-safe text of the link and a MAC of 128 bits."""
    payload = _payload(link)
    return _encoded(payload + _mac(key, payload))


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _payload(link: UnsubscribeLink) -> bytes:
    if link.contact_id is not None:
        return _CONTACT + link.contact_id.bytes
    if link.address_key is not None:
        return _ADDRESS + link.address_key.bytes
    if link.ticket is not None:
        return (
            _TICKET + link.ticket.user_id.bytes + link.ticket.company_id.bytes + link.ticket.ticket_id.bytes
        )
    assert link.user_id is not None  # noqa: S101 - every link names a recipient
    return _ALL + link.user_id.bytes if link.bug_id is None else _BUG + link.user_id.bytes + link.bug_id.bytes


def read_unsubscribe_token(key: str, token: str) -> UnsubscribeLink:
    """The link that a token stands for.

    Raises:
        InvalidLinkToken: The token is malformed, or its MAC is wrong.
    """
    try:
        content = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), b"-_", validate=True)
    except (UnicodeError, binascii.Error) as error:
        raise InvalidLinkToken from error
    payload, mac = content[:-_MAC_BYTES], content[-_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(key, payload)) or _encoded(content) != token:
        raise InvalidLinkToken
    kind, first, second = payload[:1], UUID(bytes=payload[1 : 1 + _ID_BYTES]), payload[1 + _ID_BYTES :]
    if kind == _CONTACT:
        return UnsubscribeLink(contact_id=first)
    if kind == _ADDRESS:
        return UnsubscribeLink(address_key=first)
    if kind == _TICKET:
        company_id, ticket_id = UUID(bytes=second[:_ID_BYTES]), UUID(bytes=second[_ID_BYTES:])
        return UnsubscribeLink(user_id=first, ticket=FollowedTicket(company_id, first, ticket_id))
    return UnsubscribeLink(user_id=first, bug_id=UUID(bytes=second) if kind == _BUG else None)


def _mac(key: str, payload: bytes) -> bytes:
    return hmac.new(key.encode(), b"unsubscribe:" + payload, hashlib.sha256).digest()[:_MAC_BYTES]


async def title_of_link(reader: Reader, link: UnsubscribeLink) -> str | None:
    """The title of the link's bug, if it is public; never that of a ticket."""
    return await repository.title_of(reader, link.bug_id) if link.bug_id else None


async def use_unsubscribe_link(work: UnitOfWork, link: UnsubscribeLink) -> None:
    """End the mails of the link; idempotent. The user need not be signed in.

    Raises:
        InvalidLinkToken: The account was erased.
    """
    if link.contact_id is not None:
        await delete_contact(work, link.contact_id)
        return
    if link.address_key is not None:
        await delete_address(work, link.address_key)
        return
    if link.user_id is None or await lock_user(work.session, link.user_id) is None:
        raise InvalidLinkToken
    if link.ticket is not None:
        await subscriptions.mute_ticket(work, link.ticket, link.ticket.ticket_id)
        return
    if link.bug_id is None:
        await subscriptions.end_mails(work, link.user_id)
        return
    followed = await repository.survivor_of(work, link.bug_id) or link.bug_id
    await subscriptions.mute(work, followed, user_id=link.user_id)
