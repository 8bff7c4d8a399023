"""initial schema

The first release: all tables, and the trigger that keeps the audit append-only.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


KEEP_AUDIT = """
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'Журнал только пополняется';
END $$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
"""


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=True),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.BigInteger(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_case_id_id", "audit", ["case_id", "id"], unique=False)
    op.create_index("ix_audit_entity", "audit", ["entity", "entity_id"], unique=False)
    op.create_table(
        "calendar_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("working", sa.Boolean(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_calendar_day")),
    )
    op.create_table(
        "clock_offset",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("microseconds", sa.BigInteger(), nullable=False),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_clock_offset_single_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clock_offset")),
    )
    op.create_table(
        "department",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("head_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["head_id"], ["person.id"], name="fk_department_head_id", use_alter=True),
        sa.ForeignKeyConstraint(["parent_id"], ["department.id"], name=op.f("fk_department_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_department")),
        sa.UniqueConstraint("name", name=op.f("uq_department_name")),
    )
    op.create_index(op.f("ix_department_head_id"), "department", ["head_id"], unique=False)
    op.create_index(op.f("ix_department_parent_id"), "department", ["parent_id"], unique=False)
    op.create_table(
        "exchange",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="received", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("filed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "report", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.CheckConstraint("state IN ('received', 'applied', 'failed', 'held')", name=op.f("ck_exchange_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exchange")),
    )
    op.create_index("ix_exchange_digest", "exchange", ["digest"], unique=False)
    op.create_index(
        "ix_exchange_unfiled", "exchange", ["id"], unique=False, postgresql_where=sa.text("filed_at IS NULL")
    )
    op.create_table(
        "funnel",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_funnel")),
        sa.UniqueConstraint("title", name=op.f("uq_funnel_title")),
    )
    op.create_table(
        "heartbeat",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("info", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("name", "instance", name=op.f("pk_heartbeat")),
    )
    op.create_table(
        "process_case",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), server_default="Europe/Moscow", nullable=False),
        sa.Column("seq", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_process_case")),
        sa.UniqueConstraint("key", name=op.f("uq_process_case_key")),
    )
    op.create_table(
        "process_scheme",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_process_scheme")),
        sa.UniqueConstraint("process", "digest", name=op.f("uq_process_scheme_process_digest")),
    )
    op.create_table(
        "role",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_role")),
        sa.UniqueConstraint("title", name=op.f("uq_role_title")),
    )
    op.create_table(
        "setting",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("default", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_by", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_setting")),
    )
    op.create_table(
        "deal_field",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "options", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("funnel_code", sa.Text(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["funnel_code"], ["funnel.code"], name=op.f("fk_deal_field_funnel_code")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_deal_field")),
    )
    op.create_table(
        "exchange_file",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("exchange_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("encoding", sa.Text(), nullable=True),
        sa.Column("schema_version", sa.Text(), nullable=True),
        sa.Column("is_full", sa.Boolean(), nullable=True),
        sa.Column("state", sa.Text(), server_default="received", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column(
            "counts", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.CheckConstraint(
            "state IN ('received', 'applied', 'failed', 'refused', 'skipped')", name=op.f("ck_exchange_file_state")
        ),
        sa.ForeignKeyConstraint(["exchange_id"], ["exchange.id"], name=op.f("fk_exchange_file_exchange_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exchange_file")),
    )
    op.create_index("ix_exchange_file_exchange_id", "exchange_file", ["exchange_id"], unique=False)
    op.create_index("ix_exchange_file_sha256", "exchange_file", ["sha256"], unique=False)
    op.create_table(
        "nomenclature",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("full_name", sa.Text(), nullable=True),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("barcode", sa.Text(), nullable=True),
        sa.Column("unit_code", sa.Text(), nullable=True),
        sa.Column("unit_name", sa.Text(), nullable=True),
        sa.Column("vat", sa.Text(), nullable=True),
        sa.Column("group_external_id", sa.Text(), nullable=True),
        sa.Column("search_key", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "raw", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column(
            "details", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("first_exchange_id", sa.BigInteger(), nullable=True),
        sa.Column("last_exchange_id", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["first_exchange_id"], ["exchange.id"], name=op.f("fk_nomenclature_first_exchange_id")),
        sa.ForeignKeyConstraint(["last_exchange_id"], ["exchange.id"], name=op.f("fk_nomenclature_last_exchange_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nomenclature")),
        sa.UniqueConstraint("external_id", name=op.f("uq_nomenclature_external_id")),
    )
    op.create_index("ix_nomenclature_barcode", "nomenclature", ["barcode"], unique=False)
    op.create_index("ix_nomenclature_group_external_id", "nomenclature", ["group_external_id"], unique=False)
    op.create_index("ix_nomenclature_last_exchange_id", "nomenclature", ["last_exchange_id"], unique=False)
    op.create_index(
        "ix_nomenclature_search_key",
        "nomenclature",
        ["search_key"],
        unique=False,
        postgresql_ops={"search_key": "text_pattern_ops"},
    )
    op.create_index("ix_nomenclature_sku", "nomenclature", ["sku"], unique=False)
    op.create_table(
        "outbox_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("listen_key", sa.Text(), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=True),
        sa.Column("visit", sa.Text(), nullable=False),
        sa.Column(
            "payload", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["process_case.id"], name=op.f("fk_outbox_event_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_event")),
    )
    op.create_index("ix_outbox_event_case_id", "outbox_event", ["case_id"], unique=False)
    op.create_index(
        "ix_outbox_event_pending",
        "outbox_event",
        ["next_try_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "person",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("last_name", sa.Text(), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=False),
        sa.Column("middle_name", sa.Text(), server_default="", nullable=False),
        sa.Column("post", sa.Text(), server_default="", nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("time_zone", sa.Text(), server_default="Europe/Moscow", nullable=False),
        sa.Column("department_id", sa.BigInteger(), nullable=True),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.ForeignKeyConstraint(["department_id"], ["department.id"], name=op.f("fk_person_department_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
    )
    op.create_index(op.f("ix_person_department_id"), "person", ["department_id"], unique=False)
    op.create_table(
        "stage",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("funnel_code", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), server_default="open", nullable=False),
        sa.ForeignKeyConstraint(["funnel_code"], ["funnel.code"], name=op.f("fk_stage_funnel_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stage")),
        sa.UniqueConstraint("funnel_code", "code", name=op.f("uq_stage_funnel_code_code")),
        sa.UniqueConstraint("funnel_code", "title", name=op.f("uq_stage_funnel_code_title")),
    )
    op.create_table(
        "account",
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("access", sa.Text(), server_default="staff", nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_account_person_id")),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_account")),
        sa.UniqueConstraint("login", name=op.f("uq_account_login")),
    )
    op.create_table(
        "company",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("full_name", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), server_default="legal", nullable=False),
        sa.Column("inn", sa.Text(), nullable=True),
        sa.Column("kpp", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("search_key", sa.Text(), nullable=False),
        sa.Column(
            "details", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("responsible_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name=op.f("fk_company_created_by")),
        sa.ForeignKeyConstraint(["responsible_id"], ["person.id"], name=op.f("fk_company_responsible_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_company")),
    )
    op.create_index("ix_company_inn_kpp", "company", ["inn", "kpp"], unique=False)
    op.create_index(op.f("ix_company_responsible_id"), "company", ["responsible_id"], unique=False)
    op.create_index(
        "ix_company_search_key",
        "company",
        ["search_key"],
        unique=False,
        postgresql_ops={"search_key": "text_pattern_ops"},
    )
    op.create_index(
        "uq_company_external_id",
        "company",
        ["external_id"],
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    )
    op.create_table(
        "exchange_reject",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("exchange_id", sa.BigInteger(), nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("snippet", sa.Text(), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["exchange_id"], ["exchange.id"], name=op.f("fk_exchange_reject_exchange_id")),
        sa.ForeignKeyConstraint(["file_id"], ["exchange_file.id"], name=op.f("fk_exchange_reject_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exchange_reject")),
    )
    op.create_index("ix_exchange_reject_exchange_id", "exchange_reject", ["exchange_id", "id"], unique=False)
    op.create_index("ix_exchange_reject_file_id", "exchange_reject", ["file_id"], unique=False)
    op.create_index(
        "ix_exchange_reject_open",
        "exchange_reject",
        ["entity", "external_id"],
        unique=False,
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_table(
        "process_instance",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("process", sa.Text(), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=False),
        sa.Column("visit", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("scheme_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="live", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("stage_id", sa.BigInteger(), nullable=True),
        sa.Column("head_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "payload", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["process_case.id"], name=op.f("fk_process_instance_case_id")),
        sa.ForeignKeyConstraint(["head_id"], ["person.id"], name=op.f("fk_process_instance_head_id")),
        sa.ForeignKeyConstraint(["scheme_id"], ["process_scheme.id"], name=op.f("fk_process_instance_scheme_id")),
        sa.ForeignKeyConstraint(["stage_id"], ["stage.id"], name=op.f("fk_process_instance_stage_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_process_instance")),
        sa.UniqueConstraint("process", "case_id", "visit", name=op.f("uq_process_instance_process_case_id_visit")),
        sa.UniqueConstraint("process", "run_id", name=op.f("uq_process_instance_process_run_id")),
    )
    op.create_index(
        "ix_process_instance_live",
        "process_instance",
        ["case_id"],
        unique=False,
        postgresql_where=sa.text("state = 'live'"),
    )
    op.create_index(
        "uq_process_instance_one_live",
        "process_instance",
        ["process", "case_id"],
        unique=True,
        postgresql_where=sa.text("state = 'live' AND left_at IS NULL"),
    )
    op.create_table(
        "role_holder",
        sa.Column("role_code", sa.Text(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_role_holder_person_id")),
        sa.ForeignKeyConstraint(["role_code"], ["role.code"], name=op.f("fk_role_holder_role_code")),
        sa.PrimaryKeyConstraint("role_code", "person_id", name=op.f("pk_role_holder")),
    )
    op.create_index("ix_role_holder_person_id", "role_holder", ["person_id"], unique=False)
    op.create_table(
        "contact",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("company_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["company_id"], ["company.id"], name=op.f("fk_contact_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact")),
    )
    op.create_index(op.f("ix_contact_company_id"), "contact", ["company_id"], unique=False)
    op.create_table(
        "task",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=False),
        sa.Column("instance_id", sa.BigInteger(), nullable=True),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("round", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("addressed_to", sa.Text(), nullable=False),
        sa.Column("executor_id", sa.BigInteger(), nullable=False),
        sa.Column("creator_id", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("on_leave", sa.Text(), server_default="cancel", nullable=False),
        sa.Column("stage_id", sa.BigInteger(), nullable=True),
        sa.Column("guard", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("closes_itself", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column(
            "result_fields",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("evidence", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.BigInteger(), nullable=True),
        sa.Column("close_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["process_case.id"], name=op.f("fk_task_case_id")),
        sa.ForeignKeyConstraint(["closed_by"], ["person.id"], name=op.f("fk_task_closed_by")),
        sa.ForeignKeyConstraint(["creator_id"], ["person.id"], name=op.f("fk_task_creator_id")),
        sa.ForeignKeyConstraint(["executor_id"], ["person.id"], name=op.f("fk_task_executor_id")),
        sa.ForeignKeyConstraint(["instance_id"], ["process_instance.id"], name=op.f("fk_task_instance_id")),
        sa.ForeignKeyConstraint(["stage_id"], ["stage.id"], name=op.f("fk_task_stage_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task")),
        sa.UniqueConstraint("key", name=op.f("uq_task_key")),
    )
    op.create_index("ix_task_case_id", "task", ["case_id", "id"], unique=False)
    op.create_index("ix_task_creator_id", "task", ["creator_id"], unique=False)
    op.create_index("ix_task_executor_id", "task", ["executor_id", "id"], unique=False)
    op.create_index(
        "ix_task_executor_open",
        "task",
        ["executor_id", "due_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_task_instance_id", "task", ["instance_id"], unique=False)
    op.create_index(
        "uq_task_open_topic", "task", ["case_id", "topic"], unique=True, postgresql_where=sa.text("state = 'open'")
    )
    op.create_table(
        "deal",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("search_key", sa.Text(), nullable=False),
        sa.Column("funnel_code", sa.Text(), nullable=False),
        sa.Column("stage_id", sa.BigInteger(), nullable=False),
        sa.Column("company_id", sa.BigInteger(), nullable=True),
        sa.Column("contact_id", sa.BigInteger(), nullable=True),
        sa.Column("responsible_id", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=18, scale=2), nullable=True),
        sa.Column("paid", sa.Numeric(precision=18, scale=2), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "fields", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("request_key", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["process_case.id"], name=op.f("fk_deal_case_id")),
        sa.ForeignKeyConstraint(["company_id"], ["company.id"], name=op.f("fk_deal_company_id")),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_deal_contact_id")),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name=op.f("fk_deal_created_by")),
        sa.ForeignKeyConstraint(["funnel_code"], ["funnel.code"], name=op.f("fk_deal_funnel_code")),
        sa.ForeignKeyConstraint(["responsible_id"], ["person.id"], name=op.f("fk_deal_responsible_id")),
        sa.ForeignKeyConstraint(["stage_id"], ["stage.id"], name=op.f("fk_deal_stage_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deal")),
        sa.UniqueConstraint("case_id", name=op.f("uq_deal_case_id")),
        sa.UniqueConstraint("request_key", name=op.f("uq_deal_request_key")),
    )
    op.create_index("ix_deal_board", "deal", ["funnel_code", "stage_id", "id"], unique=False)
    op.create_index(op.f("ix_deal_company_id"), "deal", ["company_id"], unique=False)
    op.create_index("ix_deal_responsible_id", "deal", ["responsible_id"], unique=False)
    op.create_index(
        "ix_deal_search_key", "deal", ["search_key"], unique=False, postgresql_ops={"search_key": "text_pattern_ops"}
    )
    op.create_table(
        "notice",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=True),
        sa.Column("task_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["process_case.id"], name=op.f("fk_notice_case_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_notice_person_id")),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_notice_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint("key", name=op.f("uq_notice_key")),
    )
    op.create_index("ix_notice_case_id", "notice", ["case_id"], unique=False)
    op.create_index("ix_notice_person_id", "notice", ["person_id", "id"], unique=False)
    op.create_index(
        "ix_notice_unread", "notice", ["person_id"], unique=False, postgresql_where=sa.text("read_at IS NULL")
    )
    op.create_table(
        "step_state",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("instance_id", sa.BigInteger(), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("spec", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("task_id", sa.BigInteger(), nullable=True),
        sa.Column("waits_for", sa.Text(), nullable=True),
        sa.Column("waits_on", postgresql.ARRAY(sa.BIGINT()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("moment", sa.DateTime(timezone=True), nullable=True),
        sa.Column("comes_next", sa.Text(), nullable=True),
        sa.Column("looked_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["process_case.id"], name=op.f("fk_step_state_case_id")),
        sa.ForeignKeyConstraint(["instance_id"], ["process_instance.id"], name=op.f("fk_step_state_instance_id")),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_step_state_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_step_state")),
        sa.UniqueConstraint("instance_id", "step", name=op.f("uq_step_state_instance_id_step")),
    )
    op.create_index("ix_step_state_case_id", "step_state", ["case_id", "id"], unique=False)
    op.create_index(
        "ix_step_state_waiting_case",
        "step_state",
        ["case_id"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "ix_step_state_waiting_moment",
        "step_state",
        ["moment"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "task_observer",
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_task_observer_person_id")),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_task_observer_task_id")),
        sa.PrimaryKeyConstraint("task_id", "person_id", name=op.f("pk_task_observer")),
    )
    op.create_index("ix_task_observer_person_id", "task_observer", ["person_id"], unique=False)
    op.create_table(
        "task_term_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("old_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("new_due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["changed_by"], ["person.id"], name=op.f("fk_task_term_change_changed_by")),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_task_term_change_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_term_change")),
    )
    op.create_index(op.f("ix_task_term_change_task_id"), "task_term_change", ["task_id"], unique=False)
    op.create_table(
        "stage_visit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("deal_id", sa.BigInteger(), nullable=False),
        sa.Column("stage_id", sa.BigInteger(), nullable=False),
        sa.Column("from_stage_id", sa.BigInteger(), nullable=True),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entered_by", sa.BigInteger(), nullable=True),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("left_by", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["deal_id"], ["deal.id"], name=op.f("fk_stage_visit_deal_id")),
        sa.ForeignKeyConstraint(["entered_by"], ["person.id"], name=op.f("fk_stage_visit_entered_by")),
        sa.ForeignKeyConstraint(["from_stage_id"], ["stage.id"], name=op.f("fk_stage_visit_from_stage_id")),
        sa.ForeignKeyConstraint(["left_by"], ["person.id"], name=op.f("fk_stage_visit_left_by")),
        sa.ForeignKeyConstraint(["stage_id"], ["stage.id"], name=op.f("fk_stage_visit_stage_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stage_visit")),
    )
    op.create_index("ix_stage_visit_deal_id", "stage_visit", ["deal_id", "id"], unique=False)
    op.create_index(
        "ix_stage_visit_entered_by_current",
        "stage_visit",
        ["entered_by"],
        unique=False,
        postgresql_where=sa.text("left_at IS NULL"),
    )
    op.create_index(
        "uq_stage_visit_current", "stage_visit", ["deal_id"], unique=True, postgresql_where=sa.text("left_at IS NULL")
    )
    op.create_table(
        "step_aim",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("step_id", sa.BigInteger(), nullable=False),
        sa.Column("moment", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("aimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["step_id"], ["step_state.id"], name=op.f("fk_step_aim_step_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_step_aim")),
    )
    op.create_index(op.f("ix_step_aim_step_id"), "step_aim", ["step_id"], unique=False)
    op.create_foreign_key("fk_department_head_id", "department", "person", ["head_id"], ["id"])
    op.execute(KEEP_AUDIT)


def downgrade() -> None:
    """Take the schema back."""
    op.drop_constraint("fk_department_head_id", "department", type_="foreignkey")
    op.drop_index(op.f("ix_step_aim_step_id"), table_name="step_aim")
    op.drop_table("step_aim")
    op.drop_index("uq_stage_visit_current", table_name="stage_visit", postgresql_where=sa.text("left_at IS NULL"))
    op.drop_index(
        "ix_stage_visit_entered_by_current", table_name="stage_visit", postgresql_where=sa.text("left_at IS NULL")
    )
    op.drop_index("ix_stage_visit_deal_id", table_name="stage_visit")
    op.drop_table("stage_visit")
    op.drop_index(op.f("ix_task_term_change_task_id"), table_name="task_term_change")
    op.drop_table("task_term_change")
    op.drop_index("ix_task_observer_person_id", table_name="task_observer")
    op.drop_table("task_observer")
    op.drop_index(
        "ix_step_state_waiting_moment", table_name="step_state", postgresql_where=sa.text("state = 'waiting'")
    )
    op.drop_index("ix_step_state_waiting_case", table_name="step_state", postgresql_where=sa.text("state = 'waiting'"))
    op.drop_index("ix_step_state_case_id", table_name="step_state")
    op.drop_table("step_state")
    op.drop_index("ix_notice_unread", table_name="notice", postgresql_where=sa.text("read_at IS NULL"))
    op.drop_index("ix_notice_person_id", table_name="notice")
    op.drop_index("ix_notice_case_id", table_name="notice")
    op.drop_table("notice")
    op.drop_index("ix_deal_search_key", table_name="deal", postgresql_ops={"search_key": "text_pattern_ops"})
    op.drop_index("ix_deal_responsible_id", table_name="deal")
    op.drop_index(op.f("ix_deal_company_id"), table_name="deal")
    op.drop_index("ix_deal_board", table_name="deal")
    op.drop_table("deal")
    op.drop_index("uq_task_open_topic", table_name="task", postgresql_where=sa.text("state = 'open'"))
    op.drop_index("ix_task_instance_id", table_name="task")
    op.drop_index("ix_task_executor_open", table_name="task", postgresql_where=sa.text("state = 'open'"))
    op.drop_index("ix_task_executor_id", table_name="task")
    op.drop_index("ix_task_creator_id", table_name="task")
    op.drop_index("ix_task_case_id", table_name="task")
    op.drop_table("task")
    op.drop_index(op.f("ix_contact_company_id"), table_name="contact")
    op.drop_table("contact")
    op.drop_index("ix_role_holder_person_id", table_name="role_holder")
    op.drop_table("role_holder")
    op.drop_index(
        "uq_process_instance_one_live",
        table_name="process_instance",
        postgresql_where=sa.text("state = 'live' AND left_at IS NULL"),
    )
    op.drop_index("ix_process_instance_live", table_name="process_instance", postgresql_where=sa.text("state = 'live'"))
    op.drop_table("process_instance")
    op.drop_index(
        "ix_exchange_reject_open", table_name="exchange_reject", postgresql_where=sa.text("resolved_at IS NULL")
    )
    op.drop_index("ix_exchange_reject_file_id", table_name="exchange_reject")
    op.drop_index("ix_exchange_reject_exchange_id", table_name="exchange_reject")
    op.drop_table("exchange_reject")
    op.drop_index("uq_company_external_id", table_name="company", postgresql_where=sa.text("external_id IS NOT NULL"))
    op.drop_index("ix_company_search_key", table_name="company", postgresql_ops={"search_key": "text_pattern_ops"})
    op.drop_index(op.f("ix_company_responsible_id"), table_name="company")
    op.drop_index("ix_company_inn_kpp", table_name="company")
    op.drop_table("company")
    op.drop_table("account")
    op.drop_table("stage")
    op.drop_index(op.f("ix_person_department_id"), table_name="person")
    op.drop_table("person")
    op.drop_index("ix_outbox_event_pending", table_name="outbox_event", postgresql_where=sa.text("state = 'pending'"))
    op.drop_index("ix_outbox_event_case_id", table_name="outbox_event")
    op.drop_table("outbox_event")
    op.drop_index("ix_nomenclature_sku", table_name="nomenclature")
    op.drop_index(
        "ix_nomenclature_search_key", table_name="nomenclature", postgresql_ops={"search_key": "text_pattern_ops"}
    )
    op.drop_index("ix_nomenclature_last_exchange_id", table_name="nomenclature")
    op.drop_index("ix_nomenclature_group_external_id", table_name="nomenclature")
    op.drop_index("ix_nomenclature_barcode", table_name="nomenclature")
    op.drop_table("nomenclature")
    op.drop_index("ix_exchange_file_sha256", table_name="exchange_file")
    op.drop_index("ix_exchange_file_exchange_id", table_name="exchange_file")
    op.drop_table("exchange_file")
    op.drop_table("deal_field")
    op.drop_table("setting")
    op.drop_table("role")
    op.drop_table("process_scheme")
    op.drop_table("process_case")
    op.drop_table("heartbeat")
    op.drop_table("funnel")
    op.drop_index("ix_exchange_unfiled", table_name="exchange", postgresql_where=sa.text("filed_at IS NULL"))
    op.drop_index("ix_exchange_digest", table_name="exchange")
    op.drop_table("exchange")
    op.drop_index(op.f("ix_department_parent_id"), table_name="department")
    op.drop_index(op.f("ix_department_head_id"), table_name="department")
    op.drop_table("department")
    op.drop_table("clock_offset")
    op.drop_table("calendar_day")
    op.drop_index("ix_audit_entity", table_name="audit")
    op.drop_index("ix_audit_case_id_id", table_name="audit")
    op.drop_table("audit")
    op.execute("DROP FUNCTION audit_is_append_only")
