"""Re-encryption of a table's secrets with the newest key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import update

from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.security.encryption import Encryption, SecretUnreadable

_ROWS_AT_ONCE = 200
_FIRST_ID = UUID(int=0)

log = structlog.get_logger()


async def reencrypt_rows(
    work: Callable[[], UnitOfWork],
    table: Any,
    *,
    encryption: Encryption,
    lock_after: Callable[..., Awaitable[Sequence[Any]]],
    columns_of: Callable[[Any], Mapping[str, tuple[bytes | None, str]]],
) -> None:
    """Re-encrypt the secrets of all rows that have a former key; logs how many rows were changed, and how many remain
    because no key decrypts them.

    Args:
        work: Makes a unit of work, one for each batch of rows.
        table: The model.
        encryption: The keys.
        lock_after: Locks and returns the next `limit` rows after an id, in the order of their ids.
        columns_of: The encrypted columns of such a row, each with its ciphertext or None, and its purpose.
    """
    changed = remaining = 0
    after, rows = _FIRST_ID, _ROWS_AT_ONCE
    while rows == _ROWS_AT_ONCE:
        async with work() as unit:
            found = await lock_after(unit, after, limit=_ROWS_AT_ONCE)
            for row in found:
                try:
                    values = encryption.renewed(columns_of(row), row_id=row.id)
                except SecretUnreadable:
                    remaining += 1
                    continue
                if values:
                    changing = update(table).where(table.id == row.id).values(**values)
                    await unit.session.execute(changing.execution_options(synchronize_session=False))
                    changed += 1
        rows, after = len(found), found[-1].id if found else after
    if changed or remaining:
        log.warning("secrets_reencrypted", changed=changed, remain=remaining)
