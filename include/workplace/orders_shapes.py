"""Shapes of a deal's lines and of the orders that go from them to 1C."""

from __future__ import annotations

import datetime as dt
from datetime import datetime
from decimal import Decimal

from include.workplace.shapes import Page, Shape


class LineRow(Shape):
    """A line of a deal; the price and the sum are in roubles with VAT inside."""

    id: int
    position: int
    nomenclature_id: int | None
    name: str
    sku: str | None
    unit_code: str | None
    unit_name: str
    quantity: Decimal
    price: Decimal
    vat: str | None
    vat_title: str
    amount: Decimal


class RemovedLine(Shape):
    """The line that was removed last, in words."""

    id: int
    text: str


class Problem(Shape):
    """What keeps an order from going, and where it is put right."""

    code: str
    text: str
    link: str


class OrderRow(Shape):
    """One version of a deal's order: where it stands, in words, and what 1C has said of it."""

    id: int
    deal_id: int
    deal_title: str
    company: str
    link: str
    number: str
    version: int
    state: str
    state_title: str
    is_cancelling: bool
    amount: Decimal
    queued_at: datetime
    sent_at: datetime | None
    ended_at: datetime | None
    way: str | None
    number_1c: str | None
    date_1c: dt.date | None
    exchange_id: int | None
    reason: str | None
    may_send_again: bool


class DealLines(Shape):
    """The lines of a deal, their sum beside «Сумма сделки», and its orders."""

    deal_id: int
    title: str
    link: str
    may_edit: bool
    lines: list[LineRow]
    total: Decimal
    vat_total: Decimal
    amount: Decimal | None
    removed: RemovedLine | None
    problems: list[Problem]
    orders: list[OrderRow]


class GoodsRow(Shape):
    """An item that a line may be of."""

    id: int
    name: str
    sku: str | None
    unit_code: str | None
    unit_name: str | None
    vat: str | None


class KeptBack(Shape):
    """A deal whose order cannot go yet, and why."""

    deal_id: int
    title: str
    company: str | None
    link: str
    since: datetime
    problems: list[Problem]


class OrderCounts(Shape):
    """How many orders stand where."""

    waiting: int = 0
    sent: int = 0
    confirmed: int = 0
    failed: int = 0
    kept_back: int = 0


class OrderList(Shape):
    """Orders to 1C: how many stand where, and one page of those that a filter finds."""

    counts: OrderCounts
    wrong_setting: str | None
    page: Page[OrderRow]
