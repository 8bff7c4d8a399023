"""The nudge on Airflow's real tables: install, remove and check as often as one likes; it only ever notifies."""

from __future__ import annotations

import json

import psycopg
import pytest

from backoffice import nudge

pytestmark = pytest.mark.db


@pytest.fixture
def address(airflow_database: str) -> str:
    return airflow_database.replace("postgresql+psycopg2://", "postgresql://")


@pytest.fixture
def run(airflow_database: str) -> str:
    from backoffice import airflow_api

    airflow_api.create_run("every_word", "deal-42-visit-417")
    return "deal-42-visit-417"


def heard(address: str, statement: str) -> list[dict[str, str]]:
    """Do a change and return what was notified about it."""
    with psycopg.connect(address, autocommit=True) as ear, psycopg.connect(address) as hand:
        ear.execute(f"LISTEN {nudge.CHANNEL}")
        hand.execute(statement)
        hand.commit()
        return [json.loads(one.payload) for one in ear.notifies(timeout=1.0)]


def test_install_and_remove_are_repeatable(address: str) -> None:
    nudge.remove(address)
    assert not nudge.present(address)
    nudge.install(address)
    nudge.install(address)
    assert nudge.present(address)
    nudge.remove(address)
    nudge.remove(address)
    assert not nudge.present(address)


def test_command_line(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert nudge.airflow_libpq_url() == address
    assert nudge.main(["remove"]) == 0
    assert nudge.main(["check"]) == 1
    assert nudge.main(["install"]) == 0
    assert nudge.main([]) == 0
    assert nudge.main(["dance"]) == 2
    assert "Команды: install, remove, check" in capsys.readouterr().err


@pytest.mark.parametrize("state", ["deferred", "success", "failed", "skipped", "upstream_failed", "removed"])
def test_a_waiting_or_finished_step_names_its_run(address: str, run: str, state: str) -> None:
    nudge.install(address)
    said = heard(address, f"UPDATE task_instance SET state = '{state}' WHERE task_id = 'take'")
    assert said == [{"dag": "every_word", "run": run, "task": "take", "state": state}]


@pytest.mark.parametrize("state", ["scheduled", "queued", "running", "up_for_retry"])
def test_a_step_on_its_way_says_nothing(address: str, run: str, state: str) -> None:
    nudge.install(address)
    assert heard(address, f"UPDATE task_instance SET state = '{state}' WHERE task_id = 'take'") == []


def test_the_same_state_again_says_nothing(address: str, run: str) -> None:
    nudge.install(address)
    heard(address, "UPDATE task_instance SET state = 'success' WHERE task_id = 'take'")
    assert heard(address, "UPDATE task_instance SET state = 'success' WHERE task_id = 'take'") == []


def test_without_it_steps_finish_as_well(address: str, run: str) -> None:
    nudge.remove(address)
    assert heard(address, "UPDATE task_instance SET state = 'success' WHERE task_id = 'take'") == []


def test_a_long_run_id_fits_into_a_notification(address: str) -> None:
    """A payload over 8000 bytes would make the scheduler's own UPDATE fail: names are 250 characters at most."""
    from backoffice import airflow_api

    nudge.install(address)
    airflow_api.create_run("every_word", "d" * 250)
    assert len(heard(address, "UPDATE task_instance SET state = 'success' WHERE task_id = 'take'")) == 1


@pytest.mark.parametrize(("path", "queue"), [(nudge.CLASS_PATH, nudge.QUEUE), ("airflow.triggers.Other", None)])
def test_our_waits_are_kept_away_from_triggerers(address: str, path: str, queue: str | None) -> None:
    nudge.install(address)
    with psycopg.connect(address) as connection:
        made = connection.execute(
            "INSERT INTO trigger (classpath, kwargs, created_date) VALUES (%s, '', now()) RETURNING queue", [path]
        ).fetchone()
        connection.rollback()
    assert made == (queue,)
