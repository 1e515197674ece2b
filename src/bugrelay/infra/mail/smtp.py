"""Delivery to a mail server by SMTP."""

from __future__ import annotations

import asyncio
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from bugrelay.infra.imports import Deferred
from bugrelay.infra.mail.transport import MailUndelivered

if TYPE_CHECKING:
    import aiosmtplib
else:
    aiosmtplib = Deferred("aiosmtplib")

SMTP_SECONDS = 20.0  # for one mail, from connecting to the server's last reply


class SmtpTransport:
    """One connection for each mail, with TLS from the start (`smtps`), or STARTTLS if the server offers it."""

    def __init__(self, url: str, *, seconds: float) -> None:
        """`seconds`: the deadline of one mail, from connecting to the server's last reply."""
        parts = urlsplit(url)
        self._seconds = seconds
        self._options: dict[str, Any] = {
            "hostname": parts.hostname,
            "port": parts.port or (465 if parts.scheme == "smtps" else 25),
            "username": unquote(parts.username) if parts.username else None,
            "password": unquote(parts.password) if parts.password else None,
            "use_tls": parts.scheme == "smtps",
        }

    async def deliver(self, message: EmailMessage, *, name: str) -> None:  # noqa: ARG002 - only the spool needs it
        try:
            async with asyncio.timeout(self._seconds):
                await aiosmtplib.send(message, timeout=self._seconds, **self._options)
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as error:
            # Without the error itself, which may contain addresses that would be logged.
            raise MailUndelivered(_reason(error)) from None


def _reason(error: Exception) -> str:
    """The kind of error and the server's status code."""
    refusals = getattr(error, "recipients", None)
    first = refusals[0] if isinstance(refusals, list) and refusals else error
    code = getattr(first, "code", None)
    return f"{type(error).__name__} {code}" if code else type(error).__name__
