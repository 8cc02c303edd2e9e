"""How long the verdict on three models takes on a dataset whose embeddings are there: budget 10 s at 10,000 images.

    python -m tests.benchmarks.compare [--images N] [--dim D] [--classes C]

The images are drawn, small and all different; the embeddings lie around a centre for each class. Reading them, all
scores, intervals, pairs, slices, near-duplicates and agreement are timed, baselines are not.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from tests.core.evaluation.spaces import clustered_vectors
from visexplore.core.encoders.device import usable_cores
from visexplore.core.explorer import Explorer
from visexplore.core.settings import Settings

BUDGET = 10.0  # seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=1280)
    parser.add_argument("--classes", type=int, default=100)
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as place:
        photos = Path(place) / "photos"
        for number in range(options.images):
            file = photos / f"{number % options.classes:04}" / f"{number:07}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (number % 256, number // 256 % 256, number // 65536)).save(file)
        explorer = Explorer(Settings(home=Path(place) / "home", models_file=Path(place) / "models.toml"))
        records = explorer.dataset(str(photos)).records
        labels = np.array([int(record.label or 0) for record in records], np.int32)
        models = []
        for spread in (3.0, 3.2, 4.0):
            file = Path(place) / f"spread-{spread}.npy"
            np.save(file, clustered_vectors(labels, options.dim, spread))
            models.append(f"vectors:{file}")
        started, used = time.perf_counter(), time.process_time()
        *_, verdict = explorer.compare(str(photos), models, baselines=False)
        wall, cpu = time.perf_counter() - started, time.process_time() - used
    print(f"{options.images:,} x {options.dim:,}, {len(models)} models, {usable_cores()} cores")
    print(f"verdict  {wall:.1f} s  ({cpu:.1f} s of a core)  budget {BUDGET:.0f} s at 10,000 images")
    for row in verdict.models:
        score = row.scores[verdict.main]
        print(f"  {row.model}  {score.value:.3f} ({score.low:.3f} to {score.high:.3f})")


if __name__ == "__main__":
    main()
