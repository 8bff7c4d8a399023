"""Money: payments and what they are for, statements of the bank, tables of payments, our accounts, invoices."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
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
    local_address,
    page,
    page_number,
)
from backoffice.ui.security import StaffViewer
from include.deals.rules import parse_sum
from include.money.allocation import Part, clean_reason
from include.money.rights import may_handle, require_money
from include.shared import clock
from include.shared.errors import BackofficeError, Forbidden, InvalidInput, NotFound
from include.shared.work import reading
from include.staff.services import Viewer
from include.workplace import money, money_acts, money_targets
from include.workplace.money_shapes import AllocationRow, SuggestedPart

router = APIRouter(prefix="/money")
HERE = f"{ROOT}/money"
STATES = {"": "Все", "queue": "Ждут разбора", "matched": "Сопоставлены", "ignored": "Не от клиентов",
          "spent": "Наши платежи", "internal": "Между нашими счетами"}  # fmt: skip
DIRECTIONS = {"": "Все", "in": "Поступления", "out": "Списания"}


@router.get("")
def payments(
    request: Request, viewer: StaffViewer, q: str = "", state: str = "", direction: str = "", account: str = "",
    statement: str = "", since: str = "", until: str = "", page_: PageNumber = "1",
) -> Response:  # fmt: skip
    """Show the payments that a filter finds, with their sums; by default those of the last three months."""
    number, query = page_number(page_), clean_query(q)
    state, direction = state if state in STATES else "", direction if direction in DIRECTIONS else ""
    with reading() as session:
        now = clock.now(session)
        wanted = money.default_period(
            money.PaymentFilter(
                since=_day(since), until=_day(until), state=state, direction=direction, account_id=identity(account),
                statement_id=identity(statement), query=query,
            ),
            now.date(),
        )  # fmt: skip
        found = money.payments(session, viewer, wanted, page=number)
        home, own = money.home(session, viewer), money.own_accounts(session, viewer)
    kept = {
        "q": query, "state": state, "direction": direction, "account": wanted.account_id,
        "statement": wanted.statement_id, "since": since if _day(since) else "", "until": until if _day(until) else "",
    }  # fmt: skip
    return page(
        request, viewer, "money.html", active="money", found=found, home=home, own=own, q=query, state=state,
        direction=direction, account=wanted.account_id, statement=wanted.statement_id, wanted=wanted, states=STATES,
        directions=DIRECTIONS, is_filtered=any(kept.values()), tab="payments",
        page_address=lambda at: address("/money", **{**kept, "page": at}),
    )  # fmt: skip


@router.get("/queue")
def queue(request: Request, viewer: StaffViewer, q: str = "", page_: PageNumber = "1") -> Response:
    """Show the payments that wait for a decision, each with what it may be for."""
    number, query = page_number(page_), clean_query(q)
    with reading() as session:
        found = money.queue(session, viewer, query=query, page=number)
        home = money.home(session, viewer)
    return page(
        request, viewer, "money_queue.html", active="money", found=found, home=home, q=query, tab="queue",
        part_fields=part_fields,
        page_address=lambda at: address("/money/queue", q=query, page=at),
    )  # fmt: skip


@router.get("/payments/{payment_id}")
def payment(request: Request, viewer: StaffViewer, payment_id: RowId, find: Annotated[str, Query()] = "") -> Response:
    """Show everything about one payment; ``find`` looks for the deals that it may be for."""
    return _show_payment(request, viewer, payment_id, find=clean_query(find))


@router.post("/payments/{payment_id}/match")
def match(request: Request, viewer: StaffViewer, payment_id: RowId, form: Form) -> Response:
    """Give a payment to the deals and invoices that the form names; back to where the button was."""
    back = local_address(form.get("back"), f"{HERE}/payments/{payment_id}")
    try:
        parts = _parts(form)
        made = money_acts.match(viewer, payment_id, parts, counted=form.get("counted") == "yes")
    except (NotFound, Forbidden):
        raise
    except BackofficeError as error:
        return _show_payment(request, viewer, payment_id, Errors.of(error, "match"), form, find=form.get("find", ""))
    said = " ".join(["Платёж сопоставлен.", *made.warnings])
    return done(request, back, said, kind="warning" if made.warnings else "ok")


@router.post("/payments/{payment_id}/ignore")
def ignore(request: Request, viewer: StaffViewer, payment_id: RowId, form: Form) -> Response:
    """Put a payment aside as no client's, with a reason."""
    back = local_address(form.get("back"), f"{HERE}/payments/{payment_id}")
    try:
        money_acts.ignore(viewer, payment_id, form.get("reason", ""))
    except (NotFound, Forbidden):
        raise
    except BackofficeError as error:
        return _show_payment(request, viewer, payment_id, Errors.of(error, "ignore", {"reason"}), form)
    return done(request, back, "Платёж отложен. Вернуть его в разбор можно на его странице.")


@router.post("/payments/{payment_id}/queue")
def to_queue(request: Request, viewer: StaffViewer, payment_id: RowId) -> Response:
    """Put an ignored payment, or a refund of ours, into the queue."""
    here = f"{HERE}/payments/{payment_id}"
    try:
        money_acts.to_queue(viewer, payment_id)
    except (NotFound, Forbidden):
        raise
    except BackofficeError as error:
        return done(request, here, str(error), kind="warning")
    return done(request, here, "Платёж снова ждёт разбора.")


@router.post("/payments/{payment_id}/unmatch")
def unmatch(request: Request, viewer: StaffViewer, payment_id: RowId, form: Form) -> Response:
    """Take all that a payment was given to back, with a reason, after a question."""
    here, reason = f"{HERE}/payments/{payment_id}", form.get("reason", "")
    try:
        clean_reason(reason)
        if form.get("confirmed") != "yes":
            with reading() as session:
                card = money.payment_card(session, viewer, payment_id)
            if card.allocations:
                return _ask_undo(request, viewer, card.allocations, f"{here}/unmatch", here, reason)
        money_acts.unmatch(viewer, payment_id, reason)
    except (NotFound, Forbidden):
        raise
    except BackofficeError as error:
        return _show_payment(request, viewer, payment_id, Errors.of(error, "unmatch", {"reason"}), form)
    return done(request, here, "Сопоставление отменено, платёж снова ждёт разбора.")


@router.post("/allocations/{allocation_id}/undo")
def undo(request: Request, viewer: StaffViewer, allocation_id: RowId, form: Form) -> Response:
    """Take one part of a payment back, with a reason, after a question."""
    back, reason = local_address(form.get("back"), HERE), form.get("reason", "")
    try:
        with reading() as session:
            one = money.allocation_row(session, viewer, allocation_id)
        clean_reason(reason)
        if form.get("confirmed") != "yes" and one.undone_at is None:
            return _ask_undo(request, viewer, [one], f"{HERE}/allocations/{allocation_id}/undo", back, reason)
        money_acts.undo(viewer, allocation_id, reason)
    except (NotFound, Forbidden):
        raise
    except BackofficeError as error:
        return done(request, back, str(error), kind="warning")
    return done(request, back, "Сопоставление отменено, платёж снова ждёт разбора.")


@router.post("/match-again")
def match_again(request: Request, viewer: StaffViewer) -> Response:
    """Let the matching look at what it has not seen yet."""
    return done(request, f"{HERE}/queue", money_acts.match_again(viewer))


@router.get("/invoices")
def invoices(request: Request, viewer: StaffViewer, page_: PageNumber = "1") -> Response:
    """Show the invoices that belong to no deal yet."""
    with reading() as session:
        found = money.invoices_without_deal(session, viewer, page=page_number(page_))
        home = money.home(session, viewer)
    return page(
        request, viewer, "money_invoices.html", active="money", found=found, home=home, tab="invoices",
        page_address=lambda at: address("/money/invoices", page=at),
    )  # fmt: skip


@router.get("/invoices/{invoice_id}")
def invoice(request: Request, viewer: StaffViewer, invoice_id: RowId, find: Annotated[str, Query()] = "") -> Response:
    """Show an invoice, what was paid by it and, while it belongs to no deal, the deals that it may be of."""
    return _show_invoice(request, viewer, invoice_id, find=clean_query(find))


@router.post("/invoices/{invoice_id}/cancel")
def cancel(request: Request, viewer: StaffViewer, invoice_id: RowId, form: Form) -> Response:
    """Cancel an invoice, with a reason, after a question."""
    require_money(viewer)
    here, reason = f"{HERE}/invoices/{invoice_id}", form.get("reason", "")
    try:
        clean_reason(reason)
        with reading() as session:
            shown = money.invoice(session, viewer, invoice_id)
        if form.get("confirmed") != "yes" and not shown.paid:
            return page(
                request, viewer, "confirm.html", active="money", title=f"Отменить счёт № {shown.number}?",
                text=f"Счёт на {written.money(shown.amount)} перестанет действовать.",
                consequences=["Оплаты по нему больше не будут находиться сами.",
                              "Номер останется занятым; отмену можно снять."],
                action=f"{here}/cancel", back=here, hidden={"reason": reason}, button="Отменить счёт",
            )  # fmt: skip
        made = money_acts.cancel_invoice(viewer, invoice_id, reason)
    except (NotFound, Forbidden):
        raise
    except BackofficeError as error:
        return _show_invoice(request, viewer, invoice_id, Errors.of(error, "cancel", {"reason"}), form)
    return done(request, here, f"Счёт № {made.number} отменён.")


@router.post("/invoices/{invoice_id}/restore")
def restore(request: Request, viewer: StaffViewer, invoice_id: RowId) -> Response:
    """Take the cancelling of an invoice back."""
    made = money_acts.restore_invoice(viewer, invoice_id)
    return done(request, f"{HERE}/invoices/{invoice_id}", f"Счёт № {made.number} снова действует.")


@router.post("/invoices/{invoice_id}/attach")
def attach(request: Request, viewer: StaffViewer, invoice_id: RowId, form: Form) -> Response:
    """Give an invoice to a deal."""
    require_money(viewer)
    try:
        deal_id = identity(form.get("deal_id"))
        if deal_id is None:
            msg = "Выберите сделку."
            raise InvalidInput(msg, "deal_id")
        made = money_acts.attach_invoice(viewer, invoice_id, deal_id)
    except Forbidden:
        raise
    except BackofficeError as error:
        return _show_invoice(request, viewer, invoice_id, Errors.of(error, "attach"), form)
    return done(request, f"{HERE}/invoices/{invoice_id}", f"Счёт № {made.number} отнесён к сделке № {deal_id}.")


@router.get("/accounts")
def accounts(request: Request, viewer: StaffViewer, account: str = "", bik: str = "", bank: str = "") -> Response:
    """Show our bank accounts and the form of a new one (a statement's page fills it)."""
    return _show_accounts(request, viewer, typed={"account": account, "bik": bik, "bank": bank})


@router.post("/accounts")
def add_account(request: Request, viewer: StaffViewer, form: Form) -> Response:
    """Make an account of ours known; back to the statement that asked for it."""
    wanted = {name: form.get(name, "") for name in ("account", "bik", "bank", "organisation")}
    try:
        made = money_acts.add_account(viewer, **wanted)
    except Forbidden:
        raise
    except BackofficeError as error:
        return _show_accounts(request, viewer, Errors.of(error, "add", set(wanted)), form)
    return done(request, local_address(form.get("back"), f"{HERE}/accounts"), f"Счёт {made.account} добавлен.")


@router.post("/accounts/{account_id}/state")
def account_state(request: Request, viewer: StaffViewer, account_id: RowId, form: Form) -> Response:
    """Close an account of ours, after a question, or open it again."""
    opens, here = form.get("active") == "yes", f"{HERE}/accounts"
    if not opens and form.get("confirmed") != "yes":
        with reading() as session:
            own = next((one for one in money.own_accounts(session, viewer) if one.id == account_id), None)
        if own is not None:
            return page(
                request, viewer, "confirm.html", active="money", title=f"Закрыть счёт {own.account}?",
                text=f"{own.organisation}, {own.bank}.",
                consequences=["Если у организации нет другого счёта, выставлять от неё счета будет нельзя.",
                              "Платежи останутся, выписки по нему можно загружать и дальше."],
                action=f"{here}/{account_id}/state", back=here, hidden={"active": "no"}, button="Закрыть счёт",
            )  # fmt: skip
    made = money_acts.set_account_active(viewer, account_id, opens)
    return done(request, here, f"Счёт {made.account} {'снова действует' if made.active else 'закрыт'}.")


# --- what the forms hold ---


def _ask_undo(
    request: Request, viewer: Viewer, given: Sequence[AllocationRow], action: str, back: str, reason: str
) -> Response:
    """Ask before money is taken off deals; say what falls by how much."""
    falls = [
        f"«Сумма оплаты» сделки «{one.deal.title}» "
        f"{'вырастет' if one.raised < 0 else 'уменьшится'} на {written.money(abs(one.raised))}."
        for one in given
        if one.raised
    ]
    return page(
        request, viewer, "confirm.html", active="money", title="Отменить сопоставление?",
        text=f"{given[0].payment[:1].upper()}{given[0].payment[1:]}: снова будет ждать разбора.",
        consequences=[*falls, "Долг пересчитается, ответственный узнает об этом. Запись о сопоставлении останется."],
        action=action, back=back, hidden={"reason": reason, "back": back}, button="Отменить сопоставление",
    )  # fmt: skip


def _show_payment(
    request: Request, viewer: Viewer, payment_id: int, errors: Errors | None = None,
    typed: Mapping[str, str] | None = None, find: str = "",
) -> Response:  # fmt: skip
    errors = errors or Errors()
    with reading() as session:
        card = money.payment_card(session, viewer, payment_id)
        targets = money_targets.targets(session, viewer, payment_id, find) if card.row.left > 0 else []
        home = money.home(session, viewer)
    return page(
        request, viewer, "money_payment.html", status=errors.status, active="money", card=card, targets=targets,
        errors=errors, typed=typed or {}, find=find, home=home, tab="", part_fields=part_fields,
    )  # fmt: skip


def _show_invoice(
    request: Request, viewer: Viewer, invoice_id: int, errors: Errors | None = None,
    typed: Mapping[str, str] | None = None, find: str = "",
) -> Response:  # fmt: skip
    errors = errors or Errors()
    with reading() as session:
        shown = money.invoice(session, viewer, invoice_id)
        given = money.allocations_of_invoice(session, viewer, invoice_id)
        handles = may_handle(viewer)
        asks = handles and shown.deal is None
        deals = money_targets.deals_of_invoice(session, viewer, invoice_id, find) if asks else []
    return page(
        request, viewer, "money_invoice.html", status=errors.status, active="money" if handles else "deals",
        invoice=shown, allocations_of=given, deals=deals, handles=handles, errors=errors, typed=typed or {}, find=find,
    )  # fmt: skip


def _show_accounts(
    request: Request, viewer: Viewer, errors: Errors | None = None, typed: Mapping[str, str] | None = None
) -> Response:
    errors, kept = errors or Errors(), typed or {}
    with reading() as session:
        own = money.own_accounts(session, viewer)
        home = money.home(session, viewer)
    inputs: list[dict[str, Any]] = [
        {"name": "account", "title": "Номер счёта", "kind": "number", "required": True, "hint": "20 цифр"},
        {"name": "bik", "title": "БИК", "kind": "number", "required": True, "hint": "9 цифр"},
        {"name": "bank", "title": "Банк", "kind": "text", "required": True, "longest": 300},
        {"name": "organisation", "title": "Организация", "kind": "text", "required": True, "longest": 300,
         "hint": "Как в 1С и в документах, например ООО «Ромашка»"},
    ]  # fmt: skip
    for one in inputs:
        one["value"] = kept.get(one["name"], "")
    known = sorted({one.organisation for one in own})
    if not inputs[3]["value"] and len(known) == 1:
        inputs[3]["value"] = known[0]
    back = local_address(kept.get("back"), "")
    return page(
        request, viewer, "money_accounts.html", status=errors.status, active="money", own=own, home=home, inputs=inputs,
        errors=errors, tab="accounts", back=back, has_typed=bool(kept.get("account")),
    )  # fmt: skip


def part_fields(parts: list[SuggestedPart]) -> dict[str, str]:
    """Return a suggestion as the hidden fields of its button."""
    return {f"part.{one.deal.id}.{one.invoice_id or 0}": str(one.amount) for one in parts}


def _parts(form: Mapping[str, str]) -> list[Part]:
    """Read the parts of a form: «part.<deal>.<invoice or 0>» with a sum each; empty ones are not meant."""
    found = []
    for name, value in form.items():
        if not name.startswith("part.") or not value.strip():
            continue
        deal_id, _, invoice_id = name.removeprefix("part.").partition(".")
        deal = identity(deal_id)
        if deal is None or not (identity(invoice_id) or invoice_id == "0"):
            msg = "Выберите сделку и счёт из списка."
            raise InvalidInput(msg, "match")
        found.append(Part(deal, _sum(value), identity(invoice_id)))
    return found


def _sum(value: str) -> Decimal:
    return parse_sum("Из платежа", value)


def _day(value: str) -> dt.date | None:
    try:
        day = dt.date.fromisoformat(value.strip())
    except ValueError:
        return None
    return day if 2000 <= day.year <= 2100 else None
