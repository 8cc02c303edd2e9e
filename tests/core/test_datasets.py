from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.pictures import png
from visexplore.core.datasets import Dataset, ImageRecord, open_dataset
from visexplore.core.datasets.folder import open_folder
from visexplore.core.errors import EmptyDataset, UnknownDataset, UnknownImage, UnreadableImage

Fill = Callable[[Mapping[str, int | bytes]], Path]
X = b"x"  # whether a file is an image is seen by its name; it is opened later


def ids(dataset: Dataset) -> list[str]:
    return [record.image_id for record in dataset.records]


def labels(dataset: Dataset) -> list[str | None]:
    return [record.label for record in dataset.records]


def splits(dataset: Dataset) -> list[str | None]:
    return [record.split for record in dataset.records]


# ---- which files are images


def test_subfolders_are_searched_in_the_order_of_names(fill: Fill) -> None:
    folder = fill({"b/2.jpg": X, "b/1.jpg": X, "a/deep/down/3.jpg": X, "c.jpg": X, "B/4.jpg": X})
    assert ids(open_folder(folder)) == ["B/4.jpg", "a/deep/down/3.jpg", "b/1.jpg", "b/2.jpg", "c.jpg"]


def test_images_are_known_by_their_endings_in_any_case(fill: Fill) -> None:
    names = ["a.jpg", "b.JPEG", "c.Png", "d.webp", "e.bmp", "f.gif", "g.tif", "h.TIFF", "i.avif", "j.jp2"]
    assert ids(open_folder(fill(dict.fromkeys(names, X)))) == names


def test_files_that_are_no_images_are_left_out(fill: Fill) -> None:
    others = ["notes.txt", "data.csv", "movie.mp4", "scan.pdf", "page.eps", "jpg", "a.jpg.part", "Thumbs.db"]
    assert ids(open_folder(fill({"a.jpg": X} | dict.fromkeys(others, X)))) == ["a.jpg"]


def test_hidden_files_and_folders_are_left_out(fill: Fill) -> None:
    folder = fill({"a.jpg": X, ".b.jpg": X, ".thumbs/c.jpg": X, "d/._e.jpg": X})
    assert ids(open_folder(folder)) == ["a.jpg"]


def test_a_hidden_folder_can_be_named_itself(fill: Fill) -> None:
    folder = fill({".photos/a.jpg": X})
    assert ids(open_folder(folder / ".photos")) == ["a.jpg"]


def test_folders_named_like_images_are_folders(fill: Fill) -> None:
    assert ids(open_folder(fill({"holiday.jpg/a.jpg": X}))) == ["holiday.jpg/a.jpg"]


def test_a_pipe_named_like_an_image_is_none(fill: Fill) -> None:
    folder = fill({"a.jpg": X})
    os.mkfifo(folder / "b.jpg")
    assert ids(open_folder(folder)) == ["a.jpg"]


def test_a_record_knows_size_and_time_of_the_file(fill: Fill) -> None:
    folder = fill({"a.jpg": b"12345"})
    os.utime(folder / "a.jpg", ns=(0, 1_234_567_890))
    [record] = open_folder(folder).records
    assert record == ImageRecord("a.jpg", str(folder / "a.jpg"), 5, 1_234_567_890)


# ---- links


def test_a_link_to_a_file_is_an_image(fill: Fill) -> None:
    folder = fill({"a.jpg": X})
    (folder / "b.jpg").symlink_to("a.jpg")
    assert ids(open_folder(folder)) == ["a.jpg", "b.jpg"]


def test_a_link_to_a_folder_is_followed(fill: Fill, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.jpg").write_bytes(X)
    folder = fill({"b.jpg": X})
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    assert ids(open_folder(folder)) == ["b.jpg", "linked/a.jpg"]


def test_loops_of_links_end(fill: Fill) -> None:
    folder = fill({"a/1.jpg": X, "b/2.jpg": X})
    (folder / "a" / "up").symlink_to("..")
    (folder / "b" / "itself").symlink_to(".")
    (folder / "b" / "other").symlink_to("../a")
    assert ids(open_folder(folder)) == ["a/1.jpg", "b/2.jpg"]


def test_dangling_links_and_links_to_themselves_are_left_out(fill: Fill) -> None:
    folder = fill({"a.jpg": X})
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "self.jpg").symlink_to("self.jpg")
    assert ids(open_folder(folder)) == ["a.jpg"]


def test_a_folder_that_is_a_link_keeps_the_name_the_user_gave(fill: Fill, tmp_path: Path) -> None:
    folder = fill({"a.jpg": X})
    (tmp_path / "link").symlink_to(folder)
    dataset = open_folder(tmp_path / "link")
    assert (dataset.title, dataset.spec) == ("link", str(tmp_path / "link"))
    assert dataset.slug != open_folder(folder).slug


# ---- trouble


def test_a_subfolder_that_cannot_be_listed_is_named_and_the_others_are_there(fill: Fill) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may enter every folder")
    folder = fill({"a.jpg": X, "locked/b.jpg": X})
    (folder / "locked").chmod(0)
    dataset = open_folder(folder)
    (folder / "locked").chmod(0o700)
    assert ids(dataset) == ["a.jpg"]
    assert [(problem.path, problem.reason) for problem in dataset.problems] == [
        (str(folder / "locked"), "Permission denied")
    ]


def make_deeper(folder: Path, levels: int, name: str) -> Path:
    """Make folders inside each other, deeper than a path may be long; return the top of them."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=here)
        deeper = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(os.open("deep.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    return folder / name


def test_a_path_that_is_too_long_is_named_and_the_others_are_there(fill: Fill) -> None:
    folder = fill({"a.jpg": X})
    make_deeper(folder, 30, "d" * 200)
    dataset = open_folder(folder)
    assert ids(dataset) == ["a.jpg"]
    assert [problem.reason for problem in dataset.problems] == ["File name too long"]


def test_folders_may_be_nested_deeper_than_python_recurses(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    make_deeper(folder, 1500, "d")
    found = ids(open_folder(folder))
    subprocess.run(["rm", "-rf", str(folder)], check=True)  # pytest, cleaning up, would recurse
    assert found == ["d/" * 1500 + "deep.jpg"]


def test_a_folder_without_images_is_the_users_mistake(fill: Fill) -> None:
    with pytest.raises(EmptyDataset, match="holds no images") as caught:
        open_folder(fill({"notes.txt": X, "sub/more.txt": X}))
    assert ".jpg" in caught.value.hint


def test_an_empty_folder_is_the_users_mistake(folder: Path) -> None:
    with pytest.raises(EmptyDataset, match="holds no images"):
        open_folder(folder)


@pytest.mark.parametrize("spec", ["no/such/folder", "x" * 5000, "~nobody-of-that-name/photos", "nul\0byte", ""])
def test_what_is_no_folder_is_the_users_mistake(spec: str) -> None:
    with pytest.raises(UnknownDataset):
        open_dataset(spec)


def test_a_file_instead_of_a_folder_is_told_apart(fill: Fill) -> None:
    folder = fill({"a.jpg": X})
    with pytest.raises(UnknownDataset, match="is a file, not a folder") as caught:
        open_dataset(str(folder / "a.jpg"))
    assert "--image" in caught.value.hint


def test_a_file_that_has_gone_is_unreadable(fill: Fill) -> None:
    dataset = open_folder(fill({"a.jpg": X}))
    Path(dataset.records[0].path).unlink()
    with pytest.raises(UnreadableImage, match="No such file"):
        dataset.read(dataset.records[0])


def test_a_file_far_too_large_for_a_picture_is_not_read(fill: Fill) -> None:
    folder = fill({"a.jpg": X})
    os.truncate(folder / "a.jpg", 20_000_000_000)  # takes no room on the disk
    dataset = open_folder(folder)
    with pytest.raises(UnreadableImage, match=r"20\.0 GB"):
        dataset.read(dataset.records[0])


# ---- labels and splits


def test_labels_are_the_paths_of_the_folders(fill: Fill) -> None:
    dataset = open_folder(fill({"Fruit/Apple/1.jpg": X, "Fruit/Pear/2.jpg": X, "Milk/3.jpg": X}))
    assert labels(dataset) == ["Fruit/Apple", "Fruit/Pear", "Milk"]
    assert splits(dataset) == [None, None, None]


def test_images_beside_the_folders_have_no_label(fill: Fill) -> None:
    assert labels(open_folder(fill({"a.jpg": X, "cats/b.jpg": X}))) == [None, "cats"]


@pytest.mark.parametrize("files", [["a.jpg", "b.jpg"], ["cats/a.jpg", "cats/b.jpg"], ["test/cats/a.jpg"]])
def test_a_single_label_is_none(files: list[str], fill: Fill) -> None:
    dataset = open_folder(fill(dict.fromkeys(files, X)))
    assert set(labels(dataset)) == {None}
    assert dataset.label_counts == {}


def test_top_folders_named_like_splits_are_the_splits(fill: Fill) -> None:
    dataset = open_folder(fill({"Test/cats/1.jpg": X, "train/cats/2.jpg": X, "train/dogs/3.jpg": X}))
    assert splits(dataset) == ["test", "train", "train"]
    assert labels(dataset) == ["cats", "cats", "dogs"]


def test_one_top_folder_that_is_no_split_makes_all_of_them_labels(fill: Fill) -> None:
    dataset = open_folder(fill({"test/1.jpg": X, "paintings/2.jpg": X}))
    assert splits(dataset) == [None, None]
    assert labels(dataset) == ["paintings", "test"]


def test_labels_are_counted_in_the_order_of_their_names(fill: Fill) -> None:
    dataset = open_folder(fill({"b/1.jpg": X, "b/2.jpg": X, "a/3.jpg": X}))
    assert list(dataset.label_counts.items()) == [("a", 1), ("b", 2)]


# ---- image ids


AWKWARD = [
    b"\xff.jpg",
    rb"\xff.jpg",
    rb"\\xff.jpg",
    b"a\nb.jpg",
    b"\x1b[31m.jpg",
    b"\\\xff.jpg",
    "ä\u202e.jpg".encode(),
]


def write_named(folder: Path, names: list[bytes]) -> None:
    for name in names:
        (folder / os.fsdecode(name)).write_bytes(X)


def test_awkward_names_have_ids_that_are_different_and_unicode(folder: Path) -> None:
    write_named(folder, AWKWARD)
    dataset = open_folder(folder)
    assert len(set(ids(dataset))) == len(AWKWARD)
    for record in dataset.records:
        record.image_id.encode()
        assert dataset.read(record) == X
        assert dataset.record(record.image_id) is record


names = st.binary(min_size=1, max_size=12).filter(lambda name: not set(name) & set(b"/\0") and name[0] != ord("."))
backslashes = st.lists(st.sampled_from([b"\\", b"x", b"f", b"\xff", b"\xc3", b"\xa9", b"0"]), min_size=1).map(b"".join)


@given(st.sets(st.one_of(names, backslashes), min_size=2, max_size=12))
@example({b"\xff", rb"\xff", rb"\\xff", b"\\\xff"})
@example({rb"\x", rb"\\x"})
def test_different_files_have_different_ids(stems: set[bytes]) -> None:
    files = {stem + b".jpg" for stem in stems}
    with tempfile.TemporaryDirectory() as top:
        write_named(Path(top), sorted(files))
        found = ids(open_folder(Path(top)))
    assert len(found) == len(set(found)) == len(files)
    assert all(name.encode() for name in found)


@given(st.text(st.characters(exclude_characters="/\0\\", exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_an_ordinary_name_is_its_own_id(name: str) -> None:
    assume(not name.startswith(".") and len(name.encode()) < 200)
    with tempfile.TemporaryDirectory() as top:
        write_named(Path(top), [f"{name}.jpg".encode()])
        assert ids(open_folder(Path(top))) == [f"{name}.jpg"]


def test_an_unknown_id_is_answered_with_a_close_one(fill: Fill) -> None:
    dataset = open_folder(fill({"cats/tom.jpg": X, "dogs/rex.jpg": X}))
    with pytest.raises(UnknownImage, match=r"photos has no image 'cat/tom.jpg'") as caught:
        dataset.record("cat/tom.jpg")
    assert caught.value.hint == "Did you mean 'cats/tom.jpg'?"


# ---- fingerprint


def test_the_fingerprint_stays_while_nothing_changes(fill: Fill) -> None:
    folder = fill({"a.jpg": 1, "b/c.jpg": 2})
    assert open_folder(folder).fingerprint == open_folder(folder).fingerprint


@pytest.mark.parametrize("change", ["added", "changed", "touched", "moved", "deleted", "copied over"])
def test_the_fingerprint_tells_every_change(change: str, fill: Fill) -> None:
    folder = fill({"a.jpg": 1, "b/c.jpg": 2})
    before = open_folder(folder).fingerprint
    match change:
        case "added":
            fill({"d.jpg": 3})
        case "changed":
            (folder / "a.jpg").write_bytes(png(4) + b"longer")
        case "touched":
            os.utime(folder / "a.jpg", ns=(0, 1))
        case "moved":
            (folder / "a.jpg").rename(folder / "b" / "a.jpg")
        case "deleted":
            (folder / "a.jpg").unlink()
        case _:
            (folder / "a.jpg").replace(folder / "b" / "c.jpg")
    assert open_folder(folder).fingerprint != before


@pytest.mark.parametrize("field", ["label", "split"])
def test_the_fingerprint_tells_other_labels_and_splits(field: str, fill: Fill) -> None:
    dataset = open_folder(fill({"a.jpg": X}))
    other = replace(dataset, records=(replace(dataset.records[0], **{field: "None"}),))
    assert other.fingerprint != dataset.fingerprint


# ---- names of datasets


def test_folders_of_one_name_have_different_places_in_the_cache(tmp_path: Path) -> None:
    slugs = set()
    for parent in ("one", "two"):
        folder = tmp_path / parent / "photos"
        folder.mkdir(parents=True)
        (folder / "a.jpg").write_bytes(X)
        slugs.add(open_folder(folder).slug)
    assert len(slugs) == 2
    assert all(slug.startswith("photos-") for slug in slugs)


@pytest.mark.parametrize("name", ["..hidden", "a b/../c", "ü" * 100, "-rf"])
def test_the_place_in_the_cache_is_a_plain_name(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name.replace("/", "_")
    folder.mkdir()
    (folder / "a.jpg").write_bytes(X)
    slug = open_folder(folder).slug
    assert slug.isascii()
    assert "/" not in slug
    assert len(slug) < 60
    assert slug[0] not in ".-"


def test_a_relative_path_and_an_absolute_one_are_the_same_dataset(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill({"a.jpg": X})
    monkeypatch.chdir(folder.parent)
    assert open_dataset("photos/../photos/").slug == open_dataset(str(folder)).slug


def test_the_sample_has_several_views_of_each_object() -> None:
    dataset = open_dataset("sample")
    assert (dataset.spec, dataset.slug) == ("sample", "sample")
    assert len(dataset) >= 150
    assert min(dataset.label_counts.values()) >= 2
    assert len({label.split("/")[0] for label in dataset.label_counts}) >= 8
