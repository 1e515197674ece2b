"""Errors of use cases of accounts."""

from __future__ import annotations

from bugrelay.errors import BugRelayError


class EmailAlreadyExists(BugRelayError):
    code = "EMAIL_ALREADY_EXISTS"
    status = 409
    message = "There is an account for this e-mail address already"


class UsernameTaken(BugRelayError):
    code = "USERNAME_TAKEN"
    status = 409
    message = "This username is taken"


class WeakPassword(BugRelayError):
    code = "WEAK_PASSWORD"
    status = 400
    message = "This password is too easy to guess"


class InvalidCredentials(BugRelayError):
    code = "INVALID_CREDENTIALS"
    status = 401
    message = "The e-mail address or the password is wrong"

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": "Bearer"})


class InvalidRefreshToken(BugRelayError):
    code = "INVALID_REFRESH_TOKEN"
    status = 401
    message = "The refresh token is wrong, used or expired; sign in again"

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": "Bearer"})


class UserNotFound(BugRelayError):
    code = "USER_NOT_FOUND"
    status = 404
    message = "There is no such user"


class InvalidCurrentPassword(BugRelayError):
    code = "INVALID_CURRENT_PASSWORD"
    status = 401
    message = "The current password is wrong"

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": "Bearer"})


class SamePassword(BugRelayError):
    code = "SAME_PASSWORD"
    status = 400
    message = "The new password is the current one"


class AlreadyVerified(BugRelayError):
    code = "ALREADY_VERIFIED"
    status = 409
    message = "This e-mail address is verified already"


class AccountLocked(BugRelayError):
    code = "ACCOUNT_LOCKED"
    status = 423
    message = "Too many wrong passwords; try again later"

    def __init__(self, *, retry_after_seconds: int) -> None:
        super().__init__(headers={"Retry-After": str(retry_after_seconds)})


class SessionNotFound(BugRelayError):
    code = "SESSION_NOT_FOUND"
    status = 404
    message = "There is no such session of yours"


class PasswordNotSet(BugRelayError):
    code = "PASSWORD_NOT_SET"
    status = 409
    message = "This account has no password; set one by the link of a password reset"


class OAuthProviderNotFound(BugRelayError):
    code = "OAUTH_PROVIDER_NOT_FOUND"
    status = 404
    message = "There is no such provider here; GET /api/v1/config names those that there are"


class InvalidOAuthState(BugRelayError):
    code = "INVALID_OAUTH_STATE"
    status = 400
    message = "This sign-in was begun elsewhere, has ended or expired; sign in again"


class InvalidOAuthCode(BugRelayError):
    code = "INVALID_OAUTH_CODE"
    status = 400
    message = "The code or its verifier is wrong, used or expired; sign in again"


class OAuthDenied(BugRelayError):
    code = "OAUTH_DENIED"
    status = 400
    message = "The provider was not allowed to identify you"


class OAuthEmailMissing(BugRelayError):
    code = "OAUTH_EMAIL_MISSING"
    status = 400
    message = "The provider names no e-mail address, which a new account needs"


class IdentityAlreadyLinked(BugRelayError):
    code = "IDENTITY_ALREADY_LINKED"
    status = 409
    message = "This identity opens another account"


class ProviderAlreadyLinked(BugRelayError):
    code = "PROVIDER_ALREADY_LINKED"
    status = 409
    message = "The account has another identity of this provider; unlink that first"


class IdentityNotFound(BugRelayError):
    code = "IDENTITY_NOT_FOUND"
    status = 404
    message = "No identity of this provider is linked to your account"


class LastSignIn(BugRelayError):
    code = "LAST_SIGN_IN"
    status = 409
    message = "Nothing else opens your account; set a password or link another provider first"
