"""A folder of spooled mails, and a worker in this process that fills it."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from bugrelay.bootstrap import build
from bugrelay.infra.jobs.tasks import Tasks
from bugrelay.infra.jobs.worker import run_worker
from bugrelay.infra.mail.mailer import Mailer
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from bugrelay.worker import all_tasks

PATIENCE_SECONDS = 60


class Postbox:
    """What has been mailed."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "mail"

    def mails(self, to: str | None = None) -> list[EmailMessage]:
        """In the order of their making; of one recipient, or all."""
        paths = sorted(self._folder.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
        mails = [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in paths]
        return [mail for mail in mails if to in (None, str(mail["To"]))]  # type: ignore[misc]

    async def next(self, to: str, *, after: int = 0, subject: str = "") -> EmailMessage:
        """The next mail with that in the subject, after the first `after` ones; waits for it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                mails = [mail for mail in self.mails(to) if subject in mail["Subject"]]
                if len(mails) > after:
                    return mails[after]
                await asyncio.sleep(0.02)


def parts_of(mail: EmailMessage) -> tuple[str, str]:
    """Text and HTML."""
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    return text.get_content(), html.get_content()


def link_in(mail: EmailMessage) -> str:
    found = re.search(r"https?://\S+token=\S+", parts_of(mail)[0])
    assert found is not None
    return found[0]


def token_in(mail: EmailMessage) -> str:
    return link_in(mail).rpartition("token=")[2]


@asynccontextmanager
async def working(
    settings: Settings, tasks: Tasks | None = None, *, mailer: Mailer | None = None, **changes: Any
) -> AsyncIterator[Platform]:
    """A worker in this process, for as long as the block lasts."""
    platform = build(replace(settings, **changes))
    if mailer is not None:
        platform = replace(platform, mailer=mailer)
    await platform.start()
    stopping = asyncio.Event()
    worker = asyncio.create_task(
        run_worker(settings.database_url, tasks or all_tasks(), platform, stopping=stopping)
    )
    try:
        yield platform
    finally:
        stopping.set()
        await worker
        await platform.close()


async def comes_true(condition: Any, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for a condition; fails when it does not come true."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)
