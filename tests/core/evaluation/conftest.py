from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from visexplore.core.datasets import Dataset, open_dataset
from visexplore.core.encoders import Encoder
from visexplore.core.evaluation.space import EmbeddingSpace
from visexplore.core.images import decode


@dataclass(frozen=True)
class Embedded:
    """A labelled dataset under a real model."""

    dataset: Dataset
    labels: NDArray[np.int32]
    space: EmbeddingSpace


@pytest.fixture(scope="session")
def sample(lite0: Encoder) -> Embedded:
    """The bundled pictures under the bundled default model."""
    dataset = open_dataset("sample")
    pixels = [lite0.preprocess(decode(dataset.read(record))) for record in dataset.records]
    vectors = np.concatenate([lite0.embed_images(np.stack(pixels[at : at + 32])) for at in range(0, len(pixels), 32)])
    names = sorted(dataset.label_counts)
    labels = np.array([names.index(record.label or "") for record in dataset.records], np.int32)
    return Embedded(dataset, labels, EmbeddingSpace("efficientnet-lite0", np.arange(len(vectors)), vectors))
