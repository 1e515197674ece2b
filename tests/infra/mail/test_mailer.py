"""Mail: through a server that may be away, hang, refuse or fail; or as files. Delayed at worst, and never a request."""

from __future__ import annotations

import email
import email.policy
import os
import time
from collections.abc import MutableMapping, Sequence
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.infra.jobs import back_off, worker
from bugrelay.infra.mail import mailer
from bugrelay.infra.mail.mailer import Mailer, MailUndelivered, mail_id
from bugrelay.settings import SettingError, Settings
from tests.conftest import StartApp
from tests.factories import register
from tests.infra.mail.postbox import Postbox, comes_true, parts_of, working
from tests.infra.mail.server import MailServer, free_port

Sql = psycopg.Connection[Any]
JobLog = Sequence[MutableMapping[str, Any]]
TO = "canary@people.example"


def written(
    mailer: Mailer, *, to: str = TO, link: str = "https://board.example/x?token=secret"
) -> mailer.Mail:
    return mailer.write("verify_email", mail_id=mail_id("test", 1), to=to, username="ada", link=link)


async def test_a_mail_reaches_the_server_with_both_parts(settings: Settings, mail_server: MailServer) -> None:
    changes = {"mail_url": mail_server.url, "mail_from": "Bugs <bugs@board.example>"}
    mailer = Mailer(replace(settings, **changes, public_url="https://board.example"))
    await mailer.send(written(mailer))
    ((sender, recipients, text),) = mail_server.received
    assert (sender, recipients) == ("bugs@board.example", [TO])
    message = email.message_from_string(text, policy=email.policy.default)
    assert message["To"] == TO
    assert message["From"] == "Bugs <bugs@board.example>"
    assert message["Message-ID"] == f"<{mail_id('test', 1)}@board.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert all("https://board.example/x?token=secret" in part for part in parts_of(message))  # type: ignore[arg-type]


@pytest.mark.parametrize("mood", ["refuses the recipient", "fails at the end", "hangs up"])
async def test_a_mail_that_is_not_taken_says_so_without_the_address(
    settings: Settings, mail_server: MailServer, mood: Any
) -> None:
    mail_server.mood = mood
    mailer = Mailer(replace(settings, mail_url=mail_server.url))
    with pytest.raises(MailUndelivered) as caught:
        await mailer.send(written(mailer))
    assert TO not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_a_server_that_hangs_is_given_up_in_time(settings: Settings, mail_server: MailServer) -> None:
    mail_server.mood = "hangs"
    mailer = Mailer(replace(settings, mail_url=mail_server.url), smtp_seconds=0.5)
    began = time.monotonic()
    with pytest.raises(MailUndelivered):
        await mailer.send(written(mailer))
    assert time.monotonic() - began >= 0.5
    assert mailer.SMTP_SECONDS == 20


async def test_nobody_listens(settings: Settings) -> None:
    mailer = Mailer(replace(settings, mail_url=f"smtp://127.0.0.1:{free_port()}"))
    with pytest.raises(MailUndelivered, match="Connect"):
        await mailer.send(written(mailer))


async def test_a_down_server_delays_mails_and_no_request(
    start_app: StartApp, settings: Settings, sql: Sql, job_log: JobLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Away, refusing, failing and well again: each mail arrives once, and neither the queue's log nor a row knows its token."""
    monkeypatch.setattr(back_off, "FIRST_PAUSE_SECONDS", 0.2)
    monkeypatch.setattr(back_off, "MAX_PAUSE_SECONDS", 0.5)
    monkeypatch.setattr(worker, "POLL_SECONDS", 0.2)
    server = MailServer(port=free_port())
    changes = {"mail_url": server.url}
    async with start_app(**changes) as client, working(settings, **changes):
        ada = await register(client, "ada", email=TO)
        assert (await client.get("/api/v1/auth/profile", headers=ada.headers)).status_code == 200
        await comes_true(lambda: any(one["event"] == "job_failed" for one in job_log))
        with server:
            server.mood = "refuses the recipient"
            await comes_true(lambda: server.attempts >= 1)
            server.mood = "fails at the end"
            tried = server.attempts
            await comes_true(lambda: server.attempts > tried)
            rows = _all_rows(sql)
            server.mood = "takes"
            await comes_true(
                lambda: sql.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)
            )
    ((_, recipients, text),) = server.received
    assert recipients == [TO]
    token = text.partition("token=")[2].split()[0]
    assert len(token) == 43
    told = "\n".join(repr(one) for one in job_log)
    assert token not in told
    assert TO not in told
    assert token not in rows + _all_rows(sql)


def _all_rows(sql: Sql) -> str:
    tables = [row[0] for row in sql.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    return "\n".join(
        str(row[0]) for table in tables for row in sql.execute(f'SELECT t::text FROM "{table}" AS t')
    )


async def test_a_spooled_mail_is_one_file_however_often_it_is_sent(
    settings: Settings, postbox: Postbox
) -> None:
    mailer = Mailer(settings)
    for _ in range(3):
        await mailer.send(written(mailer))
    assert len(postbox.mails(TO)) == 1
    assert [path.suffix for path in (settings.bugrelay_home / "mail").iterdir()] == [".eml"]


async def test_nobody_else_can_read_a_spooled_mail(settings: Settings, postbox: Postbox) -> None:
    def modes() -> set[int]:
        folder = settings.bugrelay_home / "mail"
        return {path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())}

    mailer = Mailer(settings)
    await mailer.send(written(mailer))
    assert modes() == {0o700, 0o600}
    for path in (settings.bugrelay_home / "mail").iterdir():
        path.chmod(0o644)
    (settings.bugrelay_home / "mail").chmod(0o755)
    Mailer(settings)  # as a new process does
    assert modes() == {0o700, 0o600}


async def test_a_draft_of_a_writer_that_was_killed_is_no_obstacle(
    settings: Settings, postbox: Postbox
) -> None:
    mailer = Mailer(settings)
    folder = settings.bugrelay_home / "mail"
    folder.mkdir()
    draft = folder / f".{mail_id('test', 1)}"
    draft.write_bytes(b"half a ma")
    with pytest.raises(MailUndelivered, match="another worker"):
        await mailer.send(written(mailer))
    os.utime(draft, (time.time() - 60, time.time() - 60))
    await mailer.send(written(mailer))
    assert [path.name for path in folder.iterdir()] == [f"{mail_id('test', 1)}.eml"]
    assert len(postbox.mails(TO)) == 1


async def test_a_spool_that_cannot_be_written(settings: Settings) -> None:
    (settings.bugrelay_home / "mail").write_text("in the way")
    mailer = Mailer(settings)
    with pytest.raises(MailUndelivered, match="spool"):
        await mailer.send(written(mailer))


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


async def test_requests_that_mail_do_not_wait_for_a_server_that_hangs(
    start_app: StartApp, settings: Settings, mail_server: MailServer
) -> None:
    mail_server.mood = "hangs"
    mailer = Mailer(replace(settings, mail_url=mail_server.url), smtp_seconds=1)
    async with start_app() as client, working(settings, mailer=mailer):
        for number in range(6):
            await register(client, f"ada{number}")
        await comes_true(lambda: mail_server.attempts > 0)
        body = {"email": "ada1@people.example"}
        response: httpx.Response = await client.post("/api/v1/auth/password-reset", json=body)
        assert response.status_code == 200
