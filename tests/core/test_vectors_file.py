"""Own vectors from files, and embeddings written for other programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from visexplore.core.catalogue import load_catalogue
from visexplore.core.datasets import Dataset, ImageRecord
from visexplore.core.embedding.vectors_file import read_vectors, write_vectors
from visexplore.core.encoders import load_encoder
from visexplore.core.errors import CannotLoadModel, StorageError, UnknownModel, UserError
from visexplore.core.explorer import Explorer
from visexplore.core.settings import Settings

IDS = ["a/1.jpg", "a/2.jpg", "b/3.jpg"]
KINDS = [".npy", ".npz", ".parquet", ".safetensors"]


def dataset_of(ids: list[str]) -> Dataset:
    return Dataset("folder:/x", "x", "x", [ImageRecord(name, f"/photos/{name}", 1, 0) for name in ids])


DATASET = dataset_of(IDS)
VECTORS = np.array([[3, 4, 0], [0, 2, 0], [1, 0, 0]], np.float32)
UNIT = np.array([[0.6, 0.8, 0], [0, 1, 0], [1, 0, 0]], np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_back_at_length_one_in_any_order(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"mine{kind}"
    write_vectors(file, IDS[::-1], [None] * 3, VECTORS[::-1])
    found = read_vectors(file, DATASET)
    assert found.positions.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.vectors, UNIT, atol=1e-6)
    assert (found.unknown, found.missing) == (0, 0)


@settings(max_examples=30, deadline=None)
@given(ids=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=5, unique=True))
@pytest.mark.parametrize("kind", [".parquet", ".safetensors"])
def test_any_id_survives(tmp_path_factory: pytest.TempPathFactory, kind: str, ids: list[str]) -> None:
    file = tmp_path_factory.mktemp("ids") / f"mine{kind}"
    vectors = np.eye(len(ids), 8, dtype=np.float32)
    write_vectors(file, ids, [None] * len(ids), vectors)
    found = read_vectors(file, dataset_of(ids))
    np.testing.assert_array_equal(found.vectors, vectors)


def test_images_without_a_vector_and_vectors_without_an_image_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "mine.npz"
    np.savez(file, ids=["b/3.jpg", "gone.jpg", "a/1.jpg"], embeddings=VECTORS)
    found = read_vectors(file, DATASET)
    assert found.positions.tolist() == [0, 2]
    assert (found.unknown, found.missing) == (1, 1)


def test_a_vector_of_zeros_is_as_none(tmp_path: Path) -> None:
    file = tmp_path / "mine.npy"
    np.save(file, VECTORS * [[1], [0], [1]])
    assert read_vectors(file, DATASET).positions.tolist() == [0, 2]


def test_an_array_alone_is_in_the_order_of_the_dataset(tmp_path: Path) -> None:
    file = tmp_path / "mine.npy"
    np.save(file, VECTORS)
    np.testing.assert_allclose(read_vectors(file, DATASET).vectors, UNIT, atol=1e-6)


def test_ids_may_be_paths_of_the_files(tmp_path: Path) -> None:
    file = tmp_path / "mine.npz"
    np.savez(file, path=["/photos/b/3.jpg"], vectors=VECTORS[:1])
    assert read_vectors(file, DATASET).positions.tolist() == [2]


def test_parquet_of_other_programs_is_read(tmp_path: Path) -> None:
    file = tmp_path / "mine.parquet"
    pq.write_table(pa.table({"filename": IDS, "feature": [[1.0, 0], [0, 1.0], None]}), file)
    assert read_vectors(file, DATASET).positions.tolist() == [0, 1]


def test_safetensors_may_have_their_ids_beside_them(tmp_path: Path) -> None:
    save_file({"features": VECTORS}, tmp_path / "mine.safetensors")
    (tmp_path / "mine.ids.txt").write_text("\n".join(IDS[::-1]))
    assert read_vectors(tmp_path / "mine.safetensors", DATASET).vectors[2].tolist() == pytest.approx([0.6, 0.8, 0])


def _npy(array: object, **beside: str) -> object:
    def write(folder: Path) -> Path:
        np.save(folder / "bad.npy", np.asarray(array), allow_pickle=True)
        for text in beside.values():
            (folder / "bad.ids.txt").write_text(text)
        return folder / "bad.npy"

    return write


def _bytes(name: str, data: bytes) -> object:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return write


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        pytest.param(_npy(np.ones(3)), "shape", id="one dimension"),
        pytest.param(_npy(np.ones((0, 4))), "shape", id="no rows"),
        pytest.param(_npy(np.ones((2, 4))), "2 vectors without ids, and x has 3 images", id="too few"),
        pytest.param(_npy(np.full((3, 4), np.nan)), "not finite", id="nan"),
        pytest.param(_npy([["a", "b"]] * 3), "shape", id="words"),
        pytest.param(_npy(np.array([{}, 1, 2], object)), "cannot be read", id="pickled objects"),
        pytest.param(_npy(np.ones((2, 4)), ids="a/1.jpg\n"), "2 vectors and 1 ids", id="fewer ids"),
        pytest.param(_npy(np.ones((2, 4)), ids="a/1.jpg\na/1.jpg\n"), "two vectors of 'a/1.jpg'", id="twice"),
        pytest.param(_npy(np.ones((1, 4)), ids="z.jpg\n"), "has 'z.jpg', the dataset 'a/1.jpg'", id="other ids"),
        pytest.param(_bytes("bad.npy", b"broken"), "cannot be read", id="broken npy"),
        pytest.param(_bytes("bad.npz", b"broken"), "cannot be read", id="broken npz"),
        pytest.param(_bytes("bad.parquet", b"broken"), "cannot be read", id="broken parquet"),
        pytest.param(_bytes("bad.safetensors", b"broken"), "cannot be read", id="broken safetensors"),
        pytest.param(_bytes("bad.csv", b"1,2"), "no file of vectors", id="another kind"),
        pytest.param(lambda folder: folder / "gone.npy", "No such file", id="no file"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(tmp_path: Path, write: object, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        read_vectors(write(tmp_path), DATASET)  # type: ignore[operator]
    assert sentence in str(caught.value)


def test_a_parquet_file_without_vectors_tells_its_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image_id": IDS, "size": [1, 2, 3]}), tmp_path / "mine.parquet")
    with pytest.raises(UserError, match="image_id, size"):
        read_vectors(tmp_path / "mine.parquet", DATASET)


def test_a_file_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write_vectors(tmp_path / "file" / "x.npz", IDS, [None] * 3, VECTORS)
    with pytest.raises(UserError, match="no file of vectors"):
        write_vectors(tmp_path / "x.csv", IDS, [None] * 3, VECTORS)
    with pytest.raises(UserError, match="line break"):
        write_vectors(tmp_path / "x.npy", ["a\nb"], [None], VECTORS[:1])
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_ids_with_quotes_are_json_in_safetensors(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    write_vectors(file, ['"a"'], [None], VECTORS[:1])
    from safetensors import safe_open

    with safe_open(file, framework="np") as tensors:
        assert json.loads(tensors.metadata()["ids"]) == ['"a"']


def test_own_vectors_are_searched_and_compared_like_a_model(tmp_path: Path) -> None:
    explorer = Explorer(Settings(tmp_path, tmp_path / "models.toml", offline=True), device="cpu")
    list(explorer.embed("sample", ["efficientnet-lite0"]))
    space = explorer.space("sample", "efficientnet-lite0")
    records = explorer.dataset("sample").records
    write_vectors(tmp_path / "mine.npz", [r.image_id for r in records], [None] * len(records), space.vectors)  # type: ignore[attr-defined]
    name = f"vectors:{tmp_path / 'mine.npz'}"
    *_, found = explorer.compare("sample", ["efficientnet-lite0", name], baselines=False)
    one, own = found.models  # type: ignore[union-attr]
    assert own.kind == "vectors"
    assert own.scores == one.scores
    asked = explorer.query("sample", ["efficientnet-lite0", name], image_id=records[3].image_id)
    first, second = ([hit.image_id for hit in result.neighbours] for result in asked.results)
    assert first == second
    with pytest.raises(CannotLoadModel, match="can embed nothing further"):
        explorer.query("sample", [name], image=explorer.dataset("sample").read(records[0]))


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    explorer = Explorer(Settings(tmp_path, tmp_path / "models.toml", offline=True), device="cpu")
    records = explorer.dataset("sample").records
    file = tmp_path / "mine.npy"
    np.save(file, np.eye(len(records), dtype=np.float32))
    assert explorer.space("sample", f"vectors:{file}").dim == len(records)
    np.save(file, np.ones((len(records), 3), np.float32))
    assert explorer.space("sample", f"vectors:{file}").dim == 3


def test_a_missing_file_is_an_unknown_model() -> None:
    with pytest.raises(UnknownModel, match="no file"):
        load_catalogue().resolve("vectors:/nowhere/x.npy")


def test_a_file_of_vectors_is_no_encoder(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", VECTORS)
    checkpoint = load_catalogue().resolve(f"vectors:{tmp_path / 'x.npy'}")
    assert load_catalogue().resolve(checkpoint.key) == checkpoint
    with pytest.raises(CannotLoadModel):
        load_encoder(checkpoint)
