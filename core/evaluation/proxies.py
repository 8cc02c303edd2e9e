"""Scores that need no labels. They are proxies: what makes a space look good without saying that it is right.

A model can find a picture's own crop and still put the wrong products beside each other. Where labels or votes exist
for some images, how a proxy ranks the models there says whether to trust it.
"""

from __future__ import annotations

import io
import math
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from visexplore.core.evaluation.space import EmbeddingSpace, Positions, block_size

Perturbation = Literal["crop", "flip", "blur", "jpeg", "grey"]
PERTURBATIONS: tuple[Perturbation, ...] = get_args(Perturbation)

CROPPED = 0.8
"""Share of each side that a crop keeps, around the middle."""
BLURRED = 0.01
"""Radius of the Gaussian blur, as a share of the shorter side."""
JPEG_QUALITY = 20
"""Of Pillow's 1 to 95: blocks are plain to see."""

_BLOCK_ROWS = 8192


def perturb(image: Image.Image, kind: Perturbation) -> Image.Image:
    """Return a changed copy of an RGB picture that shows the same thing; the same one each time.

    - crop: the middle 80 % of each side.
    - flip: left and right exchanged.
    - blur: Gaussian, with a radius of 1 % of the shorter side, at least one pixel.
    - jpeg: compressed at quality 20 and read again.
    - grey: luma (ITU-R 601-2) in all three channels.

    Raises:
        ValueError: no such kind.
    """
    match kind:
        case "crop":
            width, height = (max(1, round(CROPPED * side)) for side in image.size)
            left, top = (image.width - width) // 2, (image.height - height) // 2
            return image.crop((left, top, left + width, top + height))
        case "flip":
            return ImageOps.mirror(image)
        case "blur":
            return image.filter(ImageFilter.GaussianBlur(max(1.0, BLURRED * min(image.size))))
        case "jpeg":
            file = io.BytesIO()
            image.save(file, "JPEG", quality=JPEG_QUALITY)
            with Image.open(file) as compressed:
                return compressed.convert("RGB")
        case "grey":
            return image.convert("L").convert("RGB")
        case _:
            raise ValueError(f"no such change: {kind}; there are {', '.join(PERTURBATIONS)}")


def self_retrieval(space: EmbeddingSpace, originals: Positions, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return for each changed picture whether its original is the nearest image of the space: (q,), 0 to 1.

    Where other images are just as near as the original, it counts as one of them drawn by lot: 1 / their number. So
    copies of the original cost what they hide, and a space in which all images are the same gets next to nothing.

    Args:
        space: the originals and all others.
        originals: (q,) positions in the dataset of the pictures that were changed.
        vectors: (q, dim) float32, embeddings of the changed pictures, each of length 1.

    Raises:
        ValueError: the space does not cover an original.
    """
    rows = space.rows(originals)
    if (rows < 0).any():
        raise ValueError(f"{space.name} does not cover the image at {originals[rows < 0][0]}")
    found = np.empty(len(rows))
    step = block_size(len(space.positions))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        similarities = space.similarities_to(vectors[start : start + step])
        own = similarities[np.arange(len(block)), block]
        as_near = (similarities == own[:, None]).sum(axis=1)
        found[start : start + step] = (own >= similarities.max(axis=1)) / as_near
    return found


def occurrences(neighbours: NDArray[np.int64], gallery: Positions) -> NDArray[np.int64]:
    """Return how many rankings each image of the gallery is in: (g,), in the gallery's order.

    Args:
        neighbours: (q, k) positions in the dataset, -1 where there are fewer.
        gallery: (g,) positions, ascending.

    Raises:
        ValueError: a neighbour is not in the gallery.
    """
    met = neighbours[neighbours >= 0]
    if not np.isin(met, gallery).all():
        raise ValueError("a neighbour is not in the gallery")
    places = np.searchsorted(gallery, met)
    counts: NDArray[np.int64] = np.bincount(places, minlength=len(gallery))
    return counts


def hubness(neighbours: NDArray[np.int64], gallery: Positions) -> float:
    """Return the skewness of the k-occurrences: the third standardised moment of how often an image is a neighbour.

    0 where all images are met about equally often; large where a few hubs are neighbours of everything (Radovanovic,
    Nanopoulos & Ivanovic 2010, "Hubs in space", eq. 1). Compare it between models at the same k and gallery only.
    0 as well where all are met equally often to the count; nan for an empty gallery.

    Args:
        neighbours: (q, k) positions in the dataset, -1 where there are fewer.
        gallery: (g,) positions, ascending.
    """
    counts = occurrences(neighbours, gallery).astype(np.float64)
    if not len(counts):
        return math.nan
    off = counts - counts.mean()
    spread = float(np.sqrt((off**2).mean()))
    return float((off**3).mean() / spread**3) if spread > 0 else 0.0


def effective_rank(vectors: NDArray[np.floating]) -> float:
    """Return how many dimensions (n, dim) vectors really use: 1 to min(n, dim).

    It is exp of the Shannon entropy (natural logarithm) of the singular values, scaled to sum 1 (Roy & Vetterli 2007,
    "The effective rank: a measure of effective dimensionality", eq. 3 and 4). The vectors are taken as they are, their
    mean not removed. 0 where there are none, or nothing but zeros.
    """
    rows, dim = vectors.shape
    if rows < dim:
        few = vectors.astype(np.float64)
        gram = few @ few.T
    else:
        gram = np.zeros((dim, dim))
        for start in range(0, rows, _BLOCK_ROWS):
            block = vectors[start : start + _BLOCK_ROWS].astype(np.float64)
            gram += block.T @ block
    singular = np.sqrt(np.clip(np.linalg.eigvalsh(gram), 0, None)) if gram.size else np.zeros(1)
    if not singular.sum() > 0:
        return 0.0
    shares = singular / singular.sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def mean_cosine(vectors: NDArray[np.floating]) -> float:
    """Return the mean cosine between two different ones of (n, dim) vectors of length 1; nan for fewer than two.

    Near 0 where they point in all directions; near 1 where they lie in a narrow cone (anisotropy as in Ethayarajh
    2019, "How contextual are contextualized word representations?", section 4.1; here of all pairs, not of a sample).
    """
    rows = len(vectors)
    if rows < 2:
        return math.nan
    total = vectors.sum(axis=0, dtype=np.float64)
    squares = float(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64).sum())
    return (float(total @ total) - squares) / (rows * (rows - 1))
