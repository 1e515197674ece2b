"""A mail, and its message (RFC 5322)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from email.errors import MessageError
from email.header import Header
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UniqueUnstructuredHeader
from email.message import EmailMessage
from email.policy import EmailPolicy, Policy
from email.utils import formatdate, getaddresses
from typing import Any, cast
from urllib.parse import urlsplit

import idna

from bugrelay.infra.text.direction import without_reordering
from bugrelay.settings import SettingError

MAX_LINE_LENGTH = 990  # RFC 5322, section 2.1.1
MAX_WORD_LENGTH = 60


@dataclass(frozen=True)
class Mail:
    """One mail to one address.

    Attributes:
        id: A stable id (see `mail_id`), from which the Message-ID is made.
        thread: The id of its thread, the same for all mails of that; None for a mail without a thread.
        unsubscribe_url: Where a POST ends such mails, without signing in (RFC 8058); None if they cannot be ended.
        reply_to: The address for replies; None for the sender.
    """

    id: str
    to: str
    subject: str
    text: str
    html: str
    thread: str | None = None
    unsubscribe_url: str | None = None
    reply_to: Address | None = None


def mail_id(kind: str, *parts: object) -> str:
    """A stable id of a mail: the same for the same kind and parts."""
    return hashlib.sha256(":".join([kind, *map(str, parts)]).encode()).hexdigest()[:32]


def message_of(mail: Mail, *, sender: Address, public_url: str) -> EmailMessage:
    """The message of a mail, with headers, text and HTML. Its Message-ID ends in the host of `public_url`."""
    message = EmailMessage(policy=_POLICY.clone(utf8=not mail.to.rpartition("@")[0].isascii()))
    message["From"] = sender
    message["To"] = _recipient(mail.to)
    if mail.reply_to is not None:
        message["Reply-To"] = mail.reply_to
    message["Subject"] = mail.subject
    message["Date"] = formatdate(usegmt=True)
    host = _message_host(public_url)
    message["Message-ID"] = f"<{mail.id}@{host}>"
    message["Auto-Submitted"] = "auto-generated"
    if mail.thread is not None:  # a mail that never was is the root of all of them, so none has to come first
        message["In-Reply-To"] = message["References"] = f"<{mail.thread}@{host}>"
    if mail.unsubscribe_url is not None:
        message["List-Unsubscribe"] = f"<{mail.unsubscribe_url}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(mail.text, cte=_encoding(mail.text))
    message.add_alternative(mail.html, subtype="html", cte=_encoding(mail.html))
    return message


class _UnfoldedHeader(UniqueUnstructuredHeader):
    """A header of one token, which is not folded: the library would encode one of more than 78 characters like words,
    and clients do not decode addresses and ids."""

    name: str  # of BaseHeader, a base class that the registry adds

    def fold(self, *, policy: Policy[Any]) -> str:
        return f"{self.name}: {self}{policy.linesep}"


class _SubjectHeader(UniqueUnstructuredHeader):
    """User text, encoded as a whole: when the library folds it, it loses a space between two encoded words.

    Text that looks like an encoded word must not be decoded: the library would even accept its line breaks.
    """

    name: str  # of BaseHeader, a base class that the registry adds

    @classmethod
    def parse(cls, value: str, kwds: dict[str, Any]) -> None:
        kwds["parse_tree"] = cls.value_parser("")
        kwds["decoded"] = value

    def fold(self, *, policy: Policy[Any]) -> str:
        text = str(self)
        # Clients would decode what looks like an encoded word, and a word as long as a line could not be folded.
        is_plain = (
            text.isascii() and "=?" not in text and max(map(len, text.split()), default=0) < MAX_WORD_LENGTH
        )
        value = Header(text, "us-ascii" if is_plain else "utf-8", header_name=self.name).encode(
            linesep=policy.linesep
        )
        return f"{self.name}: {value}{policy.linesep}"


_headers = HeaderRegistry()
_headers.map_to_type("subject", cast("type[BaseHeader]", _SubjectHeader))
for _name in ("message-id", "in-reply-to", "references", "list-unsubscribe"):
    _headers.map_to_type(_name, cast("type[BaseHeader]", _UnfoldedHeader))
_POLICY = EmailPolicy(header_factory=_headers)


def address_from(text: str, *, setting: str) -> Address:
    """The address in a setting.

    Raises:
        SettingError: It is not one address, with or without a name.
    """
    try:
        ((name, address),) = getaddresses([text])
        found = Address(without_reordering(name), addr_spec=_ascii_domain(address))
    except (ValueError, IndexError, MessageError) as error:
        raise SettingError(f"{setting} must be one e-mail address, as in Name <name@host>") from error
    if not (found.username and found.domain):
        raise SettingError(f"{setting} must be one e-mail address, as in Name <name@host>")
    return found


def _recipient(address: str) -> Address:
    user, _, domain = _ascii_domain(address).rpartition("@")
    return Address(username=user, domain=domain)


def _ascii_domain(address: str) -> str:
    """The address with its domain in ASCII (IDNA), so that the domain does not need SMTPUTF8."""
    user, at, domain = address.rpartition("@")
    return user + at + (domain if domain.isascii() else idna.encode(domain, uts46=True).decode())


def _message_host(public_url: str) -> str:
    host = urlsplit(public_url).hostname or ""
    return host if re.fullmatch(r"[a-z0-9.-]+", host) else "localhost"


def _encoding(text: str) -> str:
    """Plain if that is safe, so that a spooled mail can be read, and its link copied."""
    return (
        "7bit"
        if text.isascii() and max(map(len, text.splitlines())) < MAX_LINE_LENGTH
        else "quoted-printable"
    )
