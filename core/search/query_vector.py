"""What is searched with, as a vector: of an image, a part of one, a text, or a weighted mix of these."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from PIL.Image import Image

from visexplore.core.datasets import Dataset
from visexplore.core.encoders.encoder import Embeddings, Encoder, normalise
from visexplore.core.errors import UnreadableImage, UserError
from visexplore.core.images import decode
from visexplore.core.messages import Box, Query, QueryPart
from visexplore.core.search.index import Index

_NOTHING = 1e-3  # of the weights: what is left where float16 embeddings cancel each other out


def cropped(picture: Image, box: Box | None) -> Image:
    """Return the part of an upright picture; all of it for None."""
    return picture if box is None else picture.crop(box.pixels(picture.width, picture.height))


def mix(vectors: Embeddings, weights: ArrayLike) -> Embeddings:
    """Return the weighted sum of embeddings, scaled to length 1: `s / |s|` with `s = sum_i w_i * v_i / |v_i|`.

    Args:
        vectors: float32 (n, dim).
        weights: n numbers, also negative ones.

    Returns:
        float32 (dim,).

    Raises:
        UserError: the sum has no direction, because all weights are 0 or the parts cancel each other out.
    """
    of_each = np.asarray(weights, np.float64)
    total = of_each @ normalise(vectors).astype(np.float64)
    if np.linalg.norm(total) <= _NOTHING * np.abs(of_each).sum():
        raise UserError(
            "The parts of the mix cancel each other out: nothing is left to search with",
            "Change the weights, or leave out a part.",
        )
    return normalise(total)


class QueryVector:
    """A query and its embedding under one model after the other; its pictures are read once.

    Args:
        dataset: that is searched.
        query: what with.
        read: returns the bytes of the picture at an outside path or address.
    """

    def __init__(self, dataset: Dataset, query: Query, read: Callable[[str], bytes]) -> None:
        self._dataset = dataset
        self._query = query
        self._read = read
        self._pictures: dict[tuple[str, str], Image] = {}

    @cached_property
    def own(self) -> tuple[int, ...]:
        """Positions of the images of the dataset that it is made of, which are no neighbours of it."""
        ids = dict.fromkeys(part.image_id for part in self._query.components if part.image_id)
        return tuple(self._dataset.position_of[image_id] for image_id in ids)

    def needs_model(self, index: Index) -> bool:
        """Whether not all that it is made of has an embedding in the index."""
        return any(self._stored(part, index) is None for part in self._query.components)

    def under(self, index: Index, load: Callable[[], Encoder]) -> Embeddings:
        """Return its embedding, float32 (dim,) of length 1.

        Args:
            index: the embeddings of the dataset under a model.
            load: returns that model, asked only where it is needed.

        Raises:
            UnreadableImage: a picture cannot be read.
            NoTextTower: it has words, and the model embeds images only.
            UserError: the parts of a mix cancel each other out.
        """
        parts = self._query.components
        vectors = [self._embedded(part, index, load) for part in parts]
        if not self._query.parts:
            return vectors[0]
        return mix(np.stack(vectors), [part.weight for part in parts])

    def picture(self, part: QueryPart) -> Image:
        """Return the picture of a part, cropped; upright RGB.

        Raises:
            UnreadableImage: it cannot be read; in a mix the message names it.
        """
        key = (part.image_id, part.path)
        if key not in self._pictures:
            try:
                dataset = self._dataset
                data = dataset.read(dataset.record(part.image_id)) if part.image_id else self._read(part.path)
                self._pictures[key] = decode(data)
            except UnreadableImage as error:
                if not self._query.parts:
                    raise
                raise UnreadableImage(f"'{part.image_id or part.path}': {error.message}", error.hint) from error
        return cropped(self._pictures[key], part.crop)

    def _stored(self, part: QueryPart, index: Index) -> Embeddings | None:
        return index.vector(self._dataset.position_of[part.image_id]) if part.is_stored else None

    def _embedded(self, part: QueryPart, index: Index, load: Callable[[], Encoder]) -> Embeddings:
        stored = self._stored(part, index)
        if stored is not None:
            return stored
        encoder = load()
        embedded = (
            encoder.embed_texts([part.text])
            if part.text
            else encoder.embed_images(encoder.preprocess(self.picture(part))[None])
        )
        only: Embeddings = embedded[0]
        return only
