"""Encoders from transformers: a checkpoint folder in the hub's format, read by the recipe of its model type."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.models.auto import configuration_auto, image_processing_auto
from transformers.models.auto.modeling_auto import MODEL_MAPPING

from visexplore.core.catalogue import OUTSIDE, POOLINGS, Checkpoint
from visexplore.core.encoders.recipes import (
    DUAL_ENCODER,
    IMAGE_PARTS,
    IMAGE_TOWER,
    VECTORS,
    ModelRecipe,
    known_recipe,
    recipe_of_part,
)
from visexplore.core.encoders.transformers_encoder import (
    BY_FEATURES,
    TextTower,
    TransformersEncoder,
    first_line,
)
from visexplore.core.encoders.transformers_pictures import Pictures, Untyped
from visexplore.core.errors import CannotLoadModel, VisexploreError

_IMAGE_SIDE = ("vision", "visual", "image")  # how the parts of a dual encoder that an image needs begin
_TEXT_SIDE = ("text",)
# Nothing is masked when an image is embedded, and batch counters matter to training alone.
_NEVER_USED = ("mask_token", "num_batches_tracked")
_VOCABULARIES = (
    "tokenizer.json", "vocab.json", "vocab.txt", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model",
)  # fmt: skip
_EMPTY_TEXT = (101, 102)  # [CLS] and [SEP] of BERT's vocabulary
_FETCH_AGAIN = "If they are damaged: delete that folder and fetch them again."


def load(
    checkpoint: Checkpoint, place: Path | None, device: str, precision: str, *, trust_remote_code: bool
) -> TransformersEncoder:
    """Load a model of transformers onto `device`, from files alone.

    Args:
        checkpoint: its entry.
        place: folder with `config.json`, weights, and what else the repository has.
        device: torch's name of it.
        precision: torch's name of the dtype.
        trust_remote_code: whether Python code that comes with the weights may run.

    Raises:
        CannotLoadModel: the files are missing, damaged or incomplete, need code that is not trusted, or are no
            model of images.
        UserError: the pooling does not exist for this model.
    """
    # Bars and reports of what was loaded would be drawn into the screen.
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if place is None:
        raise CannotLoadModel(f"No package carries the weights of {checkpoint.slug}")
    folder = _Folder(checkpoint, place, trusted=trust_remote_code)
    try:
        return folder.encoder(device, precision)
    except VisexploreError:
        raise
    except Exception as error:
        raise CannotLoadModel(
            f"{checkpoint.slug} is loaded, but as a model of the type {folder.model_type} it cannot embed a picture "
            f"({first_line(error)})",
            "Choose another checkpoint: visexplore models lists those that work.",
        ) from error


class _Folder:
    """A checkpoint's folder: `config.json`, weights, image processor, tokenizer.

    Args:
        checkpoint: its entry.
        place: where the folder is.
        trusted: whether Python code in it may run.

    Raises:
        CannotLoadModel: its config.json is no such thing, or of a type that needs code.
    """

    def __init__(self, checkpoint: Checkpoint, place: Path, *, trusted: bool) -> None:
        self.checkpoint = checkpoint
        self.name = checkpoint.slug
        self.place = place
        self.trusted = trusted
        self.facts = _read_config(place)
        self.model_type: str = self.facts["model_type"]
        self.has_code = bool(self.facts.get("auto_map"))
        if self.has_code and trusted:
            self._check_whose_code()
            return
        if self.model_type not in configuration_auto.CONFIG_MAPPING_NAMES:  # type: ignore[attr-defined]
            raise (
                self._untrusted()
                if self.has_code
                else CannotLoadModel(
                    f"transformers {transformers.__version__} does not know '{self.model_type}', which {self.name} is",
                    "A newer release may: uv pip install --upgrade transformers",
                )
            )

    def encoder(self, device: str, precision: str) -> TransformersEncoder:
        """Load everything and put it together."""
        recipe = known_recipe(self.facts) if not (self.has_code and self.trusted) else None
        known = recipe is not None
        settings = self._settings(recipe)
        model, missing = self._model(settings, recipe)
        recipe, tower = self._tower(model, missing, recipe)
        text = self._text(model, missing, recipe)
        pictures, remarks = self._pictures(tower, recipe)
        del model  # and with it the parts that no vector needs
        encoder = TransformersEncoder(
            self.checkpoint,
            tower,
            recipe,
            pictures,
            text=text,
            empty_text=self._empty_text(recipe),
            pooler_is_random=any(key.startswith(_pooler(recipe)) for key in missing),
            device=device,
            precision=precision,
        )
        if not known or self.checkpoint.family == OUTSIDE:
            part = f", its {recipe.part} alone" if recipe.part else ""
            choice = self.checkpoint.pooling_choice
            kept = POOLINGS[choice] if choice else VECTORS[encoder.kept]
            encoder.remarks += (f"By its config.json it is of the type {self.model_type}{part}: kept is {kept}.",)
        encoder.remarks += (*remarks, *pictures.remarks)
        return encoder

    def _untrusted(self) -> CannotLoadModel:
        repository = self.checkpoint.hub_id or self.checkpoint.id
        return CannotLoadModel(
            f"{self.name} needs Python code that comes with its weights, and that code is not trusted",
            f"Read it in {self.place}; then, to run it: --trust-remote-code {repository}",
        )

    def _check_whose_code(self) -> None:
        """Refuse code of another repository, which transformers would run along with that of a trusted one."""
        for file in self.place.glob("*.json"):
            for repository in _code_elsewhere(file):
                if repository != self.checkpoint.hub_id:
                    raise CannotLoadModel(
                        f"{self.name} runs Python code of another repository, {repository}, says its {file.name}",
                        f"Load a checkpoint of {repository} itself.",
                    )

    def _broken(self, what: str, error: Exception) -> CannotLoadModel:
        if not self.trusted and "trust_remote_code" in str(error):
            return self._untrusted()
        hint = _FETCH_AGAIN
        if isinstance(error, ImportError):
            packages = "sentencepiece protobuf" if "SentencePiece" in str(error) else "NAME"
            hint = f"Install the package that it names: uv pip install {packages}"
        return CannotLoadModel(
            f"The {what} of {self.name} in {self.place} cannot be loaded ({first_line(error)})", hint
        )

    # ---- the model

    def _settings(self, recipe: ModelRecipe | None) -> Untyped:
        try:
            settings = transformers.AutoConfig.from_pretrained(
                self.place, local_files_only=True, trust_remote_code=self.trusted
            )
        except Exception as error:
            raise self._broken("config.json", error) from error
        if recipe is None and not self.has_code:
            self._check_takes_pictures(type(settings))
        for name, value in (recipe.config if recipe else {}).items():
            setattr(settings, name, value)
        settings.return_dict = True
        return settings

    def _check_takes_pictures(self, settings_class: type) -> None:
        try:
            found: Untyped = MODEL_MAPPING[settings_class]
        except KeyError as error:
            raise CannotLoadModel(f"{self.name} is of the type {self.model_type}, which embeds no pictures") from error
        model_class = found[0] if isinstance(found, tuple) else found
        takes = model_class.input_modalities
        # Some classes do not say; then it is the main input that tells.
        if "image" not in takes and ("video" in takes or model_class.main_input_name != "pixel_values"):
            raise CannotLoadModel(
                f"{self.name} is of the type {self.model_type}, which embeds no pictures",
                "Models that do: visexplore models.",
            )

    def _model(self, settings: Untyped, recipe: ModelRecipe | None) -> tuple[Untyped, frozenset[str]]:
        """Load the whole model in float32; return it with the names of the weights that the files lack."""
        auto_class: Untyped = getattr(transformers, recipe.auto_class if recipe else self._auto_class())
        try:
            model, report = auto_class.from_pretrained(
                self.place,
                config=settings,
                dtype=torch.float32,  # otherwise that of the file
                local_files_only=True,
                trust_remote_code=self.trusted,
                weights_only=True,  # a pickle may hold code
                output_loading_info=True,
            )
        except Exception as error:
            raise self._broken("weights", error) from error
        return model, frozenset(report["missing_keys"])

    def _auto_class(self) -> str:
        """Return the class with which code that comes with the weights is found."""
        offered = [name for name in self.facts.get("auto_map") or () if name.startswith("AutoModel")]
        return "AutoModel" if "AutoModel" in offered or not offered else offered[0]

    def _tower(
        self, model: Untyped, missing: frozenset[str], recipe: ModelRecipe | None
    ) -> tuple[ModelRecipe, torch.nn.Module]:
        """Return what embeds images, with its recipe: the first of the ways to read the model that is complete."""
        lacking: list[str] = []
        for way in [recipe] if recipe else _derived_recipes(model):
            parts = _parts(model, _IMAGE_SIDE) if way.call in BY_FEATURES else [way.part]
            lacking = sorted(key for key in missing if _is_needed(key, parts, way))
            if not lacking:
                return way, _only(model, parts) if way.call in BY_FEATURES else model.get_submodule(way.part)
        hint = "They would be random numbers. Save or fetch the whole model."
        if self.has_code and not self.trusted:
            hint = f"They may be made for the code that comes with them. {self._untrusted().hint}"
        raise CannotLoadModel(
            f"The weights of {self.name} in {self.place} are not complete: {len(lacking)} that an embedding needs are "
            f"missing, such as {lacking[0]}",
            hint,
        )

    def _text(self, model: Untyped, missing: frozenset[str], recipe: ModelRecipe) -> TextTower | str:
        """Return the text side of a dual encoder, or why there is none."""
        parts = _parts(model, _TEXT_SIDE)
        if recipe.call not in BY_FEATURES or not parts or not hasattr(model, "get_text_features"):
            return "it embeds images only"
        if any(_is_needed(key, parts, recipe) for key in missing):
            return "the weights of its text tower are not in the checkpoint"
        return TextTower(_only(model, parts), self._tokenizer, recipe.text_length)

    # ---- what goes in

    def _pictures(self, tower: Untyped, recipe: ModelRecipe) -> tuple[Pictures, tuple[str, ...]]:
        """Return the preprocessing, and what was decided about it, in words."""
        config = getattr(tower, "config", None)
        side = next(filter(None, (_side(getattr(config, part, None)) for part in ("vision_config", "image_config"))), 0)
        side = side or _side(config)
        remarks: tuple[str, ...] = ()
        try:
            if _has_image_processor(self.place):
                processor = self._own_processor()
            else:
                processor, remark = self._usual_processor(getattr(config, "model_type", ""), recipe, side)
                remarks = (remark,)
            return Pictures(self.name, processor, recipe, side), remarks
        except VisexploreError:
            raise
        except Exception as error:
            raise self._broken("preprocessor_config.json", error) from error

    def _own_processor(self) -> Untyped:
        return transformers.AutoImageProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            self.place, local_files_only=True, trust_remote_code=self.trusted, backend="torchvision"
        )

    def _usual_processor(self, tower_type: str, recipe: ModelRecipe, side: int) -> tuple[Untyped, str]:
        """Make the image processor that transformers pairs with the type, for the size that config.json says."""
        name = recipe.processor or _paired_processor(self.model_type) or _paired_processor(tower_type)
        if not name:
            raise CannotLoadModel(
                f"{self.name} has no preprocessor_config.json in {self.place}, so nothing tells how its pictures are "
                "prepared",
                "Save its image processor there: processor.save_pretrained(FOLDER).",
            )
        processor_class: Untyped = getattr(transformers, name)
        remark = f"It has no preprocessor_config.json: pictures are prepared as {name} does by default"
        if not side or recipe.processor:
            return processor_class(), f"{remark}."
        square = {"height": side, "width": side}
        keeps_shape = "shortest_edge" in dict(processor_class().size or {})
        processor = processor_class(size={"shortest_edge": side} if keeps_shape else square, crop_size=square)
        return processor, f"{remark}, at {side} x {side} pixels."

    def _empty_text(self, recipe: ModelRecipe) -> Sequence[int]:
        """Return the tokens of a text of no words, for a model that does not go without."""
        if recipe.call != "empty text" or not _has_vocabulary(self.place):
            return _EMPTY_TEXT
        ids: list[int] = self._tokenizer()("")["input_ids"]
        return ids

    def _tokenizer(self) -> Untyped:
        # Without these files transformers makes a tokenizer that knows no word.
        if not _has_vocabulary(self.place):
            raise CannotLoadModel(
                f"{self.name} has no tokenizer in {self.place}, so it cannot embed texts",
                "Save it there: tokenizer.save_pretrained(FOLDER).",
            )
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                self.place, local_files_only=True, trust_remote_code=self.trusted
            )
        except Exception as error:
            raise self._broken("tokenizer", error) from error
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        return tokenizer


def _read_config(place: Path) -> dict[str, Any]:
    file = place / "config.json"
    hint = "It has to be a folder that save_pretrained wrote, or a repository for transformers."
    try:
        facts = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CannotLoadModel(f"{file} cannot be read ({first_line(error)})", hint) from error
    if not isinstance(facts, dict) or not isinstance(facts.get("model_type"), str):
        raise CannotLoadModel(f"{file} names no model_type", hint)
    return facts


def _code_elsewhere(file: Path) -> set[str]:
    """Return the repositories whose code a JSON file of a checkpoint refers to, as in `someone/net--modeling.Net`."""
    try:
        references = json.dumps(json.loads(file.read_text("utf-8"))["auto_map"])
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return set(re.findall(r'"([^"]*?)--[^"]*"', references))


def _derived_recipes(model: Untyped) -> Iterator[ModelRecipe]:
    """Yield the ways to read a model whose type is not in the table, the best first."""
    if hasattr(model, "get_image_features") and hasattr(model, "get_text_features") and _parts(model, _IMAGE_SIDE):
        yield DUAL_ENCODER
    for part in IMAGE_PARTS:
        tower = getattr(model, part, None)
        if isinstance(tower, torch.nn.Module):
            config: Untyped = getattr(tower, "config", None)
            yield recipe_of_part(config.to_dict() if config is not None else None, part)
            return
    yield IMAGE_TOWER


def _parts(model: torch.nn.Module, beginnings: tuple[str, ...]) -> list[str]:
    """Return the names of those parts of a dual encoder that belong to one side."""
    names = [name for name, _ in model.named_children()]
    return [name for name in names if name.startswith(beginnings) and "_to_" not in name]  # those of FLAVA fuse sides


def _only(model: torch.nn.Module, parts: list[str]) -> torch.nn.Module:
    """Return a model of these parts alone, which it shares with the original."""
    side = copy.copy(model)
    side.__dict__["_modules"] = {name: part for name, part in model.named_children() if name in parts}
    side.__dict__["_parameters"] = dict(model._parameters)
    return side


def _is_needed(key: str, parts: list[str], recipe: ModelRecipe) -> bool:
    """Whether a vector depends on the weights that are called `key`."""
    inside = any(not part or key.startswith(f"{part}.") for part in parts)
    unused = key.startswith(_pooler(recipe)) or any(name in key for name in (*recipe.unused, *_NEVER_USED))
    return inside and not unused


def _pooler(recipe: ModelRecipe) -> str:
    """Return how the names of a pooler's weights begin: it goes unused where they are missing."""
    return f"{recipe.part}.pooler." if recipe.part else "pooler."


def _side(config: Untyped) -> int:
    """Return the width and height of a model's input, where its configuration has one number for both; or else 0."""
    size = getattr(config, "image_size", None)
    if isinstance(size, (list, tuple)) and len(set(size)) == 1:
        size = size[0]
    return size if isinstance(size, int) else 0


def _paired_processor(model_type: str) -> str:
    """Return the class name of the image processor that transformers pairs with a model type, or nothing."""
    names = image_processing_auto.IMAGE_PROCESSOR_MAPPING_NAMES  # type: ignore[attr-defined]
    module = configuration_auto.model_type_to_module_name(model_type)
    paired = names.get(model_type) or names.get(module) or {}
    return paired.get("torchvision") or ""


def _has_image_processor(place: Path) -> bool:
    if (place / "preprocessor_config.json").is_file():
        return True
    try:
        return "image_processor" in json.loads((place / "processor_config.json").read_text("utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def _has_vocabulary(place: Path) -> bool:
    return any((place / name).is_file() for name in _VOCABULARIES)
