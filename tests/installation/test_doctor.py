"""The doctor on sick databases, disks and programs: each illness is planted, named, and gone when it is mended."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from sqlalchemy import create_engine

from include.installation import doctor
from include.installation.airflow_settings import SIMPLE_AUTH_MANAGER
from include.installation.installation import Installation, free_port
from include.installation.places import PROJECT
from include.installation.urls import libpq
from include.ops import checks_backoffice, machine
from include.ops.checks_airflow import NUDGES
from include.ops.examination import FILES, LOGS
from include.ops.findings import ACTIONS

pytestmark = pytest.mark.db

EMPTY = """
delete from step_state; delete from process_instance; delete from process_scheme; delete from outbox_event;
delete from process_case; delete from heartbeat;
"""
BACKOFFICE = """
insert into heartbeat select name, 'one', now(), '{"skew": 0.1, "connected": true}'
  from unnest(array['relay', 'hub', 'reconciler']) name;
insert into process_case (id, key, kind, title, seq) overriding system value values (9, 'deal-9', 'deal', 'Сделка', 1);
insert into process_scheme (id, process, digest, title, number, body) overriding system value
  values (9, 'goods', 'x', 'Счет/КП', 1, '{"steps": []}');
insert into process_instance (id, process, case_id, visit, run_id, scheme_id, started_at) overriding system value
  values (9, 'goods', 9, 'visit-9', 'deal-9-visit-9', 9, now());
insert into step_state (id, instance_id, case_id, step, word, title, spec, state, looked_seq, opened_at)
  overriding system value values (9, 9, 9, 'call', 'DateSensor', 'Позвонить', '{}', 'waiting', 1, now());
"""
#: As much of Airflow's scheme as the doctor reads; tests/plugins/test_airflow_api.py compares it with the real one.
AIRFLOW = """
create table job (id int, job_type text, state text, hostname text, start_date timestamptz,
    end_date timestamptz, latest_heartbeat timestamptz);
create table trigger (id int, triggerer_id int, created_date timestamptz default now(), queue text);
create table dag (dag_id text, dag_display_name text, is_paused bool default false,
    is_stale bool default false, next_dagrun_create_after timestamptz);
create table dag_tag (name text, dag_id text);
create table dag_run (id int generated always as identity, dag_id text, run_id text, state text);
create table import_error (filename text, stacktrace text);
create table callback (type text, created_at timestamptz);
create table task_instance (id int);
create function nothing() returns trigger language plpgsql as 'begin return null; end';
create trigger backoffice_nudge after update on task_instance for each row execute function nothing();
create trigger backoffice_keep_apart before insert on trigger for each row when (new.id < 0) execute function nothing();
insert into job select n, type, 'running', 'h', now() - interval '1 hour', null, now()
  from unnest(array['SchedulerJob', 'TriggererJob', 'DagProcessorJob']) with ordinality as t(type, n);
insert into dag values ('goods', 'Счет/КП');
insert into dag_tag values ('on:stage:Товары/Счет/КП', 'goods');
insert into dag values ('nightly', 'Ночная сверка', false, false, now() + interval '5 hours');
insert into dag_run (dag_id, run_id, state) values ('nightly', 'scheduled__1', 'success');
"""
EVENT = "insert into outbox_event (kind, listen_key, visit, state, error, created_at, next_try_at) values "
HERS = "'field', 'on:stage:Товары/Счет/КП', 'v1'"
#: illness (a code, and which of its kinds) → (database, SQL that plants it, words that must be said, SQL that mends it)
ILLNESSES = {
    "relay_silent": (
        "backoffice",
        "update heartbeat set at = now() - interval '5 minutes' where name = 'relay'",
        "5 мин",
        "update heartbeat set at = now()",
    ),
    "hub_silent": (
        "backoffice",
        "delete from heartbeat where name = 'hub'",
        "ни разу",
        "insert into heartbeat values ('hub', 'two', now(), '{}')",
    ),
    "hub_silent/deaf": (
        "backoffice",
        "insert into heartbeat values ('hub', 'two', now(), '{\"connected\": false}')",
        "не слышит базу",
        "update heartbeat set info = '{}'",
    ),
    "reconciler_silent": (
        "backoffice",
        "delete from heartbeat where name = 'reconciler'",
        "Сверка",
        "insert into heartbeat values ('reconciler', 'two', now(), '{}')",
    ),
    "relay_lag": (
        "backoffice",
        f"{EVENT} ({HERS}, 'pending', null, now() - interval '3 minutes', now())",
        "Событий в очереди: 1",
        "update outbox_event set state = 'done'",
    ),
    "listener_missing": (
        "backoffice",
        f"{EVENT} ('x', 'on:stage:Нет/Такой', 'v', 'pending', null, now() - interval '3 hours', now())",
        "Нет/Такой",
        "update outbox_event set state = 'done'",
    ),
    "dead_letters": (
        "backoffice",
        f"{EVENT} ({HERS}, 'dead', 'нет такой сделки', now(), now())",
        "нет такой сделки",
        "update outbox_event set state = 'done'",
    ),
    "clock_skew": (
        "backoffice",
        "update heartbeat set info = '{\"skew\": -7200}' where name = 'relay'",
        "relay (one) и базы расходятся на 2 ч",
        "update heartbeat set info = '{\"skew\": 0}'",
    ),
    "clock_skew/event of the future": (
        "backoffice",
        f"{EVENT} ({HERS}, 'pending', null, now(), now() + interval '2 hours')",
        "убежавшими вперёд часами: 1",
        "update outbox_event set next_try_at = now()",
    ),
    "wait_overdue": (
        "backoffice",
        "update step_state set moment = now() - interval '10 minutes'",
        "deal-9",
        "update step_state set moment = null",
    ),
    "wait_deaf": (
        "backoffice",
        "update process_case set seq = 2, changed_at = now() - interval '5 minutes'",
        "не увидевших перемены дела: 1, дольше всех 5 мин, например дело deal-9",
        "update step_state set looked_seq = 2",
    ),
    "step_failed": (
        "backoffice",
        "update step_state set state = 'failed', reason = 'некому поручить', ended_at = now()",
        "deal-9; «Позвонить»: некому поручить",
        "update step_state set state = 'waiting', ended_at = null",
    ),
    "step_marked": (
        "backoffice",
        "update step_state set state = 'marked', reason = 'снято администратором', ended_at = now()",
        "отмечено вручную: 1",
        "update step_state set state = 'waiting', ended_at = null",
    ),
    "invariant_broken": (
        "backoffice",
        "update step_state set state = 'done';update process_instance set started_at = now() - interval '1 hour'",
        "instance_without_wait",
        "update step_state set state = 'waiting'",
    ),
    "backup_old": (
        "backoffice",
        "insert into heartbeat values ('backup', 'one', now() - interval '3 days', '{}')",
        "72 ч",
        "update heartbeat set at = now()",
    ),
    "backup_old/never": (
        "backoffice",
        f"{EVENT} ({HERS}, 'done', null, now() - interval '4 days', now())",
        "ещё не было",
        "insert into heartbeat values ('backup', 'one', now(), '{}')",
    ),
    "schema_missing": (
        "backoffice",
        "alter table outbox_event rename to gone",
        "нет таблиц",
        "alter table gone rename to outbox_event",
    ),
    "nudge_missing": (
        "airflow",
        "drop trigger backoffice_nudge on task_instance",
        "nudge",
        "create trigger backoffice_nudge after update on task_instance for each row execute function nothing()",
    ),
    "process_paused": (
        "airflow",
        "update dag set is_paused = true; insert into dag_run (dag_id, state) values ('goods', 'running')",
        "дел в нём 1",
        "update dag set is_paused = false",
    ),
    "process_stale": (
        "airflow",
        "update dag set is_stale = true; insert into dag_run (dag_id, state) values ('goods', 'running')",
        "goods",
        "update dag set is_stale = false",
    ),
    "process_import_error": (
        "airflow",
        "insert into import_error values ('deals/x.py', E'Traceback\nNameError: manger')",
        "manger",
        "delete from import_error",
    ),
    "job_silent": (
        "airflow",
        "update job set end_date = now() where job_type = 'SchedulerJob'",
        "scheduler",
        "update job set end_date = null",
    ),
    "job_silent/frozen": (
        "airflow",
        "update job set latest_heartbeat = now() - interval '70 seconds' where job_type = 'DagProcessorJob'",
        "dag-processor не отмечался 70 с",
        "update job set latest_heartbeat = now()",
    ),
    "replica_silent": (
        "airflow",
        "insert into job values (8, 'SchedulerJob', 'running', 'h.2', now(), null, now() - interval '5 minutes')",
        "Один из scheduler (h.2) не отмечался 5 мин",
        "update job set end_date = now() where id = 8",
    ),
    "triggerer_full": (
        "airflow",
        "insert into trigger select n, 2 from generate_series(1, 19000) n",
        "Ожиданий 19000",
        "delete from trigger",
    ),
    "nudge_missing/half of it": (
        "airflow",
        "alter table trigger disable trigger backoffice_keep_apart",
        "nudge",
        "alter table trigger enable trigger backoffice_keep_apart",
    ),
    "triggers_unassigned": (
        "airflow",
        "insert into trigger values (1, null, now() - interval '5 minutes')",
        "без хозяина: 1",
        "update trigger set triggerer_id = 2",
    ),
    "callback_backlog": (
        "airflow",
        "insert into callback select 'dag_processor', now() from generate_series(1, 600)",
        "в очереди: 600",
        "delete from callback",
    ),
    "callback_backlog/slow": (
        "airflow",
        "insert into callback values ('dag_processor', now() - interval '10 minutes')",
        "старшее ждёт 10 мин",
        "delete from callback",
    ),
    "nightly_failed": (
        "airflow",
        "insert into dag_run (dag_id, run_id, state) values ('nightly', 'scheduled__2', 'failed')",
        "scheduled__2",
        "insert into dag_run (dag_id, run_id, state) values ('nightly', 'manual__3', 'success')",
    ),
    "nightly_late": (
        "airflow",
        "update dag set next_dagrun_create_after = now() - interval '1 hour' where dag_id = 'nightly'",
        "опаздывает на 60 мин",
        "update dag set next_dagrun_create_after = now() + interval '1 day' where dag_id = 'nightly'",
    ),
}
LISTENERS = (("backoffice", checks_backoffice.RELAY_LISTENS), ("airflow", checks_backoffice.NUDGE_LISTENS))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    home = tmp_path_factory.mktemp("installation") / "home"
    with Installation(home, port=free_port(), auth_manager=SIMPLE_AUTH_MANAGER) as installation:
        installation.start_postgres_only()
        engine = create_engine(installation.backoffice_database_url)
        importlib.import_module("include.models").metadata.create_all(engine)
        engine.dispose()
        yield installation


def url_of(installation: Installation, database: str) -> str:
    return libpq(installation.airflow_database_url if database == "airflow" else installation.backoffice_database_url)


def change(installation: Installation, database: str, statement: str) -> None:
    with psycopg.connect(url_of(installation, database), autocommit=True) as connection:
        connection.execute(statement)


@pytest.fixture
def listening(server: Installation) -> Iterator[dict[str, Any]]:
    """The connections that the relay would hold."""
    with ExitStack() as open_:
        yield {
            name: open_.enter_context(psycopg.connect(url_of(server, database), autocommit=True, application_name=name))
            for database, name in LISTENERS
        }


@pytest.fixture
def healthy(server: Installation, listening: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Installation:
    monkeypatch.setattr(checks_backoffice, "LOOK_AGAIN_SECONDS", 0.0)
    change(server, "backoffice", EMPTY)
    change(server, "backoffice", BACKOFFICE)
    change(server, "airflow", "drop schema public cascade; create schema public")
    change(server, "airflow", AIRFLOW)
    return server


def findings(installation: Installation) -> list[doctor.Finding]:
    """What is said besides the programs that this test does not start."""
    return [one for one in doctor.examine(installation) if one.code not in {"program_down", "page_silent"}]


def codes(installation: Installation) -> list[str]:
    return [one.code for one in findings(installation)]


def test_nothing_is_said_of_healthy_databases(healthy: Installation) -> None:
    assert findings(healthy) == []


@pytest.mark.parametrize("illness", ILLNESSES)
def test_an_illness_is_named_with_what_to_do_and_forgotten_when_mended(healthy: Installation, illness: str) -> None:
    code = illness.partition("/")[0]
    database, plant, words, mend = ILLNESSES[illness]
    change(healthy, database, plant)
    found = [one for one in findings(healthy) if one.code == code]
    assert len(found) == 1
    assert words in found[0].text
    assert found[0].action == ACTIONS[code]
    change(healthy, database, mend)
    assert code not in codes(healthy)


def test_what_heals_by_itself_is_no_broken_invariant(healthy: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step between its end and the beginning of the next one looks for a moment as if it were lost."""
    change(healthy, "backoffice", ILLNESSES["invariant_broken"][1])
    monkeypatch.setattr(
        checks_backoffice.time, "sleep", lambda _: change(healthy, "backoffice", ILLNESSES["invariant_broken"][3])
    )
    assert findings(healthy) == []


@pytest.mark.parametrize(("name", "code"), [(LISTENERS[0][1], "relay_deaf"), (LISTENERS[1][1], "nudge_deaf")])
def test_a_lost_listening_connection_is_named(
    healthy: Installation, listening: dict[str, Any], name: str, code: str
) -> None:
    listening[name].close()
    assert codes(healthy) == [code]


def test_listeners_are_called_as_the_checks_look_for_them() -> None:
    parts = [PROJECT / "plugins" / "backoffice" / name for name in ("relay.py", "hub.py")]
    source = "\n".join(path.read_text(encoding="utf-8") for path in parts)
    for _, name in LISTENERS:
        assert f'"{name}"' in source


def test_our_waits_stand_in_a_queue_that_no_triggerer_takes(healthy: Installation) -> None:
    change(healthy, "airflow", "insert into trigger values (1, null, now() - interval '1 day', 'backoffice')")
    assert findings(healthy) == []


def test_the_nudges_are_called_as_the_checks_look_for_them() -> None:
    source = (PROJECT / "plugins" / "backoffice" / "nudge.py").read_text(encoding="utf-8")
    for name in NUDGES:
        assert f"CREATE TRIGGER {name} " in source


def test_a_jumped_clock_of_this_machine_is_named(healthy: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    class Jumped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(hours=2)

    monkeypatch.setattr(checks_backoffice, "datetime", Jumped)
    assert "clock_skew" in codes(healthy)
    assert datetime.now(UTC).tzinfo is UTC  # the clock of the others has not moved


def test_a_pulse_bears_a_jumped_clock(healthy: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program whose clock is two hours ahead is not silent, does not silence the others, and is named."""
    from include.shared import clock, heartbeat

    monkeypatch.setenv("BACKOFFICE_DATABASE_URL", healthy.backoffice_database_url)
    real = clock.machine_now
    monkeypatch.setattr(clock, "machine_now", lambda: real() + timedelta(hours=2))
    heartbeat.beat("relay", "jumped", {})
    assert codes(healthy) == ["clock_skew"]
    monkeypatch.setattr(clock, "machine_now", real)
    heartbeat.beat("relay", "jumped", {})
    assert codes(healthy) == []


def test_a_backup_is_remembered_longer_than_a_pulse(healthy: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    from include.shared import heartbeat

    monkeypatch.setenv("BACKOFFICE_DATABASE_URL", healthy.backoffice_database_url)
    change(healthy, "backoffice", ILLNESSES["backup_old"][1])
    change(healthy, "backoffice", "insert into heartbeat values ('hub', 'gone', now() - interval '2 hours', '{}')")
    heartbeat.beat("relay", "one", {})
    with psycopg.connect(url_of(healthy, "backoffice")) as connection:
        left = connection.execute("select name, instance from heartbeat order by name, instance").fetchall()
    assert ("backup", "one") in left
    assert ("hub", "gone") not in left


def disk(**more: Any) -> machine.Disk:
    values = {"holds": "файлы", "folder": Path("/srv"), "total": 10**12, "free": 10**11, "inodes": 10**6,
              "inodes_free": 10**5, **more}  # fmt: skip
    return machine.Disk(**values)


@pytest.mark.parametrize(
    ("measured", "code"),
    [
        (disk(free=1_900_000_000), "disk_low"),
        (disk(total=16_000_000, free=1_000_000), "disk_low"),  # a small disk is judged by its size
        (disk(total=16_000_000, free=10_000_000), None),
        (disk(inodes_free=10_000), "inodes_low"),
        (disk(inodes=0, inodes_free=0), None),  # a file system that does not count them
        (disk(), None),
    ],
)
def test_a_full_disk_is_named(
    healthy: Installation, monkeypatch: pytest.MonkeyPatch, measured: machine.Disk, code: str | None
) -> None:
    monkeypatch.setattr(machine, "disks", lambda _folders: [measured])
    assert codes(healthy) == ([code] if code else [])


def test_each_disk_is_named_once_with_all_that_it_holds(tmp_path: Path) -> None:
    for name in ("files", "logs"):
        (tmp_path / name).mkdir()
    (found,) = machine.disks({FILES: tmp_path / "files", LOGS: tmp_path / "logs", "нет": tmp_path / "none"})
    assert found.holds == "файлы, журналы"
    assert 0 < found.free <= found.total


def test_files_and_logs_may_lie_elsewhere(healthy: Installation, tmp_path: Path) -> None:
    elsewhere = doctor.folders(healthy.places, (tmp_path / "their files").as_uri())
    assert elsewhere[FILES] == tmp_path / "their files"
    assert FILES not in doctor.folders(healthy.places, "s3://bucket/files")
    assert doctor.folders(healthy.places, None)[FILES] == healthy.places.files


def test_a_missing_folder_of_files_is_named(healthy: Installation, tmp_path: Path) -> None:
    healthy.outer["BACKOFFICE_FILES"] = (tmp_path / "files").as_uri()
    try:
        assert codes(healthy) == ["files_unavailable"]
        (tmp_path / "files").mkdir()
        assert codes(healthy) == []
    finally:
        del healthy.outer["BACKOFFICE_FILES"]


def test_a_stopped_program_is_named(healthy: Installation) -> None:
    """SIGSTOP: its process is there, and does nothing."""
    pid = healthy.program_pid("postgres")
    assert pid is not None
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        os.kill(child.pid, signal.SIGSTOP)
        until = time.monotonic() + 5
        while psutil.Process(child.pid).status() != psutil.STATUS_STOPPED:
            assert time.monotonic() < until
        (found,) = doctor._frozen("triggerer", "ожидания", child.pid)
        assert found.code == "program_frozen"
        assert str(child.pid) in found.text
        os.kill(child.pid, signal.SIGCONT)
        until = time.monotonic() + 5
        while psutil.Process(child.pid).status() == psutil.STATUS_STOPPED:
            assert time.monotonic() < until
        assert list(doctor._frozen("triggerer", "ожидания", child.pid)) == []
    finally:
        child.kill()
        child.wait()


def test_a_database_that_is_away_is_named_once_each(healthy: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/none"
    monkeypatch.setattr(Installation, "backoffice_database_url", property(lambda _: nowhere))
    assert codes(healthy) == ["database_down"]


def test_an_address_that_is_not_postgresql_is_named(healthy: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Installation, "airflow_database_url", property(lambda _: "sqlite:////tmp/airflow.db"))
    assert codes(healthy) == ["database_down"]


def test_json_for_a_machine(healthy: Installation, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.run(healthy, as_json=True) == 1
    assert '"code": "program_down"' in capsys.readouterr().out
