"""Simulations say what the intervals and the tests are worth; the rest is arithmetic."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from visexplore.core.evaluation.confidence import Pair, compare_pairs, groups, holm, interval

Values = NDArray[np.float64]


def hits(right: int, queries: int) -> Values:
    return np.repeat([1.0, 0.0], [right, queries - right])


# ---- intervals


@pytest.mark.parametrize("queries", [100, 150, 200, 350, 500, 1000])
@pytest.mark.parametrize("rate", [0.5, 0.8, 0.95])
def test_the_interval_of_hits_holds_the_true_rate_95_times_in_100(rate: float, queries: int) -> None:
    """Exactly: the chance of each number of hits, summed over those whose interval holds the rate."""
    covered = 0.0
    for right in range(queries + 1):
        found = interval(hits(right, queries))
        if found.low <= rate <= found.high:
            ways = math.lgamma(queries + 1) - math.lgamma(right + 1) - math.lgamma(queries - right + 1)
            covered += math.exp(ways + right * math.log(rate) + (queries - right) * math.log(1 - rate))
    assert 0.93 <= covered <= 0.97


def like_map(none: float, full: float, a: float, b: float) -> Callable[[np.random.Generator, int], Values]:
    """Return what draws scores like those of MAP@R: some 0, some 1, the rest in between."""

    def draw(random: np.random.Generator, queries: int) -> Values:
        kind = random.random(queries)
        return np.where(kind < none, 0, np.where(kind > 1 - full, 1, random.beta(a, b, queries)))

    return draw


@pytest.mark.parametrize("queries", [30, 100, 400])
@pytest.mark.parametrize(
    ("none", "full", "a", "b"),
    [(0.2, 0.3, 2, 2), (0, 0, 0.5, 0.5), (0, 0, 2, 5), (0.3, 0, 0.5, 3), (0, 0.85, 2, 2), (0.8, 0, 2, 2)],
)
def test_the_interval_of_scores_in_between_holds_the_true_mean_95_times_in_100(
    none: float, full: float, a: float, b: float, queries: int
) -> None:
    draw, random = like_map(none, full, a, b), np.random.default_rng(0)
    truth = full + (1 - none - full) * a / (a + b)
    found = [interval(draw(random, queries)) for _ in range(3000)]
    assert 0.93 <= np.mean([one.low <= truth <= one.high for one in found]) <= 0.97


def test_it_does_so_where_a_bootstrap_does_not() -> None:
    random = np.random.default_rng(0)
    drawn = random.binomial(50, 0.98, size=2000)
    ours = np.mean([one.low <= 0.98 <= one.high for one in (interval(hits(right, 50)) for right in drawn)])
    resampled = np.quantile(random.binomial(50, drawn / 50, size=(2000, 2000)) / 50, [0.025, 0.975], axis=0)
    theirs = np.mean((resampled[0] <= 0.98) & (resampled[1] >= 0.98))
    assert theirs < 0.7
    assert ours > 0.9


@pytest.mark.parametrize("queries", [1, 10, 1000])
def test_all_right_and_all_wrong_leave_an_end_open(queries: int) -> None:
    right, wrong = interval(np.ones(queries)), interval(np.zeros(queries))
    assert (right.value, right.high, wrong.value, wrong.low) == (1, 1, 0, 0)
    assert right.low == pytest.approx(1 - wrong.high)
    # Wilson: queries / (queries + z^2)
    assert right.low == pytest.approx(queries / (queries + 1.959964**2))


def test_the_interval_of_hits_is_wilsons() -> None:
    """Numbers of Wallis 2013, "Binomial confidence intervals and contingency tests", for 5 and 50 of 10 and 100."""
    found = interval(hits(5, 10))
    assert (found.low, found.high) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    found = interval(hits(50, 100))
    assert (found.low, found.high) == pytest.approx((0.4038, 0.5962), abs=1e-4)


@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=60), level=st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_an_interval_is_within_bounds_and_around_the_mean(values: list[float], level: float) -> None:
    found = interval(np.array(values), level=level)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.value == np.mean(values)


@given(values=st.lists(st.floats(0, 1), min_size=2, max_size=60))
def test_more_confidence_takes_a_wider_interval(values: list[float]) -> None:
    less, more = (interval(np.array(values), level=level) for level in (0.8, 0.99))
    assert more.low <= less.low + 1e-12
    assert less.high <= more.high + 1e-12


@given(values=st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=60))
def test_the_interval_of_failures_mirrors_that_of_successes(values: list[float]) -> None:
    found, mirrored = interval(np.array(values)), interval(1 - np.array(values))
    assert (mirrored.low, mirrored.high) == pytest.approx((1 - found.high, 1 - found.low), abs=1e-9)


def test_no_queries_have_no_mean() -> None:
    assert np.isnan([interval(np.empty(0)).value, interval(np.empty(0)).low]).all()


# ---- pairs


def two_models(random: np.random.Generator, queries: int, differ: float, first: float = 0.5) -> dict[str, Values]:
    """Return hits of two models that differ on a share of the queries, where the first is right this often."""
    both = (random.random(queries) < 0.7).astype(float)
    kind = random.random(queries)
    differs = kind < differ
    a = np.where(differs, kind < differ * first, both)
    return {"a": a.astype(float), "b": np.where(differs, 1 - a, both).astype(float)}


@pytest.mark.parametrize(("queries", "differ"), [(50, 0.1), (100, 0.1), (100, 0.3), (1000, 0.05), (1000, 0.3)])
def test_equally_good_models_are_a_tie_95_times_in_100(queries: int, differ: float) -> None:
    random = np.random.default_rng(0)
    verdicts = [compare_pairs(two_models(random, queries, differ), resamples=500)[0].verdict for _ in range(500)]
    assert np.mean([verdict != "tie" for verdict in verdicts]) <= 0.07  # 0.05, and two deviations of 500 draws


def test_equally_good_models_of_scores_in_between_are_a_tie_95_times_in_100() -> None:
    random = np.random.default_rng(0)
    wrong = 0
    for _ in range(300):
        base = random.beta(0.7, 0.7, 200)
        noisy = {name: np.clip(base + 0.15 * random.standard_normal(200), 0, 1) for name in "ab"}
        wrong += compare_pairs(noisy, resamples=300)[0].verdict != "tie"
    assert wrong / 300 <= 0.075


def test_among_many_equally_good_models_hardly_any_pair_differs() -> None:
    """Holm holds the chance of any wrong verdict of the 15 at 5 %; uncorrected it is far more."""
    random = np.random.default_rng(0)
    any_wrong = any_uncorrected = 0
    for _ in range(200):
        base = random.random(200)
        models = {name: (base + 0.4 * random.random(200) > 0.5).astype(float) for name in "abcdef"}
        pairs = compare_pairs(models, resamples=500)
        any_wrong += any(pair.verdict != "tie" for pair in pairs)
        any_uncorrected += any(pair.p < 0.05 for pair in pairs)
    assert any_wrong / 200 <= 0.08
    assert any_uncorrected / 200 > 0.2


@pytest.mark.parametrize(("queries", "power"), [(100, 0.3), (300, 0.85), (1000, 0.99)])
def test_a_real_difference_is_found_the_surer_the_more_queries(queries: int, power: float) -> None:
    """6 points apart, on the tenth of the queries on which they differ at all."""
    random = np.random.default_rng(0)
    verdicts = [
        compare_pairs(two_models(random, queries, 0.1, first=0.8), resamples=500)[0].verdict for _ in range(200)
    ]
    assert np.mean([verdict == "better" for verdict in verdicts]) >= power
    assert "worse" not in verdicts


@pytest.mark.parametrize("queries", [100, 1000])
def test_the_interval_of_a_difference_holds_the_true_one_95_times_in_100(queries: int) -> None:
    random = np.random.default_rng(0)
    pairs = [compare_pairs(two_models(random, queries, 0.2, first=0.7), resamples=800)[0] for _ in range(1000)]
    assert 0.93 <= np.mean([pair.low <= 0.08 <= pair.high for pair in pairs]) <= 0.97


def test_pairing_finds_what_two_intervals_apart_do_not() -> None:
    values = two_models(np.random.default_rng(0), 1000, 0.06, first=0.85)
    [pair] = compare_pairs(values)
    assert interval(values["a"]).low < interval(values["b"]).high
    assert pair.verdict == "better"


@given(seed=st.integers(0, 999), differ=st.floats(0, 0.6))
@settings(max_examples=30)
def test_exchanging_the_models_turns_the_verdict_around(seed: int, differ: float) -> None:
    values = two_models(np.random.default_rng(seed), 80, differ, first=0.8)
    [there] = compare_pairs(values)
    [back] = compare_pairs({"b": values["b"], "a": values["a"]})
    assert back.difference == -there.difference
    assert back.p == pytest.approx(there.p, abs=0.03)
    assert -1 <= there.low <= there.difference <= there.high <= 1
    assert 0 < there.p <= there.p_holm <= 1


def test_the_p_value_is_about_that_of_the_exact_test() -> None:
    """McNemar: 15 against 3 of 18 queries that differ is 2 * sum of C(18, i) / 2^18 for i up to 3."""
    a, b = np.repeat([1.0, 0.0, 1.0], [15, 3, 182]), np.repeat([0.0, 1.0, 1.0], [15, 3, 182])
    exact = 2 * sum(math.comb(18, few) for few in range(4)) / 2**18
    [pair] = compare_pairs({"a": a, "b": b}, resamples=20_000)
    assert pair.p == pytest.approx(exact, rel=0.5)
    assert pair.p < exact * 1.2


def test_models_with_the_same_answers_are_a_tie() -> None:
    values = hits(70, 100)
    [pair] = compare_pairs({"a": values, "b": values})
    assert (pair.difference, pair.low, pair.high, pair.p, pair.verdict) == (0, 0, 0, 1, "tie")


@pytest.mark.parametrize(("queries", "verdict"), [(1, "tie"), (5, "tie"), (6, "better"), (100, "better")])
def test_all_right_against_all_wrong_needs_six_queries(queries: int, verdict: str) -> None:
    [pair] = compare_pairs({"a": np.ones(queries), "b": np.zeros(queries)})
    assert pair.verdict == verdict
    assert pair.p >= 2.0 ** (1 - queries)


def test_many_models_can_be_told_apart_with_few_resamples() -> None:
    """With 435 pairs, the smallest p-value that 2000 resamples can count is too large for Holm."""
    random = np.random.default_rng(0)
    models = {f"model {number}": (random.random(1000) < 0.3).astype(float) for number in range(29)}
    pairs = compare_pairs({**models, "best": (random.random(1000) < 0.6).astype(float)})
    assert {pair.verdict for pair in pairs if pair.b == "best"} == {"worse"}
    assert np.mean([pair.verdict == "tie" for pair in pairs if pair.b != "best"]) > 0.99


def test_the_same_seed_gives_the_same_numbers() -> None:
    values = {name: np.random.default_rng(ord(name)).random(700) for name in "ab"}
    assert compare_pairs(values, seed=3) == compare_pairs(values, seed=3)
    assert compare_pairs(values, seed=3) != compare_pairs(values, seed=4)


def test_drawing_kinds_of_queries_is_drawing_queries() -> None:
    """Few distinct answers are drawn by multinomial numbers, many one by one: the same distribution."""
    random = np.random.default_rng(0)
    few = {name: random.integers(0, 4, 2000) / 4 for name in "ab"}
    many = {name: values + 1e-9 * random.random(2000) for name, values in few.items()}
    [one], [other] = compare_pairs(few, resamples=20_000), compare_pairs(many, resamples=20_000)
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-3)
    assert one.p == pytest.approx(other.p, abs=0.02)


def test_models_must_have_answered_the_same_queries() -> None:
    with pytest.raises(ValueError, match="same queries"):
        compare_pairs({"a": np.ones(4), "b": np.ones(5)})


@pytest.mark.parametrize("values", [{}, {"a": np.ones(4)}, {"a": np.empty(0), "b": np.empty(0)}])
def test_without_two_models_or_any_queries_there_are_no_pairs(values: dict[str, Values]) -> None:
    assert compare_pairs(values) == []


def test_ten_models_on_ten_thousand_queries_take_a_few_seconds_at_most() -> None:
    random = np.random.default_rng(0)
    models = {str(number): random.random(10_000) for number in range(10)}
    started = time.process_time()
    compare_pairs(models)
    assert time.process_time() - started < 5  # 0.4 s as measured


# ---- Holm


def test_holm_corrects_as_in_his_paper() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_keeps_the_order_and_never_lowers(p_values: list[float]) -> None:
    corrected = holm(p_values)
    for (p, q), (other_p, other_q) in combinations(zip(p_values, corrected, strict=True), 2):
        assert (q <= other_q) if p < other_p else (q >= other_q)
    assert all(p <= q <= 1 for p, q in zip(p_values, corrected, strict=True))
    assert all(q <= p * len(p_values) + 1e-12 for p, q in zip(p_values, corrected, strict=True) if p == min(p_values))


# ---- letters


def pair(a: str, b: str, *, differs: bool) -> Pair:
    return Pair(a, b, 0.1, 0.0, 0.2, 0.5, 0.5, "better" if differs else "tie")


def pairs_of(names: str, differing: set[str]) -> list[Pair]:
    return [pair(a, b, differs=a + b in differing) for a, b in combinations(names, 2)]


@pytest.mark.parametrize(
    ("differing", "letters"),
    [
        (set(), ["a", "a", "a"]),
        ({"xy", "xz", "yz"}, ["a", "b", "c"]),
        ({"xz"}, ["a", "ab", "b"]),
        ({"xy", "xz"}, ["a", "b", "b"]),
        ({"xy", "yz"}, ["a", "b", "a"]),
    ],
)
def test_letters_of_three_models(differing: set[str], letters: list[str]) -> None:
    found = groups({"z": 0.1, "x": 0.9, "y": 0.5}, pairs_of("xyz", differing))
    assert list(found.items()) == list(zip("xyz", letters, strict=True))


@given(differs=st.lists(st.booleans(), min_size=28, max_size=28), models=st.integers(1, 8))
def test_two_models_share_a_letter_if_and_only_if_they_are_a_tie(differs: list[bool], models: int) -> None:
    names = "stuvwxyz"[:models]
    pairs = [pair(a, b, differs=apart) for (a, b), apart in zip(combinations(names, 2), differs, strict=False)]
    found = groups({name: -place for place, name in enumerate(names)}, pairs)
    for one in pairs:
        assert bool(set(found[one.a]) & set(found[one.b])) == (one.verdict == "tie")
    assert list(found) == list(names)
    assert found[names[0]].startswith("a")
    assert all(found.values())


def test_more_letters_than_the_alphabet_has_are_numbers() -> None:
    names = [f"model {number:02}" for number in range(28)]
    found = groups(
        {name: -place for place, name in enumerate(names)},
        [pair(a, b, differs=True) for a, b in combinations(names, 2)],
    )
    assert found["model 27"] == "(27)"
