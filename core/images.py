"""Bytes of an image file -> upright RGB picture, within limits; thumbnails and their cache."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import threading
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from visexplore.core.errors import UnreadableImage

# A picture of this many decoded pixels takes 400 MB as RGB; every decoding thread may hold one.
MAX_PIXELS = 128_000_000
# JPEG can be decoded at 1/2, 1/4 or 1/8 for a fraction of the time. Decoding at no less than this multiple
# of the side that an encoder resizes to keeps its embedding within cosine 0.9999 of the full decode
# (tests/core/test_images.py holds it to that).
REDUCED_DECODE_MARGIN = 2.0
THUMBNAIL_SIDE = 256

# Pillow's own bomb check is replaced by the limit above, which knows about reduced decoding.
Image.MAX_IMAGE_PIXELS = None
# Registered with Pillow for opening, but these only identify the file, need an outside program, or are no pictures.
_NOT_PICTURES = frozenset(
    {".bufr", ".grib", ".h5", ".hdf", ".wmf", ".emf", ".eps", ".ps", ".mpg", ".mpeg", ".fit", ".fits", ".iim"}
)


def image_suffixes() -> frozenset[str]:
    """Return the lower-case file endings (`.jpg`, ...) of what Pillow can open here."""
    Image.init()
    readable = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    return frozenset(readable) - _NOT_PICTURES


def content_key(data: bytes) -> str:
    """Return the name of an image by its content: 32 hex digits of BLAKE2b-128."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def decode(data: bytes, *, shortest_side: int | None = None, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an image file to an upright RGB picture.

    Orientation follows EXIF; transparency is laid over white; 16-bit, grey, palette, CMYK and float become
    8-bit RGB; of an animation the first frame is taken.

    Args:
        data: the file's bytes.
        shortest_side: pixels of the shorter side that the caller will resize to; lets a JPEG be decoded at a
            reduced size that is still `REDUCED_DECODE_MARGIN` times as large. None decodes in full.
        max_pixels: refuse pictures that would decode to more than this.

    Raises:
        UnreadableImage: the bytes are no image, are cut off, or are too many pixels; its message is the reason.
    """
    if not data:
        raise UnreadableImage("The file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd EXIF and palettes that it then reads anyway
            with Image.open(io.BytesIO(data)) as image:
                if shortest_side is not None:
                    _decode_reduced(image, shortest_side)
                if image.width * image.height > max_pixels:
                    raise UnreadableImage(
                        f"{image.width} x {image.height} pixels are more than the limit of "
                        f"{max_pixels / 1e6:.0f} megapixels"
                    )
                image.load()
                return _to_rgb(ImageOps.exif_transpose(image))
    except UnreadableImage:
        raise
    except MemoryError as error:
        raise UnreadableImage("Not enough memory to decode it") from error
    # Pillow's decoders raise nearly anything on damaged input: OSError, SyntaxError, ValueError, struct.error, ...
    except Exception as error:
        raise UnreadableImage(_reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "Not an image that Pillow can read"
    text = str(error).strip().rstrip(".") or type(error).__name__
    return text[:1].upper() + text[1:]


def _decode_reduced(image: Image.Image, shortest_side: int) -> None:
    """Tell the JPEG decoder to use a reduced size where that is still large enough."""
    if image.format != "JPEG" or image.mode not in ("RGB", "L"):
        return
    scale = REDUCED_DECODE_MARGIN * shortest_side / min(image.size)
    if scale < 1:
        image.draft(image.mode, (int(image.width * scale) + 1, int(image.height * scale) + 1))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_to_8_bit(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert("RGB")
    return image.convert("RGB")


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
