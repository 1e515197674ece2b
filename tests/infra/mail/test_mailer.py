"""Mails of any site to any address."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from email.headerregistry import Address

import pytest

from bugrelay.infra.mail.mailer import Mailer
from bugrelay.infra.mail.message import Mail, message_of
from bugrelay.infra.mail.transport import MailUndelivered
from bugrelay.settings import SettingError, Settings
from tests.infra.mail.mails import TO, written
from tests.infra.mail.postbox import Postbox, parts_of
from tests.infra.mail.server import MailServer


@pytest.mark.parametrize(
    "name",
    [
        "<b>Bugs</b> & Co",
        "Bugs\r\nBcc: eve@people.example",
        "Bugs\n\nHello",
        "Ünïcode 🦄",
        "\udcff",
        "x" * 2000,
    ],
)
async def test_a_site_with_any_name_mails(settings: Settings, postbox: Postbox, name: str) -> None:
    mailer = Mailer(replace(settings, site_name=name, public_url="https://böard.example"))
    await mailer.send(written(mailer, link="https://board.example/x?token=secret"))
    (message,) = postbox.mails()
    assert [str(address) for address in message["To"].addresses] == [TO]
    assert message["Bcc"] is None
    assert message["Subject"].startswith("Verify your address for")
    text, html = parts_of(message)
    assert "https://board.example/x?token=secret" in text
    assert "<b>Bugs" not in html


@pytest.mark.parametrize(
    "address",
    ["jörg@people.example", "ada@exämple.example", "a+b.c_d@people.example", "o'hara@people.example"],
)
async def test_international_addresses_are_mailed(
    settings: Settings, mail_server: MailServer, postbox: Postbox, address: str
) -> None:
    for url in (mail_server.url, settings.mail_url):
        mailer = Mailer(replace(settings, mail_url=url))
        await mailer.send(written(mailer, to=address))
    ((_, (recipient,), _),) = mail_server.received
    assert recipient == address.replace("exämple", "xn--exmple-cua")
    assert len(postbox.mails()) == 1


async def test_a_right_to_left_name_does_not_reverse_the_text_after_it(
    settings: Settings, postbox: Postbox
) -> None:
    """Overrides and the like go; the marks that right-to-left text needs stay."""
    sender = "\u202esdrow\u202c Board <board@people.example>"
    mailer = Mailer(replace(settings, site_name="\u202eexe.\u2066fdp \u200fשלום", mail_from=sender))
    await mailer.send(written(mailer))
    (message,) = postbox.mails()
    assert message["Subject"] == "Verify your address for exe.fdp \u200fשלום"
    assert message["From"] == "sdrow Board <board@people.example>"


async def test_an_address_that_no_message_can_name_is_not_delivered_to(settings: Settings) -> None:
    mailer = Mailer(settings)
    with pytest.raises(MailUndelivered):
        await mailer.send(written(mailer, to="ada@" + "é" * 80 + ".example"))


@pytest.mark.parametrize(
    "changes",
    [
        *(
            {"mail_from": text}
            for text in ("nobody", "a@b.example, c@d.example", "<>", "", "x\nBcc: y@z.example <a@b.example>")
        ),
        *({"mail_url": url} for url in ("smtp://", "smtp://host:port", "smtp://host:99999")),
    ],
)
def test_settings_that_no_mail_can_be_sent_with(settings: Settings, changes: dict[str, str]) -> None:
    with pytest.raises(SettingError, match=next(iter(changes)).upper()):
        Mailer(replace(settings, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "subject",
    [
        "word " * 49 + "word",
        "x" * 250,
        "a" * 100 + " é",
        "Bcc: a@b.example “Ünï” " + "長い" * 100,
        "=?utf-8?q?x?= as typed",
        "=?utf-8?q?x?=",
        "[Bugs] =?utf-8?q?x=0ABcc:_eve@evil.example?=",
        "[Bugs] =?utf-8?q?x=0A=0Abody?=",
    ],
)
def test_a_subject_is_read_as_it_was_written(subject: str) -> None:
    sender, to = Address("Bugs", addr_spec="bugs@board.example"), "ada@people.example"
    mail = Mail(
        "a" * 32,
        to,
        subject,
        "text\n",
        "<p>html</p>\n",
        thread="b" * 32,
        unsubscribe_url="https://x.example/" + "u" * 90,
    )
    written = message_of(mail, sender=sender, public_url="https://" + "long." * 12 + "example")
    for policy in (written.policy, email.policy.SMTP):
        read = email.message_from_bytes(written.as_bytes(policy=policy), policy=email.policy.default)
        assert read["Subject"] == subject
        assert read["Bcc"] is None
        assert read["List-Unsubscribe"] == f"<{mail.unsubscribe_url}>"
        assert read["References"] == read["In-Reply-To"] == "<" + "b" * 32 + "@" + "long." * 12 + "example>"
