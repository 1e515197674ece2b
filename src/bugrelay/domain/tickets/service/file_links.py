"""Links to the files of tickets, which somebody without a credential can use: an `<img>`, a download manager.

A link names one file, the tenant that asked for it and when it expires, all signed. Nobody takes it back before it
expires: not even when the member who asked has left the company meanwhile. What it leads to is looked up each time, so
a removed file, or the file of a removed ticket, is gone at once.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from urllib.parse import urlencode
from uuid import UUID

from msgspec import Struct

from bugrelay.domain.files.errors import FileNotFound
from bugrelay.infra.security.signed_links import signed_values

LinkPurpose = Literal["ticket-file", "ticket-upload", "support-screenshot"]
DOWNLOAD_FOR: Final = timedelta(minutes=10)
UPLOAD_FOR: Final = timedelta(minutes=15)


class SignedValues(Struct):
    """What a link carries, as it was sent.

    Attributes:
        company: The id of the tenant that asked for the link.
        expires: When it expires, in seconds since 1970.
        signature: Of both and the file.
    """

    company: str = ""
    expires: str = ""
    signature: str = ""


@dataclass(frozen=True)
class Link:
    """A link, and when it expires."""

    url: str
    expires_at: datetime


def new_link(
    signing_key: str,
    purpose: LinkPurpose,
    *,
    base_url: str,
    file_id: UUID,
    company_id: UUID,
    holds_for: timedelta,
) -> Link:
    """A link to a file of this tenant.

    Args:
        signing_key: Of this site.
        purpose: What it is good for.
        base_url: The address that the file's id is added to.
        file_id: Of the attachment.
        company_id: The tenant that asks.
        holds_for: From now on.
    """
    expires = int((datetime.now(UTC) + holds_for).timestamp())
    values = {"company": str(company_id), "expires": str(expires)}
    signature = signed_values(signing_key, purpose=purpose, values=(file_id, *values.values()))
    query = urlencode(values | {"signature": signature})
    return Link(f"{base_url}/{file_id}?{query}", datetime.fromtimestamp(expires, UTC))


def company_of_link(signing_key: str, purpose: LinkPurpose, *, file_id: UUID, sent: SignedValues) -> UUID:
    """The tenant that a link to this file was made for.

    Raises:
        FileNotFound: The link is forged or expired, or was made for something else.
    """
    expected = signed_values(signing_key, purpose=purpose, values=(file_id, sent.company, sent.expires))
    is_ours = hmac.compare_digest(expected.encode(), sent.signature.encode())
    if not is_ours or int(sent.expires) <= datetime.now(UTC).timestamp():
        raise FileNotFound
    return UUID(sent.company)
