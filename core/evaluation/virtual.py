"""Virtual models: what can be made of the embeddings of others without embedding anything anew.

    rrf:A,B[,C...]    reciprocal-rank fusion
    mean:A,B[,C...]   mean of standardised similarities
    pca:D:A           the D directions in which the embeddings of A vary most
    int8:A            a byte for a number
    binary:A          a bit for a number

A, B and C are names of models or of virtual ones. `rrf` and `mean` split at commas outside of parentheses, so a part
that is itself a fusion stands in parentheses, `rrf:(mean:A,B),C`, and so does one whose name holds a comma. The other
three take the rest of their part: `rrf:pca:64:A,B` fuses `pca:64:A` and `B`. They need vectors, which a fusion has not.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from visexplore.core.encoders.encoder import normalise
from visexplore.core.errors import UnknownModel, UserError
from visexplore.core.evaluation.ranking import Columns, Similarities, top
from visexplore.core.evaluation.space import EmbeddingSpace, Positions, Rows, Space

Method = Literal["rrf", "mean", "pca", "int8", "binary"]

_FUSIONS = ("rrf", "mean")
_RRF = 60.0  # Cormack, Clarke & Buettcher found it good enough everywhere; everybody has kept it
_CHUNK_FLOATS = 1_000_000  # what a thread ranks at a time: numbers of half a dozen arrays of this size
_BLOCK_ROWS = 4096
_NOWHERE = 1e-6  # an embedding this near to the mean is at the mean: the rest is rounding of float32
_MOST_DIGITS = 9

Totals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Virtual:
    """A model that is made of others.

    `str` gives its name, which `parse` understands: `parse(str(virtual)) == virtual`.

    Attributes:
        method: what is done.
        parts: names of models, or virtual models, that it is done to.
        dim: the D of `pca:D:A`; 0 for all others.

    Raises:
        UnknownModel: there is no such model.
    """

    method: Method
    parts: tuple[str | Virtual, ...]
    dim: int = 0

    def __post_init__(self) -> None:
        if self.method in _FUSIONS:
            if len(self.parts) < 2:
                raise _wrong(str(self), "fuses two models or more", f"Write {self.method}:A,B.")
        elif isinstance(part := self.parts[0], Virtual) and part.method in _FUSIONS:
            raise _wrong(
                str(self),
                f"needs vectors, and {part} has none",
                f"Fuse after it: {part.method}:{self.method}:...,{self.method}:...",
            )
        if self.method == "pca" and self.dim < 1:
            raise _wrong(str(self), "keeps no dimension", "Write pca:64:MODEL.")

    def __str__(self) -> str:
        if self.method in _FUSIONS:
            return f"{self.method}:{','.join(_as_part(part) for part in self.parts)}"
        return f"{self.method}:{f'{self.dim}:' if self.method == 'pca' else ''}{self.parts[0]}"

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models that it is made of in the end, each once."""
        found = [(part,) if isinstance(part, str) else part.models for part in self.parts]
        return tuple(dict.fromkeys(name for names in found for name in names))


def parse(name: str) -> Virtual | None:
    """Return the virtual model that a name means; None where it is no virtual model's.

    Raises:
        UnknownModel: it begins as one does and does not go on so.
    """
    name = name.strip()
    prefix, colon, rest = name.partition(":")
    if not colon or prefix.lower() not in get_args(Method):
        return None
    method = cast("Method", prefix.lower())
    if method in _FUSIONS:
        parts = _split(rest, name)
        return Virtual(method, tuple(_named(_unwrapped(part.strip()), name) for part in parts))
    dim = 0
    if method == "pca":
        digits, _, rest = rest.partition(":")
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= _MOST_DIGITS):
            raise _wrong(name, "does not say how many dimensions to keep", "Write pca:64:MODEL.")
        dim = int(digits)
    return Virtual(method, (_named(rest.strip(), name),), dim)


def build(virtual: Virtual, space_of: Callable[[str], Space]) -> Space:
    """Make a virtual model's space.

    Args:
        virtual: what to make.
        space_of: gives the space of a model, and its errors where there is none; asked once a model.

    Raises:
        UserError: a part has no vectors, or fewer dimensions than are to be kept.
    """
    known: dict[str, Space] = {}

    def made(part: str | Virtual) -> Space:
        name = str(part)
        if name not in known:
            known[name] = space_of(part) if isinstance(part, str) else _made(part, [made(p) for p in part.parts])
        return known[name]

    return made(virtual)


def _made(virtual: Virtual, parts: Sequence[Space]) -> Space:
    name = str(virtual)
    if virtual.method == "rrf":
        return RankFusion(name, parts)
    if virtual.method == "mean":
        return ScoreFusion(name, parts)
    space = parts[0]
    if not isinstance(space, EmbeddingSpace):
        raise UserError(f"'{name}' needs vectors, and {space.name} has none", "Name a model that embeds.")
    if virtual.method == "pca":
        dim = space.vectors.shape[1]
        if virtual.dim > dim:
            raise UserError(
                f"'{name}' cannot keep {virtual.dim} dimensions: {space.name} has {dim}",
                f"Keep {dim} or fewer.",
            )
        return EmbeddingSpace(name, space.positions, principal(space.vectors, virtual.dim))
    if virtual.method == "int8":
        return EmbeddingSpace(
            name, space.positions, bytes_of(space.vectors), bytes_per_image=float(space.vectors.shape[1])
        )
    return SignSpace(name, space.positions, space.vectors)


# ---- names


def _wrong(name: str, why: str, hint: str) -> UnknownModel:
    return UnknownModel(f"The virtual model '{name}' {why}", hint)


def _as_part(part: str | Virtual) -> str:
    name = str(part)
    fusion = isinstance(part, Virtual) and part.method in _FUSIONS
    return f"({name})" if fusion or _unwrapped(name) != name or len(_commas(name)[0]) else name


def _named(name: str, whole: str) -> str | Virtual:
    if not name:
        raise _wrong(whole, "lacks the name of a model", "Write for example rrf:A,B or int8:A.")
    return parse(name) or name


def _commas(text: str) -> tuple[list[int], bool]:
    """Return where the commas outside of parentheses are, and whether each parenthesis has its counterpart."""
    depth = 0
    found: list[int] = []
    for place, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth < 0:
            return found, False
        if char == "," and depth == 0:
            found.append(place)
    return found, depth == 0


def _split(text: str, whole: str) -> list[str]:
    commas, balanced = _commas(text)
    if not balanced:
        raise _wrong(whole, "has a parenthesis without its counterpart", "Write rrf:(mean:A,B),C.")
    starts = [0, *(place + 1 for place in commas)]
    return [text[start:end] for start, end in zip(starts, [*commas, len(text)], strict=True)]


def _unwrapped(name: str) -> str:
    """Return a name without the one pair of parentheses around all of it."""
    if not (name.startswith("(") and name.endswith(")")):
        return name
    inner = name[1:-1]
    return inner.strip() if _commas(inner)[1] else name


# ---- vectors


def principal(vectors: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    """Return (n, d) vectors in the `dim` directions in which they vary most, each of length 1: (n, dim) float32.

    The mean is taken off, the eigenvectors of the covariance matrix (float64, summed over blocks of rows) of the
    largest eigenvalues are what is projected on, and the result is scaled to length 1 again, as for retrieval
    (Jegou & Chum 2012, "Negative evidences and co-occurences in image retrieval: the benefit of PCA and whitening",
    here without the whitening). It is fitted to the very vectors that it is applied to, as no labels are used.
    A vector at the mean becomes zeros.

    Args:
        vectors: (n, d).
        dim: 1 to d.
    """
    rows, width = vectors.shape
    blocks = [slice(start, start + _BLOCK_ROWS) for start in range(0, rows, _BLOCK_ROWS)]
    mean = vectors.mean(axis=0, dtype=np.float64) if rows else np.zeros(width)
    covariance = np.zeros((width, width))
    for block in blocks:
        off = vectors[block] - mean
        covariance += off.T @ off
    axes = np.linalg.eigh(covariance).eigenvectors[:, : -dim - 1 : -1]  # eigenvalues rise
    found = np.empty((rows, dim), np.float32)
    for block in blocks:
        # In float64, so that copies of a vector, whose products may round otherwise, stay copies in float32.
        projected = (vectors[block] - mean) @ axes
        projected[np.linalg.norm(projected, axis=1) < _NOWHERE] = 0
        found[block] = projected
    return normalise(found)


def bytes_of(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n, dim) vectors as whole numbers from -127 to 127 would have them, each of length 1: float32.

    A vector's largest number becomes 127 or -127. So nothing has to be fitted to a collection and no later image is
    clipped; and as the factor falls out of a cosine, the codes are all that an index needs: `dim` bytes an image.
    """
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0.0)
    return normalise(np.rint(vectors / np.where(largest > 0, largest, 1) * 127))


class SignSpace(EmbeddingSpace):
    """A bit for each number of an embedding: whether it is above its mean over all images.

    How near two images are is 1 - 2 H / dim with H the bits that differ: the cosine of vectors of 1 and -1. Without
    taking off the mean, a number that is hardly ever negative says nothing.

    Args:
        name: what to call it.
        positions: (n,) positions in the dataset, ascending.
        vectors: (n, dim) float32.
    """

    def __init__(self, name: str, positions: Positions, vectors: NDArray[np.float32]) -> None:
        dim = vectors.shape[1]
        mean = vectors.mean(axis=0, dtype=np.float64) if len(vectors) else np.zeros(dim)
        unit = np.float32(1 / np.sqrt(dim))
        signs = np.where(vectors > mean, unit, -unit)
        super().__init__(name, positions, signs, bytes_per_image=float(-(-dim // 8)))

    def similarities_to(self, vectors: NDArray[np.float32]) -> Similarities:
        """Return how near q vectors of the same form are to all images: (q, n) float32."""
        return self._whole_bits(super().similarities_to(vectors))

    def between(self, queries: Rows, images: Rows) -> Similarities:
        """Return how near some images are to each query: (q,) and (m,) rows -> (q, m) float32."""
        return self._whole_bits(super().between(queries, images))

    def of_pairs(self, one: Rows, other: Rows) -> Similarities:
        """Return how near the images of each pair are: two times (m,) rows of this space -> (m,) float32."""
        return self._whole_bits(super().of_pairs(one, other))

    def _whole_bits(self, cosines: Similarities) -> Similarities:
        """Take out what the products were rounded by: as many bits must be as near, as ties are frequent."""
        dim = np.float32(self.vectors.shape[1])
        np.rint(cosines * dim, out=cosines)
        cosines /= dim
        return cosines


# ---- fusions


class Fusion(Space):
    """What several spaces say together about the images that all of them cover.

    An index for each of them is needed, so the bytes add up; a part that is named twice counts twice in what is said
    and once in the bytes.

    Args:
        name: what to call it.
        parts: two or more.
    """

    def __init__(self, name: str, parts: Sequence[Space]) -> None:
        self.name = name
        self.dim = None
        self.bytes_per_image = sum({part.name: part.bytes_per_image for part in parts}.values())
        self.positions = reduce(np.intersect1d, [part.positions for part in parts])
        self.parts = tuple(parts)
        self._rows = [part.rows(self.positions) for part in parts]

    def similarities(self, queries: Rows) -> Similarities:
        """Return how near each image is to each query: (q, n) float32."""
        return self.among(queries, np.arange(len(self.positions)))

    def nearest(self, queries: Rows, gallery: Rows, left_out: tuple[Rows, Columns], k: int) -> Columns:
        """Return the `k` nearest of a gallery, as `Space.nearest`; only images of the gallery count for ranks or means.

        Images that are left out of the result do count.
        """
        similarities = self.among(queries, gallery)
        similarities[left_out] = -np.inf
        return top(similarities, k)

    def among(self, queries: Rows, images: Rows) -> Similarities:
        """Return how near some images are to each query, as if there were no others: (q,) and (m,) rows -> (q, m)."""
        total = np.zeros((len(queries), len(images)))
        step = max(1, _CHUNK_FLOATS // max(1, len(images)))
        chunks = [slice(start, start + step) for start in range(0, len(queries), step)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # sorting and sums let other threads run
            for part, rows in zip(self.parts, self._rows, strict=True):
                ask = part.among if isinstance(part, Fusion) else part.between
                found = ask(rows[queries], rows[images])
                for _ in pool.map(lambda chunk, found=found: self._add(total[chunk], found[chunk]), chunks):
                    pass
        return total.astype(np.float32)

    @staticmethod
    @abstractmethod
    def _add(total: Totals, similarities: Similarities) -> None:
        """Add to (q, m) totals what one part's similarities count for; equal ones must count for the same."""


class RankFusion(Fusion):
    """Reciprocal-rank fusion: the sum of 1 / (60 + rank) over the parts, each of which ranks all images.

    Cormack, Clarke & Buettcher 2009, "Reciprocal rank fusion outperforms Condorcet and individual rank learning
    methods". Equally near images share the mean of their ranks, so that the order of the dataset decides nothing
    before the end. A query that is among the images has a rank like any other, mostly the first.
    """

    @staticmethod
    def _add(total: Totals, similarities: Similarities) -> None:
        images = similarities.shape[1]
        reciprocal = 1 / (_RRF + np.arange(1, images + 1))
        for row, of_row in zip(similarities, total, strict=True):
            order = np.argsort(-row)
            falling = row[order]
            new = np.flatnonzero(falling[1:] != falling[:-1]) + 1
            if len(new) + 1 >= images:
                of_row[order] += reciprocal
            else:
                starts = np.concatenate([[0], new])
                sizes = np.diff(np.concatenate([starts, [images]]))
                of_row[order] += np.repeat(1 / (_RRF + starts + (sizes + 1) / 2), sizes)


class ScoreFusion(Fusion):
    """The mean of the parts' similarities, those of each query standardised over the images.

    A cosine of 0.7 is near for one model and far for another: taken as they are, the model with the wider range would
    decide. So a part's similarities to a query are brought to mean 0 and variance 1 first (ZMUV in Montague & Aslam
    2001, "Relevance score normalization for metasearch"). A part under which all images are equally near says nothing.
    """

    def among(self, queries: Rows, images: Rows) -> Similarities:
        """Return how near some images are to each query, as if there were no others: (q,) and (m,) rows -> (q, m)."""
        return super().among(queries, images) / np.float32(len(self.parts))

    @staticmethod
    def _add(total: Totals, similarities: Similarities) -> None:
        if not similarities.shape[1]:
            return
        off = similarities.astype(np.float64)
        off -= off.mean(axis=1, keepdims=True)
        spread = np.sqrt(np.einsum("qm,qm->q", off, off) / off.shape[1])[:, None]
        flat = similarities.max(axis=1, keepdims=True) == similarities.min(axis=1, keepdims=True)
        total += np.divide(off, spread, out=np.zeros_like(off), where=~flat)
