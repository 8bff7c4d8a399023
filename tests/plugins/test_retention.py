"""Airflow's side of retention on Airflow's own tables: what goes, what hangs on it, what stays however old it is."""

from __future__ import annotations

import hashlib
import io
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from include.retention import services
from include.retention.rules import KINDS

pytestmark = pytest.mark.db

NOW = datetime.now(UTC)
ANCIENT, YOUNG = NOW - timedelta(days=900), NOW - timedelta(days=20)
DAG = "every_word"


@pytest.fixture
def retention(airflow_database: str, business: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    from airflow import settings

    from backoffice import airflow_api
    from backoffice import retention as ours

    monkeypatch.setenv("BACKOFFICE_FILES", (tmp_path / "files").as_uri())
    monkeypatch.setenv("BACKOFFICE_HOME", str(tmp_path))
    monkeypatch.setattr(airflow_api, "log_folders", lambda: (tmp_path / "tasks", tmp_path / "parsing"))
    monkeypatch.setattr(ours, "PAUSE", 0)
    with settings.engine.begin() as connection:
        connection.execute(text("TRUNCATE log, job"))
    return ours


def airflow(query: str, **values: Any) -> Any:
    from airflow import settings

    with settings.engine.begin() as connection:
        found = connection.execute(text(query), values)
        return found.all() if found.returns_rows else None


def runs() -> list[str]:
    return [row[0] for row in airflow("SELECT run_id FROM dag_run ORDER BY id")]


def run(run_id: str, *, state: str = "success", ended: datetime | None = ANCIENT, kind: str = "manual") -> None:
    from backoffice import airflow_api

    airflow_api.create_run(DAG, run_id)
    values = {"r": run_id, "s": state, "e": ended, "k": kind}
    airflow("UPDATE dag_run SET state = :s, end_date = :e, run_type = :k WHERE run_id = :r", **values)
    airflow("UPDATE task_instance SET state = :s WHERE run_id = :r", r=run_id, s=state)


def case(
    business: Engine, run_id: str, *, closed: datetime | None, state: str = "ended", ended: datetime | None = ANCIENT
) -> None:
    """A deal with one instance that conducts the run."""
    with business.begin() as connection:
        connection.execute(
            text("""
            WITH made AS (
                INSERT INTO process_case (key, kind, title) VALUES (gen_random_uuid()::text, 'deal', 'x') RETURNING id
            ), person AS (INSERT INTO person (last_name, first_name) VALUES ('И', 'А') RETURNING id
            ), funnel AS (
                INSERT INTO funnel (code, title, position) VALUES ('f', 'f', 1)
                ON CONFLICT (code) DO UPDATE SET title = 'f' RETURNING code
            ), stage AS (
                INSERT INTO stage (funnel_code, code, title, position)
                SELECT code, gen_random_uuid()::text, gen_random_uuid()::text, 1 FROM funnel RETURNING id
            ), scheme AS (
                INSERT INTO process_scheme (process, digest, title, number, body)
                VALUES (:dag, gen_random_uuid()::text, 'x', 1, '{}') RETURNING id
            ), deal AS (
                INSERT INTO deal
                    (case_id, title, search_key, funnel_code, stage_id, responsible_id, created_at, closed_at)
                SELECT made.id, 'x', 'x', 'f', stage.id, person.id, :old, :closed FROM made, stage, person
            )
            INSERT INTO process_instance (process, case_id, visit, run_id, scheme_id, state, started_at, ended_at)
            SELECT :dag, made.id, 'v', :run, scheme.id, :state, :old, :ended FROM made, scheme
            """),
            {"dag": DAG, "run": run_id, "closed": closed, "state": state, "ended": ended, "old": ANCIENT},
        )


def clean(retention: Any) -> dict[str, int]:
    services.begin()
    removed = retention.work_off()
    assert removed is not None
    return dict(removed)


def test_only_old_finished_runs_of_ended_cases_go(retention: Any, business: Engine) -> None:
    for name in ("ended", "open-deal", "live-instance", "closed-lately", "nobodys"):
        run(name)
    case(business, "ended", closed=ANCIENT)
    case(business, "open-deal", closed=None)
    case(business, "live-instance", closed=ANCIENT, state="live", ended=None)
    case(business, "closed-lately", closed=YOUNG)
    run("young", ended=YOUNG)
    run("running", state="running", ended=None)
    run("queued", state="queued", ended=ANCIENT)  # cleared: it has an end and a state that is not over
    assert clean(retention)["retention_runs_days"] == 2
    assert runs() == ["open-deal", "live-instance", "closed-lately", "young", "running", "queued"]


def test_all_that_hangs_on_a_run_goes_with_it(retention: Any, tmp_path: Path) -> None:
    """The contract: Airflow's own foreign keys carry it away (airflow/models; look again after an upgrade)."""
    run("old")
    run("stays", ended=YOUNG)
    airflow(
        "INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp)"
        " SELECT r.id, t.task_id, -1, 'k', r.dag_id, r.run_id, '1', now()"
        " FROM dag_run r JOIN task_instance t USING (dag_id, run_id)"
    )
    for note, row in (("dag_run_note (dag_run_id", "dag_run"), ("task_instance_note (ti_id", "task_instance")):
        airflow(f"INSERT INTO {note}, content, created_at, updated_at) SELECT id, 'n', now(), now() FROM {row}")
    for name in ("old", "stays"):
        log = tmp_path / "tasks" / f"dag_id={DAG}" / f"run_id={name}" / "task_id=x" / "attempt=1.log"
        log.parent.mkdir(parents=True)
        log.write_text("x", encoding="utf-8")
    clean(retention)
    for table in ("task_instance", "xcom"):
        assert {row[0] for row in airflow(f"SELECT run_id FROM {table}")} == {"stays"}
    steps = airflow("SELECT count(*) FROM task_instance")[0][0]
    notes = "SELECT (SELECT count(*) FROM dag_run_note), (SELECT count(*) FROM task_instance_note)"
    assert airflow(notes)[0] == (1, steps)
    assert [path.name for path in (tmp_path / "tasks" / f"dag_id={DAG}").iterdir()] == ["run_id=stays"]


def test_no_table_of_airflow_keeps_a_deleted_run_back(airflow_database: str) -> None:
    """Every reference to a run or a step is taken away or emptied by the database itself."""
    left = airflow(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'f'"
        " AND confrelid IN ('dag_run'::regclass, 'task_instance'::regclass, 'task_instance_history'::regclass)"
        " AND confdeltype NOT IN ('c', 'n')"
    )
    assert left == []


def test_a_run_cleared_meanwhile_stays(retention: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run("cleared")
    monkeypatch.setattr(
        services, "kept_runs", lambda *_: airflow("UPDATE dag_run SET state = 'queued', end_date = NULL") or set()
    )
    assert clean(retention)["retention_runs_days"] == 0
    assert runs() == ["cleared"]


def test_the_newest_scheduled_run_stays(retention: Any) -> None:
    """From it Airflow computes the next; a nightly process may have been paused for years."""
    for name in ("first", "second"):
        run(name, kind="scheduled")
    clean(retention)
    assert runs() == ["second"]


def test_killed_in_the_middle_it_is_taken_up_again(retention: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from backoffice import airflow_api

    for number in range(6):
        run(f"run-{number}")
    pass_id = services.begin()
    monkeypatch.setattr(retention, "BATCH", 2)
    delete, calls = airflow_api.delete_runs, 0

    def dies(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return delete(*arguments)

    monkeypatch.setattr(airflow_api, "delete_runs", dies)
    with pytest.raises(KeyboardInterrupt):
        retention.work_off()
    assert len(runs()) == 2
    assert services.seen(pass_id).finished_at is None
    monkeypatch.setattr(airflow_api, "delete_runs", delete)
    assert retention.work_off() is not None
    done = services.seen(pass_id)
    assert done.finished_at is not None
    assert done.removed["retention_runs_days"] == 6
    assert runs() == []
    assert retention.work_off() is None, "никто не просил"


def test_a_dry_pass_removes_nothing_and_counts_the_same(retention: Any, tmp_path: Path) -> None:
    for number in range(5):
        run(f"run-{number}")
    airflow("INSERT INTO log (dttm, event, dag_id, run_id) VALUES (:at, 'x', 'gone', 'gone')", at=ANCIENT)
    orphan(retention, b"left by a crash", ANCIENT)
    would: dict[str, int] = {}
    for counts in retention.clean(services.cutoffs(), dry=True):
        for code, number in counts.items():
            would[code] = would.get(code, 0) + number
    assert would == {"retention_runs_days": 5, "retention_airflow_days": 1, "retention_contents_days": 1}
    assert len(runs()) == 5
    assert clean(retention) == would


def test_the_journal_goes_but_not_that_of_a_run_that_is_there(retention: Any) -> None:
    run("stays", state="running", ended=None)
    airflow(
        "INSERT INTO log (dttm, event, dag_id, run_id) VALUES (:old, 'of live', :dag, 'stays'),"
        " (:old, 'of gone', :dag, 'x'), (:old, 'of nobody', NULL, NULL), (:young, 'young', NULL, NULL)",
        old=ANCIENT, young=YOUNG, dag=DAG,
    )  # fmt: skip
    airflow(
        "INSERT INTO job (job_type, state, start_date, end_date, latest_heartbeat) VALUES"
        " ('SchedulerJob', 'failed', :old, :old, :old), ('SchedulerJob', 'running', :old, NULL, now())",
        old=ANCIENT,
    )
    clean(retention)
    assert {row[0] for row in airflow("SELECT event FROM log")} == {"of live", "young"}
    assert [row[0] for row in airflow("SELECT state FROM job")] == ["running"]


def test_logs_of_parsing_go_by_their_day(retention: Any, tmp_path: Path) -> None:
    for name in ("2020-01-01", NOW.date().isoformat(), "latest-is-no-day"):
        (tmp_path / "parsing" / name).mkdir(parents=True)
    airflow("INSERT INTO log (dttm, event) VALUES (:at, 'x')", at=ANCIENT)
    clean(retention)
    assert sorted(one.name for one in (tmp_path / "parsing").iterdir()) == [NOW.date().isoformat(), "latest-is-no-day"]


def orphan(retention: Any, content: bytes, put_at: datetime) -> str:
    store = retention.storage.ObjectStorage(retention.storage.place())
    name = hashlib.sha256(content).hexdigest()
    store.put(name, io.BytesIO(content))
    path = Path(os.environ["BACKOFFICE_FILES"].removeprefix("file://")) / name[:2] / name[2:]
    os.utime(path, (put_at.timestamp(), put_at.timestamp()))
    return name


def test_only_old_contents_that_nobody_names_go(retention: Any, business: Engine) -> None:
    store = retention.storage.ObjectStorage(retention.storage.place())
    lost, young, named = (
        orphan(retention, b"1", ANCIENT),
        orphan(retention, b"2", NOW),
        orphan(retention, b"3", ANCIENT),
    )
    with business.begin() as connection:
        connection.execute(
            text("""
            WITH made AS (INSERT INTO process_case (key, kind, title) VALUES ('deal-1', 'deal', 'x') RETURNING id)
            INSERT INTO file_version (case_id, field, number, content_hash, size, name, media_type, uploaded_at)
            SELECT id, 'f', 1, :hash, 1, 'x', 'x', now() FROM made
            """),
            {"hash": named},
        )
    assert clean(retention)["retention_contents_days"] == 1
    assert [store.exists(one) for one in (lost, young, named)] == [False, True, True]


def test_a_content_put_anew_at_that_moment_stays(retention: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name = orphan(retention, b"again", ANCIENT)
    store = retention.storage.ObjectStorage(retention.storage.place())
    monkeypatch.setattr(services, "named_contents", lambda *_: store.put(name, io.BytesIO(b"again")) or set())
    assert clean(retention)["retention_contents_days"] == 0
    with store.open(name) as stream:
        assert stream.read() == b"again"


def test_half_written_uploads_go_after_a_day(retention: Any, tmp_path: Path) -> None:
    incoming = tmp_path / "files" / "incoming"
    incoming.mkdir(parents=True)
    for name, at in (("old", NOW - timedelta(days=2)), ("now", NOW)):
        (incoming / name).touch()
        os.utime(incoming / name, (at.timestamp(), at.timestamp()))
    clean(retention)
    assert [one.name for one in incoming.iterdir()] == ["now"]


def test_everything_may_be_kept_for_ever(retention: Any, business: Engine) -> None:
    run("old")
    orphan(retention, b"left", ANCIENT)
    with business.begin() as connection:
        for code in KINDS:
            connection.execute(
                text("INSERT INTO setting (code, title, kind, value, \"default\") VALUES (:c, :c, 'number', '0', '0')"),
                {"c": code},
            )
    assert clean(retention) == {}
    assert runs() == ["old"]


def test_the_command_says_what_it_did(retention: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run("old")
    assert retention.main(["dry"]) == 0
    assert "Было бы удалено:" in capsys.readouterr().out
    assert runs() == ["old"]
    assert retention.main(["run"]) == 0
    assert "журналы их шагов: 1 прогонов" in capsys.readouterr().out
    assert retention.main(["run"]) == 0
    assert "удалять было нечего" in capsys.readouterr().out
    assert retention.main([]) == 2
