"""What operations need: attempts to guess a password or a link, steps that failed and their retries.

Must work with the code of the previous release: add first, remove one release later.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward."""
    op.add_column("account", sa.Column("session_version", sa.BigInteger(), server_default=sa.text("1"), nullable=False))
    op.create_table(
        "login_attempt",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_attempt")),
    )
    op.create_index("ix_login_attempt_at", "login_attempt", ["at"])
    op.create_index("ix_login_attempt_kind_key_at", "login_attempt", ["kind", "key", "at"])
    op.create_table(
        "known_place",
        sa.Column("login_hash", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("login_hash", "address", name=op.f("pk_known_place")),
    )
    op.create_index("ix_known_place_seen_at", "known_place", ["seen_at"])
    moment = sa.DateTime(timezone=True)
    op.add_column("process_case", sa.Column("changed_at", moment, server_default=sa.text("now()"), nullable=False))
    op.add_column("step_state", sa.Column("retried_at", moment, nullable=True))
    stuck = sa.text("state IN ('failed', 'marked')")
    op.create_index("ix_step_state_ended_at", "step_state", ["ended_at"])
    acts = sa.text("action IN ('step.marked', 'step.retried', 'step.failed', 'event.repeated', 'event.dropped')")
    op.create_index("ix_audit_ops", "audit", ["id"], postgresql_where=acts)
    op.create_index("ix_step_state_stuck", "step_state", ["instance_id"], postgresql_where=stuck)
    op.create_table(
        "retention_pass",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("asked_at", moment, nullable=False),
        sa.Column("finished_at", moment, nullable=True),
        sa.Column("removed", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_pass")),
    )
    unfinished = sa.text("finished_at IS NULL")
    op.create_index("ix_retention_pass_unfinished", "retention_pass", ["id"], postgresql_where=unfinished)
    op.create_index("ix_outbox_event_dead", "outbox_event", ["id"], postgresql_where=sa.text("state = 'dead'"))
    op.create_index("ix_deal_created_by", "deal", ["created_by"])


def downgrade() -> None:
    """Take the schema back."""
    op.drop_index("ix_deal_created_by", "deal")
    op.drop_index("ix_outbox_event_dead", "outbox_event")
    op.drop_table("retention_pass")
    op.drop_index("ix_step_state_stuck", "step_state")
    op.drop_index("ix_audit_ops", "audit")
    op.drop_index("ix_step_state_ended_at", "step_state")
    op.drop_column("step_state", "retried_at")
    op.drop_column("process_case", "changed_at")
    op.drop_table("known_place")
    op.drop_table("login_attempt")
    op.drop_column("account", "session_version")
