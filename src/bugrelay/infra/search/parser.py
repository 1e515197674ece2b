"""From what a person typed to a search: a tsquery, and the words that rank.

The text of a query is cut by the rules that made the documents (migrations/sql/search_field.sql) and handed to
`websearch_to_tsquery`, so quotes, `or` and `-word` work and no syntax can fail. docs/adr/0005 has the reasons.
"""

from __future__ import annotations

import re
import unicodedata
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Text, bindparam, cast, func, select

from bugrelay.infra.db.query import Query, Reader, Row
from bugrelay.infra.search.ranking import TIERS, WEIGHTS

MAX_RANKED_WORDS = 32
MAX_PARSED = 2048
MAX_TITLE_BYTES = 765  # whose words are looked up each by itself

# The scripts without spaces, as a part of a character class.
WITHOUT_SPACES = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_PIECE = re.compile(f"[{WITHOUT_SPACES}]+|[^{WITHOUT_SPACES}]+")
_RUN = re.compile(f"[{WITHOUT_SPACES}]")
_PUNCTUATION = str.maketrans(
    dict.fromkeys(
        "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
        "\u00a0\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb\u2013\u2014\u2026\u00b7\u2060\u3000\u3001\u3002\u300c\u300d",
        " ",
    )
)
_CLAUSE = re.compile(r'(-?)(?:"([^"]*)"?|([^\s"]+))')
_LEXEME = re.compile(r"'((?:[^'\\]|''|\\.)*)'")


@dataclass(frozen=True)
class SearchQuery:
    """A search, ready to run.

    Attributes:
        all_words: tsquery that a bug must match; None when nothing can match.
        lexemes: The words that rank, each once, in the order typed; none of those that are excluded.
        required: tsquery that a bug must match although it has not all words: the phrases in quotes, and nothing that
            was typed with a minus; empty when there is neither.
        text: What was typed, without syntax and without what is excluded.
        words: How many different words that is, stop words included.
        indexed: The words of the text as documents have them; a single typed word is not split into its parts.
    """

    all_words: str | None
    lexemes: tuple[str, ...]
    required: str = ""
    text: str = ""
    words: int = 0
    indexed: tuple[str, ...] = ()


class _Parsed(Row):
    """tsqueries as text: of all that was typed, of what is not excluded, of what is, and of the phrases in quotes; and
    the words that a document of the text would have."""

    typed: str
    positive: str
    excluded: str
    phrases: str
    indexed: list[str] | None


_typed = func.websearch_to_tsquery("bugrelay", bindparam("typed"))
_document = func.search_document(bindparam("title", type_=Text), "", "")
_indexed = select(
    func.array_agg(func.similar_tokens(_document).table_valued("word").c.word)
).scalar_subquery()
_PARSE = Query(
    select(
        cast(_typed, Text).label("typed"),
        func.querytree(_typed).label("positive"),
        *(
            cast(func.websearch_to_tsquery("bugrelay", bindparam(part)), Text).label(part)
            for part in ("excluded", "phrases")
        ),
        _indexed.label("indexed"),
    ),
    _Parsed,
)

# What was typed before: how it is read changes only with a migration, and so with a new process.
_known: OrderedDict[str, SearchQuery] = OrderedDict()


async def parse_search(reader: Reader, typed: str) -> SearchQuery:
    """Read what was typed; a query of stop words alone looks for titles that have them."""
    if typed not in _known:
        _known[typed] = await _parse(reader, typed)
        if len(_known) > MAX_PARSED:
            _known.popitem(last=False)
    return _known[typed]


async def _parse(reader: Reader, typed: str) -> SearchQuery:
    clauses, words = clauses_of(typed), words_of(typed)
    text = " ".join(words)
    values = {
        "typed": " ".join(clauses),
        "excluded": " ".join(clause for clause in clauses if clause.startswith("-")),
        "phrases": required_phrases_of(typed),
        "title": beginning(text, MAX_TITLE_BYTES) if " " in " ".join(clauses) else None,
    }
    (parsed,) = await reader.rows(_PARSE, values)
    if not parsed.typed:
        return SearchQuery(" & ".join(map(quoted, stop_words_of(typed))) or None, ())
    lexemes = lexemes_of(parsed.positive)
    required = [f"({part})" for part in (parsed.excluded, parsed.phrases) if part]
    return SearchQuery(
        parsed.typed,
        lexemes,
        " & ".join(required),
        text,
        number_of(words),
        tuple(parsed.indexed or lexemes),
    )


def beginning(typed: str, most_bytes: int) -> str:
    """Bounded by bytes, because a script without spaces costs more by the character."""
    return typed.encode()[:most_bytes].decode(errors="ignore")


def clauses_of(typed: str) -> list[str]:
    """What `websearch_to_tsquery` is given: the words that the documents were cut into, joined by spaces.

    A word with punctuation inside (`foo_bar`, `std::vector`, `1.7.5`) becomes a phrase of its parts, a run of a
    script without spaces a phrase of its overlapping pairs. What stands twice between two `or` is given once:
    PostgreSQL would look for it twice in each document.
    """
    clauses: list[str] = []
    since_or: dict[str, None] = {}
    for match in _CLAUSE.finditer(unicodedata.normalize("NFKC", typed)):
        minus, phrase, word = match.groups()
        if word is not None and word.lower() == "or" and not minus:
            clauses += [*since_or, "or"]
            since_or = {}
        else:
            since_or |= dict.fromkeys(minus + part for part in _phrases(phrase if word is None else word))
    return [*clauses, *since_or]


def words_of(typed: str) -> list[str]:
    """What was typed as it was typed, each word once; quotes count for nothing, and what is excluded is left out."""
    found = (phrase or word for minus, phrase, word in _CLAUSE.findall(typed) if not minus)
    return list(dict.fromkeys(word for text in found for word in text.split()))


def number_of(words: Iterable[str]) -> int:
    """How many words somebody has typed: of a script without spaces two characters are taken for one."""
    return sum(
        -(-len(_RUN.findall(word)) // 2) or bool(_phrases(word)) for word in words if word.lower() != "or"
    )


def required_phrases_of(typed: str) -> str:
    """What `websearch_to_tsquery` is given for the phrases in quotes; of the branches of an `or` each must have one."""
    branches: list[list[str]] = [[]]
    for minus, phrase, word in _CLAUSE.findall(unicodedata.normalize("NFKC", typed)):
        if word.lower() == "or" and not minus:
            branches.append([])
        elif phrase and not minus:
            branches[-1] += _phrases(phrase)
    return " or ".join(" ".join(dict.fromkeys(branch)) for branch in branches) if all(branches) else ""


def _phrases(text: str) -> list[str]:
    """Quoted phrases of words; pieces of different scripts stand apart."""
    phrases = []
    for piece in _PIECE.findall(text):
        if _RUN.match(piece):
            words = [piece[i : i + 2] for i in range(len(piece) - 1)] or [piece]
        else:
            words = piece.translate(_PUNCTUATION).split()
        if words:
            phrases.append('"' + " ".join(words) + '"')
    return phrases


def stop_words_of(typed: str) -> list[str]:
    """The lexemes under which titles keep the words that the stemmer drops."""
    words = unicodedata.normalize("NFKC", typed).lower().translate(_PUNCTUATION).split()
    return ["=" + word for word in dict.fromkeys(words)][:MAX_RANKED_WORDS]


def lexemes_of(tsquery: str) -> tuple[str, ...]:
    """The lexemes of a tsquery, each once, in its order; the first ones alone rank."""
    found = (match.replace("''", "'").replace("\\\\", "\\") for match in _LEXEME.findall(tsquery))
    return tuple(dict.fromkeys(found))[:MAX_RANKED_WORDS]


def tsqueries(search: SearchQuery) -> dict[str, str | None]:
    """What statements.py compares documents with, by parameter: all of it, each word by its fields, each tier.

    A document has a word that is in a tier a second time, under `^` and the tier's number. No text can forge that:
    PostgreSQL's parser drops `^`.
    """
    values = {"search": search.all_words}
    for i, lexeme in enumerate(search.lexemes):
        values |= {f"word_{i}_{label}": f"{quoted(lexeme)}:{label}" for label in WEIGHTS}
    for tier in TIERS:
        in_tier = any_of(f"^{tier}{lexeme}" for lexeme in search.lexemes)
        values |= {f"tier_{tier}": in_tier, f"not_tier_{tier}": f"!({in_tier})"}
    return values


def quoted(lexeme: str) -> str:
    """A lexeme as it is written in a tsquery."""
    escaped = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def any_of(lexemes: Iterable[str]) -> str:
    """tsquery of the documents that have one of the lexemes."""
    return " | ".join(map(quoted, lexemes))
