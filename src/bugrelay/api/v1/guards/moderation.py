"""Guards of moderation, run before the body is read: missing is 404, forbidden 403."""

from __future__ import annotations

from bugrelay.domain.accounts.errors import UserNotFound
from bugrelay.domain.bugs.errors import CommentNotFound
from bugrelay.domain.moderation import repository
from bugrelay.errors import InsufficientPermissions
from bugrelay.http.request import ApiRequest


async def require_comment(request: ApiRequest) -> None:
    """The comment of the path must exist; it may be withdrawn or removed."""
    if not await repository.has_comment(request.platform.database, request.path_id("comment_id")):
        raise CommentNotFound


async def require_user(request: ApiRequest) -> None:
    await _is_admin(request)


async def require_may_ban(request: ApiRequest) -> None:
    if await _is_admin(request):
        raise InsufficientPermissions("An admin cannot be banned")


async def _is_admin(request: ApiRequest) -> bool:
    """Whether the user of the path is an admin.

    Raises:
        UserNotFound
    """
    is_admin = await repository.is_admin(request.platform.database, request.path_id("user_id"))
    if is_admin is None:
        raise UserNotFound
    return is_admin
