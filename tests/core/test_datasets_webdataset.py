"""WebDataset tars: what is in them, and single images out of them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.test_datasets import ids, labels, splits
from visexplore.core.datasets import Dataset, open_dataset, webdataset
from visexplore.core.datasets.tar_index import Member, TarDamaged, members
from visexplore.core.errors import EmptyDataset, UnknownDataset, UnreadableImage, UserError


def tar(file: Path, files: Iterable[tuple[str, bytes]], kind: int = tarfile.USTAR_FORMAT) -> Path:
    with tarfile.open(file, "w", format=kind) as out:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
    return file


def samples(numbers: Iterable[int], **beside: list[bytes]) -> list[tuple[str, bytes]]:
    """For each number an image that says it, and beside it the files with these endings."""
    files = []
    for row, number in enumerate(numbers):
        files.append((f"{number:04}.jpg", f"image {number}".encode()))
        files += [(f"{number:04}.{ending}", content[row]) for ending, content in beside.items()]
    return files


def contents(dataset: Dataset) -> list[bytes]:
    return [dataset.read(record) for record in dataset.records]


# ---- samples


def test_images_and_classes(tmp_path: Path) -> None:
    tar(tmp_path / "train-000.tar", samples([1, 2, 3], cls=[b"7", b"3\n", b"7"]))
    dataset = open_dataset(f"wds:{tmp_path}/train-000.tar")
    assert ids(dataset) == ["0001.jpg", "0002.jpg", "0003.jpg"]
    assert labels(dataset) == ["7", "3", "7"]
    assert splits(dataset) == ["train"] * 3
    assert contents(dataset) == [b"image 1", b"image 2", b"image 3"]
    assert [record.size for record in dataset.records] == [7, 7, 7]


def test_several_tars_are_named_with_braces(tmp_path: Path) -> None:
    for number in range(12):
        tar(tmp_path / f"part-{number:03}.tar", samples([number]))
    dataset = open_dataset(f"wds:{tmp_path}/part-{{000..010}}.tar")
    assert ids(dataset)[::10] == ["part-000/0000.jpg", "part-010/0010.jpg"]
    assert contents(dataset) == [f"image {n}".encode() for n in range(11)]
    assert len(open_dataset(f"wds:{tmp_path}")) == 12
    with pytest.raises(UnknownDataset, match="more than 1,000,000 files"):
        open_dataset(f"wds:{tmp_path}/part-{{0..99999999}}.tar")


def test_facts_of_the_json_are_labels_and_attributes(tmp_path: Path) -> None:
    facts = [
        {"label": "cat", "colour": "red", "width": 3, "box": [1, 2], "url": "http://a"},
        {"label": "dog", "colour": "red", "width": 4, "box": [1, 2], "url": "http://b"},
        {"label": "dog", "colour": "blue", "width": 4, "box": [1, 2], "url": "http://c"},
    ]
    file = tar(tmp_path / "x.tar", samples([1, 2, 3], json=[json.dumps(fact).encode() for fact in facts]))
    dataset = open_dataset(f"wds:{file}")
    assert labels(dataset) == ["cat", "dog", "dog"]
    assert [dict(record.attributes) for record in dataset.records] == [
        {"colour": "red", "width": "3"},
        {"colour": "red", "width": "4"},
        {"colour": "blue", "width": "4"},
    ]
    by_colour = open_dataset(f"wds:{file}?label=colour")
    assert labels(by_colour) == ["red", "red", "blue"]
    assert by_colour.slug == dataset.slug
    with pytest.raises(UserError, match="has no column 'shape'"):
        open_dataset(f"wds:{file}?label=shape")


def test_texts_are_labels_only_where_they_repeat(tmp_path: Path) -> None:
    captions = tar(tmp_path / "a.tar", samples(range(4), txt=[b"a cat", b"a dog", b"two cats", b"a cow"]))
    names = tar(tmp_path / "b.tar", samples(range(4), txt=[b"cat", b"dog", b"cat", b"dog"]))
    assert labels(open_dataset(f"wds:{captions}")) == [None] * 4
    assert labels(open_dataset(f"wds:{names}")) == ["cat", "dog", "cat", "dog"]
    assert labels(open_dataset(f"wds:{captions}?label=txt"))[0] == "a cat"


def test_the_picture_of_a_sample_is_the_one_with_the_plain_ending(tmp_path: Path) -> None:
    files = [("a.seg.png", b"mask"), ("a.png", b"picture"), ("a.cls", b"1"), ("b.mask.png", b"only one")]
    dataset = open_dataset(f"wds:{tar(tmp_path / 'x.tar', files)}")
    assert (ids(dataset), contents(dataset)) == (["a.png", "b.mask.png"], [b"picture", b"only one"])


def test_samples_in_folders_have_names_with_their_folders(tmp_path: Path) -> None:
    files = [("x/1.jpg", b"one"), ("x/1.cls", b"1"), ("y/1.JPG", b"two"), ("y/1.cls", b"2")]
    dataset = open_dataset(f"wds:{tar(tmp_path / 'x.tar', files)}")
    assert (ids(dataset), labels(dataset)) == (["x/1.jpg", "y/1.JPG"], ["1", "2"])


def test_hidden_files_and_what_is_no_file_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "x.tar"
    with tarfile.open(file, "w") as out:
        for name, kind in (("d.jpg", tarfile.DIRTYPE), ("l.jpg", tarfile.SYMTYPE), ("h.jpg", tarfile.LNKTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "a.jpg"
            out.addfile(member)
        for name in ("._a.jpg", "a.jpg"):
            member = tarfile.TarInfo(name)
            member.size = 3
            out.addfile(member, io.BytesIO(b"abc"))
    assert ids(open_dataset(f"wds:{file}")) == ["a.jpg"]


def test_an_image_that_comes_twice_is_there_once(tmp_path: Path) -> None:
    file = tar(tmp_path / "x.tar", [("a.jpg", b"first"), ("a.jpg", b"second")])
    dataset = open_dataset(f"wds:{file}")
    assert contents(dataset) == [b"first"]
    assert "1 image once more" in dataset.problems[0].reason


def test_json_that_is_none_says_nothing(tmp_path: Path) -> None:
    beside = [b"{", b"[1]", b"\xff\xfe", b"[" * 20_000]
    dataset = open_dataset(f"wds:{tar(tmp_path / 'x.tar', samples(range(4), json=beside))}")
    assert labels(dataset) == [None] * 4


# ---- files


def test_a_compressed_tar_says_what_to_do(tmp_path: Path) -> None:
    data = tar(tmp_path / "x.tar", samples([1])).read_bytes()
    (tmp_path / "x.tar").write_bytes(gzip.compress(data))
    with pytest.raises(UnknownDataset, match=r"compressed with gzip.*unpack it"):
        open_dataset(f"wds:{tmp_path}/x.tar")


def test_a_tar_that_is_cut_off_keeps_what_came_before(tmp_path: Path) -> None:
    file = tar(tmp_path / "x.tar", [(f"{n}.jpg", bytes([n + 1]) * 2000) for n in range(4)])
    file.write_bytes(file.read_bytes()[:6000])
    dataset = open_dataset(f"wds:{file}")
    assert ids(dataset) == ["0.jpg", "1.jpg"]
    assert dataset.problems[0].reason == "it is cut off after 2 images"


@pytest.mark.parametrize("content", [b"no tar at all", b"x" * 5000, bytes(range(256)) * 8])
def test_what_is_no_tar_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(UnknownDataset, match=r"x\.tar: it is no tar"):
        open_dataset(f"wds:{tmp_path}")


def test_a_tar_without_images_is_the_users_mistake(tmp_path: Path) -> None:
    for files in ([("a.cls", b"1")], []):
        tar(tmp_path / "x.tar", files)
        with pytest.raises(EmptyDataset, match="holds no images"):
            open_dataset(f"wds:{tmp_path}")


def test_a_tar_is_looked_through_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Path] = []

    def counted(path: Path) -> Iterable[Member]:
        looked.append(path)
        return members(path)

    monkeypatch.setattr(webdataset, "members", counted)
    file = tar(tmp_path / "x.tar", samples([1, 2]))
    before = open_dataset(f"wds:{file}")
    assert open_dataset(f"wds:{file}").fingerprint == before.fingerprint
    assert len(looked) == 1
    tar(file, samples([1, 2, 3]))
    assert len(open_dataset(f"wds:{file}")) == 3
    assert len(looked) == 2


def test_a_tar_that_has_gone_makes_unreadable_images(tmp_path: Path) -> None:
    file = tar(tmp_path / "x.tar", samples([1, 2]))
    dataset = open_dataset(f"wds:{file}")
    file.write_bytes(file.read_bytes()[:515])
    with pytest.raises(UnreadableImage, match="ends before the image"):
        dataset.read(dataset.records[0])
    file.unlink()
    with pytest.raises(UnreadableImage, match="No such file"):
        dataset.read(dataset.records[0])


def test_many_threads_get_what_they_ask_for(tmp_path: Path) -> None:
    file = tar(tmp_path / "x.tar", samples(range(300)))
    dataset = open_dataset(f"wds:{file}")
    with ThreadPoolExecutor(32) as threads:
        read = list(threads.map(dataset.read, dataset.records))
    assert read == [f"image {n}".encode() for n in range(300)]


# ---- the reader of tars


names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60)
paths = st.lists(names, min_size=1, max_size=4).map("/".join).filter(lambda path: path[-1] != "/")


@given(
    st.lists(st.tuples(paths, st.binary(max_size=1200)), max_size=6),
    st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
@example([("folder/" * 15 + "name.jpg", b"x"), ("short.jpg", b"y")], tarfile.USTAR_FORMAT)
@example([("n" * 150, b"x"), ("short.jpg", b"y")], tarfile.GNU_FORMAT)
@example([("ä" * 150, b"x"), ("short.jpg", b"y")], tarfile.PAX_FORMAT)
def test_it_finds_what_the_standard_library_finds(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[str, bytes]], kind: int
) -> None:
    file = tmp_path_factory.mktemp("tar") / "x.tar"
    try:
        tar(file, files, kind)
    except ValueError:  # ustar has no room for the name
        return
    data = file.read_bytes()
    with tarfile.open(file) as opened:
        expected = [(member.name, member.offset_data, member.size) for member in opened]
    found = list(members(file))
    assert [(member.name, member.offset, member.size) for member in found] == expected
    assert [data[m.offset : m.offset + m.size] for m in found] == [content for _, content in files]


@given(st.binary(max_size=2000), st.integers(0, 3000))
def test_damage_is_told_and_never_crashes(tmp_path_factory: pytest.TempPathFactory, noise: bytes, place: int) -> None:
    file = tar(tmp_path_factory.mktemp("tar") / "x.tar", samples([1, 2]), tarfile.PAX_FORMAT)
    data = bytearray(file.read_bytes())
    data[place : place + len(noise)] = noise
    file.write_bytes(data)
    try:
        found = list(members(file))
    except TarDamaged:
        return
    assert all(member.offset + member.size <= len(data) for member in found)


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_files_larger_than_octal_digits_can_say_are_found(kind: int, tmp_path: Path) -> None:
    file = tmp_path / "x.tar"
    member = tarfile.TarInfo("large.jpg")
    member.size = 9_000_000_000
    last = tarfile.TarInfo("last.jpg")
    last.size = 3
    with file.open("wb") as out:
        out.write(member.tobuf(kind))
        out.seek(out.tell() + (member.size + 511) // 512 * 512)  # takes no room on the disk
        out.write(last.tobuf() + b"abc".ljust(512, b"\0") + bytes(1024))
    dataset = open_dataset(f"wds:{file}")
    assert ids(dataset) == ["large.jpg", "last.jpg"]
    assert dataset.read(dataset.records[1]) == b"abc"
    with pytest.raises(UnreadableImage, match=r"9\.0 GB"):
        dataset.read(dataset.records[0])
