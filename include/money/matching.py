"""The matching of payments: what is certain is allocated at once, the rest goes to the queue with suggestions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from include.deals.models import Deal
from include.money.allocation import Part, allocate
from include.money.candidates import decisions
from include.money.models import Payment
from include.money.rules import Decision, Verdict
from include.shared.db import among
from include.shared.errors import BackofficeError
from include.shared.work import Actor, Work, reading, transaction

PORTION = 200


@dataclass(frozen=True)
class Matched:
    """What a run of the matching brought: payments allocated by it, payments put into the queue."""

    matched: int
    queued: int

    @property
    def text(self) -> str:
        """Return the result in words."""
        if not (self.matched or self.queued):
            return "Новых платежей для сопоставления нет."
        return f"Сопоставлено само: {self.matched}, ждут разбора: {self.queued}."


def run(actor: Actor) -> Matched:
    """Look at every payment that nobody has looked at; safe to repeat, to stop in the middle and to run twice at once.

    Each certain payment is a fact of its own (R002-43, R002-74); it is decided again under the lock of its deals.
    """
    matched = queued = last = 0
    while True:
        with reading() as session:
            rows = session.scalars(
                select(Payment).where(Payment.state == "new", Payment.id > last).order_by(Payment.id).limit(PORTION)
            ).all()
            found = decisions(session, rows)
        if not rows:
            return Matched(matched, queued)
        last = rows[-1].id
        certain = [one.id for one in rows if found[one.id].verdict is Verdict.AUTO]
        for payment_id in certain:
            if _settle(actor, payment_id, found[payment_id]):
                matched += 1
            else:
                queued += 1
        queued += _to_queue(actor, [one.id for one in rows if one.id not in set(certain)])


def reconsider(work: Work, number_keys: Collection[str]) -> int:
    """Let the matching look again at the waiting payments that name one of these invoices; returns how many."""
    keys = sorted({one for one in number_keys if one})
    if not keys:
        return 0
    result = work.session.execute(
        update(Payment)
        .where(
            Payment.state == "queue", Payment.direction == "in", Payment.allocated == 0,
            Payment.mentions.overlap(keys),
        )
        .values(state="new")
    )  # fmt: skip
    return int(result.rowcount)  # type: ignore[attr-defined]


def waiting(session: Session) -> int:
    """Return how many payments the matching has not seen yet."""
    return session.scalar(select(func.count()).where(Payment.state == "new")) or 0


def _settle(actor: Actor, payment_id: int, seen: Decision) -> bool:
    """Allocate a payment that looked certain, if it still is; else it goes to the queue."""
    with transaction(actor) as work:
        cases = select(Deal.case_id).where(among(Deal.id, {one.deal_id for one in seen.shares}))
        work.lock_cases(work.session.scalars(cases))
        payment = work.session.get(Payment, payment_id, with_for_update=True, populate_existing=True)
        if payment is None or payment.state != "new":
            return False
        now = decisions(work.session, [payment])[payment_id]
        certain = now.verdict is Verdict.AUTO and {one.deal_id for one in now.shares} == {
            one.deal_id for one in seen.shares
        }
        if certain:
            parts = [Part(one.deal_id, one.amount, one.invoice_id) for one in now.shares]
            try:
                with work.session.begin_nested():
                    allocate(work, payment_id, parts, how="auto", why=now.why)
            except BackofficeError as refused:
                payment.state, payment.decided_reason = "queue", str(refused)
                return False
            return True
        payment.state = "queue"
        return False


def _to_queue(actor: Actor, ids: list[int]) -> int:
    if not ids:
        return 0
    with transaction(actor) as work:
        moved = update(Payment).where(among(Payment.id, ids), Payment.state == "new").values(state="queue")
        return int(work.session.execute(moved).rowcount)  # type: ignore[attr-defined]
