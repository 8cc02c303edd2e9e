"""The recipe: everything that decides an embedding's value, and the digest that names it in the cache."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """What decides an embedding's value. All of it is known without loading the model.

    Attributes:
        checkpoint: `<loader>:<id>` of the weights.
        revision: which version of those weights: a package version, a hub commit, a digest of local files.
        preprocessing: how pixels become the model's input; `checkpoint` means as its own configuration says.
        pooling: which of the model's outputs is kept.
        precision: class of the arithmetic: `float32`, `bfloat16` or `float16`.
    """

    checkpoint: str
    revision: str
    preprocessing: str
    pooling: str
    precision: str = "float32"

    @property
    def digest(self) -> str:
        """Ten hex digits that change with any attribute."""
        canonical = json.dumps(asdict(self), sort_keys=True)
        return hashlib.blake2b(canonical.encode(), digest_size=5).hexdigest()
