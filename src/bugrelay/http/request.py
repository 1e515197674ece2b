"""Reading a request: JSON bodies, query parameters, ids in the path."""

from __future__ import annotations

import re
from typing import Any, TypeVar
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from litestar import Request
from litestar.datastructures import State

from bugrelay.errors import AuthRequired, InvalidId, UnsupportedMediaType, ValidationFailed
from bugrelay.infra.ids import new_id_text, parse_id
from bugrelay.infra.lifecycle import Lifecycle
from bugrelay.infra.platform import Platform
from bugrelay.infra.validation import read_fields
from bugrelay.infra.viewer import Viewer

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}\Z")

T = TypeVar("T", bound=msgspec.Struct)
MAX_QUERY_PARAMETERS = 100


class ApiRequest(Request[Viewer, None, State]):
    """A request.

    Attributes:
        loaded: What the guard has loaded for the handler, by the route's contract.
        raw_json: The decoded body, once it was read; None on a route without a JSON body.
    """

    loaded: Any = None
    raw_json: Any = None

    @property
    def viewer(self) -> Viewer:
        """The viewer; set by the guard."""
        return self.scope["user"]  # type: ignore[no-any-return]

    @property
    def user_id(self) -> UUID:
        """The id of the signed-in user, on a route whose access rule requires one."""
        if self.viewer.user_id is None:
            raise AuthRequired
        return self.viewer.user_id

    @property
    def is_head(self) -> bool:
        """Whether this is a HEAD request, which is routed and handled as GET (http/response_middleware.py)."""
        return bool(self.scope["state"].get("is_head"))

    @property
    def platform(self) -> Platform:
        return self.app.state.platform  # type: ignore[no-any-return]

    @property
    def lifecycle(self) -> Lifecycle:
        return self.app.state.lifecycle  # type: ignore[no-any-return]

    @property
    def client_address(self) -> str:
        """The client's network address, which limits count, and which is sent to the captcha's verifier."""
        return self.scope["state"]["client_address"]  # type: ignore[no-any-return]

    def header_values(self, name: bytes) -> list[str]:
        """The values of a header, whose name is in lower case.

        Litestar's `headers` copies all of them, which takes 2 % of the CPU time of a small request.
        """
        return [value.decode("latin-1") for sent, value in self.scope["headers"] if sent == name]

    async def json(self) -> Any:
        """The body as the struct of the handler's parameter `data`."""
        self.raw_json = decode_json(await self.body())
        wanted = self.route_handler.parsed_data_field
        if wanted is None:
            return self.raw_json
        if not isinstance(self.raw_json, dict):
            raise ValidationFailed.of("body", "must be a JSON object")
        return read_fields(self.raw_json, wanted.annotation)

    async def read_form(self) -> dict[str, str]:
        """The fields of a form that one of our pages has sent.

        Raises:
            UnsupportedMediaType, ValidationFailed
        """
        self.require_media_type("application/x-www-form-urlencoded")
        return form_values(await self.body())

    def require_media_type(self, wanted: str) -> None:
        """
        Raises:
            UnsupportedMediaType: The body has another type, none, or several.
        """
        sent = [value.partition(";")[0].strip().lower() for value in self.header_values(b"content-type")]
        if sent != [wanted]:
            raise UnsupportedMediaType(f"this address reads {wanted}")

    def path_id(self, name: str) -> UUID:
        """An id in the path.

        Raises:
            InvalidId: It is no UUID.
        """
        found = parse_id(self.path_params[name])
        if found is None:
            raise InvalidId
        return found

    def read_query(self, struct: type[T]) -> T:
        """The query parameters as a struct: unknown and empty ones are ignored, the last of repeated ones counts."""
        return read_fields(query_values(self.scope["query_string"]), struct, strict=False)

    def query_list(self, name: str) -> list[str]:
        """All values of one query parameter, in the order in which they were sent."""
        return [value for key, value in query_pairs(self.scope["query_string"]) if key == name]


def request_id_of(given: bytes | None) -> str:
    """The id from `X-Request-ID` if it is valid, or a new one. Of several headers, callers pass the last one, which the
    nearest proxy has added."""
    return given.decode("ascii") if given is not None and REQUEST_ID.match(given) else new_id_text()


def form_values(body: bytes) -> dict[str, str]:
    """The fields of a urlencoded form.

    Raises:
        ValidationFailed
    """
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_PARAMETERS
        )
    except (UnicodeError, ValueError) as error:
        raise ValidationFailed.of("body", "must be a form, percent-encoded UTF-8") from error
    return dict(pairs)


def decode_json(body: bytes) -> Any:
    """Decode JSON.

    Raises:
        ValidationFailed: It is not JSON in UTF-8, has a number out of range, or is nested too deeply.
    """
    if not body:
        raise ValidationFailed.of("body", "is required")
    try:
        body.decode()
        return msgspec.json.decode(body)
    except UnicodeDecodeError as error:
        raise ValidationFailed.of("body", "must be UTF-8") from error
    except RecursionError as error:
        raise ValidationFailed.of("body", "is nested too deeply") from error
    except msgspec.DecodeError as error:
        reason = str(error).removeprefix("JSON is malformed: ")
        reason = reason.replace("Input data was truncated", "it ends too early or has a lone surrogate")
        raise ValidationFailed.of("body", f"must be valid JSON: {reason[:1].lower()}{reason[1:]}") from error


def query_values(query: bytes) -> dict[str, str]:
    """The parameters of a query string that are not empty; of repeated ones the last.

    Raises:
        ValidationFailed: It is not UTF-8, or has more than a hundred parameters.
    """
    return dict(query_pairs(query))


def query_pairs(query: bytes) -> list[tuple[str, str]]:
    """All parameters of a query string that are not empty, in order.

    Raises:
        ValidationFailed: It is not UTF-8, or has more than a hundred parameters.
    """
    try:
        return parse_qsl(
            query.decode(),
            keep_blank_values=False,
            errors="strict",
            max_num_fields=MAX_QUERY_PARAMETERS,
        )
    except UnicodeError as error:
        raise ValidationFailed.of("query", "must be UTF-8, percent-encoded") from error
    except ValueError as error:
        raise ValidationFailed.of("query", f"must have at most {MAX_QUERY_PARAMETERS} parameters") from error


def has_body(scope: Any) -> bool:
    """Whether the headers announce a body."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )
