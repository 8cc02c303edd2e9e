from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.core.evaluation.conftest import Embedded
from tests.core.evaluation.spaces import TableSpace, clustered_vectors, random_vectors
from visexplore.core.encoders.encoder import normalise
from visexplore.core.errors import UnknownModel, UserError
from visexplore.core.evaluation.scores import Protocol, QueryScores, score
from visexplore.core.evaluation.space import EmbeddingSpace, Space
from visexplore.core.evaluation.virtual import Method, Virtual, build, bytes_of, parse, principal


def embedding(images: int = 60, dim: int = 24, seed: int = 0, name: str = "a") -> EmbeddingSpace:
    return EmbeddingSpace(name, np.arange(images), random_vectors(images, dim, seed))


def made(name: str, **spaces: Space) -> Space:
    for key, space in spaces.items():
        space.name = key
    virtual = parse(name)
    assert virtual is not None
    return build(virtual, spaces.__getitem__)


def all_similarities(space: Space) -> NDArray[np.float32]:
    return space.similarities(np.arange(len(space.positions)))


# ---- names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rrf:a,b", Virtual("rrf", ("a", "b"))),
        ("mean:a,b,c", Virtual("mean", ("a", "b", "c"))),
        ("pca:64:a", Virtual("pca", ("a",), 64)),
        ("int8:pca:128:efficientnet-lite0", Virtual("int8", (Virtual("pca", ("efficientnet-lite0",), 128),))),
        ("rrf:pca:64:x,y", Virtual("rrf", (Virtual("pca", ("x",), 64), "y"))),
        ("rrf:(mean:a,b),c", Virtual("rrf", (Virtual("mean", ("a", "b")), "c"))),
        ("binary:open_clip:ViT-B-32/openai", Virtual("binary", ("open_clip:ViT-B-32/openai",))),
        ("rrf:timm:vit.x@cls+mean , vectors:/a b/v.npy", Virtual("rrf", ("timm:vit.x@cls+mean", "vectors:/a b/v.npy"))),
        ("rrf:(vectors:a,b.npy),c", Virtual("rrf", ("vectors:a,b.npy", "c"))),
        ("rrf:vectors:a (1).npy,c", Virtual("rrf", ("vectors:a (1).npy", "c"))),
        ("int8:vectors:a,b.npy", Virtual("int8", ("vectors:a,b.npy",))),
        ("RRF:a,PCA:8:b", Virtual("rrf", ("a", Virtual("pca", ("b",), 8)))),
    ],
)
def test_a_name_says_what_is_made_of_what(name: str, expected: Virtual) -> None:
    assert parse(name) == expected


@pytest.mark.parametrize(
    "name", ["efficientnet-lite0", "timm:rrf", "baseline:colour", "vectors:rrf:a,b", "rrf", "/rrf:a", ""]
)
def test_names_of_other_models_are_no_virtual_ones(name: str) -> None:
    assert parse(name) is None


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("rrf:a", "'rrf:a' fuses two models or more. Write rrf:A,B"),
        ("mean:(rrf:a,b)", "fuses two models or more"),
        ("rrf:", "lacks the name of a model"),
        ("rrf:a,,b", "lacks the name of a model"),
        ("int8:", "lacks the name of a model"),
        ("pca:64:", "lacks the name of a model"),
        ("pca:a", "does not say how many dimensions"),
        ("pca:-4:a", "does not say how many dimensions"),
        ("pca:\u00b2:a", "does not say how many dimensions"),
        (f"pca:{'9' * 5000}:a", "does not say how many dimensions"),
        ("pca:0:a", "keeps no dimension"),
        ("pca:8:rrf:a,b", "needs vectors, and rrf:a,b has none"),
        ("int8:mean:a,b", "needs vectors"),
        ("rrf:(mean:a,b,c", "parenthesis without its counterpart"),
        ("rrf:a),b", "parenthesis without its counterpart"),
    ],
)
def test_a_name_that_begins_as_one_and_is_none_is_told(name: str, sentence: str) -> None:
    with pytest.raises(UnknownModel) as raised:
        parse(name)
    assert sentence in str(raised.value)


def _balanced(name: str) -> bool:
    depths = np.cumsum([(char == "(") - (char == ")") for char in name])
    return bool(depths.min() >= 0 and depths[-1] == 0)


_NAMES = st.text("ab:/@+.,() -", min_size=1, max_size=12).filter(
    lambda name: name == name.strip() and _balanced(name) and parse(name) is None
)
_VECTORS = st.recursive(
    _NAMES,
    lambda inner: st.one_of(
        st.builds(lambda part, dim: Virtual("pca", (part,), dim), inner, st.integers(1, 999_999_999)),
        st.builds(lambda part, method: Virtual(method, (part,)), inner, st.sampled_from(["int8", "binary"])),
    ),
    max_leaves=3,
)
_FUSIONS = st.recursive(
    st.builds(lambda a, b: Virtual("rrf", (a, b)), _VECTORS, _VECTORS),
    lambda inner: st.builds(
        lambda method, parts: Virtual(method, tuple(parts)),
        st.sampled_from(["rrf", "mean"]),
        st.lists(inner | _VECTORS, min_size=2, max_size=3),
    ),
    max_leaves=4,
)


@settings(max_examples=300)
@given(_FUSIONS | _VECTORS.filter(lambda part: isinstance(part, Virtual)))
def test_any_virtual_model_is_found_again_by_its_name(virtual: Virtual) -> None:
    assert parse(str(virtual)) == virtual


@given(st.text("rfmeanpci8:,()0 b", max_size=20), st.sampled_from(["rrf:", "mean:", "pca:", "int8:", "binary:", ""]))
def test_any_text_is_understood_or_refused(text: str, prefix: str) -> None:
    try:
        virtual = parse(prefix + text)
    except UnknownModel:
        return
    assert virtual is None or parse(str(virtual)) == virtual


def test_the_models_it_is_made_of_are_named_once() -> None:
    virtual = parse("rrf:a,(mean:pca:8:b,a),int8:c")
    assert virtual is not None
    assert virtual.models == ("a", "b", "c")


def test_a_model_is_asked_for_once() -> None:
    asked: list[str] = []

    def space_of(name: str) -> Space:
        asked.append(name)
        return embedding(name=name)

    build(cast("Virtual", parse("rrf:a,pca:8:a,(mean:a,pca:8:a)")), space_of)
    assert asked == ["a"]


def test_an_error_of_a_part_is_told() -> None:
    def space_of(name: str) -> Space:
        raise UnknownModel(f"There is no {name}")

    with pytest.raises(UnknownModel, match="There is no b"):
        build(Virtual("int8", ("b",)), space_of)


# ---- what a space has


@pytest.mark.parametrize(
    ("name", "dim", "size"),
    [
        ("pca:8:a", 8, 16.0),
        ("int8:a", 20, 20.0),
        ("binary:a", 20, 3.0),  # whole bytes
        ("int8:pca:8:a", 8, 8.0),
        ("rrf:a,b", None, 40.0 + 24.0),
        ("mean:int8:a,binary:b", None, 20.0 + 2.0),
        ("rrf:a,a,b", None, 40.0 + 24.0),  # one index is enough for both
    ],
)
def test_name_dimensions_and_bytes(name: str, dim: int | None, size: float) -> None:
    space = made(name, a=embedding(dim=20), b=embedding(dim=12))
    assert (space.name, space.dim, space.bytes_per_image) == (name, dim, size)


@pytest.mark.parametrize("method", ["rrf", "mean"])
def test_a_fusion_covers_what_all_its_parts_cover(method: Method) -> None:
    a = EmbeddingSpace("a", np.array([0, 2, 3, 7]), random_vectors(4, 8, 1))
    b = EmbeddingSpace("b", np.array([2, 3, 5, 7, 9]), random_vectors(5, 8, 2))
    space = made(f"{method}:a,b", a=a, b=b)
    assert space.positions.tolist() == [2, 3, 7]
    inner = made(
        f"{method}:a,b",
        a=EmbeddingSpace("a", np.arange(3), a.vectors[[1, 2, 3]]),
        b=EmbeddingSpace("b", np.arange(3), b.vectors[[0, 1, 3]]),
    )
    np.testing.assert_allclose(all_similarities(space), all_similarities(inner), atol=1e-6)


@pytest.mark.parametrize("method", ["rrf", "mean"])
@pytest.mark.parametrize("shared", [0, 1])
def test_a_fusion_of_no_or_one_image_is_possible(method: Method, shared: int) -> None:
    a = EmbeddingSpace("a", np.arange(4), random_vectors(4, 8))
    b = EmbeddingSpace("b", np.arange(4 - shared, 8 - shared), random_vectors(4, 8))
    assert all_similarities(made(f"{method}:a,b", a=a, b=b)).shape == (shared, shared)


@pytest.mark.parametrize("name", ["pca:4:a", "int8:a", "binary:a"])
def test_vectors_of_nothing_stay_nothing(name: str) -> None:
    assert len(made(name, a=embedding(0)).positions) == 0


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("pca:25:a", "cannot keep 25 dimensions: a has 24"), ("int8:pca:9:t", "needs vectors, and t has none")],
)
def test_what_cannot_be_made_is_told(name: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        made(name, a=embedding(), t=TableSpace(np.eye(3)))


# ---- pca


def test_principal_components_are_those_of_scikit_learn() -> None:
    from sklearn.decomposition import PCA

    skewed = np.random.default_rng(0).standard_normal((300, 20)) * np.linspace(3, 0.2, 20) + 0.7
    vectors = normalise(skewed)
    expected = normalise(PCA(6, svd_solver="full").fit_transform(vectors.astype(np.float64)))
    found = principal(vectors, 6)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-5)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-5)


def test_all_dimensions_are_the_centred_cosine() -> None:
    vectors = random_vectors(200, 16)
    centred = normalise(vectors - vectors.mean(axis=0, dtype=np.float64))
    found = principal(vectors, 16)
    np.testing.assert_allclose(found @ found.T, centred @ centred.T, atol=1e-5)


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = random_vectors(100, 16)
    whole = principal(vectors, 5)
    monkeypatch.setattr("visexplore.core.evaluation.virtual._BLOCK_ROWS", 7)
    np.testing.assert_allclose(np.abs(principal(vectors, 5)), np.abs(whole), atol=1e-5)


@pytest.mark.parametrize("name", ["pca:5:a", "int8:a", "binary:a", "rrf:a,b", "mean:a,b"])
def test_copies_stay_as_near(name: str) -> None:
    kinds = np.random.default_rng(0).integers(0, 9, 120)
    a, b = (EmbeddingSpace(key, np.arange(120), random_vectors(9, 33, seed)[kinds]) for seed, key in enumerate("ab"))
    similarities = all_similarities(made(name, a=a, b=b))
    first = [int(np.flatnonzero(kinds == kind)[0]) for kind in kinds]
    np.testing.assert_array_equal(similarities, similarities[:, first])


def test_images_that_are_all_the_same_point_nowhere() -> None:
    same = np.repeat(random_vectors(1, 48), 30, axis=0)
    assert not principal(same, 8).any()


def test_memory_is_that_of_the_result_and_a_few_blocks() -> None:
    vectors = random_vectors(60_000, 64)
    tracemalloc.start()
    principal(vectors, 4)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < vectors.nbytes


# ---- int8 and binary


@given(seed=st.integers(0, 50), dim=st.integers(1, 80))
def test_bytes_are_whole_numbers_up_to_127(seed: int, dim: int) -> None:
    vectors = random_vectors(7, dim, seed)
    codes = bytes_of(vectors)
    whole = codes * (127 / np.abs(codes).max(axis=1, keepdims=True))
    np.testing.assert_allclose(whole, np.rint(whole), atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(codes, axis=1), 1, atol=1e-6)


def test_bytes_change_cosines_little() -> None:
    vectors = random_vectors(300, 128)
    exact, codes = vectors @ vectors.T, bytes_of(vectors)
    error = np.abs(codes @ codes.T - exact).max()
    assert 1e-5 < error < 0.01


def test_zeros_stay_zeros_in_bytes() -> None:
    assert not bytes_of(np.zeros((2, 4), np.float32)).any()


def test_similarity_of_bits_is_one_minus_two_hamming_by_dim_to_the_last_bit() -> None:
    space = embedding(80, 37)
    bits = space.vectors > space.vectors.mean(axis=0, dtype=np.float64)
    hamming = (bits[:, None] != bits[None]).sum(axis=2)
    expected = (37 - 2 * hamming).astype(np.float32) / np.float32(37)
    binary = made("binary:a", a=space)
    np.testing.assert_array_equal(all_similarities(binary), expected)
    some = np.array([3, 40, 41])
    np.testing.assert_array_equal(binary.between(some, some[:2]), expected[np.ix_(some, some[:2])])
    np.testing.assert_array_equal(binary.of_pairs(some, some[::-1]), expected[some, some[::-1]])


def test_bits_tell_numbers_that_are_never_negative_apart() -> None:
    positive = EmbeddingSpace("a", np.arange(90), np.abs(random_vectors(90, 32)))
    assert np.std(all_similarities(made("binary:a", a=positive))) > 0.1


# ---- fusions


def ranks(row: NDArray[np.floating]) -> NDArray[np.float64]:
    from scipy.stats import rankdata

    return cast("NDArray[np.float64]", rankdata(-row, method="average"))


@given(
    table=st.lists(st.lists(st.integers(0, 5), min_size=6, max_size=6), min_size=12, max_size=12),
    scale=st.sampled_from([1.0, 0.5, 40.0]),
)
def test_reciprocal_ranks_are_summed_and_ties_share_their_mean_rank(table: list[list[int]], scale: float) -> None:
    both = np.array(table, np.float64).reshape(2, 6, 6)
    space = made("rrf:a,b", a=TableSpace(both[0]), b=TableSpace(both[1] * scale))
    expected = [1 / (60 + ranks(one)) + 1 / (60 + ranks(other)) for one, other in zip(*both, strict=True)]
    np.testing.assert_array_equal(all_similarities(space), np.array(expected).astype(np.float32))


def test_chunks_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    spaces = {"a": embedding(90, seed=1), "b": embedding(90, seed=2)}
    for method in ("rrf", "mean"):
        monkeypatch.undo()
        whole = all_similarities(made(f"{method}:a,b", **spaces))
        monkeypatch.setattr("visexplore.core.evaluation.virtual._CHUNK_FLOATS", 200)
        np.testing.assert_array_equal(all_similarities(made(f"{method}:a,b", **spaces)), whole)


def test_similarities_are_standardised_for_each_query_before_the_mean() -> None:
    a, b = embedding(40, seed=1), embedding(40, seed=2)
    expected = np.mean(
        [
            (cosines - cosines.mean(axis=1, keepdims=True)) / cosines.std(axis=1, keepdims=True)
            for cosines in (all_similarities(space).astype(np.float64) for space in (a, b))
        ],
        axis=0,
    )
    np.testing.assert_allclose(all_similarities(made("mean:a,b", a=a, b=b)), expected, atol=1e-5)


@given(factor=st.floats(1e-3, 1e3), shift=st.floats(-5, 5))
def test_the_range_of_a_part_does_not_change_the_mean(factor: float, shift: float) -> None:
    random = np.random.default_rng(0)
    one, other = random.random((20, 20)), random.random((20, 20))
    plain = made("mean:a,b", a=TableSpace(one), b=TableSpace(other))
    scaled = made("mean:a,b", a=TableSpace(one * factor + shift * factor), b=TableSpace(other))
    np.testing.assert_allclose(all_similarities(scaled), all_similarities(plain), atol=1e-4)


def test_a_part_under_which_all_is_equally_near_says_nothing() -> None:
    other = np.random.default_rng(0).random((9, 9))
    fused = made("mean:a,b", a=TableSpace(np.full((9, 9), 0.1)), b=TableSpace(other))
    expected = (other - other.mean(axis=1, keepdims=True)) / other.std(axis=1, keepdims=True) / 2
    np.testing.assert_allclose(all_similarities(fused), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["rrf:a,b", "mean:a,b", "rrf:(mean:a,b),b"])
def test_only_the_gallery_counts_for_its_ranking(name: str) -> None:
    """Another split's images are in no index that is searched."""
    a, b = embedding(50, seed=1), embedding(50, seed=2)
    gallery = np.arange(10, 50, 3)
    whole = made(name, a=a, b=b)
    queries = np.arange(5)
    found = whole.nearest(queries, gallery, (np.empty(0, np.int64), np.empty(0, np.int64)), 4)
    kept = np.concatenate([gallery, queries])
    part = made(
        name,
        **{k: EmbeddingSpace(k, np.arange(len(kept)), s.vectors[kept]) for k, s in (("a", a), ("b", b))},
    )
    among: Callable[..., NDArray[np.float32]] = part.among  # type: ignore[attr-defined]
    expected = among(np.arange(len(gallery), len(kept)), np.arange(len(gallery)))
    np.testing.assert_array_equal(found, np.argsort(-expected, axis=1, kind="stable")[:, :4])


def test_what_is_left_out_comes_last() -> None:
    space = made("rrf:a,b", a=embedding(12, seed=1), b=embedding(12, seed=2))
    rows = np.arange(12)
    found = space.nearest(rows, rows, (rows, rows), 12)
    np.testing.assert_array_equal(found[:, -1], rows)


def _scored(space: Space, labels: NDArray[np.int32]) -> QueryScores:
    everything = np.arange(len(labels))
    return score(space, Protocol(labels, everything, everything))


def test_fusing_two_models_with_errors_of_their_own_is_better_than_either() -> None:
    labels = np.repeat(np.arange(20, dtype=np.int32), 10)
    parts = {
        name: EmbeddingSpace(name, np.arange(200), clustered_vectors(labels, 32, 1.3, seed))
        for seed, name in enumerate("ab")
    }
    best = max(_scored(part, labels).mean("map_at_r") for part in parts.values())
    for method in ("rrf", "mean"):
        assert _scored(made(f"{method}:a,b", **parts), labels).mean("map_at_r") > best + 0.05


def test_on_real_pictures_bytes_keep_the_scores_and_bits_most_of_them(sample: Embedded) -> None:
    def of(space: Space) -> float:
        return _scored(space, sample.labels).mean("map_at_r")

    whole, a = of(sample.space), {"a": EmbeddingSpace("a", sample.space.positions, sample.space.vectors)}
    assert of(made("int8:a", **a)) == pytest.approx(whole, abs=0.01)
    assert of(made("binary:a", **a)) == pytest.approx(whole, abs=0.05)
    assert of(made("pca:128:a", **a)) == pytest.approx(whole, abs=0.02)
