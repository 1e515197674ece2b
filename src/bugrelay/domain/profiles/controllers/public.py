"""`/api/v1/users/{id}`: what everybody may see of a user."""

from __future__ import annotations

from litestar import Controller, Response, get

from bugrelay.domain.accounts.errors import UserNotFound
from bugrelay.domain.profiles import repository
from bugrelay.domain.profiles.schemas import PublicProfileAnswer
from bugrelay.http.access import anyone
from bugrelay.http.answers import answer
from bugrelay.http.request import ApiRequest


class UserController(Controller):
    path = "/api/v1/users"
    tags = ("Accounts",)

    @get("/{user_id:str}", opt=anyone().opt())
    async def show(self, request: ApiRequest) -> Response[PublicProfileAnswer]:
        """A public profile."""
        profile = await repository.public_profile(request.platform.database, request.path_id("user_id"))
        if profile is None:
            raise UserNotFound
        return answer(PublicProfileAnswer(profile))
