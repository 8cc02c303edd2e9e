"""Encoders from open_clip: CLIP, CoCa, EVA-CLIP, SigLIP and every other ARCH/TAG that it knows, and local folders."""

from __future__ import annotations

import contextlib
import difflib
import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from open_clip.hf_configs import arch_dict
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer
from open_clip.transform import (
    MaybeConvertMode,
    MaybeToTensor,
    PreprocessCfg,
    image_transform_v2,
    merge_preprocess_dict,
)
from open_clip.transformer import VisionTransformer
from PIL.Image import Image

from visexplore.core.catalogue import Checkpoint, hub_snapshots, slugify
from visexplore.core.encoders.encoder import Pixels, no_text_tower
from visexplore.core.encoders.pooling import Outputs, flatten_map
from visexplore.core.encoders.resizing import on_bytes
from visexplore.core.encoders.timm_models import LONGEST, tokens, without_far_ends
from visexplore.core.encoders.torch_encoder import TorchEncoder, in_one_line
from visexplore.core.errors import CannotLoadModel, UnknownModel

_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
"""What a repository on the hub calls the weights of both towers."""

_LOCAL_WEIGHTS = (*_WEIGHTS, "open_clip_pytorch_model.pth", "model.safetensors", "pytorch_model.bin",
                  "pytorch_model.pth", "model.pth")  # fmt: skip
"""What open_clip looks for in a folder of one's own, in its order."""

_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model",
               "tokenizer.model")  # fmt: skip
"""Files of which a Hugging Face tokenizer needs one; without any, transformers builds one that knows no words."""

_ROBERTA = {"roberta-base": "roberta", "xlm-roberta-base": "xlm-roberta", "xlm-roberta-large": "xlm-roberta"}
"""Text models whose configuration can be read off their weights, with the kind of model that transformers builds."""

_NO_TEXT_TOWER: dict[str, Any] = {"context_length": 1, "vocab_size": 1, "width": 8, "heads": 1, "layers": 1}

Tokenizer = Callable[[list[str]], torch.Tensor]


@dataclass(frozen=True, slots=True)
class _Source:
    """What a model is built from.

    Attributes:
        config: open_clip's description of the architecture: `embed_dim`, `vision_cfg`, `text_cfg`, ...
        preprocessing: what is said of it, in the words of `PreprocessCfg`.
        weights: file with the weights of both towers.
        place: folder in which they lie.
        remarks: what was decided about it.
    """

    config: dict[str, Any]
    preprocessing: Mapping[str, Any]
    weights: Path
    place: Path
    remarks: tuple[str, ...] = ()


class OpenClipEncoder(TorchEncoder):
    """The image tower of an open_clip model on the device, its text tower beside it on the CPU.

    The standard vector is the projected one, in the space that is shared with texts (`encode_image`). Tokens are as
    the tower's own pooling reads them: after the final norm, if that comes before it.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        model: torch.nn.Module,
        source: _Source,
        device: str,
        precision: str,
        *,
        why_no_text: str = "",
    ) -> None:
        visual: Any = model.visual
        del model.visual
        try:
            said = merge_preprocess_dict(PreprocessCfg(), dict(source.preprocessing))
            config = PreprocessCfg(**said | {"size": visual.image_size})
            *steps, normalisation = image_transform_v2(config, is_train=False).transforms
            if torch.tensor([normalisation.mean, normalisation.std]).shape != (2, 3):
                raise ValueError("mean and std are three numbers each")
        except Exception as error:
            raise CannotLoadModel(
                f"{source.place} describes preprocessing that open_clip does not know ({in_one_line(error)})",
                "Check preprocess_cfg in its open_clip_config.json.",
            ) from error
        if isinstance(visual, VisionTransformer):
            # Without its projection, open_clip's transformer gives what comes before it.
            visual.projection, visual.proj = visual.proj, None
        super().__init__(
            checkpoint, visual, device=device, precision=precision, dim=source.config["embed_dim"],
            mean=normalisation.mean, std=normalisation.std, preprocessing=asdict(config),
        )  # fmt: skip
        self._steps = list(takewhile(lambda step: not isinstance(step, MaybeToTensor), steps))
        self._resize = on_bytes([step for step in self._steps if not isinstance(step, MaybeConvertMode)])
        # Padded pictures are kept whole, as long as a pixel is left of their short side.
        side = config.size if isinstance(config.size, int) else min(config.size)
        self._longest = {"shortest": LONGEST, "longest": side}.get(config.resize_mode)
        self._texts = model.eval().requires_grad_(False)
        self._why_no_text = why_no_text
        self._source = source
        self.remarks = source.remarks
        if why_no_text:
            self.remarks += (f"It embeds images only: {why_no_text}.",)

    def preprocess(self, image: Image) -> Pixels:
        """Resize and crop as open_clip does for evaluation: uint8 (3, height, width)."""
        if self._longest:
            image = without_far_ends(image, self._longest)
        if self._resize is not None:
            return self._resize(image)
        for step in self._steps:
            image = step(image)
        pixels: Pixels = np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))
        return pixels

    def outputs(self, images: torch.Tensor) -> Outputs:
        """Return the projected vector and what the tower has besides."""
        match self.tower:
            case VisionTransformer():
                return _outputs_of_transformer(self.tower, images)
            case TimmModel():
                return _outputs_of_timm(self.tower, images)
            case ModifiedResNet():
                found = self.tower.forward_intermediates(images, indices=1)
                projected = found["image_features"]
                return Outputs(projected, patches=flatten_map(found["image_intermediates"][-1]), projected=projected)
        projected = self.tower(images)
        return Outputs(projected, projected=projected)

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Run the text tower, on the CPU: (n, dim), not normalised.

        Raises:
            NoTextTower: its text model or its tokenizer is not on this machine.
        """
        if self._why_no_text:
            raise no_text_tower(self.checkpoint, self._why_no_text)
        found: torch.Tensor = self._texts.encode_text(self._tokenizer(list(texts)))  # type: ignore[operator]
        return found

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        """The architecture's tokenizer, from this machine alone: that of CLIP comes with open_clip."""
        config = self._source.config["text_cfg"]
        length, options = config.get("context_length", 77), config.get("tokenizer_kwargs") or {}
        name = config.get("hf_tokenizer_name")
        if not name:
            tokenizer: Tokenizer = SimpleTokenizer(context_length=length, **options)
            return tokenizer
        for folder in _folders(self._source.place, name):
            if any((folder / file).is_file() for file in _TOKENIZERS):
                with contextlib.suppress(OSError, ValueError, ImportError):
                    tokenizer = HFTokenizer(
                        str(folder), context_length=length, tokenizer_mode=config.get("tokenizer_mode"),
                        local_files_only=True, trust_remote_code=False, **options,
                    )  # fmt: skip
                    return tokenizer
        raise no_text_tower(self.checkpoint, f"its tokenizer, that of {name}, is not on this machine")


def _outputs_of_transformer(tower: Any, images: torch.Tensor) -> Outputs:  # noqa: ANN401 - open_clip's
    found = tower.forward_intermediates(images, indices=1, output_fmt="NLC", output_extra_tokens=True)
    norm = torch.nn.Identity() if tower.final_ln_after_pool else tower.ln_post
    if tower.attn_pool is not None:  # its queries, not these tokens, go through the final norm
        norm = tower.attn_pool.ln_k
    special, patches = norm(found["image_intermediates_prefix"][-1]), norm(found["image_intermediates"][-1])
    unprojected = found["image_features"]
    projected = unprojected @ tower.projection
    return Outputs(projected, special, patches, projected, unprojected)


def _outputs_of_timm(tower: Any, images: torch.Tensor) -> Outputs:  # noqa: ANN401 - open_clip's
    trunk = tower.trunk
    features = trunk.forward_features(images)
    special, patches = tokens(trunk, features)
    vectors = trunk.forward_head(features)
    unprojected = None
    for name, layer in tower.head.named_children():
        if name in ("proj", "mlp"):
            unprojected = vectors
        vectors = layer(vectors)
    if not len(tower.head) and trunk.num_classes:  # timm's classifier is the projection
        unprojected = trunk.forward_head(features, pre_logits=True)
    return Outputs(vectors, special, patches, vectors, unprojected)


def locate(checkpoint: Checkpoint) -> Checkpoint:
    """Return `checkpoint` with the hub repository of its weights, and with its id as open_clip spells it.

    Raises:
        UnknownModel: open_clip knows no such architecture or no such weights of it.
        CannotLoadModel: its weights are in no repository.
    """
    if checkpoint.folder or checkpoint.hub_id:
        return checkpoint
    architecture, tag, said = _registered(checkpoint.id)
    # `OWNER/NAME/` or `OWNER/NAME/FILE`
    hub_id = said.get("hf_hub", "").rpartition("/")[0]
    if not hub_id:
        raise CannotLoadModel(
            f"The weights {tag} of {architecture} are in no hub repository, only at {said.get('url')}",
            "Choose others, or give a local folder with open_clip_config.json and the weights.",
        )
    name = f"{architecture}/{tag}"
    slug = checkpoint.slug.replace(slugify(checkpoint.id), slugify(name))
    return replace(checkpoint, id=name, hub_id=hub_id, slug=slug)


def load(checkpoint: Checkpoint, place: Path, device: str, precision: str) -> OpenClipEncoder:
    """Load an open_clip model from this machine: its image tower onto `device`, its text tower onto the CPU.

    Args:
        checkpoint: its entry; the id is `ARCH/TAG` unless it is a local folder.
        place: a snapshot of its hub repository, or a folder with `open_clip_config.json` and weights.
        device: torch's name of it.
        precision: torch's name of the dtype of the image tower.

    Raises:
        UnknownModel: open_clip knows no such architecture or no such weights of it.
        CannotLoadModel: there are no weights at `place`, or they do not fit the architecture.
    """
    source = _local(place) if checkpoint.folder else _from_hub(checkpoint.id, place)
    try:
        with _no_root_log():
            model, why_no_text = _build(source)
    except Exception as error:
        raise CannotLoadModel(
            f"The weights of {checkpoint.slug} in {place} cannot be loaded ({in_one_line(error)})",
            "Check open_clip_config.json."
            if checkpoint.folder
            else "If they are damaged: delete that folder and fetch them again.",
        ) from error
    return OpenClipEncoder(checkpoint, model, source, device, precision, why_no_text=why_no_text)


def _from_hub(name: str, snapshot: Path) -> _Source:
    """Take the architecture from open_clip's registry, and what was special in training from the tag."""
    architecture, tag, said = _registered(name)
    config: dict[str, Any] = open_clip.get_model_config(architecture)
    remarks: tuple[str, ...] = ()
    # The activation is no weight, so a wrong one shows nowhere but in the quality. An architecture is described
    # without what single tags need; none needs to be without what its architecture says.
    if said.get("quick_gelu") and not config.get("quick_gelu"):
        config["quick_gelu"] = True
        remarks = (f"It runs with QuickGELU, with which {tag} was trained; {architecture} alone would run with GELU.",)
    names: tuple[str, ...] = _WEIGHTS
    if file := said.get("hf_hub", "").rpartition("/")[2]:
        names = (str(Path(file).with_suffix(".safetensors")), file)
    weights = next((path for name in names if (path := snapshot / name).is_file()), None)
    if weights is None:
        raise CannotLoadModel(
            f"{snapshot} does not hold the weights of {name}: there is no {', no '.join(names)}",
            "Delete it and fetch them again.",
        )
    return _Source(config, said, weights, snapshot, remarks)


def _local(folder: Path) -> _Source:
    """Take everything from the folder's own `open_clip_config.json`."""
    try:
        said = json.loads((folder / "open_clip_config.json").read_text("utf-8"))
        config = dict(said["model_cfg"])
        if missing := {"embed_dim", "vision_cfg", "text_cfg"} - config.keys():
            raise KeyError(", ".join(sorted(missing)))
        preprocessing = dict(said.get("preprocess_cfg") or {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CannotLoadModel(
            f"{folder} is no open_clip model: its open_clip_config.json cannot be read or describes none ({error})",
            "It needs model_cfg with embed_dim, vision_cfg and text_cfg, as open_clip writes it for the hub.",
        ) from error
    others = sorted(path.name for path in folder.iterdir() if path.suffix in (".safetensors", ".bin", ".pth"))
    names = [name for name in _LOCAL_WEIGHTS if name in others] or others
    if not names:
        raise CannotLoadModel(f"{folder} holds no weights", f"It needs {_WEIGHTS[0]} or {_WEIGHTS[-1]}.")
    return _Source(config, preprocessing, folder / names[0], folder)


def _registered(name: str) -> tuple[str, str, Mapping[str, Any]]:
    """Return an architecture and a tag as open_clip spells them, and what it knows of these weights."""
    architecture, _, tag = name.partition("/")
    architecture = {known.lower(): known for known in open_clip.list_models()}.get(architecture.lower(), architecture)
    tag = tag.lower().replace("-", "_")
    said: Mapping[str, Any] = open_clip.get_pretrained_cfg(architecture, tag)
    if said and open_clip.get_model_config(architecture):
        return architecture, tag, said
    known = [f"{other}/{its}" for other, its in open_clip.list_pretrained()]
    close = difflib.get_close_matches(f"{architecture}/{tag}", known, 3)
    raise UnknownModel(
        f"open_clip {open_clip.__version__} knows no architecture '{architecture}'"
        if architecture not in open_clip.list_models()
        else f"open_clip {open_clip.__version__} knows no weights '{tag}' of {architecture}",
        f"Close to it: {', '.join(close)}."
        if close
        else "All names: python -c 'import open_clip; print(open_clip.list_pretrained())'.",
    )


def _build(source: _Source) -> tuple[torch.nn.Module, str]:
    """Build both towers with their weights; the image tower alone, and why, if the text tower cannot be built here.

    Raises:
        RuntimeError: the weights do not fit the architecture.
    """
    config = dict(source.config)
    text = dict(config["text_cfg"])
    # What the file holds is all that is to be loaded.
    config["vision_cfg"] = dict(config["vision_cfg"], timm_model_pretrained=False)
    if ":" in (config["vision_cfg"].get("timm_model_name") or ""):
        raise RuntimeError("its image tower is not one of timm's, but would be asked of a hub")
    name = text.get("hf_model_name")
    custom = config.pop("custom_text", False) or name
    build: Any = open_clip.CustomTextCLIP if custom else open_clip.CLIP
    if custom and "multimodal_cfg" in config:
        build = open_clip.CoCa
    if not name:
        model: torch.nn.Module = build(**config | {"text_cfg": text})
    elif (found := _text_config(name, source)) is not None:
        with tempfile.TemporaryDirectory() as folder:
            # open_clip asks for the configuration by name, and a folder is the only name that asks no hub.
            found.save_pretrained(folder)
            text |= {"hf_model_name": folder, "hf_model_pretrained": False}
            model = build(**config | {"text_cfg": text})
    else:
        return _image_tower(config, source.weights), f"the configuration of its text model {name} is not here"
    open_clip.load_checkpoint(model, str(source.weights))
    if build is open_clip.CoCa:
        del model.text_decoder  # it writes captions
    return model, ""


def _image_tower(config: dict[str, Any], weights: Path) -> torch.nn.Module:
    """Build a model whose image tower alone has weights."""
    config.pop("multimodal_cfg", None)
    model: torch.nn.Module = open_clip.CustomTextCLIP(**config | {"text_cfg": _NO_TEXT_TOWER})
    result = open_clip.load_checkpoint(model, str(weights), strict=False)
    wrong = [key for key in (*result.missing_keys, *result.unexpected_keys) if key.startswith("visual.")]
    if wrong:
        raise RuntimeError(f"the image tower differs in {len(wrong)} tensors, among them {wrong[0]}")
    return model


def _text_config(name: str, source: _Source) -> Any:  # noqa: ANN401 - transformers' PretrainedConfig
    """Return the configuration of the Hugging Face text model of that name, from this machine; None if it is not."""
    from transformers import AutoConfig  # open_clip has imported it already

    for folder in _folders(source.place, name):
        with contextlib.suppress(OSError, ValueError):
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            if config.model_type in arch_dict:
                return config
    kind = _ROBERTA.get(name.rpartition("/")[2])
    if kind is None:
        return None
    shapes = _shapes(source.weights, "text.transformer.")
    words, width = shapes["embeddings.word_embeddings.weight"]
    return AutoConfig.for_model(
        kind,
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=sum(key.endswith(".attention.self.query.weight") for key in shapes),
        num_attention_heads=width // 64,
        intermediate_size=shapes["encoder.layer.0.intermediate.dense.weight"][0],
        max_position_embeddings=shapes["embeddings.position_embeddings.weight"][0],
        type_vocab_size=shapes["embeddings.token_type_embeddings.weight"][0],
        layer_norm_eps=1e-5,
    )


def _shapes(weights: Path, prefix: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors whose names begin with `prefix`, which is left away."""
    from open_clip.factory import load_state_dict

    state = load_state_dict(str(weights))
    return {key.removeprefix(prefix): tuple(value.shape) for key, value in state.items() if key.startswith(prefix)}


def _folders(place: Path, name: str) -> list[Path]:
    """Return where files of the Hugging Face repository `name` may be: beside the weights, or in the hub's cache."""
    return [place, *hub_snapshots(Checkpoint(id=name, loader="transformers"))]


@contextlib.contextmanager
def _no_root_log() -> Iterator[None]:
    """Keep open_clip from writing to the screen: it logs to the root, which then gets a handler that writes there."""
    root, silent = logging.getLogger(), logging.NullHandler()
    root.addHandler(silent)
    try:
        yield
    finally:
        root.removeHandler(silent)
