"""Failures that only Airflow knows become visible with us: the reconciler tells, the case's card shows them."""

from __future__ import annotations

from sqlalchemy import select

from include.process import lifecycle
from include.process.models import ProcessInstance, ProcessScheme, StepState
from include.shared.work import PROCESS, Work, transaction

NOT_DONE = "шаг не выполнен в Airflow, причина – в его журнале там"
RUN_FAILED = "прогон в Airflow окончен неудачей, шаг не начат"
#: A step that a worker does, without a word of ours: Airflow alone conducts it
WORKERS_STEP = "Worker"


def record_failure(process: str, run_id: str, step: str, reason: str = NOT_DONE) -> bool:
    """Let a step that failed in Airflow stand on the case's card; False when there is nothing to do.

    A step that fails again after it was repeated is failed anew: it may be repeated once more.
    """
    with transaction(PROCESS) as work:
        instance = _live(work, process, run_id)
        if instance is None:
            return False
        row = work.session.scalars(
            select(StepState).where(StepState.instance_id == instance.id, StepState.step == step)
        ).first()
        if row is not None and not (row.state in ("failed", "marked") and is_being_retried(row)):
            return False
        if row is None:
            row = _new_row(work, instance, step)
        row.state, row.reason, row.ended_at = "failed", reason, work.now
        work.session.flush()
        work.audit(
            "step.failed", f"Шаг «{row.title}» не выполнен: {reason}",
            entity="step", entity_id=row.id, case_id=instance.case_id,
        )  # fmt: skip
        work.touch(instance.case_id)
        return True


def record_failed_run(process: str, run_id: str) -> bool:
    """Let a run that Airflow calls failed though none of its steps has failed stand at the step that is next."""
    with transaction(PROCESS) as work:
        instance = _live(work, process, run_id)
        if instance is None:
            return False
        scheme = work.session.get_one(ProcessScheme, instance.scheme_id)
        begun = select(StepState.step, StepState.state).where(StepState.instance_id == instance.id)
        states = {row.step: row.state for row in work.session.execute(begun)}
    over = {step for step, state in states.items() if state in lifecycle.FINAL_STATES}
    for one in scheme.body["steps"]:
        if one["id"] not in states and set(one["upstream"]) <= over:
            return record_failure(process, run_id, one["id"], RUN_FAILED)
    return False


def settle_workers_step(process: str, run_id: str, step: str) -> bool:
    """Close the record of a worker's step that has succeeded meanwhile."""
    with transaction(PROCESS) as work:
        instance = _live(work, process, run_id)
        if instance is None:
            return False
        row = work.session.scalars(
            select(StepState).where(StepState.instance_id == instance.id, StepState.step == step)
        ).first()
        if row is None or row.word != WORKERS_STEP or row.state != "failed":
            return False
        row.state, row.reason, row.ended_at = "done", None, work.now
        work.touch(instance.case_id)
        return True


def is_being_retried(row: StepState) -> bool:
    """Say whether a stuck step was repeated and has not ended since."""
    return row.retried_at is not None and row.ended_at is None


def _live(work: Work, process: str, run_id: str) -> ProcessInstance | None:
    instance = work.session.scalars(
        select(ProcessInstance).where(ProcessInstance.process == process, ProcessInstance.run_id == run_id)
    ).first()
    if instance is None:
        return None
    work.lock_case(instance.case_id)
    work.session.refresh(instance)
    return instance if instance.state == "live" else None


def _new_row(work: Work, instance: ProcessInstance, step: str) -> StepState:
    scheme = work.session.get_one(ProcessScheme, instance.scheme_id)
    declared = next((one for one in scheme.body["steps"] if one["id"] == step), None)
    word = declared["word"] if declared else WORKERS_STEP
    title = declared["title"] if declared else step
    row = StepState(
        instance_id=instance.id, case_id=instance.case_id, step=step, word=word, title=title,
        spec={"word": word, "title": title}, waits_on=[], looked_seq=0, opened_at=work.now,
    )  # fmt: skip
    work.session.add(row)
    return row
