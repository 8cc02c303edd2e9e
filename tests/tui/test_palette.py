"""Finding things by name: the command palette, and the window that opens another dataset."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.widgets import Input, OptionList

from tests.tui.command_line import EVIL, hostile_characters
from tests.tui.scripted_engine import LITE0, LITE1, LITE2, Photos, ScriptedEngine, Session, explore, photos
from visexplore.core.engine import AskDatasets, OpenDataset
from visexplore.core.explorer import Explorer
from visexplore.core.settings import load_settings
from visexplore.tui.screens.open_dataset import complete_folder
from visexplore.tui.session_state import Sessions, SessionState

OTHERS = photos(9, spec="/others", title="others")


def engine() -> ScriptedEngine:
    return ScriptedEngine(photos(12), OTHERS, embedded=[LITE0, LITE1])


async def look_for(session: Session, words: str) -> list[str]:
    """Open the palette, type, and return what is found: within a few seconds, as it looks on while it lists."""
    await session.press("ctrl+p")
    await session.type(words)
    hits: list[str] = []
    for _ in range(200):
        await session.pilot.pause(0.02)
        hits = [str(option.prompt) for option in session.app.screen.query_one(OptionList).options]
        if any(words.lower() in hit.lower() for hit in hits):
            break
    return hits


class TestPalette:
    async def test_a_model_is_found_and_used(self) -> None:
        async with explore(engine()) as session:
            assert any("efficientnet-lite2" in hit for hit in await look_for(session, "lite2"))
            await session.press("down", "enter")
            await session.settle()
            assert session.app.model == LITE2

    async def test_a_dataset_is_found_and_opened(self) -> None:
        async with explore(engine()) as session:
            await look_for(session, "dataset: others")
            await session.press("down", "enter")
            await session.settle()
            assert session.app.gallery is not None
            assert session.app.gallery.title == "others"

    async def test_an_action_is_found_and_done(self) -> None:
        async with explore(engine()) as session:
            first = session.query
            await look_for(session, "next image as the query")
            await session.press("down", "enter")
            await session.settle()
            assert session.query != first

    async def test_it_opens_at_once_though_the_engine_says_nothing(self) -> None:
        silent = engine()
        silent.hold(AskDatasets)
        sessions = Sessions()
        sessions.keep(SessionState("/recent", "recent"))
        async with explore(silent, sessions=sessions) as session:
            assert any("recent" in hit for hit in await look_for(session, "dataset: recent"))

    async def test_over_a_window_it_has_nothing_of_the_panels(self) -> None:
        async with explore(engine()) as session:
            await session.press("J")
            titles = [command.title for command in session.app.get_system_commands(session.app.screen)]
            assert "Draw pictures in another way" in titles
            assert "Next image as the query" not in titles


class TestOpeningADataset:
    async def test_known_ones_are_listed_the_one_opened_last_first(self) -> None:
        sessions = Sessions()
        sessions.keep(SessionState("hf:cats/dogs:train", "dogs"))
        async with explore(engine(), sessions=sessions) as session:
            await session.press("D")
            listed = [line for line in session.lines if "dogs" in line or "others" in line or "sample" in line]
            assert ["dogs" in line for line in listed] == [True, False, False]
            assert "embedded with 1 model" in listed[1]

    async def test_one_of_the_list_is_opened(self) -> None:
        async with explore(engine()) as session:
            await session.press("D", *"oth", "down", "enter")
            assert session.app.gallery is not None
            assert session.app.gallery.title == "others"

    @pytest.mark.parametrize("spec", ["hf:cats/dogs:train", "csv:/data/photos.csv?label=brand", "cars:", "sample"])
    async def test_every_kind_of_dataset_can_be_typed(self, spec: str) -> None:
        async with explore(engine()) as session:
            await session.press("D", *spec, "enter")
            assert session.engine.asked(OpenDataset)[-1].spec == spec

    async def test_what_cannot_be_opened_is_told_and_the_old_one_stays(self) -> None:
        async with explore(engine()) as session:
            await session.press("D", *"/nowhere", "enter")
            assert any("There is no dataset '/nowhere'" in note for note in session.notes)
            assert session.app.gallery is not None
            assert session.app.gallery.title == "photos"

    async def test_tab_completes_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "photos-of-cats").mkdir()
        async with explore(engine()) as session:
            await session.press("D")
            field = session.app.screen.query_one(Input)
            field.value = f"{tmp_path}/pho"
            await session.press("tab")
            for _ in range(100):
                await session.pilot.pause(0.02)
                if field.value.endswith("/"):
                    break
            assert field.value == f"{tmp_path}/photos-of-cats/"

    async def test_evil_names_are_harmless(self) -> None:
        evil = Photos((f"{EVIL}.jpg",), (EVIL,), spec=f"/{EVIL}", title=EVIL)
        sessions = Sessions()
        sessions.keep(SessionState(f"/recent{EVIL}", EVIL, label=EVIL, words=EVIL))
        async with explore(ScriptedEngine(photos(12), evil), sessions=sessions) as session:
            await session.press("D")
            assert hostile_characters(session.text) == set()
            await session.press("escape")
            hits = await look_for(session, "vil")
            assert len(hits) >= 2
            assert isinstance(session.app.screen, CommandPalette)
            assert hostile_characters(session.text) == set()


class TestCompletion:
    @pytest.fixture
    def tree(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Some folders and a file."""
        for name in ("photos-a", "photos-b", ".hidden", "other", f"x{EVIL.replace('/', '')}"):
            (tmp_path / name).mkdir()
        (tmp_path / "only.txt").touch()
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        return tmp_path

    @pytest.mark.parametrize(
        ("typed", "completed"),
        [("ph", "photos-"), ("photos-a", "photos-a/"), ("~/oth", "~/other/"), ("cars:oth", "cars:other/"),
         ("only", "only"), (".h", ".hidden/"), ("nothing/here", "nothing/here"), ("x", "x"), ("hf:cats", "hf:cats")],
    )  # fmt: skip
    def test_it_is_that_of_a_shell(self, tree: Path, typed: str, completed: str) -> None:
        assert complete_folder(typed) == completed

    def test_what_is_no_path_stays(self, tree: Path) -> None:
        for typed in ("a\0b", "x" * 5000, "~nobody-of-that-name/a"):
            assert complete_folder(typed) == typed


def test_the_engine_knows_what_is_embedded_and_what_lies_in_its_usual_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "datasets" / "CUB_200_2011"
    place.mkdir(parents=True)
    for name in ("images.txt", "image_class_labels.txt"):
        (place / name).touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    found = Explorer(load_settings()).known_datasets()
    assert [(dataset.spec, dataset.title) for dataset in found] == [(f"cub:{place}", "CUB-200-2011")]
