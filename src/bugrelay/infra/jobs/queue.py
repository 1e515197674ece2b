"""The job queue: a job is a row in the transaction of the change that adds it, so both are committed or neither.

It is procrastinate on the same PostgreSQL (docs/adr/0007). Server processes only add rows; `bugrelay worker` runs them,
at least once each: a job that was interrupted by a kill is requeued and runs again, so jobs are idempotent.
"""

from __future__ import annotations

from typing import Any

import psycopg
import structlog
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from bugrelay.infra.db.database import Query, Reader, driver_connection, libpq_url

# Mails have separate slots (a bulkhead): while the mail server hangs, other jobs continue. Mails of notices have a
# third queue: however many there are, they do not delay mails that a user is waiting for.
DEFAULT_QUEUE, MAIL_QUEUE, NOTICE_QUEUE = "default", "mail", "notices"
REQUEST_ID = "request_id"  # an argument for the log, which is not passed to the task
SILENT_SECONDS = 10.0  # without a heartbeat, after which a worker counts as lost

_SERVED = Query(
    text(
        "SELECT FROM procrastinate_workers"
        f" WHERE last_heartbeat > now() - interval '{SILENT_SECONDS:g} seconds' LIMIT 1"
    )
)


class JobQueue:
    """Adds jobs, on the caller's connection; the queue's own pool is never opened here."""

    def __init__(self, database_url: str) -> None:
        self._app = App(connector=PsycopgConnector(conninfo=libpq_url(database_url)))

    async def add(
        self, session: AsyncSession, name: str, *, queue: str = DEFAULT_QUEUE, **arguments: Any
    ) -> None:
        """Add a job in the session's transaction.

        Args:
            session: The session of the transaction.
            name: The name of the task.
            queue: `MAIL_QUEUE` for mails that a user is waiting for, `NOTICE_QUEUE` for mails of notices.
            arguments: JSON values, without secrets and addresses. The id of the current request is added, for the log.

        Raises:
            psycopg.Error: The INSERT failed; the unit of work translates the error.
        """
        await session.flush()
        connection = await driver_connection(session)
        job = self._app.configure_task(name, queue=queue, connection=connection)
        request_id = structlog.contextvars.get_contextvars().get("request_id")
        if request_id is not None:
            arguments[REQUEST_ID] = request_id
        try:
            await job.defer_async(**arguments)
        except ConnectorException as error:
            if isinstance(error.__cause__, psycopg.Error):
                raise error.__cause__ from None
            raise

    async def is_served(self, reader: Reader) -> bool:
        """Whether a worker has had a heartbeat within `SILENT_SECONDS`, so that it would start a new job at once."""
        return await reader.row(_SERVED) is not None
