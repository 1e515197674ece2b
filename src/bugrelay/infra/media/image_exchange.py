"""The messages between a server and its image workers; the server decodes no pictures, and does not load Pillow."""

from __future__ import annotations

from dataclasses import dataclass

from bugrelay.errors import BugRelayError

LENGTH_BYTES = 4
IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")


class NotAnImage(BugRelayError):
    """The bytes are no picture in a supported format."""

    code = "INVALID_FILE_TYPE"
    status = 400
    message = "The file must be a JPEG, PNG, GIF or WebP picture"


class TooManyPixels(NotAnImage):
    message = "The picture must unpack to at most 25 megapixels over all frames, and 500 frames"


class TooManyScans(NotAnImage):
    """A progressive JPEG with more scans, each a pass over its pixels, than any encoder writes."""

    message = "The progressive JPEG has too many scans for its size"


@dataclass(frozen=True)
class CleanImage:
    """A picture that is safe to store and serve; `extension` has no dot."""

    content: bytes
    mime_type: str
    extension: str


# msgpack, not pickle: an attacker who controls the decoder must not be able to run code in the parent.
REFUSALS: dict[str, type[NotAnImage]] = {
    refusal.__name__: refusal for refusal in (NotAnImage, TooManyPixels, TooManyScans)
}


@dataclass(frozen=True)
class Reply:
    """A picture, or the name of the error that refuses it, with the type of the cause."""

    image: CleanImage | None = None
    refusal: str = ""
    cause: str = ""


def framed(content: bytes) -> bytes:
    return len(content).to_bytes(LENGTH_BYTES, "big") + content
