"""Shapes of the nomenclature of 1C: goods in a list, and one of them with its prices and stock."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from include.workplace.shapes import Shape


class PriceRange(Shape):
    """Prices of one type: of all offers of goods from the least to the greatest."""

    title: str
    currency: str | None
    least: Decimal
    greatest: Decimal
    words: str


class GroupRef(Shape):
    """A group of goods as a link shows it."""

    id: int
    name: str
    link: str


class GoodsListRow(Shape):
    """Goods in a list."""

    id: int
    link: str
    name: str
    sku: str | None
    barcode: str | None
    unit: str | None
    group: GroupRef | None
    active: bool
    prices: list[PriceRange]
    stock: Decimal | None
    stock_words: str


class GoodsList(Shape):
    """Goods in the order of their names; ``after`` asks for those behind the last one, None at the end."""

    items: list[GoodsListRow]
    after: int | None
    group: list[GroupRef]  # the chosen group with those above it
    exchange_id: int | None


class PriceLine(Shape):
    """One price of an offer."""

    offer: str
    title: str
    amount: Decimal
    currency: str | None
    unit: str | None
    min_quantity: Decimal
    min_words: str
    words: str


class StockLine(Shape):
    """How much of an offer there is in a warehouse."""

    offer: str
    warehouse: str
    quantity: Decimal
    words: str


class OfferLine(Shape):
    """An offer: goods with one characteristic."""

    external_id: str
    name: str
    sku: str | None
    characteristics: str
    active: bool


class Named(Shape):
    """A value with its name, as a person reads it."""

    title: str
    value: str


class GoodsCard(Shape):
    """Goods with everything that 1C says of them."""

    row: GoodsListRow
    external_id: str
    full_name: str | None
    vat: str | None
    groups: list[GroupRef]
    offers: list[OfferLine]
    offers_total: int
    prices: list[PriceLine]
    stock: list[StockLine]
    properties: list[Named]
    more: list[Named]
    raw: list[Named]  # what the file said where it differs from what is kept
    first_exchange_id: int | None
    last_exchange_id: int | None
    sees_exchanges: bool
    changed_at: datetime
