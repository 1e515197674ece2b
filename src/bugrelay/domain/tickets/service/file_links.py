"""Signed links to the files of tickets, usable without a credential: by an `<img>`, by a download manager.

A link contains a file, the tenant that asked for it and its expiry, all signed. It cannot be revoked before it expires,
even if the member who asked has left the company meanwhile. The file is looked up at each request, so a removed file,
or a file of a removed ticket, is gone at once.
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
    """The values in a link, as they were sent.

    Attributes:
        company: The id of the tenant that asked for the link.
        expires: When it expires, in seconds since 1970.
        signature: The signature of both and of the file.
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
        signing_key: The signing key of this site.
        purpose: What the link permits.
        base_url: The URL to which the file's id is appended.
        file_id: The id of the attachment.
        company_id: The tenant that asks.
        holds_for: How long it is valid, from now on.
    """
    expires = int((datetime.now(UTC) + holds_for).timestamp())
    values = {"company": str(company_id), "expires": str(expires)}
    signature = signed_values(signing_key, purpose=purpose, values=(file_id, *values.values()))
    query = urlencode(values | {"signature": signature})
    return Link(f"{base_url}/{file_id}?{query}", datetime.fromtimestamp(expires, UTC))


def company_of_link(signing_key: str, purpose: LinkPurpose, *, file_id: UUID, sent: SignedValues) -> UUID:
    """The tenant that a link to this file was created for.

    Raises:
        FileNotFound: The link is forged or expired, or was created for another purpose.
    """
    expected = signed_values(signing_key, purpose=purpose, values=(file_id, sent.company, sent.expires))
    is_ours = hmac.compare_digest(expected.encode(), sent.signature.encode())
    if not is_ours or int(sent.expires) <= datetime.now(UTC).timestamp():
        raise FileNotFound
    return UUID(sent.company)
