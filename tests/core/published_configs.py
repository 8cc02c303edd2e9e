"""What the hub says about checkpoints whose loaders take their architecture from files there, not from a registry.

`CONFIGS` holds the part of each `config.json` that shapes the network, `PREPROCESSORS` each `preprocessor_config.json`
in full; both by the repository's id. Where the file lists thousands of labels, `num_labels` says how many.

Taken from the files on huggingface.co, from copies of them in public repositories, and, where neither could be read,
from the conversion scripts of transformers that wrote them (`convert_*_to_pytorch.py`, `convert_align_tf_to_hf.py`,
`convert_florence2_original_pytorch_to_hf.py`). Florence-2 is written as the classes of transformers 5 name its parts.
"""

from __future__ import annotations

from typing import Any, Final

Json = dict[str, Any]

CLIP_MEAN: Final = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD: Final = [0.26862954, 0.26130258, 0.27577711]
IMAGENET_MEAN: Final = [0.485, 0.456, 0.406]
IMAGENET_STD: Final = [0.229, 0.224, 0.225]
HALF: Final = [0.5, 0.5, 0.5]

NEAREST, LANCZOS, BILINEAR, BICUBIC = 0, 1, 2, 3  # numbers of Pillow's filters, as the files have them

_BASE: Final[Json] = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
}  # fmt: skip
_LARGE: Final[Json] = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
}  # fmt: skip
_HUGE: Final[Json] = {
    "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 16,
}  # fmt: skip


def _clip(vision: Json, text: Json, projection: int, patch: int, side: int = 224) -> Json:
    return {
        "model_type": "clip",
        "architectures": ["CLIPModel"],
        "projection_dim": projection,
        "vision_config": vision | {"patch_size": patch, "image_size": side, "projection_dim": projection},
        "text_config": text
        | {"vocab_size": 49408, "max_position_embeddings": 77, "projection_dim": projection, "eos_token_id": 2},
    }


_CLIP_TEXT: Final[Json] = {
    "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 8,
}  # fmt: skip


def _vit(size: Json, patch: int) -> Json:
    return {"model_type": "vit", "architectures": ["ViTModel"], "patch_size": patch, "image_size": 224} | size


def _convnext(depths: list[int], widths: list[int], side: int, labels: int) -> Json:
    return {
        "model_type": "convnext",
        "architectures": ["ConvNextForImageClassification"],
        "depths": depths,
        "hidden_sizes": widths,
        "patch_size": 4,
        "image_size": side,
        "num_labels": labels,
    }


def _beit(size: Json, side: int, labels: int | None) -> Json:
    """BEiT: fine-tuned with `labels` classes, or as it was after predicting visual tokens."""
    common = {"model_type": "beit", "patch_size": 16, "image_size": side, "use_mean_pooling": True, "vocab_size": 8192}
    if labels is None:
        head = {
            "architectures": ["BeitForMaskedImageModeling"],
            "use_mask_token": True,
            "use_relative_position_bias": False,
            "use_shared_relative_position_bias": True,
        }
    else:
        head = {
            "architectures": ["BeitForImageClassification"],
            "use_mask_token": False,
            "use_relative_position_bias": True,
            "use_shared_relative_position_bias": False,
            "num_labels": labels,
        }
    return common | size | head


def _swinv2(width: int, depths: list[int], heads: list[int], window: int, side: int, labels: int) -> Json:
    return {
        "model_type": "swinv2",
        "architectures": ["Swinv2ForImageClassification"],
        "embed_dim": width,
        "depths": depths,
        "num_heads": heads,
        "window_size": window,
        "pretrained_window_sizes": [0, 0, 0, 0],
        "patch_size": 4,
        "image_size": side,
        "num_labels": labels,
    }


def _vilt(architecture: str, labels: int) -> Json:
    return _BASE | {
        "model_type": "vilt",
        "architectures": [architecture],
        "image_size": 384,
        "patch_size": 32,
        "vocab_size": 30522,
        "type_vocab_size": 2,
        "modality_type_vocab_size": 2,
        "max_position_embeddings": 40,
        "max_image_length": -1,
        "tie_word_embeddings": False,
        "num_labels": labels,
    }


def _florence2(width: int, decoder: Json, vocabulary: int) -> Json:
    """Florence-2: a DaViT whose first stage has `width` channels, and a BART."""
    heads = [width // 32 * factor for factor in (1, 2, 4, 8)]
    return {
        "model_type": "florence2",
        "architectures": ["Florence2ForConditionalGeneration"],
        "vision_config": {
            "embed_dim": [width * factor for factor in (1, 2, 4, 8)],
            "num_heads": heads,
            "num_groups": heads,
            "depths": [1, 1, 9, 1],
            "patch_size": [7, 3, 3, 3],
            "patch_stride": [4, 2, 2, 2],
            "patch_padding": [3, 1, 1, 1],
            "patch_prenorm": [False, True, True, True],
            "window_size": 12,
            "projection_dim": decoder["d_model"],
            "max_temporal_embeddings": 100,
            "max_position_embeddings": 50,
        },
        "text_config": decoder | {"model_type": "bart", "vocab_size": vocabulary, "max_position_embeddings": 1024},
    }


def _bart(width: int, layers: int, heads: int) -> Json:
    sides = ("encoder", "decoder")
    return (
        {"d_model": width}
        | {f"{side}_layers": layers for side in sides}
        | {f"{side}_attention_heads": heads for side in sides}
        | {f"{side}_ffn_dim": 4 * width for side in sides}
    )


_EFFICIENTNET_B7: Final[Json] = {
    "width_coefficient": 2.0,
    "depth_coefficient": 3.1,
    "depth_divisor": 8,
    "kernel_sizes": [3, 3, 5, 3, 5, 5, 3],
    "in_channels": [32, 16, 24, 40, 80, 112, 192],
    "out_channels": [16, 24, 40, 80, 112, 192, 320],
    "strides": [1, 2, 2, 2, 1, 2, 1],
    "num_block_repeats": [1, 2, 2, 3, 3, 4, 1],
    "expand_ratios": [1, 6, 6, 6, 6, 6, 6],
    "squeeze_expansion_ratio": 0.25,
}

CONFIGS: Final[dict[str, Json]] = {
    "openai/clip-vit-base-patch32": _clip(_BASE, _CLIP_TEXT, 512, patch=32),
    "openai/clip-vit-base-patch16": _clip(_BASE, _CLIP_TEXT, 512, patch=16),
    "openai/clip-vit-large-patch14": _clip(_LARGE, _BASE, 768, patch=14),
    "openai/clip-vit-large-patch14-336": _clip(_LARGE, _BASE, 768, patch=14, side=336),
    "google/vit-base-patch16-224-in21k": _vit(_BASE, patch=16),
    "google/vit-large-patch16-224-in21k": _vit(_LARGE, patch=16),
    "google/vit-huge-patch14-224-in21k": _vit(_HUGE, patch=14),
    "facebook/convnext-tiny-224": _convnext([3, 3, 9, 3], [96, 192, 384, 768], 224, 1000),
    "facebook/convnext-large-384": _convnext([3, 3, 27, 3], [192, 384, 768, 1536], 384, 1000),
    "facebook/convnext-xlarge-224-22k": _convnext([3, 3, 27, 3], [256, 512, 1024, 2048], 224, 21841),
    "microsoft/beit-base-patch16-224-pt22k": _beit(_BASE, 224, labels=None),
    "microsoft/beit-base-patch16-224-pt22k-ft22k": _beit(_BASE, 224, 21841),
    "microsoft/beit-large-patch16-224-pt22k": _beit(_LARGE, 224, labels=None),
    "microsoft/beit-large-patch16-224-pt22k-ft22k": _beit(_LARGE, 224, 21841),
    "microsoft/beit-large-patch16-384": _beit(_LARGE, 384, 1000),
    "microsoft/swinv2-tiny-patch4-window8-256": _swinv2(96, [2, 2, 6, 2], [3, 6, 12, 24], 8, 256, 1000),
    "microsoft/swinv2-large-patch4-window12-192-22k": _swinv2(192, [2, 2, 18, 2], [6, 12, 24, 48], 12, 192, 21841),
    "facebook/flava-full": {
        "model_type": "flava",
        "architectures": ["FlavaForPreTraining"],
        "hidden_size": 768,
        "projection_dim": 768,
        "init_codebook": True,
        "image_config": _BASE | {"image_size": 224, "patch_size": 16, "mask_token": True, "vocab_size": 8192},
        "text_config": _BASE | {"vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2},
        "multimodal_config": _BASE | {"num_hidden_layers": 6, "use_cls_token": True},
        "image_codebook_config": {"hidden_size": 256, "num_groups": 4, "num_blocks_per_group": 2, "vocab_size": 8192},
    },
    "facebook/deit-base-distilled-patch16-224": _BASE
    | {
        "model_type": "deit",
        "architectures": ["DeiTForImageClassificationWithTeacher"],
        "image_size": 224,
        "patch_size": 16,
        "num_labels": 1000,
    },
    "kakaobrain/align-base": {
        "model_type": "align",
        "architectures": ["ALIGNModel"],
        "projection_dim": 640,
        "vision_config": _EFFICIENTNET_B7 | {"image_size": 289, "hidden_dim": 640, "depthwise_padding": []},
        "text_config": _BASE | {"vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2},
    },
    "dandelin/vilt-b32-mlm": _vilt("ViltForMaskedLM", 2),
    "dandelin/vilt-b32-finetuned-vqa": _vilt("ViltForQuestionAnswering", 3129),
    "nlpconnect/vit-gpt2-image-captioning": {
        "model_type": "vision-encoder-decoder",
        "architectures": ["VisionEncoderDecoderModel"],
        "encoder": _BASE | {"model_type": "vit", "image_size": 224, "patch_size": 16},
        "decoder": {
            "model_type": "gpt2",
            "n_layer": 12,
            "n_head": 12,
            "n_embd": 768,
            "n_positions": 1024,
            "vocab_size": 50257,
            "is_decoder": True,
            "add_cross_attention": True,
        },
    },
    "facebook/flava-image-codebook": {
        "model_type": "flava_image_codebook",
        "architectures": ["FlavaImageCodebook"],
        "hidden_size": 256,
        "num_groups": 4,
        "num_blocks_per_group": 2,
        "input_channels": 3,
        "vocab_size": 8192,
        "freeze": True,
    },
    # The conversion adds a token and pads the vocabulary to a multiple of 64.
    "florence-community/Florence-2-base": _florence2(128, _bart(768, layers=6, heads=12), vocabulary=51328),
    "microsoft/Florence-2-base": _florence2(128, _bart(768, layers=6, heads=12), vocabulary=51289),
    "microsoft/Florence-2-large": _florence2(256, _bart(1024, layers=12, heads=16), vocabulary=51289),
}

DIFFUSION: Final[dict[str, Json]] = {
    "vae": {
        "_class_name": "AutoencoderKL",
        "block_out_channels": [128, 256, 512, 512],
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": 4,
        "layers_per_block": 2,
        "norm_num_groups": 32,
        "sample_size": 512,
    },
    "unet": {
        "_class_name": "UNet2DConditionModel",
        "attention_head_dim": 8,
        "block_out_channels": [320, 640, 1280, 1280],
        "cross_attention_dim": 768,
        "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
        "in_channels": 4,
        "out_channels": 4,
        "layers_per_block": 2,
        "norm_num_groups": 32,
        "sample_size": 64,
    },
    "text_encoder": _BASE
    | {
        "model_type": "clip_text_model",
        "architectures": ["CLIPTextModel"],
        "max_position_embeddings": 77,
        "projection_dim": 768,
        "vocab_size": 49408,
    },
}
"""The parts of stable-diffusion-v1-5/stable-diffusion-v1-5 by their folders."""


def _processor(kind: str, size: Any, mean: list[float], std: list[float], resample: int, **more: Any) -> Json:
    return {
        "feature_extractor_type": kind,
        "do_normalize": True,
        "do_resize": True,
        "image_mean": mean,
        "image_std": std,
        "resample": resample,
        "size": size,
    } | more


def _cropping(kind: str, size: int, crop: int, mean: list[float], std: list[float]) -> Json:
    return _processor(kind, size, mean, std, BICUBIC, do_center_crop=True, crop_size=crop)


def _beit_processor(side: int) -> Json:
    return _processor("BeitFeatureExtractor", side, HALF, HALF, BILINEAR, do_center_crop=False, crop_size=side)


_IMAGENET: Final = (IMAGENET_MEAN, IMAGENET_STD)
_VIT_PROCESSOR: Final[Json] = {
    "do_normalize": True, "do_resize": True, "image_mean": HALF, "image_std": HALF, "size": 224,
}  # fmt: skip
_FLAVA_PROCESSOR: Final[Json] = {
    "codebook_crop_size": 112,
    "codebook_do_center_crop": True,
    "codebook_do_map_pixels": True,
    "codebook_do_normalize": True,
    "codebook_do_resize": True,
    "codebook_image_mean": [0.0, 0.0, 0.0],
    "codebook_image_std": [1.0, 1.0, 1.0],
    "codebook_resample": LANCZOS,
    "codebook_size": 112,
    "input_size_patches": 14,
    "mask_group_max_aspect_ratio": None,
    "mask_group_max_patches": None,
    "mask_group_min_aspect_ratio": 0.3,
    "mask_group_min_patches": 16,
    "processor_class": "FlavaProcessor",
    "total_mask_patches": 75,
} | _cropping("FlavaFeatureExtractor", 224, 224, CLIP_MEAN, CLIP_STD)

_SQUARE_768: Final = {"height": 768, "width": 768}
_VILT_PROCESSOR: Final = _processor("ViltFeatureExtractor", 384, HALF, HALF, BICUBIC, size_divisor=32)
_CLIP_PROCESSOR: Final = _cropping("CLIPFeatureExtractor", 224, 224, CLIP_MEAN, CLIP_STD)

PREPROCESSORS: Final[dict[str, Json]] = {
    "openai/clip-vit-base-patch32": _CLIP_PROCESSOR,
    "openai/clip-vit-base-patch16": _CLIP_PROCESSOR,
    "openai/clip-vit-large-patch14": _CLIP_PROCESSOR,
    "openai/clip-vit-large-patch14-336": _cropping("CLIPFeatureExtractor", 336, 336, CLIP_MEAN, CLIP_STD),
    "google/vit-base-patch16-224-in21k": _VIT_PROCESSOR,
    "google/vit-large-patch16-224-in21k": _VIT_PROCESSOR,
    "google/vit-huge-patch14-224-in21k": _VIT_PROCESSOR,
    "facebook/convnext-tiny-224": _processor("ConvNextFeatureExtractor", 224, *_IMAGENET, BICUBIC, crop_pct=0.875),
    "facebook/convnext-large-384": _processor("ConvNextFeatureExtractor", 384, *_IMAGENET, BICUBIC, crop_pct=None),
    "facebook/convnext-xlarge-224-22k": _processor(
        "ConvNextFeatureExtractor", 224, *_IMAGENET, BICUBIC, crop_pct=0.875
    ),
    "microsoft/beit-base-patch16-224-pt22k": _beit_processor(224),
    "microsoft/beit-base-patch16-224-pt22k-ft22k": _beit_processor(224),
    "microsoft/beit-large-patch16-224-pt22k": _beit_processor(224),
    "microsoft/beit-large-patch16-224-pt22k-ft22k": _beit_processor(224),
    "microsoft/beit-large-patch16-384": _beit_processor(384),
    "microsoft/swinv2-tiny-patch4-window8-256": _processor("ViTFeatureExtractor", 256, *_IMAGENET, BICUBIC),
    "microsoft/swinv2-large-patch4-window12-192-22k": _processor("ViTFeatureExtractor", 192, *_IMAGENET, BICUBIC),
    "facebook/flava-full": _FLAVA_PROCESSOR,
    "facebook/deit-base-distilled-patch16-224": _cropping("DeiTFeatureExtractor", 256, 224, *_IMAGENET),
    "kakaobrain/align-base": {
        "image_processor_type": "EfficientNetImageProcessor",
        "processor_class": "ALIGNProcessor",
        "crop_size": {"height": 289, "width": 289},
        "do_center_crop": True,
        "do_normalize": False,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": HALF,
        "image_std": HALF,
        "include_top": False,
        "resample": BILINEAR,
        "rescale_factor": 1 / 127.5,
        "rescale_offset": True,
        "size": {"height": 346, "width": 346},
    },
    "dandelin/vilt-b32-mlm": _VILT_PROCESSOR,
    "dandelin/vilt-b32-finetuned-vqa": _VILT_PROCESSOR,
    "nlpconnect/vit-gpt2-image-captioning": _processor("ViTFeatureExtractor", 224, HALF, HALF, BILINEAR),
    # Its own repository has no such file: it is the file of the checkpoint that it belongs to.
    "facebook/flava-image-codebook": _FLAVA_PROCESSOR,
    "florence-community/Florence-2-base": {
        "image_processor_type": "CLIPImageProcessor",
        "do_center_crop": False,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": IMAGENET_MEAN,
        "image_std": IMAGENET_STD,
        "resample": BICUBIC,
        "size": _SQUARE_768,
        "crop_size": _SQUARE_768,
    },
}

LENGTHS: Final[dict[str, int]] = {
    "google/vit-huge-patch14-224-in21k": 160,
    "facebook/convnext-tiny-224": 266,
    "facebook/convnext-large-384": 265,
    "microsoft/beit-base-patch16-224-pt22k": 276,
    "microsoft/swinv2-tiny-patch4-window8-256": 240,
    "microsoft/swinv2-large-patch4-window12-192-22k": 240,
    "facebook/flava-full": 881,
    "kakaobrain/align-base": 508,
    "dandelin/vilt-b32-mlm": 251,
    "nlpconnect/vit-gpt2-image-captioning": 228,
}
"""Bytes of `preprocessor_config.json` in the hub's list of files: they tell whether a key was forgotten."""
