"""What of accounts a viewer may see: the one statement for lists, details, counts and changes.

A user is public by id and name (domain/profiles shows more), but their address, sessions and links are their own. The
export gives them all that is stored, whatever its state.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, and_, func

from bugrelay.domain.accounts.models import Session, User

# An erased account is found by nobody, by id, name or address; what was written stays, under "deleted user". Without
# this condition the unique indexes could not be used, either.
EXISTING = User.erased_at.is_(None)


def sessions_visible_to(
    user_id: UUID | BindParameter[Any], *, life: timedelta | BindParameter[Any]
) -> ColumnElement[bool]:
    """A user's own sessions that can go on.

    Args:
        user_id: Who looks.
        life: Of a refresh token: a session that was not used for as long cannot be renewed.
    """
    return and_(
        Session.user_id == user_id, Session.ended_at.is_(None), Session.last_used_at > func.now() - life
    )
