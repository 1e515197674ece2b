"""One bug, as a viewer may see it."""

from __future__ import annotations

from uuid import UUID

from bugrelay.domain.bugs import policies, repository
from bugrelay.domain.bugs.errors import BugNotFound
from bugrelay.domain.bugs.repository import BugRecord
from bugrelay.domain.bugs.schemas import BugDetail, BugState, BugWithTechnical, SubscriptionOut
from bugrelay.domain.companies.repository import role_of
from bugrelay.infra.db.database import Reader
from bugrelay.infra.viewer import Viewer


async def get_bug(reader: Reader, viewer: Viewer, bug_id: UUID) -> BugWithTechnical:
    """The bug, with the reporter's address for those who may see it.

    Raises:
        BugNotFound
    """
    return (await _record(reader, viewer, bug_id)).bug


async def get_bug_detail(reader: Reader, viewer: Viewer, bug: BugState) -> BugDetail:
    """The bug with its attachments and latest comments, and what else this viewer may see of it.

    Args:
        reader: The primary for the signed-in, since their rights are asked of it.
        viewer: Who looks.
        bug: One that they may know of.

    Raises:
        BugNotFound
    """
    record = await _record(reader, viewer, bug.id)
    detail = BugDetail(
        **{name: getattr(record.bug, name) for name in BugWithTechnical.__struct_fields__},
        attachments=await repository.list_attachments(reader, bug.id),
        comments=await repository.latest_comments(reader, bug.id),
        voted=None,
    )
    if viewer.user_id is not None:
        theirs = await repository.viewer_row(reader, bug_id=bug.id, user_id=viewer.user_id)
        detail.voted = theirs.voted
        detail.subscription = (
            SubscriptionOut(theirs.level, theirs.reason) if theirs.level and theirs.reason else None
        )
    if viewer.signed_in and policies.may_see_contact(
        viewer, bug, company_role=await _company_role(reader, viewer, bug)
    ):
        detail.contact_email = record.contact_email
    return detail


async def _record(reader: Reader, viewer: Viewer, bug_id: UUID) -> BugRecord:
    record = await repository.find_bug(reader, bug_id)
    if record is None:
        raise BugNotFound
    reporter = record.bug.reporter
    if reporter is not None:
        sees_address = policies.may_see_address(viewer, user_id=reporter.id)
        reporter.email = record.reporter_email if sees_address else None
    return record


async def _company_role(reader: Reader, viewer: Viewer, bug: BugState) -> str | None:
    """The viewer's role in the verified company that the bug is assigned to."""
    if bug.assigned_company_id is None or viewer.user_id is None:
        return None
    return await role_of(reader, user_id=viewer.user_id, company_id=bug.assigned_company_id)
