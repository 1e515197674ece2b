"""Hands the domain over to the application."""

from __future__ import annotations

from bugrelay.domain.accounts.events import AccountErased
from bugrelay.domain.bugs import cache, following
from bugrelay.domain.bugs.controllers.attachments import AttachmentController, UploadController
from bugrelay.domain.bugs.controllers.bugs import BugController, TagController
from bugrelay.domain.bugs.controllers.comments import BugCommentController, CommentController
from bugrelay.domain.bugs.controllers.config import ConfigController
from bugrelay.domain.bugs.controllers.votes import VoteController
from bugrelay.domain.bugs.service.erasure import forget_contact_addresses
from bugrelay.domain.bugs.tasks import TASKS
from bugrelay.http.domain import Domain
from bugrelay.infra.platform import Platform


def subscribe(platform: Platform) -> None:
    cache.subscribe(platform)
    following.subscribe(platform)
    platform.bus.subscribe_durable(AccountErased, forget_contact_addresses)


DOMAIN = Domain(
    controllers=(
        BugController,
        TagController,
        VoteController,
        BugCommentController,
        CommentController,
        AttachmentController,
        UploadController,
        ConfigController,
    ),
    subscribe=subscribe,
    tasks=TASKS,
)
