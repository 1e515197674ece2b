"""Whether an account may be used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bugrelay.domain.accounts.policies import is_banned

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
BEFORE, LATER = NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("banned_at", "banned_until", "expected"),
    [
        (None, None, False),
        (BEFORE, None, True),
        (BEFORE, LATER, True),
        (BEFORE, NOW, False),
        (BEFORE, BEFORE, False),
        (None, LATER, False),
    ],
)
def test_a_ban_holds_until_its_end(
    banned_at: datetime | None, banned_until: datetime | None, expected: bool
) -> None:
    assert is_banned(banned_at, banned_until, now=NOW) is expected
