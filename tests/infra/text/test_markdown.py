"""Rendered Markdown may be shown as it is: clean by a parser that is not ours, complete, and bounded."""

from __future__ import annotations

import html5lib
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bugrelay.infra.text.markdown import render
from tests.examples import examples
from tests.infra.text.test_markup import calls_of

ELEMENTS = frozenset(
    {
        *(
            "a",
            "blockquote",
            "br",
            "code",
            "em",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "hr",
            "li",
            "ol",
            "p",
            "pre",
        ),
        *("s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
    }
)
ATTRIBUTES = {"a": {"href", "title", "rel"}, "code": {"class"}, "ol": {"start"}}
RELATION = "nofollow noopener noreferrer ugc"


def problems_of(markup: str) -> list[str]:
    """Return what a browser would find beyond plain formatting and links to the web and mail."""
    problems = []
    for node in html5lib.parseFragment(markup, namespaceHTMLElements=False).iter():
        if node.tag == "DOCUMENT_FRAGMENT":
            continue
        if node.tag not in ELEMENTS:
            problems.append(f"<{node.tag}>")
        for name, value in node.attrib.items():
            if name not in ATTRIBUTES.get(node.tag, ()):
                problems.append(f"<{node.tag} {name}>")
            elif name == "href" and not value.lower().startswith(("http://", "https://", "mailto:")):
                problems.append(f"href={value!r}")
        if node.tag == "a" and node.get("rel") != RELATION:
            problems.append("a link without its relation")
    return problems


def words_of(markup: str) -> str:
    return "".join(html5lib.parseFragment(markup, namespaceHTMLElements=False).itertext()).strip()


def link(url: str, text: str) -> str:
    return f'<a href="{url}" rel="{RELATION}">{text}</a>'


@pytest.mark.parametrize(
    ("source", "rendered"),
    [
        ("**b** *e* ~~s~~ `c`", "<p><strong>b</strong> <em>e</em> <s>s</s> <code>c</code></p>"),
        ("one\ntwo", "<p>one<br>\ntwo</p>"),
        ("# Steps", "<h1>Steps</h1>"),
        ("```c++\na<b\n```", '<pre><code class="language-c++">a&lt;b\n</code></pre>'),
        ("3. x", '<ol start="3">\n<li>x</li>\n</ol>'),
        ("[x](https://e.example/?a=1&b=2)", f"<p>{link('https://e.example/?a=1&amp;b=2', 'x')}</p>"),
        ("<https://e.example>", f"<p>{link('https://e.example', 'https://e.example')}</p>"),
        ("[m](mailto:a@e.example)", f"<p>{link('mailto:a@e.example', 'm')}</p>"),
    ],
)
def test_markdown_is_rendered(source: str, rendered: str) -> None:
    assert render(source).strip() == rendered


def test_a_table_is_rendered() -> None:
    assert "<td>1</td>" in render("|a|b|\n|-|-|\n|1|2|")


@pytest.mark.parametrize(
    "source",
    [
        "List<String> and Map<K, List<V>>",
        "a < b && c > d",
        "5 > 3",
        "<script>alert(1)</script>",
        "<b>bold</b>",
        "<img src=x onerror=alert(1)>",
        "data: URL",
        "日本語 العربية 🎉",
        "[x](/relative)",
        "[x](javascript:alert(1))",
        "![x](data:image/png;base64,AAAA)",
        "[x](data:text/html,x)",
        "<javascript:alert(1)>",
    ],
)
def test_html_and_other_links_are_shown_as_they_were_typed(source: str) -> None:
    assert words_of(render(source)) == source
    assert not problems_of(render(source))


def test_html_in_code_is_shown_as_typed() -> None:
    assert render("`<div>`") == "<p><code>&lt;div&gt;</code></p>\n"


@pytest.mark.parametrize(
    ("source", "rendered"),
    [
        ("![a *b*](https://e.example/i.png)", link("https://e.example/i.png", "a b")),
        ("![](https://e.example/i.png)", link("https://e.example/i.png", "https://e.example/i.png")),
        ("[![a](https://e.example/i.png)](https://l.example)", link("https://l.example", "a")),
        ("[![](https://e.example/i.png)](https://l.example)", link("https://l.example", "image")),
        ("![a ![b](https://i.example) c](https://o.example)", link("https://o.example", "a b c")),
    ],
)
def test_images_become_links_and_nothing_is_fetched(source: str, rendered: str) -> None:
    assert render(source) == f"<p>{rendered}</p>\n"


PIECES = st.sampled_from(
    (
        *(
            "![",
            "[",
            "]",
            "(",
            ")",
            "<",
            ">",
            "`",
            "```",
            "*",
            "**",
            "_",
            "~~",
            "|",
            "-",
            "#",
            "\n",
            "\n\n",
            " ",
            "    ",
        ),
        *(
            "]: ",
            "[a]",
            "javascript:",
            "https://e.example",
            "data:text/html,",
            "mailto:a@b.c",
            '"',
            "'",
            "\\",
            "&",
        ),
        *(
            "&#106;avascript:",
            "&lt;",
            "<script>",
            "<img src=x onerror=1>",
            "<!--",
            "x",
            "é",
            "1. ",
            "- ",
            "> ",
            "|-|-|\n",
        ),
        *("```html onload=x\n", "\t", "\x01", "</p>", "</code>"),
    )
)


@settings(max_examples=examples(1000))
@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=100))
@example('[x](https://e.example "<script>")')
@example('```x" onclick="alert(1)\n```')
def test_no_source_renders_to_more_than_formatting(source: str) -> None:
    assert not problems_of(render(source))


def _nested_list(depth: int) -> str:
    return "".join(" " * (2 * level) + "- a\n" for level in range(depth))


@pytest.mark.parametrize(
    "source",
    [
        "[" * 5000,
        "![" * 2500,
        "*a_ " * 1250,
        "_*" * 2500,
        "[a](" * 1250,
        "](" * 2500,
        ">" * 5000,
        "- " * 2500,
        "x\n" * 2500,
        "<a href='" * 555,
        "".join("`" * run + " " for run in range(100)),
        _nested_list(68),
        "|a" * 150 + "\n" + "|-" * 150 + "\n" + "|\n" * 2000,
        "> " + "|a" * 150 + "\n> " + "|-" * 150 + "\n" + "> |\n" * 1000,
        "[a]: https://" + "x" * 2500 + "\n\n" + "[a]" * 800,
        "[a]: https://" + "日" * 2500 + "\n\n" + "[a]" * 800,
        "|-" * 2500,
        "-" * 4999 + "x",
        "[" * 1_000_000,
    ],
)
def test_hostile_sources_stay_small_and_take_little_work(source: str) -> None:
    rendered: list[str] = []
    # Unbounded, the worst of these take from one second to hours and make up to 18 MB.
    work = calls_of(lambda: rendered.append(render(source)))
    assert work < 12 * calls_of(lambda: render(ORDINARY[:5_000]))
    assert len(rendered[0]) < 100_000 + 2 * len(source)
    assert not problems_of(rendered[0][:100_000].rpartition("<")[0])


ORDINARY = (
    "**Open** the `app`, click [here](https://x.example/a?b=c), see _this_: 5 > 3.\n\n- one\n- two\n\n" * 60
)


@pytest.mark.parametrize(
    "pattern",
    [
        "_![",
        "![",
        "[",
        "[*",
        "*[",
        "[_",
        "[<",
        "[`",
        "[a][",
        "![a](",
        "a*",
        "_*",
        "*a_ ",
        "#\n",
        "x\n",
        "*\n",
        "1.\n",
        "> ",
    ],
)
def test_the_worst_source_costs_little_more_than_ordinary_text_of_the_same_size(pattern: str) -> None:
    ordinary = calls_of(lambda: render(ORDINARY[:5_000]))
    # Unbounded, "_![" takes fifteen times the work of ordinary text. A destination is read up to 32 parentheses deep.
    assert calls_of(lambda: render((pattern * 5_000)[:5_000])) < 12 * ordinary
    assert calls_of(lambda: render((pattern * 10_000)[:10_000])) < 24 * ordinary


@pytest.mark.parametrize(
    "source",
    [
        "- [ ] one more thing\n" * 200,
        "[[1, 2], [3, [4, 5]], [[6]]],\n" * 150,
        "arr[arr[arr[i]]] = **b**[k][l];\n" * 150,
        "[2026-01-01 [INFO [main]]] started\n" * 140,
        "if [[ $a ]]; then\n" * 250,
        "[ERROR without its end in a log of many lines, each of them a sentence\n" * 70,
    ],
)
def test_text_with_many_brackets_is_still_markdown(source: str) -> None:
    assert "<strong>bold</strong>" in render(f"**bold** {source}")


def test_what_is_too_large_to_render_is_shown_as_text() -> None:
    source = "**a** <b>\n" * 2000
    assert render(source).startswith("<p>**a** &lt;b&gt;<br>\n**a** &lt;b&gt;<br>\n")
    assert words_of(render(source)) == source.strip()
