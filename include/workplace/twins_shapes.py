"""Shapes of the queue of cards that may be one counterparty."""

from __future__ import annotations

from datetime import datetime

from include.workplace.shapes import HistoryRow, Page, PersonRef, Shape


class CompanyCard(Shape):
    """One of the two cards; ``hanging`` says in words what names it."""

    id: int
    name: str
    inn: str | None
    kpp: str | None
    external_id: str | None
    active: bool
    hanging: list[str]


class Difference(Shape):
    """A field of the two cards side by side."""

    title: str
    kept: str
    other: str
    differs: bool


class TwinRow(Shape):
    """A pair in the list."""

    id: int
    state: str
    state_title: str
    reason: str
    kept: str
    kept_id: int
    other: str
    other_id: int
    exchange_id: int | None
    found_at: datetime
    link: str


class TwinCard(Shape):
    """A pair with everything that a person needs to decide, and what was decided."""

    row: TwinRow
    kept: CompanyCard
    other: CompanyCard
    fields: list[Difference]
    preview: list[str]
    decided_at: datetime | None
    decided_by: PersonRef | None
    history: list[HistoryRow]


class TwinCounts(Shape):
    """How many pairs stand where."""

    open: int
    joined: int
    separated: int


class TwinList(Shape):
    """A page of pairs with the counts to choose by."""

    page: Page[TwinRow]
    counts: TwinCounts
