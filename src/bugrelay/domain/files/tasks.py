"""Sweeping of orphans: files that a server stored before it was killed, so that their rows were never committed.

Once an hour, jobs list the whole storage in the order of keys, one batch for each job. A file is deleted if it is hours
old, longer than any request takes, if its key has our form, and if no row of any table references it. Files in
`incoming/` never have such a row: they are deleted if they were not taken over within a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog

from bugrelay.domain.files.repository import unnamed_files
from bugrelay.domain.files.storage_keys import is_incoming_key, is_storage_key_of_ours
from bugrelay.infra.jobs.tasks import Periodic, Tasks
from bugrelay.infra.platform import Platform
from bugrelay.infra.storage.port import ListedFile, Storage

log = structlog.get_logger()

SWEEP_JOB = "files.sweep"
BATCH = 2000  # files listed by a job
UNNAMED_FOR = timedelta(hours=3)
UNFINISHED_FOR = timedelta(hours=22)  # sweeps are an hour apart, so files are deleted within a day
MAX_UNNAMED = 100  # more than that, and most of a batch: the files probably belong to another database


async def sweep_files(platform: Platform, *, after: str = "") -> None:
    """Delete orphans among the next batch of files after this key, and queue the job of the batch after it."""
    files = await _next_files(platform.storage, after)
    await _delete_unfinished(platform.storage, files)
    latest = datetime.now(UTC) - UNNAMED_FOR
    old = [file.key for file in files if file.modified_at < latest and is_storage_key_of_ours(file.key)]
    async with platform.work() as work:
        unnamed = await unnamed_files(work.session, old)
        if len(files) == BATCH:
            await platform.jobs.add(work.session, SWEEP_JOB, after=files[-1].key)
    if len(unnamed) > max(MAX_UNNAMED, len(old) // 2):
        log.error("most_files_unnamed", unnamed=len(unnamed), files=len(old))
        return
    for key in unnamed:
        await platform.storage.delete(key)
    if unnamed:
        log.info("unnamed_files_deleted", files=len(unnamed))


async def sweep_all_files(platform: Platform) -> None:
    """Delete old drafts, and sweep the first batch."""
    await platform.storage.drop_drafts()
    await sweep_files(platform)


async def _delete_unfinished(storage: Storage, files: Sequence[ListedFile]) -> None:
    latest = datetime.now(UTC) - UNFINISHED_FOR
    unfinished = [file.key for file in files if file.modified_at < latest and is_incoming_key(file.key)]
    for key in unfinished:
        await storage.delete(key)
    if unfinished:
        log.info("unfinished_uploads_deleted", files=len(unfinished))


async def _next_files(storage: Storage, after: str) -> list[ListedFile]:
    files: list[ListedFile] = []
    async for file in storage.listing(after=after):
        files.append(file)
        if len(files) == BATCH:
            break
    return files


TASKS = Tasks(
    by_name={SWEEP_JOB: sweep_files},
    periodic={"files.sweep_all": Periodic("41 * * * *", sweep_all_files)},
)
