"""People and bugs that tests of moderation begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest

from bugrelay.bootstrap import build
from bugrelay.infra.platform import Platform
from bugrelay.settings import Settings
from tests.conftest import Person, SignUp, make_admin
from tests.conftest import report as report_bug


@pytest.fixture
async def admin(sign_up: SignUp, sql: psycopg.Connection[Any]) -> Person:
    person = await sign_up("root")
    make_admin(sql, person)
    return person


@pytest.fixture
async def ada(sign_up: SignUp) -> Person:
    return await sign_up("ada")


@pytest.fixture
async def bob(sign_up: SignUp) -> Person:
    return await sign_up("bob")


@pytest.fixture
async def bug(client: httpx.AsyncClient, ada: Person) -> dict[str, Any]:
    """Ada's report."""
    return await report_bug(client, ada, tags=["drafts"], contact_email="ada.private@people.example")


@pytest.fixture
async def twin(client: httpx.AsyncClient, bob: Person) -> dict[str, Any]:
    """Bob's report of the same."""
    return await report_bug(client, bob, title="Window closes on save", tags=["windows"])


@pytest.fixture
async def platform(settings: Settings, empty_board: None) -> AsyncIterator[Platform]:
    """The platform without HTTP, to call services and jobs on."""
    platform = build(settings)
    await platform.start()
    yield platform
    await platform.close()
