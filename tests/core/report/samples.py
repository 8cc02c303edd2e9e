"""A verdict and strips as they really come out, made by hand; and the texts that a report must survive."""

from __future__ import annotations

import io
import math
from itertools import combinations

from PIL import Image

from visexplore.core.comparison import (
    Agreed,
    Comparison,
    Contested,
    Cost,
    Interval,
    Judged,
    Kind,
    Mistaken,
    OnlyRight,
    Pair,
    SliceScore,
    Suspected,
)
from visexplore.core.report.strip import StripPicture, draw_strip

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> `a` | ](javascript:alert(1)) \u202egnp\n\n# b\x1b[31m"

LICENCE = "Apache-2.0"


def judged(
    model: str, value: float, group: str, *, kind: Kind = "model", pareto: bool = False, cost: Cost | None = None
) -> Judged:
    half = 0.03
    mean = Interval(value, max(0.0, value - half), min(1.0, value + half))
    nothing = Interval(math.nan, math.nan, math.nan)
    scores = {"recall@1": mean, "recall@5": Interval(value + 0.05, value + 0.02, value + 0.07)}
    scores |= {"map_at_r": Interval(value / 2, value / 2 - 0.02, value / 2 + 0.02), "r_precision": nothing}
    return Judged(
        model,
        kind,
        f"title of {model}",
        "3f9c2a71b0",
        "a1b2c3d",
        scores,
        {"recall@1": value - 0.1, "map_at_r": math.nan},
        group,
        pareto,
        cost or Cost(1280, 5_120_000_000),
        hubness=math.nan if kind == "baseline" else 1.25,
        effective_rank=None if kind == "virtual" else 212.4,
        self_retrieval={} if kind == "vectors" else {"crop": 0.93, "blur": 0.71},
    )


def cost(dim: int, per_second: float | None, parameters: float | None, memory: int | None = None) -> Cost:
    million = round(parameters * 1e6) if parameters else None
    return Cost(dim, dim * 4_000_000, million, per_second, "cpu" if per_second else "", "float32", memory, LICENCE)


ROWS = (
    judged("efficientnet-lite2", 0.87, "a", pareto=True, cost=cost(1280, 31.0, 4.8)),
    judged("rrf:efficientnet-lite1,efficientnet-lite2", 0.868, "a", kind="virtual", cost=Cost(None, 10_240_000_000)),
    judged("efficientnet-lite1", 0.85, "a", cost=cost(1280, 42.0, 4.2)),
    judged("efficientnet-lite0", 0.846, "ab", pareto=True, cost=cost(1280, 65.4, 3.4)),
    judged(
        "int8:pca:128:efficientnet-lite0",
        0.80,
        "b",
        kind="virtual",
        pareto=True,
        cost=Cost(128, 128_000_000, 3_400_000),
    ),
    judged("vectors:own.npy", 0.70, "c", kind="vectors", cost=Cost(512, 2_048_000_000)),
    judged("baseline:colour", 0.31, "", kind="baseline", cost=cost(64, 900, None)),
    judged("baseline:phash", 0.12, "", kind="baseline", cost=cost(64, 1200, None)),
    judged("baseline:random", 0.03, "", kind="baseline", cost=cost(64, None, None)),
)

MODELS = [row.model for row in ROWS if row.kind != "baseline"]


def pair(a: str, b: str) -> Pair:
    mean = {row.model: row.scores["recall@1"].value for row in ROWS}
    groups = {row.model: set(row.group) for row in ROWS}
    off = mean[a] - mean[b]
    tie = bool(groups[a] & groups[b])
    return Pair(
        a, b, off, off - 0.025, off + 0.025, 0.2 if tie else 1e-6, 0.4 if tie else 2e-5, "tie" if tie else "better"
    )


def comparison() -> Comparison:
    """A verdict of six models of all kinds and three baselines on 613 queries."""
    return Comparison(
        dataset="/photos/groceries",
        title="groceries",
        fingerprint="9d3be01c77aa",
        split="test",
        images=640,
        queries=613,
        gallery=640,
        alone=21,
        not_covered=6,
        duplicates=38,
        main="recall@1",
        ks=(1, 5, 10),
        k=10,
        models=ROWS,
        pairs=tuple(pair(a, b) for a, b in combinations(MODELS, 2)),
        agreement=tuple(
            Agreed(a, b, 0.9 - 0.11 * abs(i - j), 0.85 - 0.1 * abs(i - j)) for (i, a), (j, b) in _numbered()
        ),
        contested=(Contested("pasta/0007.jpg", "pasta", 0.83), Contested("tea/0101.jpg", None, 0.79)),
        slices=(
            SliceScore("label", "pasta", 48, dict.fromkeys(MODELS, 0.8) | {MODELS[0]: 0.95}, MODELS[0], True),
            SliceScore("size", "below 200 px", 22, dict.fromkeys(MODELS, 0.5), "", False),
        ),
        mistaken=(Mistaken(MODELS[0], "rice", "pasta", 7, 41, "rice/0001.jpg", "pasta/0007.jpg"),),
        only_right=(OnlyRight("efficientnet-lite1", "tea/0101.jpg", "tea"),),
        suspected=(Suspected("coffee/0003.jpg", "coffee", "tea", 0.94),),
        notes=("6 images are left out because vectors:own.npy has no embedding of them.",),
        seconds=3.21,
        versions={"visexplore": "0.1.0", "torch": "2.15.0", "numpy": "2.5.5"},
    )


def _numbered() -> list[tuple[tuple[int, str], tuple[int, str]]]:
    return list(combinations(enumerate(MODELS), 2))


def strip(title: str) -> bytes:
    """A strip of plain colours as JPEG."""
    colours = ["#7b9e3f", "#86a94b", "#c9a227", "#7a9a3c", "#b5532a", "#8fae58"]
    pictures = [
        StripPicture(Image.new("RGB", (300, 220), colour), (f"{n}   0.{91 - n}", "pasta"), None if n == 0 else n != 4)
        for n, colour in enumerate(colours)
    ]
    return encoded(draw_strip(title, "2019-05, Recall@1 0.87 (0.84 to 0.90)", pictures[0], pictures[1:]))


def encoded(image: Image.Image, kind: str = "JPEG") -> bytes:
    data = io.BytesIO()
    image.save(data, kind)
    return data.getvalue()
