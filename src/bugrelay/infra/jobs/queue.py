"""Jobs: a job is a row in the transaction of the change that asks for it, so neither is kept without the other.

procrastinate on the same PostgreSQL (docs/adr/0007). A server process only adds rows; `bugrelay worker` runs them, at
least once each: a job that was cut off by a kill is requeued and runs again, so jobs are written to be repeated.
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

# Mails have slots of their own: while the mail server hangs, everything else goes on. Notices have theirs beside them:
# however many there are, nobody waits behind them for a mail that they asked for.
DEFAULT_QUEUE, MAIL_QUEUE, NOTICE_QUEUE = "default", "mail", "notices"
REQUEST_ID = "request_id"  # the argument that is for the log, and that no task is called with
SILENT_SECONDS = 10.0  # a worker that has been silent for so long counts as gone

_SERVED = Query(
    text(
        "SELECT FROM procrastinate_workers"
        f" WHERE last_heartbeat > now() - interval '{SILENT_SECONDS:g} seconds' LIMIT 1"
    )
)


class JobQueue:
    """Adds jobs. The queue's own pool is never opened here: rows go through the caller's connection."""

    def __init__(self, database_url: str) -> None:
        self._app = App(connector=PsycopgConnector(conninfo=libpq_url(database_url)))

    async def add(
        self, session: AsyncSession, name: str, *, queue: str = DEFAULT_QUEUE, **arguments: Any
    ) -> None:
        """Add a job in the session's transaction.

        Args:
            session: Whose transaction.
            name: Of the task.
            queue: `MAIL_QUEUE` for what sends a mail that somebody waits for, `NOTICE_QUEUE` for mails of notices.
            arguments: JSON, without secrets and addresses. The id of the request that asks goes with them, for the log.

        Raises:
            psycopg.Error: The database did not take it; the unit of work knows what that means.
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
        """Whether a worker was there a moment ago: one that would begin with a new job at once."""
        return await reader.row(_SERVED) is not None
