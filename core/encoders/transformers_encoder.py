"""What a model of transformers puts out: the vector that is kept of its image tower, and those of its text tower."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch
from PIL.Image import Image, new

from visexplore.core.catalogue import Checkpoint
from visexplore.core.encoders.encoder import Embeddings, Pixels, no_text_tower
from visexplore.core.encoders.pooling import Outputs, flatten_map
from visexplore.core.encoders.recipes import VECTORS, Call, ModelRecipe, Vector
from visexplore.core.encoders.torch_encoder import TorchEncoder
from visexplore.core.encoders.transformers_pictures import Pictures, Untyped
from visexplore.core.errors import CannotLoadModel, VisexploreError

BY_FEATURES: Final[tuple[Call, ...]] = ("image features", "patch grid")
"""The calls that give vectors of a space which texts share."""

_SPECIAL_TOKENS = ("cls_token", "class_token", "class_embedding", "distillation_token", "register_tokens")


class TextTower:
    """The text side of a dual encoder, on the CPU in float32, with the checkpoint's own tokenizer.

    Args:
        model: the text side alone.
        load_tokenizer: called when the first texts come; a checkpoint without a tokenizer still embeds images.
        length: tokens to which texts are padded and cut; None: as many as the model has positions for.
    """

    def __init__(self, model: torch.nn.Module, load_tokenizer: Callable[[], Untyped], length: int | None) -> None:
        self._model = model.eval().requires_grad_(False)
        self._load_tokenizer = load_tokenizer
        self._length = length
        self._tokenizer: Untyped = None
        self._lock = threading.Lock()  # two threads cannot use a tokenizer at once

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Embed texts: (n, dim), not normalised."""
        features: Untyped = self._model.get_text_features
        accepted = inspect.signature(features).parameters
        tokens = {name: value for name, value in self._tokens(list(texts)).items() if name in accepted}
        found = features(**tokens)
        vectors: torch.Tensor = found if isinstance(found, torch.Tensor) else found.pooler_output
        return vectors[:, 0] if vectors.ndim == 3 else vectors  # FLAVA projects every token

    def _tokens(self, texts: list[str]) -> Untyped:
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = self._load_tokenizer()
            length = self._length or min(self._tokenizer.model_max_length, self._positions())
            # SigLIP's vectors depend on the padding, and those of the others do not.
            return self._tokenizer(texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt")

    def _positions(self) -> int:
        config: Untyped = self._model.config
        return int(getattr(getattr(config, "text_config", config), "max_position_embeddings", 77))


class TransformersEncoder(TorchEncoder):
    """A model of transformers without the parts that an image embedding does not need.

    Args:
        checkpoint: its entry.
        tower: what embeds images.
        recipe: of its model type.
        pictures: its preprocessing.
        text: its text side, or why texts cannot be embedded.
        empty_text: the tokens of a text of no words, for a tower that does not go without.
        pooler_is_random: whether the checkpoint has no weights for the tower's pooler.
        device: torch's name of it.
        precision: torch's name of the dtype.

    Attributes:
        kept: which vector is the standard one.

    Raises:
        UserError: the chosen pooling needs what the model does not put out.
        OutOfDeviceMemory: the device has no room for it.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        tower: torch.nn.Module,
        recipe: ModelRecipe,
        pictures: Pictures,
        *,
        text: TextTower | str,
        empty_text: Sequence[int],
        pooler_is_random: bool,
        device: str,
        precision: str,
    ) -> None:
        self._model_recipe = recipe
        self._pictures = pictures
        self._text = text
        self._empty_text = list(empty_text)
        self._pooler_is_random = pooler_is_random
        self._norm = tower.get_submodule(recipe.norm) if recipe.norm else torch.nn.Identity()
        self._special = _count_special_tokens(tower)
        self.kept: Vector = recipe.vectors[0]
        super().__init__(
            checkpoint, tower, device=device, precision=precision, dim=0, mean=pictures.mean, std=pictures.std,
            preprocessing={"pictures": pictures.settings, "vectors": recipe.vectors},
        )  # fmt: skip
        # Only running the model tells what it puts out, and that it can be run with these pictures.
        grey = self.preprocess(new("RGB", (256, 256), "grey"))
        self.dim = self.embed_images(grey[None]).shape[1]

    def settle_pooling(self) -> None:
        """Nothing is left to learn: a picture was embedded when the model was loaded."""

    def preprocess(self, image: Image) -> Pixels:
        """Resize and crop as the checkpoint's image processor does: uint8 (3 or 4, height, width)."""
        return self._pictures(image)

    def embed_images(self, batch: Pixels) -> Embeddings:
        """Embed uint8 (n, channels, height, width); of padded pictures those of one shape together, without padding."""
        if batch.shape[1] == 3:
            return super().embed_images(batch)
        heights, widths = (np.count_nonzero(edge, axis=1) for edge in (batch[:, 3, :, 0], batch[:, 3, 0]))
        shapes = np.stack([heights, widths], axis=1)
        kinds, kind = np.unique(shapes, axis=0, return_inverse=True)
        if len(kinds) == 1:
            return super().embed_images(batch)
        groups = [np.flatnonzero(kind == number) for number in range(len(kinds))]
        found = np.concatenate([self.embed_images(batch[rows]) for rows in groups])
        return found[np.argsort(np.concatenate(groups))]

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Run the text tower, on the CPU: (n, dim), not normalised.

        Raises:
            NoTextTower: there is none.
            CannotLoadModel: the checkpoint has no tokenizer, or one of another model.
        """
        if isinstance(self._text, str):
            raise no_text_tower(self.checkpoint, self._text)
        try:
            return self._text(texts)
        except VisexploreError:
            raise
        except Exception as error:
            raise CannotLoadModel(
                f"The tokenizer of {self.checkpoint.slug} does not fit its text tower ({first_line(error)})",
                "Save the right one beside the weights: tokenizer.save_pretrained(FOLDER).",
            ) from error

    def outputs(self, images: torch.Tensor) -> Outputs:
        """Return the standard vector of the model type, and what other poolings need."""
        call = self._model_recipe.call
        if call == "codebook":
            return self._histogram(images)
        found = _CALLS[call](self, _without_padding(images) if images.shape[1] == 4 else images)
        special, patches = self._tokens(found)
        projected, pooled = self._pooled(found)
        vectors: dict[Vector, torch.Tensor] = {}
        if special is not None:
            vectors |= {"class": special[:, 0], "special": special.mean(1, dtype=torch.float32)}
        if patches is not None:
            vectors["mean"] = patches.mean(1, dtype=torch.float32)
        if pooled is not None:
            vectors["pooled"] = pooled
        if projected is not None:
            vectors["projected"] = projected
        offered = [vector for vector in self._model_recipe.vectors if vector in vectors]
        if not offered:
            wanted = " or ".join(VECTORS[vector] for vector in self._model_recipe.vectors)
            raise CannotLoadModel(f"The image tower of {self.checkpoint.slug} does not put out {wanted}")
        self.kept = offered[0]
        unprojected = vectors.get("class") if self._model_recipe.projection else None
        return Outputs(vectors[self.kept], special, patches, projected, unprojected)

    def _tokens(self, found: Untyped) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Return the special tokens and the patches of what the tower put out, (n, s, d) and (n, t, d), or None."""
        features = found if isinstance(found, torch.Tensor) else found.get("last_hidden_state")
        if features is None or features.ndim == 2:
            return None, None
        if features.ndim == 4:
            return None, flatten_map(features)
        features = self._norm(features)
        if self._model_recipe.call == "empty text":
            # The text's class token, the rest of the text, the picture's class token, its patches.
            return features[:, :1], features[:, len(self._empty_text) + 1 :]
        return features[:, : self._special] if self._special else None, features[:, self._special :]

    def _pooled(self, found: Untyped) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Return what the tower projected and what it pooled, (n, d) each, or None."""
        if isinstance(found, torch.Tensor):
            found = {"pooler_output": found if found.ndim == 2 else None}
        pooled = found.get("pooler_output")
        if pooled is not None:
            # FLAVA projects all tokens, of which the first is the class token; a pooled map has sides of 1.
            pooled = pooled[:, 0] if pooled.ndim == 3 else pooled.flatten(1)
        if self._model_recipe.call in BY_FEATURES:
            return pooled, None
        return found.get("image_embeds"), None if self._pooler_is_random else pooled

    def _histogram(self, images: torch.Tensor) -> Outputs:
        tower: Untyped = self.tower
        probabilities = flatten_map(tower.get_codebook_probs(images))
        self.kept = "histogram"
        return Outputs(probabilities.mean(1, dtype=torch.float32).sqrt(), patches=probabilities)

    # How a tower is called with pictures (n, 3, height, width).

    def _with_pixels(self, images: torch.Tensor) -> Untyped:
        return self.tower(images)

    def _image_features(self, images: torch.Tensor) -> Untyped:
        tower: Untyped = self.tower
        return tower.get_image_features(pixel_values=images)

    def _beside_an_empty_text(self, images: torch.Tensor) -> Untyped:
        ids = torch.tensor([self._empty_text], device=images.device).expand(len(images), -1)
        shown = torch.ones_like(images[:, 0], dtype=torch.long)
        return self.tower(input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=images, pixel_mask=shown)

    def _as_patches(self, images: torch.Tensor) -> Untyped:
        tower: Untyped = self.tower
        side: int = tower.config.vision_config.patch_size
        count, channels, height, width = images.shape
        rows, columns = height // side, width // side
        grid = images.reshape(count, channels, rows, side, columns, side).permute(0, 2, 4, 3, 5, 1)
        patches = grid.reshape(count, rows * columns, side * side * channels)
        return tower.get_image_features(
            pixel_values=patches,
            pixel_attention_mask=torch.ones(patches.shape[:2], dtype=torch.long, device=images.device),
            spatial_shapes=torch.tensor([[rows, columns]] * count, device=images.device),
        )


_CALLS: dict[Call, Callable[[TransformersEncoder, torch.Tensor], Untyped]] = {
    "pixels": TransformersEncoder._with_pixels,
    "image features": TransformersEncoder._image_features,
    "empty text": TransformersEncoder._beside_an_empty_text,
    "patch grid": TransformersEncoder._as_patches,
}


def _without_padding(images: torch.Tensor) -> torch.Tensor:
    """Cut pictures of one shape (n, 4, h, w) to where the fourth channel shows them: (n, 3, height, width)."""
    shown = images[0, 3] > 0
    return images[:, :3, : int(shown[:, 0].sum()), : int(shown[0].sum())]


def _count_special_tokens(tower: torch.nn.Module) -> int:
    """Count the tokens that a tower puts before those of the patches, by the parameters that they are learnt as."""
    return sum(
        parameter.shape[-2] if parameter.ndim > 1 else 1
        for name, parameter in tower.named_parameters()
        if name.rpartition(".")[2] in _SPECIAL_TOKENS
    )


def first_line(error: Exception) -> str:
    """Return the beginning of what a library says is wrong, for a message of our own."""
    lines = str(error).strip().splitlines()
    return lines[0][:300].rstrip(".: ") if lines else type(error).__name__
