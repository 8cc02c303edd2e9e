"""Retrieval scores of a space, query by query: Recall@K, MAP@R, R-precision, kNN accuracy.

Similarities are computed for a block of queries at a time, so memory does not grow with the square of the images.
Equal similarities are ranked in the order of the dataset.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from visexplore.core.evaluation.space import Positions, Rows, Space, block_size

KNN = 5
"""Neighbours that vote for the class of a query in `knn_accuracy`."""

Labels = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Protocol:
    """Who asks and what is searched.

    Attributes:
        labels: int32 for each image of the dataset, -1 where it has none. Such an image asks nothing; in the gallery
            it is right for nobody and has no vote.
        queries: positions in the dataset.
        gallery: positions in the dataset, ascending, none twice. A query that is among them is left out of its own
            ranking, by its position: an image with the same content stays in.
        duplicates: a number for each image of the dataset, equal for near-duplicates; a query's near-duplicates are
            left out of its ranking. None: all are ranked.
    """

    labels: Labels
    queries: Positions
    gallery: Positions
    duplicates: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class QueryScores:
    """How well each query was answered.

    Attributes:
        queries: (q,) positions in the dataset of the queries that were scored.
        alone: queries left out because no other image of the gallery has their label.
        values: (q,) float64 by name, 0 to 1: `recall@1`, ..., `map_at_r`, `r_precision`, `knn_accuracy`.
        neighbours: (q, k) int64, positions in the dataset, the nearest first; -1 where the gallery is smaller.
        predicted: (q,) int32, the label that the nearest neighbours vote for; -1 where none of them has one.
    """

    queries: Positions
    alone: int
    values: dict[str, NDArray[np.float64]]
    neighbours: NDArray[np.int64]
    predicted: Labels

    def mean(self, name: str) -> float:
        """Return a score's mean over the queries; nan without any."""
        values = self.values[name]
        return float(values.mean()) if len(values) else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class _Gallery:
    """What is searched, as the space knows it: positions, rows and labels, in the order of the dataset."""

    positions: Positions
    rows: Rows
    labels: Labels
    sorted_labels: Labels


def score(space: Space, protocol: Protocol, ks: Sequence[int] = (1, 5, 10), *, neighbours: int = 5) -> QueryScores:
    """Rank the gallery for each query and score the rankings.

    With R the number of images in the gallery that have the query's label, the query itself left out, and rel(i) 1
    where the neighbour of rank i has it, else 0:

    - Recall@K: 1 if any rel(i) with i <= K is 1, as in metric learning.
    - R-precision: sum of rel(i) for i <= R, divided by R.
    - MAP@R: (1 / R) sum over i <= R of P(i) rel(i), where P(i) is the precision of the first i
      ("A Metric Learning Reality Check", arXiv 2003.08505, eq. 3 and 4).
    - kNN accuracy: 1 if most of the 5 nearest have the query's label; a tie goes to the class met first.

    Images of the protocol that the space does not cover are left out; see `shared` for comparing several spaces.

    Args:
        space: what ranks.
        protocol: who asks and what is searched.
        ks: the K of Recall@K.
        neighbours: how many neighbours of each query to keep.

    Raises:
        ValueError: the gallery is not in ascending order, or holds an image twice.
    """
    if np.any(np.diff(protocol.gallery) <= 0):
        raise ValueError("a gallery is in the order of the dataset and holds no image twice")
    gallery = _gallery(space, protocol)
    asked = protocol.queries[(space.rows(protocol.queries) >= 0) & (protocol.labels[protocol.queries] >= 0)]
    step = block_size(len(space.positions))
    blocks = [
        _score_block(space, protocol, gallery, asked[start : start + step], ks, neighbours)
        for start in range(0, max(1, len(asked)), step)
    ]
    return QueryScores(
        queries=np.concatenate([block.queries for block in blocks]),
        alone=sum(block.alone for block in blocks),
        values={name: np.concatenate([block.values[name] for block in blocks]) for name in blocks[0].values},
        neighbours=np.concatenate([block.neighbours for block in blocks]),
        predicted=np.concatenate([block.predicted for block in blocks]),
    )


def shared(protocol: Protocol, spaces: Iterable[Space]) -> Protocol:
    """Return the protocol for images that all spaces cover, so that all answer the same queries from the same gallery.

    A model may have failed on some pictures. Comparing it as it is would let it win by what it does not cover.
    """
    for space in spaces:
        queries, gallery = protocol.queries, protocol.gallery
        protocol = replace(
            protocol, queries=queries[space.rows(queries) >= 0], gallery=gallery[space.rows(gallery) >= 0]
        )
    return protocol


def rankings(space: Space, protocol: Protocol, neighbours: int) -> NDArray[np.int64]:
    """Return the nearest images of each query, for which no labels are needed: (q, neighbours) positions, -1 for none.

    Args:
        space: what says how near they are.
        protocol: who asks and what is searched; the space covers all queries.
        neighbours: how many to return.
    """
    gallery = _gallery(space, protocol)
    found = np.full((len(protocol.queries), neighbours), -1, np.int64)
    depth = min(neighbours, len(gallery.positions))
    step = block_size(len(space.positions))
    for start in range(0, len(protocol.queries), step):
        asked = protocol.queries[start : start + step]
        left_out = _left_out(protocol, gallery.positions, asked)
        ranked = space.nearest(space.rows(asked), gallery.rows, left_out, depth)
        available = len(gallery.positions) - np.bincount(left_out[0], minlength=len(asked))
        valid = np.arange(depth) < available[:, None]
        found[start : start + step, :depth] = np.where(valid, gallery.positions[ranked], -1)
    return found


def _gallery(space: Space, protocol: Protocol) -> _Gallery:
    rows = space.rows(protocol.gallery)
    positions = protocol.gallery[rows >= 0]
    labels = protocol.labels[positions]
    return _Gallery(positions, rows[rows >= 0], labels, np.sort(labels))


def _score_block(
    space: Space,
    protocol: Protocol,
    gallery: _Gallery,
    asked: Positions,
    ks: Sequence[int],
    neighbours: int,
) -> QueryScores:
    left_out = _left_out(protocol, gallery.positions, asked)
    relevant = _relevant(protocol.labels[asked], gallery, left_out)
    kept = relevant > 0
    queries, relevant, left_out = asked[kept], relevant[kept], _of_rows(left_out, kept)
    own = protocol.labels[queries][:, None]
    available = len(gallery.positions) - np.bincount(left_out[0], minlength=len(queries))

    depth = min(len(gallery.positions), max(int(relevant.max(initial=0)), *ks, neighbours, KNN))
    if len(queries):
        ranked = space.nearest(space.rows(queries), gallery.rows, left_out, depth)
    else:
        ranked = np.empty((0, depth), np.int64)
    valid = np.arange(depth) < available[:, None]
    hits = (gallery.labels[ranked] == own) & valid
    within = hits & (np.arange(depth) < relevant[:, None])
    deepest = int(relevant.max(initial=0))
    precision = np.cumsum(hits[:, :deepest], axis=1, dtype=np.int32) / np.arange(1, deepest + 1)
    predicted = _vote(np.where(valid[:, :KNN], gallery.labels[ranked[:, :KNN]], -1))
    nearest = np.full((len(queries), neighbours), -1, np.int64)
    shown = min(neighbours, depth)
    nearest[:, :shown] = np.where(valid[:, :shown], gallery.positions[ranked[:, :shown]], -1)
    return QueryScores(
        queries=queries,
        alone=len(asked) - len(queries),
        values={
            **{f"recall@{k}": hits[:, :k].any(axis=1).astype(np.float64) for k in ks},
            "r_precision": within.sum(axis=1) / relevant,
            "map_at_r": (precision * within[:, :deepest]).sum(axis=1) / relevant,
            "knn_accuracy": (predicted[:, None] == own)[:, 0].astype(np.float64),
        },
        neighbours=nearest,
        predicted=predicted,
    )


def _left_out(protocol: Protocol, gallery: Positions, queries: Positions) -> tuple[Rows, Rows]:
    """Return pairs of indices into `queries` and `gallery`: each query itself, or all of its group of duplicates."""
    # Without groups, each image is one of its own.
    of_gallery = gallery if protocol.duplicates is None else protocol.duplicates[gallery]
    of_queries = queries if protocol.duplicates is None else protocol.duplicates[queries]
    order = np.argsort(of_gallery, kind="stable")
    starts = np.searchsorted(of_gallery[order], of_queries, side="left")
    sizes = np.searchsorted(of_gallery[order], of_queries, side="right") - starts
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.repeat(np.arange(len(queries)), sizes), order[np.repeat(starts, sizes) + within]


def _relevant(labels: Labels, gallery: _Gallery, left_out: tuple[Rows, Rows]) -> NDArray[np.int64]:
    """Return how many images of the gallery have each query's label, those left out not counted."""
    rows, columns = left_out
    ends = (np.searchsorted(gallery.sorted_labels, labels, side=side) for side in ("right", "left"))
    of_label = np.subtract(*ends)
    relevant: NDArray[np.int64] = of_label - np.bincount(
        rows[gallery.labels[columns] == labels[rows]], minlength=len(labels)
    )
    return relevant


def _of_rows(pairs: tuple[Rows, Rows], kept: NDArray[np.bool_]) -> tuple[Rows, Rows]:
    """Return the pairs of the rows that are kept, the rows counted anew."""
    rows, columns = pairs
    return (np.cumsum(kept) - 1)[rows[kept[rows]]], columns[kept[rows]]


def _vote(labels: Labels) -> Labels:
    """Return the most frequent label of each row, of several the one that comes first; -1 is no vote."""
    if not labels.shape[1]:
        return np.full(len(labels), -1, np.int32)
    votes = (labels[:, :, None] == labels[:, None, :]).sum(axis=2)
    votes[labels < 0] = 0
    winner = votes.argmax(axis=1)  # the first of the largest
    found: Labels = labels[np.arange(len(labels)), winner]
    return found
