"""Mail: text and HTML from templates, delivered by SMTP or spooled as one `.eml` a mail.

Only jobs send mail, so a mail server that is down delays mails and never a request. A mail has a stable Message-ID:
one that is delivered a second time, after a crash, is the same mail.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default as plain_policy
from email.utils import formatdate, getaddresses
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib
import idna
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from bugrelay.infra.file_permissions import close_to_others, create_private_file
from bugrelay.settings import SettingError, Settings

SMTP_SECONDS = 20.0
MAX_LINE_LENGTH = 990  # RFC 5322, section 2.1.1
STALE_SECONDS = 5  # a draft that is older was left by a writer that was killed
TEMPLATES = Path(__file__).parent / "templates"


class MailUndelivered(Exception):
    """The mail server did not take the mail; the job is tried again."""


@dataclass(frozen=True)
class Mail:
    """One mail to one address. `id` names it for good: the id of the row that it is about."""

    id: str
    to: str
    subject: str
    text: str
    html: str


class Transport(Protocol):
    """Takes a message, or raises `MailUndelivered`."""

    async def deliver(self, message: EmailMessage, *, name: str) -> None: ...


class Mailer:
    """Writes mails from templates and hands them to the transport."""

    def __init__(self, settings: Settings, *, smtp_seconds: float = SMTP_SECONDS) -> None:
        """
        Args:
            settings: Of which MAIL_URL, MAIL_FROM, PUBLIC_URL and SITE_NAME are read.
            smtp_seconds: How long a mail server may take for a mail.

        Raises:
            SettingError
        """
        self._settings = settings
        self._from = _sender(settings.mail_from)
        self._transport = _transport_from(settings.mail_url, smtp_seconds)
        loader = FileSystemLoader(TEMPLATES)
        self._templates = Environment(
            loader=loader, undefined=StrictUndefined, autoescape=select_autoescape(["html"]), trim_blocks=True
        )

    def write(self, template: str, *, mail_id: str, to: str, **facts: Any) -> Mail:
        """Fill `<template>.txt` (its first line is the subject) and `<template>.html`."""
        facts |= {"site_name": self._settings.site_name, "public_url": self._settings.public_url}
        subject, _, text = self._templates.get_template(f"{template}.txt").render(facts).partition("\n")
        html = self._templates.get_template(f"{template}.html").render(facts)
        # The name of the site may hold whatever an environment holds; a header may not.
        return Mail(
            mail_id,
            to,
            " ".join(_encodable(subject).split()),
            _encodable(text).strip() + "\n",
            _encodable(html),
        )

    async def send(self, mail: Mail) -> None:
        """
        Raises:
            MailUndelivered
        """
        message = EmailMessage(policy=plain_policy.clone(utf8=not mail.to.rpartition("@")[0].isascii()))
        message["From"] = self._from
        message["To"] = _recipient(mail.to)
        message["Subject"] = mail.subject
        message["Date"] = formatdate(usegmt=True)
        message["Message-ID"] = f"<{mail.id}@{_message_host(self._settings.public_url)}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text, cte=_encoding(mail.text))
        message.add_alternative(mail.html, subtype="html", cte=_encoding(mail.html))
        await self._transport.deliver(message, name=mail.id)


def _encoding(text: str) -> str:
    """Plain where that is safe, so that a spooled mail can be read, and its link copied, as it is."""
    return (
        "7bit"
        if text.isascii() and max(map(len, text.splitlines())) < MAX_LINE_LENGTH
        else "quoted-printable"
    )


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _sender(text: str) -> Address:
    """
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


def _transport_from(url: str, smtp_seconds: float) -> Transport:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return SpoolTransport(Path(unquote(parts.path)))
    if not parts.hostname:
        raise SettingError("MAIL_URL must name a host")
    try:
        return SmtpTransport(url, seconds=smtp_seconds)
    except ValueError as error:  # of the port
        raise SettingError("MAIL_URL must have a port number after its host, or none") from error


class SpoolTransport:
    """A private folder with one `.eml` a mail, named by its id, so that a mail that comes twice is one file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        close_to_others(folder, files=True)  # links in mails are as good as passwords

    async def deliver(self, message: EmailMessage, *, name: str) -> None:
        await asyncio.to_thread(self._write, message.as_bytes(), name)

    def _write(self, content: bytes, name: str) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write_whole(content, name)
        except OSError as error:
            raise MailUndelivered(f"the spool cannot be written: {error.strerror}") from error

    def _write_whole(self, content: bytes, name: str) -> None:
        """Beside its place first, so that nobody ever finds half a mail there."""
        draft = self._folder / f".{name}"
        _remove_stale(draft)
        try:
            file = create_private_file(draft)
        except FileExistsError as error:
            raise MailUndelivered("another worker is writing the same mail") from error
        with file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self._folder / f"{name}.eml")
        _sync(self._folder)


def _remove_stale(draft: Path) -> None:
    try:
        if time.time() - draft.stat().st_mtime > STALE_SECONDS:
            draft.unlink()
    except FileNotFoundError:
        return


def _sync(folder: Path) -> None:
    """Makes the names in the folder outlast a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class SmtpTransport:
    """One connection a mail; TLS from the start (`smtps`), or STARTTLS where the server offers it."""

    def __init__(self, url: str, *, seconds: float) -> None:
        """`seconds`: the deadline of one mail, from connecting to the server's last word."""
        parts = urlsplit(url)
        self._seconds = seconds
        self._options: dict[str, Any] = {
            "hostname": parts.hostname,
            "port": parts.port or (465 if parts.scheme == "smtps" else 25),
            "username": unquote(parts.username) if parts.username else None,
            "password": unquote(parts.password) if parts.password else None,
            "use_tls": parts.scheme == "smtps",
        }

    async def deliver(self, message: EmailMessage, *, name: str) -> None:  # noqa: ARG002 - the spool's
        try:
            async with asyncio.timeout(self._seconds):
                await aiosmtplib.send(message, timeout=self._seconds, **self._options)
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            # Without the error itself, which repeats addresses, and so would whatever logs it.
            raise MailUndelivered(_reason(error)) from None


def _reason(error: Exception) -> str:
    """The kind of error and the server's status code."""
    refusals = getattr(error, "recipients", None)
    first = refusals[0] if isinstance(refusals, list) and refusals else error
    code = getattr(first, "code", None)
    return f"{type(error).__name__} {code}" if code else type(error).__name__


def mail_id(kind: str, *parts: object) -> str:
    """A stable name for a mail about a row: the same parts always give the same mail."""
    return hashlib.sha256(":".join([kind, *map(str, parts)]).encode()).hexdigest()[:32]
