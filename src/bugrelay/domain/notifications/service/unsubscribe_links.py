"""The links at the end of mails: signed, so that neither a job nor the database holds one.

A link is good for as long as the signing key: it ends mails, which can do no harm, and opens nothing.
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
from bugrelay.errors import InvalidLinkToken
from bugrelay.infra.db.query import Reader
from bugrelay.infra.db.unit_of_work import UnitOfWork

_ID_BYTES, _MAC_BYTES = 16, 16


@dataclass(frozen=True)
class UnsubscribeLink:
    """Whose mails it ends: those of one bug, or all of them."""

    user_id: UUID
    bug_id: UUID | None


def unsubscribe_token(key: str, link: UnsubscribeLink) -> str:
    """URL-safe text; with 128 bits that only the key's holder can make."""
    payload = link.user_id.bytes + (link.bug_id.bytes if link.bug_id else b"")
    return base64.urlsafe_b64encode(payload + _mac(key, payload)).rstrip(b"=").decode()


def read_unsubscribe_token(key: str, token: str) -> UnsubscribeLink:
    """
    Raises:
        InvalidLinkToken: It is none of ours.
    """
    try:
        content = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), b"-_", validate=True)
    except (UnicodeError, binascii.Error) as error:
        raise InvalidLinkToken from error
    payload, mac = content[:-_MAC_BYTES], content[-_MAC_BYTES:]
    if len(payload) not in (_ID_BYTES, 2 * _ID_BYTES) or not hmac.compare_digest(mac, _mac(key, payload)):
        raise InvalidLinkToken
    bug = payload[_ID_BYTES:]
    return UnsubscribeLink(UUID(bytes=payload[:_ID_BYTES]), UUID(bytes=bug) if bug else None)


def _mac(key: str, payload: bytes) -> bytes:
    return hmac.new(key.encode(), b"unsubscribe:" + payload, hashlib.sha256).digest()[:_MAC_BYTES]


async def described(reader: Reader, link: UnsubscribeLink) -> str | None:
    """The title of the bug that the link is about, where it may still be seen."""
    return await repository.title_of(reader, link.bug_id) if link.bug_id else None


async def use_unsubscribe_link(work: UnitOfWork, link: UnsubscribeLink) -> None:
    """End what the link is about; again without harm. Who holds it need not be signed in.

    Raises:
        InvalidLinkToken: The account was erased.
    """
    if await lock_user(work.session, link.user_id) is None:
        raise InvalidLinkToken
    if link.bug_id is None:
        await subscriptions.end_mails(work, link.user_id)
        return
    followed = await repository.survivor_of(work, link.bug_id) or link.bug_id
    await subscriptions.mute(work, followed, user_id=link.user_id)
