"""A company's tickets, with files in a folder and in a bucket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from bugrelay.settings import Settings
from tests.api.tickets.files.desk import Desk, Sql, new_desk
from tests.conftest import StartApp


@pytest.fixture(params=["folder", "s3"])
async def desk(
    request: pytest.FixtureRequest, start_app: StartApp, settings: Settings, sql: Sql
) -> AsyncIterator[Desk]:
    """On each of the stores."""
    changes = {}
    if request.param == "s3":
        changes = {"upload_url": request.getfixturevalue("s3_server").new_upload_url()}
    async with start_app(**changes) as client:
        yield await new_desk(client, sql, replace(settings, **changes))


@pytest.fixture
async def folder_desk(client: httpx.AsyncClient, settings: Settings, sql: Sql) -> Desk:
    """Where the store makes no difference, and where it is a folder."""
    return await new_desk(client, sql, settings)


@pytest.fixture
async def second_desk(client: httpx.AsyncClient, settings: Settings, sql: Sql) -> Desk:
    """Another company on the same board."""
    return await new_desk(client, sql, settings, "ink")
