"""Random histories: to merge and to unmerge is as if the merge had never been, and counters are true after each.

Each history is lived twice, by twins of the same people and bugs: once in full, once without the merges that were
undone later. At the end both boards look the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bugrelay.domain.bugs.errors import BugNotFound, CommentNotFound
from bugrelay.domain.bugs.service.attachments import attach, detach
from bugrelay.domain.bugs.service.comments import withdraw_comment, write_comment
from bugrelay.domain.bugs.service.votes import vote_within
from bugrelay.domain.files.errors import AttachmentNotFound
from bugrelay.domain.files.schemas import NewFile
from bugrelay.domain.moderation import errors
from bugrelay.domain.moderation.service.bans import ban_user, unban_user
from bugrelay.domain.moderation.service.merging import merge_bugs, unmerge_bug
from bugrelay.domain.moderation.service.removal import (
    remove_bug,
    remove_comment,
    restore_bug,
    restore_comment,
)
from bugrelay.errors import AccountBanned
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.platform import Platform
from tests.api.v1.moderation.acts import Sql, found_problems
from tests.examples import examples
from tests.factories import put_application, put_bug

BUGS, PEOPLE, THINGS = 4, 3, 6
REFUSALS = (
    AccountBanned, AttachmentNotFound, BugNotFound, CommentNotFound, errors.AlreadyRemoved, errors.BugNotDeleted,
    errors.CommentNotDeleted, errors.InvalidMerge, errors.NotMerged, errors.SourceBugNotFound,
    errors.TargetBugNotFound,
)  # fmt: skip

Step = tuple[Any, ...]
_bug, _person, _thing = (st.integers(0, most - 1) for most in (BUGS, PEOPLE, THINGS))
HISTORIES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["cast", "withdraw", "toggle", "comment", "attach"]), _person, _bug),
        st.tuples(st.sampled_from(["merge"]), _bug, _bug),
        st.tuples(st.sampled_from(["merge"]), _bug, _bug),
        st.tuples(st.sampled_from(["unmerge", "unmerge", "remove", "restore"]), _bug),
        st.tuples(st.sampled_from(["ban", "unban"]), _person),
        st.tuples(st.sampled_from(["take back", "remove comment", "restore comment", "detach"]), _thing),
    ),
    min_size=4,
    max_size=24,
)


class Board:
    """A few bugs and people of its own, and what happened to them."""

    def __init__(self, platform: Platform, sql: Sql) -> None:
        self._platform = platform
        self._sql = sql
        self.admin = self._person(is_admin=True)
        self.people = [self._person() for _ in range(PEOPLE)]
        application = put_application(sql, f"app {uuid4()}")
        self.bugs = [UUID(put_bug(sql, application, title=f"Bug {i}")) for i in range(BUGS)]
        self._comments: list[tuple[UUID, UUID]] = []
        self._pictures: list[UUID] = []

    def _person(self, *, is_admin: bool = False) -> UUID:
        person = uuid4()
        self._sql.execute(
            "INSERT INTO users (id, email, email_key, username, is_admin) VALUES (%s, %s, %s, %s, %s)",
            (person, f"{person}@x.example", f"{person}@x.example", str(person), is_admin),
        )
        return person

    async def live(self, step: Step) -> Step | None:
        """Do it; gives what was done, or None where it was refused."""
        kind, *rest = step
        try:
            async with self._platform.work() as work:
                return await getattr(self, f"_{kind.replace(' ', '_')}")(work, *rest) or step
        except REFUSALS:
            return None

    async def _cast(self, work: UnitOfWork, person: int, bug: int) -> None:
        await vote_within(work, self.bugs[bug], user_id=self.people[person], action="cast")

    async def _withdraw(self, work: UnitOfWork, person: int, bug: int) -> None:
        await vote_within(work, self.bugs[bug], user_id=self.people[person], action="withdraw")

    async def _toggle(self, work: UnitOfWork, person: int, bug: int) -> Step:
        """What it came to: with another merge before it, a toggle would mean the opposite."""
        outcome = await vote_within(work, self.bugs[bug], user_id=self.people[person], action="toggle")
        return ("cast" if outcome.voted else "withdraw", person, bug)

    async def _comment(self, work: UnitOfWork, person: int, bug: int) -> None:
        author = self.people[person]
        content = f"comment {len(self._comments)}"
        comment_id = await write_comment(work, self.bugs[bug], user_id=author, content=content)
        self._comments.append((comment_id, author))

    async def _attach(self, work: UnitOfWork, person: int, bug: int) -> None:
        name = f"picture {len(self._pictures)}"
        file = NewFile(str(uuid4()), size_bytes=0, mime_type="image/png")
        self._pictures.append(
            await attach(
                work,
                self.bugs[bug],
                user_id=self.people[person],
                filename=name,
                file=file,
            )
        )

    async def _take_back(self, work: UnitOfWork, thing: int) -> None:
        comment_id, author = self._thing(self._comments, thing)
        await withdraw_comment(work, comment_id, user_id=author)

    async def _remove_comment(self, work: UnitOfWork, thing: int) -> None:
        await remove_comment(work, self.admin, self._thing(self._comments, thing)[0], reason="test")

    async def _restore_comment(self, work: UnitOfWork, thing: int) -> None:
        await restore_comment(work, self.admin, self._thing(self._comments, thing)[0], reason="test")

    async def _detach(self, work: UnitOfWork, thing: int) -> None:
        """By whichever bug shows the picture."""
        picture = self._thing(self._pictures, thing)
        row = self._sql.execute(
            "SELECT bug_id FROM attachments a JOIN bugs b ON b.id = bug_id WHERE a.id = %s AND removed_at IS NULL",
            (picture,),
        ).fetchone()
        if row is None:
            raise AttachmentNotFound
        await detach(work, row[0], picture, user_id=self.admin)

    @staticmethod
    def _thing(things: list[Any], place: int) -> Any:
        if place >= len(things):
            raise CommentNotFound
        return things[place]

    async def _merge(self, work: UnitOfWork, source: int, target: int) -> None:
        await merge_bugs(
            work, self.admin, source_id=self.bugs[source], target_id=self.bugs[target], reason="test"
        )

    async def _unmerge(self, work: UnitOfWork, bug: int) -> None:
        await unmerge_bug(work, self.admin, self.bugs[bug], reason="test")

    async def _remove(self, work: UnitOfWork, bug: int) -> None:
        await remove_bug(work, self.admin, self.bugs[bug], reason="test")

    async def _restore(self, work: UnitOfWork, bug: int) -> None:
        await restore_bug(work, self.admin, self.bugs[bug])

    async def _ban(self, work: UnitOfWork, person: int) -> None:
        await ban_user(work, self.admin, self.people[person], reason="test", until=None)

    async def _unban(self, work: UnitOfWork, person: int) -> None:
        await unban_user(work, self.admin, self.people[person], reason="test")

    def looks(self) -> list[Any]:
        """All that can be seen of each bug, by names that twins share."""
        return [self._look(bug) for bug in self.bugs]

    def _look(self, bug: UUID) -> dict[str, Any]:
        rows = {
            "counters": self._rows(
                "SELECT vote_count, recent_vote_count, comment_count FROM bugs WHERE id = %s", bug
            ),
            "removed": self._rows("SELECT removed_at IS NOT NULL FROM bugs WHERE id = %s", bug),
            "merged": self._rows("SELECT merged_into_id FROM bugs WHERE id = %s", bug),
            "votes": self._rows(
                "SELECT user_id, merged_from_id, counted FROM bug_votes WHERE bug_id = %s", bug
            ),
            "comments": self._rows(
                "SELECT content, origin_bug_id FROM comments"
                " WHERE bug_id = %s AND removed_at IS NULL AND user_id IS NOT NULL",
                bug,
            ),
            "notes": self._rows(
                "SELECT count(*) FROM comments WHERE bug_id = %s AND removed_at IS NULL AND user_id IS NULL",
                bug,
            ),
            "pictures": self._rows("SELECT filename, origin_bug_id FROM attachments WHERE bug_id = %s", bug),
        }
        return {name: sorted(self._named(row) for row in found) for name, found in rows.items()}

    def _rows(self, statement: str, bug: UUID) -> list[tuple[Any, ...]]:
        return self._sql.execute(statement, (bug,)).fetchall()

    def _named(self, row: tuple[Any, ...]) -> tuple[str, ...]:
        names = {bug: f"bug {i}" for i, bug in enumerate(self.bugs)}
        names |= {person: f"person {i}" for i, person in enumerate(self.people)}
        return tuple(names.get(value, str(value)) for value in row)


def without_undone_merges(history: list[Step]) -> Iterator[Step]:
    """The history as if what was unmerged had never been merged."""
    undone: set[int] = set()
    merged_at: dict[int, int] = {}
    for place, (kind, bug, *_) in enumerate(history):
        if kind == "merge":
            merged_at[bug] = place
        elif kind == "unmerge":
            undone |= {merged_at[bug], place}
    return (step for place, step in enumerate(history) if place not in undone)


WITHDRAWN_BETWEEN_TWO_MERGES: list[Step] = [
    ("cast", 0, 1), ("cast", 0, 2), ("merge", 1, 0), ("withdraw", 0, 0), ("merge", 2, 0), ("unmerge", 2),
]  # fmt: skip
INHERITED_THROUGH_A_CHAIN: list[Step] = [
    ("cast", 0, 0), ("cast", 0, 2), ("cast", 0, 3), ("merge", 0, 1), ("merge", 2, 1), ("merge", 1, 3), ("unmerge", 0),
]  # fmt: skip
UNMERGED_BELOW: list[Step] = [
    ("cast", 0, 0), ("cast", 1, 1), ("comment", 2, 1), ("merge", 0, 1), ("merge", 1, 2), ("unmerge", 0),
]  # fmt: skip
REMOVED_WHILE_MERGED: list[Step] = [
    ("comment", 0, 0), ("attach", 1, 1), ("merge", 0, 1), ("merge", 1, 2), ("remove", 1), ("unmerge", 0), ("restore", 1),
]  # fmt: skip


@settings(max_examples=examples(25), suppress_health_check=list(HealthCheck))
@example(WITHDRAWN_BETWEEN_TWO_MERGES)
@example(INHERITED_THROUGH_A_CHAIN)
@example(UNMERGED_BELOW)
@example(REMOVED_WHILE_MERGED)
@given(HISTORIES)
async def test_an_undone_merge_leaves_no_trace(platform: Platform, sql: Sql, history: list[Step]) -> None:
    board, twin = Board(platform, sql), Board(platform, sql)
    done = [step for step in [await board.live(step) for step in history] if step is not None]
    assert await found_problems(platform, files=False) == []
    for step in without_undone_merges(done):
        assert await twin.live(step) == step
    assert twin.looks() == board.looks()


@pytest.mark.parametrize("undo", [True, False])
async def test_the_histories_can_tell(platform: Platform, sql: Sql, undo: bool) -> None:
    """The comparison sees a merge that was not undone."""
    board, twin = Board(platform, sql), Board(platform, sql)
    steps: list[Step] = [("cast", 0, 0), ("comment", 1, 0), ("merge", 0, 1)]
    for step in [*steps, ("unmerge", 0)] if undo else steps:
        assert await board.live(step) == step
    for step in steps[:2]:
        assert await twin.live(step) == step
    assert (twin.looks() == board.looks()) is undo
