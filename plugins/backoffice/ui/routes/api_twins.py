"""API: cards that may be one counterparty – the queue, both cards, and what a person decides."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter

from backoffice.ui.routes.api_common import Body, Number, PageNumber, PerPage, RowId, failures
from backoffice.ui.security import StaffViewer
from include.shared.work import reading
from include.workplace import twins
from include.workplace.twins_shapes import TwinCard, TwinList

router = APIRouter(prefix="/twins", tags=["Похожие контрагенты"])
State = Literal["open", "joined", "separated"]


class Two(Body):
    """Two cards; the first one is kept when they are joined."""

    kept_id: Number
    other_id: Number


@router.get("", summary="Пары карточек", responses=failures(403))
def pairs(viewer: StaffViewer, state: State = "open", page: PageNumber = 1, per_page: PerPage = 50) -> TwinList:
    """Return a page of pairs: those that wait the oldest first, the decided ones the newest first."""
    with reading() as session:
        return twins.pairs(session, viewer, state, page=page, per_page=per_page)


@router.post("", summary="Сравнить две карточки", status_code=201, responses=failures(403, 404, 409))
def ask(viewer: StaffViewer, two: Two) -> TwinCard:
    """Put two cards side by side; a pair that is there is returned."""
    return twins.ask(viewer, two.kept_id, two.other_id)


@router.get("/{twin_id}", summary="Пара карточек", responses=failures(403, 404))
def one(viewer: StaffViewer, twin_id: RowId) -> TwinCard:
    """Return both cards, what names each, what differs, and what joining them would do."""
    with reading() as session:
        return twins.pair(session, viewer, twin_id)


@router.post("/{twin_id}/join", summary="Соединить", responses=failures(403, 404, 409))
def join(viewer: StaffViewer, twin_id: RowId) -> TwinCard:
    """Make two cards one."""
    return twins.join(viewer, twin_id)


@router.post("/{twin_id}/separate", summary="Это разные", responses=failures(403, 404, 409))
def separate(viewer: StaffViewer, twin_id: RowId) -> TwinCard:
    """Note that two cards are different counterparties."""
    return twins.separate(viewer, twin_id)


@router.post("/{twin_id}/undo", summary="Отменить решение", responses=failures(403, 404, 409))
def undo(viewer: StaffViewer, twin_id: RowId) -> TwinCard:
    """Take a decision back."""
    return twins.undo(viewer, twin_id)
