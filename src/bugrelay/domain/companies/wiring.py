"""Hands the domain over to the application."""

from __future__ import annotations

from bugrelay.domain.accounts.events import AccountErased
from bugrelay.domain.companies.controllers.claims import ClaimController
from bugrelay.domain.companies.controllers.team import TeamController
from bugrelay.domain.companies.service.team import forget_person
from bugrelay.domain.companies.tasks import TASKS
from bugrelay.http.domain import Domain
from bugrelay.infra.platform import Platform


def subscribe(platform: Platform) -> None:
    platform.bus.subscribe_durable(AccountErased, forget_person)


DOMAIN = Domain(controllers=(ClaimController, TeamController), subscribe=subscribe, tasks=TASKS)
