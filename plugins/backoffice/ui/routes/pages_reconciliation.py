"""«Сверка»: what disagrees between deals, invoices, documents of 1C and payments, and what to do about it (★70)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from backoffice.ui.routes.pages_common import ROOT, PageNumber, address, done, identity, page, page_number
from backoffice.ui.security import StaffViewer
from include.money.rights import may_handle
from include.reconciliation.rules import KINDS
from include.shared import clock
from include.shared.work import reading
from include.workplace import money, money_acts, reconciliation

router = APIRouter(prefix="/reconciliation")
STATES = {"": "Открытые", "closed": "Закрытые"}
NOBODY = "none"


@router.get("")
def disagreements(
    request: Request, viewer: StaffViewer, kind: str = "", owner: str = "", state: str = "", page_: PageNumber = "1"
) -> Response:
    """Show what disagrees, the oldest first; those who do not handle money see what is theirs."""
    kind, state = kind if kind in KINDS else "", state if state in STATES else ""
    owner_id = 0 if owner == NOBODY else identity(owner)
    kept = {"kind": kind, "owner": NOBODY if owner_id == 0 else owner_id, "state": state}
    wanted = reconciliation.DisagreementFilter(kind, owner_id, state == "closed")
    with reading() as session:
        now = clock.now(session)
        found = reconciliation.disagreements(session, viewer, wanted, page=page_number(page_))
        home = money.home(session, viewer) if may_handle(viewer) else None

    def here(**new: Any) -> str:
        return address("/reconciliation", **{**kept, **new})

    return page(
        request, viewer, "money_reconciliation.html", active="money" if home else "reconciliation", found=found,
        home=home, now=now, kind=kind, owner=kept["owner"], state=state, states=STATES, nobody=NOBODY,
        tab="reconciliation", is_filtered=bool(kind or owner_id is not None), address=here,
        page_address=lambda at: here(page=at),
    )  # fmt: skip


@router.post("/run")
def run(request: Request, viewer: StaffViewer) -> Response:
    """Compare everything now; what agrees again is closed."""
    return done(request, f"{ROOT}/reconciliation", money_acts.reconcile(viewer).text)
