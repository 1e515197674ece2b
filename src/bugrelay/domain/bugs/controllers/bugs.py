"""`/api/v1/bugs`: report, list, show, correct, change status; `/api/v1/tags`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Controller, Response, get, patch, post
from litestar.params import JSONBody
from msgspec import UNSET

from bugrelay.domain.bugs import cache, examples, policies, repository
from bugrelay.domain.bugs.controllers.subjects import any_bug, bug_to_answer, company_role, my_bug, shown_bug
from bugrelay.domain.bugs.errors import BugNotFound
from bugrelay.domain.bugs.lists import BugPage, list_bugs
from bugrelay.domain.bugs.repository import FoundBug
from bugrelay.domain.bugs.schemas import (
    BugAnswer,
    BugChangedAnswer,
    BugDetail,
    BugList,
    BugQuery,
    BugWithTechnical,
    ChangeStatus,
    CorrectBug,
    HistoryList,
    ReportBug,
    TagList,
    TagQuery,
)
from bugrelay.domain.bugs.search import parse_search
from bugrelay.domain.bugs.service.reporting import correct_bug, report_bug
from bugrelay.domain.bugs.service.statuses import change_status
from bugrelay.domain.companies.domains import application_domain
from bugrelay.domain.companies.repository import application_exists
from bugrelay.errors import RateLimitExceeded
from bugrelay.http.access import anyone, users
from bugrelay.http.answers import answer, raw_answer, to_json
from bugrelay.http.caching import cached_answer
from bugrelay.http.idempotency import Keep, once
from bugrelay.http.pagination import PageQuery, Pagination
from bugrelay.http.request import ApiRequest
from bugrelay.infra.addresses import limit_identity
from bugrelay.infra.captcha import token_identity
from bugrelay.infra.db import Reader
from bugrelay.infra.idempotency import KeptAnswer
from bugrelay.infra.text import comparable
from bugrelay.infra.viewer import Viewer


class BugController(Controller):
    path = "/api/v1/bugs"
    tags = ("Bugs",)

    @post("/", opt=anyone().opt(limits=("bug_submission",), idempotent=True, example=examples.REPORT))
    async def report(self, request: ApiRequest, data: JSONBody[ReportBug]) -> Response[BugChangedAnswer]:
        """Report a bug in any application. The anonymous prove themselves by a captcha token."""

        async def work(keep: Keep) -> Response[Any]:
            spent = await _check_captcha(request, data.recaptcha_token)
            await _check_new_application(request, data)
            platform = request.platform
            async with platform.work() as unit:
                bug_id = await report_bug(unit, request.viewer, data, spent_captcha=spent)
                body = to_json(
                    BugChangedAnswer(
                        "Bug report created successfully",
                        await _answered_bug(unit.reader, request.viewer, bug_id),
                    )
                )
                await keep(unit, KeptAnswer(201, body))
            return raw_answer(body, status=201)

        return await once(request, work)

    @get("/", opt=anyone().opt(query=BugQuery, example=examples.LIST))
    async def list_bugs(self, request: ApiRequest) -> Response[BugList]:
        """List, search, filter and sort bugs."""
        query = request.read_query(BugQuery)
        database = request.platform.database

        async def read(reader: Reader, primary: Reader | None) -> BugPage:
            search = await parse_search(reader, query.search) if query.search else None
            return await list_bugs(reader, request.platform.totals, query, search, primary=primary)

        async def load() -> bytes:
            if request.viewer.signed_in:
                async with database.reading() as reader:
                    page = await read(reader, None)
            else:
                page = await database.public(read)
            return to_json(BugList(page.bugs, page.pagination(query), page.match or UNSET))  # type: ignore[arg-type]

        if request.viewer.signed_in:
            return raw_answer(await load())
        return await cached_answer(request, group=cache.LISTS, key=cache.list_key(query), load=load)

    @get("/{bug_id:str}", opt=anyone().opt(example=examples.SHOW))
    async def show(self, request: ApiRequest) -> Response[BugAnswer]:
        """One bug with its attachments and its latest hundred comments."""
        bug_id = request.path_id("bug_id")
        if request.viewer.signed_in:
            return raw_answer(await _detail_for(request, request.platform.database))
        group = cache.detail_group(bug_id)

        async def load() -> bytes:
            return await request.platform.database.public(lambda reader, _: _detail_for(request, reader))

        return await cached_answer(request, group=group, key=group, load=load)

    @patch("/{bug_id:str}", opt=users(my_bug, role="reporter").opt(example=examples.CORRECT))
    async def correct(self, request: ApiRequest, data: JSONBody[CorrectBug]) -> Response[BugChangedAnswer]:
        """Correct what I reported; the former text stays in the history."""
        bug_id = request.path_id("bug_id")
        async with request.platform.work() as unit:
            await correct_bug(unit, bug_id, user_id=request.user_id, wanted=data)
            bug = await _answered_bug(unit.reader, request.viewer, bug_id)
        return answer(BugChangedAnswer("Bug updated successfully", bug))

    @patch(
        "/{bug_id:str}/status",
        opt=users(bug_to_answer, role="company members, admins").opt(example=examples.STATUS),
    )
    async def change_status(
        self, request: ApiRequest, data: JSONBody[ChangeStatus]
    ) -> Response[BugChangedAnswer]:
        """Change the status; for the company behind the application."""
        bug_id = request.path_id("bug_id")
        async with request.platform.work() as unit:
            await change_status(unit, request.viewer, bug_id, user_id=request.user_id, status=data.status)
            bug = await _answered_bug(unit.reader, request.viewer, bug_id)
        return answer(BugChangedAnswer("Bug status updated successfully", bug))

    @get("/{bug_id:str}/history", opt=anyone(any_bug).opt(query=PageQuery, example=examples.HISTORY))
    async def history(self, request: ApiRequest) -> Response[HistoryList]:
        """What was changed, oldest first."""
        query = request.read_query(PageQuery)
        entries, total = await repository.list_history(
            request.platform.database, request.path_id("bug_id"), query
        )
        return answer(HistoryList(entries, Pagination.of(query, total)))


class TagController(Controller):
    path = "/api/v1/tags"
    tags = ("Bugs",)

    @get("/", opt=anyone().opt(query=TagQuery))
    async def list_tags(self, request: ApiRequest) -> Response[TagList]:
        """Tags in use, most used first."""
        query = request.read_query(TagQuery)
        found, total = await repository.list_tags(request.platform.database, query)
        return answer(TagList(found, Pagination.of(query, total)))


async def _check_captcha(request: ApiRequest, token: str | None) -> str | None:
    """Verify the token where one is asked for or given; gives the identity of the one that is used up by it."""
    captcha = request.platform.captcha
    if token is None and request.viewer.signed_in:
        return None
    await captcha.verify(token, remote_address=request.client_address)
    return token_identity(token) if token is not None and captcha.single_use else None


async def _check_new_application(request: ApiRequest, wanted: ReportBug) -> None:
    """An address may name only so many applications a day that nobody has named before."""
    platform = request.platform
    budget = platform.buckets.get("new_applications")
    domain = (application_domain(wanted.application_url) if wanted.application_url else None) or ""
    key = comparable(wanted.application_name)
    if budget is None or await application_exists(platform.database, name_key=key, domain=domain):
        return
    decision = await platform.limiter.hit([(budget, limit_identity(request.client_address))])
    if not decision.allowed:
        raise RateLimitExceeded(
            "Too many new applications from this address today",
            headers={"Retry-After": str(decision.retry_after_seconds)},
        )


async def _found(reader: Reader, viewer: Viewer, bug_id: UUID) -> FoundBug:
    found = await repository.find_bug(reader, bug_id)
    if found is None:
        raise BugNotFound
    if found.bug.reporter is not None:
        sees_address = viewer.is_admin or viewer.user_id == found.bug.reporter_id
        found.bug.reporter.email = found.reporter_email if sees_address else None
    return found


async def _answered_bug(reader: Reader, viewer: Viewer, bug_id: UUID) -> BugWithTechnical:
    return (await _found(reader, viewer, bug_id)).bug


async def _detail_for(request: ApiRequest, reader: Reader) -> bytes:
    """The detail as this viewer may see it."""
    facts = await shown_bug(request, reader)
    viewer = request.viewer
    found = await _found(reader, viewer, facts.id)
    detail = BugDetail(
        **{name: getattr(found.bug, name) for name in BugWithTechnical.__struct_fields__},
        attachments=await repository.list_attachments(reader, facts.id),
        comments=await repository.latest_comments(reader, facts.id),
        voted=await repository.has_voted(reader, bug_id=facts.id, user_id=viewer.user_id)
        if viewer.user_id
        else None,
    )
    if viewer.signed_in and policies.may_see_contact(
        viewer, facts, company_role=await company_role(request, facts)
    ):
        detail.contact_email = found.contact_email
    return to_json(BugAnswer(detail))
