"""`compare`, `report`, `bench` and `cache export`, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.tui.command_line import CommandLine

LITE0, LITE1 = "efficientnet-lite0", "efficientnet-lite1"


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all: the sample is embedded once."""
    return tmp_path_factory.mktemp("home")


def test_compare_says_in_words_and_in_a_table_which_model_is_best(cli: CommandLine, home: Path) -> None:
    found = cli("compare", "sample", "-m", LITE0, "-m", LITE1, "-m", f"binary:{LITE0}", "--home", home)
    assert found.code == 0
    assert "Recall@1" in found.out.splitlines()[0]
    rows = [line.split()[0] for line in found.out.splitlines() if line[:1].isalpha() and "(" in line]
    assert {LITE0, LITE1, f"binary:{LITE0}", "baseline-colour", "baseline-phash", "baseline-random"} <= set(rows)
    assert "95 % intervals" in found.out


def test_compare_as_json_has_what_the_design_promises(cli: CommandLine, home: Path) -> None:
    found = cli("compare", "sample", "-m", LITE0, "-k", "1", "-k", "3", "--no-baselines", "--json", "--home", home)
    document = json.loads(found.out)
    [row] = document["models"]
    assert row["model"] == LITE0
    assert set(row["recall"]) == {"1", "3"}
    assert row["recall"]["1"]["low"] < row["recall"]["1"]["value"] < row["recall"]["1"]["high"]
    assert row["bytes_per_million"] == 2 * 1280 * 1_000_000
    assert row["images_per_second"] > 0
    assert document["pairs"] == []


def test_recall_equals_an_independent_computation(cli: CommandLine, home: Path, tmp_path: Path) -> None:
    found = cli("compare", "sample", "-m", LITE0, "--no-baselines", "--json", "--home", home)
    cli("cache", "export", "sample", "-m", LITE0, "-o", tmp_path / "x.npz", "--home", home)
    with np.load(tmp_path / "x.npz") as arrays:
        ids, vectors = arrays["ids"], arrays["vectors"].astype(np.float64)
    labels = np.array([name.rsplit("/", 1)[0] for name in ids])
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    assert json.loads(found.out)["models"][0]["recall"]["1"]["value"] == np.mean(labels[cosines.argmax(1)] == labels)


def test_a_verdict_is_saved_done_again_and_compared(cli: CommandLine, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "v.json"
    cli("compare", "sample", "-m", LITE0, "-m", LITE1, "--no-baselines", "--save", file, "--home", home)
    again = cli("compare", "--rerun", file, "--home", home)
    assert (again.code, again.out.splitlines()[-1]) == (0, "Since then nothing has changed.")
    other = tmp_path / "other.json"
    cli("compare", "sample", "-m", LITE0, "--no-baselines", "--save", other, "--home", home)
    differs = cli("compare", "--diff", file, other, "--home", home)
    assert f"{LITE1} takes no part any more." in differs.out


def test_a_condition_that_holds_fails_the_command(cli: CommandLine, home: Path) -> None:
    options = ("sample", "-m", LITE0, "--no-baselines", "--home", home)
    good = cli("compare", *options, "--fail-if", "recall@5 < 0.5")
    bad = cli("compare", *options, "--fail-if", "recall@5 > 0.5")
    assert (good.code, bad.code) == (0, 1)
    assert "Failed: recall@5 of efficientnet-lite0 is" in bad.err


def test_the_page_of_a_verdict_holds_its_pictures(cli: CommandLine, home: Path, tmp_path: Path) -> None:
    page = tmp_path / "new" / "page.html"
    found = cli("compare", "sample", "-m", LITE0, "-m", LITE1, "--html", page, "--home", home)
    assert found.code == 0
    text = page.read_text("utf-8")
    assert "data:image/jpeg;base64," in text
    assert "Which model is best on sample?" in text


def test_without_labels_models_are_compared_by_agreement(cli: CommandLine, home: Path, tmp_path: Path) -> None:
    from PIL import Image

    for number in range(6):
        Image.effect_noise((40, 40), 10 * number + 1).convert("RGB").save(tmp_path / f"{number}.png")
    found = cli("compare", tmp_path, "-m", LITE0, "-m", LITE1, "--self-retrieval", "3", "--home", home)
    assert found.code == 0
    assert "finds itself: flip".upper() in found.out.upper()
    assert "HUBNESS" in found.out
    assert "Of 10 neighbours" in found.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("sample", "--by", "accuracy"), "There is no score 'accuracy'"),
        (("sample", "--split", "test"), "has no split 'test'"),
        (("sample", "-m", "clipp"), "No model is called 'clipp'"),
        (("sample", "-m", "pca:0:efficientnet-lite0"), "keeps no dimension"),
        (("sample", "-m", "vectors:/nowhere.npy"), "no file"),
        (("sample", "--fail-if", "good"), "is no condition"),
        (("sample", "-m", LITE0, "--no-baselines", "--fail-if", "recall@99 < 1"), "score that there is not"),
        (("--rerun", "/nowhere.json"), "cannot be read"),
        (("sample", "--rerun", "/nowhere.json"), "takes dataset and models from its file"),
        ((), "No dataset is named"),
    ],
)
def test_mistakes_are_told_in_one_sentence(
    cli: CommandLine, home: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    found = cli("compare", *arguments, "--home", home)
    assert found.code == 2
    assert sentence in found.err
    assert found.err.startswith("Error: ")
    assert found.err.count("\n") == 1


def test_a_report_is_two_pages_and_a_strip_a_model_and_query(cli: CommandLine, home: Path, tmp_path: Path) -> None:
    found = cli(
        "report", "sample", "-m", LITE0, "-m", LITE1, "--queries", "2", "-o", tmp_path, "--json", "--home", home
    )
    document = json.loads(found.out)
    names = [Path(strip).relative_to(tmp_path).as_posix() for strip in document["strips"]]
    assert names == [
        "sample/tf_efficientnet_lite0.in1k_query.jpg",
        "sample/tf_efficientnet_lite1.in1k_query.jpg",
        "sample/tf_efficientnet_lite0.in1k_query_2.jpg",
        "sample/tf_efficientnet_lite1.in1k_query_2.jpg",
    ]
    markdown = Path(document["markdown"]).read_text("utf-8")
    html = Path(document["html"]).read_text("utf-8")
    assert all(name in markdown for name in names)
    assert html.count("data:image/jpeg;base64,") == 4
    assert "OpenAI CLIP" in markdown
    assert "OpenAI CLIP" in html


def test_a_report_of_named_images_tells_one_that_is_not_there(cli: CommandLine, home: Path, tmp_path: Path) -> None:
    found = cli("report", "sample", "--queries", "bottle/nothing.jpg", "-o", tmp_path, "--home", home)
    assert found.code == 2
    assert "has no image 'bottle/nothing.jpg'" in found.err
    assert list(tmp_path.iterdir()) == []


def test_bench_measures_each_stage(cli: CommandLine, home: Path) -> None:
    found = cli("bench", "sample", "-m", LITE0, "--limit", "8", "--repeats", "1", "--json", "--home", home)
    [rates] = json.loads(found.out)
    assert rates["images"] == 8
    assert min(rates["reading"], rates["decoding"], rates["model_alone"], rates["pipeline"]) > 0


def test_an_export_does_not_replace_a_file_unless_told(cli: CommandLine, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    file.write_text("mine")
    export = ("cache", "export", "sample", "-m", LITE0, "-o", file, "--home", home)
    refused = cli(*export)
    assert (refused.code, file.read_text()) == (2, "mine")
    assert cli(*export, "--force", "--json").code == 0
    import pyarrow.parquet as pq

    table = pq.read_table(file)
    assert table.column_names == ["image_id", "label", "embedding"]
    assert table.num_rows == 220


def test_what_is_not_embedded_cannot_be_exported(cli: CommandLine, home: Path, tmp_path: Path) -> None:
    found = cli("cache", "export", "sample", "-m", "efficientnet-lite2", "-o", tmp_path / "x.npy", "--home", home)
    assert found.code == 1
    assert "is not embedded with efficientnet-lite2 yet" in found.err
