"""Документ of a file: orders, invoices, payments and shipments with their lines, taxes and requisites."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from decimal import Decimal
from typing import Any

from include.exchange_1c import rules
from include.exchange_1c.reader_partners import make_counterparty
from include.exchange_1c.reader_parts import Parts, RowRefused, first, keep_raw
from include.exchange_1c.records import Document, DocumentLine, Tax
from include.shared.db import Json
from include.shared.numbers import number_key

_FIELDS = {
    "Ид", "Номер", "Дата", "Время", "ХозОперация", "Роль", "Валюта", "Курс", "Сумма", "Номер1С", "Дата1С",
    "СрокПлатежа", "Комментарий", "ПометкаУдаления", "Статус",
}  # fmt: skip
_LINE_FIELDS = {"Ид", "Наименование", "Артикул", "ЦенаЗаЕдиницу", "Цена", "Количество", "Сумма", "Коэффициент"}
_SUBORDINATES = {"ПодчиненныеДокументы", "ПодчиненныйДокумент"}
_LINES = {"Товары", "Услуги"}


def make_document(
    parts: Parts, element: Any, line: int, counts: Counter[str], parent_id: str | None = None
) -> Document:
    """Return the Документ without its subordinate ones; RowRefused or ValueRefused when it cannot be taken."""
    names, raw, details = parts.names, Json(), Json()
    fields: dict[str, str] = {}
    inner: dict[str, list[Any]] = {}
    basis = ""
    for child in element:
        name = names[child.tag]
        if name == "Основание":
            basis = parts.quiet_text(child, "Ид") or parts.text(child)
        if name in _PARTS:
            inner.setdefault(name, []).append(child)
        elif len(child):
            details[name] = parts.plain(child)
        elif text := child.text:
            fields.setdefault(name, text)
    partners = [one for part in inner.get("Контрагенты", ()) for one in part] + inner.get("Контрагент", [])
    items = [(one, name == "Услуги") for name in _LINES for part in inner.get(name, ()) for one in part]
    counts["Контрагент в «Документ»"] += len(partners)
    counts["Товар в «Документ»"] += len(items)

    operation = rules.normalise(fields.get("ХозОперация"))[: rules.MAX_CODE]
    kind = rules.document_kind(operation)
    number = parts.code(fields, "Номер", "number", raw) or ""
    at = _moment(parts, fields.get("Дата"), fields.get("Время"), "at", raw)
    requisites: Json = {}
    for part in inner.get("ЗначенияРеквизитов", ()):
        requisites |= parts.pairs(part, "Наименование")
    said = {key: first(value) for key, value in parts.by_key(requisites).items()}
    number_1c = (
        parts.code(fields, "Номер1С", "number_1c", raw) or rules.normalise(said.get(_key(parts, "Номер по 1С"))) or None
    )
    external_id, has_own_id = _identity(parts, fields, raw, kind, number or number_1c or "", at)
    amount = parts.number(fields.get("Сумма"), "amount", raw)
    currency = rules.parse_currency(fields.get("Валюта"))
    keep_raw(raw, "currency", fields.get("Валюта"), currency)
    document = Document(
        line, external_id, kind, operation, number, at, has_own_id,
        parent_id or rules.normalise(basis)[: rules.MAX_ID] or None,
        role=rules.normalise(fields.get("Роль")) or None,
        currency=currency,
        rate=parts.number(fields.get("Курс"), "rate", raw),
        amount=amount,
        number_1c=number_1c if number_1c != number else None,
        at_1c=_moment(parts, fields.get("Дата1С") or said.get(_key(parts, "Дата по 1С")), None, "at_1c", raw),
        due=_moment(parts, fields.get("СрокПлатежа"), None, "due", raw),
        comment=(fields.get("Комментарий") or "").strip() or None,
        requisites=requisites,
        raw=raw,
        details=details,
    )  # fmt: skip
    for part in inner.get("Налоги", ()):
        document.taxes += parts.taxes(part, raw)
    _add_discounts(parts, inner, document, raw)
    document.is_deleted = rules.is_deleted(
        element.get("Статус"), fields.get("Статус"), fields.get("ПометкаУдаления"), said.get("пометкаудаления")
    )
    _add_states(parts, document, said)
    document.counterparties = [
        make_counterparty(parts, one, one.sourceline or line, of_document=True) for one in partners
    ]
    for position, (one, is_service) in enumerate(items, start=1):
        try:
            document.lines.append(_line(parts, one, one.sourceline or line, is_service=is_service))
        except (RowRefused, rules.ValueRefused) as refusal:
            msg = f"строка {position} документа: {refusal}"
            raise RowRefused(msg) from refusal
    for key, text in fields.items():
        if key not in _FIELDS and (plain := text.strip()):
            details[key] = plain
    return document


_PARTS = {
    "Контрагенты", "Контрагент", "ЗначенияРеквизитов", "Налоги", "Скидки", "Наценки", *_SUBORDINATES, *_LINES,
}  # fmt: skip


def subordinates(parts: Parts, element: Any) -> list[Any]:
    """Return the subordinate documents of a Документ: of their container, or standing in it as they are."""
    found: list[Any] = []
    for child in element:
        name = parts.names[child.tag]
        if name == "ПодчиненныйДокумент":
            found.append(child)
        elif name == "ПодчиненныеДокументы":
            found += [one for one in child if parts.names[one.tag] in {"ПодчиненныйДокумент", "Документ"}]
    return found


def _identity(
    parts: Parts, fields: dict[str, str], raw: Json, kind: rules.DocumentKind, number: str, at: datetime | None
) -> tuple[str, bool]:
    """Return the Ид; without one the kind, the number and the date, which are what people know a document by."""
    if rules.normalise(fields.get("Ид")):
        return parts.identity(fields, raw), True
    if not number:
        msg = "у документа нет ни Ид, ни номера"
        raise RowRefused(msg)
    parts.remarks.append("у документа нет Ид: взят его номер")
    day = f"{at.astimezone(rules.OFFICE_ZONE):%Y-%m-%d}" if at else ""
    return f"{kind.value}|{number_key(number)}|{day}"[: rules.MAX_ID], False


def _key(parts: Parts, name: str) -> str:
    return parts.keys[name]


def _moment(parts: Parts, day: str | None, clock: str | None, key: str, raw: Json) -> datetime | None:
    """Return the moment; what is not understood is kept raw with a remark, for the rest of a document is of use."""
    if not day:
        return None
    try:
        return rules.join_moment(day, clock)
    except rules.ValueRefused as refusal:
        keep_raw(raw, key, f"{day} {clock or ''}".strip(), None)
        parts.remarks.append(str(refusal))
        return None


def _said(parts: Parts, said: dict[str, str | None], *names: str) -> str | None:
    for name in names:
        if text := said.get(_key(parts, name)):
            return text
    return None


def _add_states(parts: Parts, document: Document, said: dict[str, str | None]) -> None:
    """Fill what the requisites say of posting, payment and shipment; a date of it means that it happened."""
    raw = document.raw
    document.is_posted = parts.flag(_said(parts, said, "Проведен", "Проведён"))
    document.is_cancelled = parts.flag(_said(parts, said, "Отменен", "Отменён"))
    document.status = rules.normalise(_said(parts, said, "Статус заказа", "Статуса заказа ИД")) or None

    paid_at = _said(parts, said, "Дата оплаты по 1С", "Дата оплаты")
    document.paid_at = _moment(parts, paid_at, None, "paid_at", raw)
    number = _said(parts, said, "Номер оплаты по 1С", "Номер оплаты", "Номер платежа")
    document.payment_number = rules.normalise(number)[: rules.MAX_CODE] or None
    keep_raw(raw, "payment_number", number, document.payment_number)
    paid = parts.flag(_said(parts, said, "Оплачен", "Заказ оплачен"))
    document.is_paid = paid if paid is not None else True if document.paid_at else None
    document.paid_amount = _amount(parts, _said(parts, said, "Сумма оплаты по 1С", "Сумма оплаты", "Оплачено"), raw)

    shipped_at = _said(parts, said, "Дата отгрузки по 1С", "Дата отгрузки")
    document.shipped_at = _moment(parts, shipped_at, None, "shipped_at", raw)
    number = _said(parts, said, "Номер отгрузки по 1С", "Номер отгрузки")
    document.shipment_number = rules.normalise(number)[: rules.MAX_CODE] or None
    keep_raw(raw, "shipment_number", number, document.shipment_number)
    shipped = parts.flag(_said(parts, said, "Отгружен", "Отгружено"))
    document.is_shipped = shipped if shipped is not None else True if document.shipped_at else None


def _amount(parts: Parts, text: str | None, raw: Json) -> Decimal | None:
    """Return the sum that a requisite tells; a flag or a word in its place (also met) is no sum."""
    try:
        return parts.number(text, "paid_amount", raw)
    except rules.ValueRefused:
        return None


def _add_discounts(parts: Parts, inner: dict[str, list[Any]], owner: Document | DocumentLine, raw: Json) -> None:
    for name, sign in (("Скидки", 1), ("Наценки", -1)):
        for part in inner.get(name, ()):
            owner.discounts += parts.discounts(part, raw, sign)


_LINE_PARTS = {
    "БазоваяЕдиница", "Единица", "Налоги", "СтавкиНалогов", "Скидки", "Наценки", "ЗначенияРеквизитов",
    "ХарактеристикиТовара",
}  # fmt: skip


def _line(parts: Parts, element: Any, line: int, *, is_service: bool) -> DocumentLine:
    names, raw, details = parts.names, Json(), Json()
    fields: dict[str, str] = {}
    inner: dict[str, list[Any]] = {}
    for child in element:
        name = names[child.tag]
        if name in _LINE_PARTS:
            inner.setdefault(name, []).append(child)
        elif len(child):
            details[name] = parts.plain(child)
        elif text := child.text:
            fields.setdefault(name, text)
    requisites: Json = {}
    for part in inner.get("ЗначенияРеквизитов", ()):
        requisites |= parts.pairs(part, "Наименование")
    said = {key: first(value) for key, value in parts.by_key(requisites).items()}
    external_id = rules.normalise(fields.get("Ид"))
    if len(external_id) > rules.MAX_ID:
        msg = f"в строке документа Ид длиннее {rules.MAX_ID} знаков"
        raise RowRefused(msg)
    keep_raw(raw, "external_id", fields.get("Ид"), external_id)
    name = parts.name(fields, "", raw, may_be_empty=True)
    if not name:
        parts.remarks.append("в строке документа нет наименования")
    price_field = "ЦенаЗаЕдиницу" if rules.normalise(fields.get("ЦенаЗаЕдиницу")) else "Цена"
    kinds = {rules.normalise(said.get(key)).lower() for key in ("типноменклатуры", "видноменклатуры")}
    found = DocumentLine(
        line, external_id or None, name, parts.code(fields, "Артикул", "sku", raw),
        _unit(parts, inner, raw),
        parts.number(fields.get("Количество"), "quantity", raw),
        parts.number(fields.get(price_field), "price", raw),
        parts.number(fields.get("Сумма"), "amount", raw),
        parts.number(fields.get("Коэффициент"), "coefficient", raw),
        is_service=is_service or "услуга" in kinds,
        raw=raw,
        details=details,
    )  # fmt: skip
    for part in inner.get("Налоги", ()):
        found.taxes += parts.taxes(part, raw)
    if not found.taxes:  # only the rate of the goods themselves
        for part in inner.get("СтавкиНалогов", ()):
            found.taxes += [Tax(tax.name, tax.vat) for tax in parts.taxes(part, raw)]
    _add_discounts(parts, inner, found, raw)
    for part in inner.get("ХарактеристикиТовара", ()):
        if characteristics := parts.characteristics(part):
            details["characteristics"] = characteristics
    if requisites:
        details["requisites"] = requisites
    for key, text in fields.items():
        if key not in _LINE_FIELDS and (plain := text.strip()):
            details[key] = plain
    return found


def _unit(parts: Parts, inner: dict[str, list[Any]], raw: Json) -> rules.Unit:
    """Return the unit in which the line is counted: its Единица, else that of the goods."""
    base = [parts.unit_texts(one) for one in inner.get("БазоваяЕдиница", ())]
    own = [parts.unit_texts(one) for one in inner.get("Единица", ())]
    for texts in (*own, *base):
        if any(one.strip() for one in texts):
            # a bare word such as «шт» is better understood with the code that stands beside it
            if base and not texts[0].strip() and texts[1].strip() == base[0][1].strip():
                texts = base[0]
            return parts.unit(texts, raw)
    return rules.Unit(None, None, None)
