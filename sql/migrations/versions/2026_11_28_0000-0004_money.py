"""Money: our bank accounts, invoices, statements, payments and what each pays for.

Must work with the code of the previous release: tables and columns are only added, which that code does not see.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "bank_statement",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("format_version", sa.Text(), nullable=True),
        sa.Column("encoding", sa.Text(), nullable=True),
        sa.Column("date_from", sa.Date(), nullable=True),
        sa.Column("date_to", sa.Date(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_by", sa.BigInteger(), nullable=True),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("loaded_by", sa.BigInteger(), nullable=True),
        sa.Column(
            "report", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.CheckConstraint("kind IN ('bank', 'sheet')", name=op.f("ck_bank_statement_kind")),
        sa.CheckConstraint(
            "state IN ('checked', 'refused', 'loaded', 'discarded')", name=op.f("ck_bank_statement_state")
        ),
        sa.ForeignKeyConstraint(["loaded_by"], ["person.id"], name=op.f("fk_bank_statement_loaded_by")),
        sa.ForeignKeyConstraint(["received_by"], ["person.id"], name=op.f("fk_bank_statement_received_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_statement")),
        sa.UniqueConstraint("sha256", name=op.f("uq_bank_statement_sha256")),
    )
    op.create_index("ix_bank_statement_received_at", "bank_statement", ["received_at", "id"], unique=False)
    op.create_table(
        "own_account",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("bik", sa.Text(), nullable=False),
        sa.Column("bank", sa.Text(), nullable=False),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("added_by", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["added_by"], ["person.id"], name=op.f("fk_own_account_added_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_own_account")),
        sa.UniqueConstraint("account", name=op.f("uq_own_account_account")),
    )
    op.create_table(
        "payment",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("statement_id", sa.BigInteger(), nullable=False),
        sa.Column("own_account_id", sa.BigInteger(), nullable=True),
        sa.Column("source", sa.Text(), server_default="bank", nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("counter_account", sa.Text(), nullable=True),
        sa.Column("counter_inn", sa.Text(), nullable=True),
        sa.Column("counter_kpp", sa.Text(), nullable=True),
        sa.Column("counter_name", sa.Text(), server_default="", nullable=False),
        sa.Column("purpose", sa.Text(), server_default="", nullable=False),
        sa.Column("mentions", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("company_id", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("allocated", sa.Numeric(precision=18, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column(
            "details", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.BigInteger(), nullable=True),
        sa.Column("decided_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("direction IN ('in', 'out')", name=op.f("ck_payment_direction")),
        sa.CheckConstraint(
            "state IN ('new', 'queue', 'matched', 'ignored', 'spent', 'internal')", name=op.f("ck_payment_state")
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payment_amount")),
        sa.ForeignKeyConstraint(["company_id"], ["company.id"], name=op.f("fk_payment_company_id")),
        sa.ForeignKeyConstraint(["decided_by"], ["person.id"], name=op.f("fk_payment_decided_by")),
        sa.ForeignKeyConstraint(["own_account_id"], ["own_account.id"], name=op.f("fk_payment_own_account_id")),
        sa.ForeignKeyConstraint(["statement_id"], ["bank_statement.id"], name=op.f("fk_payment_statement_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment")),
        sa.UniqueConstraint("key", name=op.f("uq_payment_key")),
    )
    op.create_index(
        "ix_payment_company_id",
        "payment",
        ["company_id"],
        unique=False,
        postgresql_where=sa.text("company_id IS NOT NULL"),
    )
    op.create_index("ix_payment_counter_inn", "payment", ["counter_inn", "date"], unique=False)
    op.create_index("ix_payment_date", "payment", ["date", "id"], unique=False)
    op.create_index("ix_payment_new", "payment", ["id"], unique=False, postgresql_where=sa.text("state = 'new'"))
    op.create_index(
        "ix_payment_of_sheet", "payment", ["date", "amount"], unique=False, postgresql_where=sa.text("source = 'sheet'")
    )
    op.create_index("ix_payment_own_account_id", "payment", ["own_account_id", "date"], unique=False)
    op.create_index(
        "ix_payment_queue", "payment", ["date", "id"], unique=False, postgresql_where=sa.text("state = 'queue'")
    )
    op.create_index(
        "ix_payment_queue_mentions",
        "payment",
        ["mentions"],
        unique=False,
        postgresql_using="gin",
        postgresql_where=sa.text("state = 'queue'"),
    )
    op.create_index("ix_payment_statement_id", "payment", ["statement_id", "id"], unique=False)
    op.create_table(
        "statement_account",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("statement_id", sa.BigInteger(), nullable=False),
        sa.Column("own_account_id", sa.BigInteger(), nullable=False),
        sa.Column("date_from", sa.Date(), nullable=True),
        sa.Column("date_to", sa.Date(), nullable=True),
        sa.Column("opening", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("received", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("spent", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("closing", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.ForeignKeyConstraint(
            ["own_account_id"], ["own_account.id"], name=op.f("fk_statement_account_own_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["statement_id"], ["bank_statement.id"], name=op.f("fk_statement_account_statement_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statement_account")),
    )
    op.create_index(
        "ix_statement_account_own_account_id", "statement_account", ["own_account_id", "date_from"], unique=False
    )
    op.create_index("ix_statement_account_statement_id", "statement_account", ["statement_id"], unique=False)
    op.create_table(
        "invoice",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("deal_id", sa.BigInteger(), nullable=True),
        sa.Column("company_id", sa.BigInteger(), nullable=True),
        sa.Column("organisation", sa.Text(), nullable=False),
        sa.Column("year", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("number_key", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("vat", sa.Text(), nullable=True),
        sa.Column("vat_amount", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("state", sa.Text(), server_default="issued", nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_by", sa.BigInteger(), nullable=True),
        sa.Column("cancelled_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("source IN ('own', 'recorded', 'one_c')", name=op.f("ck_invoice_source")),
        sa.CheckConstraint("state IN ('issued', 'cancelled')", name=op.f("ck_invoice_state")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_invoice_amount")),
        sa.ForeignKeyConstraint(["cancelled_by"], ["person.id"], name=op.f("fk_invoice_cancelled_by")),
        sa.ForeignKeyConstraint(["company_id"], ["company.id"], name=op.f("fk_invoice_company_id")),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name=op.f("fk_invoice_created_by")),
        sa.ForeignKeyConstraint(["deal_id"], ["deal.id"], name=op.f("fk_invoice_deal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice")),
    )
    op.create_index("ix_invoice_company_id", "invoice", ["company_id"], unique=False)
    op.create_index("ix_invoice_deal_id", "invoice", ["deal_id"], unique=False)
    op.create_index("ix_invoice_number_key", "invoice", ["number_key"], unique=False)
    op.create_index(
        "ix_invoice_without_deal",
        "invoice",
        ["id"],
        unique=False,
        postgresql_where=sa.text("deal_id IS NULL AND state = 'issued'"),
    )
    op.create_index(
        "uq_invoice_external_id",
        "invoice",
        ["external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_index("uq_invoice_number", "invoice", ["organisation", "year", "number_key"], unique=True)
    op.create_table(
        "payment_allocation",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("payment_id", sa.BigInteger(), nullable=False),
        sa.Column("deal_id", sa.BigInteger(), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=True),
        sa.Column("amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("raised", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("how", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.BigInteger(), nullable=True),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by", sa.BigInteger(), nullable=True),
        sa.Column("undone_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("how IN ('auto', 'manual')", name=op.f("ck_payment_allocation_how")),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_payment_allocation_amount")),
        sa.ForeignKeyConstraint(["by"], ["person.id"], name=op.f("fk_payment_allocation_by")),
        sa.ForeignKeyConstraint(["deal_id"], ["deal.id"], name=op.f("fk_payment_allocation_deal_id")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_payment_allocation_invoice_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_payment_allocation_payment_id")),
        sa.ForeignKeyConstraint(["undone_by"], ["person.id"], name=op.f("fk_payment_allocation_undone_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_allocation")),
    )
    op.create_index("ix_payment_allocation_deal_id", "payment_allocation", ["deal_id"], unique=False)
    op.create_index(
        "ix_payment_allocation_invoice_id",
        "payment_allocation",
        ["invoice_id"],
        unique=False,
        postgresql_where=sa.text("invoice_id IS NOT NULL"),
    )
    op.create_index("ix_payment_allocation_payment_id", "payment_allocation", ["payment_id"], unique=False)
    op.create_index(
        "uq_payment_allocation_active",
        "payment_allocation",
        ["payment_id", "deal_id", sa.literal_column("coalesce(invoice_id, 0)")],
        unique=True,
        postgresql_where=sa.text("undone_at IS NULL"),
    )


def downgrade() -> None:
    """Take the schema back."""
    op.drop_index(
        "uq_payment_allocation_active", table_name="payment_allocation", postgresql_where=sa.text("undone_at IS NULL")
    )
    op.drop_index("ix_payment_allocation_payment_id", table_name="payment_allocation")
    op.drop_index(
        "ix_payment_allocation_invoice_id",
        table_name="payment_allocation",
        postgresql_where=sa.text("invoice_id IS NOT NULL"),
    )
    op.drop_index("ix_payment_allocation_deal_id", table_name="payment_allocation")
    op.drop_table("payment_allocation")
    op.drop_index("uq_invoice_number", table_name="invoice")
    op.drop_index("uq_invoice_external_id", table_name="invoice", postgresql_where=sa.text("external_id IS NOT NULL"))
    op.drop_index(
        "ix_invoice_without_deal",
        table_name="invoice",
        postgresql_where=sa.text("deal_id IS NULL AND state = 'issued'"),
    )
    op.drop_index("ix_invoice_number_key", table_name="invoice")
    op.drop_index("ix_invoice_deal_id", table_name="invoice")
    op.drop_index("ix_invoice_company_id", table_name="invoice")
    op.drop_table("invoice")
    op.drop_index("ix_statement_account_statement_id", table_name="statement_account")
    op.drop_index("ix_statement_account_own_account_id", table_name="statement_account")
    op.drop_table("statement_account")
    op.drop_index("ix_payment_statement_id", table_name="payment")
    op.drop_index(
        "ix_payment_queue_mentions",
        table_name="payment",
        postgresql_using="gin",
        postgresql_where=sa.text("state = 'queue'"),
    )
    op.drop_index("ix_payment_queue", table_name="payment", postgresql_where=sa.text("state = 'queue'"))
    op.drop_index("ix_payment_own_account_id", table_name="payment")
    op.drop_index("ix_payment_of_sheet", table_name="payment", postgresql_where=sa.text("source = 'sheet'"))
    op.drop_index("ix_payment_new", table_name="payment", postgresql_where=sa.text("state = 'new'"))
    op.drop_index("ix_payment_date", table_name="payment")
    op.drop_index("ix_payment_counter_inn", table_name="payment")
    op.drop_index("ix_payment_company_id", table_name="payment", postgresql_where=sa.text("company_id IS NOT NULL"))
    op.drop_table("payment")
    op.drop_table("own_account")
    op.drop_index("ix_bank_statement_received_at", table_name="bank_statement")
    op.drop_table("bank_statement")
