"""The life of process instances: leaving a stage, ending, a new responsible; callers hold the lock of the case."""

from __future__ import annotations

from sqlalchemy import select, update

from include.notices.services import notify
from include.process.models import ProcessInstance, StepAim, StepState
from include.shared.work import Work
from include.staff.services import head_of
from include.tasks import core as task_core
from include.tasks.models import Task

LEFT_STAGE = "сделка ушла со стадии"
FINAL_STATES = frozenset({"done", "skipped", "stopped"})


def live_instances(work: Work, case_id: int) -> list[ProcessInstance]:
    """Return the case's live instances, oldest first."""
    return list(
        work.session.scalars(
            select(ProcessInstance)
            .where(ProcessInstance.case_id == case_id, ProcessInstance.state == "live")
            .order_by(ProcessInstance.id)
        )
    )


def end_instance(work: Work, instance: ProcessInstance, reason: str, *, withdraw: str | None = None) -> None:
    """End an instance: its waiting steps stop; its open tasks are withdrawn when ``withdraw`` says why."""
    if instance.state == "ended":
        return
    if withdraw is not None:
        for task in _open_tasks(work, instance):
            task_core.end(work, task, "withdrawn", withdraw)
    stop_waiting_steps(work, instance, reason)
    instance.state, instance.reason, instance.ended_at = "ended", reason, work.now
    work.touch(instance.case_id)
    work.session.flush()


def stop_waiting_steps(work: Work, instance: ProcessInstance, reason: str, keep: frozenset[str] = frozenset()) -> None:
    """Stop the instance's waiting steps except those named; their aims are superseded with the reason."""
    waiting = work.session.scalars(
        select(StepState).where(
            StepState.instance_id == instance.id, StepState.state.in_(("waiting", "marked", "failed"))
        )
    ).all()
    stopped = [step for step in waiting if step.step not in keep]
    for step in stopped:
        step.state, step.reason, step.ended_at, step.moment = "stopped", reason, work.now, None
    if stopped:
        work.session.execute(
            update(StepAim)
            .where(StepAim.step_id.in_([step.id for step in stopped]), StepAim.superseded_at.is_(None))
            .values(superseded_at=work.now)
        )
    work.session.flush()


def leave_stage(work: Work, case_id: int, stage_id: int) -> None:
    """Apply AG-6 when a deal leaves a stage: withdraw its *cancel* tasks, keep obligations with their waits."""
    for instance in live_instances(work, case_id):
        if instance.stage_id != stage_id:
            continue
        tasks = _open_tasks(work, instance)
        kept = [task for task in tasks if task.on_leave == "keep"]
        for task in tasks:
            if task.on_leave != "keep":
                task_core.end(work, task, "withdrawn", LEFT_STAGE)
        if not kept:
            end_instance(work, instance, LEFT_STAGE)
            continue
        instance.left_at = work.now
        kept_steps = {task.step for task in kept}
        waiting = work.session.scalars(
            select(StepState).where(StepState.instance_id == instance.id, StepState.state == "waiting")
        )
        kept_steps |= {
            step.step for step in waiting if step.spec.get("of") in kept_steps and step.spec.get("lives") != "stage"
        }
        stop_waiting_steps(work, instance, LEFT_STAGE, frozenset(kept_steps))


def cancel_everything(work: Work, case_id: int, reason: str) -> None:
    """End all live instances of a case and withdraw all its open tasks (a lost deal, AG-6)."""
    for instance in live_instances(work, case_id):
        end_instance(work, instance, reason, withdraw=reason)
    for task in work.session.scalars(select(Task).where(Task.case_id == case_id, Task.state == "open")):
        task_core.end(work, task, "withdrawn", reason)


def responsible_changed(work: Work, case_id: int, person_id: int) -> None:
    """Resolve heads anew and move open work that is addressed to the responsible (AG-4)."""
    head_id = head_of(work.session, person_id)
    for instance in live_instances(work, case_id):
        instance.head_id = head_id
    open_tasks = work.session.scalars(select(Task).where(Task.case_id == case_id, Task.state == "open")).all()
    for task in open_tasks:
        if task.creator_id is not None and task.creator_id != head_id:
            task.creator_id = head_id
        if task.addressed_to == "responsible" and task.executor_id != person_id:
            before, task.executor_id = task.executor_id, person_id
            work.audit(
                "task.moved",
                f"Задача «{task.title}» передана новому ответственному",
                entity="task",
                entity_id=task.id,
                case_id=case_id,
                before={"executor": before},
                after={"executor": person_id},
            )
            notify(
                work,
                [person_id],
                f"Вам передана задача «{task.title}»",
                key=f"{task.key}/moved/{work.now.isoformat()}",
                case_id=case_id,
                task_id=task.id,
            )
    work.touch(case_id)
    work.session.flush()


def _open_tasks(work: Work, instance: ProcessInstance) -> list[Task]:
    return list(
        work.session.scalars(
            select(Task).where(Task.instance_id == instance.id, Task.state == "open").order_by(Task.id)
        )
    )
