"""Plots of a dataset under a model: a map of its embeddings, how near the query is to all, quality against cost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Static

from visexplore.core.comparison import Comparison
from visexplore.core.engine import (
    AskProjection,
    AskSimilarities,
    Died,
    Event,
    Failed,
    Found,
    Projected,
    Search,
    SimilaritiesCounted,
)
from visexplore.core.messages import Neighbour, Similarities
from visexplore.core.text import count, cut, cut_front, percentile, printable
from visexplore.tui.asks import Asks
from visexplore.tui.gallery import Gallery
from visexplore.tui.pictures import Pictures
from visexplore.tui.terminal import Terminal
from visexplore.tui.theme import MUTED
from visexplore.tui.widgets.cost_plot import CostPlot
from visexplore.tui.widgets.embedding_map import EmbeddingMap
from visexplore.tui.widgets.picture import Picture
from visexplore.tui.widgets.similarity_plot import SimilarityPlot

if TYPE_CHECKING:
    from PIL.Image import Image

    from visexplore.core.evaluation.projection import Method

TABS = ("Projection", "Similarities", "Quality and cost")
ROOM_FROM = 100
"""Columns from which there is room for a picture beside the map."""
WIDE_FROM = 140
"""Columns from which there is room for each neighbour's percentile among random pairs."""
_SIDE = 30  # columns of it
_SHORT = 12  # columns of a label where all stand in one line
_RESTS = 0.15  # seconds after which a cursor rests, and its picture is worth painting
_HINTS = (
    "Arrows: points. Space: same cell. Enter: as query. n p: query. [ ]: model. u: UMAP. Tab: next plot. Esc leaves.",
    "n p: query. [ ]: model. Tab: next plot. Esc leaves.",
    "c: another cost. Tab: next plot. Esc leaves.",
)
_SHORT_HINT = "Arrows, Space: points. Enter: query. u: UMAP. [ ]: model. Tab: plots. Esc"
_NO_COMPARISON = "No models were compared yet: leave with Esc, and press v."


class Plots(ModalScreen[None]):
    """Shows plots; whoever opened it goes on with its `model` and `image_id`.

    Args:
        terminal: how to draw pictures.
        pictures: thumbnails.
        asks: the engine.
        gallery: the dataset.
        models: what the engine knows the models by, `model` among them.
        model: the model to begin with.
        image_id: of the query; empty where that is no image of the dataset.
        comparison: the last one of this dataset, if there was one.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,P", "dismiss", "Back", show=False, tooltip="leave", id="plots_leave"),
        Binding("tab", "turn(1)", "Next plot", show=False, priority=True, tooltip="the next plot", id="plots_next"),
        Binding(
            "shift+tab",
            "turn(-1)",
            "Plot before",
            show=False,
            priority=True,
            tooltip="the plot before",
            id="plots_previous",
        ),
        Binding(
            "right_square_bracket",
            "switch_model(1)",
            "Next model",
            show=False,
            tooltip="the next model",
            id="plots_next_model",
        ),
        Binding(
            "left_square_bracket",
            "switch_model(-1)",
            "Model before",
            show=False,
            tooltip="the model before",
            id="plots_previous_model",
        ),
        Binding("n", "step(1)", "Next query", show=False, tooltip="the next query", id="plots_next_query"),
        Binding("p", "step(-1)", "Previous query", show=False, tooltip="the query before", id="plots_previous_query"),
        Binding("u", "switch_method", "PCA or UMAP", show=False, tooltip="PCA or UMAP", id="plots_method"),
        Binding("c", "turn_axis", "Another cost", show=False, tooltip="another cost", id="plots_cost"),
    ]

    def __init__(
        self,
        terminal: Terminal,
        pictures: Pictures,
        asks: Asks,
        gallery: Gallery,
        models: Sequence[str],
        model: str,
        image_id: str,
        comparison: Comparison | None,
    ) -> None:
        super().__init__()
        self._terminal = terminal
        self._pictures = pictures
        self._asks = asks
        self._gallery = gallery
        self._models = list(models)
        self._comparison = comparison
        self.model = model
        self.image_id = image_id
        self._tab = 0
        self._method: Method = "pca"
        self._maps: dict[tuple[str, Method], Projected] = {}
        self._asked: set[tuple[str, Method]] = set()
        self._shown: tuple[str, Method] | None = None
        self._similar: tuple[str, str, int] | None = None  # what the histogram is asked for, or shows
        self._rest: Timer | None = None

    def compose(self) -> ComposeResult:
        """Lay all plots in one place, of which one is seen."""
        with Vertical(id="plots"):
            yield Static("", id="plots-tabs", markup=False)
            yield Static("", id="plots-head", markup=False)
            with Horizontal(id="plots-body"):
                yield EmbeddingMap(id="plots-map")
                with Vertical(id="plots-side"):
                    yield Picture(self._terminal)
                    yield Static("", id="plots-legend", markup=False)
                yield SimilarityPlot(id="plots-similar")
                yield CostPlot(id="plots-cost")
            yield Static("", id="plots-caption", markup=False)
            yield Static("", classes="hint", id="plots-hint", markup=False)

    def on_mount(self) -> None:
        """Show the first plot."""
        if self._comparison is not None:
            self.query_one(CostPlot).show(self._comparison)
        self._show_tab()
        self._ask_neighbours()

    def on_resize(self) -> None:
        """Make room for the picture, or take it away; bins are as wide as cells."""
        self._show_tab()

    # ---- what is asked

    def _ask(self) -> None:
        """Ask for what the plot that is seen shows."""
        if self._tab == 0:
            self._ask_map()
        elif self._tab == 1:
            self._ask_similarities()

    def _ask_map(self) -> None:
        key = (self.model, self._method)
        if key in self._maps:
            self._show_map()
            return
        slow = " This takes minutes the first time; u goes back to PCA." if self._method == "umap" else ""
        self._say(f"Making a map of the embeddings under {self.model} with {self._method.upper()} ...{slow}")
        if key not in self._asked:
            self._asked.add(key)
            spec, (model, method) = self._gallery.spec, key
            self._asks.ask(lambda ticket: AskProjection(ticket, spec, model, method), partial(self._take_map, key))

    def _take_map(self, key: tuple[str, Method], event: Event) -> None:
        self._asked.discard(key)
        if isinstance(event, Projected):
            self._maps[key] = event
        if not self._is_open or self._tab or key != (self.model, self._method):
            return
        match event:
            case Projected():
                self._show_map()
            case Failed() | Died():
                self._method = "pca"
                if (self.model, self._method) in self._maps:
                    self._show_map()
                self._say(str(event.error))

    def _ask_neighbours(self) -> None:
        """Ask which images to mark on the map."""
        self._mark(())
        if self.image_id:
            key, spec = (self.model, self.image_id), self._gallery.spec
            self._asks.ask(
                lambda ticket: Search(ticket, spec, key[0], image_id=key[1]), partial(self._take_neighbours, key)
            )

    def _take_neighbours(self, key: tuple[str, str], event: Event) -> None:
        if self._is_open and key == (self.model, self.image_id) and isinstance(event, Found):
            self._mark(event.result.results[0].neighbours)

    def _mark(self, neighbours: Sequence[Neighbour]) -> None:
        places = self._gallery.position_of
        self.query_one(EmbeddingMap).mark(
            places.get(self.image_id, -1), [places[one.image_id] for one in neighbours if one.image_id in places]
        )

    def _ask_similarities(self) -> None:
        plot = self.query_one(SimilarityPlot)
        if not self.image_id:
            self._say("The query is no image of this dataset: n takes one that is.")
            return
        asked = (self.model, self.image_id, plot.bars)
        if asked == self._similar or not asked[2]:
            return
        if self._similar is None or self._similar[:2] != asked[:2]:
            self._say(f"Comparing {self.image_id} with all images under {self.model} ...")
        self._similar = asked
        spec = self._gallery.spec
        self._asks.ask(lambda ticket: AskSimilarities(ticket, spec, *asked), partial(self._take_similarities, asked))

    def _take_similarities(self, asked: tuple[str, str, int], event: Event) -> None:
        if not self._is_open or asked != self._similar:
            return
        match event:
            case SimilaritiesCounted():
                label = self._gallery.label(self._gallery.position_of[self.image_id])
                self.query_one(SimilarityPlot).show(event.similarities, label or "")
                if self._tab == 1:
                    self._show_similarities(event.similarities, label)
            case Failed() | Died():
                self._similar = None
                if self._tab == 1:
                    self._say(str(event.error))

    # ---- what is shown

    @property
    def _is_open(self) -> bool:
        return self.is_mounted and self in self.app.screen_stack

    @property
    def _is_roomy(self) -> bool:
        return self.app.size.width >= ROOM_FROM

    def _say(self, text: str) -> None:
        """Show in words what is on its way, or why there is nothing."""
        self.query_one("#plots-head", Static).update(printable(text), layout=False)

    def _show_tab(self) -> None:
        tabs = [
            Content.styled(f" {title} ", "bold $background on $primary" if number == self._tab else MUTED)
            for number, title in enumerate(TABS)
        ]
        self.query_one("#plots-tabs", Static).update(Content(" ").join(tabs), layout=False)
        for number, plot in enumerate((EmbeddingMap, SimilarityPlot, CostPlot)):
            self.query_one(plot).display = number == self._tab
        self.query_one("#plots-side").display = self._tab == 0 and self._is_roomy
        self.query_one("#plots-head").styles.height = 1 if self._is_roomy else 2
        hint = _SHORT_HINT if self._tab == 0 and self.app.size.width < len(_HINTS[0]) + 4 else _HINTS[self._tab]
        self.query_one("#plots-hint", Static).update(hint, layout=False)
        of_model = "" if self._tab == len(TABS) - 1 else f" under {cut(self.model, 40)}"
        self.query_one("#plots").border_title = Content(f"{cut(self._gallery.title, 30)}{of_model}")
        self._caption(Content(""))
        if self._tab == 0:
            self.query_one(EmbeddingMap).focus()
        elif self._tab == 1:
            self._similar = None
        else:
            self._say(_NO_COMPARISON if self._comparison is None else _about(self._comparison))
        self.call_after_refresh(self._ask)

    def _show_map(self) -> None:
        found = self._maps[self.model, self._method]
        plot = self.query_one(EmbeddingMap)
        if self._shown != (self.model, self._method):
            self._shown = (self.model, self._method)
            plot.show(found, self._gallery)
        said = map_sentence(found)
        self._say(said)
        if self._is_roomy:
            legend = Content("\n").join([*plot.marks(), *plot.labels(_SIDE)])
            self.query_one("#plots-legend", Static).update(legend, layout=False)
        else:
            first = Content("  ").join([Content(said), *plot.marks()])
            lines = Content("\n").join([first, Content("  ").join(plot.labels(_SHORT))])
            self.query_one("#plots-head", Static).update(lines, layout=False)
        self._show_point()

    def _show_similarities(self, found: Similarities, label: str | None) -> None:
        sampled = f", a random sample of {found.images:,}" if found.compared < found.images else ""
        self.query_one("#plots-head", Static).update(
            Content.assemble(
                "Cosine of ", (cut_front(self.image_id, 40), "bold"),
                (f" {cut(label, 30)}" if label else "", "$accent"),
                " " if self._is_roomy else "\n",
                f"with {count(found.compared, 'image')}{sampled}. Each histogram has its own scale.",
            ),
            layout=False,
        )  # fmt: skip
        marks: list[Content] = []
        wide = self.size.width >= WIDE_FROM
        for one in found.neighbours:
            unusual = f" {percentile(one.percentile)}" if wide and one.percentile is not None else ""
            right = "" if label is None or one.label is None else " ✓" if one.label == label else " ✗"
            name = f" {cut(one.label, 12)}" if self._is_roomy and one.label else ""
            marks.append(Content.assemble((f"{one.rank} ", "bold"), f"{one.score:.3f}{unusual}{right}", (name, MUTED)))
        self._caption(Content("   ").join(marks) if marks else Content("There is no other image to compare with."))

    def _caption(self, text: Content) -> None:
        self.query_one("#plots-caption", Static).update(text, layout=False)

    @on(EmbeddingMap.Moved)
    def _show_point(self) -> None:
        plot = self.query_one(EmbeddingMap)
        position = plot.position
        if position is None or self._tab:
            return
        label = self._gallery.label(position)
        number, of = plot.place_in_cell
        self._caption(
            Content.assemble(
                (cut_front(self._gallery.image_ids[position], 60), "bold"),
                (f"  {cut(label, 30)}" if label else "", "$accent"),
                (f"  image {number} of {of} here" if of > 1 else "", MUTED),
            )
        )
        if self._rest is not None:
            self._rest.stop()
        if self.query_one("#plots-side").display:
            self._rest = self.set_timer(_RESTS, partial(self._show_picture, position))

    def _show_picture(self, position: int) -> None:
        def made(image: Image | str) -> None:
            if not self._is_open or self.query_one(EmbeddingMap).position != position:
                return
            picture = self.query_one(Picture)
            if isinstance(image, str):
                picture.fail(image)
            else:
                picture.show(image)

        self._pictures.get(self._gallery.spec, self._gallery.image_ids[position], made)

    # ---- keys

    def action_turn(self, step: int) -> None:
        """Go to the next or the previous plot."""
        self._tab = (self._tab + step) % len(TABS)
        self._show_tab()

    def action_switch_model(self, step: int) -> None:
        """Go to the next or the previous model that has embedded the dataset."""
        if self._tab < 2 and len(self._models) > 1:
            self.model = self._models[(self._models.index(self.model) + step) % len(self._models)]
            self._show_tab()
            self._ask_neighbours()

    def action_step(self, step: int) -> None:
        """Make the next or the previous image the query."""
        if self._tab < 2:
            at = self._gallery.position_of.get(self.image_id, -1 if step > 0 else 0)
            self._use(at + step)

    @on(EmbeddingMap.Chosen)
    def _choose(self, event: EmbeddingMap.Chosen) -> None:
        event.stop()
        self._use(event.position)

    def _use(self, position: int) -> None:
        self.image_id = self._gallery.image_ids[position % len(self._gallery)]
        self._ask_neighbours()
        self._ask()

    def action_switch_method(self) -> None:
        """Make the map in the other way."""
        if self._tab == 0:
            self._method = "umap" if self._method == "pca" else "pca"
            self._ask_map()

    def action_turn_axis(self) -> None:
        """Plot quality against another cost."""
        if self._tab == len(TABS) - 1:
            self.query_one(CostPlot).turn_axis()


def map_sentence(found: Projected) -> str:
    """Say what a map shows, and of how many images."""
    method, images = found.method.upper(), count(found.images, "image")
    if found.images == 1:
        return "One image is embedded: a map needs more."
    if found.explained == (0.0, 0.0):
        return f"All {images} have the same embedding: there is nothing to spread."
    sampled = f" a random {found.fitted:,} of" if found.fitted < found.images else ""
    if found.explained is None:
        return f"{method} of{sampled} {images}: near stays near, distances between groups say little."
    first, second = found.explained
    fitted = f"; axes from{sampled} these" if sampled else ""
    return f"{method} of {images}: {first:.1%} + {second:.1%} of the variance{fitted}."


def _about(comparison: Comparison) -> str:
    if not comparison.labelled:
        return "Without labels there are no scores: a comparison of this dataset has no plot."
    return f"{comparison.title}: {count(comparison.queries, 'query', 'queries')}, as v showed it."
