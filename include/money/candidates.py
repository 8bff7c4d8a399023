"""Which invoices a payment may be for, as the matching looks at them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import date

from sqlalchemy import text
from sqlalchemy.orm import Session

from include.money.legs import deal_number
from include.money.models import Payment
from include.money.purposes import Mention, invoice_mentions, listed_numbers
from include.money.rules import Candidate, Decision, PaymentFacts, decide
from include.shared.db import query_text

MOST_OF_PAYER = 50


def find(session: Session, payment_ids: Collection[int]) -> dict[int, list[Candidate]]:
    """Return the invoices that each payment may be for, by one question; payments without any are absent."""
    found: dict[int, list[Candidate]] = defaultdict(list)
    if not payment_ids:
        return found
    rows = session.execute(
        text(query_text("money/candidates")), {"ids": list(payment_ids), "most": MOST_OF_PAYER}
    ).mappings()
    for row in rows:
        found[row["payment_id"]].append(
            Candidate(
                invoice_id=row["invoice_id"], number=row["number"], number_key=row["number_key"], date=row["date"],
                amount=row["amount"], paid=row["paid"], inn=row["inn"], deal_id=row["deal_id"],
                entered=row["entered"], deal_lost=row["deal_kind"] == "lost",
            )
        )  # fmt: skip
    return found


def decisions(session: Session, payments: Sequence[Payment]) -> dict[int, Decision]:
    """Return what the rules say of each payment as things are now (R002-74)."""
    found = find(session, [one.id for one in payments])
    return {one.id: decide(_facts(one, found.get(one.id, [])), found.get(one.id, [])) for one in payments}


def _facts(payment: Payment, candidates: Sequence[Candidate]) -> PaymentFacts:
    return PaymentFacts(
        amount=payment.amount - abs(payment.allocated), direction=payment.direction, inn=payment.counter_inn,
        purpose=payment.purpose, mentions=_mentions(payment, candidates),
    )  # fmt: skip


def _mentions(payment: Payment, candidates: Sequence[Candidate]) -> tuple[Mention, ...] | None:
    """Return what a row of a sheet names in its own columns too; None for a bank's payment: its purpose says it all."""
    if payment.source != "sheet":
        return None
    said = payment.details
    day = date.fromisoformat(said["invoice_date"]) if said.get("invoice_date") else None
    named = [*listed_numbers(said.get("invoice") or "", day), *invoice_mentions(payment.purpose)]
    deal_id = deal_number(said.get("deal"))
    if not named and deal_id is not None:
        named = [
            Mention(one.number, one.number_key, one.date)
            for one in candidates
            if one.deal_id == deal_id and one.due > 0
        ]
    return tuple({one.number_key: one for one in reversed(named)}.values())
