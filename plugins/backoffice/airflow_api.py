"""All that we use of Airflow's private API, in one place with a contract test (Airflow is pinned to 3.3.2).

Everything here runs inside the API server, against Airflow's own database, in short transactions.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow.configuration import conf
from airflow.jobs.job import Job
from airflow.models.dag import DagModel, DagTag
from airflow.models.dagbag import DBDagBag
from airflow.models.dagrun import DagRun
from airflow.models.log import Log
from airflow.models.taskinstance import TaskInstance, clear_task_instances
from airflow.models.trigger import Trigger
from airflow.serialization.enums import Encoding
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import and_, delete, exists, func, select, true, tuple_, update
from sqlalchemy.exc import IntegrityError

from include.process.scheme import PROCESS_TAG, RUN_PREFIX, scheme_body

FINAL_TASK_STATES = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
UNFINISHED_RUNS = (DagRunState.QUEUED, DagRunState.RUNNING)
FINISHED_RUNS = (DagRunState.SUCCESS, DagRunState.FAILED)
#: What could not begin because a step before it failed, or because ops stopped the run
KEPT_FROM_BEGINNING = frozenset({"failed", "upstream_failed", "skipped"})
FORM_TAG_PREFIX = "on:form:"
_SCHEME_TAG = "scheme:"


@dataclass(frozen=True)
class Listener:
    """A process that listens to an event, as Airflow knows it now."""

    dag_id: str
    paused: bool


@dataclass(frozen=True)
class RunState:
    """A run and the states of its tasks (None: not begun)."""

    dag_id: str
    run_id: str
    state: str
    tasks: dict[str, str | None]


def listeners(tag: str) -> list[Listener]:
    """Return the parsed, not stale DAGs that carry a tag; ``run:<process>`` names one itself."""
    named = tag.removeprefix(RUN_PREFIX) if tag.startswith(RUN_PREFIX) else None
    with create_session() as session:
        rows = session.execute(
            select(DagModel.dag_id, DagModel.is_paused)
            .join(DagTag, DagTag.dag_id == DagModel.dag_id)
            .where(DagTag.name == (PROCESS_TAG if named else tag), DagModel.is_stale.is_(False))
            .where(DagModel.dag_id == named if named else true())
            .order_by(DagModel.dag_id)
        ).all()
        return [Listener(dag_id, bool(paused)) for dag_id, paused in rows]


def declared_scheme(dag_id: str) -> dict[str, Any] | None:
    """Return the scheme of a process from its newest serialized DAG, None while it is not parsed."""
    with create_session() as session:
        dag = DBDagBag().get_latest_version_of_dag(dag_id, session=session)
        if dag is None:
            return None
        number = next((int(tag.removeprefix(_SCHEME_TAG)) for tag in dag.tags if tag.startswith(_SCHEME_TAG)), 1)
        steps = [
            (task.task_id, sorted(task.upstream_task_ids), spec)
            for task in dag.tasks
            if (spec := _spec_of(task)) is not None
        ]
        return scheme_body(dag.dag_display_name, number, steps)


def _spec_of(task: Any) -> dict[str, Any] | None:
    arguments = getattr(task, "start_trigger_args", None)
    kwargs = (arguments.trigger_kwargs or {}) if arguments is not None else {}
    if Encoding.TYPE in kwargs:
        kwargs = kwargs[Encoding.VAR]
    spec = kwargs.get("spec")
    return json.loads(spec) if spec else None


class RunIdTaken(Exception):
    """Somebody has started a run by hand under the id that the relay would give."""


def create_run(dag_id: str, run_id: str, conf: dict[str, Any] | None = None) -> bool:
    """Create a run with a deterministic id; False when it exists already (exactly once by construction).

    RunIdTaken when a person made the run that stands there: it does not conduct our case.
    """
    with create_session() as session:
        if _exists(session, dag_id, run_id):
            return False
        dag = DBDagBag().get_latest_version_of_dag(dag_id, session=session)
        if dag is None:
            msg = f"Процесс {dag_id} ещё не разобран"
            raise LookupError(msg)
        try:
            dag.create_dagrun(
                run_id=run_id,
                run_after=datetime.now(UTC),
                conf=conf or {},
                run_type=DagRunType.MANUAL,
                triggered_by=DagRunTriggeredByType.REST_API,
                state=DagRunState.QUEUED,
                session=session,
            )
            session.flush()
        except IntegrityError:
            session.rollback()
            if _exists(session, dag_id, run_id):
                return False
            raise  # not our unique id: something else does not fit, and the event must not pass for done
        if not _exists(session, dag_id, run_id):
            # verify_integrity rolls the session back when the steps cannot be written, and says nothing
            msg = f"Airflow не записал прогон {run_id} процесса {dag_id}"
            raise RuntimeError(msg)
        return True


def _exists(session: Any, dag_id: str, run_id: str) -> bool:
    known = select(DagRun.triggering_user_name).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    found = session.execute(known).first()
    if found is not None and found[0] is not None:
        msg = f"Прогон {run_id} процесса {dag_id} начат вручную: {found[0]}"
        raise RunIdTaken(msg)
    return found is not None


def examine_next(dag_id: str, run_id: str) -> None:
    """Make a running run the next one that the scheduler examines (docs/adr/0003)."""
    with create_session() as session:
        session.execute(
            update(DagRun)
            .where(DagRun.dag_id == dag_id, DagRun.run_id == run_id, DagRun.state == DagRunState.RUNNING)
            .where(DagRun.last_scheduling_decision.is_not(None))
            .values(last_scheduling_decision=None)
            .execution_options(synchronize_session=False)
        )


def run_states(keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], RunState]:
    """Return the runs that exist among ``(dag_id, run_id)`` with their tasks' states."""
    wanted = list(keys)
    if not wanted:
        return {}
    with create_session() as session:
        runs = session.execute(
            select(DagRun.dag_id, DagRun.run_id, DagRun.state).where(tuple_(DagRun.dag_id, DagRun.run_id).in_(wanted))
        ).all()
        return _with_tasks(session, runs)


def unfinished_runs() -> dict[tuple[str, str], RunState]:
    """Return all queued and running runs of processes that are not paused."""
    with create_session() as session:
        runs = session.execute(
            select(DagRun.dag_id, DagRun.run_id, DagRun.state)
            .join(DagModel, DagModel.dag_id == DagRun.dag_id)
            .join(DagTag, and_(DagTag.dag_id == DagRun.dag_id, DagTag.name == PROCESS_TAG))
            .where(DagRun.state.in_(UNFINISHED_RUNS), DagModel.is_paused.is_(False))
        ).all()
        return _with_tasks(session, runs)


@dataclass(frozen=True)
class Glance:
    """What one look at all unfinished runs of processes tells: enough to know that most are as they should be."""

    runs: frozenset[tuple[str, str]]
    deferred: frozenset[tuple[str, str, str]]
    failed: frozenset[tuple[str, str]]  # the unfinished runs that have a failed step


def glance() -> Glance:
    """Return the unfinished runs of processes, the steps that wait in a trigger, and where one failed."""
    step = (TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id)
    of_run = and_(DagRun.dag_id == TaskInstance.dag_id, DagRun.run_id == TaskInstance.run_id)
    with create_session() as session:
        runs = session.execute(
            select(DagRun.dag_id, DagRun.run_id)
            .join(DagTag, and_(DagTag.dag_id == DagRun.dag_id, DagTag.name == PROCESS_TAG))
            .where(DagRun.state.in_(UNFINISHED_RUNS))
        )
        deferred = session.execute(select(*step).where(TaskInstance.state == TaskInstanceState.DEFERRED))
        failed = session.execute(
            select(TaskInstance.dag_id, TaskInstance.run_id)
            .join(DagRun, of_run)
            .where(TaskInstance.state == TaskInstanceState.FAILED, DagRun.state.in_(UNFINISHED_RUNS))
        )
        return Glance(
            runs=frozenset((dag, run) for dag, run in runs),
            deferred=frozenset((dag, run, task) for dag, run, task in deferred),
            failed=frozenset((dag, run) for dag, run in failed),
        )


class CannotClear(Exception):
    """A step cannot be cleared: its run or itself is gone, or it is on its way already; the sentence says which."""


def clear_steps(dag_id: str, run_id: str, steps: Collection[str], finished: Collection[str]) -> list[str]:
    """Clear these ended steps of a run and what could not begin behind them; a failed run runs again.

    Steps behind them that have ended with us (``finished``) are left as they are. The run is locked: of two callers the
    second finds the step on its way. Returns the cleared steps; CannotClear says why not.
    """
    with create_session() as session:
        run = session.scalars(
            select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id).with_for_update(of=DagRun)
        ).first()
        if run is None:
            msg = f"Прогона {run_id} в Airflow больше нет: сверка закончит этот процесс сама."
            raise CannotClear(msg)
        dag = DBDagBag().get_latest_version_of_dag(dag_id, session=session)
        found = select(TaskInstance).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
        instances = {one.task_id: one for one in session.scalars(found)}
        gone = [one for one in steps if one not in instances or dag is None or not dag.has_task(one)]
        if gone or dag is None:
            msg = f"Шага {', '.join(gone)} в процессе {dag_id} больше нет: верните его в файл процесса."
            raise CannotClear(msg)
        ended = [one for one in steps if instances[one].state in FINAL_TASK_STATES]
        if not ended:
            msg = "Шаг уже повторяется: подождите несколько секунд."
            raise CannotClear(msg)
        behind = {one for step in ended for one in dag.get_task(step).get_flat_relative_ids(upstream=False)}
        waiting = [
            one
            for one in sorted(behind - set(ended) - set(finished))
            if one in instances and instances[one].state in KEPT_FROM_BEGINNING
        ]
        chosen = [*ended, *waiting]
        clear_task_instances([instances[one] for one in chosen], session, DagRunState.QUEUED)
        run.last_scheduling_decision = None  # examined next, as after every clear
        return chosen


def go_on_cleared(dag_id: str, run_id: str) -> bool:
    """Let an ended run go on whose steps somebody cleared in the very moment it was found ended; False when it did.

    Airflow's clear looks at the run's state without a lock: the scheduler ends the run between the look and the commit,
    and the cleared steps then never begin. Or it keeps steps from beginning (upstream_failed) because of a failure that
    the clear is just taking away: with no failed step left in the run, those are let go on as well.
    """
    with create_session() as session:
        run = session.scalars(
            select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id).with_for_update(of=DagRun)
        ).first()
        if run is None or run.state not in FINISHED_RUNS:
            return False
        found = select(TaskInstance).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
        steps = list(session.scalars(found))
        has_failed = any(one.state == TaskInstanceState.FAILED for one in steps)
        idle = {None} if has_failed else {None, TaskInstanceState.UPSTREAM_FAILED}
        cleared = [one for one in steps if one.state in idle]
        if not cleared:
            return False
        clear_task_instances(cleared, session, DagRunState.QUEUED)
        return True


@dataclass(frozen=True)
class FormRun:
    """A run of a form process with the form that Airflow took and who filled it in."""

    dag_id: str
    run_id: str
    conf: dict[str, Any]
    starter: str | None


def unfinished_form_runs() -> list[FormRun]:
    """Return the queued and running runs of form processes."""
    with create_session() as session:
        rows = session.execute(
            select(DagRun.dag_id, DagRun.run_id, DagRun.conf, DagRun.triggering_user_name)
            .join(DagTag, DagTag.dag_id == DagRun.dag_id)
            .where(DagRun.state.in_(UNFINISHED_RUNS), DagTag.name.startswith(FORM_TAG_PREFIX, autoescape=True))
            .order_by(DagRun.id)
        ).all()
        return [FormRun(dag_id, run_id, dict(conf or {}), starter) for dag_id, run_id, conf, starter in rows]


def _with_tasks(session: Any, runs: Iterable[Any]) -> dict[tuple[str, str], RunState]:
    found = {(dag_id, run_id): RunState(dag_id, run_id, str(state), {}) for dag_id, run_id, state in runs}
    if found:
        rows = session.execute(
            select(TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.state).where(
                tuple_(TaskInstance.dag_id, TaskInstance.run_id).in_(list(found))
            )
        ).all()
        for dag_id, run_id, task_id, state in rows:
            found[dag_id, run_id].tasks[task_id] = None if state is None else str(state)
    return found


def set_note(dag_id: str, run_id: str, text: str) -> None:
    """Put a note on a run, so that Airflow shows why it ended (a withdrawn case's run is green there)."""
    with create_session() as session:
        run = session.scalars(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).first()
        if run is not None and run.note != text:
            run.note = text


# --- retention (docs/adr/0009-backup.md) -----------------------------------------------------------


@dataclass(frozen=True)
class FinishedRun:
    """A run that ended, by its number in Airflow's table."""

    id: int
    dag_id: str
    run_id: str


def finished_runs(before: datetime, after_id: int, limit: int) -> list[FinishedRun]:
    """Return runs that ended before the moment, by id after ``after_id``.

    The newest scheduled one of a DAG is not among them: from it Airflow computes the next.
    """
    newest = select(func.max(DagRun.id)).where(DagRun.run_type == DagRunType.SCHEDULED).group_by(DagRun.dag_id)
    with create_session() as session:
        rows = session.execute(
            select(DagRun.id, DagRun.dag_id, DagRun.run_id)
            .where(DagRun.id > after_id, DagRun.state.in_(FINISHED_RUNS), DagRun.end_date < before)
            .where(DagRun.id.not_in(newest))
            .order_by(DagRun.id)
            .limit(limit)
        ).all()
        return [FinishedRun(*row) for row in rows]


def delete_runs(runs: Iterable[FinishedRun], before: datetime) -> list[FinishedRun]:
    """Delete finished runs with all that hangs on them in one transaction; returns those that went.

    The state is asked again in the deletion itself: a run that ops cleared a moment ago is running and stays.
    """
    known = {one.id: one for one in runs}
    with create_session() as session:
        gone = session.scalars(
            delete(DagRun)
            .where(DagRun.id.in_(known), DagRun.state.in_(FINISHED_RUNS), DagRun.end_date < before)
            .returning(DagRun.id)
            .execution_options(synchronize_session=False)
        ).all()
        return [known[one] for one in gone]


def delete_journal(before: datetime, limit: int | None, *, dry: bool = False) -> int:
    """Delete a batch of Airflow's action log (not of runs that are still there) and of the jobs that ended."""
    of_run = exists().where(DagRun.dag_id == Log.dag_id, DagRun.run_id == Log.run_id)
    held = exists().where(Trigger.triggerer_id == Job.id)
    logs = select(Log.id).where(Log.dttm < before, ~of_run).order_by(Log.id).limit(limit)
    jobs = select(Job.id).where(Job.end_date < before, ~held).order_by(Job.id).limit(limit)
    with create_session() as session:
        gone = 0
        for table, rows in ((Log, logs), (Job, jobs)):
            if dry:
                gone += session.execute(select(func.count()).select_from(rows.subquery())).scalar_one()
            else:
                act = delete(table).where(table.__table__.c.id.in_(rows))
                gone += session.execute(act.execution_options(synchronize_session=False)).rowcount  # type: ignore[attr-defined]
        return gone


def log_folders() -> tuple[Path, Path]:
    """Return where the logs of steps and of the reading of DAG files lie on this machine."""
    return (
        Path(conf.get_mandatory_value("logging", "base_log_folder")),
        Path(conf.get_mandatory_value("logging", "dag_processor_child_process_log_directory")),
    )
