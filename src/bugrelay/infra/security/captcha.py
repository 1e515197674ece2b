"""The captcha of anonymous writes, checked by an external verifier, which may be slow, wrong or down.

Any failure of the verifier is 503, any failure of the token is 400: nothing passes unverified.
Protocol: https://developers.google.com/recaptcha/docs/verify
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec
import structlog

from bugrelay.errors import BugRelayError, ServiceUnavailable
from bugrelay.infra.imports import Deferred
from bugrelay.settings import SettingError, Settings

if TYPE_CHECKING:
    import httpx
else:
    httpx = Deferred("httpx")

log = structlog.get_logger()

MAX_TOKEN_CHARACTERS = 4096
_DEADLINE_SECONDS = 3.0
_MAX_ANSWER_BYTES = 64 * 1024
_MAX_CALLS = 50
_NOT_VISIBLE = re.compile(r"[^!-~]+")
# Uncompressed, so that the limit of the response's size is also that of the decoded content.
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "BugRelay"}
# Error codes that say that our request is wrong or the verifier has failed, not that the token is invalid.
_NOT_THE_TOKEN = {"missing-input-secret", "invalid-input-secret", "internal-error"}


class RecaptchaFailed(BugRelayError):
    """The token is missing, refused, scored too low, or was issued for another site or action."""

    code = "RECAPTCHA_FAILED"
    status = 400
    message = "The captcha was not solved; try again"


class RecaptchaUnavailable(ServiceUnavailable):
    """The verifier could not be asked, so the token is neither accepted nor refused."""

    code = "RECAPTCHA_UNAVAILABLE"
    message = "The captcha cannot be checked right now; try again shortly"


class CaptchaVerifier(Protocol):
    """Verifies captcha tokens.

    `single_use`: an accepted token must not be accepted again, which the caller has to ensure.
    """

    @property
    def single_use(self) -> bool: ...

    async def verify(self, token: str | None, *, remote_address: str | None) -> None:
        """Return if the token is valid.

        Raises:
            RecaptchaFailed: It is not.
            RecaptchaUnavailable: The verifier gave no usable response in time.
        """

    async def close(self) -> None:
        """Close connections."""


def captcha_from(settings: Settings) -> CaptchaVerifier:
    """The verifier that is configured in the settings.

    Raises:
        SettingError: `RECAPTCHA_VERIFY_URL` cannot be called.
    """
    if settings.captcha == "off":
        return NoCaptcha()
    if not settings.recaptcha_secret_key:
        log.warning("captcha_accepts_any_token", reason="RECAPTCHA_SECRET_KEY is empty")
        return AnyToken()
    return Recaptcha(settings)


class NoCaptcha:
    """`CAPTCHA=off`: no token is needed."""

    single_use = False

    async def verify(self, token: str | None, *, remote_address: str | None) -> None:
        """Accepts everything."""

    async def close(self) -> None:
        """There are no connections."""


class AnyToken:
    """Development without a secret: a token is required, but any is accepted, also repeatedly."""

    single_use = False

    async def verify(self, token: str | None, *, remote_address: str | None) -> None:  # noqa: ARG002 - the port's
        _checked(token)

    async def close(self) -> None:
        """There are no connections."""


class Recaptcha:
    """reCAPTCHA v2 and v3, by one POST to `RECAPTCHA_VERIFY_URL`; responses of v3 have a `score`."""

    single_use = True

    def __init__(self, settings: Settings) -> None:
        self._url = _callable_url(settings.recaptcha_verify_url)
        self._secret = settings.recaptcha_secret_key
        self._min_score = settings.recaptcha_min_score
        self._action = settings.recaptcha_action
        self._hostnames = {name.lower() for name in settings.recaptcha_hostnames}
        self._calls = asyncio.Semaphore(_MAX_CALLS)
        # A transport suffices for calls to one address; a client around it would cost half as much again, for
        # redirects, cookies and authentication that are not needed here.
        self._transport = httpx.AsyncHTTPTransport(
            proxy=_proxy_to(self._url),
            limits=httpx.Limits(max_connections=_MAX_CALLS, max_keepalive_connections=10),
        )

    async def verify(self, token: str | None, *, remote_address: str | None) -> None:
        form = {"secret": self._secret, "response": _checked(token)}
        if remote_address:
            form["remoteip"] = remote_address
        self._judge(await self._answer(form))

    async def close(self) -> None:
        await self._transport.aclose()

    async def _answer(self, form: dict[str, str]) -> dict[str, Any]:
        """The verifier's JSON object; the deadline covers the wait for a free call, too."""
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS), self._calls:
                body = await self._post(form)
            answer = msgspec.json.decode(body)
        except (TimeoutError, httpx.HTTPError) as error:
            raise _unavailable(type(error).__name__) from error
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise _unavailable("answer is no JSON") from error
        if not isinstance(answer, dict):
            raise _unavailable("answer is no JSON object")
        return answer

    async def _post(self, form: dict[str, str]) -> bytes:
        response = await self._transport.handle_async_request(
            httpx.Request("POST", self._url, headers=_HEADERS, data=form)
        )
        try:
            if response.status_code != httpx.codes.OK:
                raise _unavailable(f"answered {response.status_code}")
            return await _bounded(response)
        finally:
            await response.aclose()

    def _judge(self, answer: dict[str, Any]) -> None:
        success = answer.get("success")
        if not isinstance(success, bool):
            raise _unavailable("answer has no success of true or false")
        if not success:
            raise _refusal(answer.get("error-codes"))
        if self._hostnames and str(answer.get("hostname")).lower() not in self._hostnames:
            raise RecaptchaFailed("The captcha was solved on another site")
        if self._action and answer.get("action") != self._action:
            raise RecaptchaFailed("The captcha was solved for another action")
        if "score" in answer and _score(answer["score"]) < self._min_score:
            raise RecaptchaFailed("The captcha takes this for a machine; try again")


async def _bounded(response: httpx.Response) -> bytes:
    """The raw body.

    Raises:
        RecaptchaUnavailable: It is too large.
    """
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > _MAX_ANSWER_BYTES:
            raise _unavailable("answer is too long")
    return bytes(body)


def _proxy_to(url: httpx.URL) -> str | None:
    """The proxy for an address by the environment (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY)."""
    named = {} if proxy_bypass(url.host) else getproxies()
    proxy = named.get(url.scheme) or named.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def _callable_url(url: str) -> httpx.URL:
    """The parsed URL, validated now: a port over 65535 would only fail at the first call, with an OverflowError."""
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0
        parsed = httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as error:
        raise SettingError("RECAPTCHA_VERIFY_URL is no address that can be called") from error
    if not usable:
        raise SettingError("RECAPTCHA_VERIFY_URL must name a host")
    return parsed


def token_identity(token: str) -> str:
    """The key by which accepted tokens are stored: the visible ASCII characters of the token, case-sensitive.

    Real tokens have no others. A verifier may ignore spaces, invisible characters or the width of letters, so adding
    these must not make a different token.
    """
    plain = token if token.isascii() else "".join(unicodedata.normalize("NFKC", one) for one in token)
    return _NOT_VISIBLE.sub("", plain)


def _checked(token: str | None) -> str:
    if not token or not token.strip():
        raise RecaptchaFailed("recaptcha_token is required to write without an account")
    token = token.strip()
    # No form can carry a lone surrogate.
    if len(token) > MAX_TOKEN_CHARACTERS or any("\ud800" <= character <= "\udfff" for character in token):
        raise RecaptchaFailed("recaptcha_token is not a captcha token")
    return token


def _score(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise _unavailable("score is no number from 0 to 1")
    return value


def _refusal(codes: object) -> BugRelayError:
    """The error for a response with `success` false, by its error codes."""
    named = {code for code in codes if isinstance(code, str)} if isinstance(codes, list) else set()
    ours = sorted(named & _NOT_THE_TOKEN)
    if not ours:
        return RecaptchaFailed()
    log.error("captcha_misconfigured", error_codes=ours)
    return RecaptchaUnavailable()


def _unavailable(reason: str) -> RecaptchaUnavailable:
    log.warning("captcha_unavailable", reason=reason)
    return RecaptchaUnavailable()
