"""The full exchange with 1C, orders to 1C, 1C over HTTP and the reconciliation (R002-8, R002-9, R002-43).

Must work with the code of the previous release: tables and columns are only added, which that code does not see.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "one_c_access",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column(
            "addresses", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'::jsonb"), nullable=False
        ),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_address", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name=op.f("fk_one_c_access_created_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_c_access")),
        sa.UniqueConstraint("login", name=op.f("uq_one_c_access_login")),
    )
    op.create_index(op.f("ix_one_c_access_created_by"), "one_c_access", ["created_by"], unique=False)
    op.create_table(
        "exchange_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("exchange_id", sa.BigInteger(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["exchange_id"], ["exchange.id"], name=op.f("fk_exchange_change_exchange_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exchange_change")),
    )
    op.create_index("ix_exchange_change_exchange_id", "exchange_change", ["exchange_id", "entity", "id"], unique=False)
    op.create_table(
        "goods_property",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value_type", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "options", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "details", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("first_exchange_id", sa.BigInteger(), nullable=True),
        sa.Column("last_exchange_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["first_exchange_id"], ["exchange.id"], name=op.f("fk_goods_property_first_exchange_id")
        ),
        sa.ForeignKeyConstraint(["last_exchange_id"], ["exchange.id"], name=op.f("fk_goods_property_last_exchange_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_goods_property")),
        sa.UniqueConstraint("external_id", name=op.f("uq_goods_property_external_id")),
    )
    op.create_table(
        "measure_unit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("full_name", sa.Text(), nullable=True),
        sa.Column("international", sa.Text(), nullable=True),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "details", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("first_exchange_id", sa.BigInteger(), nullable=True),
        sa.Column("last_exchange_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["first_exchange_id"], ["exchange.id"], name=op.f("fk_measure_unit_first_exchange_id")),
        sa.ForeignKeyConstraint(["last_exchange_id"], ["exchange.id"], name=op.f("fk_measure_unit_last_exchange_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_measure_unit")),
        sa.UniqueConstraint("external_id", name=op.f("uq_measure_unit_external_id")),
    )
    op.create_table(
        "nomenclature_group",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent_external_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "details", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("first_exchange_id", sa.BigInteger(), nullable=True),
        sa.Column("last_exchange_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["first_exchange_id"], ["exchange.id"], name=op.f("fk_nomenclature_group_first_exchange_id")
        ),
        sa.ForeignKeyConstraint(
            ["last_exchange_id"], ["exchange.id"], name=op.f("fk_nomenclature_group_last_exchange_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nomenclature_group")),
        sa.UniqueConstraint("external_id", name=op.f("uq_nomenclature_group_external_id")),
    )
    op.create_index(
        "ix_nomenclature_group_parent_external_id", "nomenclature_group", ["parent_external_id"], unique=False
    )
    op.create_table(
        "offer",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("goods_external_id", sa.Text(), nullable=False),
        sa.Column("characteristic_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("unit_code", sa.Text(), nullable=True),
        sa.Column("unit_name", sa.Text(), nullable=True),
        sa.Column("quantity", sa.Numeric(), nullable=True),
        sa.Column(
            "characteristics",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "details", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("first_exchange_id", sa.BigInteger(), nullable=True),
        sa.Column("last_exchange_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["first_exchange_id"], ["exchange.id"], name=op.f("fk_offer_first_exchange_id")),
        sa.ForeignKeyConstraint(["last_exchange_id"], ["exchange.id"], name=op.f("fk_offer_last_exchange_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offer")),
        sa.UniqueConstraint("external_id", name=op.f("uq_offer_external_id")),
    )
    op.create_index("ix_offer_goods_external_id", "offer", ["goods_external_id"], unique=False)
    op.create_table(
        "one_c_document",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("parent_external_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), server_default="", nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("number_key", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("amount", sa.Numeric(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("counterparty_external_id", sa.Text(), nullable=True),
        sa.Column("company_id", sa.BigInteger(), nullable=True),
        sa.Column("is_deleted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_cancelled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("is_posted", sa.Boolean(), nullable=True),
        sa.Column("is_paid", sa.Boolean(), nullable=True),
        sa.Column("paid_amount", sa.Numeric(), nullable=True),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_shipped", sa.Boolean(), nullable=True),
        sa.Column("shipped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "lines", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'::jsonb"), nullable=False
        ),
        sa.Column(
            "details", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("first_exchange_id", sa.BigInteger(), nullable=True),
        sa.Column("last_exchange_id", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["company.id"], name=op.f("fk_one_c_document_company_id")),
        sa.ForeignKeyConstraint(
            ["first_exchange_id"], ["exchange.id"], name=op.f("fk_one_c_document_first_exchange_id")
        ),
        sa.ForeignKeyConstraint(["last_exchange_id"], ["exchange.id"], name=op.f("fk_one_c_document_last_exchange_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_c_document")),
        sa.UniqueConstraint("external_id", name=op.f("uq_one_c_document_external_id")),
    )
    op.create_index("ix_one_c_document_company_id", "one_c_document", ["company_id"], unique=False)
    op.create_index("ix_one_c_document_last_exchange_id", "one_c_document", ["last_exchange_id"], unique=False)
    op.create_index("ix_one_c_document_number_key", "one_c_document", ["number_key"], unique=False)
    op.create_index("ix_one_c_document_parent_external_id", "one_c_document", ["parent_external_id"], unique=False)
    op.create_table(
        "one_c_session",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("access_id", sa.BigInteger(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["access_id"], ["one_c_access.id"], name=op.f("fk_one_c_session_access_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_c_session")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_one_c_session_token_hash")),
    )
    op.create_index(op.f("ix_one_c_session_access_id"), "one_c_session", ["access_id"], unique=False)
    op.create_index("ix_one_c_session_seen_at", "one_c_session", ["seen_at"], unique=False)
    op.create_table(
        "price",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("offer_external_id", sa.Text(), nullable=False),
        sa.Column("goods_external_id", sa.Text(), nullable=False),
        sa.Column("price_type_external_id", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), server_default="", nullable=False),
        sa.Column("min_quantity", sa.Numeric(), server_default="0", nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("coefficient", sa.Numeric(), server_default="1", nullable=False),
        sa.Column("last_exchange_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["last_exchange_id"], ["exchange.id"], name=op.f("fk_price_last_exchange_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price")),
        sa.UniqueConstraint(
            "offer_external_id", "price_type_external_id", "unit", "min_quantity", name="uq_price_offer_external_id"
        ),
    )
    op.create_table(
        "price_type",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("is_tax_included", sa.Boolean(), nullable=True),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "details", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("first_exchange_id", sa.BigInteger(), nullable=True),
        sa.Column("last_exchange_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["first_exchange_id"], ["exchange.id"], name=op.f("fk_price_type_first_exchange_id")),
        sa.ForeignKeyConstraint(["last_exchange_id"], ["exchange.id"], name=op.f("fk_price_type_last_exchange_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_type")),
        sa.UniqueConstraint("external_id", name=op.f("uq_price_type_external_id")),
    )
    op.create_table(
        "stock",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("offer_external_id", sa.Text(), nullable=False),
        sa.Column("goods_external_id", sa.Text(), nullable=False),
        sa.Column("warehouse_external_id", sa.Text(), server_default="", nullable=False),
        sa.Column("quantity", sa.Numeric(), nullable=False),
        sa.Column("last_exchange_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["last_exchange_id"], ["exchange.id"], name=op.f("fk_stock_last_exchange_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock")),
        sa.UniqueConstraint("offer_external_id", "warehouse_external_id", name="uq_stock_offer_external_id"),
    )
    op.create_table(
        "warehouse",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "details", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("first_exchange_id", sa.BigInteger(), nullable=True),
        sa.Column("last_exchange_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["first_exchange_id"], ["exchange.id"], name=op.f("fk_warehouse_first_exchange_id")),
        sa.ForeignKeyConstraint(["last_exchange_id"], ["exchange.id"], name=op.f("fk_warehouse_last_exchange_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_warehouse")),
        sa.UniqueConstraint("external_id", name=op.f("uq_warehouse_external_id")),
    )
    op.create_table(
        "one_c_package",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("session_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="receiving", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('receiving', 'complete', 'abandoned')", name=op.f("ck_one_c_package_state")),
        sa.ForeignKeyConstraint(["session_id"], ["one_c_session.id"], name=op.f("fk_one_c_package_session_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_c_package")),
        sa.UniqueConstraint("name", name=op.f("uq_one_c_package_name")),
        sa.UniqueConstraint("session_id", "number", name=op.f("uq_one_c_package_session_id_number")),
    )
    op.create_index(
        "ix_one_c_package_receiving",
        "one_c_package",
        ["changed_at"],
        unique=False,
        postgresql_where=sa.text("state = 'receiving'"),
    )
    op.create_index(
        "uq_one_c_package_receiving",
        "one_c_package",
        ["session_id"],
        unique=True,
        postgresql_where=sa.text("state = 'receiving'"),
    )
    op.create_table(
        "order_batch",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("form", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("prepared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("session_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("channel IN ('folder', 'http')", name=op.f("ck_order_batch_channel")),
        sa.ForeignKeyConstraint(["session_id"], ["one_c_session.id"], name=op.f("fk_order_batch_session_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_batch")),
    )
    op.create_index(
        "ix_order_batch_open", "order_batch", ["id"], unique=False, postgresql_where=sa.text("taken_at IS NULL")
    )
    op.create_index("ix_order_batch_session_id", "order_batch", ["session_id"], unique=False)
    op.create_table(
        "deal_line",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("deal_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("nomenclature_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("unit_code", sa.Text(), nullable=True),
        sa.Column("unit_name", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Numeric(precision=15, scale=3), nullable=False),
        sa.Column("price", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("vat", sa.Text(), nullable=True),
        sa.Column("amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("price >= 0", name=op.f("ck_deal_line_price")),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_deal_line_quantity")),
        sa.ForeignKeyConstraint(["deal_id"], ["deal.id"], name=op.f("fk_deal_line_deal_id")),
        sa.ForeignKeyConstraint(["nomenclature_id"], ["nomenclature.id"], name=op.f("fk_deal_line_nomenclature_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deal_line")),
    )
    op.create_index("ix_deal_line_deal_id", "deal_line", ["deal_id", "position", "id"], unique=False)
    op.create_index("ix_deal_line_nomenclature_id", "deal_line", ["nomenclature_id"], unique=False)
    op.create_table(
        "one_c_file",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("package_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.BigInteger(), nullable=False),
        sa.Column("first_part", sa.Text(), nullable=False),
        sa.Column("last_part", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["package_id"], ["one_c_package.id"], name=op.f("fk_one_c_file_package_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_one_c_file")),
        sa.UniqueConstraint("package_id", "name", name=op.f("uq_one_c_file_package_id_name")),
    )
    op.create_table(
        "order_export",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("deal_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("number_key", sa.Text(), nullable=False),
        sa.Column("ordered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("status", sa.Text(), server_default="", nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=18, scale=2), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("batch_id", sa.BigInteger(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_exchange_id", sa.BigInteger(), nullable=True),
        sa.Column("number_1c", sa.Text(), nullable=True),
        sa.Column("date_1c", sa.Date(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'written', 'taken', 'confirmed', 'failed', 'replaced')",
            name=op.f("ck_order_export_state"),
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["order_batch.id"], name=op.f("fk_order_export_batch_id")),
        sa.ForeignKeyConstraint(
            ["confirmed_exchange_id"], ["exchange.id"], name=op.f("fk_order_export_confirmed_exchange_id")
        ),
        sa.ForeignKeyConstraint(["deal_id"], ["deal.id"], name=op.f("fk_order_export_deal_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_export")),
        sa.UniqueConstraint("deal_id", "version", name=op.f("uq_order_export_deal_id_version")),
    )
    op.create_index("ix_order_export_batch_id", "order_export", ["batch_id"], unique=False)
    op.create_index("ix_order_export_confirmed_exchange_id", "order_export", ["confirmed_exchange_id"], unique=False)
    op.create_index("ix_order_export_external_id", "order_export", ["external_id"], unique=False)
    op.create_index("ix_order_export_number_key", "order_export", ["number_key"], unique=False)
    op.create_index("ix_order_export_state", "order_export", ["state", "id"], unique=False)
    op.create_index(
        "ix_order_export_waiting", "order_export", ["id"], unique=False, postgresql_where=sa.text("state = 'waiting'")
    )
    op.create_table(
        "order_look",
        sa.Column("deal_id", sa.BigInteger(), nullable=False),
        sa.Column("seen", sa.Text(), nullable=False),
        sa.Column(
            "problems", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'::jsonb"), nullable=False
        ),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["deal_id"], ["deal.id"], name=op.f("fk_order_look_deal_id")),
        sa.PrimaryKeyConstraint("deal_id", name=op.f("pk_order_look")),
    )
    op.create_index(
        "ix_order_look_kept_back",
        "order_look",
        ["since", "deal_id"],
        unique=False,
        postgresql_where=sa.text("problems <> '[]'"),
    )
    op.create_table(
        "discrepancy",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("deal_id", sa.BigInteger(), nullable=True),
        sa.Column("invoice_id", sa.BigInteger(), nullable=True),
        sa.Column("payment_id", sa.BigInteger(), nullable=True),
        sa.Column("document_id", sa.BigInteger(), nullable=True),
        sa.Column("owner_id", sa.BigInteger(), nullable=True),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "details", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.ForeignKeyConstraint(["deal_id"], ["deal.id"], name=op.f("fk_discrepancy_deal_id")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_discrepancy_invoice_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["person.id"], name=op.f("fk_discrepancy_owner_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_discrepancy_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_discrepancy")),
    )
    op.create_index(
        "ix_discrepancy_closed_at",
        "discrepancy",
        ["closed_at"],
        unique=False,
        postgresql_where=sa.text("closed_at IS NOT NULL"),
    )
    op.create_index("ix_discrepancy_deal_id", "discrepancy", ["deal_id"], unique=False)
    op.create_index("ix_discrepancy_invoice_id", "discrepancy", ["invoice_id"], unique=False)
    op.create_index("ix_discrepancy_key", "discrepancy", ["key", "id"], unique=False)
    op.create_index(
        "ix_discrepancy_open",
        "discrepancy",
        ["found_at", "id"],
        unique=False,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_index("ix_discrepancy_owner_id", "discrepancy", ["owner_id"], unique=False)
    op.create_index("ix_discrepancy_payment_id", "discrepancy", ["payment_id"], unique=False)
    op.create_index(
        "uq_discrepancy_open", "discrepancy", ["key"], unique=True, postgresql_where=sa.text("closed_at IS NULL")
    )
    op.add_column("exchange", sa.Column("package", sa.Text(), nullable=True))
    op.add_column("exchange", sa.Column("place", sa.Text(), server_default="incoming", nullable=False))
    op.add_column("exchange", sa.Column("decision", sa.Text(), nullable=True))
    op.add_column("exchange", sa.Column("decided_by", sa.BigInteger(), nullable=True))
    op.add_column("exchange", sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("exchange", sa.Column("decision_reason", sa.Text(), nullable=True))
    op.add_column("exchange", sa.Column("retake_of", sa.BigInteger(), nullable=True))
    op.add_column("exchange", sa.Column("asked_by", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_exchange_package",
        "exchange",
        ["package", "id"],
        unique=False,
        postgresql_where=sa.text("package IS NOT NULL"),
    )
    op.create_index(
        "ix_exchange_retake_of",
        "exchange",
        ["retake_of"],
        unique=False,
        postgresql_where=sa.text("retake_of IS NOT NULL"),
    )
    op.create_foreign_key(op.f("fk_exchange_asked_by"), "exchange", "person", ["asked_by"], ["id"])
    op.create_foreign_key(op.f("fk_exchange_decided_by"), "exchange", "person", ["decided_by"], ["id"])
    op.create_foreign_key(op.f("fk_exchange_retake_of"), "exchange", "exchange", ["retake_of"], ["id"])
    op.add_column("exchange_file", sa.Column("archive_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f("fk_exchange_file_archive_id"), "exchange_file", "exchange_file", ["archive_id"], ["id"])

    # wider lists of states; rows of the previous release satisfy them
    op.drop_constraint(op.f("ck_exchange_state"), "exchange", type_="check")
    op.create_check_constraint(
        op.f("ck_exchange_state"),
        "exchange",
        "state IN ('received', 'queued', 'held', 'applied', 'failed', 'replaced')",
    )
    op.create_check_constraint(op.f("ck_exchange_decision"), "exchange", "decision IN ('confirm', 'keep', 'refuse')")
    op.drop_constraint(op.f("ck_exchange_file_state"), "exchange_file", type_="check")
    op.create_check_constraint(
        op.f("ck_exchange_file_state"),
        "exchange_file",
        "state IN ('received', 'unpacked', 'applied', 'failed', 'refused', 'skipped')",
    )


def downgrade() -> None:
    """Take the schema back; an exchange that waits or was replaced becomes a failed one."""
    op.execute("UPDATE exchange_file SET state = 'skipped' WHERE state = 'unpacked'")
    op.drop_constraint(op.f("ck_exchange_file_state"), "exchange_file", type_="check")
    op.create_check_constraint(
        op.f("ck_exchange_file_state"),
        "exchange_file",
        "state IN ('received', 'applied', 'failed', 'refused', 'skipped')",
    )
    op.execute("UPDATE exchange SET state = 'failed' WHERE state IN ('queued', 'replaced')")
    op.drop_constraint(op.f("ck_exchange_decision"), "exchange", type_="check")
    op.drop_constraint(op.f("ck_exchange_state"), "exchange", type_="check")
    op.create_check_constraint(
        op.f("ck_exchange_state"), "exchange", "state IN ('received', 'applied', 'failed', 'held')"
    )
    op.drop_constraint(op.f("fk_exchange_file_archive_id"), "exchange_file", type_="foreignkey")
    op.drop_column("exchange_file", "archive_id")
    op.drop_constraint(op.f("fk_exchange_retake_of"), "exchange", type_="foreignkey")
    op.drop_constraint(op.f("fk_exchange_decided_by"), "exchange", type_="foreignkey")
    op.drop_constraint(op.f("fk_exchange_asked_by"), "exchange", type_="foreignkey")
    op.drop_index("ix_exchange_retake_of", table_name="exchange", postgresql_where=sa.text("retake_of IS NOT NULL"))
    op.drop_index("ix_exchange_package", table_name="exchange", postgresql_where=sa.text("package IS NOT NULL"))
    op.drop_column("exchange", "asked_by")
    op.drop_column("exchange", "retake_of")
    op.drop_column("exchange", "decision_reason")
    op.drop_column("exchange", "decided_at")
    op.drop_column("exchange", "decided_by")
    op.drop_column("exchange", "decision")
    op.drop_column("exchange", "place")
    op.drop_column("exchange", "package")
    op.drop_index("uq_discrepancy_open", table_name="discrepancy", postgresql_where=sa.text("closed_at IS NULL"))
    op.drop_index("ix_discrepancy_payment_id", table_name="discrepancy")
    op.drop_index("ix_discrepancy_owner_id", table_name="discrepancy")
    op.drop_index("ix_discrepancy_open", table_name="discrepancy", postgresql_where=sa.text("closed_at IS NULL"))
    op.drop_index("ix_discrepancy_key", table_name="discrepancy")
    op.drop_index("ix_discrepancy_invoice_id", table_name="discrepancy")
    op.drop_index("ix_discrepancy_deal_id", table_name="discrepancy")
    op.drop_index(
        "ix_discrepancy_closed_at", table_name="discrepancy", postgresql_where=sa.text("closed_at IS NOT NULL")
    )
    op.drop_table("discrepancy")
    op.drop_index("ix_order_look_kept_back", table_name="order_look", postgresql_where=sa.text("problems <> '[]'"))
    op.drop_table("order_look")
    op.drop_index("ix_order_export_waiting", table_name="order_export", postgresql_where=sa.text("state = 'waiting'"))
    op.drop_index("ix_order_export_state", table_name="order_export")
    op.drop_index("ix_order_export_number_key", table_name="order_export")
    op.drop_index("ix_order_export_external_id", table_name="order_export")
    op.drop_index("ix_order_export_confirmed_exchange_id", table_name="order_export")
    op.drop_index("ix_order_export_batch_id", table_name="order_export")
    op.drop_table("order_export")
    op.drop_table("one_c_file")
    op.drop_index("ix_deal_line_nomenclature_id", table_name="deal_line")
    op.drop_index("ix_deal_line_deal_id", table_name="deal_line")
    op.drop_table("deal_line")
    op.drop_index("ix_order_batch_session_id", table_name="order_batch")
    op.drop_index("ix_order_batch_open", table_name="order_batch", postgresql_where=sa.text("taken_at IS NULL"))
    op.drop_table("order_batch")
    op.drop_index(
        "uq_one_c_package_receiving", table_name="one_c_package", postgresql_where=sa.text("state = 'receiving'")
    )
    op.drop_index(
        "ix_one_c_package_receiving", table_name="one_c_package", postgresql_where=sa.text("state = 'receiving'")
    )
    op.drop_table("one_c_package")
    op.drop_table("warehouse")
    op.drop_table("stock")
    op.drop_table("price_type")
    op.drop_table("price")
    op.drop_index("ix_one_c_session_seen_at", table_name="one_c_session")
    op.drop_index(op.f("ix_one_c_session_access_id"), table_name="one_c_session")
    op.drop_table("one_c_session")
    op.drop_index("ix_one_c_document_parent_external_id", table_name="one_c_document")
    op.drop_index("ix_one_c_document_number_key", table_name="one_c_document")
    op.drop_index("ix_one_c_document_last_exchange_id", table_name="one_c_document")
    op.drop_index("ix_one_c_document_company_id", table_name="one_c_document")
    op.drop_table("one_c_document")
    op.drop_index("ix_offer_goods_external_id", table_name="offer")
    op.drop_table("offer")
    op.drop_index("ix_nomenclature_group_parent_external_id", table_name="nomenclature_group")
    op.drop_table("nomenclature_group")
    op.drop_table("measure_unit")
    op.drop_table("goods_property")
    op.drop_index("ix_exchange_change_exchange_id", table_name="exchange_change")
    op.drop_table("exchange_change")
    op.drop_index(op.f("ix_one_c_access_created_by"), table_name="one_c_access")
    op.drop_table("one_c_access")
