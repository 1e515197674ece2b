"""The tag of the ids in feeds."""

from __future__ import annotations

from datetime import date

from sqlalchemy import CheckConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.infra.db.models import Base


class FeedIdentity(Base):
    """One row, written when the first feed is read and never changed: ids in feeds are permanent (RFC 4287, 4.2.6).

    `authority` is the host of PUBLIC_URL at that time, and `since` the date, which a tag needs (RFC 4151).
    """

    __tablename__ = "feed_identity"
    __table_args__ = (CheckConstraint("is_only", name="there_is_one_row"),)

    is_only: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    authority: Mapped[str]
    since: Mapped[date] = mapped_column(server_default=text("CURRENT_DATE"))
