"""Our waiting steps in Airflow's database: looked at, ended, compared (private API as in airflow_api.py, same test).

A waiting step is a deferred task instance whose trigger row is ours and is held by no triggerer (docs/adr/0010).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from airflow.models.dag import DagTag
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger, handle_event_submit
from airflow.serialization.decoders import smart_decode_trigger_kwargs
from airflow.triggers.base import TaskFailedEvent
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from sqlalchemy import and_, delete, select, text, update

from backoffice.nudge import CLASS_PATH, QUEUE
from include.process.engine import Look
from include.process.scheme import PROCESS_TAG


def end_what_has_come(dag_id: str, run_id: str, look: Callable[[str, dict[str, Any]], Look]) -> None:
    """Look at each waiting step of a run (``look(step, spec)``) and end those whose fact has come, in one transaction.

    The rows stay locked meanwhile, so another hub and whoever clears or marks them wait for a moment. A failure of a
    look leaves all as it was.
    """
    with create_session() as session:
        session.execute(text("SET LOCAL lock_timeout = '5s'"))
        waiting = session.execute(
            select(TaskInstance.id, TaskInstance.task_id, Trigger.encrypted_kwargs)
            .join(Trigger, Trigger.id == TaskInstance.trigger_id)
            .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
            .where(TaskInstance.state == TaskInstanceState.DEFERRED, Trigger.classpath == CLASS_PATH)
            .order_by(TaskInstance.task_id)
            .with_for_update(of=TaskInstance)
        ).all()
        for key, task_id, kwargs in waiting:
            answer = look(task_id, _stored_spec(kwargs))
            if answer.outcome != "waiting":
                _end(session, key, answer)


def _stored_spec(encrypted: str) -> dict[str, Any]:
    kwargs = Trigger._decrypt_kwargs(encrypted)
    spec: dict[str, Any] = json.loads(smart_decode_trigger_kwargs(kwargs.get("spec", "{}")))  # type: ignore[no-untyped-call]
    return spec


def _end(session: Any, key: Any, look: Look) -> None:
    step = session.get_one(TaskInstance, key)
    trigger_id = step.trigger_id
    if look.outcome == "failed":
        handle_event_submit(TaskFailedEvent(), task_instance=step, session=session)  # it knows of retries
    else:
        # what handle_event_submit does but for the callback, for which the DAG processor would parse the file again:
        # our steps have none
        step.trigger_id = None
        step.set_state(
            TaskInstanceState.SUCCESS if look.outcome == "done" else TaskInstanceState.SKIPPED, session=session
        )
        if look.result:
            step.xcom_push(key="return_value", value=look.result, session=session)
    session.flush()
    session.execute(delete(Trigger).where(Trigger.id == trigger_id))


def waiting_steps() -> set[tuple[str, str, str]]:
    """Return ``(dag_id, run_id, task_id)`` of all our steps that wait in Airflow, taking them from triggerers."""
    with create_session() as session:
        session.execute(
            update(Trigger)
            .where(Trigger.classpath == CLASS_PATH, Trigger.queue.is_distinct_from(QUEUE))
            .values(queue=QUEUE, triggerer_id=None)
            .execution_options(synchronize_session=False)
        )
        rows = session.execute(
            select(TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id)
            .join(Trigger, Trigger.id == TaskInstance.trigger_id)
            .where(TaskInstance.state == TaskInstanceState.DEFERRED, Trigger.classpath == CLASS_PATH)
        ).all()
        return {(dag_id, run_id, task_id) for dag_id, run_id, task_id in rows}


def unexamined_runs() -> list[tuple[str, str]]:
    """Return running runs with a step that ended after their last examination: their nudge was lost."""
    with create_session() as session:
        rows = session.execute(
            select(DagRun.dag_id, DagRun.run_id)
            .join(TaskInstance, and_(TaskInstance.dag_id == DagRun.dag_id, TaskInstance.run_id == DagRun.run_id))
            .join(DagTag, and_(DagTag.dag_id == DagRun.dag_id, DagTag.name == PROCESS_TAG))
            .where(DagRun.state == DagRunState.RUNNING, TaskInstance.end_date > DagRun.last_scheduling_decision)
            .distinct()
        ).all()
        return [(dag_id, run_id) for dag_id, run_id in rows]
