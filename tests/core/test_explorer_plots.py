"""What the explorer says of a dataset as a whole: its map, and how near a query is to all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.core.test_explorer import embed, new_explorer
from tests.core.tiny_models import save_checkpoint
from visexplore.core.errors import NotEmbedded, UnknownImage
from visexplore.core.explorer import Explorer

Fill = Callable[[Mapping[str, int | bytes]], Path]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A local checkpoint that embeds in no time."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_checkpoint(folder, "test_convnext", side=64)
    return str(folder)


@pytest.fixture
def explorer() -> Explorer:
    return new_explorer()


@pytest.fixture
def photos(fill: Fill) -> Path:
    return fill({f"{label}/{n}.png": 10 * n + len(label) for label in ("mug", "chair") for n in range(4)})


def test_a_map_has_a_place_for_every_embedded_image(explorer: Explorer, tiny: str, photos: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"no picture")
    embed(explorer, photos, tiny)
    positions, found = explorer.projection(str(photos), tiny)
    names = [record.image_id for record in explorer.dataset(str(photos)).records]
    assert [names[position] for position in positions] == [name for name in names if name != "bad.jpg"]
    assert found.places.shape == (8, 2)


def test_a_map_is_kept_until_more_is_embedded(explorer: Explorer, tiny: str, photos: Path, fill: Fill) -> None:
    embed(explorer, photos, tiny)
    _, first = explorer.projection(str(photos), tiny)
    assert explorer.projection(str(photos), tiny)[1] is first
    fill({"mug/9.png": 99})
    embed(explorer, photos, tiny)
    assert len(explorer.projection(str(photos), tiny)[1].places) == 9


def test_without_embeddings_there_is_no_map(explorer: Explorer, tiny: str, photos: Path) -> None:
    with pytest.raises(NotEmbedded, match="not embedded with tiny yet"):
        explorer.projection(str(photos), tiny)


def test_similarities_count_all_other_images_by_label(explorer: Explorer, tiny: str, photos: Path) -> None:
    embed(explorer, photos, tiny)
    found = explorer.similarities(str(photos), tiny, "mug/0.png", bins=20)
    assert (sum(found.same), sum(found.others), found.compared) == (3, 4, 7)
    result = explorer.query(str(photos), [tiny], image_id="mug/0.png").results[0]
    assert found.neighbours == result.neighbours


def test_similarities_of_an_image_that_is_not_embedded_are_refused(
    explorer: Explorer,
    tiny: str,
    photos: Path,
    fill: Fill,
) -> None:
    embed(explorer, photos, tiny)
    with pytest.raises(UnknownImage):
        explorer.similarities(str(photos), tiny, "nobody.png")
    fill({"mug/new.png": 77})
    with pytest.raises(NotEmbedded, match=r"mug/new\.png is not embedded with tiny"):
        new_explorer().similarities(str(photos), tiny, "mug/new.png")


def test_the_only_image_has_a_map_and_no_similarities(explorer: Explorer, tiny: str, fill: Fill) -> None:
    folder = fill({"a.png": 1})
    embed(explorer, folder, tiny)
    assert not explorer.projection(str(folder), tiny)[1].places.any()
    found = explorer.similarities(str(folder), tiny, "a.png")
    assert (found.compared, found.neighbours) == (0, ())


def test_copies_of_one_image_lie_in_one_point(explorer: Explorer, tiny: str, fill: Fill) -> None:
    folder = fill({f"{n}.png": 1 for n in range(5)})
    embed(explorer, folder, tiny)
    _, found = explorer.projection(str(folder), tiny)
    assert found.explained == (0.0, 0.0)
    assert np.isfinite(found.places).all()
    assert explorer.similarities(str(folder), tiny, "0.png").compared == 4
