"""What a viewer may see of the board, said once: as SQL for statements, and as a predicate for what is loaded.

By its id everybody sees a bug until it is removed, and then admins alone; one that was merged away leads whoever may
see it to its survivor. Lists, searches, counts, tags, profiles and files hold the same for everybody, admins too: what
is listed. Removed and merged bugs are listed under `/admin`.

A comment is seen with its bug until its author withdraws it or an admin removes it. A picture is seen with its bug,
and its file is served while the bug is listed. Comments and pictures of a bug that was merged away are rows of its
survivor.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, true

from bugrelay.domain.bugs.models import Bug, Comment
from bugrelay.domain.bugs.schemas import BugState
from bugrelay.infra.viewer import ANONYMOUS, Viewer


def visible_to(viewer: Viewer) -> ColumnElement[bool]:
    """Bugs that the viewer may see by their id; the same as `is_visible_to`.

    Depends on the viewer's class alone, so that a statement is compiled once for each class.
    """
    return true() if viewer.is_admin else Bug.removed_at.is_(None)


def is_visible_to(viewer: Viewer, bug: BugState) -> bool:
    return viewer.is_admin or bug.removed_at is None


LISTED = and_(visible_to(ANONYMOUS), Bug.merged_into_id.is_(None))
"""Bugs that everybody finds on the board; the same as `is_listed`, and as the triggers on `bugs` know it."""


def is_listed(bug: BugState) -> bool:
    return is_visible_to(ANONYMOUS, bug) and bug.merged_into_id is None


COMMENT_SHOWN = Comment.removed_at.is_(None)
"""Comments that are seen with a bug, once it is known that the bug is."""

COMMENT_LISTED = and_(COMMENT_SHOWN, LISTED)
"""Comments that everybody finds on the board, for a SELECT that joins their bugs."""
