"""Pictures: what is kept, what is refused, and that refusing is cheap."""

import asyncio
import struct
import subprocess
import sys
import time
import zlib
from io import BytesIO

import pytest
from PIL import Image, ImageChops, ImageCms, ImageDraw, PngImagePlugin, features

from bugrelay.errors import ServiceUnavailable
from bugrelay.infra.media.image_exchange import CleanImage, NotAnImage, TooManyPixels, TooManyScans
from bugrelay.infra.media.image_pool import MAX_WAITING, WORKERS, ImageCleaner
from bugrelay.infra.media.images import clean_image
from tests.pace import patient, undisturbed

SECRET = b"CANARY-51.4778N"
ORIENTATION, CAMERA = 0x0112, 0x010F
TYPES = {
    "JPEG": ("image/jpeg", "jpg"),
    "PNG": ("image/png", "png"),
    "GIF": ("image/gif", "gif"),
    "WEBP": ("image/webp", "webp"),
}


def encoded(picture: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def decoded(content: bytes) -> Image.Image:
    picture = Image.open(BytesIO(content))
    picture.load()
    return picture


def marked(mode: str = "RGB", size: tuple[int, int] = (40, 20)) -> Image.Image:
    """White with a red square in the top left corner, so that turning shows."""
    picture = Image.new("RGB", size, "white")
    ImageDraw.Draw(picture).rectangle((0, 0, 9, 9), fill="red")
    return picture.convert(mode)


def frames_of(content: bytes) -> list[Image.Image]:
    picture = Image.open(BytesIO(content))
    result = []
    for index in range(getattr(picture, "n_frames", 1)):
        picture.seek(index)
        picture.load()
        result.append(picture.convert("RGBA"))
    return result


def durations_of(content: bytes) -> list[float]:
    picture = Image.open(BytesIO(content))
    result = []
    for index in range(picture.n_frames):
        picture.seek(index)
        picture.load()
        result.append(picture.info["duration"])
    return result


def same(one: Image.Image, other: Image.Image) -> bool:
    return ImageChops.difference(one.convert("RGBA"), other.convert("RGBA")).getbbox(alpha_only=False) is None


def movie(count: int = 4, size: tuple[int, int] = (40, 30)) -> list[Image.Image]:
    """A square that walks over a transparent ground."""
    frames = []
    for index in range(count):
        frame = Image.new("RGBA", size, (0, 0, 0, 0))
        ImageDraw.Draw(frame).rectangle((index * 5, 5, index * 5 + 8, 15), fill=(200, index * 40, 30, 255))
        frames.append(frame)
    return frames


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


# --- what stays ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", TYPES)
def test_the_format_stays_and_says_its_true_type(file_format: str) -> None:
    clean = clean_image(encoded(marked(), file_format))
    assert decoded(clean.content).format == file_format
    assert (clean.mime_type, clean.extension) == TYPES[file_format]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_png_of_any_mode_keeps_its_pixels(mode: str) -> None:
    source = Image.linear_gradient("L").convert(mode) if mode == "I;16" else marked(mode)
    clean = decoded(clean_image(encoded(source, "PNG")).content)
    assert clean.mode == source.mode
    assert clean.tobytes() == source.tobytes()


def test_a_colour_png_of_16_bits_becomes_one_of_8() -> None:
    row = b"\0" + struct.pack(">HHH", 0xFFFF, 0x8000, 0) * 3
    header = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 1, 16, 2, 0, 0, 0))
    raw = header + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    assert decoded(clean_image(raw).content).getpixel((0, 0)) == (255, 128, 0)


def test_a_palette_png_keeps_its_transparency() -> None:
    source = marked("P")
    clean = decoded(clean_image(encoded(source, "PNG", transparency=source.getpixel((0, 0)))).content)
    assert clean.convert("RGBA").getpixel((0, 0))[3] == 0
    assert clean.convert("RGBA").getpixel((30, 10))[3] == 255


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_of_any_mode_looks_as_before(mode: str) -> None:
    source = encoded(marked(mode, (64, 64)), "JPEG", quality=95, subsampling=0)
    clean = decoded(clean_image(source).content)
    assert clean.mode in {"L", "RGB"}
    difference = ImageChops.difference(clean.convert("RGB"), decoded(source).convert("RGB"))
    assert max(high for _, high in difference.getextrema()) < 40


def test_a_jpeg_is_written_with_the_senders_own_tables() -> None:
    source = encoded(marked(size=(64, 64)), "JPEG", quality=97, subsampling=0)
    assert decoded(clean_image(source).content).quantization == decoded(source).quantization


def test_a_photo_with_a_second_picture_behind_it_is_a_jpeg() -> None:
    source = encoded(marked(), "MPO", save_all=True, append_images=[Image.new("RGB", (40, 20), "blue")])
    assert decoded(source).format == "MPO"
    clean = clean_image(source)
    assert clean.mime_type == "image/jpeg"
    assert decoded(clean.content).format == "JPEG"
    assert len(clean.content) < len(source)


def test_a_lossless_webp_stays_lossless() -> None:
    source = marked("RGBA", (64, 64))
    clean = clean_image(encoded(source, "WEBP", lossless=True))
    assert same(decoded(clean.content), source)


# --- animations ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("disposal", [0, 1, 2])
def test_a_gif_keeps_frames_delays_loop_and_transparency(disposal: int) -> None:
    frames = movie()
    raw = encoded(
        frames[0],
        "GIF",
        save_all=True,
        append_images=frames[1:],
        duration=[100, 200, 300, 400],
        loop=3,
        disposal=disposal,
    )
    clean = clean_image(raw).content
    assert durations_of(clean) == [100, 200, 300, 400]
    assert Image.open(BytesIO(clean)).info["loop"] == 3
    assert all(same(new, old) for new, old in zip(frames_of(clean), frames_of(raw), strict=True))


def test_an_interlaced_gif_of_many_colours_keeps_every_pixel() -> None:
    source = Image.radial_gradient("L").convert("P", palette=Image.Palette.ADAPTIVE)
    raw = encoded(source, "GIF", interlace=1)
    assert same(decoded(clean_image(raw).content), decoded(raw))


def test_a_gif_with_padding_and_without_trailer_is_taken() -> None:
    raw = encoded(marked("P"), "GIF")
    assert same(decoded(clean_image(raw[:-1] + b"\0\0").content), decoded(raw))


def test_a_webp_animation_keeps_delays_and_loop() -> None:
    frames = movie()
    raw = encoded(
        frames[0],
        "WEBP",
        save_all=True,
        append_images=frames[1:],
        duration=[100, 250, 300, 70],
        loop=2,
        lossless=True,
    )
    clean = clean_image(raw).content
    assert durations_of(clean) == [100, 250, 300, 70]
    assert Image.open(BytesIO(clean)).info["loop"] == 2
    assert all(same(new, old) for new, old in zip(frames_of(clean), frames, strict=True))


@pytest.mark.parametrize("mode", ["RGBA", "RGB", "P"])
def test_a_png_animation_keeps_delays_and_loop(mode: str) -> None:
    frames = [frame.convert(mode) for frame in movie()]
    raw = encoded(
        frames[0], "PNG", save_all=True, append_images=frames[1:], duration=[100, 250, 300, 70], loop=2
    )
    clean = clean_image(raw).content
    assert durations_of(clean) == [100, 250, 300, 70]
    assert Image.open(BytesIO(clean)).info["loop"] == 2
    assert all(same(new, old) for new, old in zip(frames_of(clean), frames_of(raw), strict=True))


def test_a_png_animation_keeps_the_still_that_it_carries() -> None:
    frames = movie()
    raw = encoded(
        frames[0],
        "PNG",
        save_all=True,
        default_image=True,
        append_images=frames[1:],
        duration=[100, 200, 300],
    )
    clean = clean_image(raw).content
    assert Image.open(BytesIO(clean)).default_image
    assert all(same(new, old) for new, old in zip(frames_of(clean), frames_of(raw), strict=True))


# --- what goes ----------------------------------------------------------------------------------------------


def with_everything(file_format: str) -> bytes:
    exif = Image.Exif()
    exif[CAMERA] = SECRET.decode()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    options: dict[str, object] = {"exif": exif, "icc_profile": profile + SECRET}
    if file_format == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("Author", SECRET.decode())
        text.add_itxt("XML:com.adobe.xmp", SECRET.decode())
        text.add(b"prVt", SECRET)
        options["pnginfo"] = text
    if file_format == "JPEG":
        options |= {"comment": SECRET, "xmp": SECRET}
    if file_format == "WEBP":
        options["xmp"] = SECRET
    if file_format == "GIF":
        options = {"comment": SECRET}
    return encoded(marked("P" if file_format == "GIF" else "RGB"), file_format, **options) + SECRET


@pytest.mark.parametrize("file_format", TYPES)
def test_metadata_and_what_follows_the_picture_are_gone(file_format: str) -> None:
    raw = with_everything(file_format)
    assert raw.count(SECRET) >= 2
    clean = clean_image(raw)
    assert SECRET not in clean.content
    left = decoded(clean.content)
    assert not left.getexif()
    assert not {"icc_profile", "exif", "xmp", "comment"} & left.info.keys()


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_metadata_of_animations_is_gone(file_format: str) -> None:
    exif = Image.Exif()
    exif[CAMERA] = SECRET.decode()
    frames = movie()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    extras = {"duration": 50, "exif": exif, "icc_profile": profile}
    raw = encoded(frames[0], file_format, save_all=True, append_images=frames[1:], **extras)
    assert SECRET in raw
    assert "icc_profile" in decoded(raw).info
    assert not {"icc_profile", "exif", "xmp"} & decoded(clean_image(raw).content).info.keys()
    assert SECRET not in clean_image(raw).content


def test_comments_and_application_data_inside_a_gif_animation_are_gone() -> None:
    frames = movie()
    raw = encoded(
        frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50, comment=SECRET, loop=0
    )
    xmp = b"\x21\xff\x0bXMP DataXMP" + bytes([len(SECRET)]) + SECRET + b"\0"
    raw = raw[:-1] + b"\x21\xfe" + bytes([len(SECRET)]) + SECRET + b"\0" + xmp + b";" + b"<script>" + SECRET
    assert raw.count(SECRET) == 4
    clean = clean_image(raw).content
    assert SECRET not in clean
    assert b"<script>" not in clean
    assert len(frames_of(clean)) == 4


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright(file_format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    clean = decoded(clean_image(encoded(marked(), file_format, exif=exif, quality=95)).content)
    assert clean.size == ((40, 20) if orientation <= 4 else (20, 40))
    corners = {
        "top left": (4, 4),
        "top right": (clean.width - 5, 4),
        "bottom left": (4, clean.height - 5),
        "bottom right": (clean.width - 5, clean.height - 5),
    }
    red = [name for name, at in corners.items() if clean.convert("RGB").getpixel(at)[1] < 128]
    expected = ["top left", "top right", "bottom right", "bottom left"]
    expected += ["top left", "top right", "bottom right", "bottom left"]
    assert red == [expected[orientation - 1]]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("block", [b"no TIFF header", b"MM\0*\xff\xff\xff\xff" + b"\xff" * 40, b"MM\0*", b""])
def test_a_broken_exif_block_costs_nobody_the_picture(block: bytes) -> None:
    raw = encoded(marked(), "JPEG", exif=b"Exif\0\0" + block)
    assert decoded(clean_image(raw).content).size == (40, 20)


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"GIF89a",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\x10\0\0\0WEBPVP8 ",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<!doctype html><script>alert(1)</script>",
        b"%PDF-1.7",
        b"GIF89a=1;alert(1)//" + b" " * 400,
        encoded(Image.new("RGB", (9, 9)), "BMP"),
        encoded(Image.new("RGB", (9, 9)), "TIFF"),
        encoded(Image.new("RGB", (9, 9)), "ICO"),
        b"\0" * 5000,
    ],
)
def test_what_is_no_picture_of_ours_is_refused(raw: bytes) -> None:
    with pytest.raises(NotAnImage):
        clean_image(raw)


@pytest.mark.parametrize("file_format", TYPES)
def test_a_truncated_picture_is_refused(file_format: str) -> None:
    raw = encoded(Image.effect_noise((80, 80), 50).convert("RGB"), file_format)
    for share in (0.2, 0.5, 0.9):
        with pytest.raises(NotAnImage):
            clean_image(raw[: int(len(raw) * share)])


@pytest.mark.parametrize("file_format", TYPES)
def test_damaged_bytes_give_a_picture_or_a_refusal_and_nothing_else(file_format: str) -> None:
    frames = movie()
    animated = {} if file_format == "JPEG" else {"save_all": True, "append_images": frames[1:]}
    source = frames[0].convert("RGB") if file_format == "JPEG" else frames[0]
    raw = encoded(source, file_format, **animated)
    outcomes = set()
    for index in range(0, len(raw), 3):
        damaged = raw[:index] + bytes([raw[index] ^ 0xFF]) + raw[index + 1 :]
        try:
            Image.open(BytesIO(clean_image(damaged).content)).load()
            outcomes.add("picture")
        except NotAnImage:
            outcomes.add("refused")
    assert "refused" in outcomes


def webp_header(width: int, height: int) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + size
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif_of(count: int, canvas: tuple[int, int], box: tuple[int, int]) -> bytes:
    frame = b"," + struct.pack("<HHHHB", 0, 0, *box, 0) + b"\x02\x02\x44\x01\x00"
    return (
        b"GIF89a" + struct.pack("<HHBBB", *canvas, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff" + frame * count + b";"
    )


def apng_of(declared: int, size: int) -> bytes:
    control = chunk(b"acTL", struct.pack(">II", declared, 0))
    frame = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, size, size, 0, 0, 1, 10, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + b"\0" * size * 3) * size))
    return png_header(size, size) + control + frame + pixels + chunk(b"IEND", b"")


BOMBS = {
    "png 20000 x 20000": png_header(20_000, 20_000) + chunk(b"IDAT", zlib.compress(bytes(50_000))),
    "png 5001 x 5000": png_header(5001, 5000) + chunk(b"IDAT", zlib.compress(bytes(50_000))),
    "png 2^31": png_header(2**31 - 1, 2**31 - 1) + chunk(b"IDAT", b""),
    "webp 16000 x 16000": webp_header(16_000, 16_000),
    "gif 65535 x 65535": gif_of(1, (65_535, 65_535), (1, 1)),
    "gif frames beyond their canvas": gif_of(2, (1, 1), (4000, 4000)),
    "gif frame of 13000 x 13000": gif_of(1, (1, 1), (13_000, 13_000)),
    "gif 100000 frames": gif_of(100_000, (1, 1), (1, 1)),
    "gif 300 frames of 300 x 300": gif_of(300, (300, 300), (1, 1)),
    "apng 2^31 frames": apng_of(2**31 - 1, 8),
    "apng 300 frames of 300 x 300": apng_of(300, 300),
    "apng 501 frames": apng_of(501, 8),
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_is_refused_before_it_unpacks(name: str) -> None:
    start = time.process_time()
    with pytest.raises(TooManyPixels):
        clean_image(BOMBS[name])
    assert time.process_time() - start < 0.5


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_over_25_megapixels_is_refused_with_the_reason() -> None:
    with pytest.raises(TooManyPixels, match="25 megapixels"):
        clean_image(encoded(Image.new("1", (5001, 5000)), "PNG"))


def test_a_picture_of_exactly_25_megapixels_is_taken() -> None:
    assert decoded(clean_image(encoded(Image.new("1", (5000, 5000)), "PNG")).content).size == (5000, 5000)


def test_frames_are_counted_together() -> None:
    frames = [Image.new("1", (2500, 2500), index % 2) for index in range(5)]
    for file_format in ("GIF", "PNG", "WEBP"):
        raw = encoded(frames[0], file_format, save_all=True, append_images=frames[1:], duration=50)
        with pytest.raises(TooManyPixels):
            clean_image(raw)


HEADERS = {
    "jpeg segments": ("JPEG", 2, b"\xff\xe5\0\x02" * 2_500_000),
    "jpeg fill bytes": ("JPEG", 2, b"\xff" * 10_000_000),
    "png chunks": ("PNG", 33, chunk(b"prVt", b"") * 800_000),
    "png chunks at the end": ("PNG", -12, chunk(b"prVt", b"") * 800_000),
    "gif extensions": ("GIF", -1, b"!\xfe\0" * 3_000_000),
    "gif padding": ("GIF", -1, b"\0" * 10_000_000),
}


@pytest.mark.parametrize("name", HEADERS)
def test_ten_megabytes_of_header_are_refused_at_once(name: str) -> None:
    file_format, position, ballast = HEADERS[name]
    raw = encoded(marked("P" if file_format == "GIF" else "RGB"), file_format)
    start = time.process_time()
    with pytest.raises(NotAnImage):
        clean_image(raw[:position] + ballast + raw[position:])
    assert time.process_time() - start < 0.5


def test_text_that_unpacks_to_much_is_refused() -> None:
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200_000_000)))
    raw = encoded(marked(), "PNG")
    with pytest.raises(NotAnImage):
        clean_image(raw[:33] + bomb + raw[33:])


def test_a_jpeg_of_a_thousand_scans_is_refused_at_once() -> None:
    raw = encoded(Image.new("RGB", (2000, 2000), "teal"), "JPEG", progressive=True)
    scan = raw[raw.rfind(b"\xff\xda") : -2]
    assert clean_image(raw[:-2] + scan * 20 + b"\xff\xd9").mime_type == "image/jpeg"
    start = time.process_time()
    with pytest.raises(NotAnImage):
        clean_image(raw[:-2] + scan * 1000 + b"\xff\xd9")
    assert time.process_time() - start < 0.5


def progressive(size: tuple[int, int], *, scans: int) -> bytes:
    """Pixels once, and then passes over all of them that change nothing."""
    raw = encoded(Image.new("RGB", size, "teal"), "JPEG", progressive=True)
    scan = raw[raw.rfind(b"\xff\xda") : -2]
    return raw[:-2] + scan * (scans - raw.count(b"\xff\xda")) + b"\xff\xd9"


def test_the_scans_of_a_jpeg_are_bounded_by_its_size() -> None:
    with pytest.raises(TooManyScans, match="scans"):
        clean_image(progressive((5000, 5000), scans=21))
    for size, scans in (((5000, 5000), 20), ((1000, 1000), 100)):
        assert decoded(clean_image(progressive(size, scans=scans)).content).size == size


# --- beside the event loop ----------------------------------------------------------------------------------


async def test_cleaning_leaves_the_event_loop_free() -> None:
    cleaner = ImageCleaner()
    raw = encoded(Image.effect_noise((1500, 1500), 50).convert("RGB"), "PNG", compress_level=1)

    async def clean() -> None:
        job = asyncio.create_task(cleaner.clean(raw, uploader="ada"))
        longest = 0.0
        while not job.done():
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            longest = max(longest, time.perf_counter() - before)
        assert (await job).mime_type == "image/png"
        assert longest < patient(0.4)

    await undisturbed(clean, seconds=0.4)
    await cleaner.close()


async def cleaned(uploaders: list[str]) -> list[CleanImage | BaseException]:
    """What comes of it when each of these uploads a picture at once."""
    cleaner = ImageCleaner()
    raw = encoded(Image.effect_noise((100, 100), 50).convert("RGB"), "PNG")
    results = await asyncio.gather(
        *(cleaner.clean(raw, uploader=uploader) for uploader in uploaders), return_exceptions=True
    )
    await cleaner.close()
    return results


async def test_more_pictures_than_may_wait_are_shed() -> None:
    results = await cleaned([f"user {number}" for number in range(60)])
    shed = [result for result in results if isinstance(result, ServiceUnavailable)]
    assert len(shed) == 60 - (WORKERS + MAX_WAITING)
    assert shed[0].headers["Retry-After"]


async def test_an_uploader_who_fills_the_queue_yields_to_others() -> None:
    eves, adas = 60, 3
    results = await cleaned(["eve"] * eves + ["ada"] * adas)
    assert all(isinstance(result, CleanImage) for result in results[eves:])
    shed = [result for result in results[:eves] if isinstance(result, ServiceUnavailable)]
    # One of ada's goes to the second process at once, the others take places in the line.
    assert len(shed) == eves - (1 + MAX_WAITING) + (adas - 1)


async def test_a_queued_picture_is_not_read_yet() -> None:
    cleaner = ImageCleaner()
    raw = encoded(Image.new("RGB", (8, 8)), "PNG")
    read, most = 0, 0

    async def reading() -> bytes:
        nonlocal read, most
        read += 1
        most = max(most, read)
        await asyncio.sleep(0)
        return raw

    async def upload(number: int) -> None:
        nonlocal read
        await cleaner.clean_read(reading, uploader=f"user {number}")
        read -= 1

    await asyncio.gather(*map(upload, range(8)))
    await cleaner.close()
    assert most <= 2 * WORKERS  # who is done has yet to say so


MEMORY = """
import sys
from bugrelay.infra.media.images import clean_image
def peak():
    lines = open("/proc/self/status")
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))
raw = sys.stdin.buffer.read()
before = peak()
clean_image(raw)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_picture_at_the_limit_takes_less_than_300_megabytes() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    raw = encoded(Image.new("RGB", (5000, 5000), "teal"), "JPEG", exif=exif, progressive=True, subsampling=0)
    command = [sys.executable, "-c", MEMORY]
    run = subprocess.run(command, input=raw, stdout=subprocess.PIPE, check=True, timeout=120)
    assert int(run.stdout) < 300


def test_pillow_can_read_every_format_promised() -> None:
    assert all(features.check(name) for name in ("jpg", "zlib", "webp"))
