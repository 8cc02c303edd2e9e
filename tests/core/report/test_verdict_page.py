from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from PIL import Image

from tests.core.report.samples import EVIL, MODELS, comparison, encoded, strip
from visexplore.core.comparison import Comparison, Interval, Judged, OnlyRight
from visexplore.core.report.verdict_page import MOST, Example, pictured, verdict_page
from visexplore.core.report.verdict_words import verdict_sentences


def unlabelled() -> Comparison:
    verdict = comparison()
    rows = tuple(replace(row, scores={}, without_duplicates={}, group="", pareto=False) for row in verdict.models)
    empty: dict[str, Any] = {"pairs": (), "slices": (), "mistaken": (), "only_right": (), "suspected": ()}
    return replace(verdict, main="", models=rows, **empty)


def with_score(verdict: Comparison, model: str, low: float, value: float, high: float) -> Comparison:
    def changed(row: Judged) -> Judged:
        return replace(row, scores=row.scores | {verdict.main: Interval(value, low, high)})

    return replace(verdict, models=tuple(changed(row) if row.model == model else row for row in verdict.models))


class Read(HTMLParser):
    """The tags, the texts and all that could lead out of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.addresses: list[str] = []
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "action"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_verdict_has_every_part() -> None:
    page = verdict_page(comparison(), [Example("On this they differ", "pasta/0007.jpg", [(MODELS[0], strip("a"))])])
    for part in ("models", "cost", "scores", "pairs", "agreement", "examples", "slices", "confused", "only-right"):
        assert f'id="{part}"' in page
    for part in ("contested", "suspected", "proxies", "notes", "measured"):
        assert f'id="{part}"' in page
    text = Read(page).text
    for row in comparison().models:
        assert row.model in text
    assert all(sentence in text for sentence in verdict_sentences(comparison()))
    assert "0.870" in text
    assert "0.840 to 0.900" in text
    assert "5.12" in text
    assert "nan" not in text
    assert "None" not in text


def test_a_page_asks_for_nothing_outside() -> None:
    page = Read(verdict_page(comparison(), [Example("", "q", [(MODELS[0], strip("a"))])]))
    assert page.addresses
    assert all(address.startswith("data:") for address in page.addresses)
    assert "style" not in page.attributes, "the policy forbids it"


def test_the_policy_names_this_very_style_and_script() -> None:
    import base64
    import hashlib

    page = verdict_page(comparison())
    for tag in ("style", "script"):
        inside = re.search(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert inside
        digest = base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in page


def test_hostile_texts_stay_texts() -> None:
    usual = Read(verdict_page(comparison(), [Example("c", "q", [("m", strip("a"))])])).tags
    verdict = comparison()
    first = replace(verdict.models[0], title=EVIL, recipe=EVIL, cost=replace(verdict.models[0].cost, licence=EVIL))
    verdict = replace(
        verdict,
        title=EVIL,
        dataset=EVIL,
        models=(first, *verdict.models[1:]),
        notes=(EVIL,),
        only_right=(OnlyRight(EVIL, EVIL, EVIL),),
        versions={EVIL: EVIL},
    )
    page = verdict_page(verdict, [Example(EVIL, EVIL, [(EVIL, strip("a"))])])
    assert Read(page).tags.count("script") == usual.count("script") == 1
    assert "<img src=x" not in page
    assert not set("\u202e\x1b") & set(page)
    assert r"\u202egnp\x0a\x0a" in page


def test_without_labels_nothing_is_called_best_and_proxies_are_called_so() -> None:
    page = verdict_page(unlabelled())
    text = Read(page).text
    assert "There are no labels" in text
    assert "Proxies" in text
    assert 'id="contested"' in page
    for part in ("pairs", "scores", "slices"):
        assert f'id="{part}"' not in page
    assert "surely" not in text


def test_pictures_are_shown_where_they_are_given() -> None:
    small = encoded(Image.new("RGB", (80, 60), "red"), "PNG")
    page = verdict_page(comparison(), pictures=dict.fromkeys(pictured(comparison()), small))
    assert page.count("data:image/png") == 6, "two confused, one only right, two contested, one suspected"


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="JPEG or PNG"):
        verdict_page(comparison(), pictures={"rice/0001.jpg": b"<svg onload=alert(1)>"})


def test_endless_lists_are_cut_and_counted() -> None:
    right = tuple(OnlyRight("m", f"{n}.jpg", "tea") for n in range(MOST + 12))
    text = Read(verdict_page(replace(comparison(), only_right=right))).text
    assert "And 12 more" in text
    assert f"{MOST}.jpg" not in text


def test_an_empty_comparison_is_a_page_too() -> None:
    verdict = Comparison("d", "d", "f", "", 0, 0, 0, 0, 0, 0, "recall@1", (1,), 5, ())
    assert "No query could be scored" in verdict_page(verdict)


def test_ties_are_called_ties_and_only_tested_differences_sure() -> None:
    first, *more = verdict_sentences(comparison())
    assert first.startswith("efficientnet-lite2 has the highest Recall@1, 0.87 (0.84 to 0.90)")
    sure, tied = first.split("tie with")
    assert "surely better than int8:pca:128:efficientnet-lite0 and vectors:own.npy" in sure
    assert "efficientnet-lite0:" in tied
    assert any("efficientnet-lite0 is a tie" in one and "2.1 times as fast" in one for one in more)


def test_a_winner_of_all_tests_is_best() -> None:
    verdict = comparison()
    pairs = tuple(replace(pair, verdict="better", p_holm=0.001) for pair in verdict.pairs)
    assert verdict_sentences(replace(verdict, pairs=pairs))[0] == (
        "efficientnet-lite2 is best: Recall@1 0.87 (0.84 to 0.90), surely better than all 5 other models."
    )


def test_a_pair_is_read_in_both_directions() -> None:
    verdict = comparison()
    turned = tuple(
        replace(
            p,
            a=p.b,
            b=p.a,
            difference=-p.difference,
            low=-p.high,
            high=-p.low,
            verdict={"better": "worse", "worse": "better"}.get(p.verdict, "tie"),
        )  # type: ignore[arg-type]
        for p in verdict.pairs
    )
    assert verdict_sentences(replace(verdict, pairs=turned)) == verdict_sentences(verdict)


def test_without_tests_nothing_is_sure() -> None:
    said = " ".join(verdict_sentences(replace(comparison(), pairs=())))
    assert "no test says" in said
    assert "surely" not in said


def test_speeds_of_different_devices_are_not_compared() -> None:
    verdict = comparison()
    rows = tuple(
        replace(row, cost=replace(row.cost, device="cuda:0")) if row.model == "efficientnet-lite2" else row
        for row in verdict.models
    )
    assert "times as fast" not in " ".join(verdict_sentences(replace(verdict, models=rows)))


def test_a_baseline_that_wins_is_told_first() -> None:
    said = verdict_sentences(with_score(comparison(), "baseline:colour", 0.9, 0.93, 0.95))
    assert said[0].startswith("No model scores higher than a baseline here: baseline:colour has Recall@1 0.93")


def test_a_baseline_that_may_be_as_good_is_told() -> None:
    said = " ".join(verdict_sentences(with_score(comparison(), "baseline:colour", 0.8, 0.84, 0.87)))
    assert "overlaps that of efficientnet-lite2" in said


def test_few_queries_are_told() -> None:
    assert "Only 12 queries" in " ".join(verdict_sentences(replace(comparison(), queries=12)))
    assert "Only" not in " ".join(verdict_sentences(comparison()))


def test_another_leader_without_near_duplicates_is_told() -> None:
    verdict = comparison()
    rows = tuple(
        replace(row, without_duplicates={"recall@1": 0.79}) if row.model == "efficientnet-lite1" else row
        for row in verdict.models
    )
    said = verdict_sentences(replace(verdict, models=rows))
    assert said[-1].startswith("Without near-duplicates efficientnet-lite1 has the highest Recall@1, 0.79 against 0.77")


def test_baselines_alone_are_no_verdict() -> None:
    rows = tuple(row for row in comparison().models if row.kind == "baseline")
    assert verdict_sentences(replace(comparison(), models=rows, pairs=())) == [
        "Only baselines were scored; the highest is baseline:colour with Recall@1 0.31 (0.28 to 0.34)."
    ]


def test_words_are_safe_to_print() -> None:
    verdict = comparison()
    rows = (replace(verdict.models[0], model="\x1b[31m\nx"), *verdict.models[1:])
    assert all(sentence.isprintable() for sentence in verdict_sentences(replace(verdict, models=rows, pairs=())))
