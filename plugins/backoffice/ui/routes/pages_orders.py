"""Lines of a deal, and the orders that go from them to 1C: where each stands, what keeps it back, sending again."""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_urlsafe
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from backoffice.ui import format as written
from backoffice.ui.routes.pages_common import (
    ROOT,
    Errors,
    Form,
    PageNumber,
    RowId,
    address,
    clean_query,
    done,
    identity,
    page,
    page_number,
)
from backoffice.ui.security import StaffViewer
from include.exchange_1c.rules import OKEI
from include.orders.rules import VAT_TITLES
from include.shared import clock
from include.shared.errors import BackofficeError, Conflict, Forbidden, InvalidInput, NotFound
from include.shared.work import reading
from include.staff.services import Viewer
from include.workplace import orders
from include.workplace.orders_shapes import DealLines, GoodsRow, LineRow

router = APIRouter()
FIELDS = ("name", "quantity", "unit_code", "price", "vat")
TABS = {"": "Все", "waiting": "Ждут отправки", "sent": "Отправлены", "confirmed": "Приняты", "failed": "Отменены в 1С",
        "kept_back": "Не готовы"}  # fmt: skip
PIECE = "796"


# --- lines of a deal ------------------------------------------------------------------------------


@router.get("/deals/{deal_id}/lines")
def lines(
    request: Request, viewer: StaffViewer, deal_id: RowId, q: str = "", goods: str = "", edit: str = ""
) -> Response:
    """Show the lines of a deal; ``q`` looks for goods, ``goods`` is the chosen one, ``edit`` the line to change."""
    return _show(request, viewer, deal_id, query=clean_query(q), goods_id=identity(goods), edited=identity(edit))


@router.post("/deals/{deal_id}/lines")
def add(request: Request, viewer: StaffViewer, deal_id: RowId, form: Form) -> Response:
    """Add a line once, however often the button was pressed."""
    values: dict[str, Any] = {name: form.get(name, "") for name in FIELDS}
    values["nomenclature_id"] = identity(form.get("nomenclature_id"))
    try:
        made = orders.add_line(viewer, deal_id, values, form.get("request_key") or None)
    except (NotFound, Forbidden):
        raise
    except BackofficeError as error:
        errors = Errors.of(error, "add", set(FIELDS))
        return _show(request, viewer, deal_id, errors, form, goods_id=values["nomenclature_id"])
    return done(request, _here(deal_id), f"Добавлена строка «{made.name}» на {written.money(made.amount)}.")


@router.post("/deals/{deal_id}/lines/amount")
def take_amount(request: Request, viewer: StaffViewer, deal_id: RowId) -> Response:
    """Make the sum of the lines «Сумма сделки»."""
    try:
        amount = orders.take_amount(viewer, deal_id)
    except Conflict as error:
        return _show(request, viewer, deal_id, Errors.of(error, "total"))
    return done(request, _here(deal_id), f"Сумма сделки – {written.money(amount)}.")


@router.post("/deals/{deal_id}/lines/{line_id}")
def change(request: Request, viewer: StaffViewer, deal_id: RowId, line_id: RowId, form: Form) -> Response:
    """Change what the form changed of a line: what somebody else has changed meanwhile stays."""
    values = {name: form[name] for name in FIELDS if name in form and form[name] != form.get(f"was.{name}")}
    try:
        made = orders.change_line(viewer, deal_id, line_id, values)
    except (NotFound, Forbidden):
        raise
    except InvalidInput as error:
        errors = Errors.of(error, "edit", set(FIELDS))
        return _show(request, viewer, deal_id, errors, form, edited=line_id)
    except Conflict as error:
        return _show(request, viewer, deal_id, Errors.of(error, "total"))
    return done(request, _here(deal_id), f"Строка «{made.name}» изменена." if values else None)


@router.post("/deals/{deal_id}/lines/{line_id}/remove")
def remove(request: Request, viewer: StaffViewer, deal_id: RowId, line_id: RowId) -> Response:
    """Remove a line; the page offers to bring it back."""
    try:
        made = orders.remove_line(viewer, deal_id, line_id)
    except Conflict as error:
        return _show(request, viewer, deal_id, Errors.of(error, "total"))
    return done(request, _here(deal_id), f"Строка «{made.name}» убрана. Её можно вернуть.")


@router.post("/deals/{deal_id}/lines/{line_id}/restore")
def restore(request: Request, viewer: StaffViewer, deal_id: RowId, line_id: RowId) -> Response:
    """Bring a removed line back to its place."""
    try:
        made = orders.restore_line(viewer, deal_id, line_id)
    except InvalidInput as error:
        return _show(request, viewer, deal_id, Errors.of(error, "total"))
    return done(request, _here(deal_id), f"Строка «{made.name}» возвращена.")


def _show(
    request: Request,
    viewer: Viewer,
    deal_id: int,
    errors: Errors | None = None,
    typed: Mapping[str, str] | None = None,
    *,
    query: str = "",
    goods_id: int | None = None,
    edited: int | None = None,
) -> Response:
    errors, kept = errors or Errors(), typed or {}
    with reading() as session:
        shown = orders.deal_lines(session, viewer, deal_id)
        found = orders.goods(session, query) if query else []
        chosen = orders.goods_row(session, goods_id) if goods_id is not None else None
    line = next((one for one in shown.lines if one.id == edited), None) if shown.may_edit else None
    return page(
        request, viewer, "orders_lines.html", status=errors.status, active="deals", shown=shown, errors=errors,
        query=query, found=found, chosen=chosen, edited=line, key=kept.get("request_key") or token_urlsafe(12),
        inputs=_inputs(kept if line is None else {}, chosen, shown),
        edit_inputs=_edit_inputs(line, kept) if line is not None else [],
        choose=lambda one: address(f"/deals/{deal_id}/lines", goods=one.id, q=query),
    )  # fmt: skip


def _inputs(kept: Mapping[str, str], chosen: GoodsRow | None, shown: DealLines) -> list[dict[str, Any]]:
    last = shown.lines[-1].vat if shown.lines else None
    first = {
        "name": chosen.name if chosen else "",
        "unit_code": (chosen.unit_code if chosen else None) or PIECE,
        "vat": (chosen.vat if chosen else None) or last or "",
        "quantity": "1",
        "price": "",
    }
    return [{**one, "value": kept.get(one["name"], first[one["name"]])} for one in _fields()]


def _edit_inputs(line: LineRow, kept: Mapping[str, str]) -> list[dict[str, Any]]:
    was = {
        "name": line.name, "unit_code": line.unit_code or "", "vat": line.vat or "",
        "quantity": f"{line.quantity.normalize():f}".replace(".", ","), "price": written.sum_input(line.price),
    }  # fmt: skip
    return [{**one, "was": was[one["name"]], "value": kept.get(one["name"], was[one["name"]])} for one in _fields()]


def _fields() -> list[dict[str, Any]]:
    return [
        {"name": "name", "title": "Что продаётся", "kind": "text", "longest": 1000, "required": True, "wide": True},
        {"name": "quantity", "title": "Количество", "kind": "text", "longest": 20, "required": True},
        {"name": "unit_code", "title": "Единица", "kind": "choice", "choices": OKEI},
        {"name": "price", "title": "Цена с НДС", "kind": "money", "required": True},
        {"name": "vat", "title": "Ставка НДС", "kind": "choice", "choices": VAT_TITLES, "blank": "не указана",
         "hint": "Без ставки заказ в 1С не уйдёт."},
    ]  # fmt: skip


def _here(deal_id: int) -> str:
    return f"{ROOT}/deals/{deal_id}/lines"


# --- orders ---------------------------------------------------------------------------------------


@router.get("/orders")
def order_list(request: Request, viewer: StaffViewer, state: str = "", page_: PageNumber = "1") -> Response:
    """Show the orders to 1C that a filter finds, and what keeps others back."""
    state, number = state if state in TABS else "", page_number(page_)
    with reading() as session:
        now = clock.now(session)
        found = orders.orders(session, viewer, state=state if state in orders.FILTERS else "", page=number)
        lacking = orders.kept_back(session, viewer, page=number) if state == "kept_back" else None
    numbers = found.counts.model_dump()
    return page(
        request, viewer, "orders.html", active="orders", found=found, lacking=lacking, state=state, tabs=TABS,
        numbers=numbers, now=now, page_address=lambda at: address("/orders", state=state, page=at),
    )  # fmt: skip


@router.get("/orders/{export_id}/file")
def order_file(_request: Request, viewer: StaffViewer, export_id: RowId) -> Response:
    """Send one version of an order as the file that 1C gets."""
    content = orders.content_of(viewer, export_id)
    headers = {"Content-Disposition": f'attachment; filename="order-{export_id}.xml"'}
    return Response(content, media_type="application/xml", headers=headers)


@router.post("/orders/{export_id}/again")
def send_again(request: Request, viewer: StaffViewer, export_id: RowId, form: Form) -> Response:
    """Put an order into the queue once more, after a question."""
    back = f"{ROOT}/orders"
    if form.get("confirmed") != "yes":
        with reading() as session:
            row = orders.order_row(session, viewer, export_id)
        return page(
            request, viewer, "confirm.html", active="orders", title=f"Отправить заказ {row.number} снова?",
            text=f"Сделка «{row.deal_title}», {row.company}, {written.money(row.amount)}.",
            consequences=["1С узнаёт заказ по его Ид: новый не появится, прежний обновится.",
                          "Заказ уйдёт при ближайшей отправке: в течение получаса или когда 1С попросит его по HTTP."],
            action=f"{ROOT}/orders/{export_id}/again", back=back, tone="primary", hidden={}, button="Отправить снова",
        )  # fmt: skip
    made = orders.send_again(viewer, export_id)
    return done(request, back, f"Заказ {made.number} поставлен в очередь.")
