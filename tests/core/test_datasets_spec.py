"""How datasets are named, and what is said where a name means nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_datasets import Fill, X, ids
from visexplore.core.datasets import KINDS, open_dataset
from visexplore.core.datasets.spec import Spec, parse
from visexplore.core.errors import UnknownDataset, UserError


@pytest.mark.parametrize("prefix", [prefix for prefix in KINDS if prefix])
def test_every_kind_says_in_one_sentence_what_it_expects_where(prefix: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownDataset) as caught:
        open_dataset(f"{prefix}:{tmp_path}/nowhere", offline=True)
    assert "nowhere" in caught.value.message
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_an_unknown_kind_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownDataset, match="'imagenet:' is no kind of dataset") as caught:
        open_dataset("imagenet:/data")
    assert all(f"{prefix}:" in caught.value.hint for prefix in KINDS if prefix)


def test_a_kind_without_a_place_says_how_it_is_written() -> None:
    with pytest.raises(UnknownDataset, match="does not say where") as caught:
        open_dataset("csv:")
    assert "csv:FILE" in caught.value.hint


def test_published_datasets_are_looked_for_in_their_usual_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UnknownDataset, match="There is no folder") as caught:
        open_dataset("cars")
    assert str(tmp_path / "datasets" / "stanford_cars") in caught.value.message
    assert "cars:FOLDER" in caught.value.hint
    assert "non-commercial" in caught.value.hint


@pytest.mark.parametrize("name", ["cars", "hf:photos", "csv:photos?label=x"])
def test_what_exists_as_a_path_is_a_path(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "a.jpg").write_bytes(X)
    monkeypatch.chdir(tmp_path)
    dataset = open_dataset(name)
    assert (ids(dataset), dataset.spec) == (["a.jpg"], str(tmp_path / name))


def test_options_stand_behind_a_question_mark() -> None:
    spec = parse("csv:a/b.csv?image=file name&label=brand")
    assert (spec.kind.prefix, spec.place) == ("csv", "a/b.csv")
    assert dict(spec.options) == {"image": "file name", "label": "brand"}


def test_a_question_mark_in_a_pattern_is_no_option() -> None:
    spec = parse("parquet:/data/part-?.parquet")
    assert (spec.place, dict(spec.options)) == ("/data/part-?.parquet", {})
    spec = parse("parquet:/data/part-?.parquet?label=brand")
    assert (spec.place, dict(spec.options)) == ("/data/part-?.parquet", {"label": "brand"})


def test_an_unknown_option_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UserError, match="'lable=' is no option of a table of image files") as caught:
        open_dataset("csv:a.csv?lable=brand")
    assert "label=" in caught.value.hint


def test_options_of_a_folder_that_is_not_there_are_not_what_is_wrong() -> None:
    with pytest.raises(UnknownDataset, match="no folder at that path"):
        open_dataset("no/such/folder?lable=brand")


@given(st.dictionaries(st.sampled_from(["image", "label", "split", "root"]), st.text(min_size=1)))
def test_a_name_is_read_as_it_is_written(options: dict[str, str]) -> None:
    written = Spec(KINDS["csv"], "/no/where.csv", options).text()
    again = parse(written)
    assert (again.place, dict(again.options)) == ("/no/where.csv", options)


def test_the_place_in_the_cache_depends_on_the_images_and_not_on_their_labels() -> None:
    def slug(text: str) -> str:
        return parse(text).slug("x", "/x.csv")

    assert slug("csv:/x.csv") == slug("csv:/x.csv?label=brand") == slug("csv:/x.csv?label=colour&split=fold")
    assert slug("csv:/x.csv") != slug("csv:/x.csv?image=photo") != slug("csv:/x.csv?root=/y")


def test_a_file_that_is_plainly_a_table_needs_no_prefix(fill: Fill) -> None:
    folder = fill({"a.jpg": X, "photos.csv": b"file,label\na.jpg,cat\n"})
    dataset = open_dataset(str(folder / "photos.csv"))
    assert dataset.spec == f"csv:{folder / 'photos.csv'}"
    assert dataset.records[0].label == "cat"


def test_a_name_without_its_colon_is_no_crash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("csv", "hf", ":", "::", "?", "?label=x", "csv:?label=x", "hf::train", "hf:/", "wds:[", "parquet:**"):
        with pytest.raises(UserError):
            open_dataset(name, offline=True)
    assert not list(tmp_path.iterdir())
