"""Runs of combining marks cost no more than other text, and are kept as Unicode has them."""

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Callable
from urllib.parse import quote

import httpx
import pytest

from tests.api.v1.bugs.test_attachments import picture
from tests.factories import Person, report
from tests.responses import bad_fields

BUGS = "/api/v1/bugs"

TANGLED = "e" + "\u0301\u0316" * 8_000  # in canonical order only after 32 million exchanges of neighbours
IN_ORDER = "e" + "\u0316\u0301" + "x" * 15_998


def body_of(text: str) -> bytes:
    """A report that has the text wherever a text may stand; none of it fits."""
    fields = ("title", "description", "application_name", "priority", "application_url", "operating_system")
    return json.dumps({**dict.fromkeys(fields, text), "tags": [text]}, ensure_ascii=False).encode()


async def seconds_of(
    client: httpx.AsyncClient, requests: Callable[[str], list[httpx.Request]], text: str
) -> float:
    """The processor's time for the requests, which are all refused."""
    seconds = []
    for _ in range(3):
        started = time.process_time()
        for request in requests(text):
            assert (await client.send(request)).status_code == 400
        seconds.append(time.process_time() - started)
    return min(seconds)


def reports(client: httpx.AsyncClient) -> Callable[[str], list[httpx.Request]]:
    headers = {"Content-Type": "application/json"}
    return lambda text: [client.build_request("POST", BUGS, content=body_of(text), headers=headers)]


def filters(client: httpx.AsyncClient) -> Callable[[str], list[httpx.Request]]:
    names = ("search", "tags", "application", "company", "status")
    return lambda text: [
        client.build_request("GET", f"{BUGS}?{name}={quote(text[:4_000])}") for name in names
    ]


@pytest.mark.parametrize("requests", [reports, filters])
async def test_a_run_of_combining_marks_costs_no_more_than_other_text(
    client: httpx.AsyncClient,
    requests: Callable[[httpx.AsyncClient], Callable[[str], list[httpx.Request]]],
) -> None:
    ordinary = await seconds_of(client, requests(client), IN_ORDER)
    # Sorted by insertion, the report takes thousands of times as long.
    assert await seconds_of(client, requests(client), TANGLED) < 20 * ordinary


async def test_as_many_combining_marks_as_a_field_takes_are_kept_in_their_canonical_form(
    client: httpx.AsyncClient,
) -> None:
    marks = "\u0301\u0316" * 2_000
    bug = await report(client, description=f"Zalgo e{marks} end", title="e\u0301\u0302\u0316" * 63)
    assert bug["description"] == unicodedata.normalize("NFC", f"Zalgo e{marks} end")
    assert bug["title"] == unicodedata.normalize("NFC", "e\u0301\u0302\u0316" * 63)


async def test_a_text_that_fits_only_when_it_is_composed_is_taken(client: httpx.AsyncClient) -> None:
    """Four characters become one: nothing is refused before that."""
    title = "α\u0313\u0300\u0345" * 255
    assert (await report(client, title=f"  {title}\r\n"))["title"] == "ᾂ" * 255
    answer = await client.post(
        BUGS, json={"title": title + "x", "description": "d" * 10, "application_name": "N"}
    )
    assert bad_fields(answer) == ["title"]
    assert answer.json()["error"]["fields"][0]["message"] == "must have 5 to 255 characters"


async def test_a_file_name_of_combining_marks_is_taken(client: httpx.AsyncClient, ada: Person) -> None:
    bug = await report(client, ada)
    name = "e" + "\u0301\u0316" * 1_000 + ".png"
    file = {"file": (name, picture(), "image/png")}
    answer = await client.post(f"{BUGS}/{bug['id']}/attachments", files=file, headers=ada.headers)
    assert answer.json()["attachment"]["filename"] == unicodedata.normalize("NFC", name)[:251] + ".png"
