"""The embeddings of a dataset under one model, open for search and for comparison."""

from __future__ import annotations

import weakref
from functools import cached_property
from typing import TYPE_CHECKING

from visexplore.core.datasets import Dataset
from visexplore.core.evaluation.background import Background, background_of
from visexplore.core.evaluation.projection import Method, Projection, project
from visexplore.core.evaluation.space import EmbeddingSpace

if TYPE_CHECKING:
    from visexplore.core.search.index import Index  # imports faiss, which scores do without


class Searchable:
    """An index and what is derived from it on first use; valid while `stamp` and the dataset stay as they are.

    Attributes:
        model: slug of the model.
        dataset: whose images these are.
        index: their embeddings.
        recipe: digest of the recipe.
        revision: version of the weights.
        stamp: changes with what the index was made from.
    """

    def __init__(self, model: str, dataset: Dataset, index: Index, *, recipe: str, revision: str, stamp: str) -> None:
        self.model = model
        self.dataset = dataset
        self.index = index
        self.recipe = recipe
        self.revision = revision
        self.stamp = stamp
        self._spaces: weakref.WeakValueDictionary[str, EmbeddingSpace] = weakref.WeakValueDictionary()
        self._projections: dict[Method, Projection] = {}

    @cached_property
    def background(self) -> Background:
        """How near random pairs are under this model."""
        return background_of(self.index.vectors)

    def projection(self, method: Method) -> Projection:
        """Return a map of the embeddings, made on first use.

        Raises:
            UserError: as `project`.
        """
        if method not in self._projections:
            self._projections[method] = project(self.index.vectors, method)
        return self._projections[method]

    def space(self, device: str = "cpu") -> EmbeddingSpace:
        """Return the embeddings as what is compared: a float32 copy of them, the same while somebody holds it."""
        space = self._spaces.get(device)
        if space is None:
            space = EmbeddingSpace(self.model, self.index.positions, self.index.vectors, device=device)
            self._spaces[device] = space
        return space
