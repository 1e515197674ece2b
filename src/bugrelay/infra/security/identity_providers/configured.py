"""The identity providers of the settings."""

from __future__ import annotations

from collections.abc import Mapping

from bugrelay.infra.security.identity_providers.github import GitHub
from bugrelay.infra.security.identity_providers.openid_connect import OpenIdConnect
from bugrelay.infra.security.identity_providers.port import IdentityProvider
from bugrelay.settings import OidcIssuer, Settings

GOOGLE_ISSUER = "https://accounts.google.com"


def identity_providers_from(settings: Settings) -> Mapping[str, IdentityProvider]:
    """The providers by name, in the order in which clients show them; none is called before its first use."""
    found: list[IdentityProvider] = []
    if settings.oauth_github_client_id:
        github = GitHub(
            url=settings.oauth_github_url,
            client_id=settings.oauth_github_client_id,
            client_secret=settings.oauth_github_client_secret,
        )
        found.append(github)
    if settings.oauth_google_client_id:
        google = OidcIssuer(
            name="google",
            issuer=GOOGLE_ISSUER,
            client_id=settings.oauth_google_client_id,
            client_secret=settings.oauth_google_client_secret,
        )
        found.append(OpenIdConnect(google))
    found += [OpenIdConnect(issuer) for issuer in settings.oauth_issuers]
    return {provider.name: provider for provider in found}
