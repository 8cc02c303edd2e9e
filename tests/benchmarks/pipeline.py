"""How near embedding comes to the slower of its two halves: decoding alone, and the model alone on ready pixels.

    python -m tests.benchmarks.pipeline FOLDER [--limit N] [-m MODEL] [--repeats R] [--device D]

All rates are of the same run, their repeats interleaved, so that what else the machine does falls on all of them;
the median counts. Where decoding and model share the same cores, no program can reach the slower half's own rate:
one second of the cores is used for both. The ceiling is then 1 / (1 / decoding + 1 / model), also printed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from visexplore.core.datasets import Dataset, open_dataset
from visexplore.core.encoders import Encoder
from visexplore.core.encoders.device import usable_cores
from visexplore.core.encoders.encoder import Pixels
from visexplore.core.explorer import Explorer
from visexplore.core.images import decode
from visexplore.core.messages import EmbedReport
from visexplore.core.settings import Settings


def rate(images: int, work: Callable[[], object]) -> float:
    """Return images a second."""
    started = time.perf_counter()
    work()
    return images / (time.perf_counter() - started)


def decode_all(dataset: Dataset, limit: int, encoder: Encoder) -> list[Pixels]:
    """Read, decode and resize in as many threads as the pipeline uses."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        prepare = lambda record: encoder.preprocess(decode(dataset.read(record)))  # noqa: E731
        return list(pool.map(prepare, dataset.records[:limit]))


def in_batches(pixels: Sequence[Pixels], size: int) -> list[Pixels]:
    return [np.stack(pixels[start : start + size]) for start in range(0, len(pixels), size)]


def forward_in_turn(encoder: Encoder, batches: list[Pixels]) -> None:
    """One batch after the other, each with all cores: what a plain loop does."""
    for batch in batches:
        encoder.embed_images(batch)


def forward_in_parallel(encoder: Encoder, batches: list[Pixels]) -> None:
    """Batches at the same time, as the pipeline runs them."""
    with ThreadPoolExecutor(encoder.parallel_batches, initializer=encoder.prepare_thread) as pool:
        list(pool.map(encoder.embed_images, batches))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--limit", type=int, default=2000)
    parser.add_argument("-m", "--model", default="efficientnet-lite0")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch-size", type=int)
    options = parser.parse_args()

    dataset = open_dataset(options.folder)
    images = min(options.limit, len(dataset))
    rates: dict[str, list[float]] = {}
    second_runs = []

    with tempfile.TemporaryDirectory() as top:
        settings = Settings(Path(top), Path(top, "models.toml"), offline=True)
        explorer = Explorer(settings, device=options.device, batch_size=options.batch_size)
        encoder = explorer.encoder(options.model)
        batches = in_batches(decode_all(dataset, images, encoder), encoder.batch_size)
        forward_in_parallel(encoder, batches[: 2 * encoder.parallel_batches])  # warm up

        def embed() -> EmbedReport:
            *_, report = explorer.embed(options.folder, [options.model], limit=images)
            assert isinstance(report, EmbedReport)
            return report

        for _ in range(options.repeats):
            for name, work in (
                ("decoding alone", lambda: decode_all(dataset, images, encoder)),
                ("model alone, batches in turn", lambda: forward_in_turn(encoder, batches)),
                ("model alone, batches in parallel", lambda: forward_in_parallel(encoder, batches)),
                ("pipeline", embed),
            ):
                rates.setdefault(name, []).append(rate(images, work))
            started = time.perf_counter()
            again = embed()
            second_runs.append(time.perf_counter() - started)
            assert again.embedded == 0
            explorer.remove_store(explorer.stores()[0])

    median = {name: statistics.median(values) for name, values in rates.items()}
    decoding = median["decoding alone"]
    model = max(median["model alone, batches in turn"], median["model alone, batches in parallel"])
    bound = min(decoding, model)
    ceiling = 1 / (1 / decoding + 1 / model)
    print(f"{images} images, {options.model} on {encoder.device}, batch {encoder.batch_size} x", end=" ")
    print(f"{encoder.parallel_batches}, {usable_cores()} cores, median of {options.repeats}\n")
    for name, value in median.items():
        spread = f"{min(rates[name]):7.1f} to {max(rates[name]):.1f}"
        print(f"{name:34}{value:8.1f} images/s   {spread}")
    print(f"\n{'pipeline / min(decoding, model)':34}{median['pipeline'] / bound:8.3f}   budget 0.9")
    if encoder.device == "cpu":
        print(f"{'ceiling on shared cores':34}{ceiling:8.1f} images/s")
        print(f"{'ceiling / min(decoding, model)':34}{ceiling / bound:8.3f}")
        print(f"{'pipeline / ceiling':34}{median['pipeline'] / ceiling:8.3f}")
    print(f"{'second run':34}{statistics.median(second_runs):8.2f} s   budget 2")


if __name__ == "__main__":
    main()
