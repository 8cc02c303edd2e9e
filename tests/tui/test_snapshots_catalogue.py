"""How the catalogue panel, its timeline and the card of a model look, with the bundled catalogue."""

from __future__ import annotations

import pytest

from tests.tui.looks import SIZES, Look
from tests.tui.scripted_engine import LITE0, LITE1, ScriptedEngine, make_app, photos
from visexplore.core.catalogue import load_catalogue
from visexplore.core.cost import KnownRates, Rate
from visexplore.tui.app import VisexploreApp
from visexplore.tui.terminal import Graphics


def app(graphics: Graphics = Graphics.TEXT) -> VisexploreApp:
    engine = ScriptedEngine(photos(12), embedded=[LITE0, LITE1])
    engine.rates = KnownRates((Rate(LITE0, "cpu", 143.2), Rate(LITE1, "cpu", 87.6)))
    return make_app(engine, models=load_catalogue(), graphics=graphics)


class TestCatalogue:
    @pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
    def test_timeline(self, looks_as_before: Look, size: tuple[int, int]) -> None:
        assert looks_as_before(app(), size, "1", "y", *["down"] * 7)

    def test_sorted_by_date_in_the_light_theme(self, looks_as_before: Look) -> None:
        assert looks_as_before(app(), SIZES["80x24"], "1", "s", "s", theme="visexplore-light")

    def test_a_schematic_beside_the_facts(self, looks_as_before: Look) -> None:
        assert looks_as_before(app(Graphics.HALFBLOCK), SIZES["120x40"], "1", "home")

    @pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
    def test_card(self, looks_as_before: Look, size: tuple[int, int]) -> None:
        assert looks_as_before(app(), size, "1", "home", "i")
