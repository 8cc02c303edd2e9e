"""InternImage, all published sizes from T to G, with the parameter names of its weights on the hub.

Paper: arXiv 2211.05778. Weights: `OpenGVLab/internimage_*` on huggingface.co, whose own code needs an old transformers.
The classifier at the end is left out: what it would see is the vector returned here.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import torch
from pydantic import Field, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import Permute

from visexplore.core.encoders.deformable_conv import (
    LAYER_NORM_EPS,
    TO_CHANNELS_FIRST,
    TO_CHANNELS_LAST,
    DeformableConv,
)
from visexplore.core.errors import CannotLoadModel

_PREFIX: Final = "model."
_CLASSIFIER: Final = {"model.head.weight", "model.head.bias"}
_PROJECTOR_WIDTH, _PROJECTOR_HEADS, _PROJECTOR_DIM = 1024, 16, 768
_FETCH_AGAIN: Final = "Fetch all files of the checkpoint again: config.json and the weights belong together."

_Count = Annotated[int, Field(gt=0)]
_Factor = Annotated[float, Field(gt=0)]
_OfEachLevel = tuple[_Count, _Count, _Count, _Count]


@dataclass(frozen=True)
class _Architecture:
    """What tells one size from another; names and defaults are those of the hub's `config.json`."""

    channels: Annotated[int, Field(gt=1)] = 64
    depths: _OfEachLevel = (4, 4, 18, 4)
    groups: _OfEachLevel = (4, 8, 16, 32)
    mlp_ratio: _Factor = 4.0
    dw_kernel_size: _Count | None = None
    layer_scale: float | None = None
    offset_scale: float = 1.0
    post_norm: bool = False
    res_post_norm: bool = False
    level2_post_norm: bool = False
    level2_post_norm_block_ids: tuple[int, ...] | None = None
    center_feature_scale: bool = False
    remove_center: bool = False
    use_clip_projector: bool = False
    cls_scale: _Factor = 1.5

    def __post_init__(self) -> None:
        for level, groups in enumerate(self.groups):
            if self.channels * 2**level % groups:
                raise ValueError(f"{self.channels * 2**level} channels cannot be split into {groups} groups")
        if self.dw_kernel_size is not None and self.dw_kernel_size % 2 == 0:
            raise ValueError(f"dw_kernel_size has to be odd, not {self.dw_kernel_size}")
        if self.res_post_norm and (self.post_norm or self.layer_scale is not None):
            raise ValueError("res_post_norm goes with neither post_norm nor layer_scale")


_ARCHITECTURE: Final = TypeAdapter(_Architecture)
_ONLY_CHOICE: Final = {"model_type": "internimage", "core_op": "DCNv3", "norm_layer": "LN", "act_layer": "GELU"}


class InternImage(nn.Module):
    """The network without its classifier. It takes maps channels-last from the stem to the last level.

    Attributes:
        dim: length of a vector.
    """

    dim: int

    def __init__(self, architecture: _Architecture) -> None:
        super().__init__()
        channels = architecture.channels
        self.patch_embed = _stem(channels)
        self.levels = nn.ModuleList(_Level(architecture, level) for level in range(4))
        last = 8 * channels
        self._has_projector = architecture.use_clip_projector
        if self._has_projector:
            self.dim = _PROJECTOR_DIM
            self.dcnv3_head_x4 = nn.Sequential(nn.Conv2d(last, 4 * _PROJECTOR_WIDTH, 1), nn.PixelShuffle(2))
            self.dcnv3_head_x3 = nn.Conv2d(last // 2, _PROJECTOR_WIDTH, 1)
            self.clip_projector = _AttentionPool()
            self.fc_norm = _norm(_PROJECTOR_DIM)
        else:
            self.dim = int(last * architecture.cls_scale)
            self.conv_head = nn.Sequential(
                nn.Conv2d(last, self.dim, 1, bias=False), nn.Sequential(nn.BatchNorm2d(self.dim)), nn.GELU()
            )

    def forward(self, images: Tensor) -> Tensor:
        """Return what the classifier would see: normalised pixels (n, 3, h, w) -> (n, dim).

        Sizes H and G need h and w to be multiples of 32.
        """
        return self.vectors_and_features(images)[0]

    def features(self, images: Tensor) -> Tensor:
        """Return the last feature map: normalised pixels (n, 3, h, w) -> (n, c, h / 32, w / 32), rounded up."""
        return self._maps(images)[-1]

    def vectors_and_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return both of one run: (n, dim) and (n, c, h / 32, w / 32)."""
        *_, half, last = self._maps(images)
        vectors: Tensor
        if self._has_projector:
            tokens = (self.dcnv3_head_x4(last) + self.dcnv3_head_x3(half)).flatten(2).transpose(1, 2)
            vectors = self.fc_norm(self.clip_projector(tokens))
        else:
            vectors = self.conv_head(last).mean((2, 3))
        return vectors, last

    def _maps(self, images: Tensor) -> list[Tensor]:
        """Return the map of each level, (n, c, rows, columns) with twice the channels and half the side each time."""
        maps = []
        entering = self.patch_embed(images)
        for level in self.levels:
            leaving = level(entering)
            maps.append(leaving.permute(TO_CHANNELS_FIRST))
            entering = level.downsample(leaving)  # type: ignore[operator]
        return maps


class _Level(nn.Module):
    """The blocks that share a resolution: (n, h, w, c) -> (n, h, w, c). `downsample` leads to the next level."""

    def __init__(self, architecture: _Architecture, level: int) -> None:
        super().__init__()
        channels = architecture.channels * 2**level
        depth = architecture.depths[level]
        self.blocks = nn.ModuleList(_Block(architecture, channels, architecture.groups[level]) for _ in range(depth))
        # G has norms after its branches and this one as well.
        normed = not architecture.post_norm or architecture.center_feature_scale
        self.norm = _norm(channels) if normed else nn.Identity()
        self.downsample = _downsample(channels) if level < 3 else nn.Identity()
        self._normed_blocks: tuple[int, ...] = ()
        if level == 2 and architecture.level2_post_norm:
            self._normed_blocks = architecture.level2_post_norm_block_ids or ()
            self.post_norms = nn.ModuleList(_norm(channels) for _ in self._normed_blocks)

    def forward(self, features: Tensor) -> Tensor:
        for index, block in enumerate(self.blocks):
            features = block(features)
            if index in self._normed_blocks:
                features = self.post_norms[self._normed_blocks.index(index)](features)
        normed: Tensor = self.norm(features)
        return normed


class _Block(nn.Module):
    """A deformable convolution and an MLP, each added to what it read: (n, h, w, c) -> (n, h, w, c)."""

    def __init__(self, architecture: _Architecture, channels: int, groups: int) -> None:
        super().__init__()
        self._post_norm = architecture.post_norm
        self.norm1 = _norm(channels)
        self.dcn = DeformableConv(
            channels,
            groups,
            offset_scale=architecture.offset_scale,
            dw_kernel_size=architecture.dw_kernel_size or 3,
            center_feature_scale=architecture.center_feature_scale,
            remove_center=architecture.remove_center,
        )
        self.norm2 = _norm(channels)
        self.mlp = _mlp(channels, int(channels * architecture.mlp_ratio))
        self._scaled = architecture.layer_scale is not None
        if architecture.layer_scale is not None:
            self.layer_scale1 = nn.Parameter(torch.full((channels,), architecture.layer_scale))
            self.layer_scale2 = nn.Parameter(torch.full((channels,), architecture.layer_scale))
        self.res_post_norm1 = _norm(channels) if architecture.res_post_norm else nn.Identity()
        self.res_post_norm2 = _norm(channels) if architecture.res_post_norm else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        if self._post_norm:
            added = self.norm1(self.dcn(features))
        else:
            added = self.res_post_norm1(self.dcn(self.norm1(features)))
        features = features + (self.layer_scale1 * added if self._scaled else added)
        if self._post_norm:
            added = self.norm2(self.mlp(features))
        else:
            added = self.res_post_norm2(self.mlp(self.norm2(features)))
        result: Tensor = features + (self.layer_scale2 * added if self._scaled else added)
        return result


class _AttentionPool(nn.Module):
    """Let the mean of all tokens attend to them: (n, tokens, 1024) -> (n, 768)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1_q = _norm(_PROJECTOR_WIDTH)
        self.norm1_k = _norm(_PROJECTOR_WIDTH)
        self.norm1_v = _norm(_PROJECTOR_WIDTH)
        self.cross_dcn = _CrossAttention()

    def forward(self, tokens: Tensor) -> Tensor:
        mean = tokens.mean(1, keepdim=True)
        pooled: Tensor = self.cross_dcn(self.norm1_q(mean), self.norm1_k(tokens), self.norm1_v(tokens))
        return pooled.squeeze(1)


class _CrossAttention(nn.Module):
    """Attention of 16 heads whose biases are parameters of their own, as in the published weights."""

    def __init__(self) -> None:
        super().__init__()
        self.q = nn.Linear(_PROJECTOR_WIDTH, _PROJECTOR_WIDTH, bias=False)
        self.k = nn.Linear(_PROJECTOR_WIDTH, _PROJECTOR_WIDTH, bias=False)
        self.v = nn.Linear(_PROJECTOR_WIDTH, _PROJECTOR_WIDTH, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(_PROJECTOR_WIDTH))
        self.k_bias = nn.Parameter(torch.zeros(_PROJECTOR_WIDTH))
        self.v_bias = nn.Parameter(torch.zeros(_PROJECTOR_WIDTH))
        self.proj = nn.Linear(_PROJECTOR_WIDTH, _PROJECTOR_DIM)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        heads = functional.scaled_dot_product_attention(
            _split(self.q(queries) + self.q_bias),
            _split(self.k(keys) + self.k_bias),
            _split(self.v(values) + self.v_bias),
        )
        projected: Tensor = self.proj(heads.transpose(1, 2).flatten(2))
        return projected


def _split(tokens: Tensor) -> Tensor:
    """(n, tokens, c) -> (n, heads, tokens, c / heads)."""
    return tokens.view(*tokens.shape[:2], _PROJECTOR_HEADS, -1).transpose(1, 2)


def _norm(channels: int) -> nn.Sequential:
    """Normalise over the channels, which come last."""
    return nn.Sequential(nn.LayerNorm(channels, LAYER_NORM_EPS))


def _norm_of_planes(channels: int) -> nn.Sequential:
    """Normalise over the channels of (n, c, h, w) and leave them last: (n, h, w, c)."""
    return nn.Sequential(Permute(TO_CHANNELS_LAST), nn.LayerNorm(channels, LAYER_NORM_EPS))


def _stem(channels: int) -> nn.Sequential:
    """(n, 3, h, w) -> (n, h / 4, w / 4, channels)."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, channels // 2, 3, stride=2, padding=1),
            norm1=_norm_of_planes(channels // 2).append(Permute(TO_CHANNELS_FIRST)),
            act=nn.GELU(),
            conv2=nn.Conv2d(channels // 2, channels, 3, stride=2, padding=1),
            norm2=_norm_of_planes(channels),
        )
    )


def _downsample(channels: int) -> nn.Sequential:
    """(n, h, w, c) -> (n, h / 2, w / 2, 2 c)."""
    return nn.Sequential(
        OrderedDict(
            planes=Permute(TO_CHANNELS_FIRST),
            conv=nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1, bias=False),
            norm=_norm_of_planes(2 * channels),
        )
    )


def _mlp(channels: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(fc1=nn.Linear(channels, hidden), act=nn.GELU(), fc2=nn.Linear(hidden, channels)))


def build(config: Mapping[str, Any]) -> InternImage:
    """Return a network with random weights for a parsed `config.json` of the hub; keys that it lacks have defaults.

    Raises:
        CannotLoadModel: it describes something else, or no network that can be built.
    """
    return _build(config, "The configuration")


def load(folder: Path) -> InternImage:
    """Return the network of a folder with the hub's `config.json` and `model.safetensors`, whole or in shards.

    The weights are float32 and stay in the file until they are used or moved. The network is in evaluation mode.

    Raises:
        CannotLoadModel: a file is missing or broken, or the weights have other names or shapes than the network.
    """
    config = _read_json(folder / "config.json")
    with torch.device("meta"):  # no memory for weights that the file replaces
        network = _build(config, str(folder / "config.json"))
    tensors = _read_tensors(folder)
    _check(network, tensors, folder)
    kept = {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items() if name not in _CLASSIFIER}
    network.load_state_dict(kept, assign=True)
    return network.float().eval()


def _build(config: Mapping[str, Any], source: str) -> InternImage:
    hint = "Repositories that fit: OpenGVLab/internimage_t_1k_224 and its sisters."
    for key, only in _ONLY_CHOICE.items():
        if config.get(key, only) != only:
            raise CannotLoadModel(f"{source} is of no InternImage known here: {key} is {config[key]!r}", hint)
    try:
        architecture = _ARCHITECTURE.validate_python(dict(config))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        reason = f"{where}: {first['msg']}" if where else first["msg"].removeprefix("Value error, ")
        raise CannotLoadModel(f"{source} is of no InternImage known here ({reason})", hint) from error
    return InternImage(architecture)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CannotLoadModel(f"{file} cannot be read ({error})", _FETCH_AGAIN) from error
    if not isinstance(content, dict):
        raise CannotLoadModel(f"{file} holds no JSON object", _FETCH_AGAIN)
    return content


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    """Read all tensors of a checkpoint; of large ones, an index tells the files."""
    index = folder / "model.safetensors.index.json"
    names = {"model.safetensors"}
    if index.exists() and not (folder / "model.safetensors").exists():
        places = _read_json(index).get("weight_map")
        if not isinstance(places, dict):
            raise CannotLoadModel(f"{index} tells no files (weight_map)", _FETCH_AGAIN)
        names = set(map(str, places.values()))
    tensors: dict[str, Tensor] = {}
    for name in sorted(names):
        try:
            tensors |= load_file(folder / name)
        except (OSError, SafetensorError) as error:
            raise CannotLoadModel(f"The weights in {folder / name} cannot be read ({error})", _FETCH_AGAIN) from error
    return tensors


def _check(network: InternImage, tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Raise one sentence about all tensors that are missing, unknown or of another shape."""
    expected = {_PREFIX + name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    missing = [name for name in expected if name not in tensors]
    unknown = [name for name in tensors if name not in expected and name not in _CLASSIFIER]
    misshaped = [
        f"{name} of shape {tuple(tensors[name].shape)} instead of {shape}"
        for name, shape in expected.items()
        if name in tensors and tensors[name].shape != shape
    ]
    faults = [
        f"{len(found)} {kind} ({found[0]}{', ...' if len(found) > 1 else ''})"
        for kind, found in (("missing", missing), ("unknown", unknown), ("misshaped", misshaped))
        if found
    ]
    if faults:
        raise CannotLoadModel(
            f"The weights in {folder} do not fit its config.json; tensors: {', '.join(faults)}", _FETCH_AGAIN
        )
