"""The catalogue panel: the orders of its table, the timeline, facts with what a model costs here, and the card."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest
from PIL import Image
from rich.console import Console
from textual._compositor import Compositor
from textual.geometry import Offset, Region
from textual.strip import Strip
from textual.widgets import Static

from tests.tui.scripted_engine import (
    CLIP,
    LITE0,
    LITE1,
    LITE2,
    MIDDLE,
    NARROW,
    UNRELEASED,
    WIDE,
    ScriptedEngine,
    Session,
    catalogue,
    explore,
    photos,
)
from tests.tui.test_evil_names import EVIL, assert_harmless, evil_family
from visexplore.core.catalogue import Catalogue, Checkpoint, Family, Paper, SeedEntry, WeightsStatus, load_catalogue
from visexplore.core.cost import KnownRates, Rate, embedding_cost
from visexplore.core.dates import months_of
from visexplore.tui.links import is_link, linked
from visexplore.tui.model_costs import Here, costs
from visexplore.tui.model_facts import facts
from visexplore.tui.model_rows import Entry, Order, columns_for, ordered
from visexplore.tui.panels.catalogue import CataloguePanel, ModelTable
from visexplore.tui.schematics import schematic
from visexplore.tui.screens.model_card import ModelCard
from visexplore.tui.terminal import Graphics
from visexplore.tui.widgets.picture import Picture
from visexplore.tui.widgets.timeline import Axis, Timeline, dated, short_name

LARGE = (200, 50)
OLD = Family(
    id="old", name="OldNet (and more)", first_public="2018-03", seed=SeedEntry(title="OldNet", date="Jun 2021"),
    checkpoints=(Checkpoint(id="old.in1k", loader="timm", slug="old"),),
)  # fmt: skip


def engine(*rates: Rate) -> ScriptedEngine:
    scripted = ScriptedEngine(photos(12), embedded=[LITE0, LITE1])
    scripted.rates = KnownRates(rates)
    return scripted


def measured(model: str, images_per_second: float) -> Rate:
    return Rate(model, "cpu", images_per_second)


def panel(session: Session) -> CataloguePanel:
    return session.app.screen_stack[0].query_one(CataloguePanel)


def rows(session: Session) -> list[str]:
    return [str(row.key.value) for row in panel(session).query_one(ModelTable).ordered_rows]


def systems(session: Session) -> list[str]:
    return [str(row.key.value) for row in panel(session).query_one(Timeline).ordered_rows]


def under_cursor(session: Session) -> str:
    return panel(session)._under_cursor


def heads(session: Session) -> list[str]:
    return [str(column.label).strip() for column in panel(session).query_one(ModelTable).ordered_columns]


async def rest(session: Session) -> None:
    """Let the cursor rest, so that the facts follow."""
    await asyncio.sleep(0.3)
    await session.settle()


def regions_painted(monkeypatch: pytest.MonkeyPatch) -> list[Region]:
    """Return the list into which the regions go that are painted from now on."""
    painted: list[Region] = []
    paint = Compositor.render_partial_update

    def note_and_paint(compositor: Compositor) -> object:
        painted.extend(compositor._dirty_regions)
        return paint(compositor)

    monkeypatch.setattr(Compositor, "render_partial_update", note_and_paint)
    return painted


class TestOrder:
    async def test_s_goes_through_the_orders_and_back_to_the_seed_documents(self) -> None:
        async with explore(engine(measured(LITE0, 50), measured(LITE1, 80))) as session:
            await session.press("1")
            seen = {}
            for _ in range(7):
                await session.press("s")
                seen[panel(session)._order.by] = rows(session)
            assert seen == {
                "model": [CLIP, LITE0, LITE1, LITE2, UNRELEASED],
                "date": [LITE0, LITE1, LITE2, CLIP, UNRELEASED],
                "parameters": [LITE0, LITE1, LITE2, CLIP, UNRELEASED],
                "weights": [LITE0, LITE1, LITE2, CLIP, UNRELEASED],
                "dim": [LITE0, LITE1, LITE2, CLIP, UNRELEASED],
                "rate": [LITE1, LITE0, CLIP, LITE2, UNRELEASED],
                "": [CLIP, LITE0, LITE1, LITE2, UNRELEASED],
            }

    async def test_a_capital_s_turns_the_order_round_but_what_is_unknown_stays_last(self) -> None:
        async with explore(engine()) as session:
            await session.press("1", "s", "s", "s", "S")
            assert rows(session) == [CLIP, LITE2, LITE1, LITE0, UNRELEASED]

    async def test_the_head_of_the_column_is_marked(self) -> None:
        async with explore(engine()) as session:
            await session.press("1", "s")
            assert "Model▲" in heads(session)
            await session.press("S")
            assert "Model▼" in heads(session)
            await session.press("s")
            assert "Date▲" in heads(session)
            assert "Model" in heads(session)

    async def test_largest_first_is_marked_as_descending(self) -> None:
        async with explore(engine()) as session:
            await session.press("1", "s", "s", "s", "s", "s")
            assert "Dim▼" in heads(session)

    async def test_an_order_survives_the_filter(self) -> None:
        async with explore(engine()) as session:
            await session.press("1", "s", "S", "slash", *"lite")
            assert rows(session) == [LITE2, LITE1, LITE0]

    async def test_the_cursor_stays_on_its_model(self) -> None:
        async with explore(engine()) as session:
            await session.press("1", "home")
            assert under_cursor(session) == CLIP
            await session.press("s", "s")
            assert under_cursor(session) == CLIP

    async def test_a_click_on_a_head_sorts_by_it_and_the_next_one_turns_round(self) -> None:
        async with explore(engine(), NARROW) as session:
            await session.press("1")
            table = panel(session).query_one(ModelTable)
            at = session.text_of(table).splitlines()[0].index("Params") + 2
            for order in (Order("parameters"), Order("parameters", turned=True)):
                await session.pilot.click(table, offset=Offset(at, 0))
                await session.settle()
                assert panel(session)._order == order
            await session.pilot.click(table, offset=Offset(5, 0))
            await session.settle()
            assert panel(session)._order == Order("model")

    async def test_speed_measured_here_reorders_when_it_comes(self) -> None:
        scripted = engine()
        async with explore(scripted) as session:
            await session.press("1", *"ssssss")
            assert rows(session)[0] == CLIP
            scripted.rates = KnownRates((measured(LITE2, 33.3),))
            session.app._ask_rates()
            await session.settle()
            assert rows(session)[0] == LITE2

    def test_equals_stay_in_the_seed_documents_order(self) -> None:
        entries = [Entry(f, c) for f in load_catalogue().families for c in f.checkpoints]
        for turned in (False, True):
            found = ordered(entries, Order("date", turned), {})
            for family in load_catalogue().families:
                assert [e.key for e in found if e.family.id == family.id] == [c.slug for c in family.checkpoints]


class TestColumns:
    @pytest.mark.parametrize(
        ("width", "shown"),
        [
            (45, ["weights"]),
            (46, ["weights", "parameters"]),
            (55, ["weights", "parameters", "dim", "px"]),
            (77, ["weights", "parameters", "dim", "px", "date", "rate"]),
        ],
    )
    def test_those_that_fit_are_shown_whole(self, width: int, shown: list[str]) -> None:
        assert [column.key for column in columns_for(width, Order())][3:] == shown

    def test_the_one_that_the_rows_are_ordered_by_is_among_them(self) -> None:
        assert [column.key for column in columns_for(55, Order("rate"))][3:] == ["weights", "parameters", "rate"]

    async def test_a_wide_panel_has_the_date_and_the_speed(self) -> None:
        async with explore(engine(measured(LITE0, 123.4)), NARROW) as session:
            await session.press("1")
            row = next(line for line in session.text_of("#models").splitlines() if LITE0 in line)
            assert row.split()[-2:] == ["2019-05", "123"]


class TestTimeline:
    async def test_y_shows_it_instead_of_the_table_and_the_table_again(self) -> None:
        async with explore(engine()) as session:
            await session.press("1", "y")
            assert session.focus == "timeline"
            assert not panel(session).query_one(ModelTable).display
            await session.press("y")
            assert session.focus == "models"
            assert not panel(session).query_one(Timeline).display

    async def test_the_systems_stand_by_date_and_undated_ones_last(self) -> None:
        async with explore(engine(), models=catalogue(OLD)) as session:
            await session.press("1", "y")
            assert systems(session) == ["old", "efficientnet", "clip", UNRELEASED]
            assert re.search("SecretNet .* no date", session.text_of("#timeline"))

    async def test_the_cursor_is_on_the_system_of_the_model_that_it_was_on(self) -> None:
        async with explore(engine()) as session:
            await session.press("1", "home", "y")
            assert panel(session).query_one(Timeline).under_cursor == "clip"
            await session.press("up", "y")
            assert under_cursor(session) == LITE0

    async def test_a_system_is_chosen_by_its_first_model_that_runs_here(self) -> None:
        first = Checkpoint(id="b0.in1k", loader="timm", slug="b0")
        family = replace(catalogue().families[1], checkpoints=(first, *catalogue().families[1].checkpoints[1:]))
        async with explore(engine(), models=Catalogue((catalogue().families[0], family)), model=CLIP) as session:
            await session.press("1", "y", "home", "enter")
            assert session.app.model == LITE1

    async def test_or_else_by_its_first(self) -> None:
        async with explore(engine()) as session:
            await session.press("1", "y", "down", "enter")
            assert session.app.model == CLIP

    async def test_one_without_weights_says_so(self) -> None:
        async with explore(engine()) as session:
            await session.press("1", "y", "end", "enter")
            assert session.app.model == LITE0
            assert "SecretNet has no weights to load" in session.notes[-1]

    async def test_the_facts_follow(self) -> None:
        async with explore(engine()) as session:
            await session.press("1", "y", "down")
            await rest(session)
            assert CLIP in session.content_of("#facts")

    async def test_the_filter_applies_to_it(self) -> None:
        async with explore(engine()) as session:
            await session.press("1", "y", "slash", *"clip")
            assert systems(session) == ["clip"]
            await session.press("enter")
            assert session.focus == "timeline"

    async def test_it_marks_the_current_system(self) -> None:
        async with explore(engine()) as session:
            await session.press("1", "y")
            marks = {line.split()[1]: line.split()[0] for line in session.text_of("#timeline").splitlines()[2:4]}
            assert marks["EfficientNet"] == ">+"

    @pytest.mark.parametrize("size", [(60, 18), NARROW, MIDDLE, WIDE, LARGE])
    async def test_no_row_is_wider_than_there_is_room(self, size: tuple[int, int]) -> None:
        async with explore(engine(), size, models=load_catalogue()) as session:
            await session.press("1", "y")
            timeline = panel(session).query_one(Timeline)
            assert timeline.virtual_size.width <= timeline.region.width
            assert session.text_of(timeline).count("2021") >= 1


class TestAxis:
    @pytest.mark.parametrize(("cells", "width"), [(0.5, 20), (1, 38), (2, 74)])
    def test_the_heads_are_as_wide_as_the_rows(self, cells: float, width: int) -> None:
        axis = Axis(cells)
        assert axis.width == width
        assert {len(line) for line in axis.head().plain.split("\n")} == {width}
        assert axis.row(months_of("2021-06"), None, "red").cell_len == width

    def test_a_system_stands_under_the_month_in_which_it_became_public(self) -> None:
        axis = Axis(1)
        years, letters = axis.head().plain.split("\n")
        at = axis.row(months_of("2021-02-26"), None, "red").plain.index("█")
        assert years[at - 1 : at + 3] == "2021"
        assert letters[at - 1 : at + 2] == "JFM"

    def test_the_seed_documents_other_date_is_joined_to_it(self) -> None:
        line = Axis(1).row(months_of("2021-06"), months_of("Aug 2022"), "red").plain
        assert re.search(r"█─{13}o", line)
        assert re.search(r"o─{3}█", Axis(1).row(months_of("2021-06"), months_of("Feb 2021"), "red").plain)

    def test_what_is_before_and_after_stands_at_the_ends(self) -> None:
        assert Axis(1).row(months_of("2019-05"), None, "red").plain[0] == "<"
        assert Axis(1).row(months_of("2024-01"), None, "red").plain[-1] == ">"

    def test_a_year_alone_is_no_month(self) -> None:
        line = Axis(1).row(months_of("2021"), None, "red").plain
        assert line.count("▒") == 12
        assert "█" not in line

    def test_without_a_date_nothing_is_claimed(self) -> None:
        assert set(Axis(1).row(None, None, "red").plain) == {" ", "┊"}

    def test_every_system_of_the_seed_document_has_a_place(self) -> None:
        for family in dated(load_catalogue().families):
            assert set("█<>") & set(Axis(1).row(months_of(family.first_public), None, "red").plain), family.id

    def test_names_are_short(self) -> None:
        assert short_name(OLD, 20) == "OldNet"
        assert short_name(OLD, 5) == "old"


class TestCosts:
    CHECKPOINT = catalogue().find(CLIP)

    def of(self, images: int = 0, rate: Rate | None = None, **facts: object) -> dict[str, str]:
        status = WeightsStatus.ON_DISK
        cost = embedding_cost(self.CHECKPOINT, status, images, KnownRates((rate,) if rate else ()))
        return dict(costs(Here(**({"status": status, "cost": cost, "measured": rate} | facts))))  # type: ignore[arg-type]

    def test_memory_is_an_estimate_and_says_so(self) -> None:
        assert self.of()["memory"].endswith("GB (an estimate)")

    def test_unless_it_was_measured_on_a_device(self) -> None:
        found = Rate(CLIP, "cuda:0", 900.0, device_memory=1_234_000_000)
        assert self.of(rate=found)["memory"] == "1.2 GB of cuda:0 at most, measured"

    def test_speed_is_measured_or_said_to_be_unknown(self) -> None:
        assert self.of(rate=measured(CLIP, 2.71))["speed"] == "2.7 images/s, measured on cpu"
        assert self.of()["speed"] == "not measured here yet: embedding measures it"

    def test_what_is_missing_of_the_opened_dataset_has_its_time(self) -> None:
        assert self.of(700, measured(CLIP, 20.0), is_open=True)["e embeds"].startswith("700 images: about 35 s, ")

    def test_a_dataset_that_is_embedded_costs_nothing_more(self) -> None:
        assert self.of(0, measured(CLIP, 20.0), is_open=True)["this dataset"] == "all of it is embedded"

    def test_nothing_is_said_of_a_dataset_that_is_not_open(self) -> None:
        assert not {"this dataset", "e embeds"} & self.of().keys()

    def test_a_model_that_cannot_be_had_costs_nothing_here(self) -> None:
        assert self.of(status=WeightsStatus.UNRELEASED) == {}

    async def test_the_facts_have_what_was_measured(self) -> None:
        async with explore(engine(measured(LITE0, 143.2))) as session:
            await session.press("1")
            await rest(session)
            assert "speed 143 images/s, measured on cpu" in session.content_of("#facts")
            assert "this dataset all of it is embedded" in session.content_of("#facts")


class TestLinks:
    @pytest.mark.parametrize("address", ["https://arxiv.org/abs/2103.00020", "http://a.b/c?d=e;f#g", "HTTPS://A.B"])
    def test_addresses_of_the_web_are_links(self, address: str) -> None:
        assert is_link(address)

    @pytest.mark.parametrize(
        "address",
        [
            "", "https://", "ftp://a.b", "file:///etc/passwd", "javascript:alert(1)", "arxiv.org", "https:/a.b",
            "https://a.b\x1b\\", "https://a.b\x07", "https://a.b/\x9c", "https://a b", "https://a.b\n", "https://ä.b",
            " https://a.b", f"https://a.b/{'x' * 2001}", EVIL, f"https://a.b/{EVIL}",
        ],
    )  # fmt: skip
    def test_nothing_else_is(self, address: str) -> None:
        assert not is_link(address)

    @staticmethod
    def sent(text: str, address: str) -> str:
        """Return what is sent to the terminal."""
        strips = [Strip(line) for line in [list(linked(text, address).render_segments())]]
        return "".join(strip.render(Console(color_system="truecolor", force_terminal=True)) for strip in strips)

    def test_a_link_is_sent_as_one(self) -> None:
        sent = self.sent("a paper", "https://arxiv.org/abs/1")
        assert re.search(r"\x1b\]8;id=[-\d]+;https://arxiv\.org/abs/1\x1b\\.*a paper.*\x1b\]8;;\x1b\\", sent)

    @pytest.mark.parametrize(("text", "address"), [(EVIL, "https://a.b"), ("a", EVIL), (EVIL, f"https://a.b/{EVIL}")])
    def test_neither_words_nor_address_can_inject_anything(self, text: str, address: str) -> None:
        sent = self.sent(text, address)
        rest = re.sub(r"\x1b\]8;id=[-\d]+;https://a\.b\x1b\\|\x1b\]8;;\x1b\\|\x1b\[[\d;]*m", "", sent)
        assert not [char for char in rest if ord(char) < 32 or 127 <= ord(char) < 160]

    async def test_the_facts_of_the_screen_have_links(self) -> None:
        async with explore(engine(), LARGE) as session:
            await session.press("1", "home")
            await rest(session)
            place = panel(session).query_one("#facts", Static)
            links = {
                segment.style.link
                for line in place.render_lines(place.size.region)
                for segment in line
                if segment.style and segment.style.link
            }
            assert links == {"https://arxiv.org/abs/2103.00020"}

    def test_where_the_seed_document_dates_a_system_otherwise_the_facts_say_so(self) -> None:
        lines = [str(line) for line in facts(OLD)]
        assert lines[lines.index("first public 2018-03") + 1] == "the seed document says Jun 2021"
        assert not [line for line in map(str, facts(load_catalogue().family("vit"))) if "document says Oct" in line]

    def test_a_link_that_is_none_is_plain(self) -> None:
        family = replace(OLD, papers=(Paper(title="A paper", url="gopher://a"),))
        line = next(line for line in facts(family) if "A paper" in str(line))
        assert not [span for span in line.spans if getattr(span.style, "link", None)]


class TestSchematic:
    @staticmethod
    def picture(session: Session) -> Picture:
        return panel(session).query_one("#schematic", Picture)

    @pytest.mark.parametrize(("size", "shown"), [(NARROW, False), (MIDDLE, True), (WIDE, False), (LARGE, True)])
    async def test_it_is_shown_where_there_is_room(self, size: tuple[int, int], shown: bool) -> None:
        async with explore(engine(), size, graphics=Graphics.HALFBLOCK) as session:
            await session.press("1")
            await rest(session)
            assert bool(self.picture(session).region) is shown
            assert (self.picture(session)._image is not None) is shown

    async def test_not_where_it_would_be_shaded_characters(self) -> None:
        async with explore(engine(), LARGE, graphics=Graphics.TEXT) as session:
            assert not self.picture(session).display

    async def test_moving_within_a_family_does_not_paint_it_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with explore(engine(), LARGE, graphics=Graphics.HALFBLOCK) as session:
            await session.press("1")
            await rest(session)
            before = self.picture(session)._image
            assert before is not None
            painted = regions_painted(monkeypatch)
            await session.press("down")
            await rest(session)
            assert LITE1 in session.content_of("#facts")
            await session.press("s", "S")
            await rest(session)
            assert painted
            assert not [region for region in painted if region.overlaps(self.picture(session).region)]
            assert self.picture(session)._image is before

    async def test_typing_a_filter_does_not_paint_it_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with explore(engine(), LARGE, graphics=Graphics.HALFBLOCK) as session:
            await session.press("1", "slash")
            await rest(session)
            painted = regions_painted(monkeypatch)
            await session.press(*"lite")
            await rest(session)
            assert painted
            assert not [region for region in painted if region.overlaps(self.picture(session).region)]

    async def test_a_held_key_loads_no_pictures(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loaded: list[str] = []

        def load(family: str, background: tuple[int, int, int]) -> Image.Image | None:
            loaded.append(family)
            return schematic(family, background)

        monkeypatch.setattr("visexplore.tui.panels.catalogue.schematic", load)
        async with explore(engine(), LARGE, graphics=Graphics.HALFBLOCK, models=load_catalogue()) as session:
            await session.press("1", "home")
            await rest(session)
            loaded.clear()
            await session.press(*["down"] * 20)
            assert loaded == []
            await rest(session)
            assert set(loaded) == {"beit"}

    async def test_it_is_on_the_panels_own_background_in_either_theme(self) -> None:
        async with explore(engine(), LARGE, graphics=Graphics.HALFBLOCK) as session:
            await session.press("1")
            await rest(session)
            for theme in ("visexplore-dark", "visexplore-light"):
                session.app.theme = theme
                await session.settle()
                picture = self.picture(session)
                assert picture._image is not None
                assert picture._image.convert("RGB").getpixel((0, 0)) == picture.background_colors[1].rgb

    async def test_a_family_of_the_users_own_has_none(self) -> None:
        async with explore(engine(), LARGE, graphics=Graphics.HALFBLOCK, models=catalogue(OLD)) as session:
            await session.press("1", "end")
            await rest(session)
            assert "OldNet" in session.content_of("#facts")
            assert self.picture(session)._image is None

    def test_each_is_loaded_once(self) -> None:
        assert schematic("clip", (1, 2, 3)) is schematic("clip", (1, 2, 3))
        assert schematic("nobody", (1, 2, 3)) is None


class TestCard:
    @staticmethod
    def card(session: Session) -> ModelCard:
        assert isinstance(session.app.screen, ModelCard)
        return session.app.screen

    def text(self, session: Session) -> str:
        return str(self.card(session).query_one("#card-facts", Static).visual)

    async def test_i_shows_all_about_the_model_under_the_cursor(self) -> None:
        async with explore(engine()) as session:
            await session.press("1", "home", "i")
            assert "1 of 5" in session.lines[0]
            assert self.text(session).startswith(CLIP)
            assert "Learning Transferable Visual Models" in self.text(session)

    async def test_up_and_down_go_to_other_models_and_stop_at_the_ends(self) -> None:
        async with explore(engine()) as session:
            await session.press("1", "home", "i")
            seen = []
            for key in ("up", "down", "n", "p", "down", "down", "down", "down", "down"):
                await session.press(key)
                seen.append(self.card(session).key)
            assert seen == [CLIP, LITE0, LITE1, LITE0, LITE1, LITE2, UNRELEASED, UNRELEASED, UNRELEASED]
            assert "SecretNet" in self.text(session)

    async def test_they_are_in_the_order_of_the_table(self) -> None:
        async with explore(engine()) as session:
            await session.press("1", "s", "S", "home", "i", "down")
            assert self.card(session).key == LITE2

    async def test_esc_leads_back_with_the_cursor_on_what_was_looked_at_last(self) -> None:
        async with explore(engine()) as session:
            await session.press("1", "home", "i", "down", "down", "escape")
            assert len(session.app.screen_stack) == 1
            assert under_cursor(session) == LITE1
            assert session.app.model == LITE0

    async def test_enter_goes_on_with_that_model(self) -> None:
        async with explore(engine()) as session:
            await session.press("1", "i", "down", "enter")
            assert session.app.model == LITE1

    async def test_the_text_scrolls(self) -> None:
        async with explore(engine()) as session:
            await session.press("1", "home", "i", "pagedown")
            text = self.card(session).query_one("#card-text")
            assert text.scroll_target_y > 0
            await session.press("down")
            assert text.scroll_target_y == 0, "the next model's text begins at its beginning"

    @pytest.mark.parametrize(("size", "shown"), [(NARROW, False), ((100, 40), True), (MIDDLE, True), (LARGE, True)])
    async def test_the_picture_is_shown_where_there_is_room(self, size: tuple[int, int], shown: bool) -> None:
        async with explore(engine(), size, graphics=Graphics.HALFBLOCK) as session:
            await session.press("1", "home", "i")
            await rest(session)
            picture = self.card(session).query_one(Picture)
            assert (bool(picture.region), picture._image is not None) == (shown, shown)

    async def test_from_the_timeline_too(self) -> None:
        async with explore(engine()) as session:
            await session.press("1", "y", "down", "i")
            assert self.card(session).key == CLIP

    async def test_of_an_empty_list_there_is_none(self) -> None:
        async with explore(engine()) as session:
            await session.press("1", "slash", *"nothing", "enter", "i")
            assert len(session.app.screen_stack) == 1


@pytest.mark.parametrize("size", [NARROW, WIDE, LARGE])
async def test_evil_names_are_harmless(size: tuple[int, int]) -> None:
    async with explore(engine(), size, models=catalogue(evil_family())) as session:
        await session.press("1", "end", "s", "s", "S", "y")
        await rest(session)
        assert_harmless(session)
        await session.press("end", "i")
        await rest(session)
        assert_harmless(session)
        await session.press("up", "up", "escape")
        assert_harmless(session)
