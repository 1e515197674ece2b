"""Files of tickets, for the APIs that have them: loaders, and signed links."""

from __future__ import annotations

from dataclasses import dataclass

from bugrelay.api.tenant import require_tenant
from bugrelay.domain.companies.schemas import Tenant
from bugrelay.domain.files.errors import AttachmentNotFound
from bugrelay.domain.tickets import policies
from bugrelay.domain.tickets.repository import attachments as repository
from bugrelay.domain.tickets.schemas import AttachmentDetail
from bugrelay.domain.tickets.service.file_links import DOWNLOAD_FOR, Link, new_link
from bugrelay.errors import InsufficientPermissions
from bugrelay.http.request import ApiRequest

FILES_PATH = "/uploads/tickets"
INCOMING_PATH = "/uploads/incoming"


@dataclass(frozen=True)
class TenantFile:
    """A file of a ticket, and the caller's tenant."""

    tenant: Tenant
    attachment: AttachmentDetail


async def load_file(request: ApiRequest) -> TenantFile:
    """The file in the path, for users who see its ticket; an unfinished upload, for its sender and admins.

    Raises:
        InvalidId, AttachmentNotFound, and those of `require_tenant`
    """
    tenant = await require_tenant(request)
    attachment_id = request.path_id("file_id" if "file_id" in request.path_params else "attachment_id")
    attachment = await repository.find_attachment(request.platform.database, tenant, attachment_id)
    if attachment is None or not policies.may_see_file(tenant, attachment):
        raise AttachmentNotFound
    return TenantFile(tenant, attachment)


async def require_sender(request: ApiRequest) -> TenantFile:
    file = await load_file(request)
    if not policies.may_complete_file(file.tenant, file.attachment):
        raise InsufficientPermissions("Only its sender may complete an upload")
    return file


async def require_may_delete(request: ApiRequest) -> TenantFile:
    file = await load_file(request)
    if not policies.may_delete_file(file.tenant, file.attachment):
        raise InsufficientPermissions("Only its sender and the company's admins may delete a file")
    return file


def download_link(request: ApiRequest, tenant: Tenant, attachment: AttachmentDetail) -> Link | None:
    """A link to the file, valid for `DOWNLOAD_FOR`; None while its upload is not complete."""
    if not attachment.is_complete:
        return None
    settings = request.platform.settings
    return new_link(
        settings.signing_key,
        "ticket-file",
        base_url=f"{settings.public_url}{FILES_PATH}",
        file_id=attachment.id,
        company_id=tenant.company_id,
        holds_for=DOWNLOAD_FOR,
    )
