from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core.grid_encoder import grid_store
from tests.core.test_encoders import plain_timm, with_bundled_weights
from tests.core.tiny_models import save_checkpoint
from tests.pictures import draw, encoded, png
from visexplore.core.datasets import Dataset, open_dataset
from visexplore.core.encoders import Encoder
from visexplore.core.encoders.encoder import normalise
from visexplore.core.errors import (
    EmptyDataset,
    NotEmbedded,
    StoreBusy,
    UnknownDataset,
    UnknownImage,
    UnknownModel,
    UnreadableImage,
    UserError,
)
from visexplore.core.explorer import Explorer
from visexplore.core.images import decode
from visexplore.core.messages import CacheState, EmbedReport, Progress, QueryResult
from visexplore.core.settings import load_settings

Fill = Callable[[Mapping[str, int | bytes]], Path]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A local checkpoint that embeds in no time."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_checkpoint(folder, "test_convnext", side=64)
    return str(folder)


@pytest.fixture(scope="session")
def tiny_twin(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "twin"
    save_checkpoint(folder, "test_byobnet", side=64)
    return str(folder)


def new_explorer(**options: Any) -> Explorer:
    return Explorer(load_settings(), device="cpu", **options)


@pytest.fixture
def explorer() -> Explorer:
    return new_explorer()


def embed(explorer: Explorer, folder: Path | str, *models: str, **options: Any) -> list[EmbedReport]:
    return [step for step in explorer.embed(str(folder), models, **options) if isinstance(step, EmbedReport)]


def hits(result: QueryResult) -> list[str]:
    return [neighbour.image_id for neighbour in result.results[0].neighbours]


# ---- embed


def test_the_report_says_what_was_done(explorer: Explorer, tiny: str, fill: Fill) -> None:
    folder = fill({"a.png": 1, "b.png": 2, "c.png": 2, "bad.jpg": b"no picture"})
    [report] = embed(explorer, folder, tiny)
    assert (report.model, report.dataset) == ("tiny", str(folder))
    assert (report.images, report.embedded, report.reused) == (4, 2, 1)  # c.png has the bytes of b.png
    assert [(skipped.image_id, skipped.reason) for skipped in report.skipped] == [
        ("bad.jpg", "Not an image that Pillow can read")
    ]
    assert Path(report.store).is_dir()
    assert report.images_per_second == pytest.approx(2 / report.seconds)
    assert not report.cancelled
    assert set(report.as_json()) == {
        "model", "dataset", "images", "embedded", "reused", "skipped", "seconds", "images_per_second", "bottleneck",
        "store", "precision", "remarks",
    }  # fmt: skip


def test_a_second_run_loads_no_model_and_reuses_all(tiny: str, fill: Fill) -> None:
    folder = fill({"a.png": 1, "b.png": 2, "bad.jpg": b"no picture"})
    embed(new_explorer(), folder, tiny)
    second = new_explorer()
    started = time.monotonic()
    [report] = embed(second, folder, tiny)
    assert time.monotonic() - started < 2
    assert (report.embedded, report.reused, len(report.skipped), report.bottleneck) == (0, 2, 1, "")
    assert len(second._encoders) == 0


def test_several_models_are_embedded_in_one_run(explorer: Explorer, tiny: str, tiny_twin: str, fill: Fill) -> None:
    folder = fill({"a.png": 1, "b.png": 2})
    reports = embed(explorer, folder, tiny, tiny_twin, tiny)
    assert [(report.model, report.embedded) for report in reports] == [("tiny", 2), ("twin", 2)]


def test_a_model_may_be_named_in_several_ways(explorer: Explorer) -> None:
    keys = {explorer.recipe(name).checkpoint for name in ("efficientnet-lite0", "EFFICIENTNET-LITE0")}
    assert len(keys) == 1


def test_the_limit_takes_the_first_images(explorer: Explorer, tiny: str, fill: Fill) -> None:
    folder = fill({f"{number}.png": number for number in range(9)})
    [report] = embed(explorer, folder, tiny, limit=4)
    assert (report.images, report.embedded) == (4, 4)
    assert explorer.cache_states(str(folder)) == [CacheState("tiny", 4, 0, 9)]
    assert set(hits(explorer.query(str(folder), [tiny], image_id="0.png", k=9))) == {"1.png", "2.png", "3.png"}


def test_progress_names_the_model_while_it_is_loaded(tiny: str, fill: Fill) -> None:
    steps = list(new_explorer().embed(str(fill({"a.png": 1})), [tiny]))
    assert isinstance(steps[-1], EmbedReport)
    assert all(isinstance(step, Progress) and step.model == "tiny" for step in steps[:-1])


def test_a_run_that_was_cancelled_says_so_and_the_next_one_goes_on(tiny: str, fill: Fill) -> None:
    folder = fill({f"{number:03}.png": number for number in range(60)})
    done = 0
    explorer = new_explorer(batch_size=2)
    steps = explorer.embed(str(folder), [tiny], cancelled=lambda: done >= 8)
    for step in steps:
        if isinstance(step, Progress):
            done = step.done
    assert isinstance(step, EmbedReport)
    assert step.cancelled
    [report] = embed(explorer, folder, tiny)
    assert report.embedded == 60 - step.embedded
    assert report.reused == step.embedded


def test_a_dataset_is_listed_afresh_for_each_run(explorer: Explorer, tiny: str, fill: Fill) -> None:
    folder = fill({"a.png": 1})
    embed(explorer, folder, tiny)
    fill({"b.png": 2})
    assert embed(explorer, folder, tiny)[0].images == 2


def test_who_does_not_want_to_wait_is_told_that_another_process_embeds(
    explorer: Explorer, tiny: str, fill: Fill
) -> None:
    folder = fill({"a.png": 1})
    other = new_explorer()
    store = other._store(other.dataset(str(folder)), other.catalogue.resolve(tiny), other.recipe(tiny))
    with store.lock(), pytest.raises(StoreBusy):
        embed(explorer, folder, tiny, wait=False)


def test_who_waits_for_another_process_says_so_and_goes_on_after_it(explorer: Explorer, tiny: str, fill: Fill) -> None:
    folder = fill({"a.png": 1})
    other = new_explorer()
    lock = other._store(other.dataset(str(folder)), other.catalogue.resolve(tiny), other.recipe(tiny)).lock()
    stages = []
    for step in explorer.embed(str(folder), [tiny]):
        if isinstance(step, Progress):
            stages.append(step.stage)
            if stages.count("waiting") == 3:
                lock.release()
        else:
            assert step.embedded == 1
    assert stages[0] == "waiting"
    assert stages[-1] == "embedding"


def test_two_that_want_the_same_models_in_another_order_do_not_wait_for_each_other_for_ever(
    tiny: str, tiny_twin: str, fill: Fill
) -> None:
    folder = fill({f"{number}.png": number for number in range(12)})
    reports: list[EmbedReport] = []

    def work(*models: str) -> None:
        reports.extend(embed(new_explorer(), folder, *models))

    threads = [
        threading.Thread(target=work, args=models, daemon=True) for models in ((tiny, tiny_twin), (tiny_twin, tiny))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(reports) == 4
    assert sum(report.embedded for report in reports) == 24


@pytest.mark.parametrize(
    ("spec", "model", "error"),
    [
        ("no-such-folder", "efficientnet-lite0", UnknownDataset),
        (".", "no-such-model", UnknownModel),
    ],
)
def test_unknown_names_are_the_users_mistakes(
    spec: str, model: str, error: type[UserError], explorer: Explorer
) -> None:
    with pytest.raises(error):
        embed(explorer, spec, model)


def test_no_model_at_all_is_the_users_mistake(explorer: Explorer, fill: Fill) -> None:
    with pytest.raises(UserError, match="No model is named"):
        embed(explorer, fill({"a.png": 1}))


def test_an_empty_folder_is_the_users_mistake(explorer: Explorer, tiny: str, folder: Path) -> None:
    with pytest.raises(EmptyDataset):
        embed(explorer, folder, tiny)


# ---- query


def test_an_image_of_the_dataset_is_searched_without_loading_a_model(tiny: str, fill: Fill) -> None:
    folder = fill({f"{number}.png": number for number in range(6)})
    embed(new_explorer(), folder, tiny)
    explorer = new_explorer()
    result = explorer.query(str(folder), [tiny], image_id="3.png", k=3)
    assert len(explorer._encoders) == 0
    assert (result.query.image_id, result.query.path) == ("3.png", str(folder / "3.png"))
    [found] = result.results
    assert [neighbour.rank for neighbour in found.neighbours] == [1, 2, 3]
    assert "3.png" not in hits(result)
    assert (found.model, found.gallery, found.recipe) == ("tiny", 6, explorer.recipe(tiny).digest)


def test_an_outside_picture_finds_its_like_in_the_dataset(explorer: Explorer, tiny: str, fill: Fill) -> None:
    folder = fill({f"{number}.png": number for number in range(6)})
    embed(explorer, folder, tiny)
    for number in range(6):
        result = explorer.query(str(folder), [tiny], image=png(number), name="mine.png", k=1)
        assert result.query.path == "mine.png"
        assert hits(result) == [f"{number}.png"]
        assert result.results[0].neighbours[0].score == pytest.approx(1, abs=1e-3)


def test_labels_come_with_query_and_neighbours(explorer: Explorer, tiny: str, fill: Fill) -> None:
    folder = fill({"cats/a.png": 1, "cats/b.png": 2, "dogs/c.png": 3})
    embed(explorer, folder, tiny)
    result = explorer.query(str(folder), [tiny], image_id="cats/a.png")
    assert result.query.label == "cats"
    assert {(n.image_id, n.label) for n in result.results[0].neighbours} == {
        ("cats/b.png", "cats"),
        ("dogs/c.png", "dogs"),
    }


def test_several_models_answer_side_by_side(explorer: Explorer, tiny: str, tiny_twin: str, fill: Fill) -> None:
    folder = fill({"a.png": 1, "b.png": 2})
    embed(explorer, folder, tiny, tiny_twin)
    result = explorer.query(str(folder), [tiny_twin, tiny], image_id="a.png")
    assert [found.model for found in result.results] == ["twin", "tiny"]
    assert set(result.as_json()) == {"dataset", "query", "results"}


def test_images_embedded_since_the_last_query_are_found(explorer: Explorer, tiny: str, fill: Fill) -> None:
    folder = fill({"a.png": 1, "b.png": 2})
    embed(explorer, folder, tiny)
    explorer.query(str(folder), [tiny], image_id="a.png")
    fill({"c.png": 1})
    embed(new_explorer(), folder, tiny)  # another process
    explorer.dataset(str(folder), rescan=True)
    assert hits(explorer.query(str(folder), [tiny], image_id="a.png")) == ["c.png", "b.png"]


def test_a_deleted_image_is_no_longer_found(explorer: Explorer, tiny: str, fill: Fill) -> None:
    folder = fill({"a.png": 1, "b.png": 2, "c.png": 3})
    embed(explorer, folder, tiny)
    (folder / "b.png").unlink()
    embed(explorer, folder, tiny)
    assert hits(explorer.query(str(folder), [tiny], image_id="a.png")) == ["c.png"]


def test_an_image_not_yet_embedded_can_be_the_query(explorer: Explorer, tiny: str, fill: Fill) -> None:
    folder = fill({"a.png": 1, "b.png": 2, "c.png": 1})
    embed(explorer, folder, tiny, limit=2)
    assert hits(explorer.query(str(folder), [tiny], image_id="c.png"))[0] == "a.png"


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"image_id": "no.png"}, UnknownImage),
        ({"image_id": "bad.png"}, UnreadableImage),
        ({"image": b"no picture"}, UnreadableImage),
        ({"image": b""}, UnreadableImage),
        ({}, UserError),
    ],
)
def test_a_query_that_is_no_picture_is_one_sentence(
    query: dict[str, Any], error: type[Exception], explorer: Explorer, tiny: str, fill: Fill
) -> None:
    folder = fill({"a.png": 1, "b.png": 2, "bad.png": b"no picture"})
    embed(explorer, folder, tiny)
    with pytest.raises(error):
        explorer.query(str(folder), [tiny], **query)


def test_a_dataset_that_is_not_embedded_says_how_to_do_it(explorer: Explorer, tiny: str, fill: Fill) -> None:
    with pytest.raises(NotEmbedded, match="photos is not embedded with tiny yet") as caught:
        explorer.query(str(fill({"a.png": 1})), [tiny], image_id="a.png")
    assert "visexplore embed" in caught.value.hint


def test_names_that_are_no_unicode_go_all_the_way(explorer: Explorer, tiny: str, folder: Path) -> None:
    for seed, name in enumerate((b"\xff.png", b"caf\xe9/\xff\xfe.png", b"line\nbreak.png", b"esc\x1b[31m.png")):
        path = os.path.join(os.fsencode(folder), name)  # noqa: PTH118 - Path knows no bytes
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        with open(path, "wb") as stream:  # noqa: PTH123
            stream.write(png(seed))
    [report] = embed(explorer, folder, tiny)
    assert (report.embedded, report.skipped) == (4, ())
    ids = {r"\xff.png", r"caf\xe9/\xff\xfe.png", "line\nbreak.png", "esc\x1b[31m.png"}
    for image_id in ids:
        assert set(hits(explorer.query(str(folder), [tiny], image_id=image_id))) == ids - {image_id}
        assert explorer.thumbnail(str(folder), image_id).width == 64


def test_a_folder_whose_own_name_is_no_unicode_is_a_dataset(explorer: Explorer, tiny: str, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9 \xff")
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(png(number))
    embed(explorer, folder, tiny)
    assert len(hits(explorer.query(str(folder), [tiny], image_id="1.png"))) == 2
    assert explorer.cache_states(str(folder)) == [CacheState("tiny", 3, 0, 3)]


# ---- what is cached


def test_cache_states_tell_how_much_is_embedded(explorer: Explorer, tiny: str, tiny_twin: str, fill: Fill) -> None:
    folder = fill({"a.png": 1, "b.png": 2, "bad.png": b"x"})
    assert explorer.cache_states(str(folder)) == []
    embed(explorer, folder, tiny)
    embed(explorer, folder, tiny_twin, limit=1)
    assert sorted(explorer.cache_states(str(folder)), key=lambda state: state.model) == [
        CacheState("tiny", 2, 1, 3),
        CacheState("twin", 1, 0, 3),
    ]


def test_embeddings_of_a_checkpoint_that_has_changed_since_do_not_count(
    explorer: Explorer, tiny: str, tmp_path: Path, fill: Fill
) -> None:
    model = Path(shutil.copytree(tiny, tmp_path / "model"))
    folder = fill({"a.png": 1})
    embed(explorer, folder, str(model))
    os.utime(model / "model.safetensors", ns=(0, 1))
    assert new_explorer().cache_states(str(folder)) == []
    assert embed(new_explorer(), folder, str(model))[0].embedded == 1


def test_skipped_images_are_listed(explorer: Explorer, tiny: str, fill: Fill) -> None:
    folder = fill({"a.png": 1, "bad.png": b""})
    assert explorer.skipped(str(folder), tiny) == []
    embed(explorer, folder, tiny)
    [skipped] = explorer.skipped(str(folder), tiny)
    assert (skipped.image_id, skipped.reason) == ("bad.png", "The file is empty")


def test_a_removed_store_is_gone_and_can_be_embedded_again(explorer: Explorer, tiny: str, fill: Fill) -> None:
    folder = fill({"a.png": 1, "b.png": 2})
    embed(explorer, folder, tiny)
    [info] = explorer.stores()
    explorer.remove_store(info)
    assert explorer.stores() == []
    assert not info.path.exists()
    with pytest.raises(NotEmbedded):
        explorer.query(str(folder), [tiny], image_id="a.png")
    assert embed(explorer, folder, tiny)[0].embedded == 2


def test_a_store_removed_by_another_process_is_noticed(explorer: Explorer, tiny: str, fill: Fill) -> None:
    folder = fill({"a.png": 1, "b.png": 2})
    embed(explorer, folder, tiny)
    explorer.query(str(folder), [tiny], image_id="a.png")
    other = new_explorer()
    other.remove_store(other.stores()[0])
    with pytest.raises(NotEmbedded):
        explorer.query(str(folder), [tiny], image_id="a.png")
    assert embed(explorer, folder, tiny)[0].embedded == 2


def test_a_store_of_a_foreign_hand_is_no_obstacle(explorer: Explorer, tiny: str, fill: Fill) -> None:
    foreign = explorer.settings.embeddings / "some" / "thing"
    foreign.mkdir(parents=True)
    (foreign / "shard-1.parquet").write_bytes(b"no parquet")
    folder = fill({"a.png": 1})
    embed(explorer, folder, tiny)
    assert [info.model for info in explorer.stores()] == ["tiny"]


# ---- pictures


def test_thumbnails_are_small_and_upright(explorer: Explorer, folder: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x112] = 6
    (folder / "a.jpg").write_bytes(encoded(draw(1, (800, 400)), "JPEG", exif=exif))
    picture = explorer.thumbnail(str(folder), "a.jpg")
    assert (picture.width, picture.height) == (128, 256)
    assert len(picture.pixels) == 128 * 256 * 3


def test_a_picture_is_made_to_fit(explorer: Explorer) -> None:
    picture = explorer.picture(encoded(draw(1, (3000, 1500)), "JPEG"), 600)
    assert (picture.width, picture.height) == (600, 300)


def test_a_broken_picture_has_no_thumbnail_but_a_reason(explorer: Explorer, fill: Fill) -> None:
    folder = fill({"a.png": 1, "bad.png": b"x"})
    with pytest.raises(UnreadableImage, match="Not an image"):
        explorer.thumbnail(str(folder), "bad.png")


# ---- encoders


def test_few_models_stay_loaded(explorer: Explorer, tiny: str, tmp_path: Path) -> None:
    folders = [str(shutil.copytree(tiny, tmp_path / f"model{number}")) for number in range(5)]
    for folder in folders:
        explorer.encoder(folder)
    assert len(explorer._encoders) == 3
    assert explorer.encoder(folders[-1]) is explorer.encoder(folders[-1])


def test_the_batch_size_can_be_chosen(tiny: str) -> None:
    assert new_explorer(batch_size=3).encoder(tiny).batch_size == 3


# ---- against plain timm and numpy


def by_hand(gallery: np.ndarray[Any, Any], query: int) -> tuple[list[int], np.ndarray[Any, Any]]:
    scores = gallery @ gallery[query]
    order = [int(row) for row in np.argsort(-scores, kind="stable") if row != query]
    return order, scores


def assert_like_plain_timm(dataset: Dataset, explorer: Explorer, queries: list[int], reference: Any) -> None:
    """Hold neighbours against the reference's; where scores are within 1e-3 of each other, either order is right."""
    gallery = normalise(reference)
    model = "efficientnet-lite0"
    for query in queries:
        order, scores = by_hand(gallery, query)
        image_id = dataset.records[query].image_id
        inside = explorer.query(dataset.spec, [model], image_id=image_id)
        [found] = inside.results
        assert len(found.neighbours) == 5
        for place, neighbour in enumerate(found.neighbours):
            position = dataset.position_of[neighbour.image_id]
            assert neighbour.score == pytest.approx(scores[position], abs=1e-3)
            assert position == order[place] or abs(scores[position] - scores[order[place]]) < 1e-3
        outside = explorer.query(dataset.spec, [model], image=dataset.read(dataset.records[query]), k=6)
        assert outside.results[0].neighbours[0].score == pytest.approx(1, abs=1e-3)
        others = [n for n in outside.results[0].neighbours if n.image_id != image_id][:5]
        np.testing.assert_allclose([n.score for n in others], [n.score for n in found.neighbours], atol=1e-3)


@pytest.fixture
def loaded(lite0: Encoder) -> Explorer:
    """An explorer that has the default model loaded already."""
    explorer = new_explorer()
    explorer._encoders.put(lite0)
    return explorer


def test_neighbours_in_the_sample_are_those_of_plain_timm(loaded: Explorer) -> None:
    dataset = loaded.dataset("sample")
    embed(loaded, "sample", "efficientnet-lite0", limit=24)
    photos = [dataset.read(record) for record in dataset.records[:24]]
    reference = plain_timm(with_bundled_weights("tf_efficientnet_lite0", "efficientnet-lite0"), photos)
    assert_like_plain_timm(dataset, loaded, [0, 7, 23], reference)


@pytest.mark.slow
def test_neighbours_of_real_photos_are_those_of_plain_timm(loaded: Explorer, shared_photos: Path) -> None:
    spec = str(shared_photos / "grocery-val")
    embed(loaded, spec, "efficientnet-lite0")
    dataset = open_dataset(spec)
    photos = [dataset.read(record) for record in dataset.records]
    reference = plain_timm(with_bundled_weights("tf_efficientnet_lite0", "efficientnet-lite0"), photos)
    queries = list(range(0, len(dataset), len(dataset) // 20))[:20]
    assert len(queries) == 20
    assert_like_plain_timm(dataset, loaded, queries, reference)


def test_what_is_stored_is_what_the_encoder_gives(loaded: Explorer, lite0: Encoder, fill: Fill) -> None:
    dataset = open_dataset(str(fill({"a.png": 1})))
    [report] = embed(loaded, dataset.spec, "efficientnet-lite0")
    store = grid_store(loaded.settings.home, dataset, lite0)
    assert str(store.path) == report.store
    known = store.known(dataset.records[0])
    assert known
    alone = lite0.embed_images(lite0.preprocess(decode(png(1)))[None])
    np.testing.assert_allclose(store.embeddings([known.place]), alone, atol=1e-3)


# ---- where models differ


def test_disagreements_are_those_of_the_embeddings(explorer: Explorer, tiny: str, tiny_twin: str, fill: Fill) -> None:
    folder = fill({f"{number:02}.png": number for number in range(12)})
    embed(explorer, folder, tiny, tiny_twin)
    found = explorer.disagreements(str(folder), [tiny, tiny_twin], k=3)
    assert (found.looked_at, found.images, found.models) == (12, 12, (tiny, tiny_twin))
    nearest = []
    for model in (tiny, tiny_twin):
        cosines = explorer.space(str(folder), model).similarities(np.arange(12))
        np.fill_diagonal(cosines, -np.inf)
        nearest.append(np.argsort(-cosines, axis=1, kind="stable")[:, :3])
    for one in found.queries:
        first, second = (list(rows[int(one.image_id[:2])]) for rows in nearest)
        shared = [len({*first[:depth]} & {*second[:depth]}) / depth for depth in (1, 2, 3)]
        biased = shared[2] * 0.9**3 + 0.1 / 0.9 * sum(s * 0.9**d for d, s in enumerate(shared, start=1))
        assert one.overlap == pytest.approx(shared[2])
        assert one.disagreement == pytest.approx(1 - biased)
    assert found.queries


def test_disagreements_are_kept_until_more_is_embedded(
    explorer: Explorer, tiny: str, tiny_twin: str, fill: Fill
) -> None:
    folder = fill({f"{number}.png": number for number in range(6)})
    embed(explorer, folder, tiny, tiny_twin)
    found = explorer.disagreements(str(folder), [tiny, tiny_twin])
    assert explorer.disagreements(str(folder), [tiny, tiny_twin]) is found
    assert explorer.disagreements(str(folder), [tiny_twin, tiny]) is not found
    fill({"more.png": 99})
    embed(explorer, folder, tiny, tiny_twin)
    assert explorer.disagreements(str(folder), [tiny, tiny_twin]).images == 7


def test_disagreements_need_two_models(explorer: Explorer, tiny: str, fill: Fill) -> None:
    folder = fill({"a.png": 1, "b.png": 2})
    embed(explorer, folder, tiny)
    with pytest.raises(UserError, match="two models"):
        explorer.disagreements(str(folder), [tiny])
