"""What panels tell the app: facts about what the user did, and events of the engine."""

from __future__ import annotations

from textual.message import Message

from visexplore.core.engine import Event


class EngineEvent(Message):
    """The engine said something."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event


class ModelChosen(Message):
    """A model was chosen, by its slug or an id outside the catalogue."""

    def __init__(self, model: str) -> None:
        super().__init__()
        self.model = model


class ImageChosen(Message):
    """An image of the dataset was chosen as the query."""

    def __init__(self, image_id: str) -> None:
        super().__init__()
        self.image_id = image_id


class MarksChanged(Message):
    """Other images are marked than before; their ids, in the order in which they were marked."""

    def __init__(self, marks: tuple[str, ...]) -> None:
        super().__init__()
        self.marks = marks
