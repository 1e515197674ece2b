"""`GET /bugs?search=`."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bugrelay.domain.bugs.search import planner
from tests.factories import EPOCH, Person, put_application, put_bug, report
from tests.responses import bad_fields, ids_of

BUGS = "/api/v1/bugs"
FILLER = "Nothing of note in here at all."


async def found(client: httpx.AsyncClient, search: str, **query: Any) -> list[str]:
    """The titles that a search finds in full."""
    body = (await client.get(BUGS, params={"search": search, **query})).json()
    return [one["title"] for one in body["bugs"]] if body["match"] == "all" else []


async def put(client: httpx.AsyncClient, *titles: str, **fields: Any) -> None:
    for title in titles:
        await report(client, **{"title": title, "description": FILLER, **fields})


async def test_a_search_looks_at_title_application_and_description(client: httpx.AsyncClient) -> None:
    await put(client, "The zebra one")
    await put(client, "Second one", application_name="Zebra Editor")
    await put(client, "Third one", description="It eats zebras for breakfast.")
    await put(client, "Fourth one", operating_system="zebra", tags=["zebra"])
    assert await found(client, "zebra") == ["The zebra one", "Second one", "Third one"]


async def test_relevance_is_the_order_of_a_search_and_ties_are_newest_first(
    client: httpx.AsyncClient,
) -> None:
    await put(client, "Export fails", "Export is slow")
    await put(client, "About exports", description="export export export export")
    await put(client, "Quite another", description="An export, exporting exported exports.")
    assert await found(client, "export") == [
        "About exports",
        "Export is slow",
        "Export fails",
        "Quite another",
    ]
    assert await found(client, "export", sort="relevance") == await found(client, "export")
    oldest = ["Export fails", "Export is slow", "About exports", "Quite another"]
    assert await found(client, "export", sort="oldest") == oldest
    assert await found(client, "export", sort="recent") == oldest[::-1]


async def test_words_are_stemmed_and_read_without_case(client: httpx.AsyncClient) -> None:
    await put(client, "Crashes while saving drafts")
    for search in ("crash", "CRASHED", "crashing saved", "draft save", "Saves Draft"):
        assert await found(client, search), search
    assert not await found(client, "cra")


@pytest.mark.parametrize(
    ("search", "titles"),
    [
        ('"save draft"', ["Cannot save draft"]),
        ('"draft save"', []),
        ('"save draft', ["Cannot save draft"]),
        ("draft -save", ["Draft of something"]),
        ("save or something", ["Draft of something", "Cannot save draft"]),
        ("save OR something", ["Draft of something", "Cannot save draft"]),
        ('-"save draft" draft', ["Draft of something"]),
        ("-draft", ["Unrelated line"]),
        ("or", []),
        ("save -", ["Cannot save draft"]),
        ("- save", ["Cannot save draft"]),
        ("save or", ["Cannot save draft"]),
    ],
)
async def test_quotes_or_and_minus_work(client: httpx.AsyncClient, search: str, titles: list[str]) -> None:
    await put(client, "Cannot save draft", "Draft of something", "Unrelated line")
    assert await found(client, search) == titles


async def test_stop_words_alone_are_looked_up_in_titles(client: httpx.AsyncClient) -> None:
    await put(client, "The Who cannot be played", "Nothing like that", description="the who was here")
    assert await found(client, "the who") == ["The Who cannot be played"]
    assert await found(client, "THE") == ["The Who cannot be played"]
    assert await found(client, "were") == []


@pytest.mark.parametrize(
    ("title", "searches"),
    [
        ("登录失败后应用崩溃", ["登录", "失败", "崩溃", "登录失败", "应用 崩溃", "崩", '"登录失败"', "录失"]),
        ("ログインできません", ["ログイン", "できません", "イン"]),
        ("로그인이 되지 않습니다", ["로그인", "되지"]),
        ("ไม่สามารถเข้าสู่ระบบ", ["สามารถ"]),
        ("iOS版の登录 fails", ["ios", "登录", "iOS 登录", "登录fails", "fail"]),
        (
            "NullPointerException at startup",
            ["NullPointerException", "nullpointerexception", "null pointer", "pointer"],
        ),
        ("XMLHttpRequest aborts", ["xmlhttprequest", "http request", "XMLHttpRequest"]),
        ("foo_bar is undefined", ["foo_bar", "foo", "bar", "foo bar", "FOO_BAR"]),
        ("std::vector<int> leaks", ["std::vector", "vector", "std::vector<int>", "vector int"]),
        ("example.com/login.php gives 500", ["login", "example", "example.com", "login.php", "500"]),
        ("Version 1.7.5 hangs", ["1.7.5", "1.7", '"1.7.5"']),
        ("Café menü übergroß", ["cafe", "café", "CAFÉ", "menu", "menü", "ubergross", "übergroß"]),
        ("Ошибка при сохранении файла", ["ошибка", "ОШИБКА", "файла"]),
        ("C++ crash in a.out", ["c++", "a.out"]),
        ("don't lose data", ["don't", "dont lose"[5:], "lose data"]),
        ("ＦＵＬＬ width letters", ["full", "FULL"]),
        ("user@people.example cannot log in", ["user@people.example", "people.example"]),
        ("e\u0301tude NFD", ["étude", "etude"]),
    ],
)
async def test_what_people_type_finds_what_people_wrote(
    client: httpx.AsyncClient, title: str, searches: list[str]
) -> None:
    await put(client, title, "Decoy without any of it")
    for search in searches:
        assert len(await found(client, search)) == 1, search


async def test_a_part_of_a_word_in_another_order_is_no_phrase(client: httpx.AsyncClient) -> None:
    await put(client, "foo_bar breaks", "登录失败了吗")
    assert await found(client, "bar_foo") == []
    assert await found(client, "败失") == []


async def test_a_renamed_application_is_found_by_its_new_name(
    client: httpx.AsyncClient, sql: psycopg.Connection[Any]
) -> None:
    await put(client, "Some line", application_name="Aardvark")
    sql.execute("UPDATE applications SET name = 'Wombat'")
    assert await found(client, "wombat") == ["Some line"]
    assert await found(client, "aardvark") == []


async def test_a_corrected_bug_is_found_by_what_it_says_now(
    client: httpx.AsyncClient, sql: psycopg.Connection[Any]
) -> None:
    await put(client, "About aardvarks")
    sql.execute("UPDATE bugs SET title = 'About wombats'")
    sql.execute("UPDATE bug_texts SET description = 'Seen near a billabong'")
    assert await found(client, "wombat billabong") == ["About wombats"]
    assert await found(client, "aardvark") == []
    sql.execute("UPDATE bugs SET removed_at = now()")
    assert await found(client, "wombat billabong", page=1, limit=7) == []
    sql.execute("UPDATE bugs SET removed_at = NULL")
    assert await found(client, "wombat billabong", page=1, limit=8) == ["About wombats"]


async def test_a_whole_sentence_finds_its_twin(client: httpx.AsyncClient) -> None:
    await put(
        client,
        "Export to PDF hangs on large documents",
        "Large fonts look odd",
        "The window closes at once",
    )
    sentence = "when I export large documents to pdf then everything hangs and my computer freezes"
    body = (await client.get(BUGS, params={"search": sentence})).json()
    assert body["match"] == "some"
    assert body["bugs"][0]["title"] == "Export to PDF hangs on large documents"
    assert body["ranked"] is True
    assert "The window closes at once" not in [one["title"] for one in body["bugs"]]
    assert body["pagination"]["total"] == len(body["bugs"])


async def test_match_is_only_in_responses_to_searches(client: httpx.AsyncClient) -> None:
    await put(client, "Something here")
    assert "match" not in (await client.get(BUGS)).json()
    assert (await client.get(BUGS, params={"search": "something"})).json()["match"] == "all"
    nothing = (await client.get(BUGS, params={"search": "zzz yyy"})).json()
    assert (nothing["bugs"], nothing["pagination"]["total"]) == ([], 0)


async def test_some_words_respect_filters_and_exclusions(client: httpx.AsyncClient) -> None:
    await put(client, "Printer jams badly", priority="low")
    await put(client, "Printer jams loudly", priority="high")

    async def titles(search: str, **query: str) -> list[str]:
        answer = (await client.get(BUGS, params={"search": search, **query})).json()
        return [one["title"] for one in answer["bugs"]]

    assert await titles("printer jams unknownword", priority="high") == ["Printer jams loudly"]
    assert await titles("printer jams unknownword -loudly") == ["Printer jams badly"]


async def test_no_syntax_can_make_a_search_fail(client: httpx.AsyncClient) -> None:
    searches = [
        *(
            "'",
            '"',
            '"""',
            "\\",
            "'\\''",
            "a & b | !c",
            "a:*",
            ":A",
            "<->",
            "((",
            "!!",
            "a <2> b",
            "\u2060",
            "🐛",
        ),
        *("-", "--", "- -", '-"', "-" * 500, "-a " * 166, "or " * 166, '"a ' * 166, "x" * 500, "登" * 500),
        *("' OR 1=1 --", "%_%", "a\tb", "\x01", "$$", "{}[]", "<script>", "a'b\\c", "=the", "\ufdfa" * 250),
        *(" ".join(f"w{i}" for i in range(100)), "&&||!!", "\u0301", "a" + "\u0301" * 400, "٣", "Ǆ"),
    ]
    await put(client, "Something to be found")
    for search in searches:
        assert (await client.get(BUGS, params={"search": search})).status_code == 200, ascii(search)


async def test_no_text_can_make_a_search_fail(client: httpx.AsyncClient) -> None:
    await put(client, "Something to be found")
    texts: list[str] = []
    signs = st.sampled_from(
        ["a", "or", "-", '"', "'", "\\", ":", "*", "&", "|", "!", "(", ")", "<", ">", " ", "登", "é"]
    )
    anything = st.characters(exclude_characters="\0", exclude_categories=["Cs"])

    @hypothesis_settings(max_examples=120, suppress_health_check=list(HealthCheck))
    @given(st.one_of(st.lists(signs, max_size=40).map("".join), st.text(anything, max_size=60)))
    def collect(text: str) -> None:
        texts.append(text)

    await asyncio.to_thread(collect)
    for text in texts:
        assert (await client.get(BUGS, params={"search": text})).status_code == 200, ascii(text)


async def test_a_search_has_five_hundred_characters_at_most(client: httpx.AsyncClient) -> None:
    assert ids_of(await client.get(BUGS, params={"search": " " + "é" * 500})) == []
    assert bad_fields(await client.get(BUGS, params={"search": "x" * 501})) == ["search"]
    assert bad_fields(await client.get(BUGS, params={"search": "-a " * 12_000})) == ["search"]


async def test_every_plan_gives_the_same_pages(
    client: httpx.AsyncClient, ada: Person, sql: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a search does with many hits, made to happen with few: each plan against the one that looks at all."""
    chance = random.Random(7)
    applications = [put_application(sql, name) for name in ("Zebra Yak", "Zebra", "Yak", "Plain")]
    for number in range(120):
        title, description = (
            " ".join(chance.sample(["zebra", "yak", "newt", "common"], chance.randint(0, 3))) for _ in "12"
        )
        put_bug(
            sql,
            chance.choice(applications),
            title=f"{title} number {number}",
            description=f"{description} as described",
            status=chance.choice(["open", "fixed"]),
            votes=chance.randint(0, 3),
            at=EPOCH + timedelta(days=number // 4 * 12),  # a year, four at a time
        )

    async def walk(query: dict[str, Any], *, by_cursor: bool) -> list[str]:
        seen: list[str] = []
        place: dict[str, Any] = {"page": 1}
        while True:
            # Whoever is signed in is answered past every cache.
            response = await client.get(BUGS, params={**query, **place}, headers=ada.headers)
            seen += ids_of(response)
            where = response.json()["pagination"]
            if not where["has_next"]:
                assert len(seen) == where["total"]
                return seen
            place = {"cursor": where["next_cursor"]} if by_cursor else {"page": where["page"] + 1}

    searches = [
        "zebra",
        "yak",
        "zebra yak",
        "zebra -newt",
        "newt common",
        "zebra or newt",
        '"zebra yak"',
        "-newt",
    ]
    for search in searches:
        for sort in ("relevance", "recent", "oldest", "popular", "trending"):
            query = {"search": search, "sort": sort, "limit": 7}
            if chance.random() < 0.5:
                query["status"] = "open"
            monkeypatch.setattr(planner, "MAX_SORTED", 10**9)
            monkeypatch.setattr(planner, "TITLED", 10**9)
            wanted = await walk(query, by_cursor=False)
            assert wanted, query
            if sort == "relevance":
                monkeypatch.setattr(planner, "TITLED", 0)
                assert await walk(query, by_cursor=False) == wanted, query
            monkeypatch.setattr(planner, "MAX_SORTED", 0)
            for many in (10**9, 0):
                monkeypatch.setattr(planner, "MAX_WHOLE_TIER", many)
                assert await walk(query, by_cursor=False) == wanted, query
            assert await walk(query, by_cursor=True) == wanted, query
