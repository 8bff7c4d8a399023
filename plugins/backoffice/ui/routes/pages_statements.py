"""Statements of the bank and tables of payments: sent, looked through, loaded or given up."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response

from backoffice.ui.routes.pages_common import (
    ROOT,
    Errors,
    Form,
    PageNumber,
    RowId,
    address,
    done,
    page,
    page_number,
)
from backoffice.ui.security import StaffViewer
from backoffice.ui.uploads import SentFile, UploadViewer
from include.shared.errors import BackofficeError, Forbidden, NotFound
from include.shared.work import reading
from include.staff.services import Viewer
from include.workplace import files, money, money_acts

router = APIRouter(prefix="/money/statements")
HERE = f"{ROOT}/money/statements"
SHEET_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
Kind = Literal["bank", "sheet"]


@router.get("")
def statements(request: Request, viewer: StaffViewer, page_: PageNumber = "1") -> Response:
    """Show the files that were sent, and where to send one."""
    return _show_list(request, viewer, number=page_number(page_))


@router.get("/template")
def template(viewer: StaffViewer) -> Response:
    """Send an empty table for payments."""
    return template_response(viewer)


@router.post("/bank")
def upload_bank(request: Request, viewer: UploadViewer, sent: SentFile) -> Response:
    """Take a statement of the bank and look it through; its page says what would be loaded."""
    return _upload(request, viewer, "bank", sent)


@router.post("/sheet")
def upload_sheet(request: Request, viewer: UploadViewer, sent: SentFile) -> Response:
    """Take a table of payments and look it through; its page says what would be loaded."""
    return _upload(request, viewer, "sheet", sent)


@router.get("/{statement_id}")
def statement(request: Request, viewer: StaffViewer, statement_id: RowId) -> Response:
    """Show what a file holds, what is wrong in it, and what became of it."""
    return _show(request, viewer, statement_id)


@router.post("/{statement_id}/check")
def check(request: Request, viewer: StaffViewer, statement_id: RowId) -> Response:
    """Look a file through once more."""
    try:
        money_acts.check_again(viewer, statement_id)
    except (NotFound, Forbidden):
        raise
    except BackofficeError as error:
        return _show(request, viewer, statement_id, Errors.of(error, "act"))
    return done(request, f"{HERE}/{statement_id}", "Файл проверен снова.")


@router.post("/{statement_id}/load")
def load(request: Request, viewer: StaffViewer, statement_id: RowId) -> Response:
    """Load a file that was looked through, and match its payments."""
    try:
        said = money_acts.load(viewer, statement_id)
    except (NotFound, Forbidden):
        raise
    except BackofficeError as error:
        return _show(request, viewer, statement_id, Errors.of(error, "act"))
    return done(request, f"{HERE}/{statement_id}", said)


@router.post("/{statement_id}/discard")
def discard(request: Request, viewer: StaffViewer, statement_id: RowId, form: Form) -> Response:
    """Give a file up, after a question."""
    with reading() as session:
        shown = money.statement_page(session, viewer, statement_id)
    if form.get("confirmed") != "yes" and shown.row.state in ("checked", "refused"):
        return page(
            request, viewer, "confirm.html", active="money", title="Не загружать этот файл?",
            text=f"Файл «{shown.row.name}» останется в списке с пометкой «не понадобился».",
            consequences=["Его платежи не попадут в систему.", "Позже его можно проверить и загрузить снова."],
            action=f"{HERE}/{statement_id}/discard", back=f"{HERE}/{statement_id}", hidden={}, button="Не загружать",
        )  # fmt: skip
    try:
        money_acts.discard(viewer, statement_id)
    except (NotFound, Forbidden):
        raise
    except BackofficeError as error:
        return _show(request, viewer, statement_id, Errors.of(error, "act"))
    return done(request, HERE, f"Файл «{shown.row.name}» не загружен.")


def template_response(viewer: Viewer) -> Response:
    """Return an empty table for payments as a file to keep."""
    name = {"Content-Disposition": 'attachment; filename="payments.xlsx"'}
    return Response(money_acts.template(viewer), media_type=SHEET_TYPE, headers=name)


def _upload(request: Request, viewer: Viewer, kind: Kind, sent: SentFile) -> Response:
    try:
        statement_id = money_acts.upload(viewer, kind, *sent.take())
    except (NotFound, Forbidden):
        raise
    except BackofficeError as error:
        errors = Errors.of(error, kind)
        errors.status = 413 if sent.refused else errors.status
        return _show_list(request, viewer, errors)
    return done(request, f"{HERE}/{statement_id}")


def _show_list(request: Request, viewer: Viewer, errors: Errors | None = None, number: int = 1) -> Response:
    errors = errors or Errors()
    with reading() as session:
        found = money.statements(session, viewer, page=number)
        home, limit = money.home(session, viewer), files.limit_mb(session)
    return page(
        request, viewer, "money_statements.html", status=errors.status, active="money", found=found, home=home,
        limit_mb=limit, errors=errors, tab="statements", page_address=lambda at: address("/money/statements", page=at),
    )  # fmt: skip


def _show(request: Request, viewer: Viewer, statement_id: int, errors: Errors | None = None) -> Response:
    errors = errors or Errors()
    with reading() as session:
        shown = money.statement_page(session, viewer, statement_id)
    news = shown.news
    return page(
        request, viewer, "money_statement.html", status=errors.status, active="money", shown=shown, errors=errors,
        news_total=news.incoming + news.outgoing + news.internal,
    )  # fmt: skip
