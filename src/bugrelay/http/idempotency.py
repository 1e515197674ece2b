"""`Idempotency-Key`: a repeated request gets the response of the first one, and changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from litestar import Response

from bugrelay.errors import ValidationFailed
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import raw_json_response
from bugrelay.infra import idempotency
from bugrelay.infra.db.unit_of_work import UnitOfWork
from bugrelay.infra.idempotency import IdempotencyClaim, StoredResponse

HEADER = "Idempotency-Key"
ANONYMOUS_KEY_MIN = 16  # whoever knows an anonymous key can use it, so it must not be guessable

Complete = Callable[[UnitOfWork, StoredResponse], Awaitable[None]]


async def _as_it_was(body: bytes) -> bytes:
    return body


async def idempotent(
    request: ApiRequest,
    work: Callable[[Complete], Awaitable[Response[Any]]],
    *,
    add_unstored: Callable[[bytes], Awaitable[bytes]] = _as_it_was,
    of: UUID | None = None,
) -> Response[Any]:
    """Run `work`, or return the stored response of the first request with this key.

    Args:
        request: Its header, sender, path and body are the claim; captcha tokens are not compared.
        work: Handles the request. Inside its unit of work it calls the function that it gets, with the response to
            store.
        add_unstored: Adds to a stored body what must not be stored.
        of: The company that the request is about, if neither path nor body names it; a repeat for another conflicts.

    Raises:
        ValidationFailed: The key is too short or too long, or was sent several times.
        IdempotencyConflict, IdempotencyInProgress
    """
    claim = _claim(request, of=of)
    if claim is None:
        return await work(_complete_nothing)
    async with request.platform.work() as claiming:
        stored = await idempotency.claim(claiming.session, claim)
    if stored is not None:
        body = await add_unstored(stored.body)
        return raw_json_response(body, status=stored.status, headers={"Idempotency-Replayed": "true"})

    async def complete(unit: UnitOfWork, response: StoredResponse) -> None:
        await idempotency.complete(unit.session, claim, response)

    try:
        return await work(complete)
    except Exception:
        async with request.platform.work() as releasing:
            await idempotency.release(releasing.session, claim)
        raise


async def _complete_nothing(_unit: UnitOfWork, _response: StoredResponse) -> None:
    return


def _claim(request: ApiRequest, *, of: UUID | None) -> IdempotencyClaim | None:
    keys = request.headers.getall(HEADER, [])
    if not keys:
        return None
    if len(keys) > 1:
        raise ValidationFailed.of(HEADER, "must be sent once")
    key = keys[0]
    low = 1 if request.viewer.signed_in else ANONYMOUS_KEY_MIN
    if not low <= len(key) <= 128:  # noqa: PLR2004 - the contract's limit
        raise ValidationFailed.of(HEADER, f"must have {low} to 128 characters")
    body = {name: value for name, value in (request.raw_json or {}).items() if name != "recaptcha_token"}
    wanted = [request.method, request.scope["path"].rstrip("/"), body]
    if of is not None:
        wanted.append(str(of))
    return IdempotencyClaim.of(sender_id=request.viewer.user_id, key=key, request=wanted)
