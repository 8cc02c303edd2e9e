"""The kinds of datasets: what each is called, where it is expected, and how to get it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of dataset.

    Attributes:
        prefix: what its names begin with, before the colon; empty for a path.
        title: what it is called.
        usage: how it is named.
        contents: which files it is made of.
        options: what may follow a `?`: which columns hold what.
        usual_place: where it is looked for when no place is named; empty where one must be named.
        folders: usual names of its folder.
        marks: files or folders of which its folder has at least one.
        source: how to get it; empty for the user's own files.
        licence: what its makers allow, where they restrict it.
    """

    prefix: str
    title: str
    usage: str
    contents: str
    options: tuple[str, ...] = ()
    usual_place: str = ""
    folders: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    source: str = ""
    licence: str = ""


_ALL: Final = (
    Kind(
        prefix="",
        title="a folder",
        usage="FOLDER[?image=COLUMN&label=COLUMN&split=COLUMN]",
        contents="Images in sub-folders, whose names are the labels; or a labels.csv or labels.parquet in it. Top "
        "folders called train, test, query or gallery are splits.",
        options=("image", "label", "split"),
    ),
    Kind(
        prefix="csv",
        title="a table of image files",
        usage="csv:FILE[?image=COLUMN&label=COLUMN&split=COLUMN&root=FOLDER]",
        contents="A CSV or TSV file with a column of image files, relative to its own folder or to root.",
        options=("image", "label", "split", "root"),
    ),
    Kind(
        prefix="parquet",
        title="Parquet files with images",
        usage="parquet:GLOB[?image=COLUMN&label=COLUMN&split=COLUMN&id=COLUMN&root=FOLDER]",
        contents="Parquet files with a column of image bytes (as Hugging Face writes them, or binary) or of image "
        "files.",
        options=("image", "label", "split", "id", "root"),
    ),
    Kind(
        prefix="wds",
        title="WebDataset tars",
        usage="wds:GLOB[?label=KEY]",
        contents="Plain tar files with KEY.jpg (or another picture) and KEY.cls, KEY.json or KEY.txt.",
        options=("label",),
    ),
    Kind(
        prefix="hf",
        title="a dataset of the Hugging Face hub",
        usage="hf:REPO[/CONFIG][:SPLIT][?image=COLUMN&label=COLUMN&id=COLUMN]",
        contents="A repository of the hub, a folder laid out like one, or what `save_to_disk` wrote.",
        options=("image", "label", "id"),
    ),
    Kind(
        prefix="cars",
        title="Stanford Cars",
        usage="cars[:FOLDER]",
        contents="devkit/*.mat, cars_train/*.jpg and, to have the test images, cars_test/*.jpg with "
        "cars_test_annos_withlabels.mat",
        usual_place="~/datasets/stanford_cars",
        folders=("stanford_cars", "stanford-cars", "stanford-cars-dataset", "cars196", "cars"),
        marks=(
            *("devkit", "car_devkit", "stanford-cars-dataset-meta", "cars_train_annos.mat", "cars_annos.mat"),
            *("anno_train.csv", "anno_test.csv", "cars_train", "cars_test", "car_ims"),
        ),
        source="on Kaggle the images are jessicali9530/stanford-cars-dataset and the annotations "
        "abdelrahmant11/standford-cars-dataset-meta; hf:tanganke/stanford_cars has both",
        licence="for non-commercial research",
    ),
    Kind(
        prefix="products",
        title="Stanford Online Products",
        usage="products[:FOLDER]",
        contents="Ebay_train.txt and Ebay_test.txt (or Ebay_info.txt), and bicycle_final/*.JPG to toaster_final/*.JPG",
        usual_place="~/datasets/Stanford_Online_Products",
        folders=("Stanford_Online_Products", "stanford_online_products", "online_products", "sop"),
        marks=tuple(
            f"{folder}{name}.txt" for folder in ("", "Info_Files/") for name in ("Ebay_train", "Ebay_test", "Ebay_info")
        ),
        source="Stanford_Online_Products.zip, from cvgl.stanford.edu/projects/lifted_struct or as Google Drive file "
        "1TclrpQOF_ullUP99wk_gjGN8pKvtErG8",
    ),
    Kind(
        prefix="cub",
        title="CUB-200-2011",
        usage="cub[:FOLDER]",
        contents="images.txt, image_class_labels.txt, classes.txt, train_test_split.txt and images/*/*.jpg",
        usual_place="~/datasets/CUB_200_2011",
        folders=("CUB_200_2011", "cub_200_2011", "CUB-200-2011", "cub200", "cub"),
        marks=("images.txt", "image_class_labels.txt"),
        source="CUB_200_2011.tgz, from data.caltech.edu/records/65de6-vp158",
    ),
    Kind(
        prefix="inshop",
        title="In-Shop",
        usage="inshop[:FOLDER]",
        contents="Eval/list_eval_partition.txt and img/*/*/*/*.jpg",
        usual_place="~/datasets/inshop",
        folders=("inshop", "in-shop", "InShop", "In-shop", "In-shop Clothes Retrieval Benchmark"),
        marks=("Eval/list_eval_partition.txt", "list_eval_partition.txt", "Anno/list_eval_partition.txt"),
        source="img.zip and list_eval_partition.txt, from "
        "mmlab.ie.cuhk.edu.hk/projects/DeepFashion/InShopRetrieval.html",
        licence="for non-commercial research",
    ),
)
KINDS: Final = {kind.prefix: kind for kind in _ALL}
"""Every kind of dataset by its prefix; the empty one is a path."""
