"""Text goes in and comes back as it was typed, and runs nothing when a page shows it as it is."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import product
from typing import Any

import html5lib
import httpx
import pytest

from bugrelay.infra.text.markup import WORD_JOINER
from tests.api.v1.bugs.test_attachments import picture
from tests.factories import Person, report
from tests.infra.text.test_markup import SEPARATORS, problems_of, problems_of_html5lib
from tests.responses import bad_fields

Bug = dict[str, Any]
BUGS = "/api/v1/bugs"

LEGITIMATE = [
    "a < b && c > d",
    "List<String> names = new ArrayList<>();",
    "Map<String, List<Integer>> and std::vector<int>",
    "&amp; stays &amp;, &lt;b&gt; too",
    "5 > 3 and 2 <3",
    "Use `<div>` inside a code span",
    '<b>bold</b> and <Link to="/home">',
    "data: URL and javascript: are words",
    "'; DROP TABLE bugs; -- and \" OR 1=1",
    "日本語のテキスト 😀 👩‍👩‍👧 العربية עברית",
    "C:\\temp\\new and ${jndi:ldap://x} {{7*7}} %s %00",
    "line one\nline two\n\n    indented",
    "viagra casino http://spam.example",
    "\u200b zero\u200bwidth \u2060 joiner",
]
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    '<a href="javascript:alert(1)">x</a>',
    '<a href="jav&#x09;ascript:alert(1)">x</a>',
    "<iframe src=//evil.example></iframe>",
    "<style>*{display:none}</style>",
    '<p style="position:fixed">x</p>',
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    '<form action="https://evil.example"><input name=p></form>',
    '"><img src=x onerror=alert(1)>',
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "`<script>alert(1)</script>`",
    "<!--><img src=x onerror=alert(1)>-->",
    "<template shadowrootmode=open><script>alert(1)</script></template>",
]


def padded(text: str) -> str:
    """Long enough for every field, and still the same at both ends."""
    return f"start {text} the end"


def texts_of(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every text of an answer, under its key."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from texts_of(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from texts_of(one, name)
    elif isinstance(value, str):
        yield name, value


async def sent_everywhere(client: httpx.AsyncClient, ada: Person, text: str) -> list[httpx.Response]:
    """A board that has the text in every field it takes, and all answers that show it."""
    line = text.replace("\n", " ")
    answers = []
    lines = ("title", "application_name", "operating_system", "device_type", "app_version", "browser_version")
    body = {**dict.fromkeys(lines, line), "description": text, "contact_email": "ada@people.example"}
    answers.append(await client.post(BUGS, json=body, headers=ada.headers))
    assert answers[-1].status_code == 201, answers[-1].text
    path = f"{BUGS}/{answers[-1].json()['bug']['id']}"
    answers.append(await client.post(f"{path}/comments", json={"content": text}, headers=ada.headers))
    file = {"file": (line, picture(), "image/png")}
    answers.append(await client.post(f"{path}/attachments", files=file, headers=ada.headers))
    answers.append(await client.patch(path, json={"title": f"{line} again"}, headers=ada.headers))
    profile = await client.put("/api/v1/auth/profile", json={"display_name": line[:100]}, headers=ada.headers)
    answers.append(profile)
    urls = (BUGS, path, f"{path}/comments", f"{path}/history", f"{BUGS}?search=start", "/api/v1/auth/profile")
    answers += [await client.get(url, headers=ada.headers) for url in urls]
    failed = [
        (answer.url, answer.status_code, answer.text[:300]) for answer in answers if not answer.is_success
    ]
    assert failed == []
    return answers


@pytest.mark.parametrize("text", LEGITIMATE)
async def test_legitimate_text_comes_back_exactly_as_typed(
    client: httpx.AsyncClient, ada: Person, text: str
) -> None:
    typed = unicodedata.normalize("NFC", padded(text))
    line = typed.replace("\n", " ")
    answers = await sent_everywhere(client, ada, typed)
    bug = answers[0].json()["bug"]
    assert bug["description"] == typed
    for name in ("title", "operating_system", "device_type", "app_version", "browser_version"):
        assert bug[name] == line
    assert bug["application"]["name"] == line
    assert answers[1].json()["comment"]["content"] == typed
    history = answers[8].json()["history"]
    assert history[0]["before"]["title"] == line
    assert answers[4].json()["user"]["display_name"] == line[:100].strip()


@pytest.mark.parametrize("text", HOSTILE)
async def test_nothing_that_is_sent_runs_in_a_page(client: httpx.AsyncClient, ada: Person, text: str) -> None:
    typed = padded(text)
    answers = await sent_everywhere(client, ada, typed)
    shown = {
        text
        for answer in answers
        for text in texts_of(answer.json())
        if "start" in text[1] or "the end" in text[1]
    }
    for value in {value for _, value in shown}:
        assert problems_of(value) == [], value
    for name, value in shown:
        if value.startswith("start"):
            assert typed.startswith(value.replace(WORD_JOINER, "").removesuffix(" again")[:80]), name
    fields = {"title", "description", "name", "operating_system", "content", "filename", "display_name"}
    assert fields | {"description_html", "content_html"} <= {name for name, _ in shown}


async def test_rendered_markdown_is_clean_and_complete(client: httpx.AsyncClient) -> None:
    source = (
        "# Heading\n\n**bold** `List<String>` [link](https://x.example) [bad](javascript:alert(1))\n\n"
        "<img src=x onerror=alert(1)>\n\n```python\nprint('<div>')\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
        "![picture](https://tracker.example/x.png)"
    )
    html = (await report(client, description=source))["description_html"]
    assert problems_of(html) == []
    tree = html5lib.parseFragment(html, namespaceHTMLElements=False)
    elements = {node.tag for node in tree.iter() if isinstance(node.tag, str)}
    assert {"h1", "strong", "code", "a", "pre", "table", "td"} <= elements
    assert "img" not in elements
    text = "".join(tree.itertext())
    for kept in ("List<String>", "<img src=x onerror=alert(1)>", "print('<div>')", "javascript:alert(1)"):
        assert kept in text
    links = [node.attrib for node in tree.iter("a")]
    assert all("nofollow" in link["rel"] and link["href"].startswith("https://") for link in links)


async def test_text_is_normalised_before_it_is_stored(client: httpx.AsyncClient) -> None:
    bug = await report(
        client,
        title="  Cafe\u0301\r\nwith\ttabs \x07 and bells\x7f ",
        description="\r\none\r\ntwo\rthree\n\tfour\x1b[31m\u0085  \n",
    )
    assert bug["title"] == "Café with tabs  and bells"
    assert bug["description"] == "one\ntwo\nthree\n\tfour[31m"


async def test_nul_and_lone_surrogates_are_refused_by_name(client: httpx.AsyncClient) -> None:
    good = {"title": "A good title", "description": "A good description", "application_name": "Notebook"}
    bad = ("a\\u0000bcdefghij", "abcdefghij\\ud800", "\\udfffabcdefghij", "abc\\ud83d\\ud83d defgh")
    for text in bad:
        for field in (*good, "operating_system", "contact_email"):
            body = {**good, "recaptcha_token": "x", field: text}
            content = "{" + ", ".join(f'"{name}": "{value}"' for name, value in body.items()) + "}"
            response = await client.post(BUGS, content=content, headers={"Content-Type": "application/json"})
            assert bad_fields(response) in ([field], ["body"])


async def test_a_pair_of_surrogates_is_a_character(client: httpx.AsyncClient) -> None:
    content = (
        b'{"title": "smile \\ud83d\\ude00", "description": "long enough", "application_name": "x",'
        b' "recaptcha_token": "x"}'
    )
    response = await client.post(BUGS, content=content, headers={"Content-Type": "application/json"})
    assert response.json()["bug"]["title"] == "smile 😀"


@pytest.mark.parametrize(
    ("title", "application"),
    [
        ("Crash <img src=x", "x onerror=alert(1)>"),
        ("Crash <img src=x onerror", "=alert(1)>"),
        ("Crash when i<n", "autofocus tabindex=0 onfocus=alert(1)>"),
        ("Crash <", "img src=x onerror=alert(1)>"),
        ("Crash <img alt='", "' src=x onerror=alert(1)>"),
    ],
)
async def test_two_fields_side_by_side_run_nothing(
    client: httpx.AsyncClient, title: str, application: str
) -> None:
    made = await report(client, title=title, application_name=application)
    listed = (await client.get(BUGS)).json()["bugs"][0]
    for bug in (made, listed):
        fields = (bug["title"], bug["application"]["name"])
        assert tuple(field.replace(WORD_JOINER, "") for field in fields) == (title, application)
        for (one, other), separator in product((fields, fields[::-1]), SEPARATORS):
            assert not list(problems_of_html5lib(f"<p>{one}{separator}{other}</p>"))


async def test_history_and_errors_defuse_markup(client: httpx.AsyncClient, ada: Person) -> None:
    """The history has what stood there before, tags of an error its reason."""
    bug = await report(client, ada, title="<script>before</script>")
    path = f"{BUGS}/{bug['id']}"
    await client.patch(path, json={"title": "Nothing of it any more"}, headers=ada.headers)
    answers = [await client.get(f"{path}/history")]
    answers.append(
        await client.post(BUGS, json={"title": "x" * 9, "tags": ["<script>"]}, headers=ada.headers)
    )
    for answer in answers:
        assert "<script" not in answer.text
