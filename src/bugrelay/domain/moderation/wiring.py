"""Hands the domain over to the application."""

from __future__ import annotations

from bugrelay.domain.bugs.events import ActedAsAdmin
from bugrelay.domain.companies.events import ApplicationLinked, CompanyClaimed
from bugrelay.domain.moderation.controllers.bugs import BugModerationController
from bugrelay.domain.moderation.controllers.comments import CommentModerationController
from bugrelay.domain.moderation.controllers.companies import CompanyModerationController
from bugrelay.domain.moderation.controllers.flags import FlagController
from bugrelay.domain.moderation.controllers.overview import OverviewController
from bugrelay.domain.moderation.controllers.users import UserModerationController
from bugrelay.domain.moderation.service.audit import audit_act
from bugrelay.domain.moderation.service.companies import audit_claim, audit_link
from bugrelay.domain.moderation.tasks import TASKS
from bugrelay.http.domain import Domain
from bugrelay.infra.platform import Platform


def subscribe(platform: Platform) -> None:
    platform.bus.subscribe_durable(ActedAsAdmin, audit_act)
    platform.bus.subscribe_durable(ApplicationLinked, audit_link)
    platform.bus.subscribe_durable(CompanyClaimed, audit_claim)


DOMAIN = Domain(
    controllers=(
        FlagController,
        OverviewController,
        BugModerationController,
        CommentModerationController,
        UserModerationController,
        CompanyModerationController,
    ),
    subscribe=subscribe,
    tasks=TASKS,
)
