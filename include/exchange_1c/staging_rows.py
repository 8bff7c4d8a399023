"""Records of a file as rows of the staging tables; the columns of each table stand beside its rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from include.exchange_1c.records import (
    Counterparty,
    Document,
    Goods,
    Group,
    MeasureUnit,
    Offer,
    Price,
    PriceType,
    Property,
    Stock,
    Warehouse,
)
from include.exchange_1c.rules import MAX_NAME, SEARCH_KEY
from include.shared.db import Json
from include.shared.names import search_key
from include.shared.numbers import number_key

Row = tuple[Any, ...]

GOODS_COLUMNS = (
    "seq, file_id, line, external_id, name, full_name, sku, barcode, unit_code, unit_name, vat, group_external_id,"
    " search_key, active, raw, details"
)
COMPANY_COLUMNS = (
    "seq, file_id, line, external_id, name, full_name, kind, inn, kpp, email, phone, search_key, is_deleted, details"
)

_encode = msgspec.json.Encoder().encode


def _json(value: Any) -> str:
    return _encode(value).decode() if value else "{}"


def _with_raw(details: Json, raw: Json) -> Json:
    return {**details, "raw": raw} if raw else details


def key_of(name: str) -> str:
    """Return a name as it is searched by."""
    return search_key(name[:MAX_NAME])[:SEARCH_KEY]


def goods_row(seq: int, file_id: int, one: Goods) -> Row:
    """Return goods as a row of stage_goods."""
    details = one.details
    if len(one.barcodes) > 1 or one.characteristics:
        details = details | {"barcodes": one.barcodes, "characteristics": one.characteristics}
    return (
        seq, file_id, one.line, one.external_id, one.name, one.full_name, one.sku, one.barcode, one.unit.code,
        one.unit.name, one.vat.value if one.vat else None, one.groups[0] if one.groups else None, key_of(one.name),
        not one.is_deleted, _json(one.raw), _json(details),
    )  # fmt: skip


def company_row(seq: int, file_id: int, one: Counterparty) -> Row:
    """Return a counterparty as a row of stage_company."""
    details: Json = {"one_c": _with_raw({**one.details, "is_deleted": one.is_deleted}, one.raw)}
    for key, values in (("addresses", one.addresses), ("accounts", one.accounts), ("contacts", one.contacts)):
        if values:
            details[key] = values
    return (
        seq, file_id, one.line, one.external_id, one.name, one.full_name, one.kind.value, one.inn, one.kpp, one.email,
        one.phone, key_of(one.name), one.is_deleted, _json(details),
    )  # fmt: skip


def _group(seq: int, one: Group) -> Row:
    details = _json(_with_raw(one.details, one.raw))
    return seq, one.external_id, one.name, one.parent_id, one.kind, not one.is_deleted, details


def _property(seq: int, one: Property) -> Row:
    details = _json(_with_raw(one.details, one.raw))
    return seq, one.external_id, one.name, one.value_type, _json(one.values), not one.is_deleted, details


def _price_type(seq: int, one: PriceType) -> Row:
    details = _json(_with_raw(one.details, one.raw))
    return seq, one.external_id, one.name, one.currency, one.is_tax_included, not one.is_deleted, details


def _warehouse(seq: int, one: Warehouse) -> Row:
    details = _with_raw(one.details, one.raw)
    for key, values in (("addresses", one.addresses), ("contacts", one.contacts)):
        if values:
            details = {**details, key: values}
    return seq, one.external_id, one.name, not one.is_deleted, _json(details)


def _unit(seq: int, one: MeasureUnit) -> Row:
    return (
        seq, one.external_id, one.unit.code, one.unit.name or "", one.full_name, one.international, not one.is_deleted,
        _json(_with_raw(one.details, one.raw)),
    )  # fmt: skip


def _offer(seq: int, one: Offer) -> Row:
    details = _with_raw(one.details, one.raw)
    if one.barcodes:
        details = {**details, "barcodes": one.barcodes}
    return (
        seq, one.external_id, one.goods_id, one.characteristic_id, one.name, one.sku, one.unit.code, one.unit.name,
        one.quantity, _json(one.characteristics), not one.is_deleted, _json(details),
    )  # fmt: skip


def _price(seq: int, one: Price) -> Row:
    return (
        seq, one.offer_id, one.goods_id, one.price_type_id, one.unit or "", one.min_quantity or 0, one.amount,
        one.currency, one.coefficient,
    )  # fmt: skip


def _stock(seq: int, one: Stock) -> Row:
    return seq, one.offer_id, one.goods_id, one.warehouse_id or "", one.quantity


def _document(seq: int, one: Document) -> Row:
    side = one.counterparty
    said: Json = {
        "role": one.role, "rate": one.rate, "number_1c": one.number_1c, "at_1c": one.at_1c, "due": one.due,
        "comment": one.comment, "status": one.status, "payment_number": one.payment_number,
        "shipment_number": one.shipment_number, "requisites": one.requisites, "taxes": one.taxes,
        "discounts": one.discounts, "counterparties": one.counterparties, "raw": one.raw,
    }  # fmt: skip
    details = {**one.details, **{name: value for name, value in said.items() if value}}
    if not one.has_own_id:
        details["has_own_id"] = False
    return (
        seq, one.external_id, one.parent_id, one.kind.value, one.operation, one.number, number_key(one.number),
        one.date, one.at, one.amount, one.currency, side.external_id if side else None, side.inn if side else None,
        side.kpp if side else None, one.is_deleted, one.is_cancelled, one.is_posted, one.is_paid, one.paid_amount,
        one.paid_at, one.is_shipped, one.shipped_at, _encode(one.lines).decode(), _json(details),
    )  # fmt: skip


#: record → its staging table, the table's columns, and the row
OTHERS: dict[type, tuple[str, str, Callable[[int, Any], Row]]] = {
    Group: ("stage_group", "seq, external_id, name, parent_external_id, kind, active, details", _group),
    Property: ("stage_property", "seq, external_id, name, value_type, options, active, details", _property),
    PriceType: (
        "stage_price_type", "seq, external_id, name, currency, is_tax_included, active, details", _price_type
    ),
    Warehouse: ("stage_warehouse", "seq, external_id, name, active, details", _warehouse),
    MeasureUnit: (
        "stage_unit", "seq, external_id, code, name, full_name, international, active, details", _unit
    ),
    Offer: (
        "stage_offer",
        "seq, external_id, goods_external_id, characteristic_id, name, sku, unit_code, unit_name, quantity,"
        " characteristics, active, details",
        _offer,
    ),
    Price: (
        "stage_price",
        "seq, offer_external_id, goods_external_id, price_type_external_id, unit, min_quantity, amount, currency,"
        " coefficient",
        _price,
    ),
    Stock: ("stage_stock", "seq, offer_external_id, goods_external_id, warehouse_external_id, quantity", _stock),
    Document: (
        "stage_document",
        "seq, external_id, parent_external_id, kind, operation, number, number_key, date, at, amount, currency,"
        " counterparty_external_id, counterparty_inn, counterparty_kpp, is_deleted, is_cancelled, is_posted, is_paid,"
        " paid_amount, paid_at, is_shipped, shipped_at, lines, details",
        _document,
    ),
}  # fmt: skip
