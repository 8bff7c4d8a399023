"""API: payments and what they are for, statements and tables of payments, our accounts, invoices."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, BeforeValidator, Field

from backoffice.ui.routes.api_common import (
    Body,
    FilterId,
    IdempotencyKey,
    Line,
    Number,
    PageNumber,
    PerPage,
    RowId,
    SearchText,
    Text,
    failures,
)
from backoffice.ui.routes.api_files import FORM
from backoffice.ui.routes.pages_statements import SHEET_TYPE, template_response
from backoffice.ui.security import StaffViewer
from backoffice.ui.uploads import SentFile, UploadViewer
from include.money.allocation import Part
from include.shared.work import reading
from include.staff.services import Viewer
from include.workplace import money, money_acts, money_targets
from include.workplace.money_shapes import (
    DealMoney,
    DealTarget,
    InvoiceRow,
    OwnAccountRow,
    PaymentCard,
    PaymentList,
    QueueItem,
    StatementPage,
    StatementRow,
    Target,
)
from include.workplace.shapes import Page

router = APIRouter(prefix="/money", tags=["Деньги"])


def _written_sum(value: Any) -> Any:
    """Take a sum as text: a JSON number of kopecks would come through a float."""
    if not isinstance(value, str):
        msg = "Сумма – строкой, например «1234.56»."
        raise ValueError(msg)
    return value


def _written_day(value: Any) -> Any:
    if not isinstance(value, str):
        msg = "Дата – строкой, например «2026-11-21»."
        raise ValueError(msg)
    return value


Sum = Annotated[
    Decimal, BeforeValidator(_written_sum), Field(gt=0, max_digits=15, decimal_places=2, description="Рубли, строкой")
]
Day = Annotated[dt.date, BeforeValidator(_written_day)]
DayFilter = Annotated[dt.date | None, Query(ge=dt.date(2000, 1, 1), le=dt.date(2100, 1, 1))]
State = Literal["new", "queue", "matched", "ignored", "spent", "internal"]


class Reason(Body):
    """Why an act is done."""

    reason: Line


class MatchPart(Body):
    """A part of a payment for a deal and, when there is one, its invoice."""

    deal_id: Number
    amount: Sum
    invoice_id: Number | None = None


class Match(Body):
    """What a payment is for; ``counted``: a person has entered the same money into «Сумма оплаты» before."""

    parts: Annotated[list[MatchPart], Field(min_length=1, max_length=100)]
    counted: bool = False


class Matched(BaseModel):
    """The payment after the act, and what the person should know."""

    payment: PaymentCard
    warnings: list[str]


class Said(BaseModel):
    """What came of an act, in words."""

    text: str


class Loaded(BaseModel):
    """What came of loading a file."""

    text: str
    statement: StatementPage


class NewAccount(Body):
    """An account of ours."""

    account: Annotated[Text, Field(max_length=40)]
    bik: Annotated[Text, Field(max_length=20)]
    bank: Line
    organisation: Line


class AccountState(Body):
    """Whether an account of ours is in use."""

    active: bool


class NewInvoice(Body):
    """An invoice to be issued under our next number; the sum is by default what has no invoice yet."""

    amount: Sum | None = None
    organisation: Line | None = None
    vat: Annotated[Text | None, Field(max_length=20)] = None
    comment: Line = ""


class RecordedInvoice(Body):
    """An invoice that 1C made, under its own number."""

    number: Annotated[Text, Field(max_length=50)]
    date: Day
    amount: Sum
    organisation: Line | None = None
    vat: Annotated[Text | None, Field(max_length=20)] = None
    comment: Line = ""


class ToDeal(Body):
    """The deal that an invoice belongs to."""

    deal_id: Number


# --- payments ---


@router.get("/payments", summary="Платежи", responses=failures(403))
def payments(
    viewer: StaffViewer,
    query: SearchText = "",
    state: State | None = None,
    direction: Literal["in", "out"] | None = None,
    account_id: FilterId = None,
    statement_id: FilterId = None,
    since: DayFilter = None,
    until: DayFilter = None,
    page: PageNumber = 1,
    per_page: PerPage = 50,
) -> PaymentList:
    """Return a page of payments, the newest first, and the sums of all that the filter finds."""
    wanted = money.PaymentFilter(since, until, state or "", direction or "", account_id, statement_id, query)
    with reading() as session:
        return money.payments(session, viewer, wanted, page=page, per_page=per_page)


@router.get("/queue", summary="Платежи, которые ждут разбора", responses=failures(403))
def queue(viewer: StaffViewer, query: SearchText = "", page: PageNumber = 1, per_page: PerPage = 20) -> Page[QueueItem]:
    """Return the payments that wait for a decision, the oldest first, each with what it may be for."""
    with reading() as session:
        return money.queue(session, viewer, query=query, page=page, per_page=per_page)


@router.get("/payments/{payment_id}", summary="Платёж", responses=failures(403, 404))
def payment(viewer: StaffViewer, payment_id: RowId) -> PaymentCard:
    """Return everything about one payment."""
    return _card(viewer, payment_id)


@router.get("/payments/{payment_id}/targets", summary="На что можно отнести платёж", responses=failures(403, 404))
def targets(viewer: StaffViewer, payment_id: RowId, query: SearchText = "") -> list[Target]:
    """Return the open invoices and deals of the payer, or those that the text finds."""
    with reading() as session:
        return money_targets.targets(session, viewer, payment_id, query)


@router.post("/payments/{payment_id}/match", summary="Отнести платёж", responses=failures(403, 404, 409))
def match(viewer: StaffViewer, payment_id: RowId, body: Match) -> Matched:
    """Give a payment, or a part of it, to deals and invoices; of an outgoing one it is a refund."""
    parts = [Part(one.deal_id, one.amount, one.invoice_id) for one in body.parts]
    made = money_acts.match(viewer, payment_id, parts, counted=body.counted)
    return Matched(payment=_card(viewer, payment_id), warnings=made.warnings)


@router.post("/payments/{payment_id}/unmatch", summary="Отменить сопоставление", responses=failures(403, 404, 409))
def unmatch(viewer: StaffViewer, payment_id: RowId, body: Reason) -> PaymentCard:
    """Take all that a payment was given to back; the trace stays."""
    money_acts.unmatch(viewer, payment_id, body.reason)
    return _card(viewer, payment_id)


@router.post("/payments/{payment_id}/ignore", summary="Отложить: не от клиента", responses=failures(403, 404, 409))
def ignore(viewer: StaffViewer, payment_id: RowId, body: Reason) -> PaymentCard:
    """Put a payment aside as no client's."""
    money_acts.ignore(viewer, payment_id, body.reason)
    return _card(viewer, payment_id)


@router.post("/payments/{payment_id}/queue", summary="Вернуть в разбор", responses=failures(403, 404, 409))
def to_queue(viewer: StaffViewer, payment_id: RowId) -> PaymentCard:
    """Put an ignored payment, or a refund of ours, into the queue."""
    money_acts.to_queue(viewer, payment_id)
    return _card(viewer, payment_id)


@router.post("/allocations/{allocation_id}/undo", summary="Отменить одну часть", responses=failures(403, 404, 409))
def undo(viewer: StaffViewer, allocation_id: RowId, body: Reason) -> PaymentCard:
    """Take one part of a payment back."""
    return _card(viewer, money_acts.undo(viewer, allocation_id, body.reason).payment_id)


@router.post("/match-again", summary="Сопоставить ещё раз", responses=failures(403))
def match_again(viewer: StaffViewer) -> Said:
    """Let the matching look at what it has not seen yet."""
    return Said(text=money_acts.match_again(viewer))


# --- statements and tables ---


@router.get("/statements", summary="Выписки и таблицы", responses=failures(403))
def statements(viewer: StaffViewer, page: PageNumber = 1, per_page: PerPage = 50) -> Page[StatementRow]:
    """Return the files with payments, the newest first."""
    with reading() as session:
        return money.statements(session, viewer, page=page, per_page=per_page)


@router.get(
    "/statements/template", summary="Образец таблицы платежей", response_class=Response,
    responses=failures(403) | {200: {"content": {SHEET_TYPE: {"schema": {"type": "string", "format": "binary"}}}}},
)  # fmt: skip
def template(viewer: StaffViewer) -> Response:
    """Send an empty table for payments."""
    return template_response(viewer)


@router.post(
    "/statements/bank", status_code=201, summary="Отправить выписку банка", responses=failures(403, 409, 413),
    openapi_extra=FORM,
)  # fmt: skip
def upload_bank(viewer: UploadViewer, sent: SentFile) -> StatementRow:
    """Keep a statement and look it through; nothing is loaded yet."""
    return _statement(viewer, money_acts.upload(viewer, "bank", *sent.take())).row


@router.post(
    "/statements/sheet", status_code=201, summary="Отправить таблицу платежей", responses=failures(403, 409, 413),
    openapi_extra=FORM,
)  # fmt: skip
def upload_sheet(viewer: UploadViewer, sent: SentFile) -> StatementRow:
    """Keep a table of payments and look it through; nothing is loaded yet."""
    return _statement(viewer, money_acts.upload(viewer, "sheet", *sent.take())).row


@router.get("/statements/{statement_id}", summary="Файл с платежами", responses=failures(403, 404))
def statement(viewer: StaffViewer, statement_id: RowId) -> StatementPage:
    """Return what a file holds, what is wrong in it, and what became of it."""
    return _statement(viewer, statement_id)


@router.post("/statements/{statement_id}/check", summary="Проверить снова", responses=failures(403, 404, 409))
def check(viewer: StaffViewer, statement_id: RowId) -> StatementPage:
    """Look a file through once more."""
    money_acts.check_again(viewer, statement_id)
    return _statement(viewer, statement_id)


@router.post("/statements/{statement_id}/load", summary="Загрузить", responses=failures(403, 404, 409))
def load(viewer: StaffViewer, statement_id: RowId) -> Loaded:
    """Load a file that was looked through and match its payments; a second time changes nothing."""
    said = money_acts.load(viewer, statement_id)
    return Loaded(text=said, statement=_statement(viewer, statement_id))


@router.post("/statements/{statement_id}/discard", summary="Не загружать", responses=failures(403, 404, 409))
def discard(viewer: StaffViewer, statement_id: RowId) -> StatementPage:
    """Give a file up; it may be sent and looked through again."""
    money_acts.discard(viewer, statement_id)
    return _statement(viewer, statement_id)


# --- accounts ---


@router.get("/accounts", summary="Наши счета", responses=failures(403))
def accounts(viewer: StaffViewer) -> list[OwnAccountRow]:
    """Return our bank accounts, those in use first."""
    with reading() as session:
        return money.own_accounts(session, viewer)


@router.post("/accounts", status_code=201, summary="Добавить наш счёт", responses=failures(403, 409))
def add_account(viewer: StaffViewer, body: NewAccount) -> OwnAccountRow:
    """Make an account of ours known."""
    return money.account_row(money_acts.add_account(viewer, **body.model_dump()))


@router.post("/accounts/{account_id}/state", summary="Закрыть счёт или открыть", responses=failures(403, 404))
def account_state(viewer: StaffViewer, account_id: RowId, body: AccountState) -> OwnAccountRow:
    """Close an account of ours or open it again."""
    return money.account_row(money_acts.set_account_active(viewer, account_id, body.active))


# --- invoices ---


@router.get("/invoices/without-deal", summary="Счета без сделки", responses=failures(403))
def invoices_without_deal(viewer: StaffViewer, page: PageNumber = 1, per_page: PerPage = 50) -> Page[InvoiceRow]:
    """Return the invoices that belong to no deal yet."""
    with reading() as session:
        return money.invoices_without_deal(session, viewer, page=page, per_page=per_page)


@router.get("/invoices/{invoice_id}", summary="Счёт", responses=failures(404))
def invoice(viewer: StaffViewer, invoice_id: RowId) -> InvoiceRow:
    """Return an invoice of a deal that the viewer sees, or any when he handles money."""
    return _invoice(viewer, invoice_id)


@router.get("/invoices/{invoice_id}/deals", summary="К какой сделке отнести счёт", responses=failures(403, 404))
def deals_of_invoice(viewer: StaffViewer, invoice_id: RowId, query: SearchText = "") -> list[DealTarget]:
    """Return the deals of the invoice's client, or those that the text finds."""
    with reading() as session:
        return money_targets.deals_of_invoice(session, viewer, invoice_id, query)


@router.post("/invoices/{invoice_id}/attach", summary="Отнести счёт к сделке", responses=failures(403, 404, 409))
def attach(viewer: StaffViewer, invoice_id: RowId, body: ToDeal) -> InvoiceRow:
    """Give an invoice to a deal."""
    money_acts.attach_invoice(viewer, invoice_id, body.deal_id)
    return _invoice(viewer, invoice_id)


@router.post("/invoices/{invoice_id}/cancel", summary="Отменить счёт", responses=failures(403, 404, 409))
def cancel(viewer: StaffViewer, invoice_id: RowId, body: Reason) -> InvoiceRow:
    """Cancel an invoice; its number stays taken."""
    money_acts.cancel_invoice(viewer, invoice_id, body.reason)
    return _invoice(viewer, invoice_id)


@router.post("/invoices/{invoice_id}/restore", summary="Снять отмену счёта", responses=failures(403, 404))
def restore(viewer: StaffViewer, invoice_id: RowId) -> InvoiceRow:
    """Take the cancelling of an invoice back."""
    money_acts.restore_invoice(viewer, invoice_id)
    return _invoice(viewer, invoice_id)


@router.get("/deals/{deal_id}", summary="Счета и оплаты сделки", responses=failures(404))
def deal_money(viewer: StaffViewer, deal_id: RowId) -> DealMoney:
    """Return the invoices of a deal and what payments gave it."""
    with reading() as session:
        return money.deal_money(session, viewer, deal_id)


@router.post("/deals/{deal_id}/invoices", status_code=201, summary="Выставить счёт", responses=failures(403, 404, 409))
def issue(viewer: StaffViewer, deal_id: RowId, body: NewInvoice, key: IdempotencyKey = None) -> InvoiceRow:
    """Issue an invoice of a deal under our next number; a repeated key returns the first one (R002-7)."""
    made = money_acts.issue_invoice(viewer, deal_id, **body.model_dump(), request_key=key)
    return _invoice(viewer, made.id)


@router.post(
    "/deals/{deal_id}/invoices/recorded", status_code=201, summary="Внести счёт из 1С",
    responses=failures(403, 404, 409),
)  # fmt: skip
def record(viewer: StaffViewer, deal_id: RowId, body: RecordedInvoice) -> InvoiceRow:
    """Record an invoice that 1C made, under its own number."""
    return _invoice(viewer, money_acts.record_invoice(viewer, deal_id, **body.model_dump()).id)


def _card(viewer: Viewer, payment_id: int) -> PaymentCard:
    with reading() as session:
        return money.payment_card(session, viewer, payment_id)


def _statement(viewer: Viewer, statement_id: int) -> StatementPage:
    with reading() as session:
        return money.statement_page(session, viewer, statement_id)


def _invoice(viewer: Viewer, invoice_id: int) -> InvoiceRow:
    with reading() as session:
        return money.invoice(session, viewer, invoice_id)
