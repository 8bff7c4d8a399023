"""What a waiting payment may be for, as the page offers it: the decisions of the matching with deals and invoices."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.money import candidates, invoices
from include.money.models import Invoice, Payment
from include.money.rules import Decision, Share
from include.shared.db import among
from include.workplace.money_refs import deal_refs
from include.workplace.money_shapes import SuggestedPart, Suggestion


def suggestions(session: Session, payments: Sequence[Payment]) -> dict[int, list[Suggestion]]:
    """Return what each payment may be for, the likeliest first; payments without any suggestion are absent."""
    found = candidates.decisions(session, [one for one in payments if one.amount > abs(one.allocated)])
    ways = {payment_id: _ways(decision) for payment_id, decision in found.items()}
    shares = [share for ways_of in ways.values() for shares_of, _, _ in ways_of for share in shares_of]
    known = _Known(session, shares)
    return {
        payment_id: [
            Suggestion(parts=[known.part(one) for one in shares_of], why=why, entered=entered)
            for shares_of, why, entered in ways_of
        ]
        for payment_id, ways_of in ways.items()
        if ways_of
    }


class _Known:
    """The deals and invoices that shares name, read by three questions however many shares there are."""

    def __init__(self, session: Session, shares: Sequence[Share]) -> None:
        ids = {one.invoice_id for one in shares}
        self.deals = deal_refs(session, {one.deal_id for one in shares})
        self.invoices = {one.id: one for one in session.scalars(select(Invoice).where(among(Invoice.id, list(ids))))}
        self.paid = invoices.paid_of(session, ids)

    def part(self, share: Share) -> SuggestedPart:
        """Return a share as the page shows it."""
        invoice = self.invoices[share.invoice_id]
        return SuggestedPart(
            deal=self.deals[share.deal_id], invoice_id=invoice.id, invoice=invoices.title(invoice),
            invoice_due=invoice.amount - self.paid.get(invoice.id, Decimal(0)), amount=share.amount,
        )  # fmt: skip


def _ways(decision: Decision) -> list[tuple[tuple[Share, ...], str, bool]]:
    certain = [(decision.shares, decision.why, False)] if decision.shares else []
    return [*certain, *((one.shares, one.why, one.entered) for one in decision.proposals)]
