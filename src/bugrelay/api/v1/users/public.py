"""`/api/v1/users/{id}`: what everybody may see of a user."""

from __future__ import annotations

from uuid import UUID

from litestar import Controller, Response, get

from bugrelay.api.v1.responses import PublicProfileResponse
from bugrelay.domain.accounts.errors import UserNotFound
from bugrelay.domain.profiles import repository
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, anyone


class UserController(Controller):
    path = "/api/v1/users"
    tags = ("Accounts",)

    @get("/{user_id:str}")
    @Route(access=anyone())
    async def get_user(self, request: ApiRequest, user_id: UUID) -> Response[PublicProfileResponse]:
        """Show a user's public profile."""
        profile = await repository.public_profile(request.platform.database, user_id)
        if profile is None:
            raise UserNotFound
        return json_response(PublicProfileResponse(profile))
