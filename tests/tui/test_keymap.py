"""The user's own keys: what is wrong with them is told, and what is right is used and shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.widgets import Static

from tests.tui.scripted_engine import LITE0, LITE1, NARROW, WIDE, ScriptedEngine, explore, photos
from visexplore.core.errors import SettingsError
from visexplore.core.settings import Settings, load_settings
from visexplore.tui.keymap import LISTS, called, flat, key_called, keymap, split_keys
from visexplore.tui.keys import KEYS
from visexplore.tui.screens.help import Help, groups
from visexplore.tui.windows import windows


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration file."""
    monkeypatch.setenv("VISEXPLORE_CONFIG", str(tmp_path))
    return tmp_path / "config.toml"


def with_keys(**keys: str) -> Settings:
    return replace(load_settings(), keys=keys)


def engine() -> ScriptedEngine:
    return ScriptedEngine(photos(12), embedded=[LITE0, LITE1])


class TestNames:
    @pytest.mark.parametrize(
        ("key", "name"),
        [("left_square_bracket", "["), ("shift+tab", "Shift-Tab"), ("ctrl+p", "Ctrl-P"), ("pagedown", "PgDn"),
         ("question_mark", "?"), ("J", "J"), ("n", "n"), ("f5", "F5"), ("slash", "/"), ("space", "Space"),
         ("plus", "+"), ("comma", ",")],
    )  # fmt: skip
    def test_a_key_is_called_as_people_call_it(self, key: str, name: str) -> None:
        assert called(key) == name

    def test_characters_may_be_written_as_they_are(self) -> None:
        assert split_keys("n, ?,f5,[") == ["n", "question_mark", "f5", "left_square_bracket"]
        assert split_keys(",") == ["comma"]

    def test_every_binding_that_is_described_has_an_id_of_its_own(self) -> None:
        places = [KEYS, *(kind.BINDINGS for kind in LISTS), *(window.kind.BINDINGS for window in windows())]
        described = [{b.id for b in flat(bindings) if b.tooltip} for bindings in places]
        assert all(None not in ids and "" not in ids for ids in described)
        assert sum(len(ids) for ids in described) == len(set().union(*described))
        assert all(binding.tooltip for binding in KEYS)


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('[keys]\nnext_imag = "n"', "line 2: there is no key 'next_imag'. Did you mean 'next_image'"),
            ('theme="dark"\n[keys]\nnext_image = "e"', "line 3: on the main screen, e is the key of 'embed' too"),
            ('[keys]\nnext_image = "j"', "j is the key of 'row_down' too"),
            ('[keys]\nnext_image = "crtl+x"', "'crtl+x' is no key"),
            ('[keys]\nnext_image = "hello"', "'hello' is no key"),
            ('[keys]\nnext_image = "ctrl+p"', "Ctrl-P is for the command palette"),
            ('[keys]\nrandom = "w"\nzoom = "w"', "w is the key of 'random' too"),
            ('[keys]\nzoom_next = "escape"', "Esc is for leaving a window or a filter"),
            ('[keys]\nzoom_next = "z"', "on Zoom, z is the key of 'zoom_leave' too"),
        ],
    )
    def test_it_is_told_in_a_sentence_with_its_line(self, text: str, message: str, config: Path) -> None:
        config.write_text(text)
        with pytest.raises(SettingsError) as caught:
            keymap(load_settings())
        assert message in str(caught.value)
        assert str(config) in str(caught.value)
        assert caught.value.exit_code == 2

    def test_two_keys_can_be_swapped(self) -> None:
        assert keymap(with_keys(next_image="p", previous_image="n")) == {"next_image": "p", "previous_image": "n"}

    def test_without_own_keys_nothing_is_to_be_told(self) -> None:
        assert keymap(load_settings()) == {}


class TestUse:
    async def test_the_own_key_works_and_the_usual_one_no_more(self) -> None:
        async with explore(engine(), settings=with_keys(next_image="f7,N")) as session:
            first = session.query
            await session.press("n")
            assert session.query == first
            await session.press("f7")
            second = session.query
            assert second != first
            await session.press("N")
            assert session.query not in (first, second)

    async def test_starting_and_stopping_stay_on_one_key(self) -> None:
        settings = with_keys(embed="w")
        async with explore(ScriptedEngine(photos(12, labels=())), settings=settings) as session:
            assert session.app._open_job(LITE0) is not None  # embeds by itself
            await session.press("w")
            assert session.app._open_job(LITE0) is None
            await session.press("w")
            assert session.app._open_job(LITE0) is not None

    async def test_keys_of_lists_and_windows_can_be_changed_too(self) -> None:
        settings = with_keys(picture_right="f7", zoom_leave="f8")
        async with explore(engine(), settings=settings) as session:
            await session.press("f7")
            assert session.strip.cursor == 1
            await session.press("z", "escape")
            assert len(session.app.screen_stack) == 2
            await session.press("f8")
            assert len(session.app.screen_stack) == 1

    async def test_the_footer_and_the_help_show_them(self) -> None:
        async with explore(engine(), WIDE, settings=with_keys(next_image="f6")) as session:
            assert "f6 Next" in session.lines[-1].replace("F6", "f6")
            await session.press("question_mark")
            listed = str(session.app.screen.query_one("#help-left", Static).visual)
            assert any(line.split()[:2] == ["F6", "next"] for line in listed.splitlines())

    def test_a_hint_has_the_first_of_them(self) -> None:
        assert key_called("next_image", {"next_image": "f6,n"}) == "F6"
        assert key_called("nothing", {}) == ""


class TestHelp:
    def test_the_active_panels_keys_come_first(self) -> None:
        assert [group.title for group in groups("dataset", {})][:3] == ["Images (2)", "Everywhere", "Models (1)"]

    def test_every_window_with_keys_is_there(self) -> None:
        titles = {group.title for group in groups("query", {})}
        assert {"Window: Zoom", "Window: Side by side", "Window: Verdict", "Window: Jobs"} <= titles

    async def test_it_is_read_by_scrolling_on_the_smallest_terminal(self) -> None:
        async with explore(engine(), NARROW) as session:
            await session.press("question_mark")
            assert isinstance(session.app.screen, Help)
            seen = session.text
            for _ in range(20):
                await session.press("pagedown")
                seen += session.text
            assert "cosine; not comparable between models" in seen
            for binding in KEYS:
                assert binding.tooltip[:40] in seen

    async def test_wide_terminals_have_two_columns(self) -> None:
        async with explore(engine(), (200, 50)) as session:
            await session.press("question_mark")
            left, right = (session.app.screen.query_one(name) for name in ("#help-left", "#help-right"))
            assert left.region.width > 60
            assert right.region.x >= left.region.right
            assert right.region.right <= 200
            assert right.region.width > 60
