"""`/api/v1/receipts`: the receipts of anonymous reports, authorised by their link."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from litestar import Controller, Response, get, post, put
from litestar.params import JSONBody

from bugrelay.api.v1.examples import receipts as examples
from bugrelay.api.v1.responses.bugs import ReceiptResponse, ReceiptSubscriptionResponse, WithdrawnResponse
from bugrelay.domain.bugs.schemas import FollowReport
from bugrelay.domain.bugs.service import receipts
from bugrelay.domain.notifications.service import contacts
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, anyone

# The URL is the credential: responses must not be cached, nor the URL sent as a referrer.
PRIVATE = {"Cache-Control": "private, no-store", "Referrer-Policy": "no-referrer"}
CONTACT = {
    "confirmed": "Saved",
    "unconfirmed": "Saved; notices begin once the address is confirmed. At most one link a day is mailed to an address",
}


@dataclass(frozen=True)
class OwnReport:
    """The bug of a receipt, and the secret of its path."""

    bug_id: UUID
    secret: str


async def load_own_report(request: ApiRequest) -> OwnReport:
    """
    Raises:
        ReceiptNotFound
    """
    secret = request.path_params["secret"]
    return OwnReport(await receipts.owned_bug(request.platform.database, secret), secret)


class ReceiptController(Controller):
    path = "/api/v1/receipts/{secret:str}"
    tags = ("Receipts",)

    @get("/")
    @Route(access=anyone(same_for_all=True), loads=load_own_report, example=examples.RECEIPT)
    async def get_receipt(self, request: ApiRequest, report: OwnReport) -> Response[ReceiptResponse]:
        """Show the current state of my report."""
        database = request.platform.database
        receipt = await receipts.read_receipt(database, report.bug_id)
        receipt.subscription = await contacts.subscription_of(database, report.bug_id)
        return json_response(ReceiptResponse(receipt), headers=PRIVATE)

    @put("/subscription")
    @Route(access=anyone(same_for_all=True), loads=load_own_report, limits=("mail",), example=examples.FOLLOW)
    async def follow_report(
        self, request: ApiRequest, report: OwnReport, data: JSONBody[FollowReport]
    ) -> Response[ReceiptSubscriptionResponse]:
        """Choose the level of mails about my report, and their address.

        A new address is mailed a link to confirm it.
        """
        platform = request.platform
        if data.email is not None:
            await contacts.check_addresses_of(report.bug_id, limiter=platform.limiter)
        async with platform.work() as work:
            chosen = await contacts.follow_report(
                work, report.bug_id, data, secret=report.secret, jobs=platform.jobs
            )
        return json_response(ReceiptSubscriptionResponse(CONTACT[chosen.contact], chosen), headers=PRIVATE)

    @post("/withdraw", status_code=200)
    @Route(access=anyone(same_for_all=True), loads=load_own_report, example=examples.WITHDRAW)
    async def withdraw_report(self, request: ApiRequest, report: OwnReport) -> Response[WithdrawnResponse]:
        """Withdraw my report.

        The bug is removed if nobody has voted for it, commented on it or merged it. My address and this link are
        deleted in any case.
        """
        async with request.platform.work() as work:
            removed = await contacts.withdraw_report(work, report.bug_id, secret=report.secret)
        message = "The bug is removed" if removed else "The bug is not yours alone any more, and stays"
        return json_response(WithdrawnResponse(message, removed), headers=PRIVATE)
