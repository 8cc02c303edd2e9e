"""What is remembered of a dataset: in files, and on the screen at the next start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tui.scripted_engine import CLIP, LITE0, LITE1, SPEC, ScriptedEngine, explore, photos, put_on_disk
from visexplore.core.settings import load_settings
from visexplore.tui.app import _first_model
from visexplore.tui.session_state import Sessions, SessionState

FULL = SessionState(
    "/photos", "photos", "efficientnet-lite1", "bag/1.jpg", "", "", "dataset", "bag", "red", {"marks": ["a", "b"]}
)


def written(folder: Path) -> Path:
    [file] = folder.glob("*.json")
    return file


class TestFiles:
    def test_what_is_kept_is_there_at_the_next_start(self, tmp_path: Path) -> None:
        sessions = Sessions(tmp_path / "sessions")
        sessions.keep(FULL)
        sessions.close()
        assert Sessions(tmp_path / "sessions").recall("/photos") == FULL
        assert FULL.strings("marks") == ["a", "b"]

    def test_undecodable_names_are_kept(self, tmp_path: Path) -> None:
        state = replace(FULL, spec="/ph\udcffotos", image_id="\x1b]0;\udcff\n")
        sessions = Sessions(tmp_path)
        sessions.keep(state)
        sessions.close()
        assert Sessions(tmp_path).recall("/ph\udcffotos") == state

    @pytest.mark.parametrize(
        "content",
        [b"", b"{", b"\xff\xfe", b"[]", b"null", b"3", b'{"version": 1}', b'{"version": 99, "spec": "/photos"}',
         b'{"version": 1, "spec": "/photos", "label": 3}', b'{"version": 1, "spec": "/photos", "others": []}',
         b"[" * 100_000, b"\0" * 4096],
        ids=range(12),
    )  # fmt: skip
    def test_a_broken_or_foreign_file_is_passed_over(self, content: bytes, tmp_path: Path) -> None:
        sessions = Sessions(tmp_path)
        sessions.keep(FULL)
        sessions.close()
        written(tmp_path).write_bytes(content)
        (tmp_path / "folder.json").mkdir()
        again = Sessions(tmp_path)
        again.read_all()
        assert again.recall("/photos") is None
        assert again.recent() == []

    def test_what_a_later_version_adds_is_left_out(self, tmp_path: Path) -> None:
        sessions = Sessions(tmp_path)
        sessions.keep(FULL)
        sessions.close()
        file = written(tmp_path)
        file.write_text(json.dumps({**json.loads(file.read_text()), "colour": "red"}))
        assert Sessions(tmp_path).recall("/photos") == FULL

    def test_a_home_that_cannot_be_written_is_put_up_with(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        sessions = Sessions(tmp_path / "file" / "sessions")  # as for root too: below a file is no folder
        sessions.keep(FULL)
        sessions.read_all()
        sessions.close()
        assert sessions.recall("/photos") == FULL

    def test_what_json_cannot_hold_leaves_the_old_file(self, tmp_path: Path) -> None:
        sessions = Sessions(tmp_path)
        sessions.keep(FULL)
        sessions.close()
        sessions.keep_other("/photos", "marks", object())
        sessions.close()
        assert Sessions(tmp_path).recall("/photos") == FULL

    def test_it_is_written_within_a_second_and_not_before(self, tmp_path: Path) -> None:
        sessions = Sessions(tmp_path)
        for n in range(50):
            sessions.keep(replace(FULL, image_id=f"{n}.jpg"))
        assert not list(tmp_path.glob("*.json"))
        deadline = time.monotonic() + 20
        while not list(tmp_path.glob("*.json")) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert json.loads(written(tmp_path).read_text())["image_id"] == "49.jpg"

    def test_recent_ones_come_newest_first(self, tmp_path: Path) -> None:
        sessions = Sessions(tmp_path)
        for age, name in enumerate("abc"):
            sessions.keep(SessionState(f"/{name}", name))
            sessions.close()
            for file in tmp_path.glob(f"{name}-*.json"):
                os.utime(file, (1e9 - age, 1e9 - age))
        again = Sessions(tmp_path)
        again.read_all()
        assert [state.title for state in again.recent()] == ["a", "b", "c"]
        again.keep(SessionState("/b", "b", panel="query"))
        assert [state.title for state in again.recent()] == ["b", "a", "c"]
        again.close()

    def test_what_a_killed_process_left_is_deleted_once_it_is_old(self, tmp_path: Path) -> None:
        old, new = tmp_path / "a.1.tmp", tmp_path / "b.2.tmp"
        old.touch()
        new.touch()
        os.utime(old, (1e9, 1e9))
        Sessions(tmp_path).read_all()
        assert not old.exists()
        assert new.exists()

    def test_a_kill_while_writing_leaves_a_whole_file(self, tmp_path: Path) -> None:
        code = (
            "import sys; from pathlib import Path; from visexplore.tui.session_state import Sessions, SessionState\n"
            "sessions = Sessions(Path(sys.argv[1])); n = 0\n"
            "while True:\n"
            "    sessions.keep(SessionState('/photos', 'photos', image_id=f'{n}', others={'marks': ['x' * 50] * 500}"
            "))\n"
            "    sessions.close(); n += 1\n"
            "    if n == 3: print('ready', flush=True)\n"
        )
        for pause in (0.0, 0.003, 0.011):
            child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(pause)
            child.send_signal(signal.SIGKILL)
            child.wait()
            child.stdout.close()
            state = Sessions(tmp_path).recall("/photos")
            assert state is not None
            assert len(state.strings("marks")) == 500

    def test_a_picture_from_outside_that_is_gone_is_forgotten(self, tmp_path: Path) -> None:
        picture = tmp_path / "query.jpg"
        picture.touch()
        sessions = Sessions(tmp_path / "sessions")
        sessions.keep(SessionState("/photos", "photos", path=str(picture)))
        sessions.close()
        assert Sessions(tmp_path / "sessions").recall("/photos").path == str(picture)  # type: ignore[union-attr]
        picture.unlink()
        assert Sessions(tmp_path / "sessions").recall("/photos").path == ""  # type: ignore[union-attr]


def engine() -> ScriptedEngine:
    return ScriptedEngine(photos(30), photos(9, spec="/others", title="others"), embedded=[LITE0, LITE1])


class TestOnScreen:
    async def test_a_dataset_is_gone_on_with_where_it_was_left(self) -> None:
        sessions = Sessions()
        async with explore(engine(), sessions=sessions) as session:
            await session.press("n", "n", "n", "right_square_bracket", "2")
            query = session.query
            session.app.exit()
        left = sessions.recall(SPEC)
        assert left is not None
        assert (left.model, left.image_id, left.panel) == (LITE1, query, "dataset")
        async with explore(engine(), sessions=sessions, model=LITE1) as session:
            assert (session.query, session.panel, session.focus) == (query, "dataset", "thumbnails")
            assert session.visible_panels == ["dataset"]

    async def test_label_and_filter_come_back(self) -> None:
        sessions = Sessions()
        sessions.keep(
            SessionState(SPEC, "photos", panel="dataset", label="chair", words="01", image_id="chair/012.jpg")
        )
        async with explore(engine(), sessions=sessions) as session:
            assert "10 images" in session.content_of("#page")
            assert session.query == "chair/012.jpg"
            assert session.thumbnails.cursor == 2
            await session.press("escape")
            assert session.focus == "thumbnails"

    async def test_what_is_gone_falls_back_quietly(self) -> None:
        sessions = Sessions()
        sessions.keep(SessionState(SPEC, "photos", panel="nonsense", label="gone", image_id="gone.jpg"))
        async with explore(engine(), sessions=sessions) as session:
            assert session.query == "bag/000.jpg"
            assert session.panel == "query"
            assert session.notes == []

    async def test_words_come_back_with_a_model_that_takes_them(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        put_on_disk(monkeypatch, tmp_path)
        sessions = Sessions()
        sessions.keep(SessionState(SPEC, "photos", text="a red bag"))
        known = ScriptedEngine(photos(30), embedded=[LITE0, CLIP])
        async with explore(known, sessions=sessions, model=CLIP) as session:
            assert session.query == "a red bag"
        async with explore(engine(), sessions=sessions, model=LITE0) as session:
            assert session.query == "bag/000.jpg"

    async def test_another_dataset_has_its_own(self) -> None:
        sessions = Sessions()
        sessions.keep(SessionState("/others", "others", image_id="mug/007.jpg", model=LITE1))
        async with explore(engine(), sessions=sessions) as session:
            await session.press("n", "D", *"/others", "enter")
            assert session.query == "mug/007.jpg"
            assert session.app.model == LITE0  # of this session
            left = sessions.recall(SPEC)
            assert left is not None
            assert left.image_id == "bag/001.jpg"

    async def test_what_other_parts_keep_stays(self) -> None:
        sessions = Sessions()
        sessions.keep_other(SPEC, "marks", ["a"])
        async with explore(engine(), sessions=sessions) as session:
            await session.press("n")
            session.app.exit()
        state = sessions.recall(SPEC)
        assert state is not None
        assert state.strings("marks") == ["a"]
        assert state.image_id

    async def test_leaving_at_once_keeps_nothing_of_a_dataset_that_never_opened(self) -> None:
        sessions = Sessions()
        async with explore(ScriptedEngine(photos(3)), spec="/nowhere", sessions=sessions) as session:
            session.app.exit()
        assert sessions.recent() == []


def test_the_first_model_is_the_one_that_was_left_while_there_is_one_of_that_name() -> None:
    from visexplore.core.catalogue import load_catalogue

    settings = replace(load_settings(), model="clip-vit-b32")
    catalogue = load_catalogue(settings.models_file)
    assert _first_model(settings, catalogue, SessionState(SPEC, model=LITE1)) == LITE1
    assert _first_model(settings, catalogue, SessionState(SPEC, model="gone-model")) == "clip-vit-b32"
    assert _first_model(settings, catalogue, None) == "clip-vit-b32"
