"""From what people type to clauses, lexemes and tsqueries; what PostgreSQL makes of them is in tests/api."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bugrelay.infra.search.parser import (
    MAX_RANKED_WORDS,
    SearchQuery,
    any_of,
    clauses_of,
    lexemes_of,
    number_of,
    quoted,
    required_phrases_of,
    stop_words_of,
    tsqueries,
    words_of,
)

TYPED = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
LEXEMES = st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))


@pytest.mark.parametrize(
    ("typed", "clauses"),
    [
        ("", []),
        ("  \t ", []),
        ("lost sync", ['"lost"', '"sync"']),
        ("Lost -sync", ['"Lost"', '-"sync"']),
        ('"lost sync"', ['"lost sync"']),
        ('"lost sync', ['"lost sync"']),
        ('-"lost sync" draft', ['-"lost sync"', '"draft"']),
        ("lost or sync OR draft", ['"lost"', "or", '"sync"', "or", '"draft"']),
        ("-or", ['-"or"']),
        ("sync -sync sync or sync SYNC", ['"sync"', '-"sync"', "or", '"sync"', '"SYNC"']),
        ("登a登a登", ['"登"', '"a"']),
        ('"or"', ['"or"']),
        ("foo_bar std::vector 1.7.5", ['"foo bar"', '"std vector"', '"1 7 5"']),
        ("- -- !? \u2026", []),
        ("登录失败", ['"登录 录失 失败"']),
        ("崩", ['"崩"']),
        ("iOS版の登录", ['"iOS"', '"版の の登 登录"']),
        ("-登录fails", ['-"登录"', '-"fails"']),
        ("ＦＵＬＬ\u3000width", ['"FULL"', '"width"']),
        ("e\u0301tude", ['"\u00e9tude"']),
    ],
)
def test_words_phrases_and_negations_become_clauses(typed: str, clauses: list[str]) -> None:
    assert clauses_of(typed) == clauses


@given(TYPED)
def test_each_clause_is_an_or_or_one_quoted_phrase(typed: str) -> None:
    for clause in clauses_of(typed):
        assert clause == "or" or (clause.removeprefix("-")[0], clause[-1]) == ('"', '"')
        assert clause.count('"') in (0, 2)
        assert not set(clause.removeprefix("-").strip('"')) & set("!#&()*:<>\\|'-")


@given(TYPED)
def test_clauses_are_no_longer_than_pairs_of_all_characters(typed: str) -> None:
    """Each character is in two pairs at most, with a space, quotes and a minus."""
    assert sum(map(len, clauses_of(typed))) <= 6 * len(unicodedata.normalize("NFKC", typed))


@pytest.mark.parametrize(
    ("typed", "words", "number"),
    [
        ("", [], 0),
        ("Lost, lost: sync", ["Lost,", "lost:", "sync"], 3),
        ("crash crash crash", ["crash"], 1),
        ("the app crashes -safari", ["the", "app", "crashes"], 3),
        ('"lost sync" -"of drafts" draft', ["lost", "sync", "draft"], 3),
        ("lost or sync", ["lost", "or", "sync"], 2),
        ("std::vector<int> ... -", ["std::vector<int>", "...", "-"], 1),
        ("登录失败", ["登录失败"], 2),
        ("登录失败后", ["登录失败后"], 3),
    ],
)
def test_words_are_counted_as_they_were_typed(typed: str, words: list[str], number: int) -> None:
    assert words_of(typed) == words
    assert number_of(words) == number


@pytest.mark.parametrize(
    ("typed", "required"),
    [
        ("lost sync std::vector", ""),
        ('"lost sync" of drafts "fails."', '"lost sync" "fails"'),
        ('-"lost sync" draft', ""),
        ('"lost sync" or "draft fails" now', '"lost sync" or "draft fails"'),
        ('"lost sync" or draft', ""),
        ('"登录失败"', '"登录 录失 失败"'),
        ('"" draft', ""),
        ('"unfinished phrase', '"unfinished phrase"'),
    ],
)
def test_phrases_in_quotes_are_required_unless_an_or_leads_past_them(typed: str, required: str) -> None:
    assert required_phrases_of(typed) == required


def test_stop_words_are_marked_once_each_in_lower_case() -> None:
    assert stop_words_of("The WHO, the who!") == ["=the", "=who"]
    assert stop_words_of("- !") == []
    assert len(stop_words_of(" ".join(f"w{i}" for i in range(100)))) == MAX_RANKED_WORDS


@pytest.mark.parametrize(
    ("tsquery", "lexemes"),
    [
        ("", ()),
        ("T", ()),
        ("'lost' & 'sync'", ("lost", "sync")),
        ("'foo' <-> 'bar' | 'foo'", ("foo", "bar")),
        ("'it''s' & 'a\\\\b'", ("it's", "a\\b")),
    ],
)
def test_lexemes_are_those_of_the_tsquery_each_once(tsquery: str, lexemes: tuple[str, ...]) -> None:
    assert lexemes_of(tsquery) == lexemes


@given(LEXEMES)
def test_lexemes_are_read_back_as_they_are_written(lexemes: list[str]) -> None:
    assert lexemes_of(any_of(lexemes)) == tuple(dict.fromkeys(lexemes))[:MAX_RANKED_WORDS]


def test_each_word_has_a_tsquery_for_each_field_and_each_tier() -> None:
    assert tsqueries(SearchQuery("'lost' & 'it''s'", ("lost", "it's"))) == {
        "search": "'lost' & 'it''s'",
        "word_0_A": "'lost':A",
        "word_0_B": "'lost':B",
        "word_0_D": "'lost':D",
        "word_1_A": "'it''s':A",
        "word_1_B": "'it''s':B",
        "word_1_D": "'it''s':D",
        "tier_3": "'^3lost' | '^3it''s'",
        "not_tier_3": "!('^3lost' | '^3it''s')",
        "tier_2": "'^2lost' | '^2it''s'",
        "not_tier_2": "!('^2lost' | '^2it''s')",
        "tier_1": "'^1lost' | '^1it''s'",
        "not_tier_1": "!('^1lost' | '^1it''s')",
    }


def test_quotes_and_backslashes_of_a_lexeme_are_doubled() -> None:
    assert quoted("a'b\\c") == "'a''b\\\\c'"
