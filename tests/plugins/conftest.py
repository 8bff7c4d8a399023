"""A real server with both databases, empty of business: contracts and the hub are tried on the real thing."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from include.installation.installation import Installation, free_port
from include.installation.places import PROJECT
from tests.dags.environment import configure_airflow

configure_airflow()  # before the first `import airflow` of any test module here

PROCESSES = PROJECT / "tests" / "plugins" / "processes"


@dataclass(frozen=True)
class Server:
    """The addresses of both databases, as SQLAlchemy wants them."""

    airflow: str
    backoffice: str


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    home = Path(tempfile.mkdtemp(prefix="backoffice-plugins-"))
    installation = Installation(home, port=free_port())
    try:
        installation.start_postgres_only()
        engine = create_engine(installation.backoffice_database_url)
        importlib.import_module("include.models").metadata.create_all(engine)
        engine.dispose()
        yield Server(installation.airflow_database_url, installation.backoffice_database_url)
    finally:
        installation.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def business(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The business database, emptied, as services see it."""
    monkeypatch.setenv("BACKOFFICE_DATABASE_URL", server.backoffice)
    monkeypatch.setenv("BACKOFFICE_CLOCK", "real")
    monkeypatch.delenv("BACKOFFICE_ENV", raising=False)
    engine = create_engine(server.backoffice)
    tables = ", ".join(f'"{one.name}"' for one in importlib.import_module("include.models").metadata.sorted_tables)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def airflow_tables(server: Server) -> Iterator[str]:
    """Airflow's own database with its tables and our processes of `processes/` parsed into it."""
    name = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
    before = os.environ.get(name)
    os.environ[name] = server.airflow
    from airflow import settings
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models import import_all_models
    from airflow.models.base import Base
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.db import add_default_pool_if_not_exists, synchronize_log_template
    from airflow.utils.session import create_session

    settings.configure_vars()
    settings.configure_orm()
    import_all_models()
    Base.metadata.create_all(settings.engine)
    with create_session() as session:
        session.add(DagBundleModel(name="tests"))
        synchronize_log_template(session=session)
        add_default_pool_if_not_exists(session=session)
    bag = DagBag(dag_folder=PROCESSES, bundle_path=PROCESSES, bundle_name="tests")
    assert bag.import_errors == {}
    sync_bag_to_db(bag, "tests", None)
    yield server.airflow
    settings.engine.dispose()
    os.environ.pop(name)
    if before is not None:
        os.environ[name] = before
    settings.configure_vars()
    settings.configure_orm()


@pytest.fixture
def airflow_database(airflow_tables: str) -> str:
    """The same without runs, every process awake."""
    from airflow import settings

    with settings.engine.begin() as connection:
        connection.execute(text("TRUNCATE dag_run, trigger CASCADE"))
        connection.execute(text("UPDATE dag SET is_paused = false, is_stale = false"))
    return airflow_tables


@pytest.fixture
def event(business: Engine) -> Any:
    """Write an outbox event of a case of its own; returns its id."""

    def make(listens: str = "on:stage:Проверка/Начало", visit: str = "visit-1") -> int:
        now = datetime.now(UTC)
        with business.begin() as connection:
            case = connection.scalar(
                text(
                    "INSERT INTO process_case (key, kind, title) VALUES (gen_random_uuid()::text, 'deal', 'Сделка')"
                    " RETURNING id"
                )
            )
            connection.execute(text("UPDATE process_case SET key = 'deal-' || id WHERE id = :id"), {"id": case})
            made = connection.scalar(
                text(
                    "INSERT INTO outbox_event (kind, listen_key, case_id, visit, payload, created_at, next_try_at)"
                    " VALUES ('test', :listens, :case, :visit, CAST(:payload AS jsonb), :now, :now) RETURNING id"
                ),
                {"listens": listens, "case": case, "visit": visit, "payload": json.dumps({}), "now": now},
            )
        assert made is not None
        return int(made)

    return make
