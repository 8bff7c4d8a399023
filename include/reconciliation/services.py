"""The standing reconciliation (★70): what disagrees is opened once, keeps its age, and closes itself when it agrees."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, cast
from zoneinfo import ZoneInfo

from sqlalchemy import text

from include.deals.rights import ACCOUNTANT
from include.notices.services import notify
from include.shared.db import query_text
from include.shared.settings import value_of
from include.shared.work import Actor, Work, transaction
from include.staff.services import holders

NIGHT = Actor(kind="system")
LOCK = 1_031_270  # pg_advisory_xact_lock: two runs at once come one after another
OFFICE_ZONE = ZoneInfo("Europe/Moscow")
PAYMENT_DAYS, DEFAULT_PAYMENT_DAYS = "reconciliation_payment_days", 3
ORDER_DAYS, DEFAULT_ORDER_DAYS = "reconciliation_order_days", 1
MOST_PAYMENTS = 1_000
ONE_C_ROLE = "one_c"
RULES = (
    "paid_differs",
    "invoice_overpaid",
    "invoices_differ",
    "invoice_without_deal",
    "payment_waits",
    "lost_but_paid",
    "statement_gap",
    "paid_in_one_c_only",
    "invoice_differs_in_one_c",
    "invoice_ended_in_one_c",
    "shipped_unpaid",
    "order_unconfirmed",
)
RAN = "reconciliation.ran"


@dataclass(frozen=True)
class Reconciled:
    """What a run has found: rows opened and closed now, and how many are open after it."""

    opened: int
    closed: int
    open: int
    told: int  # people

    @property
    def text(self) -> str:
        """Return the result in words."""
        if not (self.opened or self.closed or self.open):
            return "Сверка: расхождений нет."
        return f"Сверка: новых расхождений – {self.opened}, закрылось – {self.closed}, открыто – {self.open}."


def run(actor: Actor = NIGHT) -> Reconciled:
    """Compare deals, invoices, documents of 1C and payments, and keep the list of what disagrees (★70).

    One transaction, set-based; a second run at the same time waits and finds nothing new. Whoever owns new rows gets
    one notice of them all.
    """
    with transaction(actor) as work:
        for name in ("statement_timeout", "lock_timeout"):
            work.session.execute(text("SELECT set_config(:name, '10min', true)"), {"name": name})
        work.session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        for made in ("create_found", "documents_of_ours"):
            work.session.execute(text(query_text(f"reconciliation/{made}")))
        values = _values(work)
        for rule in RULES:
            _run(work, rule, values)
        closed = _run(work, "close_agreed", values)
        _run(work, "keep_open", values)
        opened = _run(work, "open_new", values)
        told = _tell(work)
        still = work.session.scalar(text("SELECT count(*) FROM discrepancy WHERE closed_at IS NULL")) or 0
        found = Reconciled(opened, closed, still, told)
        work.audit(RAN, found.text, entity="reconciliation", after={"opened": opened, "closed": closed, "open": still})
        return found


def _values(work: Work) -> dict[str, Any]:
    today: date = work.now.astimezone(OFFICE_ZONE).date()
    return {
        "now": work.now,
        "today": today,
        "accountant": next(iter(holders(work.session, ACCOUNTANT)), None),
        "one_c": next(iter(holders(work.session, ONE_C_ROLE)), None),
        "payment_days": int(value_of(work.session, PAYMENT_DAYS, DEFAULT_PAYMENT_DAYS)),
        "order_days": int(value_of(work.session, ORDER_DAYS, DEFAULT_ORDER_DAYS)),
        "most": MOST_PAYMENTS,
    }


def _run(work: Work, query: str, values: dict[str, Any]) -> int:
    statement = text(query_text(f"reconciliation/{query}"))
    wanted = set(statement.compile().params)
    asked = {name: value for name, value in values.items() if name in wanted}
    return int(cast("Any", work.session.execute(statement, asked)).rowcount)


def _tell(work: Work) -> int:
    rows = work.session.execute(text(query_text("reconciliation/tell")), {"now": work.now}).all()
    for row in rows:
        notify(
            work, [row.owner_id],
            f"Сверка: новых расхождений – {row.number}. Откройте «Сверка», у каждого сказано, что делать.",
            key=f"reconciliation/{row.owner_id}/{row.newest}/{work.now:%Y-%m-%d}",
        )  # fmt: skip
    return len(rows)
