"""One throw-away PostgreSQL with all tables of the business database, for the tests here that ask for it."""

from __future__ import annotations

import importlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, create_engine, text

from include.installation.installation import Installation, free_port
from include.installation.places import PROJECT
from include.shared.db import Base
from include.staff import services


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """The address of the business database."""
    home = Path(tempfile.mkdtemp(prefix="backoffice-test-"))
    installation = Installation(home, port=free_port())
    try:
        installation.start_postgres_only()
        for path in sorted((PROJECT / "include").glob("*/models.py")):
            importlib.import_module(f"include.{path.parent.name}.models")
        engine = create_engine(installation.backoffice_database_url)
        Base.metadata.create_all(engine)
        engine.dispose()
        yield installation.backoffice_database_url
    finally:
        installation.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def database_engine(database_url: str) -> Iterator[Engine]:
    """A connection pool of the tests themselves; the database starts empty."""
    engine = create_engine(database_url)
    _empty(engine)
    yield engine
    engine.dispose()


def _empty(engine: Engine) -> None:
    tables = ", ".join(f'"{table.name}"' for table in Base.metadata.sorted_tables)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))


@pytest.fixture
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that take no time; real ones are slow on purpose."""
    monkeypatch.setattr(services, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def database(
    database_url: str, database_engine: Engine, quick_passwords: None, monkeypatch: pytest.MonkeyPatch
) -> Engine:
    """The business database, emptied, as services see it."""
    monkeypatch.setenv("BACKOFFICE_DATABASE_URL", database_url)
    monkeypatch.setenv("BACKOFFICE_CLOCK", "real")
    monkeypatch.delenv("BACKOFFICE_ENV", raising=False)
    _empty(database_engine)
    return database_engine
