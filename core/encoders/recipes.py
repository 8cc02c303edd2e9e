"""Which vector is kept of which model type of transformers: one table, and a rule for what it does not list.

Nothing here imports a library, so that commands can print it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

Vector = Literal["class", "special", "mean", "pooled", "projected", "histogram"]

VECTORS: Final[dict[Vector, str]] = {
    "class": "the class token after the final norm",
    "special": "the mean of the class and the distillation token",
    "mean": "the mean of the patch tokens, or of the last feature map",
    "pooled": "the model's own pooled output",
    "projected": "the image embedding of the space that it shares with texts",
    "histogram": "the square root of the mean of the token probabilities over the picture",
}
"""What can be kept as a model type's standard vector, in words."""

Call = Literal["pixels", "image features", "empty text", "codebook", "patch grid"]
"""How an image tower is called: with pixels; by `get_image_features`; with a text of no words beside the pixels; by
`get_codebook_probs`; by `get_image_features` with the patches of a picture in its own shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecipe:
    """How the models of one type are loaded and read.

    Attributes:
        vectors: what to keep: the first of these whose weights are in the checkpoint; none: what the part's type says.
        note: why, or what would go wrong otherwise; for people to read.
        call: how the image tower is called.
        auto_class: the class of transformers that loads it.
        part: the attribute of the model that holds the image tower; empty: the model itself.
        norm: the final norm below the tower, where the tower applies it to the class token alone.
        projection: the layer that leads into the space of the texts; empty: none.
        text_length: tokens to which a text is padded and cut; None: as many as the text tower has positions for.
        unused: names of weights that may be missing because no vector needs them (a part of the name is enough).
        config: settings that replace those of the checkpoint.
        own_size: whether pictures get the size that config.json says, whatever the preprocessing says.
        processor: the image processor where the checkpoint names none; empty: what transformers pairs with the type.
        pixels: the processor's output to take.
        processor_options: what the processor is told besides.
        longest: how often a picture's short side may fit into its long one; beyond, the ends are cut off, if that
            changes nothing or the model takes no longer pictures.
    """

    vectors: tuple[Vector, ...]
    note: str = ""
    call: Call = "pixels"
    auto_class: str = "AutoModel"
    part: str = ""
    norm: str = ""
    projection: str = ""
    text_length: int | None = None
    unused: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    own_size: bool = False
    processor: str = ""
    pixels: str = "pixel_values"
    processor_options: Mapping[str, Any] = field(default_factory=dict)
    longest: float = 64

    @property
    def words(self) -> str:
        """What is kept, for people to read."""
        kept = ", or where the model has none ".join(VECTORS[vector] for vector in self.vectors)
        kept = kept or f"what is kept of the model's {self.part} alone"
        return f"{kept} ({self.note})" if self.note else kept


_CLIP: Final = ModelRecipe(
    vectors=("projected",),
    call="image features",
    norm="vision_model.post_layernorm",
    projection="visual_projection",
    unused=("text_model.pooler.",),
    note="what the contrastive loss trained",
)
_CLIP_TOWER: Final = ModelRecipe(
    vectors=("class",), norm="post_layernorm", note="the tower of a CLIP without its projection"
)
_BEIT: Final = ModelRecipe(
    vectors=("pooled", "mean"),
    note="the LayerNorm of the patches' mean fed the classifier; a checkpoint of masked image modelling has none, "
    "and its class token is untrained",
)
_SWIN: Final = ModelRecipe(
    vectors=("pooled",), own_size=True, note="the mean of the final tokens; the size is that of config.json"
)
_POOLED_MAP: Final = ModelRecipe(vectors=("pooled",), note="the mean of the last feature map over height and width")
_TOWER_ALONE: Final = ModelRecipe(
    vectors=("class",), part="vision_model", note="of the image tower; what it shares with texts is no single vector"
)

TABLE: Final[dict[str, ModelRecipe]] = {
    # Dual encoders
    "clip": _CLIP,
    "altclip": _CLIP,
    "chinese_clip": _CLIP,
    "clipseg": _CLIP,
    "metaclip_2": _CLIP,
    "flava": ModelRecipe(
        vectors=("projected",),
        call="image features",
        projection="image_projection",
        text_length=77,
        unused=("_model.pooler.",),
        note="of all tokens, which get_image_features projects, the class token; pooler_output is not contrastive",
    ),
    "align": ModelRecipe(
        vectors=("projected",),
        call="image features",
        text_length=64,
        unused=("text_model.pooler.",),
        note="the pooled feature map itself: the image side has no projection",
    ),
    "siglip": ModelRecipe(
        vectors=("projected",),
        call="image features",
        note="the attention-pooled tokens; texts are always padded to the full length, as in training",
    ),
    "siglip2": ModelRecipe(
        vectors=("projected",),
        call="patch grid",
        text_length=64,
        longest=4,
        note="the attention-pooled tokens of a picture in its own shape (NaFlex)",
    ),
    # Image towers
    "vit": ModelRecipe(
        vectors=("class",), note="pooler_output is random in checkpoints that were fine-tuned to classify"
    ),
    "deit": ModelRecipe(vectors=("special",), note="as its two heads were trained; pooler_output is random"),
    "beit": _BEIT,
    "data2vec-vision": _BEIT,
    "swin": _SWIN,
    "swinv2": _SWIN,
    "convnext": replace(_POOLED_MAP, note="the mean of the last feature map, then LayerNorm: the classifier's input"),
    "convnextv2": replace(_POOLED_MAP, note="the mean of the last feature map, then LayerNorm: the classifier's input"),
    "efficientnet": _POOLED_MAP,
    "resnet": _POOLED_MAP,
    "regnet": _POOLED_MAP,
    "dinov2": ModelRecipe(vectors=("class",), note="what its authors search images with"),
    "dinov2_with_registers": ModelRecipe(vectors=("class",), note="the registers are left out of the patches"),
    "dinov3_vit": ModelRecipe(vectors=("class",), note="the registers are left out of the patches"),
    "vit_mae": ModelRecipe(
        vectors=("class",), config={"mask_ratio": 0.0}, note="of the whole picture: nothing is masked"
    ),
    "clip_vision_model": _CLIP_TOWER,
    "chinese_clip_vision_model": _CLIP_TOWER,
    "metaclip_2_vision_model": _CLIP_TOWER,
    "siglip_vision_model": ModelRecipe(vectors=("pooled", "mean"), note="pooled by attention, unless its head was cut"),
    # Parts of other models
    "vilt": ModelRecipe(
        vectors=("mean",),
        call="empty text",
        longest=16,
        note="beside a text of no words; an image alone has no vector, and neither has a text",
    ),
    "vision-encoder-decoder": ModelRecipe(
        vectors=(), auto_class="VisionEncoderDecoderModel", part="encoder", note="the decoder is dropped"
    ),
    "blip-2": _TOWER_ALONE,
    "instructblip": _TOWER_ALONE,
    "florence2": ModelRecipe(
        vectors=("mean",), part="vision_tower", note="of the vision tower; the language model is dropped"
    ),
    "florence_vision": ModelRecipe(vectors=("mean",)),
    "flava_image_codebook": ModelRecipe(
        vectors=("histogram",),
        call="codebook",
        auto_class="FlavaImageCodebook",
        processor="FlavaImageProcessor",
        pixels="codebook_pixel_values",
        processor_options={"return_codebook_pixels": True},
        note="a soft bag of the dVAE's visual words, compared by Hellinger's distance",
    ),
}
"""The recipe of each known `model_type`."""

ARCHITECTURES: Final[dict[str, ModelRecipe]] = {
    "DeiTForImageClassification": ModelRecipe(
        vectors=("class",), note="its one head was trained on it: not distilled; pooler_output is random"
    ),
    "CLIPVisionModelWithProjection": ModelRecipe(
        vectors=("projected",),
        auto_class="CLIPVisionModelWithProjection",
        norm="vision_model.post_layernorm",
        projection="visual_projection",
        note="what the contrastive loss trained; the text tower is not in the checkpoint",
    ),
}
"""The recipes of architectures that differ from their `model_type`."""

DUAL_ENCODER: Final = ModelRecipe(vectors=("projected",), call="image features")
"""For a type that is not in the table and has vectors of images and of texts."""

IMAGE_TOWER: Final = ModelRecipe(vectors=("class", "pooled", "mean"))
"""For any other type that is not in the table: which of these there is, the model's outputs and weights tell."""

IMAGE_PARTS: Final = ("vision_tower", "vision_model", "vision_encoder", "visual", "image_encoder")
"""What larger models call their image tower."""


def known_recipe(config: Mapping[str, Any]) -> ModelRecipe | None:
    """Return the recipe of a checkpoint with this `config.json`; None where one has to be derived from the model."""
    for architecture in config.get("architectures") or ():
        if architecture in ARCHITECTURES:
            return ARCHITECTURES[architecture]
    recipe = TABLE.get(config.get("model_type", ""))
    if recipe is None or recipe.vectors:
        return recipe
    return recipe_of_part(config.get(recipe.part), recipe.part, recipe.auto_class)


def recipe_of_part(config: object, part: str, auto_class: str = "AutoModel") -> ModelRecipe:
    """Return the recipe of a model of which only the image tower `part`, with this configuration, is kept."""
    inner = (known_recipe(config) if isinstance(config, Mapping) else None) or IMAGE_TOWER
    return replace(inner, part=part, auto_class=auto_class)
