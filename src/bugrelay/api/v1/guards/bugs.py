"""Loaders of bugs and comments in paths, run before the body is read: missing is 404, merged 308, forbidden 403."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from bugrelay.domain.bugs import policies, repository
from bugrelay.domain.bugs.errors import BugMerged, BugNotFound, CommentNotFound
from bugrelay.domain.bugs.schemas import BugState, CommentState
from bugrelay.domain.companies.repository import role_of
from bugrelay.domain.files.errors import AttachmentNotFound
from bugrelay.errors import InsufficientPermissions
from bugrelay.http.request import ApiRequest
from bugrelay.infra.db.unit_of_work import UnitOfWork


async def load_bug(request: ApiRequest) -> BugState:
    """The bug of the path in any state, for moderators.

    Raises:
        InvalidId, BugNotFound
    """
    bug = await repository.bug_state(request.platform.database, request.path_id("bug_id"))
    if bug is None:
        raise BugNotFound
    return bug


async def load_visible_bug(request: ApiRequest) -> BugState:
    """The bug of the path, if the viewer may see it.

    Raises:
        InvalidId, BugNotFound, BugMerged
    """
    bug_id = request.path_id("bug_id")
    bug = await repository.visible_bug(request.platform.database, request.viewer, bug_id)
    if bug is None:
        raise BugNotFound
    follow_merge(request, bug)
    return bug


def follow_merge(request: ApiRequest, bug: BugState) -> None:
    """Redirect the request if the bug is merged.

    Raises:
        BugMerged: With the same path and query for the bug that it was merged into.
    """
    if bug.merged_into_id is not None:
        raise BugMerged(_moved(request, bug.id, bug.merged_into_id))


@asynccontextmanager
async def unit_of_work_on_bug(request: ApiRequest) -> AsyncIterator[UnitOfWork]:
    """A unit of work on the bug of the path, which redirects if the bug is merged while it waits for a lock.

    Raises:
        BugNotFound, BugMerged
    """
    async with following_merges(request), request.platform.work() as work:
        yield work


@asynccontextmanager
async def following_merges(request: ApiRequest) -> AsyncIterator[None]:
    """Turn a `BugNotFound` into `BugMerged` if the bug of the path was merged meanwhile."""
    try:
        yield
    except BugNotFound:
        await load_visible_bug(request)
        raise


def _moved(request: ApiRequest, source: UUID, target: UUID) -> str:
    path = request.scope["path"].lower().replace(str(source), str(target))
    query = request.scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


async def require_reporter(request: ApiRequest) -> BugState:
    bug = await load_visible_bug(request)
    if not policies.may_edit(request.viewer, bug):
        raise InsufficientPermissions("Only the reporter may correct a bug")
    return bug


async def require_may_attach(request: ApiRequest) -> BugState:
    bug = await load_visible_bug(request)
    if not policies.may_attach(request.viewer, bug):
        raise InsufficientPermissions("Only the reporter and admins may add pictures")
    return bug


async def require_may_detach(request: ApiRequest) -> BugState:
    bug = await load_visible_bug(request)
    attachment = await repository.find_attachment(
        request.platform.database, bug.id, request.path_id("attachment_id")
    )
    if attachment is None:
        raise AttachmentNotFound
    if not policies.may_remove_attachment(request.viewer, bug, uploader_id=attachment.uploader_id):
        raise InsufficientPermissions("Only who added it, the reporter and admins may take a picture away")
    return bug


async def require_may_answer(request: ApiRequest) -> BugState:
    bug = await load_visible_bug(request)
    role = None
    if bug.assigned_company_id is not None:
        role = await role_of(
            request.platform.database, user_id=request.user_id, company_id=bug.assigned_company_id
        )
    if not policies.may_answer_officially(request.viewer, company_role=role):
        raise InsufficientPermissions("Only members of the company behind the application may do this")
    return bug


async def require_author(request: ApiRequest) -> None:
    database, viewer = request.platform.database, request.viewer
    comment = await repository.comment_state(database, request.path_id("comment_id"))
    if comment is None:
        raise CommentNotFound
    role = None
    if comment.company_id is not None:
        role = await role_of(database, user_id=request.user_id, company_id=comment.company_id)
    if not policies.may_change_comment(
        comment, user_id=request.user_id, is_admin=viewer.is_admin, company_role=role
    ):
        raise InsufficientPermissions(
            "Only its author may change a comment, and a company's response only while they speak for the company"
        )


async def load_visible_comment(request: ApiRequest) -> CommentState:
    """The comment of the path, if it is listed: neither it nor its bug is removed.

    Raises:
        InvalidId, CommentNotFound
    """
    comment = await repository.comment_state(request.platform.database, request.path_id("comment_id"))
    if comment is None:
        raise CommentNotFound
    return comment
