"""`Idempotency-Key`: a repeat of a request answers as the first did and adds nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Response

from bugrelay.errors import ValidationFailed
from bugrelay.http.answers import raw_answer
from bugrelay.http.request import ApiRequest
from bugrelay.infra import idempotency
from bugrelay.infra.idempotency import Claim, KeptAnswer
from bugrelay.infra.unit_of_work import UnitOfWork

HEADER = "Idempotency-Key"
ANONYMOUS_KEY_MIN = 16  # an anonymous key belongs to whoever knows it, so it must not be guessed

Keep = Callable[[UnitOfWork, KeptAnswer], Awaitable[None]]


async def once(request: ApiRequest, work: Callable[[Keep], Awaitable[Response[Any]]]) -> Response[Any]:
    """Run `work`, or give the kept answer of the first request with this key.

    Args:
        request: Its header, sender, path and body make the claim; the captcha token is left out of the comparison.
        work: Does the request. Calls the function it is given inside its unit of work, with the answer to keep.

    Raises:
        ValidationFailed: The key is too short, too long, or not the only one.
        IdempotencyConflict, IdempotencyInProgress
    """
    claim = _claim(request)
    if claim is None:
        return await work(_keep_nothing)
    async with request.platform.work() as taking:
        kept = await idempotency.take(taking.session, claim)
    if kept is not None:
        return raw_answer(kept.body, status=kept.status, headers={"Idempotency-Replayed": "true"})

    async def keep(unit: UnitOfWork, answer: KeptAnswer) -> None:
        await idempotency.keep(unit.session, claim, answer)

    try:
        return await work(keep)
    except Exception:
        async with request.platform.work() as giving_back:
            await idempotency.give_back(giving_back.session, claim)
        raise


async def _keep_nothing(_unit: UnitOfWork, _answer: KeptAnswer) -> None:
    return


def _claim(request: ApiRequest) -> Claim | None:
    keys = request.headers.getall(HEADER, [])
    if not keys:
        return None
    if len(keys) > 1:
        raise ValidationFailed.of(HEADER, "must be sent once")
    key = keys[0]
    low = 1 if request.viewer.signed_in else ANONYMOUS_KEY_MIN
    if not low <= len(key) <= 128:  # noqa: PLR2004 - the contract's limit
        raise ValidationFailed.of(HEADER, f"must have {low} to 128 characters")
    body = {name: value for name, value in request.raw_json.items() if name != "recaptcha_token"}
    wanted = [request.method, request.scope["path"].rstrip("/"), body]
    return Claim.of(sender_id=request.viewer.user_id, key=key, request=wanted)
