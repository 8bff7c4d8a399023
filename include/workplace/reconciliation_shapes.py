"""Shapes of the reconciliation: one disagreement, and the list of them."""

from __future__ import annotations

from datetime import datetime

from include.workplace.money_shapes import DealRef
from include.workplace.shapes import Page, PersonRef, Shape


class DisagreementRow(Shape):
    """One disagreement: what it is, since when, whose it is, and where the next step is made."""

    id: int
    kind: str
    title: str
    text: str
    step: str
    link: str
    deal: DealRef | None
    owner: PersonRef | None
    found_at: datetime
    seen_at: datetime
    closed_at: datetime | None


class KindCount(Shape):
    """How many disagreements of a kind are open."""

    kind: str
    title: str
    number: int


class OwnerCount(Shape):
    """How many open disagreements a person has; without an id those of nobody."""

    owner: PersonRef | None
    number: int


class Reconciliation(Shape):
    """A page of disagreements with the counts to filter by, and when everything was last compared."""

    page: Page[DisagreementRow]
    kinds: list[KindCount]
    owners: list[OwnerCount]
    ran_at: datetime | None
    ran_text: str
    may_run: bool
