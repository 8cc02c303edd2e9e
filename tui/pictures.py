"""Pictures for the screen: asked of the engine a few at a time, kept while they may be looked at again."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from visexplore.core.engine import AskPicture, AskThumbnail, Died, Event, Failed, PictureMade
from visexplore.core.messages import Picture, QueryPart
from visexplore.core.text import printable
from visexplore.tui.asks import Asks, Sender

if TYPE_CHECKING:
    from PIL.Image import Image

# What a picture's asker gets: the picture, or why there is none.
Done = Callable[["Image | str"], None]
_KEPT = 256
_IN_FLIGHT = 4  # the rest waits here, where it can be dropped when the page turns


class Pictures:
    """Thumbnails of one dataset."""

    def __init__(self, engine: Sender) -> None:
        self._engine = engine
        self._kept: OrderedDict[tuple[str, str], Image] = OrderedDict()
        self._asked: dict[int, tuple[str, str]] = {}
        self._waiting: deque[tuple[str, str]] = deque()
        self._askers: dict[tuple[str, str], list[tuple[Done, object]]] = {}
        self._soon: deque[tuple[str, str]] = deque()

    def get(self, spec: str, image_id: str, done: Done, page: object = None) -> None:
        """Call `done` with the thumbnail of an image: at once if it is kept, else when the engine has made it.

        Args:
            spec: of the dataset.
            image_id: of the image.
            done: takes the picture, or why there is none.
            page: what the picture is a part of, for `forget_waiting`.
        """
        key = (spec, image_id)
        image = self._kept.get(key)
        if image is not None:
            self._kept.move_to_end(key)
            done(image)
            return
        if key not in self._askers and key not in self._asked.values():
            self._waiting.append(key)
        self._askers.setdefault(key, []).append((done, page))
        self._ask()

    def fetch_soon(self, spec: str, image_ids: Iterable[str]) -> None:
        """Make pictures that may be looked at next, one at a time and while no others are asked for."""
        self._soon.clear()
        self._soon.extend((spec, image_id) for image_id in image_ids)
        self._ask()

    def forget_waiting(self, page: object) -> None:
        """Drop what a page wants and was not asked of the engine yet: nobody looks at it any more."""
        self._soon.clear()
        for key in list(self._waiting):
            askers = [(done, of) for done, of in self._askers[key] if of != page]
            if askers:
                self._askers[key] = askers
            else:
                del self._askers[key]
                self._waiting.remove(key)

    def forget_asked(self) -> None:
        """Drop everything on its way: the engine that was asked is gone."""
        self._asked.clear()
        self._askers.clear()
        self._waiting.clear()
        self._soon.clear()

    def made(self, ticket: int, answer: Picture | str) -> bool:
        """Take the engine's answer; False if the ticket is not one of ours."""
        key = self._asked.pop(ticket, None)
        if key is None:
            return False
        result = answer if isinstance(answer, str) else _image(answer)
        if not isinstance(result, str):
            self._kept[key] = result
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        for done, _ in self._askers.pop(key, ()):
            done(result)
        self._ask()
        return True

    def _ask(self) -> None:
        while self._waiting and len(self._asked) < _IN_FLIGHT:
            self._send(self._waiting.popleft())
        while self._soon and not self._asked:
            key = self._soon.popleft()
            if key not in self._kept:
                self._send(key)

    def _send(self, key: tuple[str, str]) -> None:
        ticket = self._engine.ticket()
        self._asked[ticket] = key
        self._engine.send(AskThumbnail(ticket, *key))


def ask_picture(asks: Asks, spec: str, part: QueryPart, side: int, done: Done) -> None:
    """Call `done` with the picture of up to `side` pixels that a query is made of, when the engine has made it.

    Args:
        asks: the engine.
        spec: of the dataset.
        part: an image of the dataset or a picture from outside, or a piece of one.
        side: pixels.
        done: takes the picture, or why there is none.
    """
    spec, name = (spec, part.image_id) if part.image_id else ("", part.path)
    asks.ask(lambda ticket: AskPicture(ticket, spec, name, side, part.crop), partial(hand_picture, done))


def hand_picture(done: Done, event: Event) -> None:
    """Call `done` with what the engine answered to `AskPicture`: the picture, or why there is none."""
    match event:
        case PictureMade():
            done(_image(event.picture))
        case Failed():
            done(printable(event.error.message))
        case Died():
            done(printable(str(event.error)))


def _image(picture: Picture) -> Image:
    from PIL import Image as PILImage  # 60 ms, and no picture is shown before the first paint

    return PILImage.frombytes("RGB", (picture.width, picture.height), picture.pixels)
