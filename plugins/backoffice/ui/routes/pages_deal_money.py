"""The forms of «Счета и оплаты» on a deal's card."""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_urlsafe
from typing import Any

from backoffice.ui import format as written
from include.money.invoices import VAT_TITLES
from include.workplace.money_shapes import DealMoney

ISSUE, RECORD = "invoice", "recorded"  # the prefixes of their inputs: the card has other forms with such names


def invoice_forms(money: DealMoney, kept: Mapping[str, str]) -> dict[str, Any]:
    """Return the inputs of both forms of an invoice, with what was typed, and the key of one issuing."""
    left = written.sum_input(money.not_invoiced) if money.not_invoiced else ""
    record: list[dict[str, Any]] = [
        {"name": "number", "title": "Номер", "kind": "text", "longest": 50, "required": True},
        {"name": "date", "title": "Дата", "kind": "date", "required": True},
    ]
    return {
        "key": token_urlsafe(12),
        "issue": [_named(ISSUE, one, kept) for one in _common(money, left)],
        "record": [_named(RECORD, one, kept) for one in [*record, *_common(money, left)]],
    }


def _common(money: DealMoney, left: str) -> list[dict[str, Any]]:
    known = money.organisations
    return [
        {"name": "amount", "title": "Сумма счёта", "kind": "money", "required": True, "value": left},
        {"name": "organisation", "title": "От кого", "kind": "choice", "required": True,
         "choices": {one: one for one in known}, "value": known[0] if len(known) == 1 else ""},
        {"name": "vat", "title": "В том числе НДС", "kind": "choice", "choices": VAT_TITLES, "value": "",
         "blank": "не указан"},
        {"name": "comment", "title": "Комментарий", "kind": "text", "longest": 1000, "value": "", "wide": True},
    ]  # fmt: skip


def _named(prefix: str, one: dict[str, Any], kept: Mapping[str, str]) -> dict[str, Any]:
    name = f"{prefix}.{one['name']}"
    return {**one, "name": name, "value": kept.get(name, one.get("value", ""))}
