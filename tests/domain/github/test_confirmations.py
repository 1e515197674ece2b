"""The mail that confirms a report names its issue where everybody may read it, and it is there by then."""

from __future__ import annotations

import pytest

from tests.domain.github.conftest import Tenant, Working
from tests.domain.github.fake_github import Repository
from tests.infra.mail.postbox import Postbox, parts_of


@pytest.mark.parametrize("is_private", [True, False])
async def test_an_issue_is_named_if_its_repository_is_public(
    tenant: Tenant, working: Working, repository: Repository, postbox: Postbox, is_private: bool
) -> None:
    repository.private = is_private
    await tenant.connect(allow_public=not is_private)
    ticket = await tenant.report()
    async with working():
        await tenant.settled()
    shown = await tenant.shown(ticket)
    assert shown["github_sync_status"] == "synced"
    await tenant.run_jobs()
    mail = await postbox.next(tenant.reporter.email, subject=ticket["key"])
    assert [shown["github_issue_url"] in part for part in parts_of(mail)] == [not is_private] * 2
