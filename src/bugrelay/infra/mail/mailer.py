"""Mail: text and HTML from templates, delivered by SMTP or spooled as one `.eml` a mail.

Only jobs send mail, so a mail server that is down delays mails and never a request. A mail has a stable Message-ID:
one that is delivered a second time, after a crash, is the same mail.
"""

from __future__ import annotations

from email.errors import MessageError
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from bugrelay.infra.mail.mail_templates import MailTemplates
from bugrelay.infra.mail.message import Mail, address_from, message_of
from bugrelay.infra.mail.smtp import SMTP_SECONDS, SmtpTransport
from bugrelay.infra.mail.spool import SpoolTransport
from bugrelay.infra.mail.transport import MailUndelivered, Transport
from bugrelay.settings import SettingError, Settings


class Mailer:
    """Writes mails from templates and hands them to the transport."""

    def __init__(self, settings: Settings, *, smtp_seconds: float = SMTP_SECONDS) -> None:
        """
        Args:
            settings: Of which MAIL_URL, MAIL_FROM, SUPPORT_EMAIL, PUBLIC_URL and SITE_NAME are read.
            smtp_seconds: How long a mail server may take for a mail.

        Raises:
            SettingError
        """
        self._public_url = settings.public_url
        self._sender = address_from(settings.mail_from, setting="MAIL_FROM")
        support = settings.support_email
        self._support = address_from(support, setting="SUPPORT_EMAIL") if support else None
        self._transport = _transport_from(settings.mail_url, smtp_seconds)
        self._templates = MailTemplates(site_name=settings.site_name, public_url=settings.public_url)

    def write(
        self,
        template: str,
        *,
        mail_id: str,
        to: str,
        thread: str | None = None,
        unsubscribe_url: str | None = None,
        reply_to_support: bool = False,
        **facts: Any,
    ) -> Mail:
        """The mail that the template makes of these facts.

        Args:
            template: By its name.
            mail_id: Names the mail for good.
            to: The address.
            thread: The name of what it belongs to, if it belongs to a thread.
            unsubscribe_url: Where a POST ends mails like this one; of the facts as well.
            reply_to_support: Whether answers go to SUPPORT_EMAIL, if there is one; of the facts as `takes_answers`.
            facts: What the template tells.
        """
        if unsubscribe_url is not None:
            facts["unsubscribe_url"] = unsubscribe_url
        reply_to = self._support if reply_to_support else None
        if reply_to_support:
            facts["takes_answers"] = reply_to is not None
        subject, text, html = self._templates.render(template, facts)
        return Mail(mail_id, to, subject, text, html, thread, unsubscribe_url, reply_to)

    async def send(self, mail: Mail) -> None:
        """
        Raises:
            MailUndelivered: The mail server did not take it, or no message can be made of it.
        """
        try:
            message = message_of(mail, sender=self._sender, public_url=self._public_url)
            await self._transport.deliver(message, name=mail.id)
        except (
            MessageError,
            ValueError,
        ) as error:  # of this mail alone; it must not keep others from being sent
            raise MailUndelivered(type(error).__name__) from None


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
