"""The port that messages leave by."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Protocol


class MailUndelivered(Exception):
    """The mail server did not take the mail, or it could not be written; the job is tried again."""


class Transport(Protocol):
    """Takes a message, or raises `MailUndelivered`."""

    async def deliver(self, message: EmailMessage, *, name: str) -> None: ...
