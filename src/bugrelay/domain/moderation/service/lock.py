"""Acts that move many rows come one after the other, so that none of them sees another half-way."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import text

from bugrelay.domain.accounts.service import lock_active_user
from bugrelay.infra.db.unit_of_work import UnitOfWork

# The key is any fixed number. Merges, removals and bans are rare; in their turn, which bugs are merged where stands
# still, and so does which votes a user has, once that user's row is locked: so all bugs that an act touches can be
# locked in the order of their ids.
_LOCK = text("SELECT pg_advisory_xact_lock(7203472)")


async def acquire_moderation_lock(work: UnitOfWork) -> None:
    """Wait until every act before this one has ended; comes before any row is locked."""
    await work.session.execute(_LOCK)


async def begin_act(work: UnitOfWork, admin_id: UUID) -> None:
    """Take the turn and lock the acting admin's row.

    Raises:
        AccountBanned
    """
    await acquire_moderation_lock(work)
    await lock_active_user(work, admin_id)
