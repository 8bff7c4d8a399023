"""What a deal owes: kept with every change of its sums, and checked every night (R002-74, A2-34)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import text

from include.deals.models import Deal
from include.deals.rules import debt
from include.notices.services import notify
from include.shared.db import query_text
from include.shared.texts import roubles
from include.shared.work import Actor, Work, transaction
from include.staff.services import holders

ACCOUNTANT = "accountant"
NIGHTLY = "Ночная сверка долга"
NIGHT = Actor(kind="system")
AT_A_TIME = 500


@dataclass(frozen=True)
class Checked:
    """What a nightly check has found and put right."""

    mended: int
    overpaid: int  # how many of them turned out to be paid too much

    @property
    def text(self) -> str:
        """Return the result in words."""
        if not self.mended:
            return f"{NIGHTLY}: расхождений нет."
        return f"{NIGHTLY}: исправлено сделок – {self.mended}, из них с новой переплатой – {self.overpaid}."


@dataclass(frozen=True)
class _Change:
    deal_id: int
    case_id: int
    title: str
    before: tuple[Decimal, Decimal]
    after: tuple[Decimal, Decimal]

    @property
    def overpaid_more(self) -> bool:
        return self.after[1] > self.before[1]


def recalculate(work: Work, deal: Deal) -> None:
    """Keep what the deal owes now, in the transaction that changed its sums; an overpayment is told (A2-20, A2-34)."""
    after = debt(deal.amount, deal.paid)
    before = (deal.debt, deal.overpaid)
    if after == before:
        return
    deal.debt, deal.overpaid = after
    work.session.flush()
    _record(work, _Change(deal.id, deal.case_id, deal.title, before, after))


def nightly_check() -> Checked:
    """Put right every debt that differs from its sums, with a trace; whoever waits for it looks again (R002-74)."""
    mended = overpaid = 0
    while found := _mend_some():
        mended += len(found)
        overpaid += sum(1 for one in found if one.overpaid_more)
    return Checked(mended, overpaid)


def _mend_some() -> list[_Change]:
    with transaction(NIGHT) as work:
        rows = work.session.execute(text(query_text("deals/mend_debts")), {"most": AT_A_TIME}).all()
        changes = [
            _Change(row.id, row.case_id, row.title, (row.was_debt, row.was_overpaid), (row.debt, row.overpaid))
            for row in rows
        ]
        for one in changes:
            _record(work, one, NIGHTLY)
        return changes


def _record(work: Work, change: _Change, reason: str | None = None) -> None:
    (debt_before, over_before), (debt_after, over_after) = change.before, change.after
    said = []
    if debt_before != debt_after:
        said.append(f"Долг: {roubles(debt_before)} → {roubles(debt_after)}")
    if over_before != over_after:
        said.append(f"Переплата: {roubles(over_before)} → {roubles(over_after)}")
    work.audit(
        "deal.debt_changed", "; ".join(said), entity="deal", entity_id=change.deal_id, case_id=change.case_id,
        before={"debt": debt_before, "overpaid": over_before}, after={"debt": debt_after, "overpaid": over_after},
        reason=reason,
    )  # fmt: skip
    if change.overpaid_more:
        notify(
            work, holders(work.session, ACCOUNTANT), f"Переплата {roubles(over_after)} по сделке «{change.title}»",
            key=f"deal-{change.deal_id}/overpaid/{over_after:.2f}", case_id=change.case_id,
        )  # fmt: skip
    work.touch(change.case_id)
