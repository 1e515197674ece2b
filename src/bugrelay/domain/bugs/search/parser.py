"""Full-text search: from what a person typed to a tsquery, and from a tsquery to a ranking.

The text of a query is cut by the rules that made the documents (migrations/sql/search_field.sql) and handed to
`websearch_to_tsquery`, so quotes, `or` and `-word` work and no syntax can fail. docs/adr/0005 has the reasons.
"""

from __future__ import annotations

import re
import unicodedata
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Text, bindparam, cast, func, select
from sqlalchemy.dialects.postgresql import TSQUERY

from bugrelay.infra.db.database import Query, Reader

# Weights are additive: a word counts once for each field that has it, so a title always stands above an application
# name, and that above a description.
WEIGHTS = (("A", 10), ("B", 4), ("D", 1))
MAX_RANKED_WORDS = 32

_WITHOUT_SPACES = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_PIECE = re.compile(f"[{_WITHOUT_SPACES}]+|[^{_WITHOUT_SPACES}]+")
_RUN = re.compile(f"[{_WITHOUT_SPACES}]")
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
        excluded: tsquery of what was typed with a minus; empty when nothing was.
    """

    all_words: str | None
    lexemes: tuple[str, ...]
    excluded: str = ""

    @property
    def any_word(self) -> str:
        """tsquery that matches a bug with one of the words and nothing that is excluded."""
        words = " | ".join(quoted(lexeme) for lexeme in self.lexemes)
        return f"({words}) & {self.excluded}" if self.excluded else words


def quoted(lexeme: str) -> str:
    """A lexeme as it is written in a tsquery."""
    escaped = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def layered(search: SearchQuery, layer: int) -> str:
    """tsquery of the bugs in which one of the words is in that layer."""
    return " | ".join(quoted(f"^{layer}{lexeme}") for lexeme in search.lexemes)


def _clauses(typed: str) -> list[str]:
    """What `websearch_to_tsquery` is given: the words that the documents were cut into, joined by spaces.

    A word with punctuation inside (`foo_bar`, `std::vector`, `1.7.5`) becomes a phrase of its parts, a run of a
    script without spaces a phrase of its overlapping pairs.
    """
    clauses = []
    for match in _CLAUSE.finditer(unicodedata.normalize("NFKC", typed)):
        minus, phrase, word = match.groups()
        if word is not None and word.lower() == "or" and not minus:
            clauses.append("or")
            continue
        clauses += [minus + part for part in _phrases(phrase if word is None else word)]
    return clauses


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


def stop_word_lexemes(typed: str) -> list[str]:
    """The lexemes under which titles keep the words that the stemmer drops."""
    words = unicodedata.normalize("NFKC", typed).lower().translate(_PUNCTUATION).split()
    return ["=" + word for word in dict.fromkeys(words)][:MAX_RANKED_WORDS]


_parsed = func.websearch_to_tsquery("bugrelay", bindparam("typed"))
_excluded = func.websearch_to_tsquery("bugrelay", bindparam("excluded"))
_PARSE = Query(select(cast(_parsed, Text), func.querytree(_parsed), cast(_excluded, Text)))


# What was typed before: how it is read changes only with a migration, and so with a new process.
_READ: OrderedDict[str, SearchQuery] = OrderedDict()
MAX_PARSED = 2048


async def parse_search(reader: Reader, typed: str) -> SearchQuery:
    """Read what was typed; a query of stop words alone looks for titles that have them."""
    if typed not in _READ:
        _READ[typed] = await _parse(reader, typed)
        if len(_READ) > MAX_PARSED:
            _READ.popitem(last=False)
    return _READ[typed]


async def _parse(reader: Reader, typed: str) -> SearchQuery:
    clauses = _clauses(typed)
    excluding = [clause for clause in clauses if clause.startswith("-")]
    row = await reader.row(_PARSE, {"typed": " ".join(clauses), "excluded": " ".join(excluding)})
    parsed, positive, excluded = row or ("", "", "")
    if not parsed:
        stop_words = stop_word_lexemes(typed)
        return SearchQuery(" & ".join(quoted(word) for word in stop_words) or None, ())
    found = (match.replace("''", "'").replace("\\\\", "\\") for match in _LEXEME.findall(positive))
    return SearchQuery(parsed, tuple(dict.fromkeys(found))[:MAX_RANKED_WORDS], excluded)


def tsquery(name: str) -> BindParameter[Any]:
    """A parameter that PostgreSQL reads as a tsquery."""
    return bindparam(name, type_=TSQUERY)
