"""Single images out of Parquet files, where neighbours are read together and the order is nearly that of the rows."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from visexplore.core.datasets.dataset import ImageRecord
from visexplore.core.errors import UnreadableImage

# Parquet is read in blocks of rows that take about so many bytes. All decoding threads together are within few of them.
_BLOCK_BYTES = 32_000_000
_BLOCKS = 8
_STREAMS = 4


@dataclass(frozen=True, slots=True)
class Shard:
    """Where the images of a Parquet file are.

    Attributes:
        column: that holds them.
        group_starts: first row of each row group, and at the end the number of rows.
        block_rows: by row group, how many rows are read at a time.
    """

    column: str
    group_starts: tuple[int, ...]
    block_rows: tuple[int, ...]


def shard_of(metadata: Any, column: str) -> Shard:  # noqa: ANN401 - pyarrow has no types
    """Return where the images are, from the metadata of a Parquet file."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    starts = (0, *accumulate(group.num_rows for group in groups))
    block_rows = []
    for group in groups:
        parts = [group.column(number) for number in range(group.num_columns)]
        size = sum(part.total_uncompressed_size for part in parts if part.path_in_schema.split(".")[0] == column)
        block_rows.append(max(1, _BLOCK_BYTES * group.num_rows // max(size, 1)))
    return Shard(column, starts, tuple(block_rows))


class ParquetRows:
    """Reads the image of a record whose `path` is a Parquet file and whose `place` is a row.

    A row group is read from its beginning, block by block; the last blocks are kept. So images that are asked for in
    nearly their order cost one pass, whichever threads ask, and memory stays bounded also where a file is one single
    row group. May be called from several threads.
    """

    def __init__(self, shards: Mapping[str, Shard]) -> None:
        self._shards = shards
        self._lock = threading.Lock()
        self._blocks: OrderedDict[tuple[str, int, int], Any] = OrderedDict()
        self._streams: OrderedDict[tuple[str, int], tuple[int, Iterator[Any]]] = OrderedDict()

    def __call__(self, record: ImageRecord) -> bytes:
        """Return the bytes of an image.

        Raises:
            UnreadableImage: the row holds no image, or the file cannot be read there.
        """
        import pyarrow as pa

        shard = self._shards[record.path]
        group = bisect_right(shard.group_starts, record.place) - 1
        number, row = divmod(record.place - shard.group_starts[group], shard.block_rows[group])
        try:
            with self._lock:
                block = self._block(record.path, group, number)
            value = block.column(0)[row].as_py()
        except (OSError, pa.ArrowException, IndexError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UnreadableImage(f"The Parquet file cannot be read at row {record.place} ({reason})") from error
        return image_bytes(value, Path(record.path).parent)

    def _block(self, path: str, group: int, number: int) -> Any:  # noqa: ANN401
        wanted = (path, group, number)
        while wanted not in self._blocks:
            next_number, stream = self._streams.pop((path, group), (number + 1, iter(())))
            if next_number > number:
                next_number, stream = 0, self._open(path, group)
            block = next(stream, None)
            if block is None or block.num_rows != self._rows(path, group, next_number):
                raise IndexError("its rows are not as they were")
            self._streams[path, group] = (next_number + 1, stream)
            self._blocks[path, group, next_number] = block
            while len(self._blocks) > _BLOCKS:
                self._blocks.popitem(last=False)
            while len(self._streams) > _STREAMS:
                self._streams.popitem(last=False)
        self._blocks.move_to_end(wanted)
        return self._blocks[wanted]

    def _rows(self, path: str, group: int, number: int) -> int:
        shard = self._shards[path]
        starts, step = shard.group_starts, shard.block_rows[group]
        return min(step, starts[group + 1] - starts[group] - number * step)

    def _open(self, path: str, group: int) -> Iterator[Any]:
        import pyarrow.parquet as pq

        # Without `pre_buffer` and with a buffer of its own, pages are read one by one and not the whole row group.
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            rows, column = self._rows(path, group, 0), self._shards[path].column
            yield from file.iter_batches(batch_size=rows, row_groups=[group], columns=[column], use_threads=False)


def image_bytes(value: object, folder: Path) -> bytes:
    """Return the bytes of an image as a table holds it: bytes, or a struct of `bytes` and the `path` of a file.

    Args:
        value: from the table.
        folder: that a path is relative to.

    Raises:
        UnreadableImage: it holds no image, or the file cannot be read.
    """
    data = value.get("bytes") if isinstance(value, dict) else value
    if isinstance(data, bytes):
        return data
    path = value.get("path") if isinstance(value, dict) else None
    if not path:
        raise UnreadableImage("The row holds no image")
    try:
        return (folder / str(path)).read_bytes()
    except OSError as error:
        raise UnreadableImage(f"The row holds no bytes, and its file {path}: {error.strerror or error}") from error
