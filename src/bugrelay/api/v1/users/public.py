"""`/api/v1/users/{id}`: what everybody may see of a user."""

from __future__ import annotations

from litestar import Controller, Response, get

from bugrelay.domain.accounts.errors import UserNotFound
from bugrelay.domain.profiles import repository
from bugrelay.domain.profiles.schemas import PublicProfileResponse
from bugrelay.http.guard import anyone
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response


class UserController(Controller):
    path = "/api/v1/users"
    tags = ("Accounts",)

    @get("/{user_id:str}", opt=anyone().opt())
    async def show(self, request: ApiRequest) -> Response[PublicProfileResponse]:
        """A public profile."""
        profile = await repository.public_profile(request.platform.database, request.path_id("user_id"))
        if profile is None:
            raise UserNotFound
        return json_response(PublicProfileResponse(profile))
