from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core.tiny_models import save_checkpoint
from tests.pictures import png
from visexplore.core.comparison import Comparison
from visexplore.core.engine import (
    AskCacheStates,
    AskDisagreements,
    AskImageFacts,
    AskPicture,
    AskProjection,
    AskQuestion,
    AskRates,
    AskSimilarities,
    AskSkipped,
    AskThumbnail,
    CacheStates,
    Cancel,
    CastVote,
    Compare,
    Compared,
    DatasetOpened,
    Died,
    DisagreementsFound,
    Embed,
    Engine,
    Event,
    Exported,
    ExportPaths,
    ExportStrips,
    Failed,
    Found,
    ImageFactsFound,
    JobDone,
    JobPaused,
    JobProgress,
    OpenDataset,
    Pause,
    PictureMade,
    Projected,
    QuestionAsked,
    RatesKnown,
    Ready,
    Reorder,
    Resume,
    Search,
    SearchMany,
    SimilaritiesCounted,
    SkippedFound,
)
from visexplore.core.errors import NotEmbedded, StorageError, UnknownDataset, UnknownImage, UnreadableImage
from visexplore.core.evaluation.votes import Vote
from visexplore.core.messages import Box, QueryPart
from visexplore.core.settings import Settings

Fill = Callable[[Mapping[str, int | bytes]], Path]
PATIENCE = 120.0  # seconds; importing torch on a busy machine takes many


class Driver:
    """An engine and what it has told so far."""

    def __init__(self, home: Path) -> None:
        self.events: queue.Queue[Event] = queue.Queue()
        self.engine = Engine(Settings(home, home / "models.toml", offline=True), self.events.put, device="cpu")

    def start(self) -> None:
        self.engine.start()
        self.next(Ready)

    def next[E](self, kind: type[E], ticket: int | None = None) -> E:
        """Return the next event of a kind; others before it are passed over, but not an unexpected end."""
        end = time.monotonic() + PATIENCE
        while True:
            event = self.events.get(timeout=max(0.01, end - time.monotonic()))
            if isinstance(event, kind) and (ticket is None or getattr(event, "ticket", None) == ticket):
                return event
            assert not isinstance(event, Died), event
            assert not isinstance(event, Failed), event

    def ask[E](self, kind: type[E], request: Any, *fields: Any) -> E:
        ticket = self.engine.ticket()
        self.engine.send(request(ticket, *fields))
        return self.next(kind, ticket)


@pytest.fixture(scope="module")
def shared_driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """One engine for the tests that leave it as it was: starting one takes seconds."""
    driver = Driver(tmp_path_factory.mktemp("engine"))
    driver.start()
    yield driver
    driver.engine.stop()


@pytest.fixture
def driver(shared_driver: Driver) -> Driver:
    while not shared_driver.events.empty():
        shared_driver.events.get()
    return shared_driver


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Driver]:
    """An engine that a test may ruin."""
    driver = Driver(tmp_path / "home")
    driver.start()
    yield driver
    driver.engine.stop()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save_checkpoint(folder, "test_convnext", side=64)
    return str(folder)


def gone(pid: int) -> bool:
    """Whether a process has ended, waiting for it a little."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.1)
    return False


# ---- questions


def test_a_dataset_is_listed(driver: Driver, fill: Fill) -> None:
    folder = fill({"cats/a.png": 1, "dogs/b.png": 2})
    opened = driver.ask(DatasetOpened, OpenDataset, str(folder))
    assert (opened.spec, opened.title, opened.problems) == (str(folder), "photos", ())
    assert opened.image_ids == ("cats/a.png", "dogs/b.png")
    numbers = np.frombuffer(opened.label_numbers, np.int32)
    assert [opened.labels[number] for number in numbers] == ["cats", "dogs"]


def test_images_without_a_label_have_number_minus_one(driver: Driver, fill: Fill) -> None:
    opened = driver.ask(DatasetOpened, OpenDataset, str(fill({"a.png": 1, "cats/b.png": 2})))
    assert np.frombuffer(opened.label_numbers, np.int32).tolist() == [-1, 0]


def test_a_map_and_similarities_come_back_as_numbers(driver: Driver, fill: Fill, tiny: str) -> None:
    folder = str(fill({"cats/a.png": 1, "cats/b.png": 2, "dogs/c.png": 3}))
    driver.ask(JobDone, Embed, folder, (tiny,))
    found = driver.ask(Projected, AskProjection, folder, tiny, "pca")
    assert np.frombuffer(found.positions, np.int64).tolist() == [0, 1, 2]
    assert np.frombuffer(found.places, np.float32).shape == (6,)
    counted = driver.ask(SimilaritiesCounted, AskSimilarities, folder, tiny, "cats/a.png", 12).similarities
    assert (sum(counted.same), sum(counted.others), len(counted.pairs)) == (1, 1, 12)


def test_thumbnails_and_large_pictures_come_back_as_pixels(driver: Driver, fill: Fill) -> None:
    folder = fill({"a.png": png(1, (600, 300))})
    small = driver.ask(PictureMade, AskThumbnail, str(folder), "a.png").picture
    large = driver.ask(PictureMade, AskPicture, str(folder), "a.png", 500).picture
    outside = driver.ask(PictureMade, AskPicture, "", str(folder / "a.png"), 100).picture
    assert [(p.width, p.height) for p in (small, large, outside)] == [(256, 128), (500, 250), (100, 50)]


def test_the_facts_of_an_image_and_what_is_unreadable_come_back(
    driver: Driver, tiny: str, fill: Fill, tmp_path: Path
) -> None:
    folder = fill({"a.png": png(1, (600, 300)), "bad.png": b"no picture"})
    driver.ask(JobDone, Embed, str(folder), (tiny,))
    facts = driver.ask(ImageFactsFound, AskImageFacts, str(folder), "a.png").facts
    assert (facts.width, facts.height, [one.embedded for one in facts.models]) == (600, 300, [True])
    [skipped] = driver.ask(SkippedFound, AskSkipped, str(folder), tiny).skipped
    assert (skipped.image_id, skipped.reason) == ("bad.png", "Not an image that Pillow can read")
    [file] = driver.ask(Exported, ExportPaths, str(folder), ("a.png",), str(tmp_path / "out")).files
    assert Path(file).read_text() == f"{folder / 'a.png'}\n"


@pytest.mark.parametrize(
    ("request_of", "error"),
    [
        (lambda ticket, folder: OpenDataset(ticket, "no such folder"), UnknownDataset),
        (lambda ticket, folder: AskThumbnail(ticket, str(folder), "no.png"), UnknownImage),
        (lambda ticket, folder: AskThumbnail(ticket, str(folder), "bad.png"), UnreadableImage),
        (lambda ticket, folder: Search(ticket, str(folder), "efficientnet-lite0", "a.png"), NotEmbedded),
    ],
)
def test_what_cannot_be_done_is_answered_with_its_error(
    request_of: Callable[[int, Path], Any], error: type[Exception], driver: Driver, fill: Fill
) -> None:
    folder = fill({"a.png": 1, "bad.png": b"x"})
    ticket = driver.engine.ticket()
    driver.engine.send(request_of(ticket, folder))
    event = driver.events.get(timeout=PATIENCE)
    assert isinstance(event, Failed)
    assert event.ticket == ticket
    assert type(event.error) is error


def test_a_fault_of_the_engine_is_answered_and_it_goes_on(driver: Driver) -> None:
    driver.engine.send(AskPicture(7, "", "/etc/hostname", "no number"))  # type: ignore[arg-type]
    event = driver.events.get(timeout=PATIENCE)
    assert isinstance(event, Failed)
    assert driver.ask(DatasetOpened, OpenDataset, "sample").image_ids


# ---- jobs


def test_a_job_tells_its_progress_and_its_result_can_be_searched(driver: Driver, tiny: str, fill: Fill) -> None:
    folder = fill({f"{number:02}.png": number for number in range(30)} | {"bad.png": b"x"})
    ticket = driver.engine.ticket()
    driver.engine.send(Embed(ticket, str(folder), (tiny,)))
    assert driver.next(JobProgress, ticket).progress.model == "tiny"
    done = driver.next(JobDone, ticket)
    [report] = done.reports
    assert (report.embedded, len(report.skipped)) == (30, 1)
    found = driver.ask(Found, Search, str(folder), tiny, "03.png").result
    assert len(found.results[0].neighbours) == 5
    outside = driver.ask(Found, Search, str(folder), tiny, "", str(folder / "03.png")).result
    assert outside.results[0].neighbours[0].image_id == "03.png"
    mixed = Search(
        0, str(folder), tiny, parts=(QueryPart(image_id="03.png"), QueryPart(2.0, path=str(folder / "07.png")))
    )
    found = driver.ask(Found, lambda ticket: mixed._replace(ticket=ticket)).result
    assert [part.weight for part in found.query.parts] == [1.0, 2.0]
    assert found.results[0].neighbours[0].image_id == "07.png"
    part = Search(0, str(folder), tiny, "03.png", crop=Box(0, 0, 0.5, 1))
    found = driver.ask(Found, lambda ticket: part._replace(ticket=ticket)).result
    assert found.query.crop == part.crop
    assert "03.png" not in {neighbour.image_id for neighbour in found.results[0].neighbours}
    picture = driver.ask(PictureMade, AskPicture, str(folder), "03.png", 64, part.crop).picture
    whole = driver.ask(PictureMade, AskPicture, str(folder), "03.png", 64).picture
    assert picture.width / picture.height == pytest.approx(whole.width / whole.height / 2, rel=0.1)
    [state] = driver.ask(CacheStates, AskCacheStates, str(folder)).states
    assert (state.model, state.embedded, state.failed, state.total) == ("tiny", 30, 1, 31)


def test_jobs_are_done_in_their_order_and_one_that_waits_can_be_cancelled(
    driver: Driver, tiny: str, fill: Fill
) -> None:
    folder = fill({f"{number:03}.png": number for number in range(80)})
    tickets = [driver.engine.ticket() for _ in range(3)]
    for ticket in tickets:
        driver.engine.send(Embed(ticket, str(folder), (tiny,)))
    driver.engine.send(Cancel(tickets[1]))
    dones = [driver.next(JobDone) for _ in tickets]
    assert [done.ticket for done in dones] == [tickets[1], tickets[0], tickets[2]], "what waits is given up at once"
    assert [[report.embedded for report in done.reports] for done in dones] == [[], [80], [0]]


def test_questions_are_answered_while_a_job_runs(driver: Driver, tiny: str, fill: Fill) -> None:
    folder = fill({f"{number:03}.png": png(number, (400, 300)) for number in range(150)})
    job = driver.engine.ticket()
    driver.engine.send(Embed(job, str(folder), (tiny,)))
    driver.next(JobProgress, job)
    question = driver.engine.ticket()
    driver.engine.send(AskThumbnail(question, str(folder), "003.png"))
    kinds = []
    while "JobDone" not in kinds:
        kinds.append(type(driver.events.get(timeout=PATIENCE)).__name__)
    assert "PictureMade" in kinds[:-1]


def test_a_running_job_can_be_cancelled_and_keeps_what_it_did(driver: Driver, tiny: str, fill: Fill) -> None:
    folder = fill({f"{number:03}.png": png(number, (400, 300)) for number in range(150)})
    ticket = driver.engine.ticket()
    driver.engine.send(Embed(ticket, str(folder), (tiny,)))
    while driver.next(JobProgress, ticket).progress.done < 8:
        pass
    driver.engine.send(Cancel(ticket))
    [report] = driver.next(JobDone, ticket).reports
    assert report.cancelled
    assert 8 <= report.embedded < 150


def test_a_paused_job_lets_others_run_and_goes_on_where_it_was(driver: Driver, tiny: str, fill: Fill) -> None:
    folder = fill({f"{number:03}.png": png(number, (400, 300)) for number in range(150)})
    first, second = driver.engine.ticket(), driver.engine.ticket()
    driver.engine.send(Embed(first, str(folder), (tiny,)))
    driver.engine.send(Embed(second, "sample", (tiny,)))
    while (done := driver.next(JobProgress, first).progress.done) < 8:
        pass
    driver.engine.send(Pause(first))
    assert driver.next(JobPaused, first)
    [state] = driver.ask(CacheStates, AskCacheStates, str(folder)).states
    assert done <= state.embedded < 150, "what was done is committed"
    assert driver.next(JobDone, second).reports[0].embedded > 0
    driver.engine.send(Resume(first))
    progress = driver.next(JobProgress, first).progress
    assert (progress.total, progress.done >= state.embedded) == (150, True), "it counts from where it began"
    [report] = driver.next(JobDone, first).reports
    assert (report.embedded, report.reused, report.cancelled) == (150, 0, False)


def test_jobs_that_wait_are_done_in_the_order_that_is_wanted(driver: Driver, tiny: str, fill: Fill) -> None:
    folder = fill({f"{number:03}.png": number for number in range(80)})
    tickets = [driver.engine.ticket() for _ in range(4)]
    for ticket in tickets[:3]:
        driver.engine.send(Embed(ticket, str(folder), (tiny,)))
    driver.engine.send(Embed(tickets[3], str(folder), (tiny,), paused=True))
    driver.next(JobProgress, tickets[0])
    driver.engine.send(Reorder((tickets[3], tickets[2])))
    driver.engine.send(Resume(tickets[3]))
    order = [driver.next(JobDone).ticket for _ in tickets]
    assert order == [tickets[0], tickets[3], tickets[2], tickets[1]]


def test_progress_tells_how_busy_the_device_is(driver: Driver, tiny: str, fill: Fill) -> None:
    folder = fill({f"{number:03}.png": png(number, (400, 300)) for number in range(150)})
    ticket = driver.engine.ticket()
    driver.engine.send(Embed(ticket, str(folder), (tiny,)))
    while (use := driver.next(JobProgress, ticket).progress.device) is None or use.busy is None:
        pass
    assert use.device == "cpu"
    assert 50e6 < use.memory < use.memory_total
    assert 0 <= use.busy <= use.cores * 1.5
    driver.next(JobDone, ticket)


def test_how_fast_models_are_here_is_known_once_they_have_embedded(driver: Driver) -> None:
    ticket = driver.engine.ticket()
    driver.engine.send(Embed(ticket, "sample", ("efficientnet-lite0",)))
    driver.next(JobDone, ticket)
    rate = driver.ask(RatesKnown, AskRates).rates.of("efficientnet-lite0")
    assert rate is not None
    assert (rate.device, rate.model_rate > 1, (rate.work or 0) > 1e6) == ("cpu", True, True)


# ---- life and death


def test_what_the_child_prints_goes_to_a_log_file(driver: Driver) -> None:
    driver.engine.send(AskPicture(7, "", "/etc/hostname", "no number"))  # type: ignore[arg-type]
    event = driver.events.get(timeout=PATIENCE)
    assert isinstance(event, Failed)
    log = driver.engine.settings.engine_log
    if type(event.error).__name__ == "VisexploreError":  # a fault of ours: its traceback is for the log
        assert "Traceback" in log.read_text()
    assert log.exists()


def test_a_killed_engine_is_reported_and_can_be_started_again(own: Driver) -> None:
    assert own.engine.pid
    os.kill(own.engine.pid, signal.SIGKILL)
    event = own.events.get(timeout=PATIENCE)
    assert isinstance(event, Died)
    assert "signal 9" in str(event.error)
    assert "memory" in event.error.hint
    own.engine.send(OpenDataset(1, "sample"))  # lost, and no error
    own.start()
    assert own.ask(DatasetOpened, OpenDataset, "sample").image_ids


def test_stopping_is_no_death(own: Driver) -> None:
    pid = own.engine.pid
    assert pid
    own.engine.stop()
    assert gone(pid)
    time.sleep(0.2)
    assert own.events.empty()


def test_an_interrupt_from_the_keyboard_does_not_end_the_engine(own: Driver) -> None:
    assert own.engine.pid
    os.kill(own.engine.pid, signal.SIGINT)
    assert own.ask(DatasetOpened, OpenDataset, "sample").image_ids


PARENT = """
import sys, time
from pathlib import Path
from visexplore.core.engine import Engine, Ready
from visexplore.core.settings import Settings
home = Path(sys.argv[1])
engine = Engine(Settings(home, home / "models.toml", offline=True), lambda event: print(engine.pid, flush=True))
engine.start()
time.sleep(100)
"""


def test_the_child_leaves_when_its_parent_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        parent.kill()
    assert gone(child)


def test_files_in_the_current_folder_are_not_taken_for_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """People start programs in folders that others have filled."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("random", "queue", "numpy", "faiss", "PIL", "pyarrow"):
        (photos / f"{name}.py").write_text(f"open({str(tmp_path / 'trace')!r}, 'w')")
    monkeypatch.chdir(photos)
    driver = Driver(tmp_path / "home")
    driver.start()
    driver.engine.stop()
    assert not (tmp_path / "trace").exists()


def test_a_log_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="cannot be written"):
        Driver(tmp_path / "file").engine.start()


@pytest.mark.slow
def test_a_job_goes_on_after_the_engine_was_killed(own: Driver, tiny: str, fill: Fill) -> None:
    picture = png(1, (1600, 1200))
    folder = fill({f"{number:03}.png": picture + b"%d" % number for number in range(400)})  # bytes after its end
    ticket = own.engine.ticket()
    own.engine.send(Embed(ticket, str(folder), (tiny,)))
    stores = own.engine.settings.embeddings
    while not list(stores.rglob("*.parquet")):
        progress = own.next(JobProgress, ticket).progress
        assert progress.done < 400, "too quick to be killed"
    assert own.engine.pid
    os.kill(own.engine.pid, signal.SIGKILL)
    while not isinstance(own.events.get(timeout=PATIENCE), Died):
        pass
    own.start()
    again = own.engine.ticket()
    own.engine.send(Embed(again, str(folder), (tiny,)))
    [report] = own.next(JobDone, again).reports
    assert 0 < report.embedded < 400
    assert report.embedded + report.reused == 400


# ---- what the screen's process must not import


@pytest.mark.parametrize("module", ["core.engine", "core.catalogue", "core.settings", "tui.app", "tui.cli"])
def test_the_screens_process_imports_no_torch(module: str) -> None:
    code = f"""
import importlib, importlib.util, sys
try:
    importlib.import_module("visexplore.{module}")
except ModuleNotFoundError as error:
    if error.name != "visexplore.{module}":
        raise
    sys.exit(77)
heavy = {{"torch", "timm", "transformers", "open_clip", "faiss", "pyarrow"}} & set(sys.modules)
sys.exit(f"imports {{heavy}}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip(f"visexplore.{module} is not there yet")
    assert done.returncode == 0, done.stderr


# ---- several models

MODELS = ("efficientnet-lite0", "baseline:colour")


@pytest.fixture(scope="module")
def compared(shared_driver: Driver) -> Comparison:
    """The verdict on the sample under two models; embeds them for the tests below."""
    return shared_driver.ask(Compared, Compare, "sample", MODELS).comparison


def test_a_comparison_embeds_what_is_missing_and_comes_back_as_a_job(compared: Comparison) -> None:
    assert {row.model for row in compared.models} >= {"efficientnet-lite0", "baseline-colour", "baseline-random"}
    assert compared.main == "recall@1"


def test_a_comparison_that_is_given_up_ends_without_a_verdict(shared_driver: Driver, compared: Comparison) -> None:
    del compared
    engine = shared_driver.engine
    first, second = engine.ticket(), engine.ticket()
    engine.send(Compare(first, "sample", MODELS))
    engine.send(Cancel(second))
    engine.send(Compare(second, "sample", MODELS))
    assert shared_driver.next(JobDone, second).reports == ()


def test_one_image_is_searched_with_under_several_models_at_once(shared_driver: Driver, compared: Comparison) -> None:
    del compared
    image_id = "clock/mint-alarm/4.jpg"
    models = (*MODELS, "pca:16:efficientnet-lite0")
    found = shared_driver.ask(Found, SearchMany, "sample", models, image_id).result
    assert [of_model.model for of_model in found.results] == ["efficientnet-lite0", "baseline-colour", models[2]]
    assert all(len(of_model.neighbours) == 5 for of_model in found.results)
    assert all(0 <= (hit.percentile or 0) <= 100 for hit in found.results[0].neighbours)


def test_strips_are_written_where_they_are_wanted(shared_driver: Driver, compared: Comparison, tmp_path: Path) -> None:
    del compared
    image_id = "clock/mint-alarm/4.jpg"
    files = shared_driver.ask(Exported, ExportStrips, "sample", MODELS, str(tmp_path), image_id).files
    assert [Path(file).relative_to(tmp_path).as_posix() for file in files] == [
        "sample/tf_efficientnet_lite0.in1k_query.jpg",
        "sample/baseline-colour_query.jpg",
    ]
    assert all(Path(file).read_bytes()[:3] == b"\xff\xd8\xff" for file in files)


def test_a_blind_tournament_asks_counts_and_takes_back(shared_driver: Driver, compared: Comparison) -> None:
    del compared
    asked = shared_driver.ask(QuestionAsked, AskQuestion, "sample", MODELS)
    assert asked.question is not None
    assert asked.standing.votes == 0
    assert asked.left is not None
    assert asked.right is not None
    assert {asked.left.model, asked.right.model} == {"efficientnet-lite0", "baseline-colour"}
    vote = Vote(asked.question.query, asked.question.left, asked.question.right, "left")
    after = shared_driver.ask(QuestionAsked, CastVote, "sample", MODELS, vote)
    assert after.standing.votes == 1
    assert after.question != asked.question
    back = shared_driver.ask(QuestionAsked, CastVote, "sample", MODELS, None)
    assert back.standing.votes == 0
    assert back.question == asked.question


def test_a_skipped_query_is_not_asked_again_and_skipping_can_be_taken_back(
    shared_driver: Driver, compared: Comparison
) -> None:
    del compared
    asked = shared_driver.ask(QuestionAsked, AskQuestion, "sample", MODELS)
    assert asked.question is not None
    skip = Vote(asked.question.query, asked.question.left, asked.question.right, "skip")
    after = shared_driver.ask(QuestionAsked, CastVote, "sample", MODELS, skip)
    assert after.standing.votes == 0
    assert after.question is not None
    assert after.question.query != asked.question.query
    assert shared_driver.ask(QuestionAsked, CastVote, "sample", MODELS, None).question == asked.question


def test_the_queries_on_which_models_differ_come_with_how_much(shared_driver: Driver, compared: Comparison) -> None:
    del compared
    found = shared_driver.ask(DisagreementsFound, AskDisagreements, "sample", MODELS).found
    assert found.looked_at == found.images > 200
    assert found.queries[0].disagreement >= found.queries[-1].disagreement > 0
