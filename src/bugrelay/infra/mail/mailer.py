"""Mails: text and HTML from templates, delivered by SMTP or spooled as one `.eml` file each.

Only jobs send mails, so a mail server that is down delays mails but never a request. A mail has a stable Message-ID, so
that a second delivery, after a crash, is recognised as the same mail.
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
    """Renders mails from templates and passes them to the transport."""

    def __init__(self, settings: Settings, *, smtp_seconds: float = SMTP_SECONDS) -> None:
        """
        Args:
            settings: MAIL_URL, MAIL_FROM, SUPPORT_EMAIL, PUBLIC_URL and SITE_NAME are read.
            smtp_seconds: The deadline for one mail.

        Raises:
            SettingError: MAIL_URL, MAIL_FROM or SUPPORT_EMAIL is invalid.
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
        """Render a mail.

        Args:
            template: The name of the template.
            mail_id: The stable id of the mail.
            to: The address of the recipient.
            thread: The id of its thread, if it has one.
            unsubscribe_url: Where a POST ends such mails; passed to the template, too.
            reply_to_support: Whether replies go to SUPPORT_EMAIL, if that is set; the template gets `takes_answers`.
            facts: The variables of the template.
        """
        if unsubscribe_url is not None:
            facts["unsubscribe_url"] = unsubscribe_url
        reply_to = self._support if reply_to_support else None
        if reply_to_support:
            facts["takes_answers"] = reply_to is not None
        subject, text, html = self._templates.render(template, facts)
        return Mail(mail_id, to, subject, text, html, thread, unsubscribe_url, reply_to)

    async def send(self, mail: Mail) -> None:
        """Deliver a mail.

        Raises:
            MailUndelivered: The mail server did not accept it, or it cannot be encoded as a message.
        """
        try:
            message = message_of(mail, sender=self._sender, public_url=self._public_url)
            await self._transport.deliver(message, name=mail.id)
        except (MessageError, ValueError) as error:  # of this mail only; others must still be sent
            raise MailUndelivered(type(error).__name__) from None


def _transport_from(url: str, smtp_seconds: float) -> Transport:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return SpoolTransport(Path(unquote(parts.path)))
    if not parts.hostname:
        raise SettingError("MAIL_URL must name a host")
    try:
        return SmtpTransport(url, seconds=smtp_seconds)
    except ValueError as error:  # an invalid port
        raise SettingError("MAIL_URL must have a port number after its host, or none") from error
