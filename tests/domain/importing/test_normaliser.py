"""What a value that breaks a rule of the board becomes, and that it is counted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bugrelay.domain.bugs.schemas import ReportBug
from bugrelay.domain.importing.normaliser import Draft, UnusableLine, shape
from bugrelay.infra.validation import read_fields
from tests.domain.importing.conftest import a_line

NOW = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
LONG_AGO = "2020-01-02T03:04:05Z"


def shaped(**changes: Any) -> Draft:
    return shape(json.dumps(a_line(**changes)).encode(), now=NOW)


def test_a_line_that_fits_is_not_changed() -> None:
    draft = shaped(created_at=LONG_AGO, tags=["Android "], status="Fixed", resolved_at="2020-01-03")
    assert draft.changes == ()
    assert (draft.tags, draft.status) == (["android"], "fixed")
    assert draft.resolved_at == datetime(2020, 1, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "field", "becomes", "said"),
    [
        ({"title": "x" * 300}, "title", "x" * 255, "title longer than 255 characters: cut"),
        (
            {"title": "Bug"},
            "title",
            "Bug (Notebook)",
            "title shorter than 5 characters: the application's name added",
        ),
        (
            {"title": "Bug", "application_name": "n" * 255},
            "title",
            "Bug (" + "n" * 249 + ")",
            "title shorter than 5 characters: the application's name added",
        ),
        (
            {"title": None, "description": "First line\nsecond line"},
            "title",
            "First line",
            "title missing: the description's first line taken",
        ),
        (
            {"title": 12345.50},
            "title",
            "12345.5",
            None,
        ),
        (
            {"title": {"en": "x"}},
            "title",
            "Saving a draft closes the window at once.",
            "title that is no text: dropped",
        ),
        (
            {"description": "d" * 6000},
            "description",
            "d" * 5000,
            "description longer than 5,000 characters: cut",
        ),
        (
            {"description": None},
            "description",
            "Crash when saving a draft",
            "description missing: the title taken",
        ),
        (
            {"description": None, "title": "Crash"},
            "description",
            "Crash\n\n(no description)",
            "description missing: the title taken",
        ),
        (
            {"description": "see title"},
            "description",
            "Crash when saving a draft\n\nsee title",
            "description shorter than 10 characters: the title put in front of it",
        ),
        (
            {"description": "nul \0 and \ud800 in the text"},
            "description",
            "nul  and  in the text",
            "description with NUL characters or lone surrogates: dropped from it",
        ),
        (
            {"application_name": "n" * 300},
            "application_name",
            "n" * 255,
            "application_name longer than 255 characters: cut",
        ),
        (
            {"application_url": "ftp://paper.example"},
            "application_url",
            None,
            "application_url that is no absolute http or https URL: dropped",
        ),
        (
            {"application_url": "https://paper.example/" + "p" * 600},
            "application_url",
            "https://paper.example",
            "application_url longer than 500 characters: cut to its host",
        ),
        ({"status": "parked"}, "status", "open", "status that is not known: open taken"),
        ({"priority": "P1"}, "priority", "medium", "priority that is not known: medium taken"),
        ({"priority": ""}, "priority", "medium", None),
        (
            {"operating_system": "o" * 101},
            "operating_system",
            "o" * 100,
            "operating_system longer than 100 characters: cut",
        ),
        ({"app_version": ["1.0"]}, "app_version", None, "app_version that is no text: dropped"),
        ({"tags": {"a": 1}}, "tags", [], "tags that are no list: dropped"),
        (
            {"tags": "ui, Dark mode"},
            "tags",
            ["ui", "dark mode"],
            "tags in one text: taken apart at the commas",
        ),
        (
            {"tags": ["a,b", "x" * 60, "ＵＩ!"]},
            "tags",
            ["a b", "x" * 50, "ｕｉ"],
            "tag that is too long or has signs that tags do not have: cleaned",
        ),
        ({"tags": ["!!!", {}, "ok"]}, "tags", ["ok"], "tag that cannot be one: dropped"),
        ({"tags": ["a", "A", "a "]}, "tags", ["a"], None),
        (
            {"tags": [f"tag {n}" for n in range(12)]},
            "tags",
            [f"tag {n}" for n in range(10)],
            "tag beyond the first 10: dropped",
        ),
        (
            {"created_at": "2020-01-02 03:04:05"},
            "created_at",
            datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC),
            None,
        ),
        (
            {"created_at": "2020-01-02T03:04:05+0200"},
            "created_at",
            datetime(2020, 1, 2, 1, 4, 5, tzinfo=UTC),
            None,
        ),
        (
            {"created_at": "yesterday"},
            "created_at",
            NOW,
            "created_at that is no time: the time of the import taken",
        ),
        (
            {"created_at": "0001-01-01T00:00:00+14:00"},
            "created_at",
            NOW,
            "created_at that is no time: the time of the import taken",
        ),
        (
            {"created_at": "2999-01-01"},
            "created_at",
            NOW,
            "created_at in the future: the time of the import taken",
        ),
        ({"created_at": None}, "created_at", NOW, None),
        (
            {"status": "open", "resolved_at": LONG_AGO},
            "resolved_at",
            None,
            "resolved_at of a bug that is not resolved: dropped",
        ),
        (
            {"status": "fixed", "created_at": LONG_AGO},
            "resolved_at",
            datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC),
            "resolved_at missing for a resolved bug: created_at taken",
        ),
        (
            {"status": "wont_fix", "created_at": LONG_AGO, "resolved_at": "2019-01-01"},
            "resolved_at",
            datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC),
            "resolved_at before created_at or in the future: moved to the nearest",
        ),
        (
            {"status": "fixed", "created_at": LONG_AGO, "resolved_at": "2999-01-01"},
            "resolved_at",
            NOW,
            "resolved_at before created_at or in the future: moved to the nearest",
        ),
        ({"external_id": 4711}, "external_id", "4711", None),
    ],
)
def test_what_breaks_a_rule_is_brought_into_shape(
    changes: dict[str, Any], field: str, becomes: object, said: str | None
) -> None:
    draft = shaped(**changes)
    assert getattr(draft, field) == becomes
    if said is not None:
        assert said in draft.changes
    else:
        assert not [change for change in draft.changes if change.startswith(field.rstrip("s"))]


def test_every_tag_beyond_the_tenth_is_counted() -> None:
    assert shaped(tags=[str(n) for n in range(13)]).changes.count("tag beyond the first 10: dropped") == 3


def test_text_follows_the_rules_of_the_board() -> None:
    draft = shaped(title=" cafe\u0301\r\n  bar ", description="one\r\ntwo\rthree \x07 ")
    assert (draft.title, draft.description) == ("café   bar", "one\ntwo\nthree")


def test_an_external_id_that_is_too_long_is_replaced_by_its_hash() -> None:
    one, other = shaped(external_id="x" * 300), shaped(external_id="x" * 299 + "y")
    assert one.external_id.startswith("sha256:")
    assert one.external_id != other.external_id


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=15) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)
_KEYS = [
    "external_id",
    "title",
    "description",
    "application_name",
    "application_url",
    "status",
    "priority",
    "tags",
    "operating_system",
    "app_version",
    "created_at",
    "resolved_at",
]


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(_KEYS, _json)), st.text(min_size=1))
def test_whatever_a_line_holds_the_draft_obeys_every_rule_of_a_report(
    line: dict[str, Any], name: str
) -> None:
    try:
        draft = shape(json.dumps({"application_name": name, **line}).encode(), now=NOW)
    except UnusableLine:
        return
    fields = {key: getattr(draft, key) for key in ReportBug.__struct_fields__ if hasattr(draft, key)}
    wanted = read_fields(fields, ReportBug)
    assert {key: getattr(wanted, key) for key in fields} == fields, "normalising once more changes something"
    assert draft.created_at <= NOW
    assert (draft.status in ("fixed", "wont_fix")) == (draft.resolved_at is not None)
    assert draft.resolved_at is None or timedelta(0) <= draft.resolved_at - draft.created_at
    assert 0 < len(draft.external_id) <= 255
