"""Own accounts, invoices, statements of the bank, payments, and what each payment pays for."""

from __future__ import annotations

import datetime as dt
from datetime import datetime

from sqlalchemy import CheckConstraint, Date, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from include.shared.db import Base, Id, Json, Moment, Money


class OwnAccount(Base):
    """A bank account of ours: it decides which way a payment went, and whose number an invoice gets."""

    __tablename__ = "own_account"

    id: Mapped[Id]
    account: Mapped[str] = mapped_column(Text, unique=True)
    bik: Mapped[str] = mapped_column(Text)
    bank: Mapped[str] = mapped_column(Text)
    organisation: Mapped[str] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    added_at: Mapped[Moment]
    added_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))


class Invoice(Base):
    """An invoice to a client: of our own numbering, recorded as 1C made it, or come with an exchange."""

    __tablename__ = "invoice"
    __table_args__ = (
        CheckConstraint("state IN ('issued', 'cancelled')", name="state"),
        CheckConstraint("source IN ('own', 'recorded', 'one_c')", name="source"),
        CheckConstraint("amount > 0", name="amount"),
        Index("uq_invoice_number", "organisation", "year", "number_key", unique=True),
        Index("uq_invoice_external_id", "external_id", unique=True, postgresql_where=text("external_id IS NOT NULL")),
        Index("ix_invoice_number_key", "number_key"),
        Index("ix_invoice_deal_id", "deal_id"),
        Index("ix_invoice_company_id", "company_id"),
        Index("ix_invoice_without_deal", "id", postgresql_where=text("deal_id IS NULL AND state = 'issued'")),
    )

    id: Mapped[Id]
    deal_id: Mapped[int | None] = mapped_column(ForeignKey("deal.id"))
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id"))
    organisation: Mapped[str] = mapped_column(Text)
    year: Mapped[int]
    number: Mapped[str] = mapped_column(Text)
    number_key: Mapped[str] = mapped_column(Text)
    sequence: Mapped[int | None]  # of our own numbering, which begins anew each year
    date: Mapped[dt.date] = mapped_column(Date)
    amount: Mapped[Money]
    vat: Mapped[str | None] = mapped_column(Text)
    vat_amount: Mapped[Money | None]
    state: Mapped[str] = mapped_column(Text, server_default="issued")
    external_id: Mapped[str | None] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    comment: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[Moment]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    cancelled_at: Mapped[datetime | None]
    cancelled_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    cancelled_reason: Mapped[str | None] = mapped_column(Text)


class BankStatement(Base):
    """A file with payments: looked through, then loaded as a whole, refused or given up; one row per content."""

    __tablename__ = "bank_statement"
    __table_args__ = (
        CheckConstraint("kind IN ('bank', 'sheet')", name="kind"),
        CheckConstraint("state IN ('checked', 'refused', 'loaded', 'discarded')", name="state"),
        Index("ix_bank_statement_received_at", "received_at", "id"),
    )

    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(Text, unique=True)
    size: Mapped[int]
    source: Mapped[str] = mapped_column(Text)  # page | folder
    state: Mapped[str] = mapped_column(Text)
    format_version: Mapped[str | None] = mapped_column(Text)
    encoding: Mapped[str | None] = mapped_column(Text)
    date_from: Mapped[dt.date | None] = mapped_column(Date)
    date_to: Mapped[dt.date | None] = mapped_column(Date)
    received_at: Mapped[Moment]
    received_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    loaded_at: Mapped[datetime | None]
    loaded_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    report: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))


class StatementAccount(Base):
    """What a loaded statement says of one of our accounts for one period: its balances and turnover."""

    __tablename__ = "statement_account"
    __table_args__ = (
        Index("ix_statement_account_statement_id", "statement_id"),
        Index("ix_statement_account_own_account_id", "own_account_id", "date_from"),
    )

    id: Mapped[Id]
    statement_id: Mapped[int] = mapped_column(ForeignKey("bank_statement.id"))
    own_account_id: Mapped[int] = mapped_column(ForeignKey("own_account.id"))
    date_from: Mapped[dt.date | None] = mapped_column(Date)
    date_to: Mapped[dt.date | None] = mapped_column(Date)
    opening: Mapped[Money | None]
    received: Mapped[Money | None]
    spent: Mapped[Money | None]
    closing: Mapped[Money | None]


class Payment(Base):
    """A movement of money on an account of ours, loaded once (``key``); ``allocated`` is what it pays for so far.

    Incoming: new → matched, or queue → matched | ignored. Outgoing: spent, or queue (a refund) → matched | ignored.
    Between our own accounts: internal.
    """

    __tablename__ = "payment"
    __table_args__ = (
        CheckConstraint("direction IN ('in', 'out')", name="direction"),
        CheckConstraint("state IN ('new', 'queue', 'matched', 'ignored', 'spent', 'internal')", name="state"),
        CheckConstraint("amount > 0", name="amount"),
        Index("ix_payment_new", "id", postgresql_where=text("state = 'new'")),
        Index("ix_payment_queue", "date", "id", postgresql_where=text("state = 'queue'")),
        Index("ix_payment_date", "date", "id"),
        Index("ix_payment_statement_id", "statement_id", "id"),
        Index("ix_payment_own_account_id", "own_account_id", "date"),
        Index("ix_payment_company_id", "company_id", postgresql_where=text("company_id IS NOT NULL")),
        Index("ix_payment_counter_inn", "counter_inn", "date"),
        Index("ix_payment_of_sheet", "date", "amount", postgresql_where=text("source = 'sheet'")),
        Index(
            "ix_payment_queue_mentions", "mentions", postgresql_using="gin", postgresql_where=text("state = 'queue'")
        ),
    )

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(Text, unique=True)
    statement_id: Mapped[int] = mapped_column(ForeignKey("bank_statement.id"))
    own_account_id: Mapped[int | None] = mapped_column(ForeignKey("own_account.id"))
    source: Mapped[str] = mapped_column(Text, server_default="bank")  # bank | sheet
    direction: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text, server_default="")
    number: Mapped[str] = mapped_column(Text)
    date: Mapped[dt.date] = mapped_column(Date)
    amount: Mapped[Money]
    counter_account: Mapped[str | None] = mapped_column(Text)
    counter_inn: Mapped[str | None] = mapped_column(Text)
    counter_kpp: Mapped[str | None] = mapped_column(Text)
    counter_name: Mapped[str] = mapped_column(Text, server_default="")
    purpose: Mapped[str] = mapped_column(Text, server_default="")
    mentions: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))  # number keys named in it
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id"))
    state: Mapped[str] = mapped_column(Text)
    allocated: Mapped[Money] = mapped_column(server_default=text("0"))
    line: Mapped[int]
    details: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    decided_reason: Mapped[str | None] = mapped_column(Text)


class PaymentAllocation(Base):
    """A part of a payment that pays for a deal (and its invoice); a refund is negative, what is undone stays here.

    ``raised`` is by how much «Сумма оплаты» of the deal changed: less than ``amount`` when a person had entered the
    same money by hand before.
    """

    __tablename__ = "payment_allocation"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="amount"),
        CheckConstraint("how IN ('auto', 'manual')", name="how"),
        Index(
            "uq_payment_allocation_active",
            "payment_id",
            "deal_id",
            text("coalesce(invoice_id, 0)"),
            unique=True,
            postgresql_where=text("undone_at IS NULL"),
        ),
        Index("ix_payment_allocation_payment_id", "payment_id"),
        Index("ix_payment_allocation_deal_id", "deal_id"),
        Index("ix_payment_allocation_invoice_id", "invoice_id", postgresql_where=text("invoice_id IS NOT NULL")),
    )

    id: Mapped[Id]
    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"))
    deal_id: Mapped[int] = mapped_column(ForeignKey("deal.id"))
    invoice_id: Mapped[int | None] = mapped_column(ForeignKey("invoice.id"))
    amount: Mapped[Money]
    raised: Mapped[Money]
    how: Mapped[str] = mapped_column(Text)
    why: Mapped[str] = mapped_column(Text, server_default="")
    at: Mapped[Moment]
    by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    undone_at: Mapped[datetime | None]
    undone_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    undone_reason: Mapped[str | None] = mapped_column(Text)
