"""`/api/v1/bugs`: report, list, show, correct, change status; `/api/v1/tags`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Controller, Response, get, patch, post
from litestar.params import JSONBody
from msgspec import UNSET

from bugrelay.api.v1.examples import bugs
from bugrelay.api.v1.guards.bugs import (
    company_role,
    load_visible_bug,
    require_may_answer,
    require_reporter,
    require_visible_bug,
)
from bugrelay.domain.bugs import cache, policies, repository
from bugrelay.domain.bugs.errors import BugNotFound
from bugrelay.domain.bugs.repository import BugRecord
from bugrelay.domain.bugs.schemas import (
    BugChangedResponse,
    BugDetail,
    BugList,
    BugQuery,
    BugResponse,
    BugWithTechnical,
    ChangeStatus,
    HistoryList,
    ReportBug,
    TagList,
    TagQuery,
    UpdateBug,
)
from bugrelay.domain.bugs.search.service import BugPage, list_bugs
from bugrelay.domain.bugs.service.reporting import report_bug, update_bug
from bugrelay.domain.bugs.service.statuses import change_status
from bugrelay.domain.companies.domains import application_domain
from bugrelay.domain.companies.repository import application_exists
from bugrelay.errors import RateLimitExceeded
from bugrelay.http.guard import anyone, users
from bugrelay.http.idempotency import Complete, idempotent
from bugrelay.http.request import ApiRequest
from bugrelay.http.response_cache import cached_response
from bugrelay.http.responses import json_response, raw_json_response, to_json
from bugrelay.infra.client_address import limit_identity
from bugrelay.infra.db.database import Reader
from bugrelay.infra.idempotency import StoredResponse
from bugrelay.infra.pagination import PageQuery, Pagination
from bugrelay.infra.security.captcha import token_identity
from bugrelay.infra.text.names import name_key
from bugrelay.infra.viewer import Viewer


class BugController(Controller):
    path = "/api/v1/bugs"
    tags = ("Bugs",)

    @post("/", opt=anyone().opt(limits=("bug_submission",), idempotent=True, example=bugs.REPORT))
    async def report(self, request: ApiRequest, data: JSONBody[ReportBug]) -> Response[BugChangedResponse]:
        """Report a bug in any application. The anonymous prove themselves by a captcha token."""

        async def work(complete: Complete) -> Response[Any]:
            spent = await _check_captcha(request, data.recaptcha_token)
            await _check_new_application(request, data)
            platform = request.platform
            async with platform.work() as unit:
                bug_id = await report_bug(unit, request.viewer, data, spent_captcha=spent)
                body = to_json(
                    BugChangedResponse(
                        "Bug report created successfully",
                        await _answered_bug(unit.reader, request.viewer, bug_id),
                    )
                )
                await complete(unit, StoredResponse(201, body))
            return raw_json_response(body, status=201)

        return await idempotent(request, work)

    @get("/", opt=anyone().opt(query=BugQuery, example=bugs.LIST))
    async def list_bugs(self, request: ApiRequest) -> Response[BugList]:
        """List, search, filter and sort bugs."""
        query = request.read_query(BugQuery)
        database = request.platform.database

        async def read(reader: Reader, primary: Reader | None) -> BugPage:
            return await list_bugs(reader, request.platform.counts, query, primary=primary)

        async def load() -> bytes:
            if request.viewer.signed_in:
                async with database.reading() as reader:
                    page = await read(reader, None)
            else:
                page = await database.read_preferring_replica(read)
            return to_json(BugList(page.bugs, page.pagination(query), page.match or UNSET))  # type: ignore[arg-type]

        if request.viewer.signed_in:
            return raw_json_response(await load())
        return await cached_response(request, group=cache.LISTS, key=cache.list_key(query), load=load)

    @get("/{bug_id:str}", opt=anyone().opt(example=bugs.SHOW))
    async def show(self, request: ApiRequest) -> Response[BugResponse]:
        """One bug with its attachments and its latest hundred comments."""
        bug_id = request.path_id("bug_id")
        if request.viewer.signed_in:
            return raw_json_response(await _detail_for(request, request.platform.database))
        group = cache.detail_group(bug_id)

        async def load() -> bytes:
            return await request.platform.database.read_preferring_replica(
                lambda reader, _: _detail_for(request, reader)
            )

        return await cached_response(request, group=group, key=group, load=load)

    @patch("/{bug_id:str}", opt=users(require_reporter, role="reporter").opt(example=bugs.CORRECT))
    async def correct(self, request: ApiRequest, data: JSONBody[UpdateBug]) -> Response[BugChangedResponse]:
        """Correct what I reported; the former text stays in the history."""
        bug_id = request.path_id("bug_id")
        async with request.platform.work() as unit:
            await update_bug(unit, bug_id, user_id=request.user_id, wanted=data)
            bug = await _answered_bug(unit.reader, request.viewer, bug_id)
        return json_response(BugChangedResponse("Bug updated successfully", bug))

    @patch(
        "/{bug_id:str}/status",
        opt=users(require_may_answer, role="company members, admins").opt(example=bugs.STATUS),
    )
    async def change_status(
        self, request: ApiRequest, data: JSONBody[ChangeStatus]
    ) -> Response[BugChangedResponse]:
        """Change the status; for the company behind the application."""
        bug_id = request.path_id("bug_id")
        async with request.platform.work() as unit:
            await change_status(unit, request.viewer, bug_id, user_id=request.user_id, status=data.status)
            bug = await _answered_bug(unit.reader, request.viewer, bug_id)
        return json_response(BugChangedResponse("Bug status updated successfully", bug))

    @get("/{bug_id:str}/history", opt=anyone(require_visible_bug).opt(query=PageQuery, example=bugs.HISTORY))
    async def history(self, request: ApiRequest) -> Response[HistoryList]:
        """What was changed, oldest first."""
        query = request.read_query(PageQuery)
        entries, total = await repository.list_history(
            request.platform.database, request.path_id("bug_id"), query
        )
        return json_response(HistoryList(entries, Pagination.of(query, total)))


class TagController(Controller):
    path = "/api/v1/tags"
    tags = ("Bugs",)

    @get("/", opt=anyone().opt(query=TagQuery))
    async def list_tags(self, request: ApiRequest) -> Response[TagList]:
        """Tags in use, most used first."""
        query = request.read_query(TagQuery)
        found, total = await repository.list_tags(request.platform.database, query)
        return json_response(TagList(found, Pagination.of(query, total)))


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
    key = name_key(wanted.application_name)
    if budget is None or await application_exists(platform.database, name_key=key, domain=domain):
        return
    decision = await platform.limiter.hit([(budget, limit_identity(request.client_address))])
    if not decision.allowed:
        raise RateLimitExceeded(
            "Too many new applications from this address today",
            headers={"Retry-After": str(decision.retry_after_seconds)},
        )


async def _found(reader: Reader, viewer: Viewer, bug_id: UUID) -> BugRecord:
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
    facts = await load_visible_bug(request, reader)
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
    return to_json(BugResponse(detail))
