"""Cards that may be one counterparty: asked about, joined, separated (R002-8, R003-6).

Must work with the code of the previous release: tables and columns are only added, which that code does not see.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "company_twin",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kept_id", sa.BigInteger(), nullable=False),
        sa.Column("other_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("exchange_id", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.BigInteger(), nullable=True),
        sa.Column(
            "moved", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.CheckConstraint("reason IN ('same_inn_kpp', 'same_inn', 'by_hand')", name=op.f("ck_company_twin_reason")),
        sa.CheckConstraint("state IN ('open', 'joined', 'separated')", name=op.f("ck_company_twin_state")),
        sa.CheckConstraint("kept_id <> other_id", name=op.f("ck_company_twin_two")),
        sa.ForeignKeyConstraint(["decided_by"], ["person.id"], name=op.f("fk_company_twin_decided_by")),
        sa.ForeignKeyConstraint(["kept_id"], ["company.id"], name=op.f("fk_company_twin_kept_id")),
        sa.ForeignKeyConstraint(["other_id"], ["company.id"], name=op.f("fk_company_twin_other_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_company_twin")),
        sa.UniqueConstraint("kept_id", "other_id", name=op.f("uq_company_twin_kept_id_other_id")),
    )
    op.create_index(
        "ix_company_twin_open", "company_twin", ["id"], unique=False, postgresql_where=sa.text("state = 'open'")
    )
    op.create_index("ix_company_twin_other_id", "company_twin", ["other_id"], unique=False)
    op.add_column("company", sa.Column("joined_into_id", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_company_joined_into_id",
        "company",
        ["joined_into_id"],
        unique=False,
        postgresql_where=sa.text("joined_into_id IS NOT NULL"),
    )
    op.create_foreign_key(op.f("fk_company_joined_into_id"), "company", "company", ["joined_into_id"], ["id"])


def downgrade() -> None:
    """Take the schema back."""
    op.drop_constraint(op.f("fk_company_joined_into_id"), "company", type_="foreignkey")
    op.drop_index(
        "ix_company_joined_into_id", table_name="company", postgresql_where=sa.text("joined_into_id IS NOT NULL")
    )
    op.drop_column("company", "joined_into_id")
    op.drop_index("ix_company_twin_other_id", table_name="company_twin")
    op.drop_index("ix_company_twin_open", table_name="company_twin", postgresql_where=sa.text("state = 'open'"))
    op.drop_table("company_twin")
