"""Real Airflow programs under the supervisor: killed, brought back, and their rows ended at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from include.installation.airflow_settings import SIMPLE_AUTH_MANAGER
from include.installation.doctor import examine
from include.installation.hostname import hostname_of
from include.installation.installation import Installation, free_port
from include.installation.urls import libpq
from include.installation.watchdog import ENDED_FOR, EVERY

pytestmark = pytest.mark.airflow

PROGRAMS = ("triggerer", "engine", "scheduler", "dag-processor", "api-server")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    home = tmp_path_factory.mktemp("installation") / "home"
    with Installation(home, port=free_port(), auth_manager=SIMPLE_AUTH_MANAGER) as installation:
        installation.start_postgres_only()
        installation.command("airflow", "db", "migrate")
        installation.start()
        installation.wait_healthy()
        yield installation


def airflow(installation: Installation) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(libpq(installation.airflow_database_url), autocommit=True)


def lives(process: psutil.Process) -> bool:
    """Tell whether a process runs; one that only waits to be collected by its parent does not."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_every_killed_program_is_back_within_five_seconds_without_orphans(running: Installation) -> None:
    for name in PROGRAMS:
        old = psutil.Process(running.program_pid(name))
        children = old.children(recursive=True)
        begun = time.monotonic()
        running.kill(name)
        running.wait_program(name, other_than=old.pid, timeout=5)
        assert time.monotonic() - begun < 5
        assert not [child for child in children if lives(child)], name
    running.wait_healthy(90)


def test_a_dead_triggerers_row_is_ended_and_its_triggers_are_free(running: Installation) -> None:
    with airflow(running) as connection:
        job = connection.execute(
            "select id, hostname from job where job_type = 'TriggererJob' and end_date is null"
        ).fetchone()
        assert job is not None
        assert job[1] == hostname_of(1)
        running.hold("triggerer")
        connection.execute(
            "insert into trigger (classpath, kwargs, created_date, triggerer_id) values ('x.Y', '', now(), %s)",
            [job[0]],
        )
        running.release("triggerer")
        new = running.wait_program("triggerer")
        twin = connection.execute(
            "insert into job (job_type, hostname, state, start_date, latest_heartbeat)"
            " values ('TriggererJob', %s, 'running', now() - interval '1 hour', now()) returning id",
            [hostname_of(2)],
        ).fetchone()
        assert twin is not None
        connection.execute(
            "insert into trigger (classpath, kwargs, created_date, triggerer_id) values ('x.Twin', '', now(), %s)", twin
        )
        running.kill("triggerer")
        running.wait_program("triggerer", other_than=new)
        deadline = time.monotonic() + 5
        while connection.execute("select end_date from job where id = %s", [job[0]]).fetchone() == (None,):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        # the living twin on the same machine keeps its row and its triggers
        assert connection.execute("select end_date from job where id = %s", twin).fetchone() == (None,)
        held = connection.execute("select triggerer_id from trigger where classpath = 'x.Twin'").fetchone()
        assert held == twin
        connection.execute("delete from trigger where classpath in ('x.Y', 'x.Twin')")
        connection.execute("delete from job where id = %s", twin)
    running.wait_healthy(90)


def test_who_has_ended_its_work_and_lives_is_killed_and_comes_back(running: Installation) -> None:
    """As a scheduler that left its loop and waits in its exit for children that wait for it."""
    old = psutil.Process(running.program_pid("triggerer"))
    old.suspend()
    with airflow(running) as connection:
        connection.execute(
            "update job set state = 'failed', end_date = now() where job_type = 'TriggererJob' and end_date is null"
        )
    running.wait_program("triggerer", other_than=old.pid, timeout=ENDED_FOR + 4 * EVERY)
    assert "жив, но не работает" in running.log_tail("supervisor")
    running.wait_healthy(90)


def test_the_doctor_names_a_program_that_is_down(running: Installation) -> None:
    running.hold("dag-processor")
    codes = {one.code for one in examine(running)}
    assert "program_down" in codes
    running.release("dag-processor")
    running.wait_program("dag-processor")


def test_stop_leaves_nothing_behind(running: Installation) -> None:
    processes = [psutil.Process(running.program_pid(name)) for name in (*PROGRAMS, "postgres")]
    processes += [child for process in processes for child in process.children(recursive=True)]
    assert set(running.stop()) == {*PROGRAMS, "postgres"}
    assert not [process for process in processes if lives(process)]
    assert [one.code for one in examine(running)] == ["not_running"]


def test_the_log_of_a_program_is_where_the_message_says(running: Installation) -> None:
    for name in PROGRAMS:
        log = Path(running.places.logs) / f"{name}.log"
        assert log.stat().st_size > 0
        assert str(log) in running.log_tail(name)
