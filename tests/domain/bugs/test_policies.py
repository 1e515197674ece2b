"""Who may do what to a bug, and who sees it, by their relation to it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from bugrelay.domain.bugs import policies
from bugrelay.domain.bugs.schemas import BugState, CommentState
from bugrelay.domain.bugs.visibility import is_listed, is_visible_to
from bugrelay.infra.viewer import ANONYMOUS, Viewer

REPORTER, STRANGER, UPLOADER, COMPANY = uuid4(), uuid4(), uuid4(), uuid4()
VIEWERS = {
    "anonymous": ANONYMOUS,
    "stranger": Viewer(user_id=STRANGER),
    "reporter": Viewer(user_id=REPORTER),
    "uploader": Viewer(user_id=UPLOADER),
    "admin": Viewer(user_id=uuid4(), is_admin=True),
}
NOW = datetime(2026, 1, 31, tzinfo=UTC)


def a_bug(
    *, reporter_id: UUID | None = REPORTER, removed: bool = False, merged_into_id: UUID | None = None
) -> BugState:
    return BugState(uuid4(), "open", reporter_id, COMPANY, NOW if removed else None, merged_into_id)


def a_comment(*, is_response: bool = False, company_id: UUID | None = None) -> CommentState:
    return CommentState(uuid4(), uuid4(), STRANGER, company_id, is_response)


@pytest.mark.parametrize(
    ("who", "edits", "attaches", "detaches"),
    [
        ("anonymous", False, False, False),
        ("stranger", False, False, False),
        ("reporter", True, True, True),
        ("uploader", False, False, True),
        ("admin", False, True, True),
    ],
)
def test_what_a_viewer_may_change_of_a_bug(who: str, edits: bool, attaches: bool, detaches: bool) -> None:
    viewer, bug = VIEWERS[who], a_bug()
    assert policies.may_edit(viewer, bug) is edits
    assert policies.may_attach(viewer, bug) is attaches
    assert policies.may_remove_attachment(viewer, bug, uploader_id=UPLOADER) is detaches


def test_bug_and_picture_of_nobody_belong_to_no_anonymous_viewer() -> None:
    bug = a_bug(reporter_id=None)
    assert not policies.is_reporter(ANONYMOUS, bug)
    assert not policies.may_remove_attachment(ANONYMOUS, bug, uploader_id=None)


@pytest.mark.parametrize(
    ("who", "role", "answers", "sees_contact"),
    [
        ("anonymous", None, False, False),
        ("stranger", None, False, False),
        ("stranger", "member", True, True),
        ("stranger", "admin", True, True),
        ("reporter", None, False, True),
        ("admin", None, True, True),
    ],
)
def test_company_and_admins_answer_and_see_the_contact(
    who: str, role: str | None, answers: bool, sees_contact: bool
) -> None:
    assert policies.may_answer_officially(VIEWERS[who], company_role=role) is answers
    assert policies.may_see_contact(VIEWERS[who], a_bug(), company_role=role) is sees_contact


@pytest.mark.parametrize(
    ("comment", "is_author", "is_admin", "role", "expected"),
    [
        (a_comment(), True, False, None, True),
        (a_comment(), False, False, None, False),
        (a_comment(), False, True, None, False),
        (a_comment(is_response=True, company_id=COMPANY), True, False, "member", True),
        (a_comment(is_response=True, company_id=COMPANY), True, False, None, False),
        (a_comment(is_response=True, company_id=COMPANY), True, True, None, False),
        (a_comment(is_response=True, company_id=COMPANY), False, False, "admin", False),
        (a_comment(is_response=True), True, True, None, True),
        (a_comment(is_response=True), True, False, None, False),
    ],
)
def test_a_comment_is_changed_by_its_author_while_a_member_of_its_company(
    comment: CommentState, is_author: bool, is_admin: bool, role: str | None, expected: bool
) -> None:
    user_id = STRANGER if is_author else REPORTER
    may = policies.may_change_comment(comment, user_id=user_id, is_admin=is_admin, company_role=role)
    assert may is expected


@pytest.mark.parametrize(
    ("who", "expected"), [("anonymous", False), ("stranger", False), ("reporter", True), ("admin", True)]
)
def test_address_is_seen_by_its_owner_and_admins(who: str, expected: bool) -> None:
    assert policies.may_see_address(VIEWERS[who], user_id=REPORTER) is expected


@pytest.mark.parametrize("who", VIEWERS)
@pytest.mark.parametrize(
    ("bug", "seen_by_all", "listed"),
    [
        (a_bug(), True, True),
        (a_bug(merged_into_id=uuid4()), True, False),
        (a_bug(removed=True), False, False),
        (a_bug(removed=True, merged_into_id=uuid4()), False, False),
    ],
    ids=["ordinary", "merged", "removed", "merged and removed"],
)
def test_removed_bug_is_seen_by_admins_alone(
    who: str, bug: BugState, seen_by_all: bool, listed: bool
) -> None:
    assert is_visible_to(VIEWERS[who], bug) is (seen_by_all or who == "admin")
    assert is_listed(bug) is listed
