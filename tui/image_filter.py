"""What is typed to find images: words in names and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Where = Literal["", "name", "label"]
"""What a word has to be a part of: the file's name, the label, or (empty) the image's id or its label."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a filter, in lower case."""

    text: str
    where: Where = ""
    excluded: bool = False

    def follows_from(self, other: Word) -> bool:
        """Whether each image that meets `other` meets this word too."""
        # `mug` is in all that has `mugs`, in whichever part; what has no `mug` in it has no `mugs` either.
        shorter, longer = (other, self) if self.excluded else (self, other)
        return self.excluded == other.excluded and shorter.text in longer.text and shorter.where in ("", longer.where)


@dataclass(frozen=True, slots=True)
class ImageFilter:
    """Words that an image has to meet, all of them."""

    words: tuple[Word, ...] = ()

    def follows_from(self, other: ImageFilter) -> bool:
        """Whether each image that meets `other` meets this filter too."""
        return all(any(word.follows_from(given) for given in other.words) for word in self.words)


def parse(text: str) -> ImageFilter:
    """Read a filter: words with a blank between them, each as it is, or as `label:mug`, `name:12`, `-word`.

    What is not finished yet (`-`, `label:`) says nothing.
    """
    words = []
    for part in text.lower().split():
        excluded = part.startswith("-")
        word = part.removeprefix("-")
        where: Where = ""
        if word.startswith("label:"):
            where, word = "label", word.removeprefix("label:")
        elif word.startswith("name:"):
            where, word = "name", word.removeprefix("name:")
        if word:
            words.append(Word(word, where, excluded))
    return ImageFilter(tuple(words))
