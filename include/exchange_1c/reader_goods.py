"""Товар and Предложение of a file: goods, offers with their characteristics, prices and stock."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from include.exchange_1c import rules
from include.exchange_1c.reader_parts import Parts, RowRefused, first, keep_raw, split_id, stated_vat
from include.exchange_1c.records import Goods, Offer, Price, Record, Reject, Stock
from include.shared.db import Json

_GOODS_PARTS = {
    "Группы", "БазоваяЕдиница", "Единица", "ЗначенияРеквизитов", "ЗначенияСвойств", "СтавкиНалогов", "Картинка",
    "ХарактеристикиТовара", "Изготовитель", "Штрихкод", "Штрихкоды",
}  # fmt: skip
_GOODS_FIELDS = {"Ид", "Наименование", "Артикул", "Статус", "ПометкаУдаления", "ИдКаталога"}
_ONE, _ONES = Decimal(1), {None, "1"}
_NO_UNIT = rules.Unit(None, None, None)


def make_goods(parts: Parts, element: Any, line: int) -> Goods:
    """Return the Товар of a catalogue; RowRefused or ValueRefused when it cannot be taken."""
    names, raw = parts.names, Json()
    fields: dict[str, str] = {}
    groups: list[str] = []
    pictures: list[str] = []
    barcodes: list[str] = []
    details = Json()
    requisites: dict[str, Any] = {}
    characteristics: dict[str, str] = {}
    unit = ("", "", "")
    vat = None
    for child in element:
        name = names[child.tag]
        if name not in _GOODS_PARTS:
            if len(child):
                parts.put_other(details, name, parts.plain(child))
            elif text := child.text:
                fields[name] = text
        elif name == "Группы":
            groups = [text for one in child if (text := rules.normalise(one.text))]
        elif name in {"БазоваяЕдиница", "Единица"}:
            found = parts.unit_texts(child)
            unit = found if name == "БазоваяЕдиница" or not any(unit) else unit
        elif name == "ЗначенияРеквизитов":
            requisites = parts.pairs(child, "Наименование")
        elif name == "ЗначенияСвойств":
            if properties := parts.pairs(child, "Ид"):
                details["properties"] = properties
        elif name == "СтавкиНалогов":
            vat = _vat(parts, child, raw, details)
        elif name == "ХарактеристикиТовара":
            characteristics = parts.characteristics(child)
        elif name == "Изготовитель":
            parts.put_other(details, name, parts.plain(child))
        elif name in {"Штрихкод", "Штрихкоды"}:
            _add_barcodes(child, barcodes, raw)
        elif picture := (child.text or "").strip():
            pictures.append(picture)
    by_key = parts.by_key(requisites)
    deleted = rules.is_deleted(
        element.get("Статус"),
        fields.get("Статус"),
        fields.get("ПометкаУдаления"),
        first(by_key.get("пометкаудаления")),
    )
    external_id = parts.identity(fields, raw)
    full_name = rules.normalise(
        first(by_key.get("полноенаименование"))
        or first(by_key.get("наименованиеполное"))
        or first(by_key.get("повненайменування"))
    )
    title = parts.name(fields, full_name, raw, may_be_empty=deleted)
    for field, key in (("Описание", "description"), ("Страна", "country"), ("Категория", "category")):
        if text := fields.pop(field, "").strip():
            details[key] = text
    for key, some in (
        ("pictures", pictures), ("requisites", requisites), ("characteristics", characteristics),
        ("groups", groups if len(groups) > 1 else None), ("barcodes", barcodes if len(barcodes) > 1 else None),
    ):  # fmt: skip
        if some:
            details[key] = some
    sku = parts.code(fields, "Артикул", "sku", raw)
    for name, text in fields.items():
        if name not in _GOODS_FIELDS:
            parts.put_other(details, name, text.strip())
    goods_id, characteristic_id = split_id(external_id)
    return Goods(
        line, external_id, title, full_name or None, sku, barcodes[0] if barcodes else None,
        parts.unit(unit, raw, is_deleted=deleted), vat, groups, deleted, raw, details, barcodes,
        _manufacturer(details), characteristics, goods_id, characteristic_id,
    )  # fmt: skip


def _manufacturer(details: Json) -> str | None:
    stated = details.get("other", Json()).get("Изготовитель")
    stated = stated[0] if isinstance(stated, list) else stated
    name = stated.get("Наименование") or stated.get("ОфициальноеНаименование") if isinstance(stated, dict) else stated
    return rules.normalise(name)[: rules.MAX_NAME] or None if isinstance(name, str) else None


def _add_barcodes(element: Any, barcodes: list[str], raw: Json) -> None:
    for one in element if len(element) else (element,):
        given = one.text
        code = rules.normalise(given)
        if len(code) > rules.MAX_CODE:
            msg = f"штрихкод длиннее {rules.MAX_CODE} знаков"
            raise RowRefused(msg)
        if code and code not in barcodes:
            if not barcodes:
                keep_raw(raw, "barcode", given, code)
            barcodes.append(code)


def _vat(parts: Parts, element: Any, raw: Json, details: Json) -> rules.Vat | None:
    taxes: list[tuple[str, str]] = []
    for one in element:
        fields = {parts.names[child.tag]: parts.text(child) for child in one}
        taxes.append((fields.get("Наименование") or "", fields.get("Ставка") or ""))
    if len(taxes) > 1:
        details["taxes"] = [[rules.normalise(name), rate] for name, rate in taxes]
    stated, vat = stated_vat(tuple(taxes))
    if vat is not None:
        keep_raw(raw, "vat", stated, vat.value.removeprefix("vat"))
    return vat


# offers -------------------------------------------------------------------------------------------------------------

_OFFER_PARTS = {
    "БазоваяЕдиница", "Единица", "ХарактеристикиТовара", "ЗначенияСвойств", "ЗначенияРеквизитов", "Штрихкод",
    "Штрихкоды", "Цены", "Остатки", "Склад", "Склады", "КоличествоНаСкладах", "Группы",
}  # fmt: skip
#: fields of an offer that say nothing of the offer itself: with these alone it only carries prices or stock
_CARRIED = {"Ид", "Количество", "НомерВерсии", "ПометкаУдаления", "Статус"}


def make_offer(parts: Parts, element: Any, line: int, counts: Counter[str]) -> list[Record]:
    """Return the Предложение, then its prices and its stock; a bad price does not take the others with it."""
    names, raw = parts.names, Json()
    fields: dict[str, str] = {}
    barcodes: list[str] = []
    details = Json()
    characteristics: dict[str, str] = {}
    unit: tuple[str, str, str] | None = None
    prices: list[Any] = []
    stocks: list[Any] = []
    requisites: dict[str, Any] = {}
    for child in element:
        name = names[child.tag]
        if name not in _OFFER_PARTS:
            if len(child):
                parts.put_other(details, name, parts.plain(child))
            elif text := child.text:
                fields[name] = text
        elif name == "Цены":
            prices.extend(child)
        elif name == "Склад":
            stocks.append(child)
        elif name in {"Остатки", "Склады", "КоличествоНаСкладах"}:
            counts["Остаток"] += len(child) if name == "Остатки" else 0
            stocks.extend(child)
        elif name in {"БазоваяЕдиница", "Единица"}:
            unit = parts.unit_texts(child) if name == "БазоваяЕдиница" or unit is None else unit
        elif name == "ХарактеристикиТовара":
            characteristics = parts.characteristics(child)
        elif name in {"Штрихкод", "Штрихкоды"}:
            _add_barcodes(child, barcodes, raw)
        elif name == "ЗначенияСвойств":
            if properties := parts.pairs(child, "Ид"):
                details["properties"] = properties
        elif name == "ЗначенияРеквизитов":
            requisites = parts.pairs(child, "Наименование")
        elif groups := [text for one in child if (text := rules.normalise(one.text))]:
            details["groups"] = groups
    counts["Цена"] += len(prices)
    external_id = parts.identity(fields, raw)
    goods_id, characteristic_id = split_id(external_id)
    deleted = rules.is_deleted(
        element.get("Статус"), fields.get("Статус"), fields.get("ПометкаУдаления"),
        first(parts.by_key(requisites).get("пометкаудаления")),
    )  # fmt: skip
    quantity = parts.number(fields.get("Количество"), "quantity", raw)
    records: list[Record] = []
    if deleted or unit or characteristics or barcodes or details or not fields.keys() <= _CARRIED:
        if requisites:
            details["requisites"] = requisites
        if description := fields.pop("Описание", "").strip():
            details["description"] = description
        name = parts.name(fields, "", raw, may_be_empty=True)
        sku = parts.code(fields, "Артикул", "sku", raw)
        for key, text in fields.items():
            if key not in _GOODS_FIELDS and key != "Количество":
                parts.put_other(details, key, text.strip())
        offer = Offer(
            line, external_id, goods_id, characteristic_id, name, sku, barcodes,
            parts.unit(unit, raw, is_deleted=deleted) if unit else _NO_UNIT,
            characteristics, quantity, deleted, raw, details,
        )  # fmt: skip
        records.append(offer)
    for one in prices:
        try:
            _price(parts, one, one.sourceline or line, external_id, goods_id, records)
        except (RowRefused, rules.ValueRefused) as refusal:
            records.append(_refused(parts, one, line, external_id, "Цена", refusal))
    before = len(records)
    for one in stocks:
        try:
            _stock(parts, one, one.sourceline or line, external_id, goods_id, records)
        except (RowRefused, rules.ValueRefused) as refusal:
            records.append(_refused(parts, one, line, external_id, "Остаток", refusal))
    if quantity is not None and len(records) == before:  # beside the warehouses the total is no stock of its own
        kept = {"quantity": raw["quantity"]} if "quantity" in raw else Json()
        records.append(Stock(line, external_id, goods_id, None, quantity, kept))
    return records


def _refused(parts: Parts, element: Any, line: int, offer_id: str, entity: str, refusal: Exception) -> Reject:
    snippet = parts.snippet(element, is_personal=False)
    return Reject(element.sourceline or line, offer_id, entity, str(refusal), snippet)


def _price(parts: Parts, element: Any, line: int, offer_id: str, goods_id: str, records: list[Record]) -> None:
    names = parts.names
    fields: dict[str, str | None] = {names[child.tag]: child.text for child in element}
    if "Единица" in fields and not (fields["Единица"] or "").strip():  # of elements, as in 3.1
        for child in element.iterchildren("{*}Единица"):
            code, text, full_name = parts.unit_texts(child)
            fields["Единица"] = text if text.strip() else code or full_name
    raw = Json()
    said = fields.get
    amount = parts.number(said("ЦенаЗаЕдиницу") or said("Цена"), "amount", raw)
    if amount is None:
        parts.remarks.append("цена пустая: пропущена")
        return
    price_type = rules.normalise(said("ИдТипаЦены"))
    if not price_type:
        msg = "у цены нет Ид типа цены"
        raise RowRefused(msg)
    if len(price_type) > rules.MAX_ID:
        msg = f"Ид типа цены длиннее {rules.MAX_ID} знаков"
        raise RowRefused(msg)
    if amount < 0:
        parts.remarks.append("цена меньше нуля")
    stated = said("Валюта")
    currency = rules.parse_currency(stated)
    if stated != currency:
        keep_raw(raw, "currency", stated, currency)
    coefficient = said("Коэффициент")
    price = Price(
        line, offer_id, goods_id, price_type, amount, currency, rules.normalise(said("Единица"))[:50] or None,
        _ONE if coefficient in _ONES else parts.number(coefficient, "coefficient", raw) or _ONE,
        parts.number(said("МинКоличество"), "min_quantity", raw), raw,
    )  # fmt: skip
    records.append(price)


def _stock(
    parts: Parts,
    element: Any,
    line: int,
    offer_id: str,
    goods_id: str,
    records: list[Record],
    *,
    is_inner: bool = False,
) -> None:
    """Add what one Склад, Остаток (with Склад inside or without) or КоличествоНаСкладе says."""
    names = parts.names
    warehouse = element.get("ИдСклада") or element.get("Ид") or ""
    given = element.get("КоличествоНаСкладе") or element.get("Количество") or ""
    inner: list[Any] = []
    for child in element:
        name = names[child.tag]
        if name == "Склад" and not is_inner:
            inner.append(child)
        elif name in {"Ид", "ИдСклада"}:
            warehouse = child.text or warehouse
        elif name in {"Количество", "КоличествоНаСкладе"}:
            given = child.text or given
    if inner:
        for one in inner:
            _stock(parts, one, one.sourceline or line, offer_id, goods_id, records, is_inner=True)
        return
    raw = Json()
    quantity = parts.number(given, "quantity", raw)
    warehouse_id = rules.normalise(warehouse)
    if len(warehouse_id) > rules.MAX_ID:
        msg = f"Ид склада длиннее {rules.MAX_ID} знаков"
        raise RowRefused(msg)
    if quantity is None:
        parts.remarks.append("количество на складе пустое: пропущено")
        return
    records.append(Stock(line, offer_id, goods_id, warehouse_id or None, quantity, raw))
