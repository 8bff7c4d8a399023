"""What a file says about its own words: groups, categories, properties, types of prices, warehouses, units."""

from __future__ import annotations

from typing import Any

from include.exchange_1c import rules
from include.exchange_1c.reader_parts import Parts, keep_raw
from include.exchange_1c.records import Group, MeasureUnit, PriceType, Property, Warehouse
from include.shared.db import Json

_COMMON = {"Ид", "Наименование", "ПометкаУдаления", "Статус"}
_INNER_GROUPS = {"Группы", "Категории"}


def _read(parts: Parts, element: Any, inner: set[str]) -> tuple[dict[str, str], dict[str, Any], Json]:
    """Return the texts, the elements named in ``inner``, and everything else of the element as details."""
    fields: dict[str, str] = {}
    found: dict[str, Any] = {}
    details = Json()
    for child in element:
        name = parts.names[child.tag]
        if name in inner:
            found.setdefault(name, child)
        elif len(child):
            details[name] = parts.plain(child)
        elif text := child.text:
            fields.setdefault(name, text)
    return fields, found, details


def _rest(fields: dict[str, str], taken: set[str], details: Json) -> Json:
    for name, text in fields.items():
        if name not in taken and (plain := text.strip()):
            details[name] = plain
    return details


def _deleted(element: Any, fields: dict[str, str]) -> bool:
    return rules.is_deleted(element.get("Статус"), fields.get("Статус"), fields.get("ПометкаУдаления"), None)


def make_group(parts: Parts, element: Any, line: int, kind: str) -> Group:
    """Return one Группа or Категория without its parent: its children were read and freed before it."""
    raw = Json()
    fields, _, details = _read(parts, element, _INNER_GROUPS)
    deleted = _deleted(element, fields)
    external_id = parts.identity(fields, raw)
    name = parts.name(fields, "", raw, may_be_empty=deleted)
    return Group(line, external_id, name, None, deleted, kind, raw, _rest(fields, _COMMON, details))


def make_property(parts: Parts, element: Any, line: int) -> Property:
    """Return one Свойство with the values of its reference."""
    raw = Json()
    fields, inner, details = _read(parts, element, {"ВариантыЗначений"})
    deleted = _deleted(element, fields)
    external_id = parts.identity(fields, raw)
    name = parts.name(fields, "", raw, may_be_empty=deleted)
    values: dict[str, str] = {}
    unnamed: list[str] = []
    for one in inner.get("ВариантыЗначений", ()):
        variant = parts.fields(one)
        key, value = rules.normalise(variant.get("ИдЗначения")), rules.normalise(variant.get("Значение"))
        if not len(one):
            value = rules.normalise(one.text)  # 2.03: a list of plain texts
        if not (key or value):
            parts.remarks.append("пустое значение в справочнике свойства: пропущено")
        elif not key:
            unnamed.append(value)
        elif values.setdefault(key, value) != value:
            parts.remarks.append("у значения свойства Ид встречается несколько раз: взято последнее")
            values[key] = value
    if unnamed:
        details["values"] = unnamed
    value_type = rules.normalise(fields.get("ТипЗначений"))
    rest = _rest(fields, _COMMON | {"ТипЗначений"}, details)
    return Property(line, external_id, name, value_type, values, deleted, raw, rest)


def make_price_type(parts: Parts, element: Any, line: int) -> PriceType:
    """Return one ТипЦены."""
    raw = Json()
    fields, inner, details = _read(parts, element, {"Налог"})
    deleted = _deleted(element, fields)
    external_id = parts.identity(fields, raw)
    name = parts.name(fields, "", raw, may_be_empty=deleted)
    currency = rules.parse_currency(fields.get("Валюта"))
    keep_raw(raw, "currency", fields.get("Валюта"), currency)
    tax = parts.fields(inner["Налог"]) if "Налог" in inner else {}
    if tax:
        details["Налог"] = {key: text.strip() for key, text in tax.items()}
    included = parts.flag(tax.get("УчтеноВСумме"))
    return PriceType(
        line, external_id, name, currency, included, deleted, raw, _rest(fields, _COMMON | {"Валюта"}, details)
    )


def make_warehouse(parts: Parts, element: Any, line: int) -> Warehouse:
    """Return one Склад."""
    raw = Json()
    fields, inner, details = _read(parts, element, {"Адрес", "Контакты"})
    deleted = _deleted(element, fields)
    external_id = parts.identity(fields, raw)
    name = parts.name(fields, "", raw, may_be_empty=deleted)
    address = parts.address(inner["Адрес"], "Адрес") if "Адрес" in inner else {"text": "", "fields": {}}
    return Warehouse(
        line, external_id, name, deleted, [address] if address["text"] or address["fields"] else [],
        parts.contacts(inner["Контакты"]) if "Контакты" in inner else [], raw, _rest(fields, _COMMON, details),
    )  # fmt: skip


def make_unit(parts: Parts, element: Any, line: int) -> MeasureUnit:
    """Return one ЕдиницаИзмерения; its code or else its name stands for an absent Ид."""
    raw = Json()
    fields, _, details = _read(parts, element, set())
    deleted = _deleted(element, fields)
    code, short = fields.get("Код") or element.get("Код") or "", fields.get("НаименованиеКраткое") or ""
    full_name = fields.get("НаименованиеПолное") or element.get("НаименованиеПолное") or ""
    short = short or fields.get("Наименование") or ""
    if not rules.normalise(fields.get("Ид")):
        if not rules.normalise(code):
            parts.remarks.append("у единицы нет ни Ид, ни кода: взято наименование")
        fields["Ид"] = rules.normalise(code) or rules.normalise(short) or full_name
    external_id = parts.identity(fields, raw)
    unit = parts.unit((code, short, full_name), raw, is_deleted=deleted)
    taken = _COMMON | {"Код", "НаименованиеКраткое", "НаименованиеПолное", "МеждународноеСокращение"}
    international = rules.normalise(fields.get("МеждународноеСокращение"))
    return MeasureUnit(
        line, external_id, unit, rules.normalise(full_name) or None, international or None, deleted, raw,
        _rest(fields, taken, details),
    )  # fmt: skip
