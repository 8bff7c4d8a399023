"""The nomenclature that 1C has sent, as everybody at work reads it: found, filtered, with prices and stock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, text
from sqlalchemy.orm import Session

from include.exchange_1c.models import (
    GoodsProperty,
    Nomenclature,
    NomenclatureGroup,
    Offer,
    Price,
    PriceType,
    Stock,
    Warehouse,
)
from include.exchange_1c.rights import may_handle
from include.orders.rules import VAT_TITLES
from include.shared.db import query_text
from include.shared.errors import NotFound
from include.shared.names import like_pattern
from include.staff.services import Viewer
from include.workplace import exchange_words as written
from include.workplace.nomenclature_shapes import (
    GoodsCard,
    GoodsList,
    GoodsListRow,
    GroupRef,
    Named,
    OfferLine,
    PriceLine,
    PriceRange,
    StockLine,
)

PER_PAGE = 50
SHOWN_OFFERS = 200
SHOWN_LINES = 500  # of prices and of stock on one card
ALL_WAREHOUSES = "все склады вместе"
#: the order of the index for prefixes: bytes, which for names in lower case is the alphabet
BY_NAME = text("nomenclature.search_key USING ~<~, nomenclature.id")
DETAILS: Mapping[str, str] = {
    "description": "Описание", "country": "Страна", "category": "Категория", "barcodes": "Штрихкоды",
    "characteristics": "Характеристики", "requisites": "Реквизиты", "taxes": "Налоги", "other": "Прочее",
}  # fmt: skip


@dataclass(frozen=True)
class GoodsFilter:
    """Which goods are wanted; ``active`` None asks for all, ``exchange_id`` for what it was the last to change."""

    query: str = ""
    active: bool | None = True
    group_id: int | None = None
    exchange_id: int | None = None


def goods(session: Session, wanted: GoodsFilter, *, after: int | None = None, per_page: int = PER_PAGE) -> GoodsList:
    """Return a page of goods in the order of their names, behind the item ``after``."""
    found = _conditions(session, wanted)
    if after is not None:
        key = session.scalar(select(Nomenclature.search_key).where(Nomenclature.id == after))
        if key is not None:
            behind = or_(Nomenclature.search_key.op("~>~")(key), Nomenclature.id > after)
            found.append(and_(Nomenclature.search_key.op("~>=~")(key), behind))
    rows = session.scalars(select(Nomenclature).where(*found).order_by(BY_NAME).limit(per_page + 1)).all()
    items = _rows(session, rows[:per_page])
    return GoodsList(
        items=items, after=items[-1].id if len(rows) > per_page else None,
        group=_path_of(session, wanted.group_id), exchange_id=wanted.exchange_id,
    )  # fmt: skip


def _conditions(session: Session, wanted: GoodsFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    typed = wanted.query.replace("\x00", "").strip()
    if typed:
        named = Nomenclature.search_key.like(like_pattern(typed))
        found.append(or_(named, Nomenclature.sku == typed, Nomenclature.barcode == typed))
    if wanted.active is not None:
        found.append(Nomenclature.active.is_(wanted.active))
    if wanted.group_id is not None:
        below = session.scalars(text(query_text("workplace/nomenclature_subtree")), {"id": wanted.group_id}).all()
        found.append(Nomenclature.group_external_id.in_(below))
    if wanted.exchange_id is not None:
        found.append(Nomenclature.last_exchange_id == wanted.exchange_id)
    return found


def _rows(session: Session, rows: Sequence[Nomenclature]) -> list[GoodsListRow]:
    ids = [one.id for one in rows]
    if not ids:
        return []
    prices: dict[int, list[PriceRange]] = defaultdict(list)
    for one in session.execute(text(query_text("workplace/nomenclature_prices")), {"ids": ids}):
        prices[one.goods_id].append(_range(one))
    asked = session.execute(text(query_text("workplace/nomenclature_stock")), {"ids": ids})
    stock: dict[int, Decimal] = {one.goods_id: one.quantity for one in asked}
    keys = {one.group_external_id for one in rows if one.group_external_id}
    groups = (
        {
            one.external_id: _group(one.id, one.name)
            for one in session.execute(
                select(NomenclatureGroup.external_id, NomenclatureGroup.id, NomenclatureGroup.name).where(
                    NomenclatureGroup.external_id.in_(sorted(keys))
                )
            )
        }
        if keys
        else {}
    )
    return [
        GoodsListRow(
            id=one.id, link=f"/backoffice/nomenclature/{one.id}", name=one.name, sku=one.sku, barcode=one.barcode,
            unit=one.unit_name or one.unit_code, group=groups.get(one.group_external_id or ""), active=one.active,
            prices=prices.get(one.id, []), stock=stock.get(one.id),
            stock_words=_quantity(stock[one.id], one.unit_name) if one.id in stock else written.DASH,
        )
        for one in rows
    ]  # fmt: skip


def _range(one: Any) -> PriceRange:
    least = written.price_words(one.least, one.currency)
    words = least if one.least == one.greatest else f"{least} – {written.price_words(one.greatest, one.currency)}"
    return PriceRange(title=one.title, currency=one.currency, least=one.least, greatest=one.greatest, words=words)


def _quantity(quantity: Decimal, unit: str | None) -> str:
    return written.number_words(quantity) + (f"\u00a0{unit}" if unit else "")


def _group(group_id: int, name: str) -> GroupRef:
    return GroupRef(id=group_id, name=name, link=f"/backoffice/nomenclature?group={group_id}")


def _path_of(session: Session, group_id: int | None) -> list[GroupRef]:
    key = session.scalar(select(NomenclatureGroup.external_id).where(NomenclatureGroup.id == group_id))
    return _path(session, key) if key is not None else []


def _path(session: Session, external_id: str | None) -> list[GroupRef]:
    if not external_id:
        return []
    rows = session.execute(text(query_text("workplace/nomenclature_group_path")), {"external_id": external_id})
    return [_group(one.id, one.name) for one in rows]


# --- one of them ----------------------------------------------------------------------------------


def card(session: Session, viewer: Viewer, goods_id: int) -> GoodsCard:
    """Return goods with their prices by type and their stock by warehouse."""
    one = session.get(Nomenclature, goods_id)
    if one is None:
        msg = f"Товара № {goods_id} нет."
        raise NotFound(msg)
    offers = session.scalars(
        select(Offer)
        .where(Offer.goods_external_id == one.external_id)
        .order_by(Offer.name, Offer.id)
        .limit(SHOWN_OFFERS)
    ).all()
    total = session.scalar(select(func.count()).where(Offer.goods_external_id == one.external_id)) or 0
    known = {offer.external_id: _offer_title(offer) for offer in offers if offer.active}
    own = {one.external_id} - {offer.external_id for offer in offers}
    keys = sorted(known.keys() | own)
    return GoodsCard(
        row=_rows(session, [one])[0],
        external_id=one.external_id,
        full_name=one.full_name,
        vat=VAT_TITLES.get(one.vat, one.vat) if one.vat else None,
        groups=_path(session, one.group_external_id),
        offers=[_offer(offer) for offer in offers if offer.characteristic_id or offer.characteristics],
        offers_total=total,
        prices=_prices(session, keys, known),
        stock=_stock(session, keys, known, one.unit_name),
        properties=_properties(session, one.details.get("properties") or {}),
        more=[
            Named(title=title, value=written.value_words(key, one.details[key]))
            for key, title in DETAILS.items()
            if one.details.get(key)
        ],
        raw=[
            Named(title=written.FIELDS.get(key, key), value=written.value_words("", value))
            for key, value in one.raw.items()
        ],
        first_exchange_id=one.first_exchange_id,
        last_exchange_id=one.last_exchange_id,
        sees_exchanges=may_handle(viewer),
        changed_at=one.changed_at,
    )


def _offer(one: Offer) -> OfferLine:
    return OfferLine(
        external_id=one.external_id, name=one.name, sku=one.sku, active=one.active,
        characteristics=written.value_words("", one.characteristics) if one.characteristics else "",
    )  # fmt: skip


def _offer_title(one: Offer) -> str:
    if one.characteristics:
        return ", ".join(str(value) for value in one.characteristics.values())
    return one.name if one.characteristic_id else ""


def _prices(session: Session, keys: Sequence[str], known: Mapping[str, str]) -> list[PriceLine]:
    rows = session.execute(
        select(Price, PriceType.name, PriceType.currency)
        .outerjoin(PriceType, PriceType.external_id == Price.price_type_external_id)
        .where(Price.offer_external_id.in_(keys))
        .order_by(PriceType.name, Price.offer_external_id, Price.min_quantity, Price.id)
        .limit(SHOWN_LINES)
    )
    return [
        PriceLine(
            offer=known.get(one.offer_external_id, ""), title=name or one.price_type_external_id, amount=one.amount,
            currency=one.currency or currency, unit=one.unit or None, min_quantity=one.min_quantity,
            min_words=written.number_words(one.min_quantity) if one.min_quantity else "",
            words=written.price_words(one.amount, one.currency or currency),
        )
        for one, name, currency in rows
    ]  # fmt: skip


def _stock(session: Session, keys: Sequence[str], known: Mapping[str, str], unit: str | None) -> list[StockLine]:
    rows = session.execute(
        select(Stock, Warehouse.name)
        .outerjoin(Warehouse, Warehouse.external_id == Stock.warehouse_external_id)
        .where(Stock.offer_external_id.in_(keys))
        .order_by(Warehouse.name, Stock.offer_external_id, Stock.id)
        .limit(SHOWN_LINES)
    )
    return [
        StockLine(
            offer=known.get(one.offer_external_id, ""),
            warehouse=name or one.warehouse_external_id or ALL_WAREHOUSES, quantity=one.quantity,
            words=_quantity(one.quantity, unit),
        )
        for one, name in rows
    ]  # fmt: skip


def _properties(session: Session, stated: Mapping[str, Any]) -> list[Named]:
    """Return the properties with their names and, of a reference, the value that an id stands for."""
    if not stated:
        return []
    rows = session.scalars(select(GoodsProperty).where(GoodsProperty.external_id.in_(sorted(stated)))).all()
    known = {one.external_id: one for one in rows}
    found: list[Named] = []
    for key, value in stated.items():
        of = known.get(key)
        values = value if isinstance(value, list) else [value]
        named = [of.options.get(one, one) if of and isinstance(one, str) else one for one in values]
        found.append(Named(title=of.name if of else key, value=written.value_words("", named)))
    return found
