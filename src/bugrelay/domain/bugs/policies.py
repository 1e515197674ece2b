"""Who may do what to a bug; pure functions of the facts."""

from __future__ import annotations

from uuid import UUID

from bugrelay.domain.bugs.schemas import BugState, CommentState
from bugrelay.infra.viewer import Viewer


def is_reporter(viewer: Viewer, bug: BugState) -> bool:
    return viewer.user_id is not None and viewer.user_id == bug.reporter_id


def may_edit(viewer: Viewer, bug: BugState) -> bool:
    """The reporter alone: an admin removes, but does not rewrite."""
    return is_reporter(viewer, bug)


def may_attach(viewer: Viewer, bug: BugState) -> bool:
    return is_reporter(viewer, bug) or viewer.is_admin


def may_remove_attachment(viewer: Viewer, bug: BugState, *, uploader_id: UUID | None) -> bool:
    """Whoever may attach to the bug, and the uploader: a merge shows the picture with somebody else's bug."""
    is_uploader = viewer.user_id is not None and viewer.user_id == uploader_id
    return is_uploader or may_attach(viewer, bug)


def may_answer_officially(viewer: Viewer, *, company_role: str | None) -> bool:
    """Change the status, post the company's response: a member of the verified assigned company, or an admin."""
    return company_role is not None or viewer.is_admin


def may_see_contact(viewer: Viewer, bug: BugState, *, company_role: str | None) -> bool:
    return is_reporter(viewer, bug) or viewer.is_admin or company_role is not None


def may_change_comment(
    comment: CommentState, *, user_id: UUID, is_admin: bool, company_role: str | None
) -> bool:
    """Its author; an official response only while they still speak for the company, or as the admin, that gave it.

    Args:
        comment: The comment.
        user_id: Who asks.
        is_admin: Whether they are a system admin.
        company_role: Theirs in the company that the comment was written for.
    """
    if user_id != comment.user_id:
        return False
    if not comment.is_company_response:
        return True
    return company_role is not None if comment.company_id is not None else is_admin


def may_see_address(viewer: Viewer, *, user_id: UUID) -> bool:
    """A user's e-mail address: that user, and admins."""
    return viewer.is_admin or viewer.user_id == user_id
