"""Identifiers: UUID version 7. Made here, so that PostgreSQL 15 to 18 all serve; in order of time, so that indexes
stay dense.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import uuid_utils
from uuid_utils.compat import uuid7

__all__ = ["UUID", "lowest_id_of", "new_id", "new_id_text", "parse_id"]


def new_id() -> UUID:
    """A fresh UUIDv7."""
    return uuid7()


def new_id_text() -> str:
    """A fresh UUIDv7 as text, for what is only written down: a tenth of the way through `UUID`."""
    return str(uuid_utils.uuid7())


def parse_id(text: str) -> UUID | None:
    """The UUID written in `text` in its canonical 36 characters (any case), else None."""
    if len(text) != 36:  # noqa: PLR2004 - UUID() also takes braces, URNs and bare hex; the contract does not
        return None
    try:
        return UUID(text)
    except ValueError:
        return None


def lowest_id_of(moment: datetime) -> UUID:
    """No id that was made at this moment or later comes before it."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)
