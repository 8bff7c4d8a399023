"""Invoices of a deal: issued under our own numbers, recorded as 1C made them, cancelled, given to a deal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from include.companies.models import Company
from include.deals import services as deals
from include.deals.models import Deal
from include.deals.rules import parse_sum
from include.money.accounts import organisations
from include.money.models import Invoice, PaymentAllocation
from include.shared import once
from include.shared.db import among
from include.shared.errors import Conflict, InvalidInput, NotFound
from include.shared.numbers import number_key
from include.shared.texts import roubles, storable, visible
from include.shared.work import Work

OFFICE_ZONE = ZoneInfo("Europe/Moscow")
LONGEST_NUMBER, LONGEST_COMMENT, LONGEST_REASON = 50, 1000, 1000
EARLIEST, LATEST = dt.date(2000, 1, 1), dt.date(2100, 1, 1)
SOURCES = {"own": "выставлен здесь", "recorded": "внесён вручную", "one_c": "пришёл из 1С"}
#: rates of the line «в т. ч. НДС»: the share of a sum that includes the tax
VAT_TITLES = {
    "vat22": "22 %", "vat20": "20 %", "vat10": "10 %", "vat7": "7 %", "vat5": "5 %", "vat0": "0 %", "none": "без НДС",
}  # fmt: skip
_VAT_RATES = {"vat22": 22, "vat20": 20, "vat10": 10, "vat7": 7, "vat5": 5}


def issue(
    work: Work,
    deal_id: int,
    *,
    amount: Any = None,
    organisation: str | None = None,
    date: dt.date | None = None,
    vat: str | None = None,
    comment: str = "",
    request_key: str | None = None,
) -> Invoice:
    """Issue an invoice of a deal under the next number of the organisation's year (R002-7).

    ``amount`` in roubles, by default what of the deal's sum has no invoice yet. The same ``request_key`` joins the
    first one. InvalidInput names the field; gaps in the numbers are allowed, doubles are not.
    """
    deal = deals.get_deal(work, deal_id)
    made = once.joined(work, "invoice", request_key)
    if made is not None:
        return invoice_of(work.session, made)
    day = _day(date or work.now.astimezone(OFFICE_ZONE).date())
    issuer = _issuer(work.session, organisation)
    total = _amount(amount) if amount not in (None, "") else _not_invoiced(work.session, deal)
    sequence, number, key = _next_number(work, issuer, day.year)
    invoice = _new(
        work, deal, organisation=issuer, day=day, number=number, key=key, amount=total, vat=vat, comment=comment,
        source="own", sequence=sequence,
    )  # fmt: skip
    say(work, invoice, deal.case_id, "invoice.issued", f"Выставлен {title(invoice)} на {roubles(total)}")
    once.remember(work, "invoice", request_key, invoice.id)
    return invoice


def record(
    work: Work,
    deal_id: int,
    *,
    number: str,
    date: dt.date,
    amount: Any,
    organisation: str | None = None,
    vat: str | None = None,
    comment: str = "",
) -> Invoice:
    """Record an invoice that 1C made, under its number; Conflict when the organisation has this number that year."""
    deal = deals.get_deal(work, deal_id)
    written = " ".join((number or "").split())
    key = number_key(written)
    if not key or len(written) > LONGEST_NUMBER or not storable(written):
        msg = f"Введите номер счёта (до {LONGEST_NUMBER} знаков)."
        raise InvalidInput(msg, "number")
    day, issuer, total = _day(date), _issuer(work.session, organisation), _amount(amount)
    _lock_numbers(work, issuer, day.year)
    twin = with_number(work.session, issuer, day.year, key)
    if twin is not None:
        msg = f"{_capital(title(twin))} уже есть" + (f" у сделки № {twin.deal_id}." if twin.deal_id else ".")
        raise Conflict(msg)
    invoice = _new(
        work, deal, organisation=issuer, day=day, number=written, key=key, amount=total, vat=vat, comment=comment,
        source="recorded", sequence=None,
    )  # fmt: skip
    say(work, invoice, deal.case_id, "invoice.recorded", f"Внесён {title(invoice)} на {roubles(total)}")
    return invoice


def cancel(work: Work, invoice_id: int, reason: str) -> Invoice:
    """Cancel an invoice; its number stays taken. Conflict while payments are matched to it."""
    invoice = _locked(work, invoice_id)
    why = _reason(reason)
    if invoice.state == "cancelled":
        return invoice
    if paid_of(work.session, [invoice.id]).get(invoice.id):
        msg = "По этому счёту есть оплаты: сначала отмените их сопоставление."
        raise Conflict(msg)
    invoice.state, invoice.cancelled_at = "cancelled", work.now
    invoice.cancelled_by, invoice.cancelled_reason = work.actor.person_id, why
    say(work, invoice, _case_of(work.session, invoice), "invoice.cancelled", f"Отменён {title(invoice)}", reason=why)
    return invoice


def restore(work: Work, invoice_id: int) -> Invoice:
    """Take the cancelling of an invoice back."""
    invoice = _locked(work, invoice_id)
    if invoice.state == "issued":
        return invoice
    invoice.state, invoice.cancelled_at, invoice.cancelled_by, invoice.cancelled_reason = "issued", None, None, None
    said = f"Возвращён {title(invoice)}: отмена снята"
    say(work, invoice, _case_of(work.session, invoice), "invoice.restored", said)
    return invoice


def attach(work: Work, invoice_id: int, deal_id: int) -> Invoice:
    """Give an invoice that came without a deal to a deal; Conflict when it belongs to another one already."""
    deal = deals.get_deal(work, deal_id)
    invoice = _row(work, invoice_id)
    if invoice.deal_id is not None and invoice.deal_id != deal_id:
        msg = f"{_capital(title(invoice))} уже относится к сделке № {invoice.deal_id}."
        raise Conflict(msg)
    if invoice.deal_id is None:
        invoice.deal_id = deal_id
        if invoice.company_id is None:
            invoice.company_id = deal.company_id
        said = f"{_capital(title(invoice))} отнесён к сделке «{deal.title}»"
        say(work, invoice, deal.case_id, "invoice.attached", said)
    return invoice


def invoice_of(session: Session, invoice_id: int) -> Invoice:
    """Return an invoice; NotFound when there is none."""
    found = session.get(Invoice, invoice_id)
    if found is None:
        msg = f"Счёта с записью № {invoice_id} нет."
        raise NotFound(msg)
    return found


def with_number(session: Session, organisation: str, year: int, key: str) -> Invoice | None:
    """Return the organisation's invoice of this number key and year, cancelled or not."""
    wanted = (Invoice.organisation == organisation, Invoice.year == year, Invoice.number_key == key)
    return session.scalars(select(Invoice).where(*wanted)).first()


def of_deal(session: Session, deal_id: int) -> list[Invoice]:
    """Return the invoices of a deal, the newest first."""
    order = (Invoice.date.desc(), Invoice.id.desc())
    return list(session.scalars(select(Invoice).where(Invoice.deal_id == deal_id).order_by(*order)))


def paid_of(session: Session, invoice_ids: Iterable[int]) -> dict[int, Decimal]:
    """Return how much of each invoice is paid, in roubles (its active allocations); unpaid ones are absent."""
    wanted = list(invoice_ids)
    if not wanted:
        return {}
    total = func.sum(PaymentAllocation.amount)
    rows = session.execute(
        select(PaymentAllocation.invoice_id, total)
        .where(among(PaymentAllocation.invoice_id, wanted), PaymentAllocation.undone_at.is_(None))  # type: ignore[arg-type]
        .group_by(PaymentAllocation.invoice_id)
    )
    return {int(one): paid for one, paid in rows if one is not None and paid}


def balance_due(session: Session, invoice: Invoice) -> Decimal:
    """Return what of an invoice is still to be paid, in roubles; negative when it is overpaid, zero when cancelled."""
    if invoice.state != "issued":
        return Decimal(0)
    return invoice.amount - paid_of(session, [invoice.id]).get(invoice.id, Decimal(0))


def title(invoice: Invoice) -> str:
    """Return «счёт № 15 от 21.11.2026»."""
    return f"счёт № {invoice.number} от {invoice.date:%d.%m.%Y}"


def _new(work: Work, deal: Deal, *, organisation: str, day: dt.date, number: str, key: str, amount: Decimal,
         vat: str | None, comment: str, source: str, sequence: int | None) -> Invoice:  # fmt: skip
    rate = vat or None
    if rate is not None and rate not in VAT_TITLES:
        msg = f"Ставка НДС – одна из: {', '.join(VAT_TITLES.values())}."
        raise InvalidInput(msg, "vat")
    said = (comment or "").strip()
    if len(said) > LONGEST_COMMENT or not storable(said):
        msg = f"Комментарий – до {LONGEST_COMMENT} знаков."
        raise InvalidInput(msg, "comment")
    invoice = Invoice(
        deal_id=deal.id, company_id=deal.company_id, organisation=organisation, year=day.year, number=number,
        number_key=key, sequence=sequence, date=day, amount=amount, vat=rate, vat_amount=_tax(amount, rate),
        state="issued", source=source, comment=said, created_at=work.now, created_by=work.actor.person_id,
    )  # fmt: skip
    work.session.add(invoice)
    work.session.flush()
    return invoice


def _tax(amount: Decimal, vat: str | None) -> Decimal | None:
    if vat is None:
        return None
    rate = _VAT_RATES.get(vat, 0)
    return (amount * rate / (100 + rate)).quantize(Decimal("0.01"))


def say(
    work: Work, invoice: Invoice, case_id: int | None, action: str, said: str, *, reason: str | None = None
) -> None:
    """Write what happened to an invoice: audit, and the event of its deal."""
    work.audit(
        action, said, entity="invoice", entity_id=invoice.id, case_id=case_id, reason=reason,
        after={"number": invoice.number, "amount": invoice.amount, "state": invoice.state, "deal": invoice.deal_id},
    )  # fmt: skip
    if case_id is not None:
        work.emit(
            action.replace(".", "_"), f"on:event:{action.replace('.', '_')}", case_id=case_id,
            visit=f"{action.replace('.', '-')}-{invoice.id}-{work.now.timestamp():.6f}",
            payload={"invoice_id": invoice.id, "deal_id": invoice.deal_id, "amount": invoice.amount},
        )  # fmt: skip
        work.touch(case_id)


def _next_number(work: Work, organisation: str, year: int) -> tuple[int, str, str]:
    """Return the next free number of the organisation's year; others who want one wait their turn."""
    _lock_numbers(work, organisation, year)
    of_year = (Invoice.organisation == organisation, Invoice.year == year)
    last = work.session.scalar(select(func.max(Invoice.sequence)).where(*of_year)) or 0
    while True:  # 1C may have taken a number of ours
        last += 1
        key = number_key(str(last))
        if with_number(work.session, organisation, year, key) is None:
            return last, str(last), key


def _lock_numbers(work: Work, organisation: str, year: int) -> None:
    key = {"key": f"invoice/{organisation}/{year}"}
    work.session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))"), key)


def _issuer(session: Session, organisation: str | None) -> str:
    known = organisations(session)
    if not known:
        msg = "Сначала добавьте наш счёт в банке («Деньги» → «Наши счета»): без него неизвестно, от чьего имени счёт."
        raise InvalidInput(msg, "organisation")
    asked = " ".join((organisation or "").split())
    if not asked and len(known) == 1:
        return known[0]
    if asked not in known:
        msg = f"Выберите организацию: {', '.join(known)}."
        raise InvalidInput(msg, "organisation")
    return asked


def not_invoiced(session: Session, deal: Deal) -> Decimal:
    """Return what of the deal's sum has no invoice yet, in roubles, never below zero."""
    issued = (Invoice.deal_id == deal.id, Invoice.state == "issued")
    total = session.scalar(select(func.sum(Invoice.amount)).where(*issued)) or Decimal(0)
    return max((deal.amount or Decimal(0)) - total, Decimal(0))


def _not_invoiced(session: Session, deal: Deal) -> Decimal:
    left = not_invoiced(session, deal)
    if left <= 0:
        msg = "Введите сумму счёта: вся «Сумма сделки» уже выставлена или ещё не заполнена."
        raise InvalidInput(msg, "amount")
    return left


def _amount(value: Any) -> Decimal:
    try:
        amount = parse_sum("Сумма счёта", value)
    except InvalidInput as error:
        raise InvalidInput(str(error), "amount") from error
    if amount <= 0:
        msg = "Сумма счёта – больше нуля."
        raise InvalidInput(msg, "amount")
    return amount


def _day(day: dt.date) -> dt.date:
    if not EARLIEST <= day <= LATEST:
        msg = "Дата счёта – от 2000 до 2100 года."
        raise InvalidInput(msg, "date")
    return day


def _reason(reason: str) -> str:
    why = (reason or "").strip()
    if not visible(why) or len(why) > LONGEST_REASON or not storable(why):
        msg = f"Напишите причину (до {LONGEST_REASON} знаков)."
        raise InvalidInput(msg, "reason")
    return why


def _case_of(session: Session, invoice: Invoice) -> int | None:
    return session.scalar(select(Deal.case_id).where(Deal.id == invoice.deal_id)) if invoice.deal_id else None


def _locked(work: Work, invoice_id: int) -> Invoice:
    """Return an invoice for a change: its deal's case is locked first, as everywhere."""
    known = invoice_of(work.session, invoice_id)
    case_id = _case_of(work.session, known)
    if case_id is not None:
        work.lock_case(case_id)
    return _row(work, invoice_id)


def _row(work: Work, invoice_id: int) -> Invoice:
    found = work.session.get(Invoice, invoice_id, with_for_update=True, populate_existing=True)
    if found is None:
        return invoice_of(work.session, invoice_id)
    return found


def _capital(said: str) -> str:
    return said[:1].upper() + said[1:]


def company_name(session: Session, invoice: Invoice) -> str:
    """Return the name of whom the invoice is to, empty when it is unknown."""
    return session.scalar(select(Company.name).where(Company.id == invoice.company_id)) or ""
