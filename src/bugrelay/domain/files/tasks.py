"""Files that no row names: what a server left that was killed between storing a file and committing its row.

A worker walks through storage once an hour, a batch a job, in the order of keys. A file is deleted when it is hours
old, which no request lives, when its name is one that we make, and when no row of any table names it. What lies in
`incoming/` is never named: it goes when nobody took it over for a day.
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
BATCH = 2000  # files a job
UNNAMED_FOR = timedelta(hours=3)
UNFINISHED_FOR = timedelta(hours=22)  # and the walks are an hour apart: gone within a day
MAX_UNNAMED = 100  # of a batch, when they are most of it: then the files belong to another database


async def sweep_files(platform: Platform, *, after: str = "") -> None:
    """Delete what nobody names of the files whose keys come after this one; a job does the next batch."""
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
    """The first batch of a walk through all files."""
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
