"""Invoices of 1C become ours, with the deal they belong to where that is certain (R002-7, R002-8)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from include.deals.models import Deal
from include.money import invoices, matching
from include.money.accounts import organisations
from include.money.models import Invoice
from include.shared.db import among, query_text
from include.shared.texts import roubles
from include.shared.work import Work

ENDED_IN_1C = "Отменён или помечен на удаление в 1С"
UNKNOWN = "Организация из 1С"


def invoices_from_documents(work: Work, exchange_id: int) -> int:
    """Make the invoices that an exchange brought ours, in its transaction; returns how many are new or changed.

    1C is the master of what it made; an invoice of ours, or recorded by a person, only learns its Ид. One that 1C ended
    is cancelled unless money was matched to it: then the reconciliation says so. Payments that named a new one while
    nobody knew it are looked at anew.
    """
    values = {"exchange_id": exchange_id}
    rows = [
        dict(row) for row in work.session.execute(text(query_text("money/invoices_of_exchange")), values).mappings()
    ]
    if not rows:
        return 0
    cases = _cases(work.session, {row["deal_id"] for row in rows if row["deal_id"] is not None})
    work.lock_cases(cases.values())
    known = {
        one.id: one
        for one in work.session.scalars(
            select(Invoice).where(among(Invoice.id, [row["invoice_id"] for row in rows if row["invoice_id"]]))
            .order_by(Invoice.id).with_for_update()
        )
    }  # fmt: skip
    issuers = organisations(work.session)
    paid = invoices.paid_of(work.session, known)
    keys, changed = [], 0
    for row in rows:
        found = known.get(row["invoice_id"] or 0)
        if found is None:
            made = _add(work, row, _issuer(row, issuers), cases)
            keys += [made.number_key] if made is not None else []
            changed += made is not None
        else:
            changed += _update(work, found, row, cases, is_paid=bool(paid.get(found.id)))
    matching.reconsider(work, keys)
    return changed


def _add(work: Work, row: Mapping[str, Any], issuer: str, cases: Mapping[int, int]) -> Invoice | None:
    if row["is_ended"]:
        return None
    twin = invoices.with_number(work.session, issuer, row["date"].year, row["number_key"])
    if twin is not None:  # the number is taken by an invoice for somebody else: the reconciliation compares them
        return None
    company_id = row["company_id"]
    made = Invoice(
        deal_id=row["deal_id"], company_id=company_id, organisation=issuer, year=row["date"].year,
        number=row["number"], number_key=row["number_key"], date=row["date"], amount=row["amount"], state="issued",
        source="one_c", external_id=row["external_id"], created_at=work.now,
    )  # fmt: skip
    work.session.add(made)
    work.session.flush()
    said = f"Из 1С пришёл {invoices.title(made)} на {roubles(made.amount)}"
    invoices.say(work, made, cases.get(made.deal_id or 0), "invoice.from_1c", said)
    return made


def _update(work: Work, one: Invoice, row: Mapping[str, Any], cases: Mapping[int, int], *, is_paid: bool) -> bool:
    before = (one.external_id, one.number, one.date, one.amount, one.deal_id, one.company_id, one.state)
    one.external_id = row["external_id"]
    if one.deal_id is None and row["deal_id"] is not None:
        one.deal_id = row["deal_id"]
    if one.source == "one_c":
        one.amount, one.company_id = row["amount"], row["company_id"] or one.company_id
        if row["is_ended"] and one.state == "issued" and not is_paid:
            one.state, one.cancelled_at, one.cancelled_reason = "cancelled", work.now, ENDED_IN_1C
        elif not row["is_ended"] and one.state == "cancelled" and one.cancelled_reason == ENDED_IN_1C:
            one.state, one.cancelled_at, one.cancelled_reason = "issued", None, None
    if before == (one.external_id, one.number, one.date, one.amount, one.deal_id, one.company_id, one.state):
        return False
    work.session.flush()
    case_id = _cases(work.session, {one.deal_id}).get(one.deal_id) if one.deal_id is not None else None
    invoices.say(work, one, cases.get(one.deal_id or 0, case_id), "invoice.changed_in_1c",
                 f"1С изменила {invoices.title(one)}: {roubles(one.amount)}")  # fmt: skip
    return True


def _issuer(row: Mapping[str, Any], issuers: list[str]) -> str:
    """Return whose invoice it is: as 1C says, else the only organisation that we know."""
    said = row["organisation"]
    if said is not None and (said in issuers or len(issuers) != 1):
        return str(said)
    return issuers[0] if len(issuers) == 1 else UNKNOWN


def _cases(session: Session, deal_ids: Collection[int]) -> dict[int, int]:
    rows = session.execute(select(Deal.id, Deal.case_id).where(among(Deal.id, deal_ids)))
    return {row.id: row.case_id for row in rows}
