"""Every error that a user can meet: one sentence that says what happened, one that says what to do next."""

from __future__ import annotations


class VisexploreError(Exception):
    """Something went wrong that a person can understand and act on.

    Attributes:
        message: what happened, one sentence without a full stop at its end.
        hint: what to do next, one sentence; empty where nothing can be done.
        exit_code: what the command line exits with: 2 for the user's mistakes, 1 for failures.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else f"{self.message}."

    def __reduce__(self) -> tuple[type[VisexploreError], tuple[str, str]]:
        return type(self), (self.message, self.hint)


class UserError(VisexploreError):
    """The request itself cannot be served: another argument is needed."""

    exit_code = 2


class UnknownModel(UserError):
    """No checkpoint of that name is in the catalogue, and the name is no id outside it either."""


class UnknownDataset(UserError):
    """No dataset of that name is known, and no folder is at that path."""


class EmptyDataset(UserError):
    """The folder holds no images."""


class UnknownImage(UserError):
    """The dataset has no image of that id."""


class CatalogueError(UserError):
    """A catalogue file does not follow the schema."""


class SettingsError(UserError):
    """The configuration file or an environment variable is wrong."""


class NoTextTower(UserError):
    """The checkpoint embeds images only, so a text cannot be a query."""


class CannotLoadModel(VisexploreError):
    """The checkpoint is known, but its weights or its code cannot be had here and now."""


class OutOfDeviceMemory(CannotLoadModel):
    """The device has no room for the model, or for a single picture beside it."""


class UnreadableImage(VisexploreError):
    """The bytes are no image that can be decoded, or the file cannot be read."""


class StorageError(VisexploreError):
    """The disk is full, a folder cannot be written, or a stored file is damaged."""


class StoreBusy(VisexploreError):
    """Another process is embedding into the same store."""


class NotEmbedded(VisexploreError):
    """The dataset has no embeddings under this model yet."""


class EngineDied(VisexploreError):
    """The child process that does the heavy work ended unexpectedly."""
