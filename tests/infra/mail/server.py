"""A real SMTP server on loopback that takes mails, refuses them, fails at them, or says nothing."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope
from aiosmtpd.smtp import Session as SmtpSession

Mood = Literal["takes", "slow", "refuses the recipient", "fails at the end", "hangs", "hangs up"]


@dataclass
class MailServer:
    """`mood` may change at any time; `received` holds (sender, recipients, message) of what was taken."""

    mood: Mood = "takes"
    received: list[tuple[str, list[str], str]] = field(default_factory=list)
    attempts: int = 0
    port: int = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it so
        self, _server: SMTP, _session: SmtpSession, envelope: Envelope, address: str, _options: Any
    ) -> str:
        self.attempts += 1
        if self.mood == "refuses the recipient":
            return f"550 5.1.1 {address} is not known here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: SmtpSession, envelope: Envelope) -> str:  # noqa: N802
        if self.mood == "fails at the end":
            return "451 4.3.0 try again later"
        if self.mood == "hangs":
            await asyncio.sleep(3600)
        if self.mood == "slow":
            await asyncio.sleep(1)
        if self.mood == "hangs up":
            assert server.transport is not None
            server.transport.abort()
            return ""
        assert isinstance(envelope.content, bytes)
        message = envelope.content.decode()
        self.received.append((str(envelope.mail_from), list(map(str, envelope.rcpt_tos)), message))
        return "250 OK"

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def __enter__(self) -> MailServer:
        self.port = self.port or free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, enable_SMTPUTF8=True)
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._controller.stop()


def free_port() -> int:
    """One on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
