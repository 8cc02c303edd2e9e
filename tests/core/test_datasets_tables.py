"""Labels from tables: beside the images of a folder, or as the list of the images themselves."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.core.test_datasets import Fill, X, ids, labels, splits
from visexplore.core.datasets import Dataset, open_dataset
from visexplore.core.errors import EmptyDataset, UnknownDataset, UserError

PHOTOS = ["a.jpg", "b/c.jpg", "b/d.jpg"]


def attributes(dataset: Dataset) -> list[dict[str, str]]:
    return [dict(record.attributes) for record in dataset.records]


def photos(table: str, name: str = "labels.csv", images: list[str] = PHOTOS) -> dict[str, int | bytes]:
    return {**dict.fromkeys(images, X), name: table.encode()}


# ---- a table beside the images


def test_a_table_in_the_folder_says_the_labels(fill: Fill) -> None:
    dataset = open_dataset(str(fill(photos("file,label\nb/c.jpg,cat\na.jpg,dog\nb/d.jpg,cat\n"))))
    assert ids(dataset) == PHOTOS
    assert labels(dataset) == ["dog", "cat", "cat"]
    assert dataset.problems == ()


def test_a_table_says_splits_too(fill: Fill) -> None:
    dataset = open_dataset(str(fill(photos("path,class,split\na.jpg,x,Train\nb/c.jpg,y,test\nb/d.jpg,x,\n"))))
    assert splits(dataset) == ["train", "test", None]
    assert labels(dataset) == ["x", "y", "x"]


def test_images_that_the_table_does_not_list_have_no_label_and_are_counted(fill: Fill) -> None:
    dataset = open_dataset(str(fill(photos("file,label\na.jpg,dog\n"))))
    assert labels(dataset) == ["dog", None, None]
    assert [problem.reason for problem in dataset.problems] == ["it does not list 2 of the 3 images here"]


def test_listed_images_that_are_not_there_are_counted(fill: Fill) -> None:
    table = "file,label\na.jpg,dog\nb/c.jpg,cat\nb/d.jpg,cat\nx.jpg,cat\ny.jpg,cat\n"
    dataset = open_dataset(str(fill(photos(table))))
    assert labels(dataset) == ["dog", "cat", "cat"]
    assert [problem.reason for problem in dataset.problems] == [
        "2 of the 5 images that it lists are not here, first x.jpg"
    ]


@pytest.mark.parametrize("name", ["c.jpg", "c", "b/c", "./b/c.jpg", "b\\c.jpg", "b//x/../c.jpg"])
def test_images_are_found_by_the_names_that_people_write(name: str, fill: Fill) -> None:
    dataset = open_dataset(str(fill(photos(f"id,breed\n{name},pug\na.jpg,husky\nb/d.jpg,husky\n"))))
    assert labels(dataset) == ["husky", "pug", "husky"]


def test_images_are_found_by_absolute_names(fill: Fill, folder: Path) -> None:
    dataset = open_dataset(str(fill(photos(f"id,label\n{folder}/b/c.jpg,pug\n"))))
    assert labels(dataset) == [None, "pug", None]


def test_a_bare_name_that_two_images_have_means_neither(fill: Fill) -> None:
    table = "file,label\n1.jpg,x\n2.jpg,y\n"
    dataset = open_dataset(str(fill(photos(table, images=["a/1.jpg", "b/1.jpg", "b/2.jpg"]))))
    assert labels(dataset) == [None, None, "y"]


def test_one_of_several_label_columns_is_chosen_and_the_others_are_kept(fill: Fill) -> None:
    table = "file,label,brand,colour,shot\na.jpg,shoe,A,red,1\nb/c.jpg,shoe,B,red,2\nb/d.jpg,hat,A,,3\n"
    folder = fill(photos(table))
    plain, by_brand = open_dataset(str(folder)), open_dataset(f"{folder}?label=brand")
    assert labels(plain) == ["shoe", "shoe", "hat"]
    assert attributes(plain) == [{"brand": "A", "colour": "red"}, {"brand": "B", "colour": "red"}, {"brand": "A"}]
    assert labels(by_brand) == ["A", "B", "A"]
    assert attributes(by_brand)[0] == {"label": "shoe", "colour": "red"}
    assert plain.slug == by_brand.slug
    assert plain.fingerprint != by_brand.fingerprint
    assert open_dataset(by_brand.spec).records == by_brand.records


def test_equal_attributes_are_one_object(fill: Fill) -> None:
    table = "file,colour,size\n" + "".join(f"{n}.jpg,{'rg'[n % 2]},L\n" for n in range(8))
    dataset = open_dataset(str(fill(photos(table, images=[f"{n}.jpg" for n in range(8)]))))
    assert len({id(record.attributes) for record in dataset.records}) == 2


def test_a_table_in_parquet_is_as_good(fill: Fill) -> None:
    folder = fill(dict.fromkeys(PHOTOS, X))
    table = {
        "image": PHOTOS,
        "label": [3, None, 4],  # pandas writes whole numbers with a hole as floats
        "new": [True, False, True],
        "price": [1.5, 2.25, 1.5],
        "vector": [[1.0], [2.0], [3.0]],
    }
    columns = {**table, "label": pa.array([3.0, None, 4.0])}
    pq.write_table(pa.table(columns), folder / "labels.parquet")
    dataset = open_dataset(str(folder))
    assert labels(dataset) == ["3", None, "4"]
    assert attributes(dataset) == [{"new": "True"}, {"new": "False"}, {"new": "True"}]


@pytest.mark.parametrize("table", ["one,two\n1,2\n3,4\n", "\xff\xfe broken", ""])
def test_a_table_that_says_nothing_about_images_leaves_the_folders_labels(table: str, fill: Fill) -> None:
    files = photos("", images=["cat/1.jpg", "dog/2.jpg"]) | {"labels.csv": table.encode("latin-1")}
    dataset = open_dataset(str(fill(files)))
    assert labels(dataset) == ["cat", "dog"]
    [problem] = dataset.problems
    assert problem.reason.startswith("not used: ")


def test_a_named_column_that_is_not_there_is_answered_with_a_close_one(fill: Fill) -> None:
    folder = fill(photos("file,brand\na.jpg,A\n"))
    with pytest.raises(UserError, match=r"labels\.csv has no column 'brnad'") as caught:
        open_dataset(f"{folder}?label=brnad")
    assert caught.value.hint == "Did you mean 'brand'?"


def test_columns_of_a_folder_without_a_table_cannot_be_chosen(fill: Fill) -> None:
    with pytest.raises(UserError, match="has no table of labels"):
        open_dataset(f"{fill({'a.jpg': X})}?label=brand")


# ---- a table that lists the images


def test_a_csv_is_a_dataset_of_the_images_that_it_lists(fill: Fill) -> None:
    folder = fill(photos("image,category\nb/d.jpg,hat\na.jpg,shoe\n", "mine.csv"))
    dataset = open_dataset(f"csv:{folder / 'mine.csv'}")
    assert ids(dataset) == ["b/d.jpg", "a.jpg"]
    assert labels(dataset) == ["hat", "shoe"]
    assert (dataset.title, dataset.spec) == ("mine", f"csv:{folder / 'mine.csv'}")
    assert dataset.read(dataset.records[0]) == X


def test_columns_of_a_csv_are_named(fill: Fill) -> None:
    folder = fill(photos("x,y,z\nhat,9,b/d.jpg\nshoe,9,a.jpg\n", "mine.csv"))
    dataset = open_dataset(f"csv:{folder / 'mine.csv'}?image=z&label=x")
    assert labels(dataset) == ["hat", "shoe"]
    assert open_dataset(dataset.spec).records == dataset.records


def test_a_csv_without_a_column_of_images_lists_its_columns(fill: Fill) -> None:
    folder = fill(photos("x,y\n1,2\n", "mine.csv"))
    with pytest.raises(UserError, match="no column that looks as if it named the images") as caught:
        open_dataset(f"csv:{folder / 'mine.csv'}")
    assert "?image=COLUMN; it has x, y" in caught.value.hint


def test_images_may_be_elsewhere(fill: Fill, tmp_path: Path) -> None:
    fill(dict.fromkeys(PHOTOS, X))
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "mine.csv").write_text("path,label\na.jpg,x\nb/c.jpg,y\n")
    dataset = open_dataset(f"csv:{tmp_path}/lists/mine.csv?root={tmp_path}/photos")
    assert ids(dataset) == ["a.jpg", "b/c.jpg"]
    with pytest.raises(EmptyDataset, match="none of the 2 images that it lists is in") as caught:
        open_dataset(f"csv:{tmp_path}/lists/mine.csv")
    assert "?root=FOLDER" in caught.value.hint


def test_bare_names_without_endings_are_searched_for_below(fill: Fill) -> None:
    folder = fill(photos("id,breed\nd,pug\nc,husky\nq,pug\n", "train.csv"))
    dataset = open_dataset(f"csv:{folder / 'train.csv'}")
    assert ids(dataset) == ["b/d.jpg", "b/c.jpg"]
    assert labels(dataset) == ["pug", "husky"]
    assert dataset.problems[0].reason.startswith("1 of the 3 images that it lists is not in")


@pytest.mark.parametrize(
    "text",
    [
        "\ufefflabel,file\r\nx,a.jpg\r\n\r\ny,b/c.jpg\r\n",
        "file;label\na.jpg;x\nb/c.jpg;y\n",
        "file\tlabel\na.jpg\tx\nb/c.jpg\ty\n",
        '"File Name", "Label"\n"a.jpg", "x"\n"b/c.jpg", "y"\n',
        "file,label\na.jpg,x,more\nb/c.jpg, y \n",
    ],
    ids=["byte order mark", "semicolons", "tabs", "quotes", "ragged"],
)
def test_csv_as_it_is_written_in_the_wild(text: str, fill: Fill) -> None:
    dataset = open_dataset(f"csv:{fill(photos(text, 'mine.csv')) / 'mine.csv'}")
    assert ids(dataset) == ["a.jpg", "b/c.jpg"]
    assert labels(dataset) == ["x", "y"]


def test_a_csv_without_a_header_has_numbered_columns(fill: Fill) -> None:
    folder = fill(photos("x,a.jpg\nx,b/c.jpg\ny,b/d.jpg\n", "mine.csv"))
    assert labels(open_dataset(f"csv:{folder / 'mine.csv'}")) == ["x", "x", "y"]
    assert ids(open_dataset(f"csv:{folder / 'mine.csv'}?image=2&label=1")) == PHOTOS


def test_the_column_of_files_wins_over_one_that_is_called_so(fill: Fill) -> None:
    folder = fill(photos("image,label,where\n1,x,a.jpg\n2,y,b/c.jpg\n", "mine.csv"))
    assert ids(open_dataset(f"csv:{folder / 'mine.csv'}")) == ["a.jpg", "b/c.jpg"]


def test_numbers_stay_as_they_are_written(fill: Fill) -> None:
    dataset = open_dataset(f"csv:{fill(photos('file,label\na.jpg,007\nb/c.jpg,7.0\n', 'mine.csv')) / 'mine.csv'}")
    assert labels(dataset) == ["007", "7.0"]


def test_short_rows_and_empty_fields_mean_no_label(fill: Fill) -> None:
    dataset = open_dataset(f"csv:{fill(photos('label,file\nx,a.jpg\n,b/c.jpg\ny\n', 'mine.csv')) / 'mine.csv'}")
    assert (ids(dataset), labels(dataset)) == (["a.jpg", "b/c.jpg"], ["x", None])


def test_a_csv_without_labels_says_how_to_choose_them(fill: Fill) -> None:
    dataset = open_dataset(f"csv:{fill(photos('file,x,y\na.jpg,1,2\n', 'mine.csv')) / 'mine.csv'}")
    assert labels(dataset) == [None]
    assert "?label=COLUMN, it has x, y" in dataset.problems[0].reason


def test_images_on_the_web_have_to_be_downloaded(fill: Fill) -> None:
    folder = fill(photos("url,label\nhttps://example.com/a.jpg,x\n", "mine.csv"))
    with pytest.raises(EmptyDataset, match="on the web") as caught:
        open_dataset(f"csv:{folder / 'mine.csv'}?image=url")
    assert "Download" in caught.value.hint


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b'file,label\n"' + b"x" * 200_000, b"PAR1 nothing"])
def test_a_table_that_is_none_is_named(content: bytes, fill: Fill) -> None:
    folder = fill({"mine.csv": content, "a.jpg": X})
    with pytest.raises((UnknownDataset, UserError), match=r"mine\.csv"):
        open_dataset(f"csv:{folder / 'mine.csv'}")


def test_listed_folders_are_no_images(fill: Fill) -> None:
    folder = fill(photos("file,label\nb,x\na.jpg,y\n", "mine.csv"))
    assert ids(open_dataset(f"csv:{folder / 'mine.csv'}")) == ["a.jpg"]


def test_a_folder_with_files_that_hold_images_is_told_how_to_open_them(fill: Fill) -> None:
    with pytest.raises(EmptyDataset) as caught:
        open_dataset(str(fill({"data/train.parquet": X})))
    assert "parquet:" in caught.value.hint
