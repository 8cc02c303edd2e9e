"""Which columns of a table hold the images, the labels, the splits; and their values as texts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from visexplore.core.datasets.dataset import Attributes
from visexplore.core.errors import UserError

# Names as people write them, the likeliest first; compared without case, blanks, dashes and underscores.
IMAGE_NAMES = (
    "image", "img", "imagepath", "filepath", "path", "filename", "file", "imagefile", "imagename", "imageid", "picture",
    "photo", "fname", "name", "id",
)  # fmt: skip
LABEL_NAMES = (
    "label", "labels", "class", "classname", "labelname", "category", "target", "classid", "labelid", "categoryid",
    "product", "productid", "item", "itemid", "species", "finelabel",
)  # fmt: skip
SPLIT_NAMES = ("split", "subset", "partition", "fold", "evaluationstatus")
ID_NAMES = ("imageid", "id", "key", "filename", "filepath", "path", "name")
# Values that are nearly as many as the rows slice nothing, and would not be shared between the records.
_FEW_VALUES = 100

type Texts = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Roles:
    """Names of the columns that hold what; None where no column does."""

    image: str | None
    label: str | None
    split: str | None

    def has(self, column: str) -> bool:
        """Whether a column has a role."""
        return column in (self.image, self.label, self.split)


def find_column(columns: Iterable[str], named: str | None, usual: Sequence[str], where: object) -> str | None:
    """Return the column that was named, or the one with the likeliest of the usual names, or None.

    Args:
        columns: that there are.
        named: by the user.
        usual: names to look for.
        where: what has the columns, for the sentence.

    Raises:
        UserError: the named column is not there.
    """
    there = list(columns)
    if named is not None:
        if named in there:
            return named
        close = difflib.get_close_matches(named, there, n=1)
        raise UserError(
            f"{where} has no column '{named}'",
            f"Did you mean '{close[0]}'?" if close else f"Its columns are {', '.join(there)}.",
        )
    by_plain_name = {_plain(name): name for name in reversed(there)}
    return next((by_plain_name[name] for name in usual if name in by_plain_name), None)


def _plain(name: str) -> str:
    return "".join(char for char in name.casefold() if char not in " _-.")


def find_roles(columns: Sequence[str], options: Mapping[str, str], where: object) -> Roles:
    """Return which columns hold images, labels and splits: as named, else by their usual names.

    Raises:
        UserError: a named column is not there.
    """
    label = find_column(columns, options.get("label"), LABEL_NAMES, where)
    split = find_column(columns, options.get("split"), SPLIT_NAMES, where)
    free = [column for column in columns if column not in (label, split)]
    return Roles(find_column(free, options.get("image"), IMAGE_NAMES, where), label, split)


def labels_of(texts: Texts) -> list[str | None]:
    """Return values as labels: without blanks around them, None for empty ones."""
    cleaned: dict[str, str | None] = {}
    return [None if text is None else cleaned.setdefault(text, text.strip() or None) for text in texts]


def splits_of(texts: Texts) -> list[str | None]:
    """Return values as names of splits: in small letters, None for empty ones."""
    cleaned: dict[str, str | None] = {}
    return [None if text is None else cleaned.setdefault(text, text.strip().lower() or None) for text in texts]


def attributes_of(columns: Mapping[str, Texts], rows: int) -> list[Attributes]:
    """Return the attributes of each row; equal ones are one object.

    Columns whose values are all different, or nearly so, are left out: nothing can be sliced by them.
    """
    useful = {}
    for name, texts in columns.items():
        values = set(texts) - {None, ""}
        if values and (len(values) <= max(_FEW_VALUES, rows // 2)) and (len(values) < rows or rows == 1):
            useful[name] = texts
    if not useful:
        return [()] * rows
    pairs: dict[tuple[str, str], tuple[str, str]] = {}
    shared: dict[Attributes, Attributes] = {}
    out = []
    for values_of_row in zip(*useful.values(), strict=True):
        row = tuple(
            pairs.setdefault(pair, pair)
            for pair in ((name, value) for name, value in zip(useful, values_of_row, strict=True) if value)
        )
        out.append(shared.setdefault(row, row))
    return out


def may_be_texts(kind: Any) -> bool:  # noqa: ANN401 - pyarrow has no types
    """Whether values of an Arrow type may be names of something: texts, whole numbers and truth values.

    Floats may be whole numbers that a missing value made floats.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return bool(text or pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_floating(kind))


def arrow_texts(column: Any, names: Sequence[str] = ()) -> list[str | None] | None:  # noqa: ANN401 - as above
    """Return an Arrow column (`ChunkedArray`) as texts, or None if its values are no names of anything.

    Equal texts are one object.

    Args:
        column: the values.
        names: of the classes, where the values are their numbers.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not may_be_texts(column.type):
        return None
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
        if not pc.all(pc.equal(pc.floor(column), column), min_count=0).as_py():
            return None
        column = pc.cast(column, pa.int64(), safe=False)
    encoded = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
    encoded = encoded.unify_dictionaries()
    if not encoded.num_chunks:
        return []
    values = [_text(value, names) for value in encoded.chunk(0).dictionary.to_pylist()]
    indices = pa.chunked_array([chunk.indices for chunk in encoded.chunks]).to_pylist()
    return [None if index is None else values[index] for index in indices]


def _text(value: object, names: Sequence[str]) -> str | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and names:
        return names[value] if 0 <= value < len(names) else None  # -1 is how the hub says "not known"
    return str(value)
