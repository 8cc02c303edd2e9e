"""Datasets of the Hugging Face hub: from local copies, through the library itself, with the network forbidden."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.core.test_datasets import ids, labels, splits
from tests.pictures import png
from visexplore.core.datasets import open_dataset
from visexplore.core.errors import EmptyDataset, UnknownDataset, UnreadableImage, UserError

COLOURS = ["red", "blue", "red", "red", "blue", "red", "red"]


@pytest.fixture(scope="module")
def library() -> Any:
    """The hub's own library, an optional extra."""
    library = pytest.importorskip("datasets", reason="the extra `hub` is not installed")
    library.disable_progress_bars()
    return library


Table = Callable[[Sequence[int]], Any]


@pytest.fixture
def table(library: Any) -> Table:
    """Make a split of these pictures; their classes are their remainders."""
    features = library.Features(
        {
            "image": library.Image(),
            "label": library.ClassLabel(names=["even", "odd"]),
            "colour": library.Value("string"),
            "sku": library.Value("string"),
        }
    )

    def make(numbers: Sequence[int]) -> Any:
        return library.Dataset.from_dict(
            {
                "image": [{"bytes": png(n), "path": f"{n}.png"} for n in numbers],
                "label": [n % 2 for n in numbers],
                "colour": [COLOURS[n] for n in numbers],
                "sku": [f"sku-{n}" for n in numbers],
            },
            features=features,
        )

    return make


@pytest.fixture
def saved(library: Any, table: Table, tmp_path: Path) -> Path:
    """What `save_to_disk` writes of a dataset with three splits, one of them an altered copy."""
    tables = {"train": table([0, 1, 2, 3]), "test": table([4, 5]), "contrast": table([6])}
    library.DatasetDict(tables).save_to_disk(str(tmp_path / "saved"))
    return tmp_path / "saved"


@pytest.fixture
def repository(table: Table, tmp_path: Path) -> Path:
    """A folder laid out like a repository of the hub."""
    data = tmp_path / "shop" / "data"
    data.mkdir(parents=True)
    for split, numbers in (("train", [0, 1, 2, 3]), ("test", [4, 5])):
        table(numbers).to_parquet(data / f"{split}-00000-of-00001.parquet")
    return tmp_path / "shop"


def test_splits_and_names_of_classes_are_the_datasets_own(repository: Path) -> None:
    dataset = open_dataset(f"hf:{repository}", offline=True)
    assert ids(dataset)[3:] == ["train/000003", "test/000000", "test/000001"]
    assert labels(dataset) == ["even", "odd"] * 3
    assert splits(dataset) == ["train"] * 4 + ["test"] * 2
    assert [dict(record.attributes)["colour"] for record in dataset.records] == COLOURS[:6]
    assert (dataset.spec, dataset.title, dataset.problems) == (f"hf:{repository}", "shop", ())
    assert [dataset.read(record) for record in dataset.records] == [png(n) for n in range(6)]


def test_what_save_to_disk_wrote_is_opened_too(saved: Path) -> None:
    dataset = open_dataset(f"hf:{saved}:test", offline=True)
    assert (splits(dataset), labels(dataset)) == (["test", "test"], ["even", "odd"])
    assert dataset.read(dataset.records[1]) == png(5)
    assert open_dataset(dataset.spec, offline=True).records == dataset.records


def test_altered_copies_are_left_out_unless_they_are_named(saved: Path) -> None:
    dataset = open_dataset(f"hf:{saved}", offline=True)
    assert dataset.split_counts == {"test": 2, "train": 4}
    [problem] = dataset.problems
    assert problem.reason == f"its splits contrast are left out; name them to have them: hf:{saved}:contrast"
    assert open_dataset(f"hf:{saved}:test+contrast", offline=True).split_counts == {"contrast": 1, "test": 2}


def test_a_dataset_without_splits_is_one_set(table: Table, tmp_path: Path) -> None:
    table([1, 2]).save_to_disk(str(tmp_path / "one"))
    dataset = open_dataset(f"hf:{tmp_path / 'one'}", offline=True)
    assert (splits(dataset), dataset.read(dataset.records[0])) == ([None, None], png(1))


def test_rows_that_were_picked_or_shuffled_are_the_right_ones(table: Table, tmp_path: Path) -> None:
    table(range(7)).select([5, 0, 3]).save_to_disk(str(tmp_path / "picked"))
    dataset = open_dataset(f"hf:{tmp_path / 'picked'}", offline=True)
    assert labels(dataset) == ["odd", "even", "odd"]
    assert [dataset.read(record) for record in dataset.records] == [png(5), png(0), png(3)]


def test_columns_are_named(repository: Path) -> None:
    dataset = open_dataset(f"hf:{repository}:train?label=colour&id=sku", offline=True)
    assert labels(dataset) == COLOURS[:4]
    assert ids(dataset)[0] == "train/sku-0"
    assert dict(dataset.records[1].attributes) == {"label": "odd"}
    assert dataset.spec == f"hf:{repository}:train?label=colour&id=sku"
    with pytest.raises(UserError, match="has no column 'colours'") as caught:
        open_dataset(f"hf:{repository}?label=colours", offline=True)
    assert caught.value.hint == "Did you mean 'colour'?"
    with pytest.raises(UserError, match="'colour' does not name each image differently"):
        open_dataset(f"hf:{repository}?id=colour", offline=True)


def test_a_folder_of_image_files_is_read_through_the_library(library: Any, tmp_path: Path) -> None:
    for number in range(4):
        file = tmp_path / "birds" / "train" / ("even", "odd")[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(number))
    dataset = open_dataset(f"hf:{tmp_path / 'birds'}", offline=True)
    assert labels(dataset) == ["even", "even", "odd", "odd"]
    assert [dataset.read(record) for record in dataset.records] == [png(n) for n in (0, 2, 1, 3)]


def test_bytes_that_nobody_declared_to_be_pictures_are_tried(library: Any, tmp_path: Path) -> None:
    rows = {"jpg": [png(1), None], "kind": ["a", "b"]}
    features = library.Features({"jpg": library.Value("binary"), "kind": library.Value("string")})
    library.Dataset.from_dict(rows, features=features).save_to_disk(str(tmp_path / "raw"))
    dataset = open_dataset(f"hf:{tmp_path / 'raw'}", offline=True)
    assert dataset.read(dataset.records[0]) == png(1)
    with pytest.raises(UnreadableImage, match="holds no image"):
        dataset.read(dataset.records[1])


def test_one_of_several_configurations_has_to_be_chosen(table: Table, tmp_path: Path) -> None:
    repository = tmp_path / "shop"
    for name in "ab":
        (repository / "files" / name).mkdir(parents=True)
        table([1, 2]).to_parquet(repository / "files" / name / "train.parquet")
    card = "".join(f"- config_name: {name}\n  data_files: files/{name}/train.parquet\n" for name in "ab")
    (repository / "README.md").write_text(f"---\nconfigs:\n{card}---\n")
    with pytest.raises(UnknownDataset, match="has several configurations") as caught:
        open_dataset(f"hf:{repository}", offline=True)
    assert caught.value.hint == f"Write hf:{repository}/CONFIG; it has a, b."
    with pytest.raises(UnknownDataset, match="has no configuration 'c'"):
        open_dataset(f"hf:{repository}/c", offline=True)
    dataset = open_dataset(f"hf:{repository}/b:train", offline=True)
    assert (len(dataset), dataset.title, dataset.spec) == (2, "shop b train", f"hf:{repository}/b:train")


def test_an_unknown_split_is_answered_with_the_known_ones(repository: Path) -> None:
    with pytest.raises(UnknownDataset, match="has no split 'dev'") as caught:
        open_dataset(f"hf:{repository}:dev", offline=True)
    assert caught.value.hint == "It has train, test."


def test_nothing_is_guessed_among_splits_that_are_called_like_nothing(saved: Path, library: Any, table: Table) -> None:
    tables = {"left": table([0]), "right": table([1])}
    library.DatasetDict(tables).save_to_disk(str(saved.parent / "sides"))
    with pytest.raises(UnknownDataset, match="several splits") as caught:
        open_dataset(f"hf:{saved.parent / 'sides'}", offline=True)
    assert "it has left, right" in caught.value.hint


def test_a_dataset_without_images_says_so(library: Any, tmp_path: Path) -> None:
    library.Dataset.from_dict({"text": ["a", "b"]}).save_to_disk(str(tmp_path / "words"))
    with pytest.raises(UserError, match="no column with images") as caught:
        open_dataset(f"hf:{tmp_path / 'words'}", offline=True)
    assert "text" in caught.value.hint


def test_a_dataset_without_rows_says_so(table: Table, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    table([]).to_parquet(tmp_path / "none" / "train.parquet")
    with pytest.raises(EmptyDataset, match="has no rows"):
        open_dataset(f"hf:{tmp_path / 'none'}", offline=True)


def test_a_dataset_that_was_fetched_before_opens_offline(repository: Path, library: Any, tmp_path: Path) -> None:
    # What the library keeps of a dataset of the hub has the same form as what it keeps of a folder.
    cache = Path(library.config.HF_DATASETS_CACHE)
    open_dataset(f"hf:{repository.rename(tmp_path / 'market')}", offline=True)
    (cache / "market").rename(cache / "somebody___market")
    dataset = open_dataset("hf:somebody/market:test", offline=True)
    assert (dataset.spec, labels(dataset)) == ("hf:somebody/market:test", ["even", "odd"])
    assert dataset.read(dataset.records[0]) == png(4)


@pytest.mark.parametrize("name", ["owner/name", "owner/name/config:train", "mnist"])
def test_offline_no_address_is_looked_up_and_then_the_network_is_as_before(
    name: str, library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants as hub

    looked_up: list[object] = []

    def look_up(*address: object, **_: object) -> None:
        looked_up.append(address)
        raise OSError("there is no network in tests")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(library.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", False)
    with pytest.raises(UnknownDataset, match="offline it cannot be fetched"):
        open_dataset(f"hf:{name}", offline=True)
    assert not looked_up
    assert (library.config.HF_HUB_OFFLINE, hub.HF_HUB_OFFLINE) == (False, False)


@pytest.mark.parametrize("name", ["a/b/c/d", "a//b", "/no/such/folder", "./nothing"])
def test_what_is_no_name_of_a_dataset_is_the_users_mistake(name: str, library: Any) -> None:
    with pytest.raises(UnknownDataset, match="folder"):
        open_dataset(f"hf:{name}", offline=True)


def test_a_damaged_copy_is_told_in_one_sentence(saved: Path) -> None:
    for file in saved.rglob("*.arrow"):
        file.write_bytes(b"nothing")
    with pytest.raises(UnknownDataset, match="cannot be opened") as caught:
        open_dataset(f"hf:{saved}", offline=False)
    assert "\n" not in str(caught.value)


def test_without_the_library_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UnknownDataset, match="need the library `datasets`") as caught:
        open_dataset("hf:owner/name")
    assert caught.value.hint == "Install it with: pip install 'visexplore[hub]'"


def test_many_threads_get_what_they_ask_for(table: Table, tmp_path: Path) -> None:
    table([n % 7 for n in range(140)]).save_to_disk(str(tmp_path / "many"))
    dataset = open_dataset(f"hf:{tmp_path / 'many'}", offline=True)
    with ThreadPoolExecutor(32) as threads:
        read = list(threads.map(dataset.read, dataset.records))
    assert read == [png(n % 7) for n in range(140)]
