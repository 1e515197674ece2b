"""The baseline: what a careful developer would write with FastAPI, SQLAlchemy's ORM and pydantic, on BugRelay's tables.

It is a fair comparison: the stored search documents, the counters and all indexes exist, connections are pooled, and
related rows are loaded well: `joinedload` for single rows, `selectinload` for collections. It has no rate limits, and
authenticates users by BugRelay's tokens. A search without a bug that has all words returns an empty page, which is less
work than BugRelay's fallback.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import httpx
import jwt
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ForeignKey, Select, Text, func, select
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR, insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, joinedload, mapped_column, relationship, selectinload

from bugrelay.infra.ids import new_id
from bugrelay.infra.security.tokens import AUDIENCE
from bugrelay.infra.text.markdown import render


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    username: Mapped[str]
    last_active_at: Mapped[datetime | None]


class Session(Base):
    __tablename__ = "sessions"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    ended_at: Mapped[datetime | None]


class CaptchaToken(Base):
    __tablename__ = "captcha_tokens"
    token_hash: Mapped[bytes] = mapped_column(primary_key=True)


class Company(Base):
    __tablename__ = "companies"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    domain: Mapped[str]
    verified: Mapped[bool]


class Application(Base):
    __tablename__ = "applications"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    name_key: Mapped[str]
    domain: Mapped[str]
    url: Mapped[str | None]
    company_id: Mapped[UUID | None]


class BugText(Base):
    __tablename__ = "bug_texts"
    bug_id: Mapped[UUID] = mapped_column(ForeignKey("bugs.id"), primary_key=True)
    description: Mapped[str]
    description_html: Mapped[str]
    app_version: Mapped[str | None]


class BugSearch(Base):
    __tablename__ = "bug_search"
    bug_id: Mapped[UUID] = mapped_column(ForeignKey("bugs.id"), primary_key=True)
    document: Mapped[Any] = mapped_column(TSVECTOR, deferred=True)


class Bug(Base):
    __tablename__ = "bugs"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str]
    status: Mapped[str]
    priority: Mapped[str]
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    application_id: Mapped[UUID] = mapped_column(ForeignKey("applications.id"))
    assigned_company_id: Mapped[UUID | None] = mapped_column(ForeignKey("companies.id"))
    reporter_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    vote_count: Mapped[int]
    recent_vote_count: Mapped[int]
    comment_count: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]
    merged_into_id: Mapped[UUID | None]

    text: Mapped[BugText] = relationship()
    application: Mapped[Application] = relationship()
    reporter: Mapped[User | None] = relationship()
    assigned_company: Mapped[Company | None] = relationship()
    comments: Mapped[list[Comment]] = relationship(order_by="Comment.created_at")
    attachments: Mapped[list[Attachment]] = relationship(order_by="Attachment.uploaded_at")

    @property
    def description(self) -> str:
        return self.text.description

    @property
    def description_html(self) -> str:
        return self.text.description_html


class Comment(Base):
    __tablename__ = "comments"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    bug_id: Mapped[UUID] = mapped_column(ForeignKey("bugs.id"))
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    content: Mapped[str]
    content_html: Mapped[str]
    is_company_response: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    edited_at: Mapped[datetime | None]
    user: Mapped[User | None] = relationship()


class Attachment(Base):
    __tablename__ = "attachments"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    bug_id: Mapped[UUID] = mapped_column(ForeignKey("bugs.id"))
    filename: Mapped[str]
    storage_key: Mapped[str]
    file_size: Mapped[int]
    mime_type: Mapped[str]
    uploaded_at: Mapped[datetime]


class Vote(Base):
    __tablename__ = "bug_votes"
    bug_id: Mapped[UUID] = mapped_column(ForeignKey("bugs.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)


class Wire(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ApplicationOut(Wire):
    id: UUID
    name: str
    url: str | None


class UserOut(Wire):
    id: UUID
    username: str


class CompanyOut(Wire):
    id: UUID
    name: str
    domain: str
    verified: bool


class BugOut(Wire):
    id: UUID
    title: str
    description: str
    description_html: str
    status: str
    priority: str
    tags: list[str]
    application_id: UUID
    reporter_id: UUID | None
    assigned_company_id: UUID | None
    vote_count: int
    comment_count: int
    created_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    application: ApplicationOut
    reporter: UserOut | None
    assigned_company: CompanyOut | None


class CommentOut(Wire):
    id: UUID
    bug_id: UUID
    user_id: UUID | None
    content: str
    content_html: str
    is_company_response: bool
    created_at: datetime
    updated_at: datetime
    edited_at: datetime | None
    user: UserOut | None


class AttachmentOut(Wire):
    id: UUID
    bug_id: UUID
    filename: str
    file_size: int
    mime_type: str
    uploaded_at: datetime


class BugDetailOut(BugOut):
    comments: list[CommentOut]
    attachments: list[AttachmentOut]


class PaginationOut(Wire):
    page: int
    limit: int
    total: int
    total_pages: int
    has_next: bool
    has_prev: bool


class BugListOut(Wire):
    bugs: list[BugOut]
    pagination: PaginationOut


engine = create_async_engine(os.environ["BASELINE_DATABASE_URL"], pool_size=12, max_overflow=0)
captcha = httpx.AsyncClient()
sessions = async_sessionmaker(engine, expire_on_commit=False)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


async def session() -> AsyncIterator[AsyncSession]:
    async with sessions() as opened:
        yield opened


RELATED = (
    joinedload(Bug.text, innerjoin=True),
    joinedload(Bug.application, innerjoin=True),
    joinedload(Bug.reporter),
    joinedload(Bug.assigned_company),
)
SHOWN_WITH_A_BUG = (selectinload(Bug.comments).joinedload(Comment.user), selectinload(Bug.attachments))
ORDERS = {
    "recent": (Bug.created_at.desc(), Bug.id.desc()),
    "oldest": (Bug.created_at, Bug.id),
    "popular": (Bug.vote_count.desc(), Bug.created_at.desc(), Bug.id.desc()),
}


class Filters(BaseModel):
    page: int = 1
    limit: int = 20
    search: str | None = None
    status: str | None = None
    priority: str | None = None
    tags: str | None = None
    application: str | None = None
    company: str | None = None
    sort: Literal["recent", "oldest", "popular", "relevance"] | None = None


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/api/v1/bugs", response_model=BugListOut)
async def list_bugs(
    filters: Annotated[Filters, Query()], database: Annotated[AsyncSession, Depends(session)]
) -> dict[str, Any]:
    wanted = _filtered(filters)
    total = await database.scalar(select(func.count()).select_from(wanted.subquery())) or 0
    page = wanted.order_by(*_order(filters)).offset((filters.page - 1) * filters.limit).limit(filters.limit)
    bugs = (await database.scalars(page.options(*RELATED))).all()
    pages = -(-total // filters.limit)
    pagination = {
        "page": filters.page,
        "limit": filters.limit,
        "total": total,
        "total_pages": pages,
        "has_next": filters.page < pages,
        "has_prev": filters.page > 1,
    }
    return {"bugs": bugs, "pagination": pagination}


@app.get("/api/v1/bugs/{bug_id}", response_model=BugDetailOut)
async def show(bug_id: UUID, database: Annotated[AsyncSession, Depends(session)]) -> Bug:
    bug = await database.scalar(select(Bug).where(Bug.id == bug_id).options(*RELATED, *SHOWN_WITH_A_BUG))
    if bug is None:
        raise HTTPException(404)
    return bug


def _filtered(filters: Filters) -> Select[Bug]:
    wanted = select(Bug).where(Bug.removed_at.is_(None), Bug.merged_into_id.is_(None))
    if filters.status:
        wanted = wanted.where(Bug.status == filters.status)
    if filters.priority:
        wanted = wanted.where(Bug.priority == filters.priority)
    if filters.tags:
        wanted = wanted.where(Bug.tags.contains(filters.tags.split(",")))
    if filters.application:
        wanted = wanted.join(Bug.application).where(
            Application.name_key.like(f"%{filters.application.lower()}%")
        )
    if filters.company:
        wanted = wanted.join(Bug.assigned_company).where(
            func.lower(Company.name).like(f"%{filters.company.lower()}%")
        )
    if filters.search:
        wanted = wanted.join(BugSearch, BugSearch.bug_id == Bug.id).where(
            BugSearch.document.op("@@")(_query(filters.search))
        )
    return wanted


def _query(search: str) -> Any:
    return func.websearch_to_tsquery("bugrelay", search)


def _order(filters: Filters) -> tuple[Any, ...]:
    sort = filters.sort or ("relevance" if filters.search else "recent")
    if sort == "relevance" and filters.search:
        rank = func.ts_rank_cd(BugSearch.document, _query(filters.search))
        return (rank.desc(), *ORDERS["recent"])
    return ORDERS["recent" if sort == "relevance" else sort]


# --- writes -----------------------------------------------------------------------------------------------------------


class Report(BaseModel):
    title: Annotated[str, Field(min_length=5, max_length=255)]
    description: Annotated[str, Field(min_length=10, max_length=5000)]
    application_name: Annotated[str, Field(min_length=1, max_length=255)]
    tags: list[str] = []
    priority: Literal["low", "medium", "high", "critical"] = "medium"
    app_version: str | None = None
    recaptcha_token: str | None = None


async def viewer(request: Request, database: Annotated[AsyncSession, Depends(session)]) -> User | None:
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not token:
        return None
    try:
        claims = jwt.decode(token, os.environ["BASELINE_KEY"], algorithms=["HS256"], audience=AUDIENCE)
    except jwt.PyJWTError as error:
        raise HTTPException(401) from error
    signed_in = select(User).join(Session, Session.user_id == User.id)
    user = await database.scalar(
        signed_in.where(Session.id == UUID(claims["sid"]), Session.ended_at.is_(None))
    )
    if user is None:
        raise HTTPException(401)
    return user


@app.post("/api/v1/bugs", response_model=BugOut, status_code=201)
async def report(
    wanted: Report,
    database: Annotated[AsyncSession, Depends(session)],
    reporter: Annotated[User | None, Depends(viewer)],
) -> Bug:
    if reporter is None:
        await _spend_captcha(wanted.recaptcha_token or "", database)
    else:
        reporter.last_active_at = datetime.now(UTC)
    application = await _application(wanted.application_name, database)
    now = datetime.now(UTC)
    bug = Bug(
        id=new_id(),
        title=wanted.title,
        status="open",
        priority=wanted.priority,
        tags=wanted.tags,
        application_id=application.id,
        assigned_company_id=application.company_id,
        reporter_id=reporter.id if reporter else None,
        vote_count=0,
        recent_vote_count=0,
        comment_count=0,
        created_at=now,
        updated_at=now,
    )
    bug.text = BugText(
        description=wanted.description,
        description_html=render(wanted.description),
        app_version=wanted.app_version,
    )
    database.add(bug)
    await database.commit()
    await database.refresh(bug, ["application", "reporter", "assigned_company"])
    return bug


async def _spend_captcha(token: str, database: AsyncSession) -> None:
    asked = await captcha.post(os.environ["RECAPTCHA_VERIFY_URL"], data={"secret": "", "response": token})
    if not asked.json()["success"]:
        raise HTTPException(400)
    database.add(CaptchaToken(token_hash=hashlib.sha256(token.encode()).digest()))


async def _application(name: str, database: AsyncSession) -> Application:
    named = select(Application).where(Application.name_key == name.casefold(), Application.domain == "")
    found = await database.scalar(named.with_for_update(read=True))
    if found is None:
        made = insert(Application).values(id=new_id(), name=name, name_key=name.casefold(), domain="")
        await database.execute(made.on_conflict_do_nothing())
        found = (await database.scalars(named)).one()
    return found


@app.post("/api/v1/bugs/{bug_id}/vote")
async def toggle_vote(
    bug_id: UUID,
    database: Annotated[AsyncSession, Depends(session)],
    voter: Annotated[User | None, Depends(viewer)],
) -> dict[str, Any]:
    if voter is None:
        raise HTTPException(401)
    bug = await database.scalar(select(Bug).where(Bug.id == bug_id).with_for_update())
    if bug is None:
        raise HTTPException(404)
    vote = await database.get(Vote, (bug_id, voter.id))
    step = 1 if vote is None else -1
    if vote is None:
        database.add(Vote(bug_id=bug_id, user_id=voter.id))
    else:
        await database.delete(vote)
    bug.vote_count += step
    bug.recent_vote_count += step
    voter.last_active_at = datetime.now(UTC)
    await database.commit()
    return {"voted": vote is None, "vote_count": bug.vote_count}
