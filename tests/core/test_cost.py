"""What embedding will cost, from what was measured on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visexplore.core.catalogue import Checkpoint, WeightsStatus, load_catalogue
from visexplore.core.cost import (
    ALLOWANCE,
    EmbeddingCost,
    KnownRates,
    Rate,
    embedding_cost,
    size_in_words,
    time_in_words,
    total,
    work,
)
from visexplore.core.explorer import Explorer
from visexplore.core.settings import Settings

CATALOGUE = load_catalogue()
CLIP = CATALOGUE.find("clip-vit-b32")
LITE0 = CATALOGUE.find("efficientnet-lite0")
LITE2 = CATALOGUE.find("efficientnet-lite2")
NOTHING_KNOWN = KnownRates()


def rate(of: Checkpoint, images_per_second: float, device: str = "cpu", **facts: object) -> Rate:
    return Rate(of.slug, device, images_per_second, work=work(of), **facts)  # type: ignore[arg-type]


def test_a_rate_of_the_whole_run_tells_the_time() -> None:
    rates = KnownRates((rate(LITE0, 100.0, overall_rate=50.0),))
    cost = embedding_cost(LITE0, WeightsStatus.BUNDLED, 700, rates)
    assert (cost.seconds, cost.is_guess) == (14.0, False)


def test_without_one_the_slower_of_model_and_decoding_does() -> None:
    held_up = rate(LITE0, 100.0, overall_rate=20.0, bottleneck="decoding")
    assert embedding_cost(LITE2, WeightsStatus.BUNDLED, 700, KnownRates((rate(LITE2, 70.0), held_up))).seconds == 35.0
    assert embedding_cost(LITE2, WeightsStatus.BUNDLED, 700, KnownRates((rate(LITE2, 70.0),))).seconds == 10.0


def test_a_pooling_is_as_fast_as_the_standard_one() -> None:
    gem = CATALOGUE.resolve("efficientnet-lite0@gem")
    assert embedding_cost(gem, WeightsStatus.BUNDLED, 700, KnownRates((rate(LITE0, 70.0),))).seconds == 10.0


def test_a_model_that_never_ran_here_is_guessed_from_the_one_nearest_in_work() -> None:
    double = Checkpoint(id="a", loader="timm", input_size=224, parameters_m=10.0)
    half = Checkpoint(id="b", loader="timm", input_size=224, parameters_m=5.0)
    far = Checkpoint(id="c", loader="timm", input_size=224, parameters_m=1000.0)
    rates = KnownRates((rate(far, 7.0), rate(half, 100.0)))
    cost = embedding_cost(double, WeightsStatus.ON_DISK, 100, rates)
    assert (cost.seconds, cost.is_guess) == (pytest.approx(2.0), True)


def test_where_nothing_was_measured_the_time_is_left_out() -> None:
    cost = embedding_cost(CLIP, WeightsStatus.TO_DOWNLOAD, 713, NOTHING_KNOWN)
    assert cost.seconds is None
    assert cost.line() == ("713 images: about 1.7 GB memory, 730 kB on disk, download 605 MB, licence MIT")


def test_all_of_it_in_words() -> None:
    cost = EmbeddingCost(713, 840.0, False, 3_100_000_000, 5_000_000, 1_200_000_000, "CC-BY-NC-4.0")
    assert cost.line() == (
        "713 images: about 14 min, about 3.1 GB memory, 5.0 MB on disk, download 1.2 GB, licence CC-BY-NC-4.0"
    )


def test_what_is_not_known_is_not_told() -> None:
    mine = Checkpoint(id="mine", loader="timm")
    assert embedding_cost(mine, WeightsStatus.ON_DISK, 1, NOTHING_KNOWN).line() == "1 image"
    assert "a download of unknown size" in embedding_cost(mine, WeightsStatus.TO_DOWNLOAD, 1, NOTHING_KNOWN).words()


def test_a_guess_is_called_one() -> None:
    cost = embedding_cost(CLIP, WeightsStatus.ON_DISK, 100, KnownRates((rate(LITE0, 100.0),)))
    assert cost.words().startswith("about 7 s (a guess), ")


def test_memory_is_what_was_measured_else_parameters_and_an_allowance() -> None:
    million = Checkpoint(id="a", loader="timm", parameters_m=100.0, image_tower_parameters_m=50.0)
    of = lambda rates: embedding_cost(million, WeightsStatus.ON_DISK, 1, KnownRates(rates)).memory  # noqa: E731
    assert of(()) == of((rate(LITE0, 1.0),)) == 200_000_000 + ALLOWANCE
    assert of((rate(LITE0, 1.0, "cuda:0"),)) == 100_000_000 + ALLOWANCE
    assert of((rate(million, 1.0, "cuda:0", device_memory=7),)) == 7


def test_rates_of_another_device_do_not_count() -> None:
    measured = [rate(LITE0, 500.0, "cuda:0"), rate(LITE0, 50.0), rate(LITE2, 40.0)]
    assert [one.model_rate for one in KnownRates.on("cpu", measured).measured] == [50.0, 40.0]
    assert [one.model_rate for one in KnownRates.on("cuda", measured).measured] == [500.0]
    assert [one.model_rate for one in KnownRates.on("auto", measured).measured] == [500.0], "the last that was used"
    assert KnownRates.on("auto", []).measured == ()


def test_several_models_cost_their_sum() -> None:
    rates = KnownRates((rate(LITE0, 100.0), rate(LITE2, 50.0)))
    costs = [embedding_cost(model, WeightsStatus.BUNDLED, 100, rates) for model in (LITE0, LITE2)]
    together = total(costs)
    assert (together.images, together.seconds, together.download) == (200, 3.0, 0)
    assert together.disk == 2 * 100 * 1280 * 2
    unknown = embedding_cost(CLIP, WeightsStatus.TO_DOWNLOAD, 100, NOTHING_KNOWN)
    assert (total([*costs, unknown]).seconds, total([*costs, unknown]).download) == (None, 605_000_000)


# Multiplications for an image in billions, from the papers or timm's benchmark tables.
@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("clip-vit-b32", 4.4), ("clip-vit-b16", 17.6), ("clip-vit-l14-336", 191.0), ("vit-b16-in21k", 17.6),
        ("convnext-tiny", 4.5), ("convnext-large-384", 101.0), ("swinv2-tiny", 5.9), ("maxvit-tiny", 5.6),
        ("deit-tiny", 1.3), ("eva-giant", 267.0), ("davit-tiny", 4.5), ("efficientnet-b7-ns", 38.0),
    ],
)  # fmt: skip
def test_the_work_of_a_model_is_about_that_of_its_paper(name: str, billions: float) -> None:
    assert 0.4 < (work(CATALOGUE.find(name)) or 0) / (billions * 1e9) < 2.7


def test_the_work_of_every_model_of_the_catalogue_is_known() -> None:
    assert [checkpoint.slug for checkpoint in CATALOGUE.checkpoints if work(checkpoint) is None] == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"), (7.2, "8 s"), (33, "35 s"), (89.9, "90 s"), (125, "2 min"), (840, "14 min"), (5400, "1.5 h"),
        (36_000, "10 h"), (400_000, "5 days"),
    ],
)  # fmt: skip
def test_times_are_as_exact_as_an_estimate_is(seconds: float, words: str) -> None:
    assert time_in_words(seconds) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 kB"), (10, "1 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"), (9_949_999, "9.9 MB"), (605e6, "605 MB"),
        (999_600_000, "1.0 GB"), (1.25e12, "1,250.0 GB"),
    ],
)  # fmt: skip
def test_sizes(size: float, words: str) -> None:
    assert size_in_words(int(size)) == words


@given(st.floats(0, 1e9))
def test_longer_times_never_have_smaller_words(seconds: float) -> None:
    def read(words: str) -> float:
        number, unit = words.replace(",", "").split()
        return float(number) * {"s": 1, "min": 60, "h": 3600, "days": 86400}[unit]

    assert read(time_in_words(seconds)) == pytest.approx(seconds, rel=0.26, abs=5)
    assert read(time_in_words(seconds)) <= read(time_in_words(seconds * 1.3 + 10))


def test_the_explorer_counts_only_images_that_are_missing(tmp_path: Path) -> None:
    explorer = Explorer(Settings(tmp_path, tmp_path / "models.toml", offline=True), device="cpu", batch_size=4)
    for _ in explorer.embed("sample", ["efficientnet-lite0"], limit=12):
        pass
    everything = len(explorer.dataset("sample"))
    cost = explorer.cost("sample", "efficientnet-lite0")
    assert (cost.images, cost.is_guess, (cost.seconds or 0) > 0) == (everything - 12, False, True)
    assert explorer.cost("sample", "efficientnet-lite0", limit=12).images == 0
    other = explorer.cost("sample", "efficientnet-lite1")
    assert (other.images, other.is_guess, (other.seconds or 0) > 0) == (everything, True, True)
