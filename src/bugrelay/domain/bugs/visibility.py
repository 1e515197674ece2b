"""What a viewer may see of the board: as SQL conditions for statements, and as predicates for loaded states.

By its id, everybody can see a bug until it is removed, and then only admins; a merged bug redirects to its survivor.
Lists, searches, counts, tags, profiles and files show the same to everybody, admins included: listed bugs. Removed and
merged bugs are in the lists under `/admin` only.

A comment is visible with its bug until its author withdraws it or an admin removes it. A picture is visible with its
bug, and its file is served while the bug is listed. Comments and pictures of a merged bug are rows of its survivor.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, true

from bugrelay.domain.bugs.models import Bug, Comment
from bugrelay.domain.bugs.schemas import BugState
from bugrelay.infra.viewer import ANONYMOUS, Viewer


def visible_to(viewer: Viewer) -> ColumnElement[bool]:
    """The condition for bugs that the viewer may see by their id; as SQL what `is_visible_to` is for a state.

    It depends only on whether the viewer is an admin, so that a statement is compiled once for each case.
    """
    return true() if viewer.is_admin else Bug.removed_at.is_(None)


def is_visible_to(viewer: Viewer, bug: BugState) -> bool:
    return viewer.is_admin or bug.removed_at is None


LISTED = and_(visible_to(ANONYMOUS), Bug.merged_into_id.is_(None))
"""The condition for bugs in lists; the same as `is_listed`, and as in the triggers on `bugs`."""


def is_listed(bug: BugState) -> bool:
    return is_visible_to(ANONYMOUS, bug) and bug.merged_into_id is None


COMMENT_SHOWN = Comment.removed_at.is_(None)
"""The condition for visible comments of a bug that is known to be visible."""

COMMENT_LISTED = and_(COMMENT_SHOWN, LISTED)
"""The condition for visible comments of listed bugs, for a SELECT that joins the bugs."""
