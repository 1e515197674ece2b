"""Mails as files: one a mail, private, whole."""

from __future__ import annotations

import os
import time

import pytest

from bugrelay.infra.mail.mailer import Mailer
from bugrelay.infra.mail.message import mail_id
from bugrelay.infra.mail.transport import MailUndelivered
from bugrelay.settings import Settings
from tests.infra.mail.mails import TO, written
from tests.infra.mail.postbox import Postbox


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
