"""One mail, and the message that mail servers understand."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default as plain_policy
from email.utils import formatdate, getaddresses
from urllib.parse import urlsplit

import idna

from bugrelay.settings import SettingError

MAX_LINE_LENGTH = 990  # RFC 5322, section 2.1.1


@dataclass(frozen=True)
class Mail:
    """One mail to one address. `id` names it for good: the id of the row that it is about."""

    id: str
    to: str
    subject: str
    text: str
    html: str


def mail_id(kind: str, *parts: object) -> str:
    """A stable name for a mail about a row: the same parts always give the same mail."""
    return hashlib.sha256(":".join([kind, *map(str, parts)]).encode()).hexdigest()[:32]


def message_of(mail: Mail, *, sender: Address, public_url: str) -> EmailMessage:
    """The mail with headers and both bodies; the host of the site ends its Message-ID."""
    message = EmailMessage(policy=plain_policy.clone(utf8=not mail.to.rpartition("@")[0].isascii()))
    message["From"] = sender
    message["To"] = _recipient(mail.to)
    message["Subject"] = mail.subject
    message["Date"] = formatdate(usegmt=True)
    message["Message-ID"] = f"<{mail.id}@{_message_host(public_url)}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text, cte=_encoding(mail.text))
    message.add_alternative(mail.html, subtype="html", cte=_encoding(mail.html))
    return message


def sender_from(text: str) -> Address:
    """The sender that `MAIL_FROM` names.

    Raises:
        SettingError: MAIL_FROM is not one address, with or without a name.
    """
    try:
        ((name, address),) = getaddresses([text])
        sender = Address(name, addr_spec=_ascii_domain(address))
    except (ValueError, IndexError, MessageError) as error:
        raise SettingError("MAIL_FROM must be one e-mail address, as in Name <name@host>") from error
    if not (sender.username and sender.domain):
        raise SettingError("MAIL_FROM must be one e-mail address, as in Name <name@host>")
    return sender


def _recipient(address: str) -> Address:
    user, _, domain = _ascii_domain(address).rpartition("@")
    return Address(username=user, domain=domain)


def _ascii_domain(address: str) -> str:
    """The address with its domain as mail servers know it, without needing SMTPUTF8 for it."""
    user, at, domain = address.rpartition("@")
    return user + at + (domain if domain.isascii() else idna.encode(domain, uts46=True).decode())


def _message_host(public_url: str) -> str:
    host = urlsplit(public_url).hostname or ""
    return host if re.fullmatch(r"[a-z0-9.-]+", host) else "localhost"


def _encoding(text: str) -> str:
    """Plain where that is safe, so that a spooled mail can be read, and its link copied, as it is."""
    return (
        "7bit"
        if text.isascii() and max(map(len, text.splitlines())) < MAX_LINE_LENGTH
        else "quoted-printable"
    )
