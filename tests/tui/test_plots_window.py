"""Plots: what is asked of the engine, what is shown, where keys lead."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from textual.widgets import Static

from tests.core.report.samples import comparison
from tests.tui.scripted_engine import (
    LITE0,
    LITE1,
    MIDDLE,
    NARROW,
    SPEC,
    Photos,
    ScriptedEngine,
    Session,
    explore,
    photos,
)
from tests.tui.test_evil_names import EVIL, EVIL_FILE, assert_harmless
from visexplore.core.engine import AskProjection, AskSimilarities, Died, Projected
from visexplore.core.errors import EngineDied, UserError
from visexplore.tui.screens.plots import Plots, map_sentence
from visexplore.tui.widgets.cost_plot import CostPlot
from visexplore.tui.widgets.embedding_map import EmbeddingMap
from visexplore.tui.widgets.picture import Picture
from visexplore.tui.widgets.similarity_plot import SimilarityPlot


def engine(
    number: int = 30, embedded: tuple[str, ...] = (LITE0, LITE1), labels: Sequence[str] = "abc"
) -> ScriptedEngine:
    return ScriptedEngine(photos(number, labels=labels), embedded=list(embedded))


def window(session: Session) -> Plots:
    screen = session.app.screen
    assert isinstance(screen, Plots)
    return screen


def points(session: Session) -> EmbeddingMap:
    return session.app.screen.query_one(EmbeddingMap)


def words(session: Session, name: str) -> str:
    return str(session.app.screen.query_one(f"#plots-{name}", Static).visual)


def place_of(session: Session, position: int) -> tuple[int, int]:
    plot = points(session)
    return int(plot._columns[position]), int(plot._lines[position])


def at_cursor(session: Session) -> tuple[int, int]:
    assert points(session).position is not None
    return place_of(session, points(session).position or 0)


async def test_a_map_is_shown_of_the_dataset_under_the_current_model() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("P")
        assert [(ask.model, ask.method) for ask in session.engine.asked(AskProjection)] == [(LITE0, "pca")]
        assert words(session, "head") == "PCA of 30 images: 25.0% + 12.5% of the variance."
        drawn = session.text_of(points(session))
        assert all(glyph in drawn for glyph in "ox+◆12345")


async def test_before_anything_is_embedded_a_hint_says_what_to_press() -> None:
    async with explore(ScriptedEngine(photos(5000))) as session:
        await session.press("P")
        assert not isinstance(session.app.screen, Plots)
        assert "press e, then P" in " ".join(session.notes)


async def test_a_model_that_has_not_embedded_the_dataset_gives_way_to_one_that_has() -> None:
    async with explore(engine(embedded=(LITE1,), number=4000), size=MIDDLE) as session:
        await session.press("P")
        assert window(session).model == LITE1
        await session.press("escape")
        assert session.app.model == LITE0


async def test_the_caption_tells_the_image_under_the_cursor_which_begins_on_the_query() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("n", "P")
        assert words(session, "caption").startswith(session.query)
        await session.press("right")
        position = points(session).position
        assert position is not None
        assert words(session, "caption").startswith(session.engine.datasets[SPEC].image_ids[position])


@pytest.mark.parametrize(("key", "axis", "sign"), [("right", 0, 1), ("h", 0, -1), ("down", 1, 1), ("k", 1, -1)])
async def test_arrows_go_to_a_point_in_their_direction(key: str, axis: int, sign: int) -> None:
    async with explore(engine(60), size=MIDDLE) as session:
        await session.press("P")
        for _ in range(4):
            before = at_cursor(session)
            await session.press(key)
            after = at_cursor(session)
            assert sign * (after[axis] - before[axis]) > 0 or after == before


async def test_at_the_edge_the_cursor_stays() -> None:
    async with explore(engine(60), size=MIDDLE) as session:
        await session.press("P", *["right"] * 40)
        assert at_cursor(session)[0] == points(session)._columns.max()


async def test_space_goes_through_the_images_of_a_cell() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("P")
        plot = points(session)
        plot._columns[:3] = plot._columns[0]
        plot._lines[:3] = plot._lines[0]
        seen = [plot.position]
        for _ in range(3):
            await session.press("space")
            seen.append(plot.position)
        assert seen == [0, 1, 2, 0]
        assert "image 1 of 3 here" in words(session, "caption")


async def test_enter_makes_the_image_the_query_and_leaving_goes_on_with_it() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("P", "right", "right", "enter")
        chosen = session.engine.datasets[SPEC].image_ids[points(session).position or 0]
        assert window(session).image_id == chosen
        assert "◆" in session.text_of(points(session))
        await session.press("escape")
        assert session.query == chosen


async def test_brackets_switch_the_model_and_leaving_goes_on_with_it() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("P", "]")
        assert [ask.model for ask in session.engine.asked(AskProjection)] == [LITE0, LITE1]
        assert LITE1 in session.lines[0]
        await session.press("[", "]")
        assert len(session.engine.asked(AskProjection)) == 2  # they are kept
        await session.press("escape")
        assert session.app.model == LITE1


async def test_the_cursor_keeps_its_image_when_the_model_changes() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("P", "right", "right")
        before = points(session).position
        await session.press("]")
        assert points(session).position == before


async def test_n_and_p_change_the_query() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        ids = session.engine.datasets[SPEC].image_ids
        await session.press("P", "n", "n", "p")
        assert window(session).image_id == ids[1]
        assert points(session).position == 1


async def test_u_goes_to_umap_and_back() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("P", "u")
        assert session.engine.asked(AskProjection)[-1].method == "umap"
        assert words(session, "head").startswith("UMAP of 30 images")
        await session.press("u")
        assert words(session, "head").startswith("PCA of 30 images")


async def test_without_umap_a_sentence_says_how_to_get_it_and_the_map_stays() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("P")
        session.engine.fail(AskProjection, UserError("UMAP needs umap-learn", "Install it."))
        await session.press("u")
        assert words(session, "head") == "UMAP needs umap-learn. Install it."
        assert "◆" in session.text_of(points(session))
        session.engine.mend()
        await session.press("u")
        assert words(session, "head").startswith("UMAP of 30 images")


async def test_while_the_map_is_made_the_window_says_so() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        session.engine.hold(AskProjection)
        await session.press("P", "u", "u")
        assert words(session, "head").startswith("Making a map")
        assert [ask.method for ask in session.engine.asked(AskProjection)] == ["pca", "umap"]
        session.engine.release()
        await session.settle()
        assert words(session, "head").startswith("PCA of 30")


async def test_an_engine_that_dies_is_told() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        session.engine.hold(AskProjection)
        await session.press("P")
        session.engine.on_event(Died(EngineDied("The engine stopped unexpectedly", "Look into its log.")))
        await session.settle()
        assert "The engine stopped unexpectedly" in words(session, "head")


async def test_an_answer_that_comes_after_the_window_is_closed_is_dropped() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        session.engine.hold(AskProjection, AskSimilarities)
        await session.press("P", "tab", "escape")
        session.engine.release()
        await session.settle()
        assert not isinstance(session.app.screen, Plots)


@pytest.mark.parametrize("images", [1, 2])
async def test_a_map_of_one_or_two_images_is_drawn(images: int) -> None:
    async with explore(engine(images, embedded=(LITE0,)), size=NARROW) as session:
        await session.press("P", "right", "up", "space", "enter", "n", "tab")
        assert isinstance(session.app.screen, Plots)


def test_what_a_map_shows_is_said_in_a_sentence() -> None:
    found = Projected(1, LITE0, "pca", b"", b"", (0.4, 0.2), 713, 713)
    assert map_sentence(found) == "PCA of 713 images: 40.0% + 20.0% of the variance."
    sampled = map_sentence(found._replace(fitted=9765, images=100_000))
    assert sampled.endswith("of the variance; axes from a random 9,765 of these.")
    assert map_sentence(found._replace(images=1, fitted=1)) == "One image is embedded: a map needs more."
    assert "nothing to spread" in map_sentence(found._replace(explained=(0.0, 0.0)))
    umap = found._replace(method="umap", explained=None, fitted=5000, images=9000)
    assert map_sentence(umap).startswith("UMAP of a random 5,000 of 9,000 images:")


async def test_without_labels_crowds_are_told_by_shades() -> None:
    async with explore(engine(40, labels=()), size=MIDDLE) as session:
        await session.press("P")
        assert "·" in session.text_of(points(session))
        assert "more images" in words(session, "legend")


async def test_the_thumbnail_is_beside_the_map_where_there_is_room() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("P")
        await session.pilot.pause(0.3)
        assert session.app.screen.query_one("#plots-side").display
        assert session.app.screen.query_one(Picture)._image is not None
    async with explore(engine(), size=NARROW) as session:
        await session.press("P")
        assert not session.app.screen.query_one("#plots-side").display
        assert "o a" in words(session, "head")  # the legend


async def test_a_cursor_key_repaints_two_cells_of_the_map(monkeypatch: pytest.MonkeyPatch) -> None:
    async with explore(engine(2000), size=(200, 50)) as session:
        await session.press("P")
        drawn: list[object] = []
        monkeypatch.setattr(EmbeddingMap, "draw", lambda self, canvas: drawn.append(canvas))
        rows: list[int] = []
        strip = EmbeddingMap._strip
        monkeypatch.setattr(EmbeddingMap, "_strip", lambda self, canvas, y: rows.append(y) or strip(self, canvas, y))
        await session.press("down")
        assert drawn == []
        assert 1 <= len(rows) <= 2


async def test_a_map_of_a_hundred_thousand_images_is_drawn_in_no_time() -> None:
    plot = EmbeddingMap()
    random = np.random.default_rng(0)
    plot._positions = np.arange(100_000)
    plot._places = random.standard_normal((100_000, 2)).astype(np.float32)
    plot._slots = random.integers(0, 7, 100_000)
    plot._names = ["a"]
    from visexplore.tui.widgets.plot import Canvas

    started = time.thread_time()
    plot._show_cursor = lambda: None  # type: ignore[method-assign]  # the plot is on no screen
    plot.draw(Canvas(160, 44))
    assert time.thread_time() - started < 1


# ---- similarities


async def test_tab_shows_how_near_the_query_is_to_all_images() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("P", "tab")
        [asked] = session.engine.asked(AskSimilarities)
        assert (asked.model, asked.image_id) == (LITE0, session.query)
        drawn = session.text_of(session.app.screen.query_one(SimilarityPlot))
        assert "same label, a" in drawn
        assert "other labels" in drawn
        assert "random pairs" in drawn
        assert all(rank in drawn.splitlines()[0] for rank in "12345")
        assert words(session, "caption").startswith("1 0.940")


async def test_similarities_follow_model_and_query() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        ids = session.engine.datasets[SPEC].image_ids
        await session.press("P", "tab", "n", "]")
        assert [(ask.model, ask.image_id) for ask in session.engine.asked(AskSimilarities)] == [
            (LITE0, ids[0]), (LITE0, ids[1]), (LITE1, ids[1]),
        ]  # fmt: skip


async def test_without_labels_there_is_one_histogram_of_all_images() -> None:
    async with explore(engine(labels=()), size=MIDDLE) as session:
        await session.press("P", "tab")
        drawn = session.text_of(session.app.screen.query_one(SimilarityPlot))
        assert "all images" in drawn
        assert "same label" not in drawn


async def test_a_query_from_outside_says_how_to_take_an_image() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("o", *"cat.jpg", "enter", "P", "tab")
        assert "n takes one" in words(session, "head")
        await session.press("n")
        assert session.engine.asked(AskSimilarities)[-1].image_id == session.engine.datasets[SPEC].image_ids[0]


async def test_a_failure_is_one_sentence_and_the_window_stays() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        session.engine.fail(AskSimilarities, UserError("It is not embedded", "Choose another."))
        await session.press("P", "tab")
        assert words(session, "head") == "It is not embedded. Choose another."
        session.engine.mend()
        await session.press("n")
        assert words(session, "head").startswith("Cosine of")


async def test_resizing_asks_for_as_many_bars_as_there_is_room_for() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("P", "tab")
        await session.resize(*NARROW)
        bars = [ask.bins for ask in session.engine.asked(AskSimilarities)]
        assert bars[-1] == session.app.screen.query_one(SimilarityPlot).bars
        assert bars[0] != bars[-1]


# ---- quality and cost


async def test_without_a_comparison_a_line_says_which_key_makes_one() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("P", "shift+tab")
        assert "press v" in words(session, "head")


async def test_after_v_the_same_plot_is_shown() -> None:
    async with explore(engine(), size=MIDDLE) as session:
        await session.press("v", "escape", "P", "shift+tab")
        drawn = session.text_of(session.app.screen.query_one(CostPlot))
        assert "images per second" in drawn
        assert "efficientnet-lite2" in drawn
        assert "◆" in drawn
        await session.press("c")
        assert "parameters" in session.text_of(session.app.screen.query_one(CostPlot))


@pytest.mark.parametrize("size", [NARROW, MIDDLE, (200, 50)])
async def test_the_verdict_has_the_plot_beside_its_tables_and_c_turns_its_cost(size: tuple[int, int]) -> None:
    async with explore(engine(), size=size) as session:
        await session.press("v", "tab")
        plot = session.app.screen.query_one(CostPlot)
        for cost in ("images per second", "parameters", "GB for an index", "images per second"):
            drawn = session.text_of(plot)
            assert cost in drawn
            assert "0.8" in drawn
            assert "│" in drawn
            await session.press("c")


async def test_a_verdict_of_one_model_says_why_there_is_no_plot() -> None:
    scripted = engine()
    scripted.comparison = replace(comparison(), models=comparison().models[:1])
    async with explore(scripted, size=MIDDLE) as session:
        await session.press("v", "tab")
        assert "Fewer than two models" in session.text_of(session.app.screen.query_one(CostPlot))


# ---- hostile names


@pytest.mark.parametrize("size", [NARROW, MIDDLE, (200, 50)])
async def test_evil_names_are_harmless(size: tuple[int, int]) -> None:
    image_ids = (EVIL_FILE, *(f"{EVIL_FILE}{n}" for n in range(11)))
    data = Photos(image_ids, tuple([EVIL, "b"] * 6), title=EVIL)
    scripted = ScriptedEngine(data, embedded=[LITE0, LITE1])
    plain = comparison()
    scripted.comparison = replace(plain, title=EVIL, models=tuple(replace(row, model=EVIL) for row in plain.models[:4]))
    async with explore(scripted, size=size) as session:
        await session.press("v", "tab")
        assert_harmless(session)
        await session.press("escape", "P")
        for key in ("right", "enter", "tab", "n", "tab", "c", "tab"):
            await session.press(key)
            assert_harmless(session)
        window(session)._say(EVIL)
        await session.settle()
        assert_harmless(session)
