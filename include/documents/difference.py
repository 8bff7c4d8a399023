"""What has changed between two texts: paragraph by paragraph, and inside a changed one word by word; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

MOST_LINES = 2000
LARGEST_BLOCK = 60  # paragraphs changed in one place that are still paired with each other
MOST_PAIRS = 2_000_000  # pairs of words compared in one place; a longer paragraph is shown as taken out and put in
ALIKE = 0.5
_WORDS = re.compile(r"\w+\s*|[^\w\s]\s*|\s+")


@dataclass(frozen=True)
class Part:
    """A piece of a paragraph that stayed, was taken out or was put in."""

    kind: Literal["same", "removed", "added"]
    text: str


@dataclass(frozen=True)
class Change:
    """A paragraph of the comparison; one that stayed has a single part."""

    kind: Literal["same", "removed", "added", "changed"]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Comparison:
    """Two texts side by side; ``cut`` says that only their beginnings were compared."""

    changes: tuple[Change, ...]
    cut: bool

    @property
    def count(self) -> int:
        """How many paragraphs are not the same."""
        return sum(1 for one in self.changes if one.kind != "same")


def compare(old: Sequence[str], new: Sequence[str]) -> Comparison:
    """Return the paragraphs of both texts in order, each with what happened to it (★40: shows what changed)."""
    cut = max(len(old), len(new)) > MOST_LINES
    before, after = list(old[:MOST_LINES]), list(new[:MOST_LINES])
    head = _common(before, after)
    tail = _common(before[head:][::-1], after[head:][::-1])
    old_middle, new_middle = before[head : len(before) - tail], after[head : len(after) - tail]
    changes = [_whole("same", one) for one in before[:head]]
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old_middle, new_middle).get_opcodes():
        if tag == "equal":
            changes += [_whole("same", one) for one in old_middle[i1:i2]]
        else:
            changes += _block(old_middle[i1:i2], new_middle[j1:j2])
    changes += [_whole("same", one) for one in before[len(before) - tail :]]
    return Comparison(tuple(changes), cut)


def _common(one: list[str], other: list[str]) -> int:
    """Return how many paragraphs both begin with."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _block(old: list[str], new: list[str]) -> Iterator[Change]:
    """Give a changed place: paragraphs that are still alike are paired, in order, the others come whole."""
    at = 0
    for one in old:
        found = _alike(one, new, at) if max(len(old), len(new)) <= LARGEST_BLOCK else None
        if found is None:
            yield _whole("removed", one)
            continue
        yield from (_whole("added", other) for other in new[at:found])
        yield Change("changed", tuple(_words(one, new[found])))
        at = found + 1
    yield from (_whole("added", other) for other in new[at:])


def _alike(one: str, new: list[str], start: int) -> int | None:
    words = _WORDS.findall(one)
    for at in range(start, len(new)):
        others = _WORDS.findall(new[at])
        matcher = SequenceMatcher(None, words, others, autojunk=False)
        # the quick ratio counts the words they share, whatever their order: enough to pair, and never slow
        if len(words) * len(others) <= MOST_PAIRS and matcher.quick_ratio() >= ALIKE:
            return at
    return None


def _words(old: str, new: str) -> Iterator[Part]:
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            yield Part("same", "".join(before[i1:i2]))
            continue
        if i2 > i1:
            yield Part("removed", "".join(before[i1:i2]))
        if j2 > j1:
            yield Part("added", "".join(after[j1:j2]))


def _whole(kind: Literal["same", "removed", "added"], text: str) -> Change:
    return Change(kind, (Part(kind, text),))
