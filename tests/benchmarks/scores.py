"""How long all scores of a large dataset take, and how much memory: by default as large as the test half of SOP.

    python -m tests.benchmarks.scores [--images N] [--dim D] [--classes C] [-k K ...]

Embeddings are drawn around a centre for each class, about as easy to tell apart as real ones. Seconds of the
processor say more than those of the clock where the machine has other work.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np

from tests.core.evaluation.spaces import clustered_vectors
from visexplore.core.encoders.device import usable_cores
from visexplore.core.evaluation.agreement import disagreement
from visexplore.core.evaluation.background import background
from visexplore.core.evaluation.confidence import compare_pairs, interval
from visexplore.core.evaluation.duplicates import linked
from visexplore.core.evaluation.proxies import effective_rank
from visexplore.core.evaluation.scores import Protocol, score
from visexplore.core.evaluation.space import EmbeddingSpace


def timed[Result](what: str, work: Callable[[], Result], budget: float | None = None) -> Result:
    """Run and print seconds of the clock and of the processor."""
    started, used = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - started, time.process_time() - used
    print(f"{what:34}{wall:8.1f} s{cpu:10.1f} s of a core{f'   budget {budget:.0f} s' if budget else ''}", flush=True)
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=60_502)
    parser.add_argument("--dim", type=int, default=1024)
    parser.add_argument("--classes", type=int, default=11_316)
    parser.add_argument("-k", type=int, nargs="+", default=[1, 10, 100, 1000])
    options = parser.parse_args()

    labels = (np.arange(options.images) % options.classes).astype(np.int32)
    everything = np.arange(options.images)
    space = EmbeddingSpace("drawn", everything, clustered_vectors(labels, options.dim, 3.0))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{options.images} x {options.dim}, {options.classes} classes, {usable_cores()} cores\n")

    protocol = Protocol(labels, everything, everything)
    found = timed("all scores", lambda: score(space, protocol, options.k), 180)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    timed("intervals", lambda: [interval(values) for values in found.values.values()])
    models = {str(seed): np.random.default_rng(seed).permutation(found.values["map_at_r"]) for seed in range(3)}
    timed("paired bootstrap of three models", lambda: compare_pairs(models))
    other = {"one": found.neighbours, "other": np.roll(found.neighbours, 1, axis=1)}
    timed("disagreement of two models", lambda: disagreement(other))
    timed("background", lambda: background(space))
    timed("effective rank", lambda: effective_rank(space.vectors))
    timed("near-duplicates", lambda: linked([space], everything, found.queries, [found.neighbours]))

    print(f"\n{'peak memory with the scores':34}{peak:8.2f} GB   budget 4 GB")
    print(f"{'  of it before them':34}{before:8.2f} GB")
    for name, values in found.values.items():
        print(f"{name:34}{values.mean():8.4f}")


if __name__ == "__main__":
    main()
