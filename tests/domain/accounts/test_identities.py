"""What is recorded of identities."""

from __future__ import annotations

from uuid import UUID

from bugrelay.domain.accounts.events import EmailVerified, IdentityLinked, IdentityUnlinked
from bugrelay.domain.accounts.models import User
from bugrelay.domain.accounts.service.identities import open_account, unlink
from bugrelay.infra.platform import Platform
from bugrelay.infra.security.identity_providers.port import ProvenIdentity
from tests.domain.conftest import Heard

ADA = ProvenIdentity(
    issuer="https://login.example",
    subject="s-1",
    email="ada@people.example",
    is_email_proven=True,
    username="ada",
    display_name=None,
)


async def test_an_account_of_an_identity_is_registered_verified_and_linked(platform: Platform) -> None:
    heard = Heard()
    heard.listen(platform.bus)
    async with platform.work() as work:
        opened = await open_account(work, ADA, provider="sso", is_first_try=True)
    assert heard.last(EmailVerified).user_id == opened.user_id
    assert heard.last(IdentityLinked) == IdentityLinked(user_id=opened.user_id, provider="sso")
    assert heard.names() == ["AccountRegistered", "EmailVerified", "IdentityLinked"]
    async with platform.work() as work:
        await open_account(work, ADA, provider="sso", is_first_try=True)
    assert heard.names() == []  # signing in changes nothing


async def test_an_unlinked_identity_is_recorded(platform: Platform) -> None:
    async with platform.work() as work:
        opened = await open_account(work, ADA, provider="sso", is_first_try=True)
    heard = Heard()
    heard.listen(platform.bus)
    await _give_a_password(platform, opened.user_id)
    async with platform.work() as work:
        await unlink(work, opened.user_id, provider="sso", usable=())
    assert heard.last(IdentityUnlinked) == IdentityUnlinked(user_id=opened.user_id, provider="sso")


async def _give_a_password(platform: Platform, user_id: UUID) -> None:
    async with platform.work() as work:
        user = await work.session.get_one(User, user_id)
        user.password_hash = "of a password"
