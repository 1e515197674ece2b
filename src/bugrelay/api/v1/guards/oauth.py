"""Loader for the identity provider in a path."""

from __future__ import annotations

from bugrelay.domain.accounts.errors import OAuthProviderNotFound
from bugrelay.http.request import ApiRequest
from bugrelay.infra.security.identity_providers.port import IdentityProvider


async def load_provider(request: ApiRequest) -> IdentityProvider:
    """
    Raises:
        OAuthProviderNotFound: No such provider is configured.
    """
    provider = request.platform.identity_providers.get(request.path_params["provider"])
    if provider is None:
        raise OAuthProviderNotFound
    return provider
