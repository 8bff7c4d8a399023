"""Words for exchanges with 1C: states, sources, kinds of records, and fields that an exchange changed; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from include.exchange_1c.rules import OFFICE_ZONE
from include.orders.rules import VAT_TITLES
from include.workplace.exchange_shapes import FieldChange

STATES: Mapping[str, str] = {
    "received": "загружается", "queued": "в очереди", "held": "ждёт решения", "applied": "загружен",
    "repeated": "повтор", "failed": "не загружен", "replaced": "заменён",
}  # fmt: skip
SOURCES: Mapping[str, str] = {"folder": "из папки", "http": "по HTTP", "again": "взят снова"}
FILE_STATES: Mapping[str, str] = {
    "received": "принят", "unpacked": "распакован", "applied": "прочитан", "failed": "не загружен",
    "refused": "не принят", "skipped": "не читается",
}  # fmt: skip
DECISIONS: Mapping[str, str] = {
    "confirm": "снять и загрузить", "keep": "загрузить, ничего не снимая", "refuse": "отказаться",
}  # fmt: skip
#: as the report names kinds, and as the files name them
KINDS: Mapping[str, str] = {
    "goods": "Номенклатура", "Товар": "Номенклатура", "companies": "Контрагенты", "Контрагент": "Контрагенты",
    "Группа": "Группы номенклатуры", "Категория": "Категории", "Свойство": "Свойства", "ТипЦены": "Виды цен",
    "Склад": "Склады", "ЕдиницаИзмерения": "Единицы измерения", "Предложение": "Предложения", "Цена": "Цены",
    "Остаток": "Остатки", "Документ": "Документы", "group": "Группы номенклатуры", "property": "Свойства",
    "price_type": "Виды цен", "warehouse": "Склады", "unit": "Единицы измерения", "offer": "Предложения",
    "price": "Цены", "stock": "Остатки", "document": "Документы", "company": "Контрагенты",
    "units": "Единицы измерения", "groups": "Группы номенклатуры", "properties": "Свойства",
    "price_types": "Виды цен", "warehouses": "Склады", "offers": "Предложения", "prices": "Цены",
    "documents": "Документы",
}  # fmt: skip
FIELDS: Mapping[str, str] = {
    "name": "название", "full_name": "полное название", "sku": "артикул", "barcode": "штрихкод",
    "unit_code": "код единицы (ОКЕИ)", "unit_name": "единица", "vat": "ставка НДС", "group_external_id": "группа",
    "active": "действует", "details": "прочие сведения", "parent_external_id": "входит в", "kind": "вид",
    "value_type": "тип значений", "options": "значения", "currency": "валюта", "is_tax_included": "НДС в цене",
    "code": "код ОКЕИ", "international": "международное сокращение", "goods_external_id": "товар",
    "characteristic_id": "характеристика", "quantity": "количество", "characteristics": "характеристики",
    "amount": "сумма", "coefficient": "коэффициент", "number": "номер", "date": "дата", "lines": "строк",
    "is_deleted": "помечен на удаление", "is_cancelled": "отменён", "is_posted": "проведён", "is_paid": "оплачен",
    "paid_amount": "оплачено", "paid_at": "когда оплачен", "is_shipped": "отгружен", "shipped_at": "когда отгружен",
    "inn": "ИНН", "kpp": "КПП", "email": "почта", "phone": "телефон", "external_id": "Ид", "operation": "операция",
}  # fmt: skip
_CODES: Mapping[str, Mapping[str, str]] = {
    "vat": VAT_TITLES,
    "kind": {
        "group": "группа", "category": "категория", "legal": "юридическое лицо", "person": "физическое лицо",
        "sole": "ИП", "order": "заказ", "invoice": "счёт", "payment": "оплата", "refund": "возврат оплаты",
        "shipment": "отгрузка", "return": "возврат товара", "tax_invoice": "счёт-фактура", "other": "прочее",
    },
}  # fmt: skip
DASH = "—"
LONGEST_VALUE = 300
MOST_PARTS = 20


def kind_title(kind: str) -> str:
    """Return a kind of records in words; one that nobody knows stays as it is written."""
    return KINDS.get(kind, kind)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[FieldChange]:
    """Return the fields that differ, in words; a field without a word stays as 1C named it."""
    names = [*after, *(name for name in before if name not in after)]
    return [
        FieldChange(
            field=name, title=FIELDS.get(name, name), before=value_words(name, before.get(name)),
            after=value_words(name, after.get(name)),
        )
        for name in names
        if before.get(name) != after.get(name)
    ]  # fmt: skip


def value_words(field: str, value: Any) -> str:
    """Return a value of a field as a person reads it, cut where it is long."""
    text = _words(field, value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _words(field: str, value: Any) -> str:
    if value is None or value in ("", [], {}):
        return DASH
    if isinstance(value, bool):
        return "да" if value else "нет"
    if isinstance(value, int | float | Decimal):
        return number_words(value)
    if isinstance(value, Mapping):
        shown = [f"{name}: {_words('', one)}" for name, one in list(value.items())[:MOST_PARTS]]
        return "; ".join(shown) + ("; …" if len(value) > MOST_PARTS else "")
    if isinstance(value, list):
        return ", ".join(_words("", one) for one in value[:MOST_PARTS]) + (", …" if len(value) > MOST_PARTS else "")
    text = str(value)
    if field == "date" or field.endswith("_at"):
        return _moment(text)
    return _CODES.get(field, {}).get(text, text)


def number_words(value: Any) -> str:
    """Return a number as 1C gave it, with a decimal comma and without zeros that say nothing."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return str(value)
    whole, _, rest = f"{abs(number):f}".partition(".")
    rest = rest.rstrip("0")
    sign = "−" if number < 0 else ""
    return f"{sign}{int(whole):,}".replace(",", "\u00a0") + (f",{rest}" if rest else "")


def _moment(text: str) -> str:
    try:
        if len(text) == len("2026-11-28"):
            return f"{date.fromisoformat(text):%d.%m.%Y}"
        return f"{datetime.fromisoformat(text).astimezone(OFFICE_ZONE):%d.%m.%Y %H:%M}"
    except ValueError:
        return text


def price_words(amount: Decimal, currency: str | None) -> str:
    """Return a price as 1C gave it, with at least two decimals, and its currency."""
    number = number_words(amount)
    whole, _, rest = number.partition(",")
    sign = "₽" if currency in (None, "RUB", "RUR") else currency
    return f"{whole},{rest.ljust(2, '0')}\u00a0{sign}"
