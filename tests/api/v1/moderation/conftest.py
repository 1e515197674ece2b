"""People and bugs that tests of moderation begin with."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.conftest import SignUp
from tests.factories import Person
from tests.factories import report as report_bug


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
