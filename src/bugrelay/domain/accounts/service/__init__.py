"""Use cases of accounts: registration, sessions, login throttle, mailed links, identities of providers."""

from bugrelay.domain.accounts.service.registration import change_profile, create_user, hash_password
from bugrelay.domain.accounts.service.sessions import authenticate, lock_active_user

__all__ = ["authenticate", "change_profile", "create_user", "hash_password", "lock_active_user"]
