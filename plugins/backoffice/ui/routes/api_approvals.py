"""API: approvals."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from backoffice.ui.addresses import decide_address
from backoffice.ui.routes.api_common import Body, Number, PageNumber, PerPage, RowId, Text, failures
from backoffice.ui.security import StaffViewer
from include.approvals import services
from include.shared import clock
from include.shared.work import reading, transaction
from include.workplace import approvals
from include.workplace.approval_shapes import ApprovalPage, ApprovalRow
from include.workplace.shapes import Page

router = APIRouter(tags=["Согласования"])


class Decision(Body):
    """The answer, with the remark that a rejection needs; ``seen_version`` is the file that was looked at."""

    answer: Literal["approve", "reject"]
    remark: Annotated[Text, Field(max_length=services.LONGEST_REMARK)] = ""
    seen_version: Number | None = None
    seat_id: Number | None = None


class LetterLink(BaseModel):
    """A link by which the caller may decide once, without logging in."""

    url: str
    expires_at: datetime


@router.get("/approvals", summary="Согласования", responses=failures())
def approvals_list(
    viewer: StaffViewer,
    scope: Literal["mine", "initiated", "decided"] = "mine",
    page: PageNumber = 1,
    per_page: PerPage = 50,
) -> Page[ApprovalRow]:
    """Return approvals that wait for the caller (most urgent first), that he asked for, or that he decided."""
    with reading() as session:
        now = clock.now(session)
        return approvals.approvals_list(session, viewer, now, scope=scope, page=page, per_page=per_page)


@router.get("/approvals/{approval_id}", summary="Согласование", responses=failures(404))
def approval(viewer: StaffViewer, approval_id: RowId) -> ApprovalPage:
    """Return everything about an approval: its rounds, who decided for whom, the file."""
    with reading() as session:
        return approvals.approval_page(session, viewer, approval_id, clock.now(session))


@router.post("/approvals/{approval_id}/decision", summary="Решить", responses=failures(403, 404, 409))
def decide(viewer: StaffViewer, approval_id: RowId, body: Decision) -> ApprovalPage:
    """Approve or reject; 409 when somebody decided before or the file was replaced."""
    with transaction(viewer.actor) as work:
        services.decide(
            work, viewer, approval_id, body.answer, body.remark, seen_version=body.seen_version, seat_id=body.seat_id
        )
        work.session.flush()
        return approvals.approval_page(work.session, viewer, approval_id, work.now)


@router.post("/approvals/{approval_id}/link", summary="Ссылка для решения", responses=failures(403, 404, 409))
def link(request: Request, viewer: StaffViewer, approval_id: RowId) -> LetterLink:
    """Return a link for a letter: the caller decides by it once, until it expires."""
    with transaction(viewer.actor) as work:
        token = services.make_link(work, viewer, approval_id)
        view = services.read_link(work.session, token, work.now)
    return LetterLink(url=decide_address(request, token), expires_at=view.expires_at)


@router.get("/deals/{deal_id}/approvals", summary="Согласования сделки", responses=failures(404))
def of_deal(viewer: StaffViewer, deal_id: RowId) -> list[ApprovalPage]:
    """Return the approvals of a deal, the newest first."""
    with reading() as session:
        return approvals.approvals_of_deal(session, viewer, deal_id, clock.now(session))
