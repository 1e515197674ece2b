"""What moderators act upon, looked up before the body is read: missing is 404, not to be touched 403."""

from __future__ import annotations

from bugrelay.domain.accounts.errors import UserNotFound
from bugrelay.domain.bugs.errors import CommentNotFound
from bugrelay.domain.moderation import repository
from bugrelay.errors import InsufficientPermissions
from bugrelay.http.request import ApiRequest


async def require_comment(request: ApiRequest) -> None:
    """A comment, also one that was withdrawn or removed."""
    if not await repository.has_comment(request.platform.database, request.path_id("comment_id")):
        raise CommentNotFound


async def require_user(request: ApiRequest) -> None:
    await _is_admin(request)


async def require_may_ban(request: ApiRequest) -> None:
    if await _is_admin(request):
        raise InsufficientPermissions("An admin cannot be banned")


async def _is_admin(request: ApiRequest) -> bool:
    """Of the user of the path."""
    is_admin = await repository.is_admin(request.platform.database, request.path_id("user_id"))
    if is_admin is None:
        raise UserNotFound
    return is_admin
