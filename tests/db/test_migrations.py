"""Migrations of the business database on a real PostgreSQL: one head, there and back, models equal the schema."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError

from include.installation.installation import Installation, free_port
from include.installation.places import PROJECT

pytestmark = pytest.mark.db
VERSIONS = sorted((PROJECT / "sql" / "migrations" / "versions").glob("*.py"))
REVISION_NAME = re.compile(r"^\d{4}_\d{2}_\d{2}_\d{4}-[0-9a-z]+_[a-z0-9_]+\.py$")


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    """A server of these tests alone: the other tests' tables come from the models, these from the migrations."""
    home = Path(tempfile.mkdtemp(prefix="backoffice-migrations-"))
    installation = Installation(home, port=free_port())
    try:
        installation.start_postgres_only()
        yield installation
    finally:
        installation.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def models_only(installation: Installation) -> Iterator[Engine]:
    """The tables as the models declare them, in the server's other database."""
    engine = create_engine(installation.airflow_database_url)
    importlib.import_module("include.models").metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def migrated(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The database at its head."""
    monkeypatch.setenv("BACKOFFICE_DATABASE_URL", installation.backoffice_database_url)
    command.upgrade(config(), "head")
    engine = create_engine(installation.backoffice_database_url)
    yield engine
    engine.dispose()


def config() -> Config:
    made = Config(str(PROJECT / "alembic.ini"))
    made.set_main_option("script_location", str(PROJECT / "sql" / "migrations"))
    return made


def schema_of(engine: Engine) -> dict[str, object]:
    """All that a downgrade must bring back: columns, indexes, constraints, functions, triggers."""
    seen = inspect(engine)
    found: dict[str, object] = {
        table: (
            [(one["name"], str(one["type"]), one["nullable"], one["default"]) for one in seen.get_columns(table)],
            sorted(str(one) for one in seen.get_indexes(table)),
            sorted(str(one) for one in seen.get_foreign_keys(table)),
            sorted(str(one) for one in seen.get_unique_constraints(table)),
            sorted(str(one) for one in seen.get_check_constraints(table)),
        )
        for table in seen.get_table_names()
        if table != "alembic_version"
    }
    with engine.connect() as connection:
        found["functions"] = connection.scalars(
            text("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1")
        ).all()
        found["triggers"] = connection.scalars(
            text("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1")
        ).all()
    return found


def test_there_is_one_head() -> None:
    script = ScriptDirectory.from_config(config())
    assert len(script.get_heads()) == 1
    assert len(VERSIONS) == len(list(script.walk_revisions()))


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_a_migration_says_what_it_does_to_the_release_before(path: Path) -> None:
    """The docstring answers it: programs of the previous release still run while this one is applied."""
    assert REVISION_NAME.match(path.name), path.name
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert len(said.splitlines()) >= 3, "первая строка – что, дальше – как уживается с прошлым выпуском"
    assert re.search(r"release|выпуск", said), f"{path.name} не говорит о прошлом выпуске"


def test_models_equal_the_schema(migrated: Engine) -> None:
    metadata = importlib.import_module("include.models").metadata
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": False})
        assert compare_metadata(context, metadata) == []


def test_indexes_and_constraints_equal_the_models(migrated: Engine, models_only: Engine) -> None:
    """What Alembic does not compare: conditions of partial indexes, order of columns, checks, classes of operators."""
    assert definitions(migrated) == definitions(models_only)


def definitions(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        indexes = connection.scalars(
            text("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'")
        ).all()
        constraints = connection.scalars(
            text(
                "SELECT conrelid::regclass || ': ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint"
                " WHERE connamespace = 'public'::regnamespace AND conrelid <> 0"
                " AND conrelid::regclass::text <> 'alembic_version'"
            )
        ).all()
    return {*indexes, *constraints}


def test_down_and_up_again_gives_the_same(migrated: Engine) -> None:
    before = schema_of(migrated)
    command.downgrade(config(), "base")
    assert inspect(migrated).get_table_names() == ["alembic_version"]
    with migrated.connect() as connection:
        left = connection.scalars(text("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")).all()
    assert left == [], "downgrade оставил функции"
    command.upgrade(config(), "head")
    assert schema_of(migrated) == before


def test_every_step_goes_down_and_up(migrated: Engine) -> None:
    for _ in VERSIONS:
        command.downgrade(config(), "-1")
    for _ in VERSIONS:
        command.upgrade(config(), "+1")
    assert "process_instance" in inspect(migrated).get_table_names()


def test_migrating_twice_at_once_is_serialised(migrated: Engine) -> None:
    """Two servers of a company start together: env.py's advisory lock lets one wait for the other."""
    command.downgrade(config(), "base")

    def upgrade(_: int) -> int:
        run = [sys.executable, "-m", "alembic", "-c", "alembic.ini", "upgrade", "head"]
        return subprocess.run(run, cwd=PROJECT, capture_output=True, check=False).returncode

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(upgrade, range(2))) == [0, 0]


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET text = 'подделано'", "DELETE FROM audit", "DELETE FROM audit WHERE id = -1"]
)
def test_the_audit_only_grows(migrated: Engine, statement: str) -> None:
    with migrated.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO audit (at, actor_kind, action, entity, text)"
                " VALUES (now(), 'system', 'test', 'test', 'проверка')"
            )
        )
    with pytest.raises(DBAPIError, match="Журнал только пополняется"), migrated.begin() as connection:
        connection.execute(text(statement))


def test_every_reference_has_an_index(migrated: Engine) -> None:
    """A reference without an index makes its look-up read the whole table; small closed lists are named here."""
    small = {
        # who and what, never searched by
        ("account", "person_id"), ("deal", "contact_id"), ("deal", "created_by"), ("deal", "stage_id"),
        ("deal_field", "funnel_code"), ("company", "created_by"), ("stage_visit", "entered_by"),
        ("stage_visit", "left_by"), ("stage_visit", "stage_id"), ("stage_visit", "from_stage_id"),
        ("task", "creator_id"), ("task", "closed_by"), ("task", "stage_id"), ("task_term_change", "changed_by"),
        ("process_instance", "scheme_id"), ("process_instance", "stage_id"), ("process_instance", "head_id"),
        ("process_instance", "case_id"), ("step_state", "task_id"), ("notice", "task_id"),
        ("nomenclature", "first_exchange_id"), ("absence", "created_by"), ("approval", "stage_id"),
        ("approval_seat", "decided_for"), ("approval_seat", "version_id"), ("comment", "author_id"),
        ("decision_link", "person_id"), ("file_version", "uploaded_by"), ("notice", "approval_id"),
        ("role", "department_id"), ("step_state", "approval_id"), ("task", "closed_for"),
        ("bank_statement", "received_by"), ("bank_statement", "loaded_by"), ("invoice", "created_by"),
        ("invoice", "cancelled_by"), ("own_account", "added_by"), ("payment", "decided_by"),
        ("payment_allocation", "by"), ("payment_allocation", "undone_by"), ("exchange", "asked_by"),
        ("exchange", "decided_by"), ("exchange_file", "archive_id"), ("company_twin", "decided_by"),
    }  # fmt: skip
    never_removed = {"first_exchange_id", "last_exchange_id"}  # an exchange stays for ever
    seen = inspect(migrated)
    missing = set()
    for table in seen.get_table_names():
        leading = {one["column_names"][0] for one in seen.get_indexes(table)}
        leading |= {one["column_names"][0] for one in seen.get_unique_constraints(table)}
        leading |= set(seen.get_pk_constraint(table)["constrained_columns"][:1])
        missing |= {
            (table, key["constrained_columns"][0])
            for key in seen.get_foreign_keys(table)
            if key["constrained_columns"][0] not in leading | never_removed
        }
    assert missing - small == set()
