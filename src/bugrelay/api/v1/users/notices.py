"""My notices, subscriptions and their settings, under `/api/v1/users/me`."""

from __future__ import annotations

from litestar import Controller, Response, get, patch, post
from litestar.params import JSONBody

from bugrelay.api.v1.responses.notices import (
    MySubscriptionList,
    NoticeList,
    NoticeSettingsChangedResponse,
    NoticeSettingsResponse,
    NoticesReadResponse,
)
from bugrelay.domain.notifications import repository
from bugrelay.domain.notifications.schemas import ChangeNoticeSettings, ReadNotices
from bugrelay.domain.notifications.service import notices, subscriptions
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, users
from bugrelay.infra.pagination import PageQuery, Pagination
from bugrelay.infra.viewer import SignedInViewer


class MyNoticeController(Controller):
    path = "/api/v1/users/me"
    tags = ("Notices",)

    @get("/subscriptions")
    @Route(access=users(), query=PageQuery)
    async def list_my_subscriptions(
        self, request: ApiRequest, viewer: SignedInViewer, query: PageQuery
    ) -> Response[MySubscriptionList]:
        """List the bugs that I follow, by choice or by my actions, newest bug first."""
        async with request.platform.database.reading() as reader:
            found, total = await repository.list_subscriptions(reader, viewer.user_id, query)
        return json_response(MySubscriptionList(found, Pagination.of(query, total)))

    @get("/notice-settings")
    @Route(access=users())
    async def get_notice_settings(
        self, request: ApiRequest, viewer: SignedInViewer
    ) -> Response[NoticeSettingsResponse]:
        """Show the settings of my notifications."""
        found = await repository.settings_of(request.platform.database, viewer.user_id)
        return json_response(NoticeSettingsResponse(found))

    @patch("/notice-settings")
    @Route(access=users())
    async def change_notice_settings(
        self, request: ApiRequest, viewer: SignedInViewer, data: JSONBody[ChangeNoticeSettings]
    ) -> Response[NoticeSettingsChangedResponse]:
        """Change the settings of my notifications; absent fields are not changed."""
        async with request.platform.work() as work:
            await subscriptions.change_notice_settings(work, viewer.user_id, data)
            now = await repository.settings_of(work, viewer.user_id)
        return json_response(NoticeSettingsChangedResponse("Settings changed", now))

    @get("/notices")
    @Route(access=users(), query=PageQuery)
    async def list_my_notices(
        self, request: ApiRequest, viewer: SignedInViewer, query: PageQuery
    ) -> Response[NoticeList]:
        """List my notices, newest first, without those of things that were removed since."""
        async with request.platform.database.reading() as reader:
            found, total, unread = await repository.list_notices(reader, viewer.user_id, query)
        return json_response(NoticeList(found, unread, Pagination.of(query, total)))

    @post("/notices/read", status_code=200)
    @Route(access=users())
    async def read_my_notices(
        self, request: ApiRequest, viewer: SignedInViewer, data: JSONBody[ReadNotices]
    ) -> Response[NoticesReadResponse]:
        """Mark a notice and all older ones as read."""
        async with request.platform.work() as work:
            await notices.mark_read(work, viewer.user_id, up_to=data.up_to)
            unread = await repository.unread_count(work, viewer.user_id)
        return json_response(NoticesReadResponse("Notices read", unread))
