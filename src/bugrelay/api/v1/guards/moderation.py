"""What a path names, looked up before the body is read: missing is 404, not to be touched 403."""

from __future__ import annotations

from bugrelay.domain.accounts.errors import UserNotFound
from bugrelay.domain.bugs.errors import BugNotFound, CommentNotFound
from bugrelay.domain.bugs.repository import bug_state, find_comment
from bugrelay.domain.companies.errors import ApplicationNotFound, CompanyNotFound
from bugrelay.domain.companies.repository import application_state, company_state
from bugrelay.domain.moderation import repository
from bugrelay.errors import InsufficientPermissions
from bugrelay.http.request import ApiRequest


async def load_bug(request: ApiRequest) -> None:
    """A bug whatever its state: removed and merged ones are what moderators are there for."""
    if await bug_state(request.platform.database, request.path_id("bug_id")) is None:
        raise BugNotFound


async def load_comment(request: ApiRequest) -> None:
    """A comment, also one that was withdrawn or removed."""
    if not await repository.has_comment(request.platform.database, request.path_id("comment_id")):
        raise CommentNotFound


async def load_visible_comment(request: ApiRequest) -> None:
    """A comment that this viewer can see: neither it nor its bug is removed."""
    database = request.platform.database
    comment = await find_comment(database, request.path_id("comment_id"))
    bug = await bug_state(database, comment.bug_id) if comment else None
    if bug is None or bug.removed_at is not None or bug.merged_into_id is not None:
        raise CommentNotFound


async def load_user(request: ApiRequest) -> None:
    if await repository.is_admin(request.platform.database, request.path_id("user_id")) is None:
        raise UserNotFound


async def load_user_to_ban(request: ApiRequest) -> None:
    await load_user(request)
    if await repository.is_admin(request.platform.database, request.path_id("user_id")):
        raise InsufficientPermissions("An admin cannot be banned")


async def load_company(request: ApiRequest) -> None:
    if await company_state(request.platform.database, request.path_id("company_id")) is None:
        raise CompanyNotFound


async def load_application(request: ApiRequest) -> None:
    if await application_state(request.platform.database, request.path_id("application_id")) is None:
        raise ApplicationNotFound
