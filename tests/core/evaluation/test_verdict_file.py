from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.evaluation.test_verdict import FAIR, GOOD, POOR, verdict
from visexplore.core.comparison import Comparison, Interval
from visexplore.core.errors import StorageError, UserError
from visexplore.core.evaluation.verdict_file import Asked, Difference, differences, read_verdict, write_verdict

ASKED = Asked("sample", ("good", "vectors:x.npy"), (1, 5), None, "recall@1", True, False, 0, "auto", "auto")
FOUND = verdict(GOOD, FAIR, POOR)


def kinds(found: list[Difference]) -> list[str]:
    return [difference.kind for difference in found]


def test_what_is_written_is_read_back_whole(tmp_path: Path) -> None:
    write_verdict(tmp_path / "deep" / "v.json", FOUND, ASKED)
    found = read_verdict(tmp_path / "deep" / "v.json")
    assert found.asked == ASKED
    assert found.comparison == FOUND
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["v.json"]


@settings(max_examples=25, deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"])),
    number=st.floats() | st.sampled_from([math.nan, math.inf, -math.inf]),
)
def test_any_text_and_number_survives(tmp_path_factory: pytest.TempPathFactory, text: str, number: float) -> None:
    file = tmp_path_factory.mktemp("v") / "v.json"
    row = replace(FOUND.models[0], title=text, hubness=number, effective_rank=None)
    changed = replace(FOUND, models=(row,), notes=(text,))
    write_verdict(file, changed, ASKED)
    json.loads(file.read_text("utf-8"), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert repr(asdict(read_verdict(file).comparison)) == repr(asdict(changed))  # nan is not equal to itself


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "no verdict file"),
        (b"{}", "no verdict file"),
        (b'{"format": 1, "asked": {}, "comparison": {}}', "no verdict file"),
        (b'{"format": 99}', "newer visexplore"),
    ],
)
def test_what_is_no_verdict_is_told_in_a_sentence(tmp_path: Path, data: bytes, sentence: str) -> None:
    (tmp_path / "v.json").write_bytes(data)
    with pytest.raises(UserError, match=sentence):
        read_verdict(tmp_path / "v.json")


def test_a_missing_file_and_a_folder_that_is_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_verdict(tmp_path / "gone.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write_verdict(tmp_path / "file" / "v.json", FOUND, ASKED)


def test_equal_comparisons_have_no_differences() -> None:
    assert differences(FOUND, verdict(POOR, FAIR, GOOD)) == []


def _with_score(found: Comparison, model: str, interval: Interval) -> Comparison:
    rows = [
        replace(row, scores=row.scores | {"recall@1": interval}) if row.model == model else row for row in found.models
    ]
    return replace(found, models=tuple(rows))


def test_a_score_outside_its_interval_is_told_before_one_within() -> None:
    before = _with_score(_with_score(FOUND, "good", Interval(0.9, 0.85, 0.95)), "poor", Interval(0.2, 0.1, 0.3))
    after = _with_score(_with_score(FOUND, "good", Interval(0.7, 0.65, 0.75)), "poor", Interval(0.25, 0.15, 0.35))
    found = differences(before, after)
    assert kinds(found) == ["score", "within"]
    assert found[0].sentence == ("Recall@1 of good was 0.9000 and is 0.7000: the intervals do not overlap.")


def test_another_order_comes_first() -> None:
    swapped = replace(FOUND, models=(FOUND.models[1], FOUND.models[0], FOUND.models[2]))
    assert differences(FOUND, swapped) == [
        Difference("order", "", "The order was good, fair, poor and is fair, good, poor.")
    ]


def test_models_that_came_and_went_recipes_datasets_and_versions_are_told() -> None:
    other = replace(FOUND.models[1], revision="2")
    after = replace(FOUND, models=(FOUND.models[0], other), fingerprint="x", versions={"torch": "99"})
    found = differences(FOUND, after)
    assert {"model", "recipe", "dataset", "version"} == set(kinds(found))
    assert "poor takes no part any more." in [one.sentence for one in found]
    assert "fair is another one: it was 1 and is 2." in [one.sentence for one in found]
    assert kinds(differences(after, FOUND)).count("model") == 1


def test_another_dataset_is_told_by_name() -> None:
    [one] = differences(FOUND, replace(FOUND, dataset="cars", split="test"))
    assert one.sentence == "It was folder:/x, split all, and is cars, split test."
