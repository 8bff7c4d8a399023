"""What a person may give a payment to by hand, and which deals an invoice from 1C may belong to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, union_all
from sqlalchemy.orm import Session

from include.companies.models import Company
from include.deals.models import Deal
from include.money import allocation, invoices
from include.money.models import Invoice, Payment
from include.money.rights import require_money
from include.shared.db import among
from include.shared.numbers import number_key
from include.shared.search import SHORTEST, found_in, number_of, words_of
from include.staff.services import Viewer
from include.workplace.money_refs import deal_refs
from include.workplace.money_shapes import DealTarget, Target

MOST_DEALS, MOST_TARGETS = 30, 60
SHORTEST_INN = 4
ZERO = Decimal(0)


def targets(session: Session, viewer: Viewer, payment_id: int, find: str) -> list[Target]:
    """Return the open invoices and deals that a payment may be for: of its payer, or those that a text finds.

    The text is a number of an invoice or deal, words of a deal's title or a client's name, or the beginning of an
    ИНН. Of an outgoing payment those that have received money: it is a refund.
    """
    require_money(viewer)
    payment = allocation.payment_of(session, payment_id)
    client = Company.inn == payment.counter_inn if payment.counter_inn else Company.id == (payment.company_id or 0)
    deals = _deals(session, _found(find) if find.strip() else select(Deal.id).join(Company).where(client))
    refund = payment.direction == allocation.REFUND
    found = _rows(session, deals, payment, refund=refund)
    left = payment.amount - abs(payment.allocated)
    return sorted(found, key=lambda one: _order(one, left))[:MOST_TARGETS]


def deals_of_invoice(session: Session, viewer: Viewer, invoice_id: int, find: str) -> list[DealTarget]:
    """Return the deals that an invoice may belong to: of its client, or those that a text finds."""
    require_money(viewer)
    invoice = invoices.invoice_of(session, invoice_id)
    of_client = select(Deal.id).where(Deal.company_id == invoice.company_id)
    deals = _deals(session, _found(find) if find.strip() else of_client)
    issued = _issued(session, [one.id for one, _ in deals])
    refs = deal_refs(session, {one.id for one, _ in deals})
    found = []
    for deal, company in deals:
        lacks = max((deal.amount or ZERO) - issued.get(deal.id, ZERO), ZERO)
        same = company is not None and company.id == invoice.company_id
        found.append(
            DealTarget(
                deal=refs[deal.id], company=company.name if company else None, amount=deal.amount, not_invoiced=lacks,
                same_client=same, fits=lacks == invoice.amount,
            )
        )  # fmt: skip
    return sorted(found, key=lambda one: (not one.fits, one.deal.over is not None, not one.same_client, -one.deal.id))


def _found(find: str) -> Select[Any]:
    """Return the ids of the deals that a text finds; each way to a deal has its own index."""
    words, number, key, digits = words_of(find), number_of(find), number_key(find), find.strip()
    ways: list[Select[Any]] = [select(Invoice.deal_id.label("id")).where(Invoice.number_key == key)]
    if number is not None:
        ways.append(select(Deal.id).where(Deal.id == number))
    if words and sum(map(len, words)) >= SHORTEST:
        ways.append(select(Deal.id).where(found_in(Deal.title, words)))
        ways.append(select(Deal.id).join(Company, Company.id == Deal.company_id).where(found_in(Company.name, words)))
    if digits.isascii() and digits.isdigit() and SHORTEST_INN <= len(digits) <= 12:
        of_inn: ColumnElement[bool] = Company.inn.startswith(digits)
        ways.append(select(Deal.id).join(Company, Company.id == Deal.company_id).where(of_inn))
    return union_all(*ways).subquery().select()


def _deals(session: Session, ids: Select[Any]) -> list[tuple[Deal, Company | None]]:
    rows = session.execute(
        select(Deal, Company)
        .outerjoin(Company, Company.id == Deal.company_id)
        .where(Deal.id.in_(ids))
        .order_by(Deal.closed_at.is_(None).desc(), Deal.id.desc())
        .limit(MOST_DEALS)
    )
    return [(deal, company) for deal, company in rows]


def _rows(
    session: Session, deals: Sequence[tuple[Deal, Company | None]], payment: Payment, *, refund: bool
) -> list[Target]:
    ids = [one.id for one, _ in deals]
    of_deals = among(Invoice.deal_id, ids)  # type: ignore[arg-type]
    issued = session.scalars(
        select(Invoice).where(of_deals, Invoice.state == "issued").order_by(Invoice.date, Invoice.id)
    ).all()
    paid = invoices.paid_of(session, [one.id for one in issued])
    refs = deal_refs(session, ids)
    found = []
    for deal, company in deals:
        same = bool(company and payment.counter_inn and company.inn == payment.counter_inn)
        about: dict[str, Any] = {
            "deal": refs[deal.id], "company": company.name if company else None,
            "inn": company.inn if company else None, "same_client": same,
        }  # fmt: skip
        for one in issued:
            received = paid.get(one.id, ZERO)
            due = received if refund else one.amount - received
            if one.deal_id == deal.id and due > 0:
                found.append(
                    Target(**about, invoice_id=one.id, invoice=invoices.title(one), amount=one.amount, due=due)
                )
        due = deal.paid if refund else deal.debt
        if not refund or due > 0:
            found.append(Target(**about, invoice_id=None, invoice=None, amount=deal.amount or ZERO, due=due))
    return found


def _issued(session: Session, ids: Collection[int]) -> dict[int, Decimal]:
    rows = session.execute(
        select(Invoice.deal_id, func.sum(Invoice.amount))
        .where(among(Invoice.deal_id, list(ids)), Invoice.state == "issued")  # type: ignore[arg-type]
        .group_by(Invoice.deal_id)
    )
    return {int(deal_id): total for deal_id, total in rows if deal_id is not None}


def _order(one: Target, left: Decimal) -> tuple[Any, ...]:
    """Put the client's own first, then what waits for this very sum, then invoices before deals without one."""
    return (one.deal.over is not None, not one.same_client, one.due != left, one.invoice_id is None, -one.deal.id)
