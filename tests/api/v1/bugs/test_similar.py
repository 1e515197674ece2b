"""`POST /bugs/similar` and `GET /bugs/{id}/similar`: what somebody who reports a bug is shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from bugrelay.domain.bugs.similar.tasks import fold_similar
from bugrelay.infra.platform import Platform
from bugrelay.settings import Rate
from tests.api.v1.moderation.acts import Moderator
from tests.conftest import SignUp, StartApp
from tests.factories import Person, report

CRASH = {
    "title": "Crash when rotating the galaxy map",
    "description": "Rotate the telephone while the map of the galaxy is open: the application is gone.",
    "application_name": "Starfinder",
}
SLOW = {
    "title": "Thumbnails of nebulae load slowly",
    "description": "Every thumbnail takes seconds, although the network is idle.",
    "application_name": "Starfinder",
}


@pytest.fixture
def moderator(client: httpx.AsyncClient, admin: Person) -> Moderator:
    return Moderator(client, admin)


async def similar(client: httpx.AsyncClient, title: str, **more: Any) -> list[dict[str, Any]]:
    response = await client.post("/api/v1/bugs/similar", json={"title": title, **more})
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["similar"]
    return found


async def ids(client: httpx.AsyncClient, title: str, **more: Any) -> list[str]:
    return [one["bug"]["id"] for one in await similar(client, title, **more)]


@pytest.mark.parametrize("folded", [False, True])
async def test_a_bug_is_found_at_once_and_after_it_was_indexed(
    folded: bool, client: httpx.AsyncClient, platform: Platform
) -> None:
    crash, _ = await report(client, **CRASH), await report(client, **SLOW)
    if folded:
        await fold_similar(platform)
    first, *_ = await similar(client, "galaxy maps crash on rotation", application_name="starfinder")
    assert first["bug"]["id"] == crash["id"]
    assert first["bug"].keys() == {*crash} - {
        "operating_system",
        "device_type",
        "app_version",
        "browser_version",
    }
    assert set(first["why"]["words"]) == {"galaxy", "maps", "crash", "rotation"}
    assert first["why"]["same_application"] is True
    assert 0.3 < first["why"]["title_similarity"] < 1
    assert first["via"] is None


async def test_the_same_application_comes_first(client: httpx.AsyncClient) -> None:
    here = await report(client, **CRASH)
    there = await report(client, **CRASH | {"application_name": "Sextant"})
    title = CRASH["title"]
    assert await ids(client, title, application_id=here["application_id"]) == [here["id"], there["id"]]
    assert await ids(client, title, application_name="Sextant") == [there["id"], here["id"]]
    assert len(await ids(client, title, application_name="nobody has heard of it")) == 2
    assert len(await ids(client, title, limit=1)) == 1
    nothing = {"description": "", "application_name": "", "application_id": ""}
    assert len(await ids(client, title, limit=None, **nothing)) == 2
    assert len(await ids(client, title, limit="", **nothing)) == 2


async def test_a_matching_word_is_shown_without_the_text_around_it(client: httpx.AsyncClient) -> None:
    await report(client, title="Null on the map: 登录失败", description="Nothing else is known about it.")
    (found,) = await similar(
        client, "NullPointerException in galaxy_map", description="请看Android登录失败后崩溃"
    )
    assert set(found["why"]["words"]) == {"null", "map", "登录", "录失", "失败", "登", "录", "失", "败"}


@pytest.mark.parametrize("folded", [False, True])
async def test_a_merged_bug_leads_to_its_survivor_and_the_merge_chain_is_one_result(
    folded: bool, client: httpx.AsyncClient, platform: Platform, moderator: Moderator
) -> None:
    survivor = await report(client, **CRASH)
    merged = await report(client, **SLOW)
    above = await report(client, title="Everything about the map", description="This collects what is wrong.")
    await moderator.merge(merged["id"], survivor["id"])
    await moderator.merge(survivor["id"], above["id"])
    if folded:
        await fold_similar(platform)
    (found,) = await similar(client, "slow thumbnails of nebulae in the galaxy map")
    assert found["bug"]["id"] == above["id"]
    assert found["via"] == {"id": merged["id"], "title": SLOW["title"]}
    (found,) = await similar(client, "everything about the map")
    assert (found["bug"]["id"], found["via"]) == (above["id"], None)
    await moderator.unmerge(survivor["id"])
    (found,) = await similar(client, "slow thumbnails of nebulae")
    assert found["bug"]["id"] == survivor["id"]


@pytest.mark.parametrize("folded", [False, True])
async def test_what_was_removed_is_not_shown_until_it_is_restored(
    folded: bool, client: httpx.AsyncClient, platform: Platform, moderator: Moderator
) -> None:
    survivor, merged = await report(client, **CRASH), await report(client, **SLOW)
    await moderator.merge(merged["id"], survivor["id"])
    if folded:
        await fold_similar(platform)
    await moderator.remove(survivor["id"])
    assert await ids(client, "slow thumbnails of nebulae, crash of the map") == []
    if folded:
        await fold_similar(platform)
    assert await ids(client, "slow thumbnails of nebulae, crash of the map") == []
    await moderator.restore(survivor["id"])
    assert await ids(client, "crash of the galaxy map") == [survivor["id"]]
    await moderator.remove(merged["id"])
    assert await ids(client, "slow thumbnails of nebulae") == []


@pytest.mark.parametrize("folded", [False, True])
async def test_an_edit_shows_at_once(
    folded: bool, client: httpx.AsyncClient, platform: Platform, sign_up: SignUp
) -> None:
    ada = await sign_up("ada")
    bug = await report(client, ada, **CRASH)
    if folded:
        await fold_similar(platform)
    change = {"title": SLOW["title"], "description": SLOW["description"]}
    await client.patch(f"/api/v1/bugs/{bug['id']}", json=change, headers=ada.headers)
    for _ in range(2):
        assert await ids(client, "nebulae thumbnails") == [bug["id"]]
        assert await ids(client, "rotating galaxy") == []
        await fold_similar(platform)


async def test_a_bug_is_not_similar_to_itself_or_its_merge_chain(
    client: httpx.AsyncClient, moderator: Moderator
) -> None:
    bug, twin, merged = [await report(client, **CRASH) for _ in range(3)]
    await moderator.merge(merged["id"], bug["id"])
    response = await client.get(f"/api/v1/bugs/{bug['id']}/similar", params={"limit": 20})
    assert [one["bug"]["id"] for one in response.json()["similar"]] == [twin["id"]]
    assert response.headers["cache-control"] == "public, no-cache"
    response = await client.get(f"/api/v1/bugs/{merged['id']}/similar?limit=3")
    assert response.status_code == 308
    assert response.headers["location"] == f"/api/v1/bugs/{bug['id']}/similar?limit=3"


async def test_signed_in_users_get_the_same_response(client: httpx.AsyncClient, sign_up: SignUp) -> None:
    ada = await sign_up("ada")
    bug = await report(client, ada, **CRASH)
    response = await client.post("/api/v1/bugs/similar", json={"title": "galaxy map"}, headers=ada.headers)
    assert [one["bug"]["id"] for one in response.json()["similar"]] == [bug["id"]]
    assert "email" not in response.text


STACK_TRACE = "\n".join(
    f"E/AndroidRuntime({i}): at com.example.map{i}.GalaxyView.onDraw(GalaxyView.java:{i}) 0x{i * 7919:08x}"
    for i in range(400)
)[:20_000]
ANYTHING = {
    "a log": STACK_TRACE,
    "one word": "galaxy",
    "stop words": "the of and is it",
    "nothing that is a word": "!?! … ---",
    "Chinese": "登录失败后地图崩溃",
    "code": "std::vector<T>& f(int a[]) { return a && b || c <= '\\''; } -- %s :name $1",
    "one character": "x",
    "a long word": "ä" * 20_000,
    "quotes": "it's \"a\" 'b' \\ \\' & | ! : * ( )",
}


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("kind", ANYTHING)
async def test_anything_may_be_asked(
    kind: str, folded: bool, client: httpx.AsyncClient, platform: Platform
) -> None:
    await report(client, **CRASH)
    bug = await report(
        client, **CRASH | {"title": "地图 登录失败", "description": "登录失败后地图崩溃了，请修复。"}
    )
    if folded:
        await fold_similar(platform)
    typed = ANYTHING[kind]
    found = await ids(client, typed)
    await similar(client, "galaxy", description=typed)
    if kind == "Chinese":
        assert found[0] == bug["id"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "title"),
        ({"title": "  "}, "title"),
        ({"title": "x" * 20_001}, "title"),
        ({"title": "x", "description": "x" * 20_001}, "description"),
        ({"title": "x", "limit": 0}, "limit"),
        ({"title": "x", "limit": 21}, "limit"),
        ({"title": "x", "application_id": "none"}, "application_id"),
    ],
)
async def test_what_does_not_fit_is_named(
    body: dict[str, Any], field: str, client: httpx.AsyncClient
) -> None:
    response = await client.post("/api/v1/bugs/similar", json=body)
    assert response.status_code == 400
    assert [one["field"] for one in response.json()["error"]["fields"]] == [field]


async def test_queries_have_a_separate_limit_and_nothing_of_them_is_kept(
    start_app: StartApp, sql: psycopg.Connection[Any], capfd: pytest.CaptureFixture[str]
) -> None:
    body = {"title": "zanzibar", "description": "zanzibar", "application_name": "zanzibar"}
    async with start_app(rate_limit_similar=Rate(3, 60)) as client:
        for status, renamed in ((200, None), (200, None), (500, "similar_words"), (429, None)):
            with renaming(sql, renamed):
                response = await client.post("/api/v1/bugs/similar", json=body)
            assert response.status_code == status
            assert "no-store" in response.headers["cache-control"]
        assert (await client.get("/api/v1/bugs")).status_code == 200
    log = "".join(capfd.readouterr())
    assert "unforeseen_error" in log
    assert "zanzibar" not in log
    tables = sql.execute("SELECT relname FROM pg_stat_user_tables").fetchall()
    assert len(tables) > 50
    for (table,) in tables:
        kept = SQL("SELECT FROM {0} AS kept WHERE kept::text LIKE '%zanzibar%'").format(Identifier(table))
        assert sql.execute(kept).fetchall() == [], table


@contextmanager
def renaming(sql: psycopg.Connection[Any], table: str | None) -> Iterator[None]:
    """A table, if any, has another name."""
    names = (Identifier(table or ""), Identifier(f"{table}_renamed"))
    if table:
        sql.execute(SQL("ALTER TABLE {} RENAME TO {}").format(*names))
    try:
        yield
    finally:
        if table:
            sql.execute(SQL("ALTER TABLE {} RENAME TO {}").format(*reversed(names)))


async def test_moderators_and_reporters_do_not_wait_for_the_folding_job(
    client: httpx.AsyncClient, moderator: Moderator, database_url: str
) -> None:
    crash, slow = await report(client, **CRASH), await report(client, **SLOW)
    with psycopg.connect(database_url) as folding:
        folding.execute("SELECT similar_fold(10)")
        await moderator.merge(slow["id"], crash["id"])
        late = await report(client, title="Comets leave no tail", description="None at all is drawn.")
        assert await ids(client, "nebulae thumbnails") == [crash["id"]]
        assert await ids(client, "comets") == [late["id"]]


async def test_markup_in_what_matched_is_defused(client: httpx.AsyncClient, moderator: Moderator) -> None:
    survivor = await report(client, **CRASH)
    merged = await report(client, title="<img src=x onerror=alert(1)> thumbnails", description="x" * 20)
    await moderator.merge(merged["id"], survivor["id"])
    response = await client.post("/api/v1/bugs/similar", json={"title": "onerror thumbnails"})
    assert response.json()["similar"][0]["via"]["id"] == merged["id"]
    assert "<img" not in response.text
