"""Who may do what to a bug; pure functions of the facts."""

from __future__ import annotations

from bugrelay.domain.bugs.repository import BugFacts
from bugrelay.infra.viewer import Viewer


def is_reporter(viewer: Viewer, bug: BugFacts) -> bool:
    return viewer.user_id is not None and viewer.user_id == bug.reporter_id


def may_edit(viewer: Viewer, bug: BugFacts) -> bool:
    """The reporter alone: an admin removes, but does not rewrite."""
    return is_reporter(viewer, bug)


def may_attach(viewer: Viewer, bug: BugFacts) -> bool:
    return is_reporter(viewer, bug) or viewer.is_admin


def may_answer_officially(viewer: Viewer, *, company_role: str | None) -> bool:
    """Change the status, post the company's response: a member of the verified assigned company, or an admin."""
    return company_role is not None or viewer.is_admin


def may_see_contact(viewer: Viewer, bug: BugFacts, *, company_role: str | None) -> bool:
    return is_reporter(viewer, bug) or viewer.is_admin or company_role is not None
