"""Approvals, absences, versions of files, talk, kept debts.

Must work with the code of the previous release: add first, remove one release later.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# what search looks through, and the signs that its parser must not read as parts of numbers, files or addresses
SEARCHED = (("task", "title"), ("deal", "title"), ("company", "name"))
SIGNS, SPACES = r"'-./:@_+&=~?#<>;,\«»ёЁ'", "'" + " " * 19 + "еЕ'"


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "absence",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("substitute_id", sa.BigInteger(), nullable=True),
        sa.Column("begins_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("ends_at > begins_at", name=op.f("ck_absence_period")),
        sa.CheckConstraint("substitute_id <> person_id", name=op.f("ck_absence_another")),
        sa.ForeignKeyConstraint(["created_by"], ["person.id"], name=op.f("fk_absence_created_by")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_absence_person_id")),
        sa.ForeignKeyConstraint(["substitute_id"], ["person.id"], name=op.f("fk_absence_substitute_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_absence")),
    )
    op.create_index(
        "ix_absence_person_id",
        "absence",
        ["person_id", "ends_at"],
        unique=False,
        postgresql_where=sa.text("cancelled_at IS NULL"),
    )
    op.create_index(
        "ix_absence_substitute_id",
        "absence",
        ["substitute_id", "ends_at"],
        unique=False,
        postgresql_where=sa.text("cancelled_at IS NULL"),
    )
    op.create_table(
        "comment",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=False),
        sa.Column("author_id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["author_id"], ["person.id"], name=op.f("fk_comment_author_id")),
        sa.ForeignKeyConstraint(["case_id"], ["process_case.id"], name=op.f("fk_comment_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comment")),
    )
    op.create_index("ix_comment_case_id", "comment", ["case_id", "id"], unique=False)
    op.create_table(
        "file_version",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uploaded_by", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["process_case.id"], name=op.f("fk_file_version_case_id")),
        sa.ForeignKeyConstraint(["uploaded_by"], ["person.id"], name=op.f("fk_file_version_uploaded_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_file_version")),
        sa.UniqueConstraint("case_id", "field", "number", name=op.f("uq_file_version_case_id_field_number")),
    )
    op.create_index("ix_file_version_content_hash", "file_version", ["content_hash"], unique=False)
    op.create_table(
        "approval",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=False),
        sa.Column("instance_id", sa.BigInteger(), nullable=True),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("mode", sa.Text(), server_default="chain", nullable=False),
        sa.Column("quorum", sa.BigInteger(), nullable=True),
        sa.Column("round", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("field", sa.Text(), nullable=True),
        sa.Column("fix", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("initiator_id", sa.BigInteger(), nullable=True),
        sa.Column("stage_id", sa.BigInteger(), nullable=True),
        sa.Column("on_leave", sa.Text(), server_default="cancel", nullable=False),
        sa.Column("term", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("close_reason", sa.Text(), nullable=True),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["process_case.id"], name=op.f("fk_approval_case_id")),
        sa.ForeignKeyConstraint(["initiator_id"], ["person.id"], name=op.f("fk_approval_initiator_id")),
        sa.ForeignKeyConstraint(["instance_id"], ["process_instance.id"], name=op.f("fk_approval_instance_id")),
        sa.ForeignKeyConstraint(["stage_id"], ["stage.id"], name=op.f("fk_approval_stage_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval")),
        sa.UniqueConstraint("key", name=op.f("uq_approval_key")),
    )
    op.create_index("ix_approval_case_id", "approval", ["case_id", "id"], unique=False)
    op.create_index("ix_approval_initiator_id", "approval", ["initiator_id", "id"], unique=False)
    op.create_index("ix_approval_instance_id", "approval", ["instance_id"], unique=False)
    op.create_table(
        "comment_mention",
        sa.Column("comment_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["comment_id"], ["comment.id"], name=op.f("fk_comment_mention_comment_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_comment_mention_person_id")),
        sa.PrimaryKeyConstraint("comment_id", "person_id", name=op.f("pk_comment_mention")),
    )
    op.create_index("ix_comment_mention_person_id", "comment_mention", ["person_id"], unique=False)
    op.create_table(
        "approval_seat",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("approval_id", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("fallback", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version_id", sa.BigInteger(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.BigInteger(), nullable=True),
        sa.Column("decided_for", sa.BigInteger(), nullable=True),
        sa.Column("remark", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["approval_id"], ["approval.id"], name=op.f("fk_approval_seat_approval_id")),
        sa.ForeignKeyConstraint(["decided_by"], ["person.id"], name=op.f("fk_approval_seat_decided_by")),
        sa.ForeignKeyConstraint(["decided_for"], ["person.id"], name=op.f("fk_approval_seat_decided_for")),
        sa.ForeignKeyConstraint(["version_id"], ["file_version.id"], name=op.f("fk_approval_seat_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_seat")),
        sa.UniqueConstraint(
            "approval_id",
            "round",
            "position",
            "attempt",
            name=op.f("uq_approval_seat_approval_id_round_position_attempt"),
        ),
    )
    op.create_index("ix_approval_seat_decided_by", "approval_seat", ["decided_by", "id"], unique=False)
    op.create_index(
        "ix_approval_seat_fallback_asked",
        "approval_seat",
        ["fallback"],
        unique=False,
        postgresql_where=sa.text("state = 'asked'"),
    )
    op.create_index(
        "ix_approval_seat_holder_asked",
        "approval_seat",
        ["holder"],
        unique=False,
        postgresql_where=sa.text("state = 'asked'"),
    )
    op.create_table(
        "decision_link",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("seat_id", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("nonce_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_decision_link_person_id")),
        sa.ForeignKeyConstraint(["seat_id"], ["approval_seat.id"], name=op.f("fk_decision_link_seat_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision_link")),
        sa.UniqueConstraint("nonce_hash", name=op.f("uq_decision_link_nonce_hash")),
    )
    op.create_index("ix_decision_link_seat_id", "decision_link", ["seat_id"], unique=False)
    op.add_column(
        "deal", sa.Column("debt", sa.Numeric(precision=18, scale=2), server_default=sa.text("0"), nullable=False)
    )
    op.add_column(
        "deal", sa.Column("overpaid", sa.Numeric(precision=18, scale=2), server_default=sa.text("0"), nullable=False)
    )
    op.add_column("notice", sa.Column("approval_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f("fk_notice_approval_id"), "notice", "approval", ["approval_id"], ["id"])
    op.add_column(
        "person",
        sa.Column(
            "preferences",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
    )
    op.add_column("role", sa.Column("department_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f("fk_role_department_id"), "role", "department", ["department_id"], ["id"])
    op.add_column("stage", sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.add_column("step_state", sa.Column("approval_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f("fk_step_state_approval_id"), "step_state", "approval", ["approval_id"], ["id"])
    op.add_column("task", sa.Column("kind", sa.Text(), server_default="task", nullable=False))
    op.add_column("task", sa.Column("approval_id", sa.BigInteger(), nullable=True))
    op.add_column("task", sa.Column("closed_for", sa.BigInteger(), nullable=True))
    op.create_index("ix_task_approval_id", "task", ["approval_id"], postgresql_where=sa.text("approval_id IS NOT NULL"))
    op.create_foreign_key(op.f("fk_task_approval_id"), "task", "approval", ["approval_id"], ["id"])
    op.create_foreign_key(op.f("fk_task_closed_for"), "task", "person", ["closed_for"], ["id"])
    for table, column in SEARCHED:
        op.execute(
            f"CREATE INDEX ix_{table}_search ON {table} USING gin"
            f" ((to_tsvector('russian'::regconfig, translate({column}, {SIGNS}, {SPACES}))"
            f" || to_tsvector('simple'::regconfig, translate({column}, {SIGNS}, {SPACES}))))"
        )
    op.execute(
        "UPDATE deal SET debt = greatest(coalesce(amount, 0) - paid, 0),"
        " overpaid = greatest(paid - coalesce(amount, 0), 0)"
    )


def downgrade() -> None:
    """Take the schema back."""
    for table, _ in SEARCHED:
        op.drop_index(f"ix_{table}_search", table_name=table)
    op.drop_constraint(op.f("fk_task_closed_for"), "task", type_="foreignkey")
    op.drop_constraint(op.f("fk_task_approval_id"), "task", type_="foreignkey")
    op.drop_column("task", "closed_for")
    op.drop_index("ix_task_approval_id", table_name="task", postgresql_where=sa.text("approval_id IS NOT NULL"))
    op.drop_column("task", "approval_id")
    op.drop_column("task", "kind")
    op.drop_constraint(op.f("fk_step_state_approval_id"), "step_state", type_="foreignkey")
    op.drop_column("step_state", "approval_id")
    op.drop_column("stage", "active")
    op.drop_constraint(op.f("fk_role_department_id"), "role", type_="foreignkey")
    op.drop_column("role", "department_id")
    op.drop_column("person", "preferences")
    op.drop_constraint(op.f("fk_notice_approval_id"), "notice", type_="foreignkey")
    op.drop_column("notice", "approval_id")
    op.drop_column("deal", "overpaid")
    op.drop_column("deal", "debt")
    op.drop_index("ix_decision_link_seat_id", table_name="decision_link")
    op.drop_table("decision_link")
    op.drop_index(
        "ix_approval_seat_holder_asked", table_name="approval_seat", postgresql_where=sa.text("state = 'asked'")
    )
    op.drop_index(
        "ix_approval_seat_fallback_asked", table_name="approval_seat", postgresql_where=sa.text("state = 'asked'")
    )
    op.drop_index("ix_approval_seat_decided_by", table_name="approval_seat")
    op.drop_table("approval_seat")
    op.drop_index("ix_comment_mention_person_id", table_name="comment_mention")
    op.drop_table("comment_mention")
    op.drop_index("ix_approval_instance_id", table_name="approval")
    op.drop_index("ix_approval_initiator_id", table_name="approval")
    op.drop_index("ix_approval_case_id", table_name="approval")
    op.drop_table("approval")
    op.drop_index("ix_file_version_content_hash", table_name="file_version")
    op.drop_table("file_version")
    op.drop_index("ix_comment_case_id", table_name="comment")
    op.drop_table("comment")
    op.drop_index("ix_absence_substitute_id", table_name="absence", postgresql_where=sa.text("cancelled_at IS NULL"))
    op.drop_index("ix_absence_person_id", table_name="absence", postgresql_where=sa.text("cancelled_at IS NULL"))
    op.drop_table("absence")
