"""Invoices of a deal as its card makes them: issued under our number, or recorded as 1C made them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import Response

from backoffice.ui import format as written
from backoffice.ui.routes import pages_deals
from backoffice.ui.routes.pages_common import ROOT, Errors, Form, RowId, done
from backoffice.ui.routes.pages_deal_money import ISSUE, RECORD
from backoffice.ui.security import StaffViewer
from include.money.rights import require_money
from include.shared.errors import BackofficeError, InvalidInput, NotFound
from include.workplace import money_acts

router = APIRouter(prefix="/money/deals/{deal_id}/invoices")
FIELDS = {"number", "date", "amount", "organisation", "vat", "comment"}


@router.post("")
def issue(request: Request, viewer: StaffViewer, deal_id: RowId, form: Form) -> Response:
    """Issue an invoice of a deal under our next number (R002-7)."""
    typed = _typed(form, ISSUE)
    try:
        made = money_acts.issue_invoice(
            viewer, deal_id, amount=typed.get("amount"), organisation=typed.get("organisation"),
            vat=typed.get("vat") or None, comment=typed.get("comment", ""), request_key=form.get("request_key") or None,
        )  # fmt: skip
    except NotFound:
        raise
    except BackofficeError as error:
        return pages_deals.show(request, viewer, deal_id, _errors(error, "issue", ISSUE), form)
    said = f"Выставлен счёт № {made.number} на {written.money(made.amount)}."
    return done(request, f"{ROOT}/deals/{deal_id}#invoices", said)


@router.post("/recorded")
def record(request: Request, viewer: StaffViewer, deal_id: RowId, form: Form) -> Response:
    """Record an invoice that 1C made, under its own number."""
    require_money(viewer)
    typed = _typed(form, RECORD)
    try:
        made = money_acts.record_invoice(
            viewer, deal_id, number=typed.get("number", ""), date=_day(typed.get("date", "")),
            amount=typed.get("amount"), organisation=typed.get("organisation"), vat=typed.get("vat") or None,
            comment=typed.get("comment", ""),
        )  # fmt: skip
    except NotFound:
        raise
    except BackofficeError as error:
        return pages_deals.show(request, viewer, deal_id, _errors(error, "record", RECORD), form)
    said = f"Внесён счёт № {made.number} на {written.money(made.amount)}."
    return done(request, f"{ROOT}/deals/{deal_id}#invoices", said)


def _typed(form: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name: form[f"{prefix}.{name}"] for name in FIELDS if f"{prefix}.{name}" in form}


def _errors(error: BackofficeError, where: str, prefix: str) -> Errors:
    errors = Errors.of(error, where, FIELDS)
    errors.fields = {f"{prefix}.{name}": said for name, said in errors.fields.items()}
    return errors


def _day(typed: str) -> dt.date:
    try:
        return dt.date.fromisoformat(typed.strip())
    except ValueError as error:
        msg = "Выберите дату счёта."
        raise InvalidInput(msg, "date") from error
