"""GIF files, parsed and rebuilt: every frame is decoded and re-encoded, everything else dropped.

Pillow alone would flatten the frames and quantise new palettes, which spoils screen recordings; here each frame keeps
its own box, palette, delay and disposal. Comments, application data and bytes after the trailer are dropped. Block
layout: GIF89a specification, sections 17 to 27.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from io import BytesIO

from PIL import Image

SIGNATURES = (b"GIF87a", b"GIF89a")
_TRAILER, _EXTENSION, _IMAGE = 0x3B, 0x21, 0x2C
_GRAPHIC_CONTROL, _APPLICATION = 0xF9, 0xFF
_LOOPING = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_HAS_PALETTE, _INTERLACED, _PALETTE_BITS = 0x80, 0x40, 0x07
# Frames, extensions and bytes of padding together; limits the parsing of a file of 10 MB before its first pixel.
_MAX_BLOCKS = 20_000
# Disposal and the transparency flag, without "wait for user input".
_KEPT_CONTROL_FLAGS = 0x1D
_GREYS = bytes(level for grey in range(256) for level in (grey, grey, grey))


class BrokenGif(ValueError):
    """The file is no valid GIF."""


class GifTooLarge(ValueError):
    """The file has more frames or pixels than the limits."""


@dataclass(frozen=True)
class _Frame:
    """`box` is left, top, width, height; `control` is empty or flags, delay and transparent index."""

    box: tuple[int, int, int, int]
    interlaced: bool
    palette: bytes
    control: bytes
    pixels: bytes


@dataclass
class _Gif:
    width: int
    height: int
    background: int
    palette: bytes
    loop: bytes = b""
    frames: list[_Frame] = field(default_factory=list)


class _Cursor:
    """Reads the file sequentially, and raises BrokenGif at its end."""

    def __init__(self, raw: bytes, position: int) -> None:
        self.raw = raw
        self.position = position

    def take(self, count: int) -> bytes:
        piece = self.raw[self.position : self.position + count]
        if len(piece) < count:
            raise BrokenGif("the file ends too early")
        self.position += count
        return piece

    def ended(self) -> bool:
        return self.position >= len(self.raw)

    def blocks(self) -> bytes:
        """The sub-blocks that start here, with their length bytes and the terminator."""
        end = self.position
        try:
            while length := self.raw[end]:
                end += length + 1
        except IndexError as error:
            raise BrokenGif("the file ends too early") from error
        return self.take(end + 1 - self.position)

    def palette(self, flags: int) -> bytes:
        return self.take(3 << ((flags & _PALETTE_BITS) + 1)) if flags & _HAS_PALETTE else b""


def clean_gif(raw: bytes, *, max_pixels: int, max_frames: int) -> bytes:
    """The same animation as a new file.

    Args:
        raw: A file that starts with one of `SIGNATURES`.
        max_pixels: Limit of canvas width x height x number of frames, checked before a pixel is decoded.
        max_frames: Limit of the number of frames.

    Raises:
        BrokenGif, GifTooLarge
        Exception: Pillow's own errors, if a frame cannot be decoded.
    """
    gif = _read(raw, max_frames=max_frames)
    if gif.width * gif.height * len(gif.frames) > max_pixels:
        raise GifTooLarge
    return _write(gif)


def _read(raw: bytes, *, max_frames: int) -> _Gif:
    cursor = _Cursor(raw, len(SIGNATURES[0]))
    width, height, flags, background, _aspect = struct.unpack("<HHBBB", cursor.take(7))
    gif = _Gif(width, height, background, cursor.palette(flags))
    control = b""
    for _ in range(_MAX_BLOCKS):
        if cursor.ended():
            break
        kind = cursor.take(1)[0]
        if kind == _TRAILER:
            break
        if kind == _EXTENSION:
            control = _read_extension(cursor, gif, control)
        elif kind == _IMAGE:
            gif.frames.append(_read_frame(cursor, control))
            control = b""
            if len(gif.frames) > max_frames:
                raise GifTooLarge
        # Anything else is padding between blocks, which some encoders write and all browsers skip.
    else:
        raise BrokenGif("more blocks than any encoder writes")
    if not gif.frames:
        raise BrokenGif("there is no picture in it")
    _grow_canvas(gif)
    return gif


def _read_extension(cursor: _Cursor, gif: _Gif, control: bytes) -> bytes:
    """Read one extension, and return the graphic control that is now in effect."""
    label = cursor.take(1)[0]
    blocks = cursor.blocks()
    if label == _GRAPHIC_CONTROL and blocks[0] >= 4:  # noqa: PLR2004 - flags, delay (2), transparent index
        return bytes([blocks[1] & _KEPT_CONTROL_FLAGS]) + blocks[2:5]
    if label == _APPLICATION and blocks[1:12] in _LOOPING and blocks[12:14] == b"\x03\x01":
        gif.loop = blocks[14:16]
    return control


def _read_frame(cursor: _Cursor, control: bytes) -> _Frame:
    left, top, width, height, flags = struct.unpack("<HHHHB", cursor.take(9))
    return _Frame(
        box=(left, top, width, height),
        palette=cursor.palette(flags),
        interlaced=bool(flags & _INTERLACED),
        control=control,
        pixels=cursor.take(1) + cursor.blocks(),
    )


def _grow_canvas(gif: _Gif) -> None:
    """Enlarge the canvas by frames that exceed it, as decoders do, so that the limit counts all pixels."""
    for left, top, width, height in (frame.box for frame in gif.frames):
        gif.width = max(gif.width, left + width)
        gif.height = max(gif.height, top + height)


def _write(gif: _Gif) -> bytes:
    parts = [SIGNATURES[1], struct.pack("<HH", gif.width, gif.height), _palette_flags(gif.palette)]
    parts += [bytes([gif.background, 0]), gif.palette]
    if gif.loop:
        parts += [b"\x21\xff\x0b", _LOOPING[0], b"\x03\x01", gif.loop, b"\0"]
    for frame in gif.frames:
        if frame.control:
            parts += [b"\x21\xf9\x04", frame.control, b"\0"]
        parts += [b",", struct.pack("<HHHH", *frame.box), _palette_flags(frame.palette), frame.palette]
        parts.append(_recoded(frame, frame.palette or gif.palette or _GREYS))
    return b"".join([*parts, b";"])


def _palette_flags(palette: bytes) -> bytes:
    return bytes([_HAS_PALETTE | ((len(palette) // 3).bit_length() - 2)]) if palette else b"\0"


def _recoded(frame: _Frame, palette: bytes) -> bytes:
    """The frame's colour indexes through Pillow's decoder and encoder, as image data without interlacing."""
    _, _, width, height = frame.box
    alone = b"".join(
        [
            SIGNATURES[1], struct.pack("<HH", width, height), _palette_flags(palette), b"\0\0", palette,
            b",", struct.pack("<HHHH", 0, 0, width, height), bytes([_INTERLACED * frame.interlaced]),
            frame.pixels, b";",
        ]
    )  # fmt: skip
    recoded = BytesIO()
    with Image.open(BytesIO(alone), formats=["GIF"]) as picture:
        picture.load()
        # Without "optimize" the colour indexes stay the same, so that they still fit the original palette.
        picture.save(recoded, "GIF", optimize=False, interlace=0)
    return _read(recoded.getvalue(), max_frames=1).frames[0].pixels
