"""API: exchanges with 1C – the queue, what each brought, its quarantine, its changes, and decisions about it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from backoffice import exchange_runs
from backoffice.ui.routes.api_common import Body, FilterText, Line, PageNumber, PerPage, RowId, failures
from backoffice.ui.security import StaffViewer
from include.exchange_1c.rights import require_exchange
from include.shared.work import reading
from include.workplace import exchange, exchange_acts
from include.workplace.exchange_shapes import Changes, ExchangeCard, ExchangeList, RejectRow
from include.workplace.shapes import Page

router = APIRouter(prefix="/exchanges", tags=["Обмен с 1С"])
State = Literal["", "received", "queued", "held", "applied", "repeated", "failed", "replaced"]
Source = Literal["", "folder", "http", "again"]


class Decision(Body):
    """What becomes of a held exchange, and why."""

    decision: Literal["confirm", "keep", "refuse"]
    reason: Line


class Reason(Body):
    """Why the newest exchange takes the place of those before it."""

    reason: Line


class Asked(BaseModel):
    """What was recorded, about which exchange, and whether its loading has begun at once."""

    exchange_id: int | None
    begun: bool
    text: str


@router.get("", summary="Обмены с 1С и их очередь", responses=failures(403))
def exchanges(
    viewer: StaffViewer, state: State = "", source: Source = "", page: PageNumber = 1, per_page: PerPage = 50
) -> ExchangeList:
    """Return what waits, the one that holds the others first, and a page of exchanges, the newest first."""
    with reading() as session:
        return exchange.exchanges(session, viewer, state=state, source=source, page=page, per_page=per_page)


@router.post("/take", summary="Взять файлы 1С сейчас", status_code=202, responses=failures(403))
def take(viewer: StaffViewer) -> Asked:
    """Begin a loading of what lies in the folder and waits in the queue."""
    require_exchange(viewer)
    begun = exchange_runs.start("take", viewer)
    return Asked(exchange_id=None, begun=begun, text=exchange_runs.said(begun))


@router.get("/{exchange_id}", summary="Один обмен", responses=failures(403, 404))
def one(viewer: StaffViewer, exchange_id: RowId) -> ExchangeCard:
    """Return files, results by kind, warnings, what is held, and the history of an exchange."""
    with reading() as session:
        return exchange.card(session, viewer, exchange_id)


@router.get("/{exchange_id}/rejects", summary="Карантин обмена", responses=failures(403, 404))
def rejects(
    viewer: StaffViewer,
    exchange_id: RowId,
    only_open: Annotated[bool, Query(alias="open", description="Только те, что ещё не загружены")] = False,
    page: PageNumber = 1,
    per_page: PerPage = 50,
) -> Page[RejectRow]:
    """Return the records that were not loaded, with the reason of each."""
    with reading() as session:
        return exchange.rejects(session, viewer, exchange_id, only_open=only_open, page=page, per_page=per_page)


@router.get("/{exchange_id}/changes", summary="Что обмен изменил: было и стало", responses=failures(403, 404))
def changes(
    viewer: StaffViewer, exchange_id: RowId, entity: FilterText = None, page: PageNumber = 1, per_page: PerPage = 50
) -> Changes:
    """Return changed records of one kind with the fields that differ, and how many there are of each kind."""
    with reading() as session:
        return exchange.changes(session, viewer, exchange_id, entity=entity or "", page=page, per_page=per_page)


@router.post(
    "/{exchange_id}/decision", summary="Решить, что с обменом", status_code=202, responses=failures(403, 404, 409)
)
def decide(viewer: StaffViewer, exchange_id: RowId, made: Decision) -> Asked:
    """Record a decision about a held exchange; the loading carries it out."""
    text = exchange_acts.decide(viewer, exchange_id, made.decision, made.reason)
    return _asked(f"decided-{exchange_id}", viewer, exchange_id, text)


@router.post("/{exchange_id}/replace", summary="Заменить новейшим", status_code=202, responses=failures(403, 404, 409))
def replace(viewer: StaffViewer, exchange_id: RowId, why: Reason) -> Asked:
    """Give up the held exchange and the queued ones for the newest of them."""
    newest, text = exchange_acts.replace(viewer, exchange_id, why.reason)
    return _asked(f"replaced-{exchange_id}", viewer, newest, text)


@router.post("/{exchange_id}/again", summary="Взять карантин снова", status_code=202, responses=failures(403, 404, 409))
def again(viewer: StaffViewer, exchange_id: RowId) -> Asked:
    """Ask for the records in quarantine to be taken once more, as an exchange of its own."""
    made, text = exchange_acts.take_again(viewer, exchange_id)
    return _asked(f"again-{made}", viewer, made, text)


def _asked(why: str, viewer: StaffViewer, exchange_id: int, text: str) -> Asked:
    begun = exchange_runs.start(why, viewer)
    return Asked(exchange_id=exchange_id, begun=begun, text=f"{text} {exchange_runs.said(begun)}")
