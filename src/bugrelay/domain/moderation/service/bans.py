"""Ban users and lift bans. The votes of a banned user stay stored, but do not count."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Integer, cast, update

from bugrelay.domain.accounts.errors import UserNotFound
from bugrelay.domain.accounts.models import User
from bugrelay.domain.accounts.service.sessions import end_all_sessions
from bugrelay.domain.bugs.events import VotesReinstated, VotesSuspended
from bugrelay.domain.bugs.models import Bug, Vote
from bugrelay.domain.moderation.events import UserBanned, UserUnbanned
from bugrelay.domain.moderation.policies import may_be_banned
from bugrelay.domain.moderation.repository import lock_bugs_voted_for, lock_user
from bugrelay.domain.moderation.schemas import BanState
from bugrelay.domain.moderation.service.audit import write_audit
from bugrelay.domain.moderation.service.lock import acquire_moderation_lock, begin_act
from bugrelay.errors import InsufficientPermissions
from bugrelay.infra.db.unit_of_work import UnitOfWork

_UNSYNCHRONISED = {"synchronize_session": False}


async def ban_user(
    work: UnitOfWork, admin_id: UUID, user_id: UUID, *, reason: str, until: datetime | None
) -> None:
    """Ban a user: sessions end, and votes do not count any more. For a banned user, the end of the ban changes.

    Raises:
        UserNotFound, AccountBanned
        InsufficientPermissions: An admin cannot be banned.
    """
    await begin_act(work, admin_id)
    user = await _lock_user(work, user_id)
    if not may_be_banned(user):
        raise InsufficientPermissions("An admin cannot be banned")
    banned_at = datetime.now(UTC)
    await _set_ban(work, user_id, banned_at=banned_at, banned_until=until)
    await end_all_sessions(work, user_id)
    bug_ids = await _count_votes(work, user_id, counted=False)
    await write_audit(
        work.session,
        admin_id,
        "user_ban",
        resource="user",
        resource_id=user_id,
        details=reason,
        before=user.ban,
        after={"banned_at": banned_at, "banned_until": until},
    )
    work.record(UserBanned(user_id=user_id, until=until, actor_id=admin_id))
    if bug_ids:
        work.record(VotesSuspended(user_id=user_id, bug_ids=bug_ids, actor_id=admin_id))


async def unban_user(work: UnitOfWork, admin_id: UUID, user_id: UUID, *, reason: str) -> None:
    """Lift a ban; the user's votes count again. Idempotent.

    Raises:
        UserNotFound, AccountBanned
    """
    await begin_act(work, admin_id)
    await _lift(work, admin_id, user_id, await _lock_user(work, user_id), reason=reason)


async def lift_ended_ban(work: UnitOfWork, user_id: UUID) -> None:
    """Lift a ban whose end has passed, unless it was lifted or extended meanwhile."""
    await acquire_moderation_lock(work)
    user = await _lock_user(work, user_id)
    if user.banned_until is not None and user.banned_until <= datetime.now(UTC):
        await _lift(work, None, user_id, user, reason="The ban has ended")


async def _lift(
    work: UnitOfWork, admin_id: UUID | None, user_id: UUID, user: BanState, *, reason: str
) -> None:
    await _set_ban(work, user_id, banned_at=None, banned_until=None)
    bug_ids = await _count_votes(work, user_id, counted=True)
    await write_audit(
        work.session,
        admin_id,
        "user_unban",
        resource="user",
        resource_id=user_id,
        details=reason,
        before=user.ban,
        after={"banned_at": None, "banned_until": None},
    )
    if user.banned_at is not None:
        work.record(UserUnbanned(user_id=user_id, actor_id=admin_id))
    if bug_ids:
        work.record(VotesReinstated(user_id=user_id, bug_ids=bug_ids, actor_id=admin_id))


async def _lock_user(work: UnitOfWork, user_id: UUID) -> BanState:
    user = await lock_user(work, user_id)
    if user is None:
        raise UserNotFound
    return user


async def _set_ban(
    work: UnitOfWork, user_id: UUID, *, banned_at: datetime | None, banned_until: datetime | None
) -> None:
    await work.session.execute(
        update(User).where(User.id == user_id).values(banned_at=banned_at, banned_until=banned_until),
        execution_options=_UNSYNCHRONISED,
    )


async def _count_votes(work: UnitOfWork, user_id: UUID, *, counted: bool) -> tuple[UUID, ...]:
    """Make all votes of the user count, or none, and update the counters of their bugs.

    Returns:
        The ids of the bugs whose counters have changed.
    """
    await lock_bugs_voted_for(work, user_id, counted=counted)
    turned = (
        update(Vote)
        .where(Vote.user_id == user_id, Vote.counted.is_not(counted))
        .values(counted=counted)
        .returning(Vote.bug_id, cast(Vote.is_recent, Integer).label("recent"))
        .cte("turned")
    )
    sign = 1 if counted else -1
    recounting = (
        update(Bug)
        .where(Bug.id == turned.c.bug_id)
        .values(
            vote_count=Bug.vote_count + sign,
            recent_vote_count=Bug.recent_vote_count + sign * turned.c.recent,
        )
        .returning(Bug.id)
    )
    return tuple(await work.session.scalars(recounting, execution_options=_UNSYNCHRONISED))
