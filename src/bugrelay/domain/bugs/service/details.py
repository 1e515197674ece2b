"""Read one bug, as a viewer may see it."""

from __future__ import annotations

from uuid import UUID

from bugrelay.domain.bugs import policies, repository
from bugrelay.domain.bugs.errors import BugNotFound
from bugrelay.domain.bugs.repository import BugRecord, DetailRecord
from bugrelay.domain.bugs.schemas import BugWithTechnical
from bugrelay.infra.db.database import Reader
from bugrelay.infra.viewer import Viewer


async def get_bug(reader: Reader, viewer: Viewer, bug_id: UUID) -> BugWithTechnical:
    """The bug, with the reporter's address for those who may see it.

    Raises:
        BugNotFound
    """
    return (await _record(reader, viewer, bug_id)).bug


async def get_bug_detail(reader: Reader, viewer: Viewer, bug_id: UUID) -> DetailRecord:
    """The bug with its attachments and latest comments, and the fields that only this viewer may see.

    A merged bug is returned as well; its state has the bug that it was merged into.

    Args:
        reader: For signed-in viewers the primary, since their rights are read with the bug.
        viewer: Who reads.
        bug_id: The bug.

    Raises:
        BugNotFound: There is no such bug, or the viewer may not see it.
    """
    record = await repository.find_detail(reader, viewer, bug_id)
    if record is None:
        raise BugNotFound
    _show_address(record.detail, viewer, record.reporter_email)
    if viewer.signed_in and policies.may_see_contact(viewer, record.state, company_role=record.company_role):
        record.detail.contact_email = record.contact_email
    return record


async def _record(reader: Reader, viewer: Viewer, bug_id: UUID) -> BugRecord:
    record = await repository.find_bug(reader, bug_id)
    if record is None:
        raise BugNotFound
    _show_address(record.bug, viewer, record.reporter_email)
    return record


def _show_address(bug: BugWithTechnical, viewer: Viewer, address: str | None) -> None:
    """Fill in the reporter's address, for those who may see it."""
    if bug.reporter is not None:
        sees_address = policies.may_see_address(viewer, user_id=bug.reporter.id)
        bug.reporter.email = address if sees_address else None
