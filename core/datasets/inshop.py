"""In-Shop Clothes Retrieval of DeepFashion: 52,712 photos of 7,982 items, with queries and a gallery.

Liu et al., "DeepFashion: Powering Robust Clothes Recognition and Retrieval with Rich Annotations", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from visexplore.core.datasets.dataset import GALLERY, QUERY, Attributes, Dataset, NamedSplit
from visexplore.core.datasets.listing import Listed, base_folder, found, lines, some
from visexplore.core.datasets.spec import Spec
from visexplore.core.errors import UnknownDataset

_SPLITS = frozenset({"train", QUERY, GALLERY})


def open_inshop(spec: Spec) -> Dataset:
    """Open In-Shop.

    The label of an image is its item (`id_00000002`), its attribute `group` the kind of clothes (`WOMEN/Dresses`).
    Splits are `train`, `query` and `gallery`; the evaluation `retrieval` searches the gallery with the queries.

    Raises:
        UnknownDataset: it is not there, or the list is damaged.
        EmptyDataset: none of its images is there.
    """
    base = base_folder(spec.kind, spec.place)
    file = next(base / name for name in spec.kind.marks if (base / name).exists())
    # The list says `img/...`; the archive is unpacked beside it, or where it lies, in `Img`.
    images = base / "Img" if (base / "Img" / "img").is_dir() else base
    records, problems = found(_listed(file, images), file, images)
    return Dataset(
        spec=spec.text(base),
        slug=spec.slug("inshop", base),
        title=spec.kind.title,
        records=tuple(some(records, problems, spec.kind)),
        problems=tuple(problems),
        named_splits=(NamedSplit("retrieval", "queries against the gallery", splits=frozenset({QUERY, GALLERY})),),
    )


def _listed(file: Path, images: Path) -> Iterator[Listed]:
    groups: dict[str, Attributes] = {}
    labels: dict[str, str] = {}
    for number, line in enumerate(lines(file), 1):
        fields = line.split()
        if number <= 2 and (len(fields) == 1 or fields[0] == "image_name"):
            continue
        if len(fields) != 3 or fields[2] not in _SPLITS:
            raise UnknownDataset(
                f"Line {number} of {file} is not `image_name item_id evaluation_status`", "Get the file anew."
            )
        path, item, split = fields
        parts = path.split("/")
        group = "/".join(parts[1:3]) if len(parts) > 3 else ""
        if group and group not in groups:
            groups[group] = (("group", group),)
        yield Listed(path, f"{images}/{path}", labels.setdefault(item, item), split, groups.get(group, ()))
