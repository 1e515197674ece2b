"""`bugrelay check`: compares denormalised values with the rows that they come from.

Counters, copies, search documents, references and stored files are kept consistent by constraints, triggers and
transactions; this checks that they are, after a restore or a fault. It reads one snapshot of the database, so it can
run beside a busy server, on a separate connection without the deadline of requests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
from psycopg.rows import scalar_row

from bugrelay.infra.db.database import translated
from bugrelay.infra.platform import Platform
from bugrelay.integrity_check.connection import open_snapshot, rows_of
from bugrelay.integrity_check.files import wrong_files
from bugrelay.integrity_check.references import broken_references
from bugrelay.integrity_check.statements import CHECKS


async def problems(platform: Platform) -> AsyncIterator[str]:
    """Each problem as a sentence, as it is found.

    Raises:
        ServiceUnavailable: PostgreSQL or the storage does not answer.
    """
    try:
        async with open_snapshot(platform) as connection:
            for statement in CHECKS:
                async for problem in rows_of(connection, statement, scalar_row):
                    yield problem
            async for problem in broken_references(connection):
                yield problem
            async for problem in wrong_files(connection, platform):
                yield problem
    except psycopg.Error as error:
        raise translated(error) from error
