"""A platform that adds jobs, and a mail server that can misbehave."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, MutableMapping, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from bugrelay.bootstrap import build
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.jobs.mailserver import MailServer
from tests.jobs.postbox import Postbox


@pytest.fixture
async def platform(settings: Settings, empty_board: None) -> AsyncIterator[Platform]:
    platform = build(settings)
    await platform.start()
    yield platform
    await platform.close()


@pytest.fixture
def postbox(settings: Settings) -> Postbox:
    return Postbox(settings.bugrelay_home)


@pytest.fixture
def job_log() -> Iterator[Sequence[MutableMapping[str, Any]]]:
    """What is logged."""
    with capture_logs() as lines:
        yield lines


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server
