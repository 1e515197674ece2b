"""Hands the domain over to the application."""

from __future__ import annotations

from bugrelay.domain.profiles.controllers.mine import MyController
from bugrelay.domain.profiles.controllers.public import UserController
from bugrelay.http.domain import Domain

DOMAIN = Domain(controllers=(MyController, UserController))
