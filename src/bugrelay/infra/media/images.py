"""Cleaning of uploaded pictures: checked before they are decoded, rotated upright, re-encoded without metadata.

This runs in processes of its own (`image_worker`), so it imports little and writes no log.

Only what is visible is kept: pixels, transparency, and the delays and loops of GIF, WebP and PNG animations. EXIF, GPS,
XMP, comments, thumbnails, text chunks, colour profiles and bytes after the picture are dropped. A CMYK JPEG becomes
RGB, a colour PNG with 16 bits per channel gets 8. The format stays the same.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from PIL import ExifTags, Image, ImageFile, JpegImagePlugin

from bugrelay.infra.media import gif
from bugrelay.infra.media.image_exchange import CleanImage, NotAnImage, TooManyPixels, TooManyScans

MAX_PIXELS = 25_000_000
MAX_FRAMES = 500
# A progressive JPEG of a few kilobytes can have thousands of scans, each a pass over all pixels; encoders write ten. A
# small picture may have many; one at the limit twice as many as encoders write, which takes half a second to decode.
MAX_JPEG_SCANS = 100
MAX_JPEG_SCANNED_PIXELS = 20 * MAX_PIXELS
# Pillow parses headers in Python, at some microseconds for each of these, and 10 MB have room for millions.
_MAX_JPEG_SEGMENTS = 1_000
_MAX_JPEG_PADDING = 64 * 1024
_MAX_PNG_CHUNKS = 20_000

# Pillow's own limit, for what it allocates before our checks know the size (it raises at twice this number).
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
# Pillow's warnings are about users' files, not about our code; each odd file would write a line to stderr.
warnings.filterwarnings("ignore", module=r"PIL\.")

_TYPES = {
    "JPEG": ("image/jpeg", "jpg"),
    "PNG": ("image/png", "png"),
    "GIF": ("image/gif", "gif"),
    "WEBP": ("image/webp", "webp"),
}

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_JPEG_START = b"\xff\xd8\xff"
_PNG_START = b"\x89PNG\r\n\x1a\n"
# After 0xFF, zero is a stuffed byte, D0 to D7 are restarts inside a scan, FF is fill.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)
_JPEG_END, _JPEG_SCAN, _JPEG_STANDALONE = b"\xd9", b"\xda", b"\x01\xd8"


def clean_image(raw: bytes) -> CleanImage:
    """The picture in `raw`, re-encoded.

    Raises:
        NotAnImage: It is no picture, is broken, or exceeds the limits; the message is for the user.
    """
    try:
        return _clean_gif(raw) if raw.startswith(gif.SIGNATURES) else _clean(raw)
    except NotAnImage:
        raise
    except (gif.GifTooLarge, Image.DecompressionBombError) as error:
        raise TooManyPixels from error
    except Exception as error:
        # For broken files, Pillow's decoders raise OSError, SyntaxError, struct.error, IndexError, MemoryError and
        # more. All of them mean the same to the user.
        raise NotAnImage from error


def _clean_gif(raw: bytes) -> CleanImage:
    return CleanImage(gif.clean_gif(raw, max_pixels=MAX_PIXELS, max_frames=MAX_FRAMES), *_TYPES["GIF"])


def _clean(raw: bytes) -> CleanImage:
    scans = _check_jpeg(raw) if raw.startswith(_JPEG_START) else 1
    if raw.startswith(_PNG_START):
        _check_png(raw)
    with Image.open(BytesIO(raw), formats=["JPEG", "PNG", "WEBP"]) as opened:
        # Phones append depth maps and second views to a JPEG, which Pillow calls MPO; viewers show the first
        # picture.
        file_format = "JPEG" if isinstance(opened, JpegImagePlugin.JpegImageFile) else str(opened.format)
        frame_count = 1 if file_format == "JPEG" else getattr(opened, "n_frames", 1)
        if frame_count > MAX_FRAMES or opened.width * opened.height * frame_count > MAX_PIXELS:
            raise TooManyPixels
        if opened.width * opened.height * scans > MAX_JPEG_SCANNED_PIXELS:
            raise TooManyScans
        options = _encoding(opened, file_format, raw)
        written = BytesIO()
        if frame_count == 1:
            _upright(opened).save(written, file_format, **options)
        else:
            _save_animation(opened, written, file_format, options)
    return CleanImage(written.getvalue(), *_TYPES[file_format])


def _check_jpeg(raw: bytes) -> int:
    """The number of scans, each a pass over the pixels.

    Raises:
        NotAnImage: There are more scans, segments or padding than cameras and editors write.
    """
    scans, segments, position = 0, 0, 2
    while (marker := _JPEG_MARKER.search(raw, position)) and marker[1] != _JPEG_END:
        padding = marker.start() - position
        scans += marker[1] == _JPEG_SCAN
        segments += not scans
        if (
            scans > MAX_JPEG_SCANS
            or segments > _MAX_JPEG_SEGMENTS
            or (not scans and padding > _MAX_JPEG_PADDING)
        ):
            raise NotAnImage
        position = marker.end()
        if marker[1] not in _JPEG_STANDALONE:
            # At least the two bytes of the length itself, so that a length of zero cannot cause an endless loop.
            position += max(2, int.from_bytes(raw[position : position + 2], "big"))
    return scans


def _check_png(raw: bytes) -> None:
    """
    Raises:
        NotAnImage: There are more chunks than encoders write.
    """
    position = len(_PNG_START)
    for _ in range(_MAX_PNG_CHUNKS):
        if position >= len(raw) or raw[position + 4 : position + 8] == b"IEND":
            return  # decoders ignore what follows the end
        position += 12 + int.from_bytes(raw[position : position + 4], "big")
    raise NotAnImage


def _encoding(opened: ImageFile.ImageFile, file_format: str, raw: bytes) -> dict[str, Any]:
    """Pillow's options to save the picture without visible loss, and without growing much."""
    if file_format == "PNG":
        # A third faster than level 6 on large screenshots, and a few percent larger.
        return {"compress_level": 4}
    if file_format == "WEBP":
        lossless = b"VP8L" in raw and b"VP8 " not in raw
        # The fastest method, and no key frames but the first: at 25 megapixels the others take too long.
        speed = {"method": 0, "kmin": 0, "kmax": 0}
        return {**speed, "lossless": True, "quality": 20} if lossless else {**speed, "quality": 85}
    tables = getattr(opened, "quantization", {})
    if opened.mode in ("L", "RGB") and sorted(tables) in ([0], [0, 1]):
        # The original quantisation tables: no further loss of quality, no larger file.
        return {"qtables": tables, "subsampling": JpegImagePlugin.get_sampling(opened)}
    return {"quality": 90, "subsampling": 0}


def _upright(opened: Image.Image) -> Image.Image:
    """The only frame, decoded, rotated by its EXIF orientation, and without metadata."""
    opened.load()
    turn = _UPRIGHT.get(_orientation(opened))
    # The WebP decoder keeps two canvases of its own, 200 MB at the limit, for frames that do not exist.
    vars(opened).pop("_decoder", None)
    # Pillow would write comments and profiles from here into the new file.
    opened.info = {"transparency": opened.info["transparency"]} if "transparency" in opened.info else {}
    if opened.mode == "CMYK":
        return _turned(opened.convert("RGB"), turn)
    return _turned(opened, turn)


def _turned(picture: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    return picture if turn is None else picture.transpose(turn)


def _orientation(opened: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 (upright) if there is none."""
    try:
        value = opened.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - a broken EXIF block must not refuse the picture
        return 1
    return value if isinstance(value, int) else 1


def _save_animation(
    opened: ImageFile.ImageFile, written: BytesIO, file_format: str, options: dict[str, Any]
) -> None:
    """All frames, each complete in itself, with their durations in milliseconds and the loop count."""
    durations: list[float] = []
    frames = list(_frames(opened, durations))
    if file_format == "PNG":
        # An APNG may have a default image for viewers without animation; Pillow counts it as the first frame.
        still = bool(getattr(opened, "default_image", False))
        options = {**options, "default_image": still, "disposal": 0, "blend": 0}
        durations = durations[1:] if still else durations
    options = {**options, "duration": durations, "loop": opened.info.get("loop", 0)}
    frames[0].save(written, file_format, save_all=True, append_images=frames[1:], **options)


def _frames(opened: ImageFile.ImageFile, durations: list[float]) -> Iterator[Image.Image]:
    """Each frame, rotated upright and without metadata; its duration is appended to `durations`."""
    opened.load()
    turn = _UPRIGHT.get(_orientation(opened))
    for index in range(getattr(opened, "n_frames", 1)):
        opened.seek(index)
        opened.load()
        durations.append(float(opened.info.get("duration", 0)))
        opaque = opened.mode in ("L", "RGB") and "transparency" not in opened.info
        frame = opened.copy() if opaque else opened.convert("RGBA")
        frame.info = {}
        yield _turned(frame, turn)
