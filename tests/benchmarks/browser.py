"""How smoothly the dataset browser goes through many images: the longest stalls and the cost of a key.

The app runs headless on a scripted engine, so that what is measured is the screen's own process:

    python -m tests.benchmarks.browser [--images 100000] [--labels 22634] [--size 200x50] [--graphics halfblock]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import time
from array import array
from typing import NamedTuple

from textual import events
from textual.geometry import Size

from tests.tui.scripted_engine import LITE0, Photos, ScriptedEngine, Session, explore
from visexplore.core.engine import AskThumbnail, DatasetOpened, OpenDataset
from visexplore.tui.terminal import Graphics
from visexplore.tui.widgets.label_list import LabelList

STALL, KEY = 50.0, 10.0  # ms
HELD = 1 / 30  # seconds between two keys of one that is held down
_BEAT = 0.005  # seconds


class Stall(NamedTuple):
    """How long the loop was busy, in milliseconds, and how much of that this thread worked: the rest did others."""

    milliseconds: float
    work: float


class ManyPhotos(ScriptedEngine):
    """Gives the listing that was made before, so that making it is not measured."""

    listing: DatasetOpened

    def _open(self, request: OpenDataset) -> DatasetOpened:
        return self.listing


def many(images: int, labels: int) -> ManyPhotos:
    """Return an engine with so many images of nested labels."""
    names = [f"Kind-{number % 40:02}/Product-{number:05}" for number in range(labels)]
    names.sort()
    of = [names[n * labels // images] for n in range(images)]
    ids = tuple(f"{label}/IMG_{n:07}.jpg" for n, label in enumerate(of))
    engine = ManyPhotos(Photos(ids, tuple(of)), embedded=[LITE0])
    numbers = array("i", (n * labels // images for n in range(images))).tobytes()
    engine.listing = DatasetOpened(0, "/photos", "photos", ids, tuple(names), numbers, ())
    return engine


class Heart:
    """Beats every 5 ms; a beat that comes late tells how long the loop was busy with one thing."""

    def __init__(self) -> None:
        self._longest = Stall(0.0, 0.0)
        self._task = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            wall, own = time.perf_counter(), time.thread_time()
            await asyncio.sleep(_BEAT)
            late = time.perf_counter() - wall - _BEAT
            self._longest = max(self._longest, Stall(late * 1000, (time.thread_time() - own) * 1000))

    async def since(self) -> Stall:
        """Return the longest stall since the last time that it was asked for."""
        await asyncio.sleep(3 * _BEAT)
        longest, self._longest = self._longest, Stall(0.0, 0.0)
        return longest

    def stop(self) -> None:
        """Beat no more."""
        self._task.cancel()


def send(session: Session, key: str) -> None:
    """Press a key without waiting for what it does."""
    driver = session.app._driver
    assert driver is not None
    event = events.Key(key, key if len(key) == 1 else None)
    event.set_sender(session.app)
    driver.send_message(event)


async def key_to_paint(session: Session, key: str) -> float:
    """Return the milliseconds of a key, from its event to the painted screen."""
    started = time.perf_counter()
    await session.press(key)
    # Four rounds of a millisecond each, in which `settle` makes sure that nothing is left to do.
    return (time.perf_counter() - started) * 1000 - 4


def report(what: str, value: float | Stall, budget: float) -> None:
    """Print a line of the table."""
    own = ""
    if isinstance(value, Stall):
        own, value = f"   ({value.work:.1f} ms of work)", value.milliseconds
    print(f"{what:<52} {value:>8.1f} ms   budget {budget:.0f} ms   {'met' if value <= budget else 'NOT MET'}{own}")


async def measure(images: int, labels: int, size: Size, graphics: Graphics) -> None:
    """Open the app and print the table."""
    engine = many(images, labels)
    gc.disable()  # as the command line does; the app turns it on when it has painted its first frame
    print(f"{images:,} images, {labels:,} labels, {size.width}x{size.height}, {graphics.value}")
    async with explore(engine, size, settled=False, graphics=graphics) as session:
        heart = Heart()
        engine.hold(OpenDataset)
        await session.settle()
        report("longest stall without a dataset", await heart.since(), STALL)
        engine.release()
        await session.settle()
        report("longest stall while opening", await heart.since(), STALL)

        await session.press("2")
        await asyncio.sleep(0.5)
        await heart.since()
        engine.hold(AskThumbnail)
        asked = len(engine.asked(AskThumbnail))
        for _ in range(50):
            send(session, "pagedown")
            await asyncio.sleep(HELD)
            engine.release(1)  # an engine that makes 30 pictures a second
        report("longest stall while PgDn is held for 50 pages", await heart.since(), STALL)
        passed = len(engine.asked(AskThumbnail)) - asked
        pictures = 50 * session.thumbnails.capacity
        print(f"{'  pictures decoded meanwhile':<52} {passed:>8,} of {pictures:,}")
        engine.release()
        await session.settle()
        report("longest stall while the last page is painted", await heart.since(), STALL)
        await session.press("right")
        keys = [await key_to_paint(session, key) for key in ("left", "right") * 10]
        report("cursor key among thumbnails, to the painted screen", statistics.median(keys), KEY)

        await session.press("slash")
        await heart.since()
        for typed in "product-01 label:kind-0 -img_00000":
            send(session, "space" if typed == " " else typed)
            await asyncio.sleep(0.05)
        await session.settle()
        report("longest stall while a filter is typed", await heart.since(), STALL)
        await session.press("escape")
        report("longest stall while the filter is cleared", await heart.since(), STALL)

        session.app.screen.set_focus(session.app.screen.query_one(LabelList))
        await session.press("home")
        await heart.since()
        for key in ("down", "right", "pagedown", "pagedown", "down", "left", "end", "right", "end", "home") * 3:
            send(session, key)
            await asyncio.sleep(HELD)
        report("longest stall while moving in the label tree", await heart.since(), STALL)
        keys = [await key_to_paint(session, key) for key in ("down", "up") * 10]
        report("cursor key in the label tree, to the painted screen", statistics.median(keys), KEY)
        await session.press("down", "enter")
        report("longest stall while a label is chosen", await heart.since(), STALL)
        heart.stop()


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--labels", type=int, default=22_634)
    parser.add_argument("--size", default="200x50")
    parser.add_argument("--graphics", choices=[graphics.value for graphics in Graphics], default="text")
    arguments = parser.parse_args()
    size = Size(*map(int, arguments.size.split("x")))
    asyncio.run(measure(arguments.images, arguments.labels, size, Graphics(arguments.graphics)))


if __name__ == "__main__":
    main()
