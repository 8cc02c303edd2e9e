"""Golden vectors: what an encoder gave for a few fixed pictures, to notice when it gives something else.

Embeddings are kept for a long time, and those of today are compared with them. A new version of torch, of a loading
library or of Pillow may change them without a word. The vectors of the bundled models come with the install; those
of any other model are recorded below the home folder when it is first looked at.

Vectors are kept in float16, whose rounding (2^-11 of each number at most) alone makes a drift of at most 1.2e-7.

    python -m visexplore.core.encoders.golden

writes the file of the bundled models anew, from float32 on the CPU.
"""

from __future__ import annotations

import base64
import contextlib
import gc
import hashlib
import json
import os
import pkgutil
import sys
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np

from visexplore.core.catalogue import Checkpoint, Loader, WeightsStatus, load_catalogue, slugify, weights_status
from visexplore.core.datasets import open_dataset
from visexplore.core.encoders import load_encoder
from visexplore.core.encoders.device import AUTO
from visexplore.core.encoders.encoder import Embeddings, Encoder, normalise
from visexplore.core.encoders.probe import probe_pictures
from visexplore.core.encoders.recipe import Recipe
from visexplore.core.errors import CannotLoadModel, StorageError, VisexploreError

PICTURES: Final = 4
"""How many pictures of the sample are embedded."""

LIMIT_FLOAT32: Final = 1e-4
LIMIT_HALF: Final = 1e-3
"""The largest drift that is no change, in float32 and where half precision is on either side."""

_SHIPPED: Final = "golden.json"  # in the assets
_LIBRARIES: Final[dict[Loader, tuple[str, ...]]] = {
    "timm": ("timm",),
    "transformers": ("transformers",),
    "open_clip": ("open_clip_torch", "timm"),
    "diffusers": ("diffusers", "transformers"),
    "internimage": (),
}  # beside those that have a say in every model


class Verdict(StrEnum):
    """What came of looking at one encoder."""

    AS_BEFORE = "as before"
    RECORDED = "recorded now"
    DRIFTED = "drifted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Golden:
    """What an encoder gave once.

    Attributes:
        model: its slug.
        revision: of its weights.
        precision: the arithmetic that was used.
        device: on which.
        made_with: versions of the libraries that have a say in it.
        vectors: float32 (pictures, dim), each of length 1, rounded to float16.
    """

    model: str
    revision: str
    precision: str
    device: str
    made_with: dict[str, str]
    vectors: Embeddings


@dataclass(frozen=True, slots=True)
class Check:
    """What came of looking at one model; after a failure only `model`, `seconds`, `verdict` and `note` are known.

    Attributes:
        model: its slug.
        verdict: in a word.
        note: why it failed, what has changed, or where the vectors were recorded.
        recipe: digest of the recipe, as in the name of a store.
        pooling: which vector is kept, in words.
        preprocessing: what decides the pixels, and the pooling: a JSON object.
        dim: length of an embedding.
        precision: the arithmetic that was used.
        device: on which.
        drift: 1 - cosine of an embedding and its golden vector, of the picture where it is largest.
        limit: the largest drift that is no change.
        seconds: that loading and embedding took.
        remarks: what was derived or decided at loading.
    """

    model: str
    verdict: Verdict
    note: str = ""
    recipe: str = ""
    pooling: str = ""
    preprocessing: str = ""
    dim: int | None = None
    precision: str = ""
    device: str = ""
    drift: float | None = None
    limit: float | None = None
    seconds: float = 0.0
    remarks: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object that `doctor encoders --json` prints."""
        return asdict(self)


def check(
    checkpoint: Checkpoint,
    home: Path,
    *,
    device: str = "auto",
    precision: str = AUTO,
    trusted_code: Collection[str] = (),
) -> Check:
    """Load a model, embed the probe and compare; whatever fails is told in the result, never raised.

    Args:
        checkpoint: what to look at; its weights have to be on this machine.
        home: where the vectors of models that are not bundled are kept.
        device: as `load_encoder` takes it.
        precision: as `load_encoder` takes it.
        trusted_code: hub repositories whose own Python code may run.
    """
    started = time.perf_counter()
    try:
        encoder = load_encoder(checkpoint, device=device, precision=precision, trusted_code=trusted_code)
        vectors = embed_probe(encoder)
        seconds = time.perf_counter() - started
        found = _compared(encoder, vectors, home)
    except VisexploreError as error:
        return Check(checkpoint.slug, Verdict.FAILED, str(error), seconds=time.perf_counter() - started)
    except Exception as error:  # libraries and drivers raise what they like, and the other models are to be looked at
        first_line = next(iter(str(error).strip().splitlines()), "").rstrip(".")
        reason = f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
        return Check(
            checkpoint.slug,
            Verdict.FAILED,
            f"{checkpoint.slug} fails unexpectedly ({reason}).",
            seconds=time.perf_counter() - started,
        )
    return replace(
        found,
        recipe=encoder.recipe.digest,
        pooling=checkpoint.pooling,
        preprocessing=encoder.preprocessing,
        dim=encoder.dim,
        precision=encoder.precision,
        device=encoder.device,
        seconds=seconds,
        remarks=encoder.remarks,
    )


def free_memory() -> None:
    """Give the memory of encoders that are no longer needed back, so that the next one has room."""
    gc.collect()  # modules are in cycles, and only what is collected leaves the device
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def embed_probe(encoder: Encoder) -> Embeddings:
    """Embed the fixed pictures: float32 (pictures, dim), each of length 1.

    Raises:
        CannotLoadModel: what comes out are no vectors of length 1.
    """
    pixels = np.stack([encoder.preprocess(picture) for picture in probe_pictures(PICTURES)])
    vectors = encoder.embed_images(pixels)
    if not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):  # never true of what is no number
        raise CannotLoadModel(
            f"{encoder.checkpoint.slug} gives vectors without a direction: zeros, or what is no number",
            "Its weights may be damaged, or too large for this precision: try --precision float32.",
        )
    return vectors


def name_of(recipe: Recipe) -> str:
    """Return the name of a recipe's golden vectors: of any precision, and only for the probe of this release."""
    return hashlib.blake2b(
        f"{replace(recipe, precision=AUTO).digest} {_probe_digest()}".encode(), digest_size=8
    ).hexdigest()


@cache
def _probe_digest() -> str:
    """Name the pictures by their files: decoded pixels would change with the decoder, which is to be noticed."""
    listing = "\n".join(f"{record.image_id} {record.size}" for record in open_dataset("sample").records)
    return hashlib.blake2b(f"{PICTURES}\n{listing}".encode(), digest_size=8).hexdigest()


def drift(vectors: Embeddings, golden: Embeddings) -> float:
    """Return the largest 1 - cosine of two times the same pictures: (pictures, dim) each; 2 where `dim` differs."""
    if vectors.shape != golden.shape:
        return 2.0
    one, other = (normalise(v).astype(np.float64) for v in (vectors, golden))
    cosines = (one * other).sum(1) / (np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1))
    return float(max(0.0, 1.0 - cosines.min()))


def _compared(encoder: Encoder, vectors: Embeddings, home: Path) -> Check:
    slug, name = encoder.checkpoint.slug, name_of(encoder.recipe)
    file = home / "golden" / f"{slugify(slug)[:60]}-{name}.json"
    golden = _shipped().get(name)
    shipped = golden is not None
    if golden is None:
        golden = _read(file, name)
    if golden is None:
        _write(file, {name: _golden(encoder, vectors)})
        return Check(slug, Verdict.RECORDED, f"Kept in {file}.")
    half = {encoder.precision, golden.precision} != {"float32"}
    limit = LIMIT_HALF if half else LIMIT_FLOAT32
    found = drift(vectors, golden.vectors)
    if found <= limit:
        return Check(slug, Verdict.AS_BEFORE, drift=found, limit=limit)
    note = _what_changed(golden, encoder, vectors)
    if not shipped:
        note += f" To go on with the new vectors, delete {file}; what is embedded already has the old ones."
    return Check(slug, Verdict.DRIFTED, note, drift=found, limit=limit)


def _what_changed(golden: Golden, encoder: Encoder, vectors: Embeddings) -> str:
    if vectors.shape != golden.vectors.shape:
        return f"It gives {vectors.shape[1]} numbers now, and gave {golden.vectors.shape[1]}."
    now = _versions(encoder.checkpoint.loader)
    changed = [
        f"{library} {before} -> {now.get(library, 'missing')}"
        for library, before in golden.made_with.items()
        if now.get(library) != before
    ]
    if golden.device != encoder.device or golden.precision != encoder.precision:
        changed.append(f"{golden.precision} on {golden.device} -> {encoder.precision} on {encoder.device}")
    return f"Since then: {', '.join(changed)}." if changed else "The libraries are those of then."


def _golden(encoder: Encoder, vectors: Embeddings) -> Golden:
    return Golden(
        model=encoder.checkpoint.slug,
        revision=encoder.recipe.revision,
        precision=encoder.precision,
        device=encoder.device,
        made_with=_versions(encoder.checkpoint.loader),
        vectors=vectors,
    )


def _versions(loader: Loader) -> dict[str, str]:
    found = {}
    for library in ("torch", "torchvision", "pillow", *_LIBRARIES[loader]):
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


# ---- the files


@cache
def _shipped() -> dict[str, Golden]:
    """Return the golden vectors that came with the install, by name."""
    data = pkgutil.get_data("visexplore.assets", _SHIPPED)
    assert data is not None
    return _parsed(data.decode())


def _parsed(text: str) -> dict[str, Golden]:
    return {
        name: Golden(**(entry | {"vectors": np.stack([_unpacked(vector) for vector in entry["vectors"]])}))
        for name, entry in json.loads(text).items()
    }


def _unpacked(text: str) -> Embeddings:
    vector: Embeddings = np.frombuffer(base64.b64decode(text, validate=True), np.dtype("<f2")).astype(np.float32)
    return vector


def _packed(vector: Embeddings) -> str:
    return base64.b64encode(vector.astype(np.dtype("<f2")).tobytes()).decode()


def _read(file: Path, name: str) -> Golden | None:
    try:
        return _parsed(file.read_text("utf-8"))[name]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageError(f"{file} cannot be read ({error.strerror or error})", "Check its rights.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(f"{file} is damaged", "Delete it: the next run records the vectors anew.") from error


def _write(file: Path, goldens: dict[str, Golden]) -> None:
    """Write whole or not at all."""
    document = {
        name: asdict(golden) | {"vectors": [_packed(vector) for vector in golden.vectors]}
        for name, golden in goldens.items()
    }
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
        temporary.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StorageError(
            f"{file.parent} cannot be written ({error.strerror or error})",
            "Choose another place with --home DIR or VISEXPLORE_HOME.",
        ) from error


def write_shipped(file: Path) -> None:
    """Write the golden vectors of the bundled models, embedded in float32 on the CPU."""
    goldens = {}
    for checkpoint in load_catalogue().checkpoints:
        if weights_status(checkpoint) is WeightsStatus.BUNDLED:
            encoder = load_encoder(checkpoint, device="cpu", precision="float32")
            goldens[name_of(encoder.recipe)] = _golden(encoder, embed_probe(encoder))
    _write(file, goldens)


if __name__ == "__main__":
    write_shipped(Path(str(files("visexplore.assets").joinpath(_SHIPPED))))
