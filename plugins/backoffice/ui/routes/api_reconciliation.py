"""API: what disagrees between deals, invoices, documents of 1C and payments."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from backoffice.ui.routes.api_common import LARGEST_ID, FilterText, PageNumber, PerPage, failures
from backoffice.ui.security import StaffViewer
from include.shared.work import reading
from include.workplace import money_acts, reconciliation
from include.workplace.reconciliation_shapes import Reconciliation

router = APIRouter(prefix="/reconciliation", tags=["Сверка"])


class Ran(BaseModel):
    """What a run found: how many were opened and closed by it, how many are open now."""

    opened: int
    closed: int
    open: int
    text: str


@router.get("", summary="Расхождения, которые мне видны", responses=failures())
def disagreements(
    viewer: StaffViewer,
    kind: FilterText = None,
    owner_id: Annotated[int | None, Query(ge=0, le=LARGEST_ID, description="Чьи; 0 – ничьи")] = None,
    closed: Annotated[bool, Query(description="Те, что уже сошлись")] = False,
    page: PageNumber = 1,
    per_page: PerPage = 50,
) -> Reconciliation:
    """Return what disagrees, the oldest first; those who do not handle money see what is theirs."""
    wanted = reconciliation.DisagreementFilter(kind or "", owner_id, closed)
    with reading() as session:
        return reconciliation.disagreements(session, viewer, wanted, page=page, per_page=per_page)


@router.post("/run", summary="Сверить сейчас", responses=failures(403))
def run(viewer: StaffViewer) -> Ran:
    """Compare everything now; what agrees again is closed."""
    made = money_acts.reconcile(viewer)
    return Ran(opened=made.opened, closed=made.closed, open=made.open, text=made.text)
