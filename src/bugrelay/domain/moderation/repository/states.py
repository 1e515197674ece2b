"""SELECTs and locks of the users, bugs and comments that acts of moderation change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CTE,
    Boolean,
    Integer,
    Uuid,
    any_,
    bindparam,
    func,
    literal,
    literal_column,
    select,
)

from bugrelay.domain.accounts.models import User
from bugrelay.domain.bugs.models import Attachment, Bug, BugMerge, Comment, Vote
from bugrelay.domain.bugs.repository import lock_bug_of_comment, wait_for_tables
from bugrelay.domain.moderation.schemas import (
    BanState,
    ModeratedState,
    RemovalState,
)
from bugrelay.infra.db.query import Query, Reader
from bugrelay.infra.db.unit_of_work import UnitOfWork

_USER = Query(select(User.is_admin).where(User.id == bindparam("user_id")), bool)
_COMMENT = Query(select(literal_column("1")).where(Comment.id == bindparam("comment_id")), int)
_ENDED_BANS = Query(
    select(User.id).where(User.banned_at.is_not(None), User.banned_until <= func.now()).order_by(User.id),
    UUID,
)


async def is_admin(reader: Reader, user_id: UUID) -> bool | None:
    """Whether the user is an admin; None if there is no such user."""
    return await reader.row(_USER, {"user_id": user_id})


async def has_comment(reader: Reader, comment_id: UUID) -> bool:
    """Whether there is such a comment, even if it is withdrawn or removed."""
    return await reader.row(_COMMENT, {"comment_id": comment_id}) is not None


async def ended_bans(reader: Reader) -> Sequence[UUID]:
    """The ids of the users whose ban has ended, but is not lifted yet."""
    return await reader.rows(_ENDED_BANS)


# --- locks ----------------------------------------------------------------------------------------------------------

_LOCK_USER = Query(
    select(User.is_admin, User.banned_at, User.banned_until)
    .where(User.id == bindparam("user_id"))
    .with_for_update(key_share=True),
    BanState,
)


async def lock_user(work: UnitOfWork, user_id: UUID) -> BanState | None:
    """Lock a user like `lock_active_user`, so that none of their votes or comments is in progress."""
    return await work.row(_LOCK_USER, {"user_id": user_id})


_voted_for = select(Vote.bug_id).where(
    Vote.user_id == bindparam("user_id"), Vote.counted != bindparam("counted", type_=Boolean)
)
_LOCK_VOTED_FOR = Query(
    select(Bug.id).where(Bug.id.in_(_voted_for)).order_by(Bug.id).with_for_update(key_share=True), UUID
)


async def lock_bugs_voted_for(work: UnitOfWork, user_id: UUID, *, counted: bool) -> None:
    """Lock the bugs for which the user has votes whose `counted` differs from this."""
    await work.rows(_LOCK_VOTED_FOR, {"user_id": user_id, "counted": counted})


_LOCK_COMMENT = Query(
    select(Comment.bug_id, Comment.removed_at, Comment.moderated_at)
    .where(Comment.id == bindparam("comment_id"))
    .with_for_update(),
    RemovalState,
)


async def lock_comment(work: UnitOfWork, comment_id: UUID) -> RemovalState | None:
    """Lock a comment in any state and the bug that it is shown with; None if there is no such comment."""
    if await lock_bug_of_comment(work, comment_id) is None:
        return None
    return await work.row(_LOCK_COMMENT, {"comment_id": comment_id})


_LOCK_FLAGGED = Query(
    select(Bug.id).where(Bug.id == bindparam("bug_id")).with_for_update(key_share=True, read=True), UUID
)


async def lock_flagged_bug(work: UnitOfWork, bug_id: UUID) -> bool:
    """Lock a bug in any state against deletion; returns False if there is no such bug."""
    return await work.row(_LOCK_FLAGGED, {"bug_id": bug_id}) is not None


_LOCK_BUGS = Query(
    select(*(getattr(Bug, name) for name in ModeratedState.__struct_fields__))
    .where(Bug.id == any_(bindparam("ids", type_=ARRAY(Uuid))))
    .order_by(Bug.id)
    .with_for_update(),
    ModeratedState,
)


async def lock_bugs(work: UnitOfWork, ids: Iterable[UUID]) -> dict[UUID, ModeratedState]:
    """Lock bugs in any state, in the order of their ids, and return their states by id."""
    await wait_for_tables(work, Vote, Comment, Attachment, BugMerge)
    return {bug.id: bug for bug in await work.rows(_LOCK_BUGS, {"ids": list(set(ids))})}


def _chain() -> CTE:
    start = select(Bug.id, Bug.merged_into_id, literal(0, Integer).label("depth"))
    chain = start.where(Bug.id == bindparam("bug_id")).cte("chain", recursive=True)
    return chain.union_all(
        select(Bug.id, Bug.merged_into_id, chain.c.depth + 1).where(Bug.id == chain.c.merged_into_id)
    )


_above = _chain()
_CHAIN = Query(select(_above.c.id).order_by(_above.c.depth), UUID)


async def lock_chain(work: UnitOfWork, bug_id: UUID) -> list[ModeratedState]:
    """Lock a bug and all that it is merged into, in turn; empty if there is no such bug.

    The caller holds the moderation lock, under which the chain does not change.
    """
    ids = await work.rows(_CHAIN, {"bug_id": bug_id})
    locked = await lock_bugs(work, ids)
    return [locked[one] for one in ids]
