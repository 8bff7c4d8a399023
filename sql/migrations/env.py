"""Alembic environment of the business database; the address comes from BACKOFFICE_DATABASE_URL."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, text

from include.models import metadata
from include.shared.db import database_url

MIGRATION_LOCK = 7_301_201


def run() -> None:
    """Migrate under an advisory lock, with short waits for locks: pages go on meanwhile."""
    engine = create_engine(database_url())
    with engine.connect() as connection:
        connection.execute(text("SET lock_timeout = '4s'"))
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()
        context.configure(connection=connection, target_metadata=metadata, compare_type=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()
    engine.dispose()


run()
