"""Which acts of moderation are allowed; pure functions of states."""

from __future__ import annotations

from bugrelay.domain.moderation.errors import InvalidMerge, SourceBugNotFound, TargetBugNotFound
from bugrelay.domain.moderation.schemas import BanState, ModeratedState


def may_be_banned(user: BanState) -> bool:
    """Whether the user may be banned: everybody except admins."""
    return not user.is_admin


def ensure_mergeable(
    source: ModeratedState | None, target: ModeratedState | None
) -> tuple[ModeratedState, ModeratedState]:
    """The states of both bugs, if the source may be merged into the target. The rules prevent cycles of merges.

    Raises:
        SourceBugNotFound, TargetBugNotFound: There is no such bug, or it is removed.
        InvalidMerge: They are the same bug, or one of them is merged already.
    """
    if source is None or source.is_removed:
        raise SourceBugNotFound
    if target is None or target.is_removed:
        raise TargetBugNotFound
    if source.id == target.id:
        raise InvalidMerge("A bug cannot be merged into itself")
    if source.merged_into_id is not None:
        raise InvalidMerge(f"The source is merged into {source.merged_into_id} already; unmerge it first")
    if target.merged_into_id is not None:
        raise InvalidMerge(f"The target is merged into {target.merged_into_id} itself; merge into that one")
    return source, target
