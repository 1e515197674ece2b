"""Hands the domain over to the application."""

from __future__ import annotations

from bugrelay.domain.accounts.controllers.auth import AuthController
from bugrelay.domain.accounts.controllers.credentials import CredentialController
from bugrelay.domain.accounts.controllers.pages import AccountPageController
from bugrelay.domain.accounts.tasks import TASKS
from bugrelay.http.domain import Domain

DOMAIN = Domain(controllers=(AuthController, CredentialController, AccountPageController), tasks=TASKS)
