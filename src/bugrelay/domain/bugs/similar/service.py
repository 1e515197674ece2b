"""Find possible duplicates of a report, or of another bug."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from bugrelay.domain.bugs.errors import BugNotFound
from bugrelay.domain.bugs.repository import item_of
from bugrelay.domain.bugs.schemas import BugItem
from bugrelay.domain.bugs.similar import statements
from bugrelay.domain.bugs.similar.finder import Match, find_matches
from bugrelay.domain.bugs.similar.query import Question
from bugrelay.domain.bugs.similar.schemas import (
    DEFAULT_LIMIT,
    FindSimilar,
    SimilarBug,
    SimilarList,
    Via,
    Why,
)
from bugrelay.infra.db.database import Connection
from bugrelay.infra.text.names import name_key
from bugrelay.infra.threads import BoundedThreads


async def similar_to_text(reader: Connection, threads: BoundedThreads, wanted: FindSimilar) -> SimilarList:
    """Possible duplicates of a report that is being typed, best first."""
    now = datetime.now(UTC)
    async with reader.snapshot():
        question = Question(
            title=wanted.title,
            description=wanted.description or "",
            application_ids=await _applications(reader, wanted),
            at=now,
            until=now,
        )
        limit = wanted.limit or DEFAULT_LIMIT
        return await _shown(reader, await find_matches(reader, threads, question, limit=limit))


async def similar_to_bug(
    reader: Connection, threads: BoundedThreads, bug_id: UUID, *, limit: int
) -> SimilarList:
    """Possible duplicates of an existing bug, older or newer, without the bug itself and what was merged into it.

    Raises:
        BugNotFound
    """
    async with reader.snapshot():
        bug = await reader.row(statements.BUG, {"bug_id": bug_id})
        if bug is None:
            raise BugNotFound
        question = Question(
            title=bug.title,
            description=bug.description,
            application_ids=frozenset({bug.application_id}),
            at=bug.created_at,
            until=datetime.now(UTC),
            bug_id=bug_id,
        )
        return await _shown(reader, await find_matches(reader, threads, question, limit=limit))


async def _applications(reader: Connection, wanted: FindSimilar) -> frozenset[str]:
    """The ids of the report's application, as text; several if it is named, and others have that name, too."""
    if wanted.application_id is not None:
        return frozenset({str(wanted.application_id)})
    if wanted.application_name is None:
        return frozenset()
    values = {"name_key": name_key(wanted.application_name)}
    return frozenset(await reader.rows(statements.APPLICATIONS_NAMED, values))


async def _shown(reader: Connection, matches: list[Match]) -> SimilarList:
    ids = ",".join(match.bug_id for match in matches)
    rows = await reader.rows(statements.SHOWN, {"ids": f"{{{ids}}}"}) if matches else ()
    items = {str(item.id): item for item in map(item_of, rows)}
    return SimilarList([_similar_bug(match, items[match.bug_id]) for match in matches])


def _similar_bug(match: Match, bug: BugItem) -> SimilarBug:
    merged = match.matched_id != match.bug_id
    return SimilarBug(
        bug=bug,
        score=round(match.score, 2),
        why=Why(list(match.words), match.same_application, round(match.title_similarity, 2)),
        via=Via(UUID(match.matched_id), match.matched_title) if merged else None,
    )
