from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import time
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.pictures import draw, encoded, png
from visexplore.core.errors import UnreadableImage
from visexplore.core.images import THUMBNAIL_SIDE, ThumbnailCache, content_key, decode, image_suffixes, thumbnail

CORNERS = Image.new("RGB", (40, 20), "white")
CORNERS.paste((255, 0, 0), (0, 0, 10, 10))  # red at the top left


def pixel(picture: Image.Image, x: int, y: int) -> tuple[int, ...]:
    found = picture.getpixel((x, y))
    assert isinstance(found, tuple)
    return found


def near(found: tuple[int, ...], wanted: tuple[int, ...], tolerance: int = 12) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(found, wanted, strict=True))


# ---- upright


# Where the red corner is stored, so that the orientation shows it at the top left.
STORED: dict[int, Callable[[Image.Image], Image.Image]] = {
    1: lambda p: p,
    2: lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    3: lambda p: p.transpose(Image.Transpose.ROTATE_180),
    4: lambda p: p.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    5: lambda p: p.transpose(Image.Transpose.TRANSPOSE),
    6: lambda p: p.transpose(Image.Transpose.ROTATE_90),
    7: lambda p: p.transpose(Image.Transpose.TRANSVERSE),
    8: lambda p: p.transpose(Image.Transpose.ROTATE_270),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", STORED)
def test_pictures_are_turned_upright(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    picture = decode(encoded(STORED[orientation](CORNERS), kind, exif=exif))
    assert picture.size == (40, 20)
    assert near(pixel(picture, 3, 3), (255, 0, 0), 25)
    assert near(pixel(picture, 36, 16), (255, 255, 255), 25)


def test_a_turned_photo_is_upright_when_decoded_at_a_reduced_size() -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    large = CORNERS.resize((1600, 800))
    picture = decode(encoded(STORED[6](large), "JPEG", exif=exif), shortest_side=100)
    assert picture.width == 2 * picture.height < 1600
    assert near(pixel(picture, 10, 10), (255, 0, 0), 25)


@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0", b"x" * 500, b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"])
def test_a_photo_with_broken_exif_is_a_photo_still(exif: bytes) -> None:
    assert decode(encoded(draw(1), "JPEG", exif=exif)).size == (64, 48)


# ---- every mode becomes RGB


def shown(picture: Image.Image, kind: str = "PNG", **options: object) -> tuple[int, ...]:
    return pixel(decode(encoded(picture, kind, **options)), 5, 5)


def test_grey_becomes_grey() -> None:
    assert shown(Image.new("L", (10, 10), 77)) == (77, 77, 77)


def test_black_and_white_stay_so() -> None:
    assert shown(Image.new("1", (10, 10), 1)) == (255, 255, 255)


def test_a_palette_is_looked_up() -> None:
    assert shown(Image.new("RGB", (10, 10), (10, 200, 30)).convert("P", palette=Image.Palette.ADAPTIVE)) == (
        10,
        200,
        30,
    )


def test_cmyk_becomes_rgb() -> None:
    assert near(shown(Image.new("CMYK", (10, 10), (0, 255, 255, 0)), "JPEG"), (255, 0, 0))


def test_transparency_lies_over_white() -> None:
    assert shown(Image.new("RGBA", (10, 10), (0, 0, 0, 0))) == (255, 255, 255)
    assert near(shown(Image.new("RGBA", (10, 10), (255, 0, 0, 128))), (255, 127, 127), 2)


def test_grey_with_transparency_lies_over_white() -> None:
    assert near(shown(Image.new("LA", (10, 10), (0, 128))), (127, 127, 127), 2)


def test_a_transparent_palette_colour_lies_over_white() -> None:
    palette = Image.new("RGB", (10, 10), (10, 200, 30)).convert("P", palette=Image.Palette.ADAPTIVE)
    assert shown(palette, transparency=palette.getpixel((5, 5))) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_colour_that_stands_for_transparent_lies_over_white(mode: str) -> None:
    colour = (1, 2, 3) if mode == "RGB" else 9
    assert shown(Image.new(mode, (10, 10), colour), transparency=colour) == (255, 255, 255)


@pytest.mark.parametrize(("value", "grey"), [(0, 0), (32_768, 128), (65_535, 255), (300, 1)])
def test_16_bit_grey_is_scaled_by_its_bit_depth(value: int, grey: int) -> None:
    picture = Image.fromarray(np.full((10, 10), value, np.uint16))
    assert shown(picture) == shown(picture, "TIFF") == (grey, grey, grey)


def test_a_16_bit_picture_can_be_turned() -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    assert decode(encoded(Image.fromarray(np.full((10, 30), 500, np.uint16)), "PNG", exif=exif)).size == (10, 30)


@pytest.mark.parametrize(("value", "grey"), [(0.0, 0), (0.5, 128), (1.0, 255), (-1.0, 0), (float("nan"), 0)])
def test_floats_from_0_to_1_are_scaled(value: float, grey: int) -> None:
    assert shown(Image.fromarray(np.full((10, 10), value, np.float32)), "TIFF") == (grey, grey, grey)


def test_floats_from_0_to_255_are_kept() -> None:
    values = np.zeros((10, 10), np.float32)
    values[5, 5], values[0, 0] = 77, 255
    assert shown(Image.fromarray(values), "TIFF") == (77, 77, 77)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
    with Image.open(io.BytesIO(data)) as picture:
        assert getattr(picture, "n_frames", 1) == 3
    assert near(pixel(decode(data), 5, 5), (255, 0, 0), 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "TGA", "AVIF", "JPEG2000"])
def test_every_usual_format_is_read(kind: str) -> None:
    assert decode(encoded(draw(1), kind)).size == (64, 48)


# ---- limits


def png_that_claims(width: int, height: int) -> bytes:
    """Return a PNG file of a few hundred bytes, whose pixels would fill the memory."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_a_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    started = time.monotonic()
    with pytest.raises(UnreadableImage, match="More pixels than the limit of 128 megapixels"):
        decode(png_that_claims(60_000, 60_000))
    assert time.monotonic() - started < 1


def test_a_bomb_inside_an_icon_is_refused_too() -> None:
    """An icon's list of contents may say 16 x 16 where the PNG in it says something else."""
    bomb = png_that_claims(60_000, 60_000)
    icon = struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 24, len(bomb), 22) + bomb
    with pytest.raises(UnreadableImage, match="limit of 128 megapixels"):
        decode(icon)


def test_the_limit_is_on_pixels() -> None:
    data = png(1, (100, 50))
    assert decode(data, max_pixels=5000).size == (100, 50)
    with pytest.raises(UnreadableImage, match="100 x 50"):
        decode(data, max_pixels=4999)


def test_a_photo_beyond_the_limit_is_decoded_at_a_reduced_size() -> None:
    """Phones take photos of 200 megapixels."""
    data = encoded(draw(1, (4000, 3000)), "JPEG")
    assert decode(data, max_pixels=3_000_000).size == (2000, 1500)
    assert decode(data, max_pixels=2_999_999).size == (1000, 750)
    with pytest.raises(UnreadableImage, match="500 x 375"):
        decode(data, max_pixels=100_000)


def test_a_progressive_photo_beyond_the_limit_is_refused() -> None:
    """Its decoder keeps all coefficients in memory, whatever size is asked for."""
    data = encoded(draw(1, (4000, 3000)), "JPEG", progressive=True)
    with pytest.raises(UnreadableImage, match="4000 x 3000"):
        decode(data, shortest_side=100, max_pixels=1_000_000)


# ---- broken files


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.9])
def test_a_file_that_is_cut_off_is_unreadable(kind: str, part: float) -> None:
    data = encoded(draw(1, (300, 200)), kind)
    with pytest.raises(UnreadableImage):
        decode(data[: int(len(data) * part)])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "The file is empty"),
        (b"hello", "Not an image that Pillow can read"),
        (b"<html></html>" * 99, "Not an image"),
    ],
)
def test_a_file_that_is_no_image_says_so(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=reason):
        decode(data)


def test_no_outside_program_is_run_for_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow hands PostScript to Ghostscript, whatever the file is called."""
    trace = tmp_path / "trace"
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {trace}\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(UnreadableImage):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n")
    assert not trace.exists()


def assert_picture_or_reason(data: bytes) -> None:
    try:
        picture = decode(data, shortest_side=64, max_pixels=1_000_000)
    except UnreadableImage as error:
        reason = error.message
        assert reason
        assert "\n" not in reason
        assert len(reason) < 300
        reason.encode()  # it goes into the store
    else:
        assert picture.mode == "RGB"
        assert min(picture.size) > 0


SIGNATURES = [
    b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8 ", b"BM", b"II*\0", b"MM\0*", b"P6\n",
    b"qoif", b"\0\0\1\0", b"8BPS", b"DDS ", b"\0\0\0\x0cjP  ", b"icns", b"BLP1", b"BLP2", b"FLC", b"\x0a\x05\x01",
    b"\x01\xda", b"#define a_width ", b"/* XPM */", b"\0\0\0\x1cftypavif", b"DanM", b"%!PS", b"P7\n332", b"Pf\n",
]  # fmt: skip


@settings(max_examples=300)
@given(st.sampled_from([*SIGNATURES, b""]), st.binary(max_size=200))
@example(b"P6\n", b"0 0\n255\n")
@example(b"BM", bytes(60))
def test_any_bytes_are_a_picture_or_a_reason(signature: bytes, rest: bytes) -> None:
    assert_picture_or_reason(signature + rest)


KINDS = ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "TGA", "ICO", "JPEG2000", "AVIF", "PCX", "SGI", "DDS"]
SMALL_FILES = {kind: encoded(draw(3, (24, 16)), kind) for kind in KINDS}


@settings(max_examples=400)
@given(st.sampled_from(KINDS), st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_file_with_damaged_bytes_is_a_picture_or_a_reason(kind: str, damage: list[tuple[int, int]]) -> None:
    data = bytearray(SMALL_FILES[kind])
    for place, value in damage:
        data[place % len(data)] = value
    assert_picture_or_reason(bytes(data))


def test_decoding_in_threads_leaves_the_programs_warnings_alone() -> None:
    """Silencing Pillow for the time of each decode is not safe in threads: it can silence everything for ever."""
    before = list(warnings.filters)
    odd = encoded(draw(1), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, [odd] * 200))
    assert warnings.filters == before


def test_the_decoders_warnings_are_not_printed() -> None:
    code = """
import sys
from visexplore.core.images import decode
decode(sys.stdin.buffer.read())
"""
    odd = encoded(draw(1), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05")
    done = subprocess.run([sys.executable, "-c", code], input=odd, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


# ---- reduced decoding


def test_a_small_photo_is_decoded_in_full() -> None:
    assert decode(encoded(draw(1, (320, 240)), "JPEG"), shortest_side=256).size == (320, 240)


@pytest.mark.parametrize("size", [(4000, 3000), (3000, 4000), (2049, 2048), (5000, 1100)])
def test_a_photo_for_looking_at_is_decoded_at_twice_the_size_at_least(size: tuple[int, int]) -> None:
    data = encoded(draw(1, size), "JPEG")
    picture = decode(data, shortest_side=256)
    assert min(picture.size) >= 512
    assert picture.width < size[0]
    assert decode(data).size == size
    assert picture.width / picture.height == pytest.approx(size[0] / size[1], rel=0.01)


# ---- thumbnails


@pytest.mark.parametrize(("size", "small"), [((800, 400), (256, 128)), ((100, 3000), (9, 256)), ((50, 40), (50, 40))])
def test_a_thumbnail_fits_a_square(size: tuple[int, int], small: tuple[int, int]) -> None:
    assert thumbnail(draw(1, size)).size == small


def test_a_thumbnail_of_a_thread_of_pixels_has_pixels() -> None:
    assert min(thumbnail(Image.new("RGB", (1, 5000))).size) == 1


def test_a_thumbnail_is_made_once(tmp_path: Path) -> None:
    cache = ThumbnailCache(tmp_path, 1_000_000)
    first = cache.get(png(1, (600, 300)))
    [file] = tmp_path.rglob("*.jpg")
    assert file.stem == content_key(png(1, (600, 300)))
    file.write_bytes(encoded(Image.new("RGB", (2, 2), (0, 0, 255)), "JPEG"))
    assert first.size == (256, 128)
    assert cache.get(png(1, (600, 300))).size == (2, 2)


def test_a_damaged_thumbnail_is_made_again(tmp_path: Path) -> None:
    cache = ThumbnailCache(tmp_path, 1_000_000)
    cache.get(png(1))
    [file] = tmp_path.rglob("*.jpg")
    for damage in (b"", b"no picture", file.read_bytes()[:200]):
        file.write_bytes(damage)
        assert cache.get(png(1)).size == (64, 48)


def test_the_cache_stays_within_its_bound_and_keeps_what_was_used_last(tmp_path: Path) -> None:
    cache = ThumbnailCache(tmp_path, 30_000)
    for seed in range(40):
        cache.get(png(seed))
    for number, seed in enumerate(range(40)):
        file = next(tmp_path.rglob(f"{content_key(png(seed))}.jpg"))
        os.utime(file, (number, number))
    assert cache.size() > 30_000
    cache.get(png(0))  # used again
    cache.prune()
    assert cache.size() <= 30_000
    kept = {file.stem for file in tmp_path.rglob("*.jpg")}
    assert {content_key(png(0)), content_key(png(39))} <= kept
    assert content_key(png(1)) not in kept


def test_the_cache_looks_after_its_bound_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ThumbnailCache, "_CHECK_EVERY", 10)
    cache = ThumbnailCache(tmp_path, 10_000)
    for seed in range(60):
        cache.get(png(seed))
    assert cache.size() <= 10_000 + 10 * 3_000


def test_a_cache_that_cannot_be_written_still_gives_thumbnails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert ThumbnailCache(tmp_path / "file", 1000).get(png(1)).size == (64, 48)


def test_a_broken_file_has_no_thumbnail(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage):
        ThumbnailCache(tmp_path, 1000).get(b"no picture")
    assert not list(tmp_path.rglob("*.jpg"))


def test_threads_may_share_the_cache(tmp_path: Path) -> None:
    cache = ThumbnailCache(tmp_path, 5_000)
    with ThreadPoolExecutor(8) as pool:
        sizes = {picture.size for picture in pool.map(lambda n: cache.get(png(n % 12)), range(200))}
    assert sizes == {(64, 48)}
    assert not list(tmp_path.rglob("*.part"))


def test_thumbnails_are_large_enough_for_the_screen() -> None:
    assert THUMBNAIL_SIDE == 256


# ---- names


def test_what_pillow_only_recognises_is_no_image_here() -> None:
    assert {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"} <= image_suffixes()
    assert not {".eps", ".ps", ".pdf", ".mpg", ".h5", ".fits"} & image_suffixes()


def test_equal_bytes_have_equal_keys() -> None:
    assert content_key(b"a") == content_key(b"a") != content_key(b"b")
    assert len(content_key(b"")) == 32
