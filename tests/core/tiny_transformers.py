"""Checkpoints of some ten thousand random weights, written as transformers writes those of the hub.

Each kind has its real configuration class, weights file, image processor and, with a text tower, tokenizer.

Tests import this module only when they run: while they are collected, nothing keeps transformers off the network yet.
"""

from __future__ import annotations

import json
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from tests.core.encoding import randomise

SIDE = 32
"""Width and height of the input of most of them."""

VIT = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 40,
    "image_size": SIDE, "patch_size": 8,
}  # fmt: skip
TEXT = {
    "vocab_size": 200, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 40,
    "max_position_embeddings": 80,
}  # fmt: skip
SQUARE = {"height": SIDE, "width": SIDE}
WINDOWS = {"image_size": SIDE, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 2, "num_labels": 5}
MAPS = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 8, 16, 16], "num_labels": 5}
NARROW = {"width_coefficient": 0.25, "depth_coefficient": 0.25, "image_size": 64}


def bert_tokenizer() -> Any:
    """Return a tokenizer of letters whose special tokens have the numbers of BERT's vocabulary."""
    special = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]"}
    words = [special.get(number, f"[unused{number}]") for number in range(104)]
    words += [*string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase)]
    return hf.BertTokenizer(vocab={word: number for number, word in enumerate(words)}, model_max_length=80)


def clip_tokenizer() -> Any:
    """Return a tokenizer of letters of CLIP's class."""
    words = [*string.ascii_lowercase, *(f"{letter}</w>" for letter in string.ascii_lowercase)]
    vocabulary = {word: number for number, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    return hf.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


def gemma_tokenizer() -> Any:
    """Return a tokenizer of letters as SigLIP 2 has it: padded on the right, without an attention mask."""
    words = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *string.ascii_lowercase]
    return hf.GemmaTokenizer(
        vocab={word: number for number, word in enumerate(words)}, merges=[], add_bos_token=False, add_eos_token=True,
        padding_side="right", model_max_length=64, model_input_names=["input_ids"],
    )  # fmt: skip


def _clip() -> list[Any]:
    config = hf.CLIPConfig(
        text_config=TEXT
        | {"projection_dim": 24, "max_position_embeddings": 77, "eos_token_id": 53, "pad_token_id": 53},
        vision_config=VIT | {"projection_dim": 24},
        projection_dim=24,
    )
    return [hf.CLIPModel(config), _clip_processor(), clip_tokenizer()]


def _clip_processor() -> Any:
    return hf.CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=SQUARE)


def _clip_vision() -> list[Any]:
    return [
        hf.CLIPVisionModelWithProjection(hf.CLIPVisionConfig(**VIT, projection_dim=24)),
        _clip_processor(),
    ]


def _squashed(processor: str = "ViTImageProcessor", side: int = SIDE) -> Any:
    return getattr(hf, processor)(size={"height": side, "width": side})


def _flava() -> list[Any]:
    small = {name: VIT[name] for name in ("hidden_size", "num_hidden_layers", "num_attention_heads")}
    config = hf.FlavaConfig(
        image_config=VIT,
        text_config=TEXT | {"max_position_embeddings": 77},
        multimodal_config=small,
        image_codebook_config={"hidden_size": 4, "num_groups": 2, "vocab_size": 16},
        projection_dim=16,
        hidden_size=32,
    )
    processor = hf.FlavaImageProcessor(size=SQUARE, crop_size=SQUARE)
    return [hf.FlavaForPreTraining(config), processor, bert_tokenizer()]


def _align() -> list[Any]:
    config = hf.AlignConfig(text_config=TEXT, vision_config=NARROW | {"hidden_dim": 64}, projection_dim=80)
    processor = hf.EfficientNetImageProcessor(
        size={"height": 72, "width": 72}, crop_size={"height": 64, "width": 64}, do_center_crop=True,
        rescale_factor=1 / 127.5, rescale_offset=True, do_normalize=False, include_top=False,
    )  # fmt: skip
    return [hf.AlignModel(config), processor, bert_tokenizer()]


def _vit_gpt2() -> list[Any]:
    decoder = hf.GPT2Config(
        n_layer=1, n_embd=32, n_head=2, vocab_size=50, add_cross_attention=True, is_decoder=True,
        bos_token_id=1, eos_token_id=1,
    )  # fmt: skip
    config = hf.VisionEncoderDecoderConfig.from_encoder_decoder_configs(hf.ViTConfig(**VIT), decoder)
    return [hf.VisionEncoderDecoderModel(config), _squashed()]


def _florence2() -> list[Any]:
    config = hf.Florence2Config(
        vision_config={
            "embed_dim": (8, 16, 16, 32), "depths": (1, 1, 1, 1), "num_heads": (2, 2, 2, 2), "num_groups": (2, 2, 2, 2),
            "window_size": 2, "projection_dim": 32,
        },
        text_config={
            "model_type": "bart", "vocab_size": 100, "d_model": 32, "encoder_layers": 1, "decoder_layers": 1,
            "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
        },
    )  # fmt: skip
    processor = hf.CLIPImageProcessor(size={"height": 64, "width": 64}, do_center_crop=False)
    return [hf.Florence2ForConditionalGeneration(config), processor]


def _codebook() -> list[Any]:
    config = hf.FlavaImageCodebookConfig(hidden_size=8, num_groups=2, vocab_size=32)
    return [hf.FlavaImageCodebook(config), hf.FlavaImageProcessor(codebook_size=SQUARE, codebook_crop_size=SQUARE)]


def _siglip() -> list[Any]:
    config = hf.SiglipConfig(
        text_config=TEXT | {"projection_size": 32, "max_position_embeddings": 64}, vision_config=VIT
    )
    return [hf.SiglipModel(config), _squashed("SiglipImageProcessor"), gemma_tokenizer()]


def _siglip2() -> list[Any]:
    vision = {name: value for name, value in VIT.items() if name != "image_size"} | {"num_patches": 16}
    config = hf.Siglip2Config(
        text_config=TEXT | {"projection_size": 32, "max_position_embeddings": 64}, vision_config=vision
    )
    return [hf.Siglip2Model(config), hf.Siglip2ImageProcessor(patch_size=8, max_num_patches=40), gemma_tokenizer()]


def _blip() -> list[Any]:
    config = hf.BlipConfig(
        text_config=TEXT | {"projection_dim": 16, "encoder_hidden_size": 32, "bos_token_id": 101, "sep_token_id": 102},
        vision_config=VIT,
        projection_dim=16,
    )
    return [hf.BlipModel(config), _squashed("BlipImageProcessor"), bert_tokenizer()]


def _like_clip(kind: str, **text: Any) -> list[Any]:
    """Another dual encoder that is built as CLIP is: `kind` is how its classes begin."""
    config = getattr(hf, f"{kind}Config")(
        text_config=TEXT | {"projection_dim": 24} | text, vision_config=VIT | {"projection_dim": 24}, projection_dim=24
    )
    return [getattr(hf, f"{kind}Model")(config), _clip_processor()]


def _qwen2_vl() -> list[Any]:
    config = hf.Qwen2VLConfig(
        vision_config={"depth": 1, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "patch_size": 14},
        text_config={
            "vocab_size": 100, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 2,
        },
    )  # fmt: skip
    return [hf.Qwen2VLForConditionalGeneration(config), hf.Qwen2VLImageProcessor()]


def _paligemma() -> list[Any]:
    text = hf.GemmaConfig(
        vocab_size=100, hidden_size=32, intermediate_size=40, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16,
    )  # fmt: skip
    vision = hf.SiglipVisionConfig(**VIT, vision_use_head=False)
    config = hf.PaliGemmaConfig(vision_config=vision, text_config=text, projection_dim=32, image_token_index=99)
    return [hf.PaliGemmaForConditionalGeneration(config), _squashed("SiglipImageProcessor")]


def _llava() -> list[Any]:
    text = hf.LlamaConfig(
        vocab_size=100, hidden_size=32, intermediate_size=40, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2,
    )  # fmt: skip
    config = hf.LlavaConfig(vision_config=hf.CLIPVisionConfig(**VIT, projection_dim=32), text_config=text)
    return [hf.LlavaForConditionalGeneration(config), _clip_processor()]


def _mobilevit() -> list[Any]:
    config = hf.MobileViTConfig(
        image_size=64, hidden_sizes=[16, 16, 24], neck_hidden_sizes=[8, 8, 8, 16, 16, 16, 24], num_attention_heads=2
    )
    processor = hf.MobileViTImageProcessor(size={"shortest_edge": 72}, crop_size={"height": 64, "width": 64})
    return [hf.MobileViTForImageClassification(config), processor]


def _small_map(processor: str = "ConvNextImageProcessor") -> Any:
    return getattr(hf, processor)(size={"shortest_edge": SIDE}, crop_pct=0.875)


KINDS: dict[str, Callable[[], list[Any]]] = {
    "clip": _clip,
    "vit": lambda: [hf.ViTForImageClassification(hf.ViTConfig(**VIT)), _squashed()],
    "convnext": lambda: [hf.ConvNextForImageClassification(hf.ConvNextConfig(**MAPS)), _small_map()],
    "convnextv2": lambda: [hf.ConvNextV2ForImageClassification(hf.ConvNextV2Config(**MAPS)), _small_map()],
    "beit-fine-tuned": lambda: [
        hf.BeitForImageClassification(hf.BeitConfig(**VIT, use_relative_position_bias=True, use_mean_pooling=True)),
        _squashed("BeitImageProcessor"),
    ],
    "beit-pt22k": lambda: [
        hf.BeitForMaskedImageModeling(
            hf.BeitConfig(**VIT, use_mask_token=True, use_shared_relative_position_bias=True, vocab_size=50)
        ),
        _squashed("BeitImageProcessor"),
    ],
    "swin": lambda: [hf.SwinForImageClassification(hf.SwinConfig(**WINDOWS)), _squashed()],
    "swinv2": lambda: [hf.Swinv2ForImageClassification(hf.Swinv2Config(**WINDOWS)), _squashed()],
    "deit-distilled": lambda: [
        hf.DeiTForImageClassificationWithTeacher(hf.DeiTConfig(**VIT)),
        hf.DeiTImageProcessor(size={"height": 36, "width": 36}, crop_size=SQUARE),
    ],
    "deit": lambda: [
        hf.DeiTForImageClassification(hf.DeiTConfig(**VIT)),
        hf.DeiTImageProcessor(size={"height": 36, "width": 36}, crop_size=SQUARE),
    ],
    "flava": _flava,
    "align": _align,
    "vilt": lambda: [
        hf.ViltForMaskedLM(hf.ViltConfig(**VIT | {"image_size": 64, "patch_size": 16}, vocab_size=200)),
        hf.ViltImageProcessor(size={"shortest_edge": 64}, size_divisor=16),
        bert_tokenizer(),
    ],
    "vit-gpt2": _vit_gpt2,
    "efficientnet": lambda: [
        hf.EfficientNetForImageClassification(hf.EfficientNetConfig(**NARROW, hidden_dim=320)),
        hf.EfficientNetImageProcessor(size={"height": 64, "width": 64}),
    ],
    "florence2": _florence2,
    "dalle-dvae": _codebook,
    # outside the catalogue
    "siglip": _siglip,
    "siglip2-naflex": _siglip2,
    "blip": _blip,
    "clip-vision-projected": _clip_vision,
    "clip-vision": lambda: [hf.CLIPVisionModel(hf.CLIPVisionConfig(**VIT)), _clip_processor()],
    "siglip-vision": lambda: [
        hf.SiglipVisionModel(hf.SiglipVisionConfig(**VIT)),
        _squashed("SiglipImageProcessor"),
    ],
    "chinese-clip": lambda: _like_clip("ChineseCLIP"),
    "metaclip-2": lambda: _like_clip("MetaClip2", eos_token_id=53),
    "altclip": lambda: _like_clip("AltCLIP", project_dim=24),
    "clipseg": lambda: _like_clip("CLIPSeg", eos_token_id=53),
    "llava": _llava,
    "paligemma": _paligemma,
    "qwen2-vl": _qwen2_vl,
    "dinov2": lambda: [
        hf.Dinov2Model(hf.Dinov2Config(**VIT)),
        hf.BitImageProcessor(size={"shortest_edge": 40}, crop_size=SQUARE),
    ],
    "dinov2-registers": lambda: [
        hf.Dinov2WithRegistersModel(hf.Dinov2WithRegistersConfig(**VIT)),
        hf.BitImageProcessor(size={"shortest_edge": 40}, crop_size=SQUARE),
    ],
    "dinov3": lambda: [
        hf.DINOv3ViTModel(hf.DINOv3ViTConfig(**VIT, num_register_tokens=4)),
        _squashed("DINOv3ViTImageProcessor"),
    ],
    "dinov3-convnext": lambda: [
        hf.DINOv3ConvNextModel(hf.DINOv3ConvNextConfig(depths=[1] * 4, hidden_sizes=[8, 8, 16, 16])),
        _squashed("DINOv3ViTImageProcessor"),
    ],
    "vit-mae": lambda: [
        hf.ViTMAEForPreTraining(
            hf.ViTMAEConfig(
                **VIT, decoder_hidden_size=16, decoder_num_hidden_layers=1, decoder_num_attention_heads=2,
                decoder_intermediate_size=16,
            )
        ),
        _squashed(),
    ],
    "ijepa": lambda: [hf.IJepaModel(hf.IJepaConfig(**VIT)), _squashed()],
    "resnet": lambda: [
        hf.ResNetForImageClassification(hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])),
        _small_map(),
    ],
    "regnet": lambda: [
        hf.RegNetModel(hf.RegNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], groups_width=8)),
        _small_map(),
    ],
    "mobilevit": _mobilevit,
    "yolos": lambda: [
        hf.YolosModel(hf.YolosConfig(**VIT | {"image_size": [SIDE, SIDE]}, num_detection_tokens=3)),
        hf.YolosImageProcessor(size={"shortest_edge": 40, "longest_edge": 60}),
    ],
}  # fmt: skip
"""How to make each kind: its model, its image processor and, where it has texts, its tokenizer."""


def settle(model: torch.nn.Module) -> None:
    """Let a network with batch normalisation see some noise: otherwise all pictures end in about the same vector."""
    norms = [module for module in model.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        getattr(model, "vision_model", model).train()(torch.randn(4, 3, 64, 64))
    model.eval()
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum


def save_checkpoint(kind: str, folder: Path, **options: Any) -> Path:
    """Write a checkpoint of that kind into `folder` and return it; `options` are for the weights."""
    hf.logging.set_verbosity_error()
    hf.logging.disable_progress_bar()
    torch.manual_seed(0)
    model, *rest = KINDS[kind]()
    randomise(model)
    settle(model)
    model.save_pretrained(folder, **options)
    for part in rest:
        part.save_pretrained(folder)
    return folder


def edit_json(file: Path, **changes: Any) -> None:
    """Change entries of a JSON file; None takes one away."""
    facts = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({name: value for name, value in facts.items() if value is not None}))


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    """Change the weights of a checkpoint on disk."""
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})
