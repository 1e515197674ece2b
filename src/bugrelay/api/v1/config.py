"""`/api/v1/config`: limits and options for clients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from litestar import Controller, Response, get
from msgspec import Struct

from bugrelay.domain.bugs.models import PRIORITIES, STATUSES
from bugrelay.domain.bugs.schemas import ReportBug, WriteComment
from bugrelay.domain.bugs.service.attachments import MAX_ATTACHMENTS
from bugrelay.http.request import ApiRequest
from bugrelay.http.responses import json_response
from bugrelay.http.routes import Route, anyone
from bugrelay.infra.media.image_exchange import IMAGE_TYPES
from bugrelay.infra.text.tags import MAX_TAGS
from bugrelay.infra.validation import text_limits
from bugrelay.settings import Settings


class CaptchaConfig(Struct):
    """The captcha for anonymous requests.

    Attributes:
        kind: The provider; `off` if none is required.
        site_key: The site key for its widget.
    """

    kind: Literal["recaptcha", "off"]
    site_key: str | None


class TextLimit(Struct):
    """The length of a text, in characters.

    Attributes:
        min: The minimum.
        max: The maximum.
    """

    min: int
    max: int


class LimitsConfig(Struct):
    """Limits of content.

    Attributes:
        tags: The maximum number of tags of a bug.
        attachments: The maximum number of pictures of a bug.
        upload_bytes: The maximum size of a picture, in bytes.
        upload_types: The media types of pictures.
    """

    title: TextLimit
    description: TextLimit
    comment: TextLimit
    tags: int
    tag: TextLimit
    attachments: int
    upload_bytes: int
    upload_types: list[str]


class ClientConfig(Struct):
    """Limits and options for clients.

    Attributes:
        site_name: The board's name.
        rates: The rate limits by name, as `calls/unit`; null for no limit.
        statuses: The statuses that a bug may have.
        priorities: The priorities that a bug may have.
        sign_in_providers: The ways to sign in: `password`, and the names of the providers.
    """

    site_name: str
    captcha: CaptchaConfig
    limits: LimitsConfig
    rates: dict[str, str | None]
    statuses: list[str]
    priorities: list[str]
    sign_in_providers: list[str]


class ConfigController(Controller):
    path = "/api/v1/config"
    tags = ("Operation",)

    @get("/")
    @Route(access=anyone(same_for_all=True))
    async def get_config(self, request: ApiRequest) -> Response[ClientConfig]:
        """Show the captcha, limits, rates, statuses, priorities and ways to sign in."""
        platform = request.platform
        return json_response(_config(platform.settings, providers=platform.identity_providers))


def _limit(struct: type[Any], field: str) -> TextLimit:
    low, high = text_limits(struct, field)
    return TextLimit(low or 0, high or 0)


def _config(settings: Settings, *, providers: Iterable[str]) -> ClientConfig:
    rates = {
        "general": settings.rate_limit_general,
        "bug_submission": settings.rate_limit_bug_submission,
        "sign_in": settings.rate_limit_sign_in,
        "mail": settings.rate_limit_mail,
        "similar": settings.rate_limit_similar,
        "feeds": settings.rate_limit_feeds,
    }
    return ClientConfig(
        site_name=settings.site_name,
        captcha=CaptchaConfig(settings.captcha, settings.recaptcha_site_key or None),
        limits=LimitsConfig(
            title=_limit(ReportBug, "title"),
            description=_limit(ReportBug, "description"),
            comment=_limit(WriteComment, "content"),
            tags=MAX_TAGS,
            tag=TextLimit(1, 50),
            attachments=MAX_ATTACHMENTS,
            upload_bytes=settings.max_upload_bytes,
            upload_types=list(IMAGE_TYPES),
        ),
        rates={name: str(rate) if rate else None for name, rate in rates.items()},
        statuses=list(STATUSES),
        priorities=list(PRIORITIES),
        sign_in_providers=["password", *providers],
    )
