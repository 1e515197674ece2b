"""Who may do what to a bug: pure functions of its state and the viewer."""

from __future__ import annotations

from uuid import UUID

from bugrelay.domain.bugs.schemas import BugState, CommentState
from bugrelay.infra.viewer import Viewer


def is_reporter(viewer: Viewer, bug: BugState) -> bool:
    return viewer.user_id is not None and viewer.user_id == bug.reporter_id


def may_edit(viewer: Viewer, bug: BugState) -> bool:
    """Only the reporter: admins can remove a bug, but not change its text."""
    return is_reporter(viewer, bug)


def may_attach(viewer: Viewer, bug: BugState) -> bool:
    return is_reporter(viewer, bug) or viewer.is_admin


def may_remove_attachment(viewer: Viewer, bug: BugState, *, uploader_id: UUID | None) -> bool:
    """Users who may attach to the bug, and the uploader, whose picture a merge may have moved to another user's bug."""
    is_uploader = viewer.user_id is not None and viewer.user_id == uploader_id
    return is_uploader or may_attach(viewer, bug)


def may_answer_officially(viewer: Viewer, *, company_role: str | None) -> bool:
    """Change the status, or post a company response: members of the verified assigned company, and admins."""
    return company_role is not None or viewer.is_admin


def may_see_contact(viewer: Viewer, bug: BugState, *, company_role: str | None) -> bool:
    return is_reporter(viewer, bug) or viewer.is_admin or company_role is not None


def may_change_comment(
    comment: CommentState, *, user_id: UUID, is_admin: bool, company_role: str | None
) -> bool:
    """Only its author; an official response only while they are a member of the company that they wrote it for, or an
    admin, if they wrote it as one.

    Args:
        comment: The comment.
        user_id: The user who wants to change it.
        is_admin: Whether they are a system admin.
        company_role: Their role in the company that the comment was written for.
    """
    if user_id != comment.user_id:
        return False
    if not comment.is_company_response:
        return True
    return company_role is not None if comment.company_id is not None else is_admin


def may_see_address(viewer: Viewer, *, user_id: UUID) -> bool:
    """Whether the viewer may see this user's e-mail address: the user, and admins."""
    return viewer.is_admin or viewer.user_id == user_id
