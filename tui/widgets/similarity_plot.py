"""How near the query is to all images, beside how near random pairs are: histograms over one axis of cosines."""

from __future__ import annotations

from collections.abc import Sequence

from visexplore.core.messages import Similarities
from visexplore.core.text import count, cut
from visexplore.tui.widgets.plot import Canvas, Plot

_MOST_BARS = 70  # more are thinner than what some hundred images can fill
_LEAST = 2  # rows of cells of a histogram
_MARKS = 3  # rows at most in which neighbours that are equally near stand above each other


class SimilarityPlot(Plot):
    """The histograms, each as high as its largest bin, and the neighbours on top."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - as Textual names it
        super().__init__(id=id)
        self._found: Similarities | None = None
        self._label = ""

    @property
    def bars(self) -> int:
        """How many bars of whole cells there is room for; 0 before it is laid out."""
        return self.size.width // -(-self.size.width // _MOST_BARS) if self.size.width else 0

    def show(self, found: Similarities, label: str) -> None:
        """Show the similarities of a query with this label; empty where it has none."""
        self._found, self._label = found, label
        self.redraw()

    def draw(self, canvas: Canvas) -> None:
        """Draw the axis, the marks and the histograms."""
        found = self._found
        if found is None or canvas.height < _LEAST + 3 or canvas.width < len(found.others):
            return
        ridges: list[tuple[str, str, Sequence[float]]] = []
        if found.same:
            images = count(sum(found.same), "image")
            ridges.append((f"same label, {cut(self._label, canvas.width // 3)}: {images}", "same", found.same))
        images = count(sum(found.others), "image")
        ridges.append((f"{'other labels' if found.same else 'all images'}: {images}", "other", found.others))
        if found.pairs:
            ridges.append(("random pairs: how near images are to each other under this model", "pairs", found.pairs))
        bottom = canvas.height - 2
        width = canvas.width // len(found.others) * len(found.others)  # bars of whole cells
        self._axis(canvas, found, bottom, width)
        marks = self._marks(canvas, found, width)
        each = max(_LEAST, (bottom - marks) // len(ridges))
        for number, (title, style, bins) in enumerate(ridges):
            floor = bottom - 1 - (len(ridges) - 1 - number) * each
            top = floor - each + 1
            largest = max(bins, default=0)
            for x in range(width):
                value = bins[x * len(bins) // width]
                canvas.bar(x, floor, (floor - top) * value / largest if largest else 0, style)
            canvas.put(0, top, cut(title, canvas.width), "text" if style == "same" else "axis")

    @staticmethod
    def _axis(canvas: Canvas, found: Similarities, y: int, width: int) -> None:
        canvas.put(0, y, "─" * canvas.width, "axis")
        step = next((step for step in (0.02, 0.05, 0.1, 0.2, 0.5) if (found.high - found.low) / step <= 10), 1.0)
        for number in range(-(-int(found.low * 1000) // int(step * 1000)), int(found.high / step) + 1):
            text = f"{number * step:.2f}"
            x = _column(number * step, found, width)
            if x - len(text) // 2 >= 0 and x + len(text) < canvas.width - 6:
                canvas.put(x, y, "┴", "axis")
                canvas.put(x - len(text) // 2, y + 1, text, "axis")
        canvas.put(canvas.width - 6, y + 1, "cosine", "axis")

    @staticmethod
    def _marks(canvas: Canvas, found: Similarities, width: int) -> int:
        """Put the neighbours' ranks at their cosines; return the rows that they take."""
        placed: dict[tuple[int, int], int] = {}
        for one in found.neighbours:
            x = _column(one.score, found, width)
            y = next((y for y in range(_MARKS) if (x, y) not in placed), None)
            if y is not None:
                placed[x, y] = one.rank
        rows = max((y for _, y in placed), default=-1) + 1
        for (x, y), rank in placed.items():
            canvas.put(x, rows - 1 - y, str(rank % 10), "neighbour")
        return rows


def _column(cosine: float, found: Similarities, width: int) -> int:
    return max(0, min(width - 1, int((cosine - found.low) / (found.high - found.low) * width)))
