"""A mail to send."""

from __future__ import annotations

from bugrelay.infra.mail.mailer import Mailer
from bugrelay.infra.mail.message import Mail, mail_id

TO = "canary@people.example"


def written(mailer: Mailer, *, to: str = TO, link: str = "https://board.example/x?token=secret") -> Mail:
    return mailer.write("verify_email", mail_id=mail_id("test", 1), to=to, username="ada", link=link)
