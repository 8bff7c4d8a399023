"""The contract with Airflow's private API behind our waiting steps (3.3.2); test_airflow_api.py says how to read it."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from sqlalchemy import text

from backoffice import nudge

pytestmark = pytest.mark.db


@pytest.fixture
def session(airflow_database: str) -> Any:
    from airflow.utils.session import create_session

    nudge.install(nudge.airflow_libpq_url())
    with create_session() as opened:
        yield opened


def stored(session: Any, path: str) -> int:
    from airflow.models.trigger import Trigger

    row = Trigger(path, {"spec": json.dumps({"word": "Notify"})})
    session.add(row)
    session.commit()
    return int(row.id)


def test_a_triggerer_takes_no_row_of_another_queue(session: Any) -> None:
    """Look again at Trigger.assign_unassigned, get_sorted_triggers and ids_for_triggerer: which queues they take."""
    from airflow.jobs.job import Job
    from airflow.models.trigger import Trigger

    job = Job(job_type="TriggererJob")
    session.add(job)
    session.commit()
    ours, other = stored(session, nudge.CLASS_PATH), stored(session, "airflow.triggers.testing.SuccessTrigger")
    for row in (ours, other):  # a trigger without a task is not taken at all
        session.execute(text("UPDATE trigger SET triggerer_id = NULL WHERE id = :id"), {"id": row})
    session.commit()
    text_of = inspect.getsource(Trigger.get_sorted_triggers) + inspect.getsource(Trigger.ids_for_triggerer)
    assert text_of.count("queue.is_(None)") >= 2
    Trigger.assign_unassigned(job.id, 100, 30)
    assert ours not in Trigger.ids_for_triggerer(job.id)


def test_deferring_writes_a_row_of_our_class(session: Any) -> None:
    """Look again at TaskInstance.defer_task: state, trigger_id, and that it names no queue of its own."""
    from airflow.models.taskinstance import TaskInstance

    source = inspect.getsource(TaskInstance.defer_task)
    assert "queue=" not in source
    assert "self.trigger_id = trigger_row.id" in source
    assert "self.state = TaskInstanceState.DEFERRED" in source


def test_ending_a_step_does_what_airflows_own_way_does() -> None:
    """Look again at airflow.models.trigger.handle_event_submit for BaseTaskEndEvent beside airflow_steps._end."""
    from airflow.models.trigger import handle_event_submit
    from airflow.triggers.base import TaskFailedEvent, TaskSuccessEvent

    source = inspect.getsource(handle_event_submit.dispatch(TaskSuccessEvent))
    for said in (
        "task_instance.trigger_id = None",
        "task_instance.set_state(event.task_instance_state, session=session)",
        "task_instance.xcom_push(key=key, value=value)",
        "_submit_callback_if_necessary()",
    ):
        assert said in source
    assert handle_event_submit.dispatch(TaskFailedEvent) is handle_event_submit.dispatch(TaskSuccessEvent)


def test_a_final_state_ends_the_step_in_time(session: Any) -> None:
    """Look again at TaskInstance.set_state: end date and duration are its work; a lost nudge is found by end_date."""
    from airflow.models.taskinstance import TaskInstance

    source = inspect.getsource(TaskInstance.set_state)
    assert "self.end_date = self.end_date or current_time" in source
    assert "self.duration" in source
