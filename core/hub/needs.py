"""Which files of a repository a checkpoint needs."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from visexplore.core.catalogue import Checkpoint


@dataclass(frozen=True, slots=True)
class Part:
    """One model, tokenizer or scheduler: the files of one folder of a repository.

    Attributes:
        folder: its path with a slash at the end; empty for the root.
        weights: names of weights, best first; the first that is there is taken and no other.
        required: files that have to be there.
        one_of: of each of these groups the loader needs one file, if the repository has any of the group.
        wanted: patterns of files that are taken where they are.
    """

    folder: str
    weights: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()
    wanted: tuple[str, ...] = ()


INDEX: Final = ".index.json"  # ends the name of the file that lists the shards of weights
_TRANSFORMERS: Final = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_DIFFUSERS: Final = tuple(
    f"diffusion_pytorch_model.{suffix}" for suffix in ("safetensors", f"safetensors{INDEX}", "bin", f"bin{INDEX}")
)
# The order in which open_clip 3.3 looks for weights in a folder, without those names that in repositories of other
# libraries hold something else: `model.safetensors` is an image tower alone, or a model of transformers.
_OPEN_CLIP: Final = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
)
_PROCESSOR: Final = ("preprocessor_config.json", "processor_config.json")
_TOKENIZER: Final = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)


def parts_of(checkpoint: Checkpoint) -> tuple[Part, ...]:
    """Return what a checkpoint consists of, by the library that loads it."""
    match checkpoint.loader:
        case "baseline" | "vectors":
            return ()
        case "transformers":
            groups = (_PROCESSOR, _TOKENIZER) if checkpoint.has_text_tower else (_PROCESSOR,)
            patterns = ("*.json", "*.txt", "*.model", "vocab.*", "merges.*")
            return (Part("", _TRANSFORMERS, ("config.json",), groups, patterns),)
        case "timm":
            # timm knows the configuration of its own names, and itself fetches nothing but the weights.
            return (Part("", ("model.safetensors", "pytorch_model.bin"), wanted=("config.json",)),)
        case "open_clip":  # the same holds for it, but for some text towers' tokenizers
            extras = ("open_clip_config.json", "config.json", *_TOKENIZER, "special_tokens_map.json", "merges.txt")
            return (Part("", _OPEN_CLIP, wanted=extras),)
        case "internimage":
            return (Part("", _TRANSFORMERS[:2], ("config.json",), (_PROCESSOR,), _PROCESSOR),)
        case "diffusers":
            vae = Part("vae/", _DIFFUSERS, ("config.json",))
            if "unet" not in (checkpoint.subfolder, checkpoint.id.rpartition(":")[2]):
                return (vae,)
            return (
                vae,
                Part("unet/", _DIFFUSERS, ("config.json",)),
                Part("text_encoder/", _TRANSFORMERS, ("config.json",)),
                Part("tokenizer/", required=("tokenizer_config.json",), wanted=("*.json", "*.txt", "*.model")),
                Part("scheduler/", required=("scheduler_config.json",)),
            )


class Unusable(Exception):
    """A repository lacks what the loader needs; the text says what."""


def wanted_files(parts: tuple[Part, ...], names: Collection[str], place: Path, *, code: bool) -> list[str]:
    """Return which of a repository's files are needed, weights last: where they are, everything else is.

    Args:
        parts: what the checkpoint consists of.
        names: paths of all files of the repository.
        place: the folder of its snapshot; weights that are there already are preferred to better ones.
        code: whether Python code is taken too.

    Raises:
        Unusable: something is missing.
    """
    small: list[str] = []
    weights: list[str] = []
    for part in parts:
        inside = [
            name.removeprefix(part.folder)
            for name in sorted(names)
            if name.startswith(part.folder) and "/" not in name.removeprefix(part.folder) and _is_plain(name)
        ]
        if missing := [name for name in part.required if name not in inside]:
            raise Unusable(f"has no {part.folder}{missing[0]}")
        patterns = (*part.required, *part.wanted, *(("*.py",) if code else ()))
        chosen = [name for name in inside if not name.endswith(INDEX) and any(fnmatchcase(name, p) for p in patterns)]
        small += [part.folder + name for name in chosen]
        if not part.weights:
            continue
        offered = [name for name in part.weights if name in inside]
        here = [name for name in offered if has_weights(place / part.folder, name)]
        if not offered:
            raise Unusable(f"has no {part.folder}{part.weights[0]} and no other weights that can be loaded")
        name = (here or offered)[0]
        if name.endswith(INDEX):
            small.append(part.folder + name)
            stem, suffix = name.removesuffix(INDEX).rsplit(".", 1)
            shard = re.compile(rf"{re.escape(stem)}-\d+-of-\d+\.{suffix}")
            weights += [part.folder + other for other in inside if shard.fullmatch(other)]
        else:
            weights.append(part.folder + name)
    return small + weights


def _is_plain(path: str) -> bool:
    """Whether a path that a hub tells stays inside the folder that it is put into, and can be printed."""
    return path.isprintable() and "\\" not in path and not {"", ".", ".."} & set(path.split("/"))


def has_weights(folder: Path, name: str) -> bool:
    """Whether the weights called `name` are in `folder`, all shards of them if it is an index."""
    file = folder / name
    if not name or not file.is_file():  # the link of a lost blob dangles, which is_file() refuses
        return False
    if not name.endswith(INDEX):
        return True
    try:
        shards = set(json.loads(file.read_text("utf-8"))["weight_map"].values())
        return bool(shards) and all((folder / shard).is_file() for shard in shards)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
