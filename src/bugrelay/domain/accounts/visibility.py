"""What of accounts a viewer may see: one condition for lists, details, counts and changes.

A user's id and name are public (domain/profiles shows more); their address, sessions and links are visible to them
alone. Their data export has all that is stored, whatever its state.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, and_, func

from bugrelay.domain.accounts.models import Session, User

# Hides erased accounts from every lookup by id, name or address; their texts stay, by "deleted user". Statements also
# need this condition to use the unique indexes, which are partial.
EXISTING = User.erased_at.is_(None)


def sessions_visible_to(
    user_id: UUID | BindParameter[Any], *, life: timedelta | BindParameter[Any]
) -> ColumnElement[bool]:
    """The viewer's own sessions that can be continued.

    Args:
        user_id: The viewer.
        life: The lifetime of a refresh token: a session that was not used for that time cannot be refreshed.
    """
    return and_(
        Session.user_id == user_id, Session.ended_at.is_(None), Session.last_used_at > func.now() - life
    )
