"""The SELECT of imports."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ARRAY, Text, any_, bindparam, select

from bugrelay.domain.bugs.models import Bug
from bugrelay.infra.db.query import Query, Reader

_KNOWN = Query(
    select(Bug.external_id).where(Bug.external_id == any_(bindparam("external_ids", type_=ARRAY(Text)))), str
)


async def known_external_ids(reader: Reader, external_ids: Sequence[str]) -> set[str]:
    """Those of the ids that bugs have already, removed bugs included, so that these are not imported again."""
    return set(await reader.rows(_KNOWN, {"external_ids": list(external_ids)}))
