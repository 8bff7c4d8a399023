"""Shapes of money: own accounts, invoices, statements, payments, and what a deal's card shows of them."""

from __future__ import annotations

import datetime as dt
from datetime import datetime
from decimal import Decimal

from include.workplace.shapes import HistoryRow, Page, PersonRef, Shape


class DealRef(Shape):
    """A deal as a link shows it; ``over`` says how it ended, when it did."""

    id: int
    title: str
    link: str
    over: str | None = None


class OwnAccountRow(Shape):
    """A bank account of ours."""

    id: int
    account: str
    bik: str
    bank: str
    organisation: str
    active: bool


class InvoiceRow(Shape):
    """An invoice with what is paid by it and what is still due, in roubles (due is negative when it is overpaid)."""

    id: int
    number: str
    date: dt.date
    organisation: str
    amount: Decimal
    paid: Decimal
    due: Decimal
    vat: str | None
    vat_amount: Decimal | None
    state: str
    state_title: str
    source: str
    source_title: str
    comment: str
    cancelled_reason: str | None
    deal: DealRef | None
    company: str | None
    link: str


class AllocationRow(Shape):
    """A part of a payment given to a deal; ``raised`` is by how much «Сумма оплаты» changed."""

    id: int
    amount: Decimal
    raised: Decimal
    how: str
    how_title: str
    why: str
    at: datetime
    by: PersonRef | None
    deal: DealRef
    invoice_id: int | None
    invoice: str | None
    payment_id: int
    payment: str
    payment_date: dt.date
    payment_link: str
    undone_at: datetime | None
    undone_by: PersonRef | None
    undone_reason: str | None


class PaymentRow(Shape):
    """A payment in a list; ``left`` is what of it is given to nothing yet."""

    id: int
    number: str
    date: dt.date
    amount: Decimal
    left: Decimal
    direction: str
    kind: str
    state: str
    state_title: str
    counter_name: str
    counter_inn: str | None
    purpose: str
    account: str | None
    company_id: int | None
    company: str | None
    statement_id: int
    link: str


class SuggestedPart(Shape):
    """A part of a suggestion: so much of the payment for this deal by this invoice."""

    deal: DealRef
    invoice_id: int | None
    invoice: str | None
    invoice_due: Decimal | None
    amount: Decimal


class Suggestion(Shape):
    """What a payment may be for, and why we think so; ``entered`` – the deal's sum was entered by hand before."""

    parts: list[SuggestedPart]
    why: str
    entered: bool = False


class Target(Shape):
    """What a payment may be given to by hand: an invoice of a deal, or the deal itself; ``due`` is what it waits for.

    Of a refund ``due`` is what was received and may be given back; ``same_client`` says that the ИНН is the payer's.
    """

    deal: DealRef
    company: str | None
    inn: str | None
    invoice_id: int | None
    invoice: str | None
    amount: Decimal
    due: Decimal
    same_client: bool


class DealTarget(Shape):
    """A deal that an invoice without one may belong to; ``fits`` says that what it lacks is the invoice's sum."""

    deal: DealRef
    company: str | None
    amount: Decimal | None
    not_invoiced: Decimal
    same_client: bool
    fits: bool


class QueueItem(Shape):
    """A payment to be decided, with what it may be for, the likeliest first."""

    payment: PaymentRow
    suggestions: list[Suggestion]


class PaymentCard(Shape):
    """Everything about one payment."""

    row: PaymentRow
    counter_account: str | None
    counter_kpp: str | None
    line: int
    decided_reason: str | None
    statement: str
    statement_link: str
    allocations: list[AllocationRow]
    undone: list[AllocationRow]
    suggestions: list[Suggestion]
    history: list[HistoryRow]


class PaymentList(Shape):
    """A page of payments with the sums of all that the filter finds."""

    page: Page[PaymentRow]
    incoming: Decimal
    outgoing: Decimal
    left: Decimal


class StatementAccountRow(Shape):
    """The balances of one of our accounts in a statement."""

    account: str
    organisation: str
    date_from: dt.date | None
    date_to: dt.date | None
    opening: Decimal | None
    received: Decimal | None
    spent: Decimal | None
    closing: Decimal | None


class StatementRow(Shape):
    """A file with payments and what became of it."""

    id: int
    kind: str
    kind_title: str
    name: str
    size: int
    size_words: str
    source: str
    state: str
    state_title: str
    date_from: dt.date | None
    date_to: dt.date | None
    received_at: datetime
    received_by: PersonRef | None
    loaded_at: datetime | None
    loaded_by: PersonRef | None
    link: str


class FileProblem(Shape):
    """What is wrong with a line or a cell of a file; ``line`` 0 is the file as a whole."""

    line: int
    cell: str | None
    text: str


class FileNews(Shape):
    """What a file holds: new payments by direction with their sums in roubles, and those that are known already."""

    incoming: int = 0
    outgoing: int = 0
    internal: int = 0
    repeated: int = 0
    twins: int = 0
    incoming_sum: Decimal = Decimal(0)
    outgoing_sum: Decimal = Decimal(0)


class UnknownAccount(Shape):
    """An account of a file that we do not know as ours yet, with what the file says of its bank."""

    account: str
    bik: str | None
    bank: str | None


class StatementPage(Shape):
    """Everything about one file: what it holds or why it was not loaded, its balances, its report."""

    row: StatementRow
    format_version: str | None
    encoding: str | None
    documents: int
    news: FileNews
    problems: list[FileProblem]
    problems_total: int
    warnings: list[FileProblem]
    warnings_total: int
    unknown_accounts: list[UnknownAccount]
    accounts: list[StatementAccountRow]
    states: dict[str, int]
    unseen: int  # loaded, and the matching has not come to them yet
    history: list[HistoryRow]


class MoneyHome(Shape):
    """What the first page of money tells: how much waits, the newest files, our accounts."""

    queue: int
    queue_sum: Decimal
    invoices_without_deal: int
    statements: list[StatementRow]
    accounts: int
    disagreements: int


class DealMoney(Shape):
    """The section «Счета и оплаты» of a deal's card."""

    invoices: list[InvoiceRow]
    allocations: list[AllocationRow]
    undone: list[AllocationRow]
    invoiced: Decimal
    confirmed: Decimal  # what payments make of «Сумма оплаты»
    not_invoiced: Decimal
    organisations: list[str]
    may_issue: bool
    may_handle: bool
