"""What an admin blanks in the history of a ticket can be read by nobody any more."""

from __future__ import annotations

from typing import Any

import psycopg

from tests.api.tickets.conftest import Caller

Sql = psycopg.Connection[Any]
SECRET, LATER = "The password is sesame. " * 12, "It was printed on the back of the form. " * 8


async def _texts(caller: Caller, path: str) -> list[Any]:
    """Of each entry that changed the description or the notes, what was there and what came."""
    fields = ("description", "internalNotes")
    entries = [one for one in await caller.done("GET", f"{path}/history") if one["field"] in fields]
    return [(one["action"], one["field"], one["oldValue"], one["newValue"]) for one in entries]


async def _entry(caller: Caller, path: str, place: int) -> str:
    entries = await caller.done("GET", f"{path}/history?limit=100")
    found: str = [one for one in entries if one["action"] == "changed"][place]["id"]
    return found


async def test_a_blanked_text_is_gone_from_both_entries_that_had_it_and_the_ticket_keeps_its_own(
    boss: Caller, mae: Caller, rita: Caller, sql: Sql
) -> None:
    path = f"tickets/{(await rita.ticket())['key']}"
    for text in (SECRET, "Nothing to see", LATER):
        await rita.done("PUT", path, {"description": text.strip()})
    secret, later = SECRET.strip(), LATER.strip()
    first = ("changed", "description", "", secret)
    assert (await _texts(rita, path))[0] == first
    entry = await _entry(boss, path, 0)
    for refused in (rita, mae):
        await refused.refused(403, "INSUFFICIENT_PERMISSIONS", "POST", f"{path}/history/{entry}/blank")
    assert (await _texts(rita, path))[0] == first

    blank = f"{path}/history/{entry}/blank"
    assert await boss.done("POST", blank) == "Text blanked successfully"
    assert await boss.done("POST", blank) == "Text blanked successfully"  # once is enough
    assert await _texts(rita, path) == [
        ("changed", "description", None, None),
        ("changed", "description", None, "Nothing to see"),
        ("changed", "description", "Nothing to see", later),
        ("text_blanked", "description", None, None),
    ]
    assert not sql.execute("SELECT FROM ticket_edits x WHERE x::text LIKE '%%sesame%%'").fetchall()
    await boss.done("POST", f"{path}/history/{await _entry(boss, path, 2)}/blank")
    shown = await rita.done("GET", path)
    assert (shown["description"], shown["version"]) == (later, 4)


async def test_only_long_texts_of_this_ticket_can_be_blanked(boss: Caller, mae: Caller, rita: Caller) -> None:
    path = f"tickets/{(await mae.ticket())['key']}"
    await mae.done("PUT", path, {"title": "A short one", "internalNotes": SECRET})
    other = f"tickets/{(await mae.ticket())['key']}"
    entries = {one["field"]: one["id"] for one in await boss.done("GET", f"{path}/history")}
    long, short = entries["internalNotes"], entries["title"]
    for missing in (short, long + "9", f"evt_{mae.id}_{long.rpartition('_')[2]}"):
        await boss.refused(404, "HISTORY_TEXT_NOT_FOUND", "POST", f"{path}/history/{missing}/blank")
    await boss.refused(404, "HISTORY_TEXT_NOT_FOUND", "POST", f"{other}/history/{long}/blank")
    for malformed in ("1", "evt_x_1.1", f"{long}.1"):
        await boss.refused(400, "INVALID_ID", "POST", f"{path}/history/{malformed}/blank")
    await boss.done("POST", f"{path}/history/{long}/blank")
    # Of internal notes, reporters are not told that they were blanked either.
    await mae.done("PUT", path, {"assigneeIds": [rita.id]})
    assert "text_blanked" not in [one["action"] for one in await rita.done("GET", f"{path}/history")]
    assert "text_blanked" in [one["action"] for one in await mae.done("GET", f"{path}/history")]
