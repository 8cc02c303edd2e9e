"""A map of embeddings: each image as a point of a plane.

PCA keeps what differs most between all images; UMAP keeps who is near whom, at the price of what lies between groups.
"""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from visexplore.core.encoders.encoder import normalise
from visexplore.core.errors import UserError

Method = Literal["pca", "umap"]
METHODS: tuple[Method, ...] = get_args(Method)

UMAP_NEIGHBOURS = 15
"""Images that UMAP takes for near each image: its own default."""
UMAP_LEAST = 16
"""Images below which it has nothing to go by: fewer than an image and its 15 nearest."""
UMAP_MOST = 5_000
"""Images of which it makes a map within minutes on two cores; of more, a random sample."""

_MULTIPLICATIONS = 8e9  # of a covariance: a fifth of a second on two cores
_FEWEST = 2_000  # images of a sample, however long their vectors
_BLOCK = 256  # images to place at once: their float32 copy stays in the processor's cache
_DENSE = 256  # the largest matrix whose eigenvectors are all computed, which Lanczos cannot do for the smallest
_ROUNDING = 1e-6  # of all variance: an axis of less is as good as none, products of float32 are no more exact
_NOTHING = 1e-9  # a mean square off the mean that is no more than rounding, of vectors of length 1


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Where images are on a map.

    Attributes:
        method: what made it.
        rows: (m,) int64, rising: which rows of the embeddings are on it; all, or a random sample.
        places: (m, 2) float32: where they are.
        explained: shares of the whole variance along the two axes, 0 to 1; None where axes have no such meaning.
        fitted: images that the axes were computed from; fewer than `images` where a random sample stands for all.
        images: that are embedded.
    """

    method: Method
    rows: NDArray[np.int64]
    places: NDArray[np.float32]
    explained: tuple[float, float] | None
    fitted: int
    images: int


def project(vectors: NDArray[np.floating], method: Method = "pca", *, seed: int = 0) -> Projection:
    """Return a map of embeddings, the same one each time for the same embeddings.

    Args:
        vectors: (n, dim) float16 or float32, each of length 1.
        method: `pca` or `umap`.
        seed: of the random numbers: which images a sample takes, and where UMAP starts.

    Raises:
        UserError: UMAP is not installed, or there are too few images for it.
    """
    return _umap(vectors, seed) if method == "umap" else _pca(vectors, seed)


def _pca(vectors: NDArray[np.floating], seed: int) -> Projection:
    """Place all images along the two directions in which they differ most.

    The directions are the first two eigenvectors of the covariance matrix (Pearson 1901; Jolliffe 2002, "Principal
    Component Analysis", 2nd edition, section 1.1), and their shares of the variance the eigenvalues over the trace.
    Computed exactly, in float32; where that would take long, from a random sample, on whose axes all images are
    placed. An eigenvector's sign is arbitrary: the component that is largest in magnitude is made positive, as in
    scikit-learn's `svd_flip`.
    """
    images, dim = vectors.shape
    most = max(_FEWEST, int(_MULTIPLICATIONS / max(1, dim) ** 2))
    fitted = _sample(images, most, seed)
    taken = vectors[fitted].astype(np.float32)
    centre = taken.mean(axis=0, dtype=np.float64).astype(np.float32) if images else np.zeros(dim, np.float32)
    taken -= centre
    axes, explained = _axes(taken)
    places = np.empty((images, 2), np.float32)
    for start in range(0, images, _BLOCK):
        block = vectors[start : start + _BLOCK].astype(np.float32) - centre
        for number, axis in enumerate(axes.T):  # one by one, which is twice as fast as a product with both
            places[start : start + _BLOCK, number] = block @ axis
    return Projection("pca", np.arange(images), places, explained, len(fitted), images)


def _axes(centred: NDArray[np.float32]) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Return the first two principal axes of (n, dim) vectors without their mean: (dim, 2), and their shares.

    Axes along which nothing differs are 0, so that nothing is spread by rounding.
    """
    import scipy.linalg  # 0.2 s, and all that reads stored embeddings imports this module
    import scipy.sparse.linalg

    images, dim = centred.shape
    axes = np.zeros((dim, 2), np.float32, order="F")
    variance = float(np.einsum("nd,nd->", centred, centred, dtype=np.float64))
    if variance <= _NOTHING * max(1, images):
        return axes, (0.0, 0.0)
    few = images < dim
    # The eigenvectors of the smaller of X'X and XX' lead to the other's: v = X'u / |X'u|.
    square = (centred @ centred.T if few else centred.T @ centred).astype(np.float64)
    if len(square) <= _DENSE:
        values, found = scipy.linalg.eigh(square)
    else:  # Lanczos, from the same vector each time
        values, found = scipy.sparse.linalg.eigsh(square, 2, v0=np.ones(len(square)), tol=1e-7)
    largest = np.argsort(values)[::-1][:2]
    shares = [0.0, 0.0]
    for number, (value, vector) in enumerate(zip(values[largest], found.T[largest], strict=True)):
        if value <= _ROUNDING * variance:
            continue
        axis = centred.T @ vector.astype(np.float32) if few else vector.astype(np.float32)
        axis -= axes[:, 0] * (axes[:, 0] @ axis)  # rounding leaves a little of the first axis in the second
        axis /= np.linalg.norm(axis)
        axes[:, number] = axis * np.sign(axis[np.argmax(np.abs(axis))])
        shares[number] = min(1.0, float(value) / variance)
    return axes, (shares[0], shares[1])


def _umap(vectors: NDArray[np.floating], seed: int) -> Projection:
    """Place images so that near ones stay near (McInnes, Healy & Melville 2018, "UMAP", arXiv 1802.03426).

    By umap-learn, with its defaults, cosine as the distance, and a seed, for which it works in one thread.
    """
    images = len(vectors)
    if importlib.util.find_spec("umap") is None:
        raise UserError(
            "UMAP needs umap-learn, which is not installed",
            "Install it: uv pip install 'visexplore[umap]', or in a clone: uv sync --extra umap.",
        )
    if images < UMAP_LEAST:
        raise UserError(
            f"UMAP needs {UMAP_LEAST} images at least, and {images} are embedded", "PCA makes a map of fewer."
        )
    rows = _sample(images, UMAP_MOST, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a seed means one thread
        import umap

        mapper = umap.UMAP(n_neighbors=UMAP_NEIGHBOURS, metric="cosine", random_state=seed, n_jobs=1)
        places: NDArray[np.float32] = mapper.fit_transform(normalise(vectors[rows]))
    return Projection("umap", rows, places.astype(np.float32), None, len(rows), images)


def _sample(images: int, most: int, seed: int) -> NDArray[np.int64]:
    """Return rows of all images, or of so many drawn at random, rising."""
    if images <= most:
        return np.arange(images)
    rows: NDArray[np.int64] = np.sort(np.random.default_rng(seed).choice(images, most, replace=False))
    return rows
