"""The doctor on sick databases: each illness is planted, and named."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from include.installation import doctor
from include.installation.airflow_settings import SIMPLE_AUTH_MANAGER
from include.installation.installation import Installation, free_port
from include.installation.urls import libpq

pytestmark = pytest.mark.db

#: As much of both schemes as the doctor reads.
BACKOFFICE = """
create table outbox_event (id bigint generated always as identity, kind text, listen_key text, state text,
    created_at timestamptz default now(), attempts int default 0, error text, next_try_at timestamptz);
create table process_case (id bigint, key text, seq int);
create table step_state (id bigint, case_id bigint, state text, moment timestamptz, looked_seq int);
create table heartbeat (name text, instance text, at timestamptz, info jsonb);
create table clock_offset (id int, microseconds bigint);
insert into heartbeat select name, 'one', now(), '{}' from unnest(array['relay', 'hub', 'reconciler']) name;
insert into process_case values (9, 'deal-9', 1);
insert into step_state values (9, 9, 'waiting', null, 1);
"""
AIRFLOW = """
create table job (id int, job_type text, state text, hostname text, start_date timestamptz,
    end_date timestamptz, latest_heartbeat timestamptz);
create table trigger (id int, triggerer_id int, created_date timestamptz default now());
create table dag (dag_id text, dag_display_name text, is_paused bool default false,
    is_stale bool default false);
create table dag_tag (name text, dag_id text);
create table dag_run (dag_id text, state text);
create table import_error (filename text, stacktrace text);
create table task_instance (id int);
create function nothing() returns trigger language plpgsql as 'begin return null; end';
create trigger backoffice_nudge after update on task_instance for each row execute function nothing();
insert into job select n, type, 'running', 'h', now(), null, now()
  from unnest(array['SchedulerJob', 'TriggererJob', 'DagProcessorJob']) with ordinality as t(type, n);
insert into dag values ('goods', 'Счет/КП');
insert into dag_tag values ('on:stage:Товары/Счет/КП', 'goods');
"""
#: illness → (database, SQL that plants it, words that must be said)
ILLNESSES = {
    "relay_silent": (
        "backoffice",
        "update heartbeat set at = now() - interval '5 minutes' where name = 'relay'",
        "5 мин",
    ),
    "hub_silent": ("backoffice", "delete from heartbeat where name = 'hub'", "ни разу"),
    "reconciler_silent": ("backoffice", "delete from heartbeat where name = 'reconciler'", "Сверка"),
    "relay_lag": (
        "backoffice",
        "insert into outbox_event (listen_key, state, created_at)"
        " values ('on:stage:Товары/Счет/КП', 'pending', now() - interval '3 minutes')",
        "Событий в очереди: 1",
    ),
    "listener_missing": (
        "backoffice",
        "insert into outbox_event (listen_key, state, created_at)"
        " values ('on:stage:Нет/Такой', 'pending', now() - interval '3 hours')",
        "Нет/Такой",
    ),
    "dead_letters": (
        "backoffice",
        "insert into outbox_event (listen_key, state, error) values ('on:x', 'dead', 'нет такой сделки')",
        "нет такой сделки",
    ),
    "wait_overdue": (
        "backoffice",
        "insert into process_case values (1, 'deal-42', 1);"
        "insert into step_state values (1, 1, 'waiting', now() - interval '10 minutes', 1)",
        "deal-42",
    ),
    "schema_missing": ("backoffice", "drop table outbox_event", "нет таблиц"),
    "nudge_missing": ("airflow", "drop trigger backoffice_nudge on task_instance", "nudge"),
    "process_paused": (
        "airflow",
        "update dag set is_paused = true; insert into dag_run values ('goods', 'running')",
        "дел в нём 1",
    ),
    "process_stale": (
        "airflow",
        "update dag set is_stale = true; insert into dag_run values ('goods', 'running')",
        "goods",
    ),
    "process_import_error": (
        "airflow",
        "insert into import_error values ('deals/x.py', E'Traceback\nNameError: manger')",
        "manger",
    ),
    "job_silent": ("airflow", "update job set end_date = now() where job_type = 'SchedulerJob'", "scheduler"),
    "triggerer_full": (
        "airflow",
        "insert into trigger select n, 2 from generate_series(1, 19000) n",
        "Ожиданий 19000",
    ),
    "triggers_unassigned": (
        "airflow",
        "insert into trigger values (1, null, now() - interval '5 minutes')",
        "без хозяина: 1",
    ),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    home = tmp_path_factory.mktemp("installation") / "home"
    with Installation(home, port=free_port(), auth_manager=SIMPLE_AUTH_MANAGER) as installation:
        installation.start_postgres_only()
        yield installation


@pytest.fixture
def healthy(server: Installation) -> Installation:
    for url, scheme in ((server.airflow_database_url, AIRFLOW), (server.backoffice_database_url, BACKOFFICE)):
        with psycopg.connect(libpq(url), autocommit=True) as connection:
            connection.execute("drop schema public cascade; create schema public")
            connection.execute(scheme)
    return server


def findings(installation: Installation) -> list[doctor.Finding]:
    """What is said besides the programs that this test does not start."""
    return [one for one in doctor.examine(installation) if one.code not in {"program_down", "page_silent"}]


def test_nothing_is_said_of_healthy_databases(healthy: Installation) -> None:
    assert findings(healthy) == []


@pytest.mark.parametrize("code", ILLNESSES)
def test_an_illness_is_named_with_what_to_do(healthy: Installation, code: str) -> None:
    database, plant, words = ILLNESSES[code]
    url = healthy.airflow_database_url if database == "airflow" else healthy.backoffice_database_url
    with psycopg.connect(libpq(url), autocommit=True) as connection:
        connection.execute(plant)
    found = [one for one in findings(healthy) if one.code == code]
    assert len(found) == 1
    assert words in found[0].text
    assert found[0].action == doctor.ACTIONS[code]


def test_a_hub_is_missed_only_where_something_waits(healthy: Installation) -> None:
    """It lives in the triggerer from the first wait on."""
    with psycopg.connect(libpq(healthy.backoffice_database_url), autocommit=True) as connection:
        connection.execute("delete from heartbeat where name = 'hub'; delete from step_state")
        assert findings(healthy) == []
        connection.execute("insert into step_state values (9, 9, 'waiting', null, 1)")
        connection.execute("insert into heartbeat values ('hub', 'one', now(), '{\"connected\": false}')")
    assert [one.code for one in findings(healthy)] == ["hub_silent"]


def test_json_for_a_machine(healthy: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.run(healthy, as_json=True) == 1
    assert '"code": "program_down"' in capsys.readouterr().out
