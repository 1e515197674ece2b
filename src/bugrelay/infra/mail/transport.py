"""The port for the delivery of messages."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Protocol


class MailUndelivered(Exception):
    """The mail server did not accept the mail, or it could not be written; the job is retried."""


class Transport(Protocol):
    """Delivers a message, or raises `MailUndelivered`; `name` is the id of its mail."""

    async def deliver(self, message: EmailMessage, *, name: str) -> None: ...
