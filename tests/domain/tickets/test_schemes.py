"""Schemes are data: a fourth one works without another line of code."""

from __future__ import annotations

import pytest

from bugrelay.domain.tickets.schemes import SCHEMES, Scheme, any_move
from tests.api.tickets.conftest import Caller

_STATUSES = {"drafted": "todo", "signed": "doing", "filed": "done"}


@pytest.fixture
def contracts(monkeypatch: pytest.MonkeyPatch) -> Scheme:
    scheme = Scheme(
        name="contracts",
        statuses=_STATUSES,  # type: ignore[arg-type]
        moves=any_move("signed", "filed", of=_STATUSES),
        kinds=("contract", "annex"),
        project_key="LAW",
        project_name="Contracts",
        resumed_status="signed",
        declined_status="filed",
        first_number=7,
        by_year=True,
        number_width=2,
    )
    monkeypatch.setitem(SCHEMES, scheme.name, scheme)
    return scheme


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=list(SCHEMES))
def test_a_scheme_is_whole(scheme: Scheme) -> None:
    assert scheme.category_of(scheme.initial_status) == "todo"
    assert set(scheme.statuses.values()) == {"todo", "doing", "done"}
    assert set(scheme.moves) == set(scheme.statuses)
    assert scheme.category_of(scheme.resumed_status) == "doing"
    assert scheme.category_of(scheme.declined_status) == "done"
    for status, targets in scheme.moves.items():
        assert status not in targets
        assert set(targets) <= set(scheme.statuses)


async def test_a_fourth_scheme_works(contracts: Scheme, mae: Caller) -> None:
    await mae.refused(409, "KEY_IN_USE", "POST", "projects", {"key": "LAW", "name": "Ours"})
    body = {"key": "LAW", "name": "Ours", "scheme": contracts.name}
    project = await mae.done("POST", "projects", body)
    ticket = await mae.ticket(projectId=project["id"])
    year = ticket["createdAt"][:4]
    assert (ticket["key"], ticket["kind"], ticket["status"]) == (f"LAW-{year}-07", "contract", "drafted")
    path = f"tickets/{ticket['key']}"
    filed = await mae.done("PATCH", f"{path}/status", {"status": "filed"})
    assert filed["category"] == "done"
    assert filed["resolvedAt"]
    details = await mae.refused(409, "INVALID_TRANSITION", "PATCH", f"{path}/status", {"status": "drafted"})
    assert details["allowed"] == ["signed"]
    assert [one["id"] for one in await mae.done("GET", "tickets?status=filed")] == [ticket["id"]]
    other = await mae.ticket()
    assert other["key"] == "TSK-1001"
    moved = await mae.done("PUT", f"tickets/{other['key']}", {"projectId": project["id"]})
    assert (moved["key"], moved["status"]) == (f"LAW-{year}-08", "drafted")
