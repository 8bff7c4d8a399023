"""Failures that a person can understand: each carries a Russian sentence that says what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class BackofficeError(Exception):
    """Base of every expected failure; ``str(error)`` is shown to the person as it is."""


class NotFound(BackofficeError):
    """The thing asked for does not exist (or the person may not know that it does)."""


class Forbidden(BackofficeError):
    """The person has no right to do this."""


class InvalidInput(BackofficeError):
    """What was entered cannot be accepted; ``field`` names the input where known."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class Conflict(BackofficeError):
    """The thing has changed meanwhile, or the act does not fit its present state."""


@dataclass(frozen=True)
class Missing:
    """One unmet condition: what is missing in words, and where it can be put right."""

    text: str
    link: str | None = None


class GuardRefused(BackofficeError):
    """A guard holds («задачу невозможно закрыть пока…»); ``missing`` lists what is unmet."""

    def __init__(self, missing: Sequence[Missing], what: str = "Задачу пока нельзя закрыть") -> None:
        super().__init__(f"{what}: " + "; ".join(one.text for one in missing) + ".")
        self.missing = list(missing)
        self.what = what
