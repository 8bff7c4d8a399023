"""API: deals."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from backoffice.ui.routes.api_common import (
    BeforeId,
    Body,
    FilterId,
    FilterText,
    IdempotencyKey,
    Line,
    Number,
    PageNumber,
    PerPage,
    RowId,
    SearchText,
    Text,
    Values,
    failures,
)
from backoffice.ui.routes.api_companies import NewCompany
from backoffice.ui.security import StaffViewer
from include.shared import clock
from include.shared.work import reading, transaction
from include.workplace import board, card, moves, services
from include.workplace.shapes import Board, DealCard, DealRow, HistoryRow, MovedDeal, MoveRow, Page, WaitLine

router = APIRouter(prefix="/deals", tags=["Сделки"])


class NewDeal(Body):
    """A new deal; its counterparty is chosen by id or created here, in the same transaction."""

    title: Line
    funnel: Annotated[Text, Field(max_length=100, description="Направление: код или название")]
    company_id: Number | None = None
    company: NewCompany | None = None
    responsible_id: Annotated[Number | None, Field(description="По умолчанию – вы сами")] = None
    fields: Values | None = None
    source: Annotated[Text | None, Field(max_length=200)] = None
    request_key: Annotated[Text | None, Field(max_length=200, description="То же, что Idempotency-Key")] = None


class NewStage(Body):
    """Where to move a deal; ``seen_stage`` is where the person saw it."""

    stage: Annotated[Text, Field(max_length=200)]
    seen_stage: Annotated[Text | None, Field(max_length=200)] = None


class NewResponsible(Body):
    """To whom a deal is given, and why."""

    person_id: Number
    reason: Line


class Changed(BaseModel):
    """Which fields really changed, with their stored values."""

    changed: dict[str, Any]


class History(BaseModel):
    """A page of history; ``before_id`` asks for the next one."""

    items: list[HistoryRow]
    before_id: int | None


@router.get("", summary="Сделки, которые мне видны", responses=failures(404))
def deals(
    viewer: StaffViewer,
    query: SearchText = "",
    funnel: FilterText = None,
    stage: FilterText = None,
    responsible_id: FilterId = None,
    company_id: FilterId = None,
    mine: Annotated[bool, Query(description="Только мои")] = False,
    live: Annotated[bool, Query(description="Только незавершённые")] = False,
    page: PageNumber = 1,
    per_page: PerPage = 50,
) -> Page[DealRow]:
    """Return a page of deals, newest first, each with its one line."""
    filters = board.DealFilter(query, responsible_id, company_id, mine)
    with reading() as session:
        return board.deals_list(
            session, viewer, clock.now(session), filters=filters, funnel=funnel, stage=stage, live_only=live,
            page=page, per_page=per_page,
        )  # fmt: skip


@router.get("/board", summary="Доска направления", responses=failures(404))
def funnel_board(
    viewer: StaffViewer,
    funnel: Annotated[Text, Query(max_length=100)],
    query: SearchText = "",
    responsible_id: FilterId = None,
    mine: bool = False,
) -> Board:
    """Return the stages of a direction with counts, sums and the newest deals of each."""
    filters = board.DealFilter(query, responsible_id, None, mine)
    with reading() as session:
        return board.board(session, viewer, funnel, clock.now(session), filters=filters)


@router.post("", status_code=201, summary="Создать сделку", responses=failures(403, 409))
def create(viewer: StaffViewer, body: NewDeal, key: IdempotencyKey = None) -> DealCard:
    """Create a deal on the first stage of its direction; a repeated key returns the first one."""
    company = body.company.model_dump() if body.company is not None else None
    with transaction(viewer.actor) as work:
        made = services.create_deal(
            work, viewer, title=body.title, funnel=body.funnel, company_id=body.company_id, company=company,
            responsible_id=body.responsible_id, fields=body.fields, source=body.source,
            request_key=key or body.request_key,
        )  # fmt: skip
        return card.deal_card(work.session, viewer, made.id, work.now)


@router.get("/{deal_id}", summary="Карточка сделки", responses=failures(404))
def deal(viewer: StaffViewer, deal_id: RowId) -> DealCard:
    """Return the card: fields, stage map, done / now / next with the one line, history."""
    with reading() as session:
        return card.deal_card(session, viewer, deal_id, clock.now(session))


@router.patch("/{deal_id}/fields", summary="Заполнить поля", responses=failures(403, 404))
def fill(viewer: StaffViewer, deal_id: RowId, body: Values) -> Changed:
    """Fill fields by code; all or none."""
    with transaction(viewer.actor) as work:
        changed = services.fill_deal(work, viewer, deal_id, body)
        return Changed(changed=dict(changed))


@router.post("/{deal_id}/stage", summary="Перевести на стадию", responses=failures(403, 404, 409))
def move(viewer: StaffViewer, deal_id: RowId, body: NewStage) -> MovedDeal:
    """Move a deal; 409 when somebody has moved it since ``seen_stage``, or with ``missing`` what forbids it."""
    with transaction(viewer.actor) as work:
        warnings = moves.warnings_of(work.session, viewer, deal_id, body.stage)
        services.move_deal(work, viewer, deal_id, body.stage, seen_stage=body.seen_stage)
        moved = card.deal_card(work.session, viewer, deal_id, work.now)
        return MovedDeal(**dict(moved), warnings=warnings)


@router.get("/{deal_id}/moves", summary="Куда можно перевести и чего не хватает", responses=failures(404))
def possible_moves(viewer: StaffViewer, deal_id: RowId) -> list[MoveRow]:
    """Return the other stages of the direction with what warns and what forbids, and whether the viewer may move."""
    with reading() as session:
        return moves.moves_of(session, viewer, deal_id)


@router.post("/{deal_id}/processes/{process}", summary="Запустить процесс кнопкой", responses=failures(403, 404, 409))
def press(viewer: StaffViewer, deal_id: RowId, process: Annotated[Text, Path(max_length=100)]) -> DealCard:
    """Start a process that the deal's stage offers (``buttons`` of the card); 409 when it runs already."""
    with transaction(viewer.actor) as work:
        services.press_button(work, viewer, deal_id, process)
        work.session.flush()
        return card.deal_card(work.session, viewer, deal_id, work.now)


@router.post("/{deal_id}/responsible", summary="Сменить ответственного", responses=failures(403, 404))
def give(viewer: StaffViewer, deal_id: RowId, body: NewResponsible) -> Changed:
    """Give a deal to another person; his head is resolved anew and open work moves."""
    with transaction(viewer.actor) as work:
        services.give_deal(work, viewer, deal_id, body.person_id, body.reason)
        return Changed(changed={"responsible_id": body.person_id})


@router.get("/{deal_id}/waits", summary="Почему ждёт, на ком, до когда, что дальше", responses=failures(404))
def waits(viewer: StaffViewer, deal_id: RowId) -> list[WaitLine]:
    """Return all lines of the deal, the most telling first."""
    with reading() as session:
        return card.deal_waits(session, viewer, deal_id, clock.now(session))


@router.get("/{deal_id}/history", summary="История", responses=failures(404))
def history(viewer: StaffViewer, deal_id: RowId, before_id: BeforeId = None, per_page: PerPage = 50) -> History:
    """Return the history, newest first."""
    with reading() as session:
        rows, more = card.deal_history(session, viewer, deal_id, before_id=before_id, limit=per_page)
        return History(items=rows, before_id=more)
