"""Stanford Cars, Stanford Online Products, CUB-200-2011 and In-Shop, in the layouts that go round."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from tests.conftest import SHARED_DATA
from tests.core.test_datasets import Fill, X, ids, labels, splits
from visexplore.core.datasets import open_dataset
from visexplore.core.errors import EmptyDataset, UnknownDataset, UserError

CARS = SHARED_DATA / "stanford-cars"
SLASH = "Ram C/V Cargo Van Minivan 2012"
CLASSES = [f"Car {number}" for number in range(1, 196)] + [SLASH]

Mat = Callable[[str, Mapping[str, object]], Path]


@pytest.fixture
def mat(folder: Path) -> Mat:
    """Write a MATLAB file into the folder."""

    def write(name: str, variables: Mapping[str, object]) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        savemat(path, dict(variables))
        return path

    return write


def names_of_classes() -> Mapping[str, object]:
    cells = np.empty((1, len(CLASSES)), object)
    cells[0] = CLASSES
    return {"class_names": cells}


def annotated(rows: Sequence[tuple[str, int]]) -> Mapping[str, object]:
    """A list as the devkit has it: numbers of 8 bits, a struct for each image."""
    fields = [(name, object) for name in ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")]
    structs = np.empty((1, len(rows)), fields)
    for number, (name, own_class) in enumerate(rows):
        structs[0, number] = (*(np.uint16(n) for n in (1, 2, 300, 200)), np.uint8(own_class), name)
    return {"annotations": structs}


def without_classes(names: Sequence[str]) -> Mapping[str, object]:
    structs = np.empty((1, len(names)), [("bbox_x1", object), ("fname", object)])
    structs[0] = [(np.uint16(1), name) for name in names]
    return {"annotations": structs}


@pytest.fixture
def cars(fill: Fill, mat: Mat) -> Path:
    """Stanford Cars in the official layout, with few images."""
    mat("devkit/cars_meta.mat", names_of_classes())
    mat("devkit/cars_train_annos.mat", annotated([("00001.jpg", 1), ("00002.jpg", 196), ("00003.jpg", 98)]))
    mat("cars_test_annos_withlabels.mat", annotated([("00001.jpg", 99), ("00002.jpg", 196)]))
    images = [f"cars_train/0000{n}.jpg" for n in (1, 2, 3)] + [f"cars_test/0000{n}.jpg" for n in (1, 2)]
    return fill(dict.fromkeys(images, X))


# ---- Stanford Cars


def test_cars_has_names_for_classes_and_two_splits(cars: Path) -> None:
    dataset = open_dataset(f"cars:{cars}")
    assert ids(dataset)[0] == "cars_train/00001.jpg"
    assert labels(dataset) == ["Car 1", SLASH, "Car 98", "Car 99", SLASH]
    assert splits(dataset) == ["train"] * 3 + ["test"] * 2
    assert (dataset.title, dataset.problems) == ("Stanford Cars", ())
    assert dataset.read(dataset.records[0]) == X


def test_cars_retrieval_is_the_second_half_of_the_classes_of_both_splits(cars: Path) -> None:
    dataset = open_dataset(f"cars:{cars}")
    split = dataset.evaluation("retrieval")
    assert split.leave_one_out
    assert [ids(dataset)[n] for n in split.queries] == [
        "cars_train/00002.jpg",
        "cars_test/00001.jpg",
        "cars_test/00002.jpg",
    ]


def test_cars_is_found_in_a_folder_of_its_usual_name(cars: Path) -> None:
    inner = cars.rename(cars.parent / "stanford_cars")
    dataset = open_dataset(f"cars:{cars.parent}")
    assert dataset.spec == f"cars:{inner}"
    assert dataset.slug == open_dataset(f"cars:{inner}").slug


def test_cars_is_found_in_its_usual_place(cars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "datasets").mkdir()
    cars.rename(tmp_path / "datasets" / "stanford-cars")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(open_dataset("cars")) == 5


def test_cars_test_labels_may_be_in_the_devkit_and_images_in_doubled_folders(cars: Path) -> None:
    (cars / "cars_test_annos_withlabels.mat").rename(cars / "devkit" / "cars_test_annos_withlabels (1).mat")
    for name in ("cars_train", "cars_test"):
        (cars / name).rename(cars / "images")
        (cars / name).mkdir()
        (cars / "images").rename(cars / name / name)
    dataset = open_dataset(f"cars:{cars}")
    assert labels(dataset) == ["Car 1", SLASH, "Car 98", "Car 99", SLASH]
    assert dataset.problems == ()


def test_cars_without_test_labels_has_test_images_without_labels_and_says_so(cars: Path, mat: Mat) -> None:
    (cars / "cars_test_annos_withlabels.mat").unlink()
    mat("devkit/cars_test_annos.mat", without_classes(["00001.jpg", "00002.jpg"]))
    dataset = open_dataset(f"cars:{cars}")
    assert labels(dataset)[3:] == [None, None]
    [problem] = dataset.problems
    assert "no labels" in problem.reason
    assert "cars_test_annos_withlabels.mat" in problem.reason
    assert len(dataset.evaluation().queries) == 3


def test_cars_counts_absent_images_in_one_sentence(cars: Path) -> None:
    (cars / "cars_train" / "00002.jpg").unlink()
    (cars / "cars_train" / "00003.jpg").unlink()
    dataset = open_dataset(f"cars:{cars}")
    assert len(dataset) == 3
    [problem] = dataset.problems
    assert problem.path == str(cars / "devkit" / "cars_train_annos.mat")
    assert problem.reason.startswith("2 of the 3 images that it lists are not in ")
    assert problem.reason.endswith("first cars_train/00002.jpg")


def test_cars_without_any_image_is_the_users_mistake(cars: Path) -> None:
    for image in cars.glob("cars_*/*.jpg"):
        image.unlink()
    with pytest.raises(EmptyDataset, match="none of the 3 images that it lists is in"):
        open_dataset(f"cars:{cars}")


def test_cars_in_its_older_form_has_one_file_and_one_folder(fill: Fill, mat: Mat) -> None:
    fields = [(name, object) for name in ("relative_im_path", "bbox_x1", "class", "test")]
    structs = np.empty((1, 3), fields)
    structs[0] = [(f"car_ims/00000{n}.jpg", np.uint16(1), np.uint8(n), np.uint8(n == 3)) for n in (1, 2, 3)]
    mat("cars_annos.mat", {"annotations": structs, **names_of_classes()})
    dataset = open_dataset(f"cars:{fill(dict.fromkeys((f'car_ims/00000{n}.jpg' for n in (1, 2, 3)), X))}")
    assert ids(dataset) == ["car_ims/000001.jpg", "car_ims/000002.jpg", "car_ims/000003.jpg"]
    assert labels(dataset) == ["Car 1", "Car 2", "Car 3"]
    assert splits(dataset) == ["train", "train", "test"]


def test_cars_by_class_folders_has_the_names_with_their_slash(fill: Fill) -> None:
    folder = fill(
        {
            "names.csv": "\n".join(CLASSES).encode(),
            "anno_train.csv": b"00001.jpg,1,2,3,4,1\n",
            "anno_test.csv": b"00001.jpg,1,2,3,4,196\n00009.jpg,1,2,3,4,2\n",
            "car_data/car_data/train/Car 1/00001.jpg": X,
            f"car_data/car_data/test/{SLASH.replace('/', '-')}/00001.jpg": X,
        }
    )
    dataset = open_dataset(f"cars:{folder}")
    assert labels(dataset) == ["Car 1", SLASH]
    assert splits(dataset) == ["train", "test"]
    assert len(dataset.evaluation("retrieval").queries) == 1
    assert [problem.reason.split(" are ")[0].split(" is ")[0] for problem in dataset.problems] == [
        "1 of the 2 images that it lists"
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("devkit/cars_train_annos.mat", b"this is no MATLAB file", "no MATLAB file that can be read"),
        ("devkit/cars_train_annos.mat", b"", "no MATLAB file that can be read"),
        ("devkit/cars_train_annos.mat", b"\x89HDF\r\n\x1a\n" + bytes(200), "no MATLAB file that can be read"),
        ("devkit/cars_meta.mat", b"MATLAB 5.0 MAT-file" + bytes(200), "no MATLAB file that can be read"),
    ],
)
def test_a_mat_that_is_none_is_named(name: str, content: bytes, message: str, cars: Path) -> None:
    (cars / name).write_bytes(content)
    with pytest.raises(UnknownDataset, match=message) as caught:
        open_dataset(f"cars:{cars}")
    assert str(cars / name) in caught.value.message


def test_a_mat_with_something_else_in_it_is_named(cars: Path, mat: Mat) -> None:
    mat("devkit/cars_train_annos.mat", {"other": np.arange(3)})
    with pytest.raises(UnknownDataset, match="has no annotations in it"):
        open_dataset(f"cars:{cars}")
    mat("devkit/cars_train_annos.mat", {"annotations": np.arange(3)})
    with pytest.raises(UnknownDataset, match="does not say which images"):
        open_dataset(f"cars:{cars}")
    mat("devkit/cars_train_annos.mat", annotated([("00001.jpg", 197)]))
    with pytest.raises(UnknownDataset, match="of class 197, and there are 196 classes"):
        open_dataset(f"cars:{cars}")
    (cars / "devkit" / "cars_meta.mat").unlink()
    with pytest.raises(UnknownDataset, match="names of the classes are not in"):
        open_dataset(f"cars:{cars}")


def test_cars_without_annotations_says_which_are_missing(fill: Fill) -> None:
    with pytest.raises(UnknownDataset, match=r"neither devkit/cars_train_annos\.mat nor cars_annos\.mat"):
        open_dataset(f"cars:{fill({'cars_train/cars_train/00001.jpg': X})}")


@pytest.mark.skipif(not CARS.is_dir(), reason=f"no Stanford Cars at {CARS}")
def test_the_real_cars_are_read_as_an_independent_reading_says() -> None:
    dataset = open_dataset(f"cars:{CARS}")
    names = [cell[0] for cell in loadmat(CARS / "devkit" / "cars_meta.mat")["class_names"][0]]
    rows = loadmat(CARS / "devkit" / "cars_train_annos.mat")["annotations"][0]
    expected = {row["fname"][0]: names[int(row["class"][0, 0]) - 1] for row in rows}
    there = {path.name for path in (CARS / "cars_train").iterdir()}
    assert len(dataset) == len(there) == 2457
    assert {Path(record.path).name: record.label for record in dataset.records} == {
        name: label for name, label in expected.items() if name in there
    }
    assert len(dataset.label_counts) == 60
    assert dataset.split_counts == {"train": 2457}
    assert dataset.problems[0].reason.startswith("5,687 of the 8,144 images")
    assert len(dataset.evaluation().queries) == 2457
    with pytest.raises(UserError, match="holds no images: classes 99 to 196"):
        dataset.evaluation("retrieval")


@pytest.mark.skipif(not CARS.is_dir(), reason=f"no Stanford Cars at {CARS}")
def test_the_real_classes_are_halved_as_published() -> None:
    [retrieval] = open_dataset(f"cars:{CARS}").named_splits
    names = [cell[0] for cell in loadmat(CARS / "devkit" / "cars_meta.mat")["class_names"][0]]
    rows = loadmat(CARS / "devkit" / "cars_train_annos.mat")["annotations"][0]
    tested = [names[int(row["class"][0, 0]) - 1] in retrieval.labels for row in rows]
    assert (tested.count(False), tested.count(True)) == (4052, 4092)
    assert SLASH in retrieval.labels
    assert not {"Eagle Talon Hatchback 1998", "AM General Hummer SUV 2000"} & retrieval.labels
    assert "FIAT 500 Abarth 2012" in retrieval.labels


# ---- Stanford Online Products


HEADER = "image_id class_id super_class_id path\n"
TRAIN = "1 1 1 bicycle_final/111_0.JPG\n2 1 1 bicycle_final/111_1.JPG\n3 2 2 cabinet_final/222_0.JPG\n"
TEST = "4 11319 1 bicycle_final/333_0.JPG\n5 11319 1 bicycle_final/333_1.JPG\n6 11320 12 toaster_final/444_0.JPG\n"
PRODUCTS = [line.split()[3] for line in (TRAIN + TEST).splitlines()]


def products(root: str = "", lists: str = "", ending: str = ".JPG", **texts: str) -> dict[str, int | bytes]:
    files: dict[str, int | bytes] = {f"{root}{path.removesuffix('.JPG')}{ending}": X for path in PRODUCTS}
    return files | {f"{lists}{name}.txt": (HEADER + text).encode() for name, text in texts.items()}


def test_products_are_labelled_by_product_and_grouped_by_super_class(fill: Fill) -> None:
    dataset = open_dataset(f"products:{fill(products(Ebay_train=TRAIN, Ebay_test=TEST))}")
    assert ids(dataset) == PRODUCTS
    assert labels(dataset) == ["1", "1", "2", "11319", "11319", "11320"]
    assert splits(dataset) == ["train"] * 3 + ["test"] * 3
    assert [dict(record.attributes)["group"] for record in dataset.records] == [
        *("bicycle", "bicycle", "cabinet", "bicycle", "bicycle", "toaster")
    ]
    assert dataset.records[0].attributes is dataset.records[1].attributes
    assert dataset.evaluation("retrieval").queries.tolist() == [3, 4, 5]
    assert dataset.problems == ()


def test_products_may_come_as_one_list(fill: Fill) -> None:
    dataset = open_dataset(f"products:{fill(products(Ebay_info=TRAIN + TEST))}")
    assert splits(dataset) == ["train"] * 3 + ["test"] * 3


def test_products_in_the_layout_of_metric_learning_repositories(fill: Fill) -> None:
    root = "online_products/"
    folder = fill(products(f"{root}images/", f"{root}Info_Files/", ".jpg", Ebay_train=TRAIN, Ebay_test=TEST))
    dataset = open_dataset(f"products:{folder}")
    assert ids(dataset) == PRODUCTS
    assert dataset.read(dataset.records[0]) == X


def test_a_damaged_list_of_products_is_named_with_its_line(fill: Fill) -> None:
    folder = fill(products(Ebay_train="1 one 1 bicycle_final/111_0.JPG\n", Ebay_test=TEST))
    with pytest.raises(UnknownDataset, match=r"Line 2 of .*Ebay_train\.txt is not `image_id"):
        open_dataset(f"products:{folder}")
    (folder / "Ebay_train.txt").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UnknownDataset, match=r"Ebay_train\.txt is no text file"):
        open_dataset(f"products:{folder}")


def test_a_list_of_the_size_of_stanford_online_products_opens_in_seconds(folder: Path) -> None:
    """Budget: 2 s on an idle machine; the test allows for one that is busy."""
    lines = [f"{n + 1} {n * 22_634 // 120_053 + 1} 1 bicycle_final/{n}.JPG\n" for n in range(120_053)]
    (folder / "Ebay_info.txt").write_text(HEADER + "".join(lines))
    (folder / "bicycle_final").mkdir()
    (folder / "bicycle_final" / "70000.JPG").touch()
    started = time.process_time()
    dataset = open_dataset(f"products:{folder}")
    assert time.process_time() - started < 8
    assert ids(dataset) == ["bicycle_final/70000.JPG"]
    assert dataset.problems[0].reason.startswith("120,052 of the 120,053 images")


# ---- CUB-200-2011


BIRDS = ["001.Black_footed_Albatross/a.jpg", "100.Brown_Pelican/b.jpg", "101.White_Pelican/c.jpg", "200.Wren/d.jpg"]


@pytest.fixture
def cub(fill: Fill) -> Path:
    classes = [bird.split("/")[0] for bird in BIRDS]
    lists = {
        "images.txt": [f"{n} {bird}" for n, bird in enumerate(BIRDS, 1)],
        "image_class_labels.txt": [f"{n} {int(name[:3])}" for n, name in enumerate(classes, 1)],
        "classes.txt": [f"{int(name[:3])} {name}" for name in classes],
        "train_test_split.txt": ["1 1", "2 0", "3 1", "4 0"],
    }
    files: dict[str, int | bytes] = {f"CUB_200_2011/{name}": "\n".join(text).encode() for name, text in lists.items()}
    return fill(files | {f"CUB_200_2011/images/{bird}": X for bird in BIRDS})


def test_cub_has_classes_and_splits_of_its_lists(cub: Path) -> None:
    dataset = open_dataset(f"cub:{cub}")
    assert ids(dataset) == BIRDS
    assert labels(dataset) == ["001.Black_footed_Albatross", "100.Brown_Pelican", "101.White_Pelican", "200.Wren"]
    assert splits(dataset) == ["train", "test", "train", "test"]
    assert dataset.evaluation("retrieval").queries.tolist() == [2, 3]
    assert dataset.spec == f"cub:{cub / 'CUB_200_2011'}"


def test_cub_without_its_labels_says_what_is_missing(cub: Path) -> None:
    (cub / "CUB_200_2011" / "image_class_labels.txt").unlink()
    with pytest.raises(UnknownDataset, match=r"has no image_class_labels\.txt") as caught:
        open_dataset(f"cub:{cub}")
    assert "CUB_200_2011.tgz" in caught.value.hint


def test_cub_without_the_optional_lists_still_opens(cub: Path) -> None:
    (cub / "CUB_200_2011" / "train_test_split.txt").unlink()
    (cub / "CUB_200_2011" / "classes.txt").unlink()
    dataset = open_dataset(f"cub:{cub}")
    assert (labels(dataset), splits(dataset)) == (["1", "100", "101", "200"], [None] * 4)


# ---- In-Shop


SHOP = [
    ("img/WOMEN/Dresses/id_00000002/02_1_front.jpg", "id_00000002", "train"),
    ("img/WOMEN/Dresses/id_00000007/01_1_front.jpg", "id_00000007", "query"),
    ("img/WOMEN/Dresses/id_00000007/01_2_side.jpg", "id_00000007", "gallery"),
    ("img/MEN/Denim/id_00000080/01_1_front.jpg", "id_00000080", "gallery"),
]


@pytest.fixture(params=["", "Img/"])
def inshop(request: pytest.FixtureRequest, fill: Fill) -> Path:
    rows = "".join(f"{path:<60}{item:<20}{split}\n" for path, item, split in SHOP)
    text = f"{len(SHOP)}\nimage_name item_id evaluation_status\n{rows}"
    files: dict[str, int | bytes] = {"Eval/list_eval_partition.txt": text.encode()}
    return fill(files | {f"{request.param}{path}": X for path, _, _ in SHOP})


def test_inshop_searches_the_gallery_with_the_queries(inshop: Path) -> None:
    dataset = open_dataset(f"inshop:{inshop}")
    assert ids(dataset) == [path for path, _, _ in SHOP]
    assert labels(dataset) == [item for _, item, _ in SHOP]
    assert [dict(record.attributes)["group"] for record in dataset.records] == ["WOMEN/Dresses"] * 3 + ["MEN/Denim"]
    for split in (dataset.evaluation(), dataset.evaluation("retrieval")):
        assert (split.queries.tolist(), split.gallery.tolist(), split.leave_one_out) == ([1], [2, 3], False)


def test_a_damaged_list_of_inshop_is_named_with_its_line(inshop: Path) -> None:
    (inshop / "Eval" / "list_eval_partition.txt").write_text("2\nimage_name item_id evaluation_status\na.jpg id_1\n")
    with pytest.raises(UnknownDataset, match=r"Line 3 of .*list_eval_partition\.txt is not `image_name"):
        open_dataset(f"inshop:{inshop}")


def test_an_image_that_is_listed_twice_is_there_once(inshop: Path) -> None:
    with (inshop / "Eval" / "list_eval_partition.txt").open("a") as stream:
        stream.write(f"{SHOP[0][0]} id_00000099 gallery\n")
    dataset = open_dataset(f"inshop:{inshop}")
    assert len(dataset) == len(SHOP)
    assert labels(dataset)[0] == "id_00000002"
    assert "lists 1 image once more" in dataset.problems[0].reason


def test_the_lists_are_written_with_the_standard_csv_rules(fill: Fill) -> None:
    names = [*CLASSES[:195], 'Ram "C/V", Cargo']
    folder = fill({"anno_train.csv": b"00001.jpg,1,2,3,4,196\n", 'train/Ram "C-V", Cargo/00001.jpg': X})
    with (folder / "names.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([name] for name in names)
    assert labels(open_dataset(f"cars:{folder}")) == ['Ram "C/V", Cargo']
