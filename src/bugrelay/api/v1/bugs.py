"""`/api/v1/bugs`: report, list, show, edit, change the status, history."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, patch, post
from litestar.params import JSONBody
from msgspec import UNSET, Struct

from bugrelay.api.v1.examples import bugs
from bugrelay.api.v1.guards.bugs import (
    follow_merge,
    load_visible_bug,
    require_may_answer,
    require_reporter,
)
from bugrelay.api.v1.responses.bugs import (
    BugChangedResponse,
    BugList,
    BugReportedResponse,
    BugResponse,
    HistoryList,
    ReceiptLink,
)
from bugrelay.domain.bugs import cache, repository
from bugrelay.domain.bugs.schemas import BugQuery, BugState, ChangeStatus, ReportBug, UpdateBug
from bugrelay.domain.bugs.search.service import BugPage, list_bugs
from bugrelay.domain.bugs.search.some_words import SomeWords
from bugrelay.domain.bugs.service import details, receipts, reporting, statuses
from bugrelay.domain.bugs.service.reporting import UnknownApplication
from bugrelay.domain.bugs.service.submission import charge_new_application, check_captcha, may_mail_contact
from bugrelay.domain.notifications.service.contacts import add_contact
from bugrelay.http.idempotency import Complete, idempotent
from bugrelay.http.request import ApiRequest
from bugrelay.http.response_cache import cached_response
from bugrelay.http.responses import json_response, raw_json_response, to_json
from bugrelay.http.routes import Route, anyone, users
from bugrelay.infra.client_address import limit_identity
from bugrelay.infra.db.query import Reader, SnapshotReader
from bugrelay.infra.idempotency import StoredResponse
from bugrelay.infra.pagination import PageQuery, Pagination
from bugrelay.infra.security.tokens import hash_secret
from bugrelay.infra.viewer import SignedInViewer, Viewer


class _Reported(Struct):
    id: UUID


class _ReportedResponse(Struct):
    bug: _Reported


async def _with_known_receipt(request: ApiRequest, body: bytes) -> bytes:
    """The stored response to an anonymous report, with its receipt, which is derived again if it is still valid."""
    bug_id = msgspec.json.decode(body, type=_ReportedResponse).bug.id
    secret = receipts.receipt_secret(request.platform.settings.signing_key, bug_id)
    known = await repository.bug_of_receipt(request.platform.database, hash_secret(secret))
    return body if known is None else _with_receipt(request, body, bug_id)


def _with_receipt(request: ApiRequest, body: bytes, bug_id: UUID) -> bytes:
    """The response, a JSON object, with the key `receipt` added."""
    settings = request.platform.settings
    secret = receipts.receipt_secret(settings.signing_key, bug_id)
    link = msgspec.json.encode(ReceiptLink(f"{settings.public_url}/api/v1/receipts/{secret}"))
    return body[:-1] + b',"receipt":' + link + b"}"


async def _submit(request: ApiRequest, data: ReportBug, *, complete: Complete) -> Response[Any]:
    """Check the captcha and the limits, and write the report; an application is charged only if it is new."""
    platform, viewer, address = request.platform, request.viewer, request.client_address
    spent = await check_captcha(platform.captcha, viewer, token=data.recaptcha_token, remote_address=address)
    may_mail = await may_mail_contact(
        data, viewer, caller=limit_identity(address), mail_limits=platform.mail_limits
    )
    write = partial(_write_report, request, data, complete=complete, spent_captcha=spent, may_mail=may_mail)
    budget = platform.buckets["new_applications"]
    try:
        return await write(may_add_application=budget is None)
    except UnknownApplication:
        await charge_new_application(platform.limiter, budget, caller=limit_identity(address))
    return await write(may_add_application=True)


async def _write_report(
    request: ApiRequest,
    data: ReportBug,
    *,
    complete: Complete,
    spent_captcha: str | None,
    may_mail: bool,
    may_add_application: bool,
) -> Response[Any]:
    """Write the report, its contact address and the response to repeat, in one unit of work.

    Raises:
        UnknownApplication: The application is new, and `may_add_application` is false.
    """
    platform, viewer = request.platform, request.viewer
    async with platform.work() as unit:
        bug = await reporting.report_bug(
            unit,
            viewer,
            data,
            spent_captcha=spent_captcha,
            receipt_key=platform.settings.signing_key,
            may_add_application=may_add_application,
        )
        if not viewer.signed_in and data.contact_email is not None:
            jobs = platform.jobs if may_mail else None
            await add_contact(unit, bug.id, email=data.contact_email, level="all", jobs=jobs)
        body = to_json(BugChangedResponse("Bug report created successfully", bug))
        await complete(unit, StoredResponse(201, body))
    return raw_json_response(body if viewer.signed_in else _with_receipt(request, body, bug.id), status=201)


class BugController(Controller):
    path = "/api/v1/bugs"
    tags = ("Bugs",)

    @post("/")
    @Route(access=anyone(), limits=("bug_submission",), idempotent=True, example=bugs.REPORT)
    async def report_bug(
        self, request: ApiRequest, viewer: Viewer, data: JSONBody[ReportBug]
    ) -> Response[BugReportedResponse]:
        """Report a bug in any application.

        Anonymous reports need a captcha token, and the response has a receipt.
        """

        async def work(complete: Complete) -> Response[Any]:
            return await _submit(request, data, complete=complete)

        async def add_receipt(body: bytes) -> bytes:
            return body if viewer.signed_in else await _with_known_receipt(request, body)

        return await idempotent(request, work, add_unstored=add_receipt)

    @get("/")
    @Route(access=anyone(), query=BugQuery, example=bugs.LIST)
    async def list_bugs(self, request: ApiRequest, viewer: Viewer, query: BugQuery) -> Response[BugList]:
        """List, search, filter and sort bugs."""
        database = request.platform.database
        some_words = SomeWords(request.platform.computing)

        async def read(reader: SnapshotReader, primary: Reader | None) -> BugPage:
            return await list_bugs(
                reader, request.platform.counts, query, some_words=some_words, primary=primary
            )

        async def load() -> bytes:
            if viewer.signed_in:
                async with database.reading() as reader:
                    page = await read(reader, None)
            else:
                page = await database.read_preferring_replica(read)
            return to_json(
                BugList(page.bugs, page.pagination(query), page.match or UNSET, page.ranked or UNSET)  # type: ignore[arg-type]
            )

        if viewer.signed_in:
            return raw_json_response(await load())
        return await cached_response(request, group=cache.LISTS, key=cache.list_key(query), load=load)

    @get("/{bug_id:str}")
    @Route(access=anyone(), example=bugs.SHOW)
    async def get_bug(self, request: ApiRequest, viewer: Viewer, bug_id: UUID) -> Response[BugResponse]:
        """Show one bug with its attachments and its latest hundred comments."""

        async def read(reader: Reader, _primary: Reader | None = None) -> bytes:
            found = await details.get_bug_detail(reader, viewer, bug_id)
            follow_merge(request, found.state)
            return to_json(BugResponse(found.detail))

        async def load() -> bytes:
            return await request.platform.database.read_preferring_replica(read)

        if viewer.signed_in:
            return raw_json_response(await read(request.platform.database))
        group = cache.detail_group(bug_id)
        return await cached_response(request, group=group, key=group, load=load)

    @patch("/{bug_id:str}")
    @Route(access=users("reporter"), loads=require_reporter, example=bugs.CORRECT)
    async def update_bug(
        self, request: ApiRequest, viewer: SignedInViewer, bug: BugState, data: JSONBody[UpdateBug]
    ) -> Response[BugChangedResponse]:
        """Edit a bug that I reported; the former values stay in the history."""
        async with request.platform.work() as unit:
            await reporting.update_bug(unit, bug.id, user_id=viewer.user_id, wanted=data)
            changed = await details.get_bug(unit, viewer, bug.id)
        return json_response(BugChangedResponse("Bug updated successfully", changed))

    @patch("/{bug_id:str}/status")
    @Route(access=users("company members, admins"), loads=require_may_answer, example=bugs.STATUS)
    async def change_bug_status(
        self, request: ApiRequest, viewer: SignedInViewer, bug: BugState, data: JSONBody[ChangeStatus]
    ) -> Response[BugChangedResponse]:
        """Change the status, on behalf of the application's company."""
        async with request.platform.work() as unit:
            await statuses.change_status(unit, viewer, bug.id, user_id=viewer.user_id, status=data.status)
            changed = await details.get_bug(unit, viewer, bug.id)
        return json_response(BugChangedResponse("Bug status updated successfully", changed))

    @get("/{bug_id:str}/history")
    @Route(access=anyone(), loads=load_visible_bug, query=PageQuery, example=bugs.HISTORY)
    async def list_bug_history(
        self, request: ApiRequest, bug: BugState, query: PageQuery
    ) -> Response[HistoryList]:
        """List the changes of a bug, oldest first."""
        entries, total = await repository.list_history(request.platform.database, bug.id, query)
        return json_response(HistoryList(entries, Pagination.of(query, total)))
