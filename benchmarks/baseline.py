"""What a careful user would otherwise write: FastAPI, SQLAlchemy's ORM and pydantic, on BugRelay's tables and indexes.

No straw man: the stored search documents, the counters and every index are there already, related rows come by
`selectinload`, connections are pooled. It has neither accounts nor limits, so it is asked without credentials. It has
no fall-back either: a search whose words no bug has all is an empty page, which is less work than BugRelay's.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ForeignKey, Select, Text, func, select
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, selectinload


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    username: Mapped[str]


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
    url: Mapped[str | None]


class BugText(Base):
    __tablename__ = "bug_texts"
    bug_id: Mapped[UUID] = mapped_column(ForeignKey("bugs.id"), primary_key=True)
    description: Mapped[str]
    description_html: Mapped[str]


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

    @property
    def description(self) -> str:
        return self.text.description

    @property
    def description_html(self) -> str:
        return self.text.description_html


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
    selectinload(Bug.text),
    selectinload(Bug.application),
    selectinload(Bug.reporter),
    selectinload(Bug.assigned_company),
)
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


@app.get("/api/v1/bugs/{bug_id}", response_model=BugOut)
async def show(bug_id: UUID, database: Annotated[AsyncSession, Depends(session)]) -> Bug:
    bug = await database.scalar(select(Bug).where(Bug.id == bug_id).options(*RELATED))
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
