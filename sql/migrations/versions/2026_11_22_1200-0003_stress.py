"""What operations need: attempts to guess a password or a link, steps that failed and their retries.

Must work with the code of the previous release: add first, remove one release later.
"""

from __future__ import annotations

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward."""


def downgrade() -> None:
    """Take the schema back."""
