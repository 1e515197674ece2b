"""Writes the story to the board in one transaction: all of it, or nothing.

Everything goes through the services that requests use, so counters, search and history are correct. The
services write the current time; the times of the story are set after each call.
"""

from __future__ import annotations

import random
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update

from bugrelay.demo.story import Bug as StoryBug
from bugrelay.demo.story import Company as StoryCompany
from bugrelay.demo.story import Entry, Story, read_story
from bugrelay.demo.summary import Summary
from bugrelay.demo.work import CompanyAtWork, DatedUnitOfWork
from bugrelay.domain.accounts.models import User
from bugrelay.domain.accounts.repository import account_at
from bugrelay.domain.accounts.schemas import Register
from bugrelay.domain.accounts.service import create_user, hash_password
from bugrelay.domain.bugs.models import RESOLVED_STATUSES, Bug, Comment, StatusChange, Vote
from bugrelay.domain.bugs.schemas import ReportBug
from bugrelay.domain.bugs.service.comments import write_comment
from bugrelay.domain.bugs.service.reporting import report_bug
from bugrelay.domain.bugs.service.statuses import change_status
from bugrelay.domain.bugs.service.votes import vote_within
from bugrelay.domain.companies.repository import company_at_domain
from bugrelay.domain.companies.schemas import ChangeCompany
from bugrelay.domain.companies.service import add_trusted_member
from bugrelay.domain.companies.service.profile import change_company
from bugrelay.domain.events import missing
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.events import EventBus
from bugrelay.infra.platform import Platform
from bugrelay.infra.validation import read_fields
from bugrelay.infra.viewer import ANONYMOUS, Viewer

ADMIN = "demo.admin"
ADMIN_EMAIL = f"{ADMIN}@people.example"
RECENT = timedelta(days=30)  # board.md, "trending"
_REGISTERED = timedelta(days=95)
_MOST_EVENTS = 10_000  # of an application's bugs


async def fill(platform: Platform) -> Summary | None:
    """Write the story to the board; returns None if it is there already.

    Raises:
        EmailAlreadyExists, UsernameTaken: Another user has one of the demo's names.
    """
    story = read_story()
    password = secrets.token_urlsafe(12)
    password_hash = await hash_password(platform.passwords, password, email=ADMIN_EMAIL, username=ADMIN)
    # A separate bus: nobody is mailed about a bug of three months ago, and the event log is written when the times of
    # the story are set. Caches expire by themselves within a second.
    now = datetime.now(UTC)
    work = DatedUnitOfWork(platform.database, EventBus(), at=now)
    async with work:
        if await account_at(work, ADMIN_EMAIL) is not None:
            return None
        seed = _Seed(work, story, now, password_hash)
        await seed.run()
        at_work = CompanyAtWork(work, story, people=seed.people, storage=platform.storage, now=now)
        company = await at_work.run()
        await missing.list_since(work, now)
        await missing.record(work, most=len(story.applications) * _MOST_EVENTS)
    return Summary(
        bugs=len(seed.bugs),
        applications=len(story.applications),
        people=len(seed.people),
        votes=sum(bug.votes for _, bug in seed.bugs),
        comments=seed.comments,
        tickets=len(company.tickets),
        company=company.domain,
        reporter_email=story.addresses[company.reporters[0]],
        user_email=story.addresses[story.users[0]],
        member_email=story.addresses[story.companies[0].admin],
        admin_email=ADMIN_EMAIL,
        password=password,
    )


class _Seed:
    """The state of one run: the ids of users and bugs that were created."""

    def __init__(self, work: UnitOfWork, story: Story, now: datetime, password_hash: str) -> None:
        self.people: dict[str, UUID] = {}
        self.bugs: list[tuple[UUID, StoryBug]] = []
        self.comments = 0
        self._work = work
        self._story = story
        self._now = now
        self._password_hash = password_hash

    async def run(self) -> None:
        await self._register_people()
        await self._report_bugs()
        for company in self._story.companies:
            await self._establish(company)
        for bug_id, bug in self.bugs:
            await self._vote(bug_id, bug)
            for entry in sorted(bug.timeline, key=lambda entry: entry.after):
                await self._enter(bug_id, bug, entry)
            await self._date(bug_id, bug)

    async def _register_people(self) -> None:
        for name, email in (self._story.addresses | {ADMIN: ADMIN_EMAIL}).items():
            # The hash exists already; the rules of registration require the field.
            wanted = read_fields({"email": email, "username": name, "password": ""}, Register)
            user = await create_user(
                self._work, wanted, password_hash=self._password_hash, is_admin=name == ADMIN
            )
            self.people[name] = user.id
        since = self._now - _REGISTERED
        await self._set(
            User,
            User.id.in_(self.people.values()),
            created_at=since,
            updated_at=since,
            is_email_verified=True,
        )

    async def _report_bugs(self) -> None:
        for application in self._story.applications:
            for bug in application.bugs:
                fields = {
                    name: getattr(bug, name) for name in ReportBug.__struct_fields__ if hasattr(bug, name)
                }
                fields |= {"application_name": application.name, "application_url": application.url}
                viewer = Viewer(self.people[bug.reporter]) if bug.reporter else ANONYMOUS
                reported = await report_bug(self._work, viewer, read_fields(fields, ReportBug))
                self.bugs.append((reported.id, bug))

    async def _establish(self, company: StoryCompany) -> None:
        for name in company.people:
            await add_trusted_member(
                self._work,
                domain=company.domain,
                email=self._story.addresses[name],
                role="admin" if name == company.admin else "member",
            )
        made = await company_at_domain(self._work, company.domain)
        if made is None:
            raise RuntimeError(f"no bug made {company.domain}")
        change = ChangeCompany(name=company.name, description=company.description)
        await change_company(self._work, made.id, actor_id=self.people[company.admin], change=change)

    async def _vote(self, bug_id: UUID, bug: StoryBug) -> None:
        """The same voters vote at the same times of the bug's life in every run."""
        chance = random.Random(bug.title)  # noqa: S311 - believable, not secret
        age = timedelta(days=bug.days_ago)
        for name in chance.sample(self._story.users, bug.votes):
            await vote_within(self._work, bug_id, user_id=self.people[name], action="cast")
            # Most people vote soon after the report, or, where a bug is rising, just now.
            share = chance.random() ** (0.5 if bug.rising else 2)
            at = self._now - age + age * share
            mine = (Vote.bug_id == bug_id) & (Vote.user_id == self.people[name])
            await self._set(Vote, mine, created_at=at, is_recent=at > self._now - RECENT)

    async def _enter(self, bug_id: UUID, bug: StoryBug, entry: Entry) -> None:
        at = self._at(bug, entry)
        user_id = self.people[entry.by]
        if entry.text is not None:
            comment_id = await write_comment(self._work, bug_id, user_id=user_id, content=entry.text)
            await self._set(Comment, Comment.id == comment_id, created_at=at, updated_at=at)
            self.comments += 1
        if entry.status is not None:
            viewer = Viewer(user_id)
            await change_status(self._work, viewer, bug_id, user_id=user_id, status=entry.status)
            # now() is the start of this transaction, so it distinguishes the row just written from earlier ones.
            just_now = (StatusChange.bug_id == bug_id) & (StatusChange.at == func.now())
            await self._set(StatusChange, just_now, at=at)

    async def _date(self, bug_id: UUID, bug: StoryBug) -> None:
        """Set the times of the bug, and count its recent votes again, now that votes have their times."""
        created_at = self._now - timedelta(days=bug.days_ago)
        changes = [entry for entry in bug.timeline if entry.status is not None]
        last = max(changes, key=lambda entry: entry.after, default=None)
        updated_at = self._at(bug, last) if last else created_at
        recent = select(func.count()).where(Vote.bug_id == bug_id, Vote.is_recent, Vote.counted)
        await self._set(
            Bug,
            Bug.id == bug_id,
            created_at=created_at,
            updated_at=updated_at,
            resolved_at=updated_at if last and last.status in RESOLVED_STATUSES else None,
            recent_vote_count=recent.scalar_subquery(),
        )

    def _at(self, bug: StoryBug, entry: Entry) -> datetime:
        return self._now - timedelta(days=bug.days_ago - entry.after)

    async def _set(self, table: type[Any], where: Any, **values: Any) -> None:
        await self._work.session.execute(
            update(table).where(where).values(**values).execution_options(synchronize_session=False)
        )
