"""Bytes of an image file -> upright RGB picture, within limits; thumbnails and their cache."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from visexplore.core.errors import UnreadableImage

# A picture of this many decoded pixels takes 400 MB as RGB; every decoding thread may hold one.
MAX_PIXELS = 128_000_000
# JPEG can be decoded at 1/2, 1/4 or 1/8 for a fraction of the time. For pictures that are looked at, this multiple of
# the side that is shown is enough. Embeddings are another matter. Lowest cosine to the embedding of the full decode,
# over 6 large pictures (4 enlarged photos, 2 of them with noise, and 2 mosaics of photos), by how many times larger
# than the encoder's input the reduced picture still was:
#     times                3       4       6       8       10
#     efficientnet-lite0   .99936  .99957  .99952  .99972  .99977
#     efficientnet-lite2   .99899  .99917  .99927  .99963  .99975
# No useful multiple keeps 0.9999 (changing every pixel of the input by at most 1 costs more than 0.004), so what is
# embedded is decoded in full, except beyond `MAX_PIXELS`.
LOOKS_MARGIN = 2.0
THUMBNAIL_SIDE = 256

# Pillow fails at twice this number. It looks also where only the decoder knows the size: at a picture in an icon.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
# Pillow warns of odd EXIF and palettes that it then reads anyway. Told so once: `warnings.catch_warnings` is not for
# threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
# Registered with Pillow for opening, but these only identify the file, need an outside program (PostScript is one),
# or are no pictures.
_NOT_PICTURES = frozenset({"BUFR", "GRIB", "HDF5", "WMF", "EPS", "MPEG", "FITS", "IPTC"})
_JPEG = b"\xff\xd8\xff"


@cache
def _formats() -> tuple[str, ...]:
    """Return Pillow's names of the formats that are read, whatever a file's name says."""
    Image.init()
    return tuple(kind for kind in Image.ID if kind not in _NOT_PICTURES)


@cache
def image_suffixes() -> frozenset[str]:
    """Return the lower-case file endings (`.jpg`, ...) of what Pillow can open here."""
    formats = _formats()
    return frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in formats)


def content_key(data: bytes) -> str:
    """Return the name of an image by its content: 32 hex digits of BLAKE2b-128."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def decode(data: bytes, *, shortest_side: int | None = None, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an image file to an upright RGB picture.

    Orientation follows EXIF; transparency is laid over white; 16-bit, grey, palette, CMYK and float become
    8-bit RGB; of an animation the first frame is taken.

    Args:
        data: the file's bytes.
        shortest_side: pixels of the shorter side that will be shown; lets a JPEG be decoded at a reduced size that
            is still `LOOKS_MARGIN` times as large. None, for embedding, decodes in full.
        max_pixels: refuse pictures that would decode to more than this; a JPEG beyond it is decoded at a reduced size.

    Raises:
        UnreadableImage: the bytes are no image, are cut off, or are too many pixels; its message is the reason.
    """
    if not data:
        raise UnreadableImage("The file is empty")
    with _reasons(), _open(data, max_pixels) as image:
        _decode_reduced(image, shortest_side, max_pixels)
        _check_size(image, max_pixels)
        image.load()
        _check_size(image, max_pixels)  # some formats do not know it before
        ImageOps.exif_transpose(image, in_place=True)
        return _to_rgb(image)


def header(data: bytes) -> Image.Image:
    """Open an image file without decoding it: size as it is stored, format, mode and EXIF can be looked at.

    Raises:
        UnreadableImage: the bytes are no image; its message is the reason.
    """
    if not data:
        raise UnreadableImage("The file is empty")
    with _reasons():
        return _open(data, MAX_PIXELS)


@contextmanager
def _reasons() -> Iterator[None]:
    """Let whatever Pillow raises come out as `UnreadableImage`, with the reason."""
    try:
        yield
    except UnreadableImage:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImage(f"More pixels than the limit of {MAX_PIXELS / 1e6:.0f} megapixels") from error
    except MemoryError as error:
        raise UnreadableImage("Not enough memory to decode it") from error
    # Pillow's decoders raise nearly anything on damaged input: OSError, SyntaxError, ValueError, struct.error, ...
    except Exception as error:
        raise UnreadableImage(_reason(error)) from error


def _open(data: bytes, max_pixels: int) -> Image.Image:
    if data.startswith(_JPEG):
        image = JpegImageFile(io.BytesIO(data))  # Image.open would refuse what can be decoded at a reduced size
        if "progressive" in image.info:  # its decoder holds all of it in memory, whatever size is asked for
            _check_size(image, max_pixels)
        return image
    return Image.open(io.BytesIO(data), formats=_formats())


def _check_size(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise UnreadableImage(
            f"{image.width} x {image.height} pixels are more than the limit of {max_pixels / 1e6:.0f} megapixels"
        )


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "Not an image that Pillow can read"
    text = " ".join(str(error).split()).rstrip(".")[:200] or type(error).__name__
    return text[:1].upper() + text[1:]


def _decode_reduced(image: Image.Image, shortest_side: int | None, max_pixels: int) -> None:
    """Tell the JPEG decoder to use a reduced size where that is enough, or where the limit allows no other."""
    if image.format != "JPEG" or image.mode not in ("RGB", "L"):
        return
    width, height = image.size

    def may_shrink(by: int) -> bool:
        return shortest_side is not None and min(width, height) >= LOOKS_MARGIN * shortest_side * by

    shrink = 1
    while shrink < 8 and (width * height > max_pixels * shrink**2 or may_shrink(2 * shrink)):
        shrink *= 2
    if shrink > 1:
        image.draft(image.mode, (width // shrink, height // shrink))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_to_8_bit(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert("RGB")
    return image.convert("RGB")  # a copy, also of RGB, that holds no file


def _to_8_bit(pixels: np.ndarray) -> np.ndarray:
    """Scale integers of up to 16 bits by their bit depth, and floats of 0..1, to 0..255."""
    values = np.nan_to_num(pixels.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    top = float(values.max(initial=0.0))
    if np.issubdtype(pixels.dtype, np.floating):
        full = 1.0 if top <= 1.0 else max(255.0, top)
    else:
        full = 255.0 if top <= 255.0 and pixels.dtype.itemsize > 2 else max(65535.0, top)
    rounded: np.ndarray = np.clip(values * (255.0 / full) + 0.5, 0, 255).astype(np.uint8)
    return rounded


def thumbnail(image: Image.Image, side: int = THUMBNAIL_SIDE) -> Image.Image:
    """Return a copy whose longer side is at most `side` pixels; small pictures stay as they are."""
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return small


class ThumbnailCache:
    """Thumbnails on disk, named by content, bounded in bytes; the longest unused ones go first.

    A cache that cannot be written is no error: the thumbnails are then made afresh each time.
    """

    _CHECK_EVERY = 256  # files written between two looks at the cache's size

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._written = 0
        self._lock = threading.Lock()

    def get(self, data: bytes) -> Image.Image:
        """Return the thumbnail of the image file `data`, from the cache where it is there.

        Raises:
            UnreadableImage: as `decode`.
        """
        file = self._file(content_key(data))
        try:
            with Image.open(file) as cached:
                cached.load()
                picture = cached.convert("RGB")
            os.utime(file)
        except (OSError, SyntaxError, ValueError):
            picture = thumbnail(decode(data, shortest_side=THUMBNAIL_SIDE))
            self._put(file, picture)
        return picture

    def size(self) -> int:
        """Return the bytes that the cache holds."""
        return sum(entry.stat().st_size for entry in self._files())

    def _file(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.jpg"

    def _files(self) -> list[Path]:
        return [file for file in self._folder.glob("*/*.jpg") if file.is_file()]

    def _put(self, file: Path, picture: Image.Image) -> None:
        temporary = ""
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=file.parent, suffix=".part")
            with os.fdopen(handle, "wb") as stream:
                picture.save(stream, "JPEG", quality=90)
            Path(temporary).replace(file)
        except OSError:
            if temporary:
                Path(temporary).unlink(missing_ok=True)
            return
        with self._lock:
            self._written += 1
            due = self._written % self._CHECK_EVERY == 1
        if due:
            self.prune()

    def prune(self) -> None:
        """Delete the longest unused thumbnails until nine tenths of the bound are kept."""
        files = []
        for file in self._files():
            try:
                facts = file.stat()
            except OSError:  # another process pruned it
                continue
            files.append((facts.st_mtime_ns, facts.st_size, file))
        excess = sum(size for _, size, _ in files) - self._max_bytes
        if excess <= 0:
            return
        excess += self._max_bytes // 10
        for _, size, file in sorted(files, key=lambda entry: entry[0]):
            if excess <= 0:
                break
            file.unlink(missing_ok=True)
            excess -= size
