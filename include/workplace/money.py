"""What the pages of money show: payments, statements, accounts, invoices, and the deal's own section of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from include.companies.models import Company
from include.deals import rights as deal_rights
from include.documents.rules import size_words
from include.money import accounts, allocation, invoices
from include.money.models import BankStatement, Invoice, OwnAccount, Payment, PaymentAllocation, StatementAccount
from include.money.rights import may_handle, require_money
from include.reconciliation.models import Discrepancy
from include.shared.db import among
from include.shared.errors import NotFound
from include.shared.names import search_key
from include.staff.services import Viewer, names
from include.workplace import history, money_suggestions
from include.workplace.money_refs import deal_refs
from include.workplace.money_shapes import (
    AllocationRow,
    DealMoney,
    FileNews,
    FileProblem,
    InvoiceRow,
    MoneyHome,
    OwnAccountRow,
    PaymentCard,
    PaymentList,
    PaymentRow,
    QueueItem,
    StatementAccountRow,
    StatementPage,
    StatementRow,
    UnknownAccount,
)
from include.workplace.shapes import Page, PersonRef

PER_PAGE, QUEUE_PER_PAGE, MOST_FILES = 50, 20, 8
PAYMENT_STATES = {
    "new": "сопоставляется", "queue": "ждёт разбора", "matched": "сопоставлен", "ignored": "не от клиента",
    "spent": "наш платёж", "internal": "между нашими счетами",
}  # fmt: skip
STATEMENT_STATES = {
    "checked": "ждёт подтверждения", "refused": "не принят", "loaded": "загружен", "discarded": "не понадобился",
}  # fmt: skip
KINDS = {"bank": "выписка банка", "sheet": "таблица Excel"}
INVOICE_STATES = {"issued": "выставлен", "cancelled": "отменён"}
HOW = {"auto": "найдено само", "manual": "вручную"}


@dataclass(frozen=True)
class PaymentFilter:
    """Which payments are wanted; empty parts ask for nothing."""

    since: dt.date | None = None
    until: dt.date | None = None
    state: str = ""
    direction: str = ""
    account_id: int | None = None
    statement_id: int | None = None
    query: str = ""


def home(session: Session, viewer: Viewer) -> MoneyHome:
    """Return what the first page of money tells."""
    require_money(viewer)
    waiting = session.execute(
        select(func.count(), func.coalesce(func.sum(Payment.amount - func.abs(Payment.allocated)), 0)).where(
            Payment.state == "queue"
        )
    ).one()
    lost = select(func.count()).where(Invoice.deal_id.is_(None), Invoice.state == "issued")
    return MoneyHome(
        queue=waiting[0], queue_sum=waiting[1], invoices_without_deal=session.scalar(lost) or 0,
        statements=statements(session, viewer, per_page=MOST_FILES).items,
        accounts=session.scalar(select(func.count()).where(OwnAccount.active)) or 0,
        disagreements=session.scalar(select(func.count()).where(Discrepancy.closed_at.is_(None))) or 0,
    )  # fmt: skip


def payments(
    session: Session, viewer: Viewer, wanted: PaymentFilter, *, page: int = 1, per_page: int = PER_PAGE
) -> PaymentList:
    """Return a page of payments, the newest first, and the sums of all that the filter finds."""
    require_money(viewer)
    found = _conditions(wanted)
    sums = session.execute(
        select(
            func.count(),
            func.coalesce(func.sum(Payment.amount).filter(Payment.direction == "in"), 0),
            func.coalesce(func.sum(Payment.amount).filter(Payment.direction == "out"), 0),
            func.coalesce(
                func.sum(Payment.amount - func.abs(Payment.allocated)).filter(Payment.state.in_(("queue", "new"))), 0
            ),
        ).where(*found)
    ).one()
    rows = session.scalars(
        select(Payment)
        .where(*found)
        .order_by(Payment.date.desc(), Payment.id.desc())
        .offset((page - 1) * per_page)
        .limit(per_page)
    ).all()
    shown = Page[PaymentRow](items=payment_rows(session, rows), total=sums[0], page=page, per_page=per_page)
    return PaymentList(page=shown, incoming=sums[1], outgoing=sums[2], left=sums[3])


def queue(
    session: Session, viewer: Viewer, *, query: str = "", page: int = 1, per_page: int = QUEUE_PER_PAGE
) -> Page[QueueItem]:
    """Return a page of the payments that wait for a decision, the oldest first, with what each may be for."""
    require_money(viewer)
    found = _conditions(PaymentFilter(state="queue", query=query))
    total = session.scalar(select(func.count()).select_from(Payment).where(*found)) or 0
    rows = session.scalars(
        select(Payment).where(*found).order_by(Payment.date, Payment.id).offset((page - 1) * per_page).limit(per_page)
    ).all()
    offered = money_suggestions.suggestions(session, rows)
    items = [QueueItem(payment=shown, suggestions=offered.get(shown.id, [])) for shown in payment_rows(session, rows)]
    return Page[QueueItem](items=items, total=total, page=page, per_page=per_page)


def payment_card(session: Session, viewer: Viewer, payment_id: int) -> PaymentCard:
    """Return everything about one payment; NotFound when there is none."""
    require_money(viewer)
    payment = allocation.payment_of(session, payment_id)
    statement = session.get_one(BankStatement, payment.statement_id)
    given = _allocations(session, PaymentAllocation.payment_id == payment_id)
    waits = payment.state == "queue"
    return PaymentCard(
        row=payment_rows(session, [payment])[0], counter_account=payment.counter_account,
        counter_kpp=payment.counter_kpp, line=payment.line, decided_reason=payment.decided_reason,
        statement=statement.name, statement_link=statement_link(statement.id),
        allocations=[one for one in given if one.undone_at is None],
        undone=[one for one in given if one.undone_at is not None],
        suggestions=money_suggestions.suggestions(session, [payment]).get(payment_id, []) if waits else [],
        history=history.of_entity(session, "payment", payment_id),
    )  # fmt: skip


def statements(session: Session, viewer: Viewer, *, page: int = 1, per_page: int = PER_PAGE) -> Page[StatementRow]:
    """Return a page of the files with payments, the newest first."""
    require_money(viewer)
    total = session.scalar(select(func.count()).select_from(BankStatement)) or 0
    order = (BankStatement.received_at.desc(), BankStatement.id.desc())
    rows = session.scalars(select(BankStatement).order_by(*order).offset((page - 1) * per_page).limit(per_page)).all()
    return Page[StatementRow](items=_statement_rows(session, rows), total=total, page=page, per_page=per_page)


def statement_page(session: Session, viewer: Viewer, statement_id: int) -> StatementPage:
    """Return everything about one file; NotFound when there is none."""
    require_money(viewer)
    found = session.get(BankStatement, statement_id)
    if found is None:
        msg = f"Файла с платежами № {statement_id} нет."
        raise NotFound(msg)
    report = found.report
    balances = session.execute(
        select(StatementAccount, OwnAccount)
        .join(OwnAccount, OwnAccount.id == StatementAccount.own_account_id)
        .where(StatementAccount.statement_id == statement_id)
        .order_by(OwnAccount.account, StatementAccount.date_from, StatementAccount.id)
    ).all()
    states = session.execute(
        select(Payment.state, func.count().label("number"))
        .where(Payment.statement_id == statement_id)
        .group_by(Payment.state)
    )
    counted = {one.state: one.number for one in states}
    return StatementPage(
        row=_statement_rows(session, [found])[0], format_version=found.format_version, encoding=found.encoding,
        documents=int(report.get("documents", 0)), news=FileNews(**report.get("news", {})),
        problems=[FileProblem(**one) for one in report.get("problems", [])],
        problems_total=int(report.get("problems_total", 0)),
        warnings=[FileProblem(**one) for one in report.get("warnings", [])],
        warnings_total=int(report.get("warnings_total", 0)),
        unknown_accounts=[UnknownAccount(**one) for one in report.get("unknown_accounts", [])],
        accounts=[_balances(row, own) for row, own in balances]
        or [StatementAccountRow(**one) for one in report.get("accounts", [])],
        states={PAYMENT_STATES[state]: number for state, number in counted.items()}, unseen=counted.get("new", 0),
        history=history.of_entity(session, "bank_statement", statement_id),
    )  # fmt: skip


def own_accounts(session: Session, viewer: Viewer) -> list[OwnAccountRow]:
    """Return our bank accounts, those in use first."""
    require_money(viewer)
    return [account_row(one) for one in accounts.own_accounts(session)]


def invoices_without_deal(
    session: Session, viewer: Viewer, *, page: int = 1, per_page: int = PER_PAGE
) -> Page[InvoiceRow]:
    """Return a page of the invoices that belong to no deal yet, the newest first."""
    require_money(viewer)
    lost = (Invoice.deal_id.is_(None), Invoice.state == "issued")
    total = session.scalar(select(func.count()).select_from(Invoice).where(*lost)) or 0
    rows = session.scalars(
        select(Invoice).where(*lost).order_by(Invoice.id.desc()).offset((page - 1) * per_page).limit(per_page)
    ).all()
    return Page[InvoiceRow](items=invoice_rows(session, rows), total=total, page=page, per_page=per_page)


def invoice(session: Session, viewer: Viewer, invoice_id: int) -> InvoiceRow:
    """Return an invoice that the viewer may see: of a deal that he sees, or any when he handles money."""
    found = session.get(Invoice, invoice_id)
    seen = found is not None and (
        may_handle(viewer) or (found.deal_id is not None and deal_rights.may_see(session, viewer, found.deal_id))
    )
    if found is None or not seen:
        msg = f"Счёта с записью № {invoice_id} нет."
        raise NotFound(msg)
    return invoice_rows(session, [found])[0]


def allocations_of_invoice(session: Session, viewer: Viewer, invoice_id: int) -> list[AllocationRow]:
    """Return what was paid by an invoice, what was taken back among it, the newest first."""
    invoice(session, viewer, invoice_id)
    return _allocations(session, PaymentAllocation.invoice_id == invoice_id)


def allocation_row(session: Session, viewer: Viewer, allocation_id: int) -> AllocationRow:
    """Return one part of a payment that was given; NotFound when there is none."""
    require_money(viewer)
    found = _allocations(session, PaymentAllocation.id == allocation_id)
    if not found:
        msg = f"Сопоставления № {allocation_id} нет."
        raise NotFound(msg)
    return found[0]


def deal_money(session: Session, viewer: Viewer, deal_id: int) -> DealMoney:
    """Return the section «Счета и оплаты» of a deal that the viewer may see."""
    deal = deal_rights.require_seen(session, viewer, deal_id)
    rows = invoice_rows(session, invoices.of_deal(session, deal_id))
    given = _allocations(session, PaymentAllocation.deal_id == deal_id)
    active = [one for one in given if one.undone_at is None]
    handles = may_handle(viewer)
    return DealMoney(
        invoices=rows, allocations=active, undone=[one for one in given if one.undone_at is not None],
        invoiced=sum((one.amount for one in rows if one.state == "issued"), Decimal(0)),
        confirmed=sum((one.amount for one in active), Decimal(0)),
        not_invoiced=invoices.not_invoiced(session, deal), organisations=accounts.organisations(session),
        may_issue=handles or deal_rights.may_edit(session, viewer, deal), may_handle=handles,
    )  # fmt: skip


# --- rows ---


def payment_rows(session: Session, rows: Sequence[Payment]) -> list[PaymentRow]:
    """Return payments as lists show them."""
    ours = session.scalars(select(OwnAccount).where(among(OwnAccount.id, _ids(one.own_account_id for one in rows))))
    own: dict[int | None, str] = {one.id: one.account for one in ours}
    clients = _company_names(session, (one.company_id for one in rows))
    return [
        PaymentRow(
            id=one.id, number=one.number, date=one.date, amount=one.amount, left=one.amount - abs(one.allocated),
            direction=one.direction, kind=one.kind, state=one.state, state_title=PAYMENT_STATES[one.state],
            counter_name=one.counter_name, counter_inn=one.counter_inn, purpose=one.purpose,
            account=own.get(one.own_account_id), company_id=one.company_id,
            company=clients.get(one.company_id) if one.company_id else None, statement_id=one.statement_id,
            link=payment_link(one.id),
        )
        for one in rows
    ]  # fmt: skip


def invoice_rows(session: Session, rows: Sequence[Invoice]) -> list[InvoiceRow]:
    """Return invoices with what is paid by each."""
    paid = invoices.paid_of(session, [one.id for one in rows])
    deals = deal_refs(session, _ids(one.deal_id for one in rows))
    clients = _company_names(session, (one.company_id for one in rows))
    return [
        InvoiceRow(
            id=one.id, number=one.number, date=one.date, organisation=one.organisation, amount=one.amount,
            paid=paid.get(one.id, Decimal(0)),
            due=one.amount - paid.get(one.id, Decimal(0)) if one.state == "issued" else Decimal(0),
            vat=invoices.VAT_TITLES.get(one.vat, one.vat) if one.vat else None, vat_amount=one.vat_amount,
            state=one.state, state_title=INVOICE_STATES[one.state], source=one.source,
            source_title=invoices.SOURCES[one.source], comment=one.comment, cancelled_reason=one.cancelled_reason,
            deal=deals.get(one.deal_id) if one.deal_id else None,
            company=clients.get(one.company_id) if one.company_id else None, link=invoice_link(one.id),
        )
        for one in rows
    ]  # fmt: skip


def account_row(one: OwnAccount) -> OwnAccountRow:
    """Return an own account as lists show it."""
    return OwnAccountRow(
        id=one.id, account=one.account, bik=one.bik, bank=one.bank, organisation=one.organisation, active=one.active
    )


def payment_link(payment_id: int) -> str:
    """Return the address of a payment's card."""
    return f"/backoffice/money/payments/{payment_id}"


def invoice_link(invoice_id: int) -> str:
    """Return the address of an invoice's page."""
    return f"/backoffice/money/invoices/{invoice_id}"


def statement_link(statement_id: int) -> str:
    """Return the address of a file's page."""
    return f"/backoffice/money/statements/{statement_id}"


def default_period(wanted: PaymentFilter, today: dt.date, days: int = 92) -> PaymentFilter:
    """Return the filter with the last three months when it asks for no period and no file."""
    if wanted.since or wanted.until or wanted.statement_id or wanted.state in ("queue", "new"):
        return wanted
    return replace(wanted, since=today - dt.timedelta(days=days))


def _allocations(session: Session, which: ColumnElement[bool]) -> list[AllocationRow]:
    rows = session.execute(
        select(PaymentAllocation, Payment, Invoice)
        .join(Payment, Payment.id == PaymentAllocation.payment_id)
        .outerjoin(Invoice, Invoice.id == PaymentAllocation.invoice_id)
        .where(which)
        .order_by(PaymentAllocation.id.desc())
        .limit(500)
    ).all()
    people = names(session, _ids(one for row in rows for one in (row[0].by, row[0].undone_by)))
    deals = deal_refs(session, {row[0].deal_id for row in rows})
    return [
        AllocationRow(
            id=one.id, amount=one.amount, raised=one.raised, how=one.how, how_title=HOW[one.how], why=one.why,
            at=one.at, by=_person(one.by, people), deal=deals[one.deal_id], invoice_id=one.invoice_id,
            invoice=invoices.title(of) if of is not None else None, payment_id=payment.id,
            payment=allocation.payment_title(payment), payment_date=payment.date, payment_link=payment_link(payment.id),
            undone_at=one.undone_at, undone_by=_person(one.undone_by, people), undone_reason=one.undone_reason,
        )
        for one, payment, of in rows
    ]  # fmt: skip


def _statement_rows(session: Session, rows: Sequence[BankStatement]) -> list[StatementRow]:
    people = names(session, _ids(one for row in rows for one in (row.received_by, row.loaded_by)))
    return [
        StatementRow(
            id=one.id, kind=one.kind, kind_title=KINDS[one.kind], name=one.name, size=one.size,
            size_words=size_words(one.size), source=one.source,
            state=one.state, state_title=STATEMENT_STATES[one.state], date_from=one.date_from, date_to=one.date_to,
            received_at=one.received_at, received_by=_person(one.received_by, people), loaded_at=one.loaded_at,
            loaded_by=_person(one.loaded_by, people), link=statement_link(one.id),
        )
        for one in rows
    ]  # fmt: skip


def _balances(row: StatementAccount, own: OwnAccount) -> StatementAccountRow:
    return StatementAccountRow(
        account=own.account, organisation=own.organisation, date_from=row.date_from, date_to=row.date_to,
        opening=row.opening, received=row.received, spent=row.spent, closing=row.closing,
    )  # fmt: skip


def _conditions(wanted: PaymentFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.since:
        found.append(Payment.date >= wanted.since)
    if wanted.until:
        found.append(Payment.date <= wanted.until)
    if wanted.state:
        found.append(Payment.state == wanted.state)
    if wanted.direction:
        found.append(Payment.direction == wanted.direction)
    if wanted.account_id:
        found.append(Payment.own_account_id == wanted.account_id)
    if wanted.statement_id:
        found.append(Payment.statement_id == wanted.statement_id)
    if wanted.query:
        found.append(_searched(wanted.query))
    return found


def _searched(query: str) -> ColumnElement[bool]:
    typed = query.strip()
    ways: list[Any] = [
        Payment.number == typed,
        func.lower(Payment.counter_name).contains(search_key(typed), autoescape=True),
        func.lower(Payment.purpose).contains(typed.lower(), autoescape=True),
    ]
    if typed.isascii() and typed.isdigit():
        ways.append(Payment.counter_inn.startswith(typed))
    amount = _amount(typed)
    if amount is not None:
        ways.append(Payment.amount == amount)
    return or_(*ways)


def _amount(typed: str) -> Decimal | None:
    plain = typed.replace("\u00a0", "").replace(" ", "").replace(",", ".")
    whole, _, kopecks = plain.partition(".")
    if not (whole.isascii() and whole.isdigit() and len(whole) <= 15) or len(kopecks) > 2:
        return None
    if kopecks and not (kopecks.isascii() and kopecks.isdigit()):
        return None
    return Decimal(plain.rstrip("."))


def _company_names(session: Session, ids: Iterable[int | None]) -> dict[int, str]:
    wanted = _ids(ids)
    if not wanted:
        return {}
    rows = session.execute(select(Company.id, Company.name).where(among(Company.id, wanted)))
    return {row.id: row.name for row in rows}


def _ids(ids: Iterable[int | None]) -> set[int]:
    return {one for one in ids if one is not None}


def _person(person_id: int | None, people: dict[int, str]) -> PersonRef | None:
    return PersonRef(id=person_id, name=people.get(person_id, "")) if person_id is not None else None
