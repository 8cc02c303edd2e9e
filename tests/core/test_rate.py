"""What a model costs, measured on the batches of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from visexplore.core.embedding.rate import Measured, keep, measured, read
from visexplore.core.encoders import Encoder
from visexplore.core.explorer import Explorer
from visexplore.core.messages import EmbedReport
from visexplore.core.settings import Settings

SLOW = Measured(10.0, "cpu", "float32", 5, None, batches=3)


def test_the_fastest_batches_count_and_those_side_by_side_are_added_up(lite0: Encoder) -> None:
    found = measured(lite0, [0.5, 0.010, 0.012, 0.011, 0.2, 0.3, 0.4, 0.5])
    assert found is not None
    assert found.images_per_second == pytest.approx(lite0.parallel_batches / 0.0105)
    assert (found.batches, found.device, found.precision) == (8, "cpu", "float32")
    assert found.parameters == 4_652_008 - 1_281_000  # tf_efficientnet_lite0 without its classifier
    assert found.device_memory is None


def test_without_a_full_batch_nothing_is_known(lite0: Encoder) -> None:
    assert measured(lite0, []) is None


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    keep(tmp_path, SLOW)
    assert read(tmp_path) == SLOW
    assert [file.name for file in tmp_path.iterdir()] == ["cost.json"]


def test_a_run_of_few_batches_does_not_replace_one_of_more(tmp_path: Path) -> None:
    many = Measured(20.0, "cpu", "float32", 5, None, batches=100)
    keep(tmp_path, many)
    keep(tmp_path, SLOW)
    assert read(tmp_path) == many
    enough = Measured(30.0, "cpu", "float32", 5, None, batches=8)
    keep(tmp_path, enough)
    assert read(tmp_path) == enough


@pytest.mark.parametrize("text", ["", "{", "[]", '{"images_per_second": 1}'])
def test_a_damaged_file_is_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "cost.json").write_text(text)
    assert read(tmp_path) is None
    keep(tmp_path, SLOW)
    assert read(tmp_path) == SLOW


def test_embedding_leaves_the_cost_beside_the_embeddings(tmp_path: Path) -> None:
    explorer = Explorer(Settings(tmp_path, tmp_path / "models.toml", offline=True), device="cpu", batch_size=4)
    *_, report = explorer.embed("sample", ["efficientnet-lite0"], limit=12)
    assert isinstance(report, EmbedReport)
    found = read(Path(report.store))
    assert found is not None
    assert found.batches == 3
    assert found.images_per_second > 1
