"""The name under which this board makes the ids of its feeds."""

from __future__ import annotations

from datetime import date

from sqlalchemy import CheckConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from bugrelay.infra.db.models import Base


class FeedIdentity(Base):
    """One row, made when the first feed is read and never changed: ids in feeds are for good (RFC 4287, 4.2.6).

    `authority` is the host that PUBLIC_URL had then, and `since` the day, as RFC 4151 asks of a tag.
    """

    __tablename__ = "feed_identity"
    __table_args__ = (CheckConstraint("is_only", name="there_is_one_row"),)

    is_only: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    authority: Mapped[str]
    since: Mapped[date] = mapped_column(server_default=text("CURRENT_DATE"))
