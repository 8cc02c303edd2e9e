"""Golden vectors: real models against what they gave before, and what is told when they give something else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.core.tiny_models import save_checkpoint
from visexplore.core.catalogue import Checkpoint, WeightsStatus, load_catalogue, weights_status
from visexplore.core.encoders import Encoder, golden, recipe_of
from visexplore.core.encoders.golden import LIMIT_FLOAT32, PICTURES, Verdict, check, drift, embed_probe, name_of

BUNDLED = [c for c in load_catalogue().checkpoints if weights_status(c) is WeightsStatus.BUNDLED]


@pytest.fixture
def tiny(tmp_path: Path) -> Checkpoint:
    """A real timm checkpoint in a local folder."""
    folder = tmp_path / "tiny"
    save_checkpoint(folder, "test_vit", 160)
    return load_catalogue().resolve(str(folder))


def recorded(home: Path) -> Path:
    [file] = (home / "golden").iterdir()
    return file


@pytest.mark.parametrize("checkpoint", BUNDLED, ids=lambda checkpoint: checkpoint.slug)
def test_bundled_model_gives_the_vectors_that_came_with_the_install(checkpoint: Checkpoint, tmp_path: Path) -> None:
    found = check(checkpoint, tmp_path, device="cpu", precision="float32")
    assert (found.verdict, found.note) == (Verdict.AS_BEFORE, "")
    assert found.drift is not None
    assert found.drift < 5e-5  # the vectors were made with Pillow's resize, these with torch's
    assert (found.dim, found.precision, found.device) == (1280, "float32", "cpu")
    assert found.limit == LIMIT_FLOAT32
    assert list(tmp_path.iterdir()) == []  # nothing has to be recorded


def test_first_look_at_a_model_records_and_the_second_compares(tiny: Checkpoint, tmp_path: Path) -> None:
    first = check(tiny, tmp_path, device="cpu")
    file = recorded(tmp_path)
    assert (first.verdict, first.note, first.drift) == (Verdict.RECORDED, f"Kept in {file}.", None)
    written = file.read_text()
    second = check(tiny, tmp_path, device="cpu")
    assert second.verdict is Verdict.AS_BEFORE
    assert second.drift is not None
    assert second.drift < 1.2e-7 + 1e-9  # what rounding to float16 may do, and the order of additions
    assert file.read_text() == written


def test_model_whose_network_computes_something_else_has_drifted(
    tiny: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    check(tiny, tmp_path, device="cpu")
    exact = torch.nn.functional.gelu
    monkeypatch.setattr(torch.nn.functional, "gelu", lambda x, approximate="none": exact(x, approximate="tanh") * 1.05)
    found = check(tiny, tmp_path, device="cpu")
    assert found.verdict is Verdict.DRIFTED
    assert found.drift is not None
    assert found.drift > LIMIT_FLOAT32
    assert "The libraries are those of then." in found.note
    assert f"delete {recorded(tmp_path)}" in found.note


def test_libraries_that_changed_since_are_named(
    tiny: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(tiny, tmp_path, device="cpu")
    file = recorded(tmp_path)
    document = json.loads(file.read_text())
    [entry] = document.values()
    entry["made_with"]["timm"] = "0.0.1"
    entry["vectors"].reverse()
    file.write_text(json.dumps(document))
    found = check(tiny, tmp_path, device="cpu")
    assert found.verdict is Verdict.DRIFTED
    assert "Since then: timm 0.0.1 -> " in found.note
    assert "torch " not in found.note


def test_half_precision_is_compared_with_float32_under_a_wider_limit(tiny: Checkpoint, tmp_path: Path) -> None:
    check(tiny, tmp_path, device="cpu", precision="float32")
    found = check(tiny, tmp_path, device="cpu", precision="bf16")
    assert (found.precision, found.limit) == ("bfloat16", golden.LIMIT_HALF)
    assert found.drift is not None
    assert found.drift > 1e-7  # it really is another arithmetic
    assert len(list((tmp_path / "golden").iterdir())) == 1


def test_other_weights_and_other_poolings_have_vectors_of_their_own(tiny: Checkpoint) -> None:
    recipe = recipe_of(tiny)
    others = [replace(recipe, revision="x"), replace(recipe, pooling="cls"), replace(recipe, checkpoint="timm:x")]
    assert len({name_of(one) for one in (recipe, *others)}) == 4
    assert name_of(replace(recipe, precision="float16")) == name_of(recipe)


def test_probe_is_of_different_pictures(lite0: Encoder) -> None:
    vectors = embed_probe(lite0)
    assert vectors.shape == (PICTURES, 1280)
    assert (vectors @ vectors.T)[np.triu_indices(PICTURES, 1)].max() < 0.99


@pytest.mark.parametrize("angle", [0.0, 1e-3, 0.014, 0.5, np.pi])
def test_drift_is_one_minus_the_cosine_of_the_worst_picture(angle: float) -> None:
    one = np.array([[1, 0], [0, 1]], np.float32)
    turned = np.array([[1, 0], [np.sin(angle), np.cos(angle)]], np.float32)
    assert drift(turned, one) == pytest.approx(1 - np.cos(angle), abs=1e-7)
    assert drift(one, np.eye(2, 3, dtype=np.float32)) == 2


def test_model_that_cannot_be_loaded_is_told_and_not_raised(tmp_path: Path) -> None:
    absent = load_catalogue().resolve("clip-vit-b32")
    found = check(absent, tmp_path)
    assert found.verdict is Verdict.FAILED
    assert found.note.startswith("The weights of clip-vit-b32 are not on this machine. ")
    assert found.drift is None


def test_vectors_that_are_no_numbers_are_never_recorded(tiny: Checkpoint, tmp_path: Path) -> None:
    import safetensors.torch
    import torch

    file = Path(tiny.folder) / "model.safetensors"
    weights = safetensors.torch.load_file(file)
    safetensors.torch.save_file({name: torch.full_like(value, torch.nan) for name, value in weights.items()}, file)
    found = check(tiny, tmp_path, device="cpu")
    assert found.verdict is Verdict.FAILED
    assert "vectors without a direction" in found.note
    assert not (tmp_path / "golden").exists()


@pytest.mark.parametrize("damage", [lambda text: text[:100], lambda text: "[]", lambda text: text.replace("A", "!")])
def test_damaged_file_is_told_with_what_to_do(tiny: Checkpoint, tmp_path: Path, damage: Callable[[str], str]) -> None:
    check(tiny, tmp_path, device="cpu")
    file = recorded(tmp_path)
    file.write_text(damage(file.read_text()))
    found = check(tiny, tmp_path, device="cpu")
    assert (found.verdict, found.note) == (
        Verdict.FAILED, f"{file} is damaged. Delete it: the next run records the vectors anew."
    )  # fmt: skip


def test_home_that_cannot_be_written_is_told(tiny: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    found = check(tiny, tmp_path / "file", device="cpu")
    assert found.verdict is Verdict.FAILED
    assert "cannot be written (Not a directory)" in found.note


def test_shipped_file_is_what_the_module_writes(tmp_path: Path) -> None:
    golden.write_shipped(tmp_path / "golden.json")
    written, shipped = json.loads((tmp_path / "golden.json").read_text()), golden._shipped()
    assert list(written) == list(shipped) == [name_of(recipe_of(checkpoint)) for checkpoint in BUNDLED]
    assert (tmp_path / "golden.json").stat().st_size < 50_000
