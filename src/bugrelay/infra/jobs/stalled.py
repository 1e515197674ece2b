"""Stalled jobs, whose worker was killed or whose outcome was lost, are requeued."""

from __future__ import annotations

import asyncio

import structlog
from procrastinate import App
from procrastinate.exceptions import ConnectorException

from bugrelay.infra.jobs import execution, queue

log = structlog.get_logger()

GRACE_SECONDS = 30  # for stopping a job and writing its outcome

# A killed worker has an old heartbeat, or no row. A job that has run for longer than the deadline, under a living
# worker, has lost its outcome: the database was down when it was to be written. Periodic tasks, which have a queueing
# lock, are not requeued, since they run again anyway.
_REQUEUE = """
UPDATE procrastinate_jobs AS stalled
SET status = CASE WHEN queueing_lock IS NULL THEN 'todo' ELSE 'failed' END::procrastinate_job_status,
    attempts = attempts + 1,
    scheduled_at = now()
WHERE id IN (
    SELECT job.id
    FROM procrastinate_jobs AS job
    LEFT JOIN procrastinate_workers AS worker ON worker.id = job.worker_id
    WHERE job.status = 'doing'
      AND (
        worker.id IS NULL
        OR worker.last_heartbeat < now() - make_interval(secs => %(silent)s)
        OR (SELECT max(at) FROM procrastinate_events WHERE job_id = job.id AND type = 'started')
            < now() - make_interval(secs => %(longest)s)
      )
    FOR UPDATE OF job SKIP LOCKED
)
RETURNING id, task_name
"""


async def requeue_stalled(app: App) -> None:
    """Requeue stalled jobs, in an endless loop.

    It is not a job itself, as it must run while all slots of the queue are taken.
    """
    limits = {"silent": queue.SILENT_SECONDS, "longest": execution.JOB_SECONDS + GRACE_SECONDS}
    while True:
        await asyncio.sleep(queue.SILENT_SECONDS / 4)
        try:
            for job in await app.connector.execute_query_all_async(_REQUEUE, **limits):
                log.info("job_requeued", task=job["task_name"], job=job["id"])
        except ConnectorException as error:  # the database may be down; the next round tries again
            log.warning("requeue_failed", cause=repr(error.__cause__)[:300])
