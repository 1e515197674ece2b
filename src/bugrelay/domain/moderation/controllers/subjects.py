"""What a path names, looked up before the body is read: missing is 404, not to be touched 403."""

from __future__ import annotations

from bugrelay.domain.accounts.errors import UserNotFound
from bugrelay.domain.bugs.errors import BugNotFound, CommentNotFound
from bugrelay.domain.bugs.repository import bug_facts, find_comment
from bugrelay.domain.companies.errors import ApplicationNotFound, CompanyNotFound
from bugrelay.domain.companies.repository import application_facts, company_facts
from bugrelay.domain.moderation import repository
from bugrelay.errors import InsufficientPermissions
from bugrelay.http.request import ApiRequest


async def stored_bug(request: ApiRequest) -> None:
    """A bug whatever its state: removed and merged ones are what moderators are there for."""
    if await bug_facts(request.platform.database, request.path_id("bug_id")) is None:
        raise BugNotFound


async def stored_comment(request: ApiRequest) -> None:
    """A comment, also one that was withdrawn or removed."""
    if not await repository.has_comment(request.platform.database, request.path_id("comment_id")):
        raise CommentNotFound


async def shown_comment(request: ApiRequest) -> None:
    """A comment that this viewer can see: neither it nor its bug is removed."""
    database = request.platform.database
    comment = await find_comment(database, request.path_id("comment_id"))
    bug = await bug_facts(database, comment.bug_id) if comment else None
    if bug is None or bug.removed_at is not None or bug.merged_into_id is not None:
        raise CommentNotFound


async def some_user(request: ApiRequest) -> None:
    if await repository.is_admin(request.platform.database, request.path_id("user_id")) is None:
        raise UserNotFound


async def user_to_ban(request: ApiRequest) -> None:
    await some_user(request)
    if await repository.is_admin(request.platform.database, request.path_id("user_id")):
        raise InsufficientPermissions("An admin cannot be banned")


async def some_company(request: ApiRequest) -> None:
    if await company_facts(request.platform.database, request.path_id("company_id")) is None:
        raise CompanyNotFound


async def some_application(request: ApiRequest) -> None:
    if await application_facts(request.platform.database, request.path_id("application_id")) is None:
        raise ApplicationNotFound
