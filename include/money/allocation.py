"""What a payment pays for: allocated to deals and their invoices, taken back with a reason, put aside.

The cases of the deals are locked first, in their order, then the payment: so a balance that was looked at under the
lock of its deal's case is still the balance when the money is counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from include.deals import services as deals
from include.deals.models import Deal, Stage
from include.money import invoices
from include.money.models import Invoice, Payment, PaymentAllocation
from include.notices.services import notify
from include.shared.db import among
from include.shared.errors import Conflict, InvalidInput, NotFound
from include.shared.texts import roubles, storable, visible
from include.shared.work import Work

LONGEST_REASON = 1000
REFUND, INCOME = "out", "in"
OPEN_STATES = frozenset({"new", "queue", "matched", "spent"})  # a payment of these may be given to a deal


@dataclass(frozen=True)
class Part:
    """A part of a payment: for which deal, by which invoice of it, how much in roubles (above zero)."""

    deal_id: int
    amount: Decimal
    invoice_id: int | None = None


@dataclass(frozen=True)
class Allocated:
    """What was allocated, and what the person should know of it."""

    allocations: list[PaymentAllocation]
    warnings: list[str]


def allocate(
    work: Work,
    payment_id: int,
    parts: Sequence[Part],
    *,
    how: str,
    why: str = "",
    counted: bool = False,
) -> Allocated:
    """Give a payment, or a part of it, to deals and invoices: «Сумма оплаты» rises, debt falls (R002-43, R002-74).

    An outgoing payment is a refund: its allocations are negative and «Сумма оплаты» falls. With ``counted`` a person
    has entered the same money by hand before: the sum is raised only by what it lacks. Conflict when more is given than
    is left of the payment, InvalidInput names what is wrong with a part.
    """
    joined = _joined(parts)
    found = _deals(work.session, [one.deal_id for one in joined])
    work.lock_cases(one.case_id for one in found.values())
    payment = locked_payment(work, payment_id)
    if payment.state not in OPEN_STATES:
        raise Conflict(_closed(payment))
    sign = -1 if payment.direction == REFUND else 1
    given = sum((one.amount for one in joined), Decimal(0))
    left = payment.amount - abs(payment.allocated)
    if given > left:
        msg = f"Распределено больше, чем осталось от платежа: {roubles(given)} из {roubles(left)}."
        raise Conflict(msg)
    made = [_allocation(work, payment, part, found[part.deal_id], sign, how, why) for part in joined]
    work.session.add_all(made)
    work.session.flush()
    payment.allocated += sign * given
    payment.state = "matched" if abs(payment.allocated) == payment.amount else "queue"
    payment.decided_at, payment.decided_by, payment.decided_reason = work.now, work.actor.person_id, why or None
    warnings: list[str] = []
    for deal_id, of_deal in _by_deal(made).items():
        deal = found[deal_id]
        work.session.refresh(deal)
        _raise_paid(work, deal, of_deal, counted=counted)
        for one in of_deal:
            _say(work, payment, one, deal)
        warnings += _warnings(work.session, deal)
    work.session.flush()
    return Allocated(made, warnings)


def undo(work: Work, allocation_id: int, reason: str) -> PaymentAllocation:
    """Take one allocation back: «Сумма оплаты» falls by what it had raised, the payment waits in the queue again.

    The allocation stays with who, when and why. InvalidInput without a reason, Conflict when it is taken back already.
    """
    why = clean_reason(reason)
    known = work.session.get(PaymentAllocation, allocation_id)
    if known is None:
        msg = f"Сопоставления № {allocation_id} нет."
        raise NotFound(msg)
    deal = deals.get_deal(work, known.deal_id)
    payment = locked_payment(work, known.payment_id)
    work.session.refresh(known)
    if known.undone_at is not None:
        msg = "Это сопоставление уже отменено. Обновите страницу."
        raise Conflict(msg)
    known.undone_at, known.undone_by, known.undone_reason = work.now, work.actor.person_id, why
    payment.allocated -= known.amount
    payment.state = "queue"
    payment.decided_at, payment.decided_by, payment.decided_reason = work.now, work.actor.person_id, why
    before = deal.paid
    after = max(deal.paid - known.raised, Decimal(0))
    work.session.flush()
    if after != before:
        deals.set_fields(work, deal.id, {"paid": after})
    said = f"Сопоставление отменено: {roubles(abs(known.amount))}, {payment_title(payment)}"
    work.audit(
        "payment.unmatched", said, entity="payment", entity_id=payment.id, case_id=deal.case_id, reason=why,
        before={"allocation": known.id, "amount": known.amount, "paid": before}, after={"paid": after},
    )  # fmt: skip
    work.touch(deal.case_id)
    if after < before:
        notify(
            work, [deal.responsible_id],
            f"Оплата {roubles(known.raised)} снята со сделки «{deal.title}»: {why}",
            key=f"allocation-{known.id}/undone", case_id=deal.case_id,
        )  # fmt: skip
    return known


def unmatch(work: Work, payment_id: int, reason: str) -> list[PaymentAllocation]:
    """Take all that a payment was given to back; Conflict when it was given to nothing."""
    clean_reason(reason)
    active = (PaymentAllocation.payment_id == payment_id, PaymentAllocation.undone_at.is_(None))
    found = work.session.execute(
        select(PaymentAllocation.id, Deal.case_id)
        .join(Deal, Deal.id == PaymentAllocation.deal_id)
        .where(*active)
        .order_by(PaymentAllocation.id)
    ).all()
    if not found:
        payment_of(work.session, payment_id)
        msg = "Платёж ни с чем не сопоставлен."
        raise Conflict(msg)
    work.lock_cases(one.case_id for one in found)
    return [undo(work, one.id, reason) for one in found]


def ignore(work: Work, payment_id: int, reason: str) -> Payment:
    """Put a payment aside as no client's: it leaves the queue, with a reason; Conflict when it is matched."""
    why = clean_reason(reason)
    payment = locked_payment(work, payment_id)
    if payment.state == "ignored":
        return payment
    if payment.allocated:
        msg = "Платёж сопоставлен: сначала отмените сопоставление."
        raise Conflict(msg)
    if payment.state not in ("new", "queue"):
        raise Conflict(_closed(payment))
    return _decide(work, payment, "ignored", "payment.ignored", f"Отложен как не от клиента: {why}", why)


def to_queue(work: Work, payment_id: int, reason: str = "") -> Payment:
    """Put an ignored payment, or an outgoing one that turns out to be a refund, into the queue to be decided."""
    payment = locked_payment(work, payment_id)
    if payment.state == "queue":
        return payment
    if payment.state not in ("ignored", "spent"):
        raise Conflict(_closed(payment))
    return _decide(work, payment, "queue", "payment.queued", "Возвращён в разбор", reason.strip() or None)


def payment_of(session: Session, payment_id: int) -> Payment:
    """Return a payment; NotFound when there is none."""
    found = session.get(Payment, payment_id)
    if found is None:
        msg = f"Платежа № {payment_id} нет."
        raise NotFound(msg)
    return found


def locked_payment(work: Work, payment_id: int) -> Payment:
    """Return a payment locked for a change; NotFound when there is none."""
    found = work.session.get(Payment, payment_id, with_for_update=True, populate_existing=True)
    return found if found is not None else payment_of(work.session, payment_id)


def allocated_to_deals(session: Session, deal_ids: Sequence[int]) -> dict[int, Decimal]:
    """Return the sum of active allocations of each deal, in roubles; deals without any are absent."""
    rows = session.execute(
        select(PaymentAllocation.deal_id, func.sum(PaymentAllocation.amount))
        .where(among(PaymentAllocation.deal_id, deal_ids), PaymentAllocation.undone_at.is_(None))
        .group_by(PaymentAllocation.deal_id)
    )
    return {int(deal_id): total for deal_id, total in rows}


def payment_title(payment: Payment) -> str:
    """Return «платёж № 7 от 21.11.2026, ООО „Ромашка“»."""
    payer = f", {payment.counter_name}" if payment.counter_name else ""
    kind = "возврат" if payment.direction == REFUND else "платёж"
    return f"{kind} № {payment.number or 'б/н'} от {payment.date:%d.%m.%Y}{payer}"


def clean_reason(reason: str) -> str:
    """Return a reason without outer spaces; InvalidInput when it is missing, too long or broken."""
    why = (reason or "").strip()
    if not visible(why) or len(why) > LONGEST_REASON or not storable(why):
        msg = f"Напишите причину (до {LONGEST_REASON} знаков)."
        raise InvalidInput(msg, "reason")
    return why


def _joined(parts: Sequence[Part]) -> list[Part]:
    """Put parts for the same deal and invoice together; InvalidInput when there are none or a sum is not positive."""
    sums: dict[tuple[int, int | None], Decimal] = defaultdict(Decimal)
    for one in parts:
        if one.amount <= 0 or one.amount != one.amount.quantize(Decimal("0.01")):
            msg = "Сумма каждой части – больше нуля, с точностью до копейки."
            raise InvalidInput(msg, "amount")
        sums[one.deal_id, one.invoice_id] += one.amount
    if not sums:
        msg = "Выберите, за что этот платёж."
        raise InvalidInput(msg, "deal_id")
    return [Part(deal_id, amount, invoice_id) for (deal_id, invoice_id), amount in sums.items()]


def _deals(session: Session, ids: Sequence[int]) -> dict[int, Deal]:
    found = {one.id: one for one in session.scalars(select(Deal).where(among(Deal.id, set(ids))))}
    for one in ids:
        if one not in found:
            msg = f"Сделки № {one} нет."
            raise InvalidInput(msg, "deal_id")
    return found


def _allocation(
    work: Work, payment: Payment, part: Part, deal: Deal, sign: int, how: str, why: str
) -> PaymentAllocation:
    if part.invoice_id is not None:
        invoice = work.session.get(Invoice, part.invoice_id, populate_existing=True)
        if invoice is None or invoice.deal_id != deal.id:
            msg = f"У сделки «{deal.title}» нет такого счёта."
            raise InvalidInput(msg, "invoice_id")
        if invoice.state != "issued":
            msg = f"{invoices.title(invoice)[:1].upper()}{invoices.title(invoice)[1:]} отменён."
            raise InvalidInput(msg, "invoice_id")
    same = select(PaymentAllocation.id).where(
        PaymentAllocation.payment_id == payment.id,
        PaymentAllocation.deal_id == deal.id,
        PaymentAllocation.invoice_id.is_not_distinct_from(part.invoice_id),
        PaymentAllocation.undone_at.is_(None),
    )
    if work.session.scalar(same) is not None:
        msg = "Этот платёж уже сопоставлен с этим счётом. Обновите страницу."
        raise Conflict(msg)
    return PaymentAllocation(
        payment_id=payment.id, deal_id=deal.id, invoice_id=part.invoice_id, amount=sign * part.amount,
        raised=Decimal(0), how=how, why=why, at=work.now, by=work.actor.person_id,
    )  # fmt: skip


def _raise_paid(work: Work, deal: Deal, made: Sequence[PaymentAllocation], *, counted: bool) -> None:
    """Bring «Сумма оплаты» up by what is allocated; each allocation keeps by how much it did."""
    before = deal.paid
    change = sum((one.amount for one in made), Decimal(0))
    if counted and change > 0:
        known = allocated_to_deals(work.session, [deal.id]).get(deal.id, Decimal(0))
        change = min(max(known - before, Decimal(0)), change)
    if before + change < 0:
        msg = f"Возврат больше, чем оплачено по сделке «{deal.title}»: оплачено {roubles(before)}."
        raise Conflict(msg)
    left = change
    for one in made:
        one.raised = one.amount if not counted or one.amount < 0 else min(left, one.amount)
        left -= one.raised
    work.session.flush()
    if change:
        deals.set_fields(work, deal.id, {"paid": before + change})
    work.touch(deal.case_id)


def _by_deal(made: Sequence[PaymentAllocation]) -> dict[int, list[PaymentAllocation]]:
    found: dict[int, list[PaymentAllocation]] = defaultdict(list)
    for one in sorted(made, key=lambda one: one.deal_id):
        found[one.deal_id].append(one)
    return found


def _say(work: Work, payment: Payment, one: PaymentAllocation, deal: Deal) -> None:
    invoice = work.session.get(Invoice, one.invoice_id) if one.invoice_id is not None else None
    by = f" по документу «{invoices.title(invoice)}»" if invoice is not None else ""
    what = "Возврат" if one.amount < 0 else "Оплата"
    found = "найдено само" if one.how == "auto" else "сопоставлено вручную"
    work.audit(
        "payment.matched", f"{what} {roubles(abs(one.amount))}{by}: {payment_title(payment)} ({found})",
        entity="payment", entity_id=payment.id, case_id=deal.case_id, reason=one.why or None,
        after={"allocation": one.id, "invoice": one.invoice_id, "amount": one.amount, "raised": one.raised},
    )  # fmt: skip


def _warnings(session: Session, deal: Deal) -> list[str]:
    stage = session.get_one(Stage, deal.stage_id)
    said = []
    if stage.kind == "lost":
        said.append(f"Сделка «{deal.title}» проиграна, а деньги по ней пришли: решите, возвращать ли их.")
    elif stage.kind == "won":
        said.append(f"Сделка «{deal.title}» уже закрыта.")
    if deal.overpaid:
        said.append(f"По сделке «{deal.title}» переплата {roubles(deal.overpaid)}.")
    return said


def _decide(work: Work, payment: Payment, state: str, action: str, said: str, reason: str | None) -> Payment:
    before = payment.state
    payment.state, payment.decided_at = state, work.now
    payment.decided_by, payment.decided_reason = work.actor.person_id, reason
    work.audit(
        action, said, entity="payment", entity_id=payment.id, reason=reason,
        before={"state": before}, after={"state": state},
    )  # fmt: skip
    return payment


def _closed(payment: Payment) -> str:
    said = {
        "ignored": "Платёж отложен как не от клиента: сначала верните его в разбор.",
        "internal": "Это перевод между нашими счетами.",
        "spent": "Это наш платёж: если он – возврат клиенту, сначала отправьте его в разбор.",
        "matched": "Платёж сопоставлен полностью. Обновите страницу.",
        "queue": "Платёж ждёт разбора. Обновите страницу.",
        "new": "Платёж ещё не смотрели. Обновите страницу.",
    }
    return said[payment.state]
