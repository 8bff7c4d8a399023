"""One throw-away PostgreSQL with all tables of the business database, for the tests here that ask for it."""

from __future__ import annotations

import importlib.util
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
from tests.db.driver import Company, Driver, hire


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
        with engine.begin() as connection:
            connection.execute(text(_keep_audit()))
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


def _keep_audit() -> str:
    path = next((PROJECT / "sql" / "migrations" / "versions").glob("*-0001_*.py"))
    spec = importlib.util.spec_from_file_location("initial_schema", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.KEEP_AUDIT)


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


@pytest.fixture(scope="module")
def company(database_url: str, database_engine: Engine) -> Iterator[Company]:
    """A small company with all reference data, made once per module; each test works on cases of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKOFFICE_DATABASE_URL", database_url)
        patch.setenv("BACKOFFICE_CLOCK", "real")
        patch.delenv("BACKOFFICE_ENV", raising=False)
        patch.setattr(services, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield hire()


@pytest.fixture
def driver(company: Company, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    """Plays Airflow on a clock that stands still; whatever a test did, nothing may be lost or doubled after it."""
    made = Driver(company, monkeypatch)
    yield made
    if made.check:
        made.settle()
        assert made.violations() == []
