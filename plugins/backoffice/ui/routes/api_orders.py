"""API: lines of a deal, and the orders that go from them to 1C."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, BeforeValidator

from backoffice.ui.routes.api_common import (
    Body,
    IdempotencyKey,
    Line,
    Number,
    PageNumber,
    PerPage,
    RowId,
    SearchText,
    failures,
)
from backoffice.ui.security import StaffViewer
from include.shared.work import reading
from include.workplace import orders
from include.workplace.orders_shapes import DealLines, GoodsRow, KeptBack, LineRow, OrderList, OrderRow
from include.workplace.shapes import Page

router = APIRouter(tags=["Заказы в 1С"])
State = Literal["", "waiting", "sent", "confirmed", "failed"]


def _as_text(value: Any) -> Any:
    """Take a number as text: a JSON number would come through a float."""
    if not isinstance(value, str):
        msg = "Число – строкой, например «1.5»."
        raise ValueError(msg)
    return value


Amount = Annotated[Line, BeforeValidator(_as_text)]


class NewLine(Body):
    """A line: goods of 1C or a name, how much of it and for how much; the price in roubles has VAT inside."""

    name: Line | None = None
    nomenclature_id: Number | None = None
    quantity: Amount
    price: Amount
    unit_code: Line | None = None
    vat: Line | None = None


class ChangedLine(Body):
    """What is given is changed."""

    name: Line | None = None
    nomenclature_id: Number | None = None
    quantity: Amount | None = None
    price: Amount | None = None
    unit_code: Line | None = None
    vat: Line | None = None


class DealSum(BaseModel):
    """«Сумма сделки» in roubles."""

    amount: Decimal


@router.get("/deals/{deal_id}/lines", summary="Строки сделки и её заказ в 1С", responses=failures(404))
def lines(viewer: StaffViewer, deal_id: RowId) -> DealLines:
    """Return the lines of a deal, their sum, what keeps its order back and where it stands."""
    with reading() as session:
        return orders.deal_lines(session, viewer, deal_id)


@router.post("/deals/{deal_id}/lines", summary="Добавить строку", status_code=201, responses=failures(403, 404))
def add(viewer: StaffViewer, deal_id: RowId, line: NewLine, key: IdempotencyKey = None) -> LineRow:
    """Add a line at the end; a repeated key adds nothing."""
    return orders.add_line(viewer, deal_id, line.model_dump(), key)


@router.post("/deals/{deal_id}/lines/amount", summary="Взять итог в «Сумму сделки»", responses=failures(403, 404, 409))
def take_amount(viewer: StaffViewer, deal_id: RowId) -> DealSum:
    """Make the sum of the lines «Сумма сделки»."""
    return DealSum(amount=orders.take_amount(viewer, deal_id))


@router.patch("/deals/{deal_id}/lines/{line_id}", summary="Изменить строку", responses=failures(403, 404, 409))
def change(viewer: StaffViewer, deal_id: RowId, line_id: RowId, line: ChangedLine) -> LineRow:
    """Change what is given of a line."""
    return orders.change_line(viewer, deal_id, line_id, line.model_dump(exclude_unset=True))


@router.delete("/deals/{deal_id}/lines/{line_id}", summary="Убрать строку", responses=failures(403, 404, 409))
def remove(viewer: StaffViewer, deal_id: RowId, line_id: RowId) -> LineRow:
    """Remove a line; it can be brought back."""
    return orders.remove_line(viewer, deal_id, line_id)


@router.post(
    "/deals/{deal_id}/lines/{line_id}/restore", summary="Вернуть убранную строку", responses=failures(403, 404)
)
def restore(viewer: StaffViewer, deal_id: RowId, line_id: RowId) -> LineRow:
    """Bring a removed line back to its place."""
    return orders.restore_line(viewer, deal_id, line_id)


@router.get("/goods", summary="Найти товар 1С", responses=failures())
def goods(_viewer: StaffViewer, q: SearchText) -> list[GoodsRow]:
    """Return active goods by a part of the name, by the article or the bar code, best first."""
    with reading() as session:
        return orders.goods(session, q)


@router.get("/orders", summary="Заказы в 1С", responses=failures(403))
def order_list(viewer: StaffViewer, state: State = "", page: PageNumber = 1, per_page: PerPage = 50) -> OrderList:
    """Return orders, the newest first, with how many stand where."""
    with reading() as session:
        return orders.orders(session, viewer, state=state, page=page, per_page=per_page)


@router.get("/orders/kept-back", summary="Сделки, чьи заказы ещё не готовы", responses=failures(403))
def kept_back(viewer: StaffViewer, page: PageNumber = 1, per_page: PerPage = 50) -> Page[KeptBack]:
    """Return the deals whose orders cannot go yet, with what each lacks."""
    with reading() as session:
        return orders.kept_back(session, viewer, page=page, per_page=per_page)


@router.post("/orders/{export_id}/again", summary="Отправить заказ снова", responses=failures(403, 404, 409))
def send_again(viewer: StaffViewer, export_id: RowId) -> OrderRow:
    """Put an order into the queue once more, as a version of its own."""
    return orders.send_again(viewer, export_id)
