"""The kinds of disagreement: what each is called, what it says of one case, and what the next step is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from include.shared.texts import roubles

MONEY, INVOICES = "/backoffice/money", "/backoffice/money/invoices"


@dataclass(frozen=True)
class Kind:
    """A kind of disagreement: its title, its sentence with places for details, the next step in words."""

    title: str
    says: str
    step: str


KINDS: dict[str, Kind] = {
    "paid_differs": Kind(
        "«Сумма оплаты» не подтверждена платежами",
        "В сделке оплачено {paid}, платежами подтверждено {allocated}.",
        "Найдите платёж в разборе и отнесите к сделке или исправьте «Сумму оплаты».",
    ),
    "invoice_overpaid": Kind(
        "Счёт переплачен",
        "По счёту № {number} на {amount} пришло {paid}.",
        "Отнесите лишнее к другому счёту или оформите возврат.",
    ),
    "invoices_differ": Kind(
        "Счета не сходятся с суммой сделки",
        "Сумма сделки {amount}, счетов выставлено на {invoiced}.",
        "Выставьте недостающий счёт, отмените лишний или исправьте «Сумму сделки».",
    ),
    "invoice_without_deal": Kind(
        "Счёт из 1С без сделки",
        "Счёт № {number} на {amount} не относится ни к одной сделке.",
        "Выберите сделку этого счёта.",
    ),
    "payment_waits": Kind(
        "Платёж не разобран",
        "Платёж № {number} от {date}: не распределено {left}.",
        "Выберите сделку и счёт или отложите платёж с причиной.",
    ),
    "lost_but_paid": Kind(
        "Сделка проиграна, а деньги у нас",
        "По проигранной сделке оплачено {paid}.",
        "Верните деньги клиенту или отнесите их к другой сделке.",
    ),
    "statement_gap": Kind(
        "Пропуск между выписками",
        "Счёт {account}: на {until} остаток был {closing}, а с {since} он {opening}.",
        "Запросите в банке выписку за пропущенные дни и загрузите её.",
    ),
    "paid_in_one_c_only": Kind(
        "В 1С оплачено, а в банке нет",
        "Документ № {number} на {amount} в 1С оплачен, платежей у нас на {paid}.",
        "Загрузите выписку за {date} или найдите платёж в разборе.",
    ),
    "invoice_differs_in_one_c": Kind(
        "Счёт в 1С другой",
        "Счёт № {number}: у нас {amount}, в 1С {one_c}.",
        "Сверьте с 1С: исправьте там или отмените счёт здесь и внесите заново.",
    ),
    "invoice_ended_in_one_c": Kind(
        "Счёт отменён в 1С",
        "Счёт № {number} на {amount} действует, а в 1С отменён или помечен на удаление.",
        "Отмените счёт здесь или восстановите его в 1С.",
    ),
    "shipped_unpaid": Kind(
        "Отгружено, а не оплачено",
        "В 1С отгружено по документу № {number}, долг по сделке {debt}.",
        "Получите оплату или загрузите выписку, если она была.",
    ),
    "order_unconfirmed": Kind(
        "Заказ отправлен, 1С молчит",
        "Заказ № {number} отправлен {sent} и не подтверждён обменом.",
        "Проверьте обмен и примите заказ в 1С или отправьте заново.",
    ),
}
#: the next step of these is made on the invoice's own page
OF_INVOICE = frozenset(
    {"invoice_without_deal", "invoice_differs_in_one_c", "invoice_ended_in_one_c", "invoice_overpaid"}
)
_SUMS = frozenset(
    {"paid", "allocated", "amount", "invoiced", "left", "closing", "opening", "one_c", "debt"}
)  # the details that are sums of roubles
_DAYS = frozenset({"date", "until", "since", "sent"})


def sentence(kind: str, details: Mapping[str, Any]) -> str:
    """Return what disagrees, in words; a detail that is missing is a dash."""
    return KINDS[kind].says.format_map(_Said(details))


def next_step(kind: str, details: Mapping[str, Any]) -> str:
    """Return what is to be done, in words."""
    return KINDS[kind].step.format_map(_Said(details))


class _Said(dict[str, str]):
    """Details as a person reads them."""

    def __init__(self, details: Mapping[str, Any]) -> None:
        super().__init__({name: _in_words(name, value) for name, value in details.items()})

    def __missing__(self, key: str) -> str:
        return "—"


def _in_words(name: str, value: Any) -> str:
    if value is None or value == "":
        return "—"
    if name in _SUMS:
        return roubles(Decimal(str(value)))
    if name in _DAYS:
        return f"{date.fromisoformat(str(value)[:10]):%d.%m.%Y}"
    return str(value)


def step_link(kind: str, *, deal_id: int | None, invoice_id: int | None, payment_id: int | None,
              details: Mapping[str, Any]) -> str:  # fmt: skip
    """Return the address where the next step is made."""
    if kind == "payment_waits":
        return f"{MONEY}/payments/{payment_id}"
    if kind in OF_INVOICE and invoice_id is not None:
        return f"{INVOICES}/{invoice_id}"
    if kind == "statement_gap":
        return f"{MONEY}/statements/{details.get('statement_id')}"
    if deal_id is not None:
        return f"/backoffice/deals/{deal_id}" + ("" if kind == "order_unconfirmed" else "#invoices")
    return MONEY
