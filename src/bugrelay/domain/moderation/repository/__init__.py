"""The SELECTs of moderation, one module for each subject."""

from bugrelay.domain.moderation.repository.audit import list_audit
from bugrelay.domain.moderation.repository.queue import list_moderated
from bugrelay.domain.moderation.repository.states import (
    ended_bans,
    has_comment,
    is_admin,
    lock_bugs,
    lock_bugs_voted_for,
    lock_chain,
    lock_comment,
    lock_flagged_bug,
    lock_user,
)
from bugrelay.domain.moderation.repository.stats import dashboard_stats

__all__ = [
    "dashboard_stats",
    "ended_bans",
    "has_comment",
    "is_admin",
    "list_audit",
    "list_moderated",
    "lock_bugs",
    "lock_bugs_voted_for",
    "lock_chain",
    "lock_comment",
    "lock_flagged_bug",
    "lock_user",
]
