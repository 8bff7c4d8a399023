"""The life of process instances: leaving a stage, ending, a new responsible; callers hold the lock of the case."""

from __future__ import annotations

from sqlalchemy import or_, select, update

from include.approvals import core as approvals
from include.approvals.models import Approval
from include.process.models import ProcessInstance, StepAim, StepState
from include.shared.work import Work
from include.staff.addresses import settled
from include.staff.services import head_of
from include.tasks import core as task_core
from include.tasks.models import Task

LEFT_STAGE = "сделка ушла со стадии"
NEW_VISIT = "работу ведёт новый заход"
LOST = "сделка проиграна"
OVER = "процесс окончен"
FINAL_STATES = frozenset({"done", "skipped", "stopped"})
UNFINISHED_STATES = ("waiting", "marked", "failed")


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
    approvals.withdraw_of_instance(work, instance.id, withdraw or reason)
    stop_waiting_steps(work, instance, reason)
    instance.state, instance.reason, instance.ended_at = "ended", reason, work.now
    work.touch(instance.case_id)
    work.session.flush()


def stop_waiting_steps(work: Work, instance: ProcessInstance, reason: str, keep: frozenset[str] = frozenset()) -> None:
    """Stop the instance's waiting steps except those named; their aims are superseded with the reason."""
    waiting = work.session.scalars(
        select(StepState).where(StepState.instance_id == instance.id, StepState.state.in_(UNFINISHED_STATES))
    ).all()
    stop(work, [step for step in waiting if step.step not in keep], reason)


def stop(work: Work, steps: list[StepState], reason: str) -> None:
    """Stop these steps: the chains behind them stop as well."""
    for step in steps:
        step.state, step.reason, step.ended_at, step.moment = "stopped", reason, work.now, None
    if steps:
        drop_aims(work, [step.id for step in steps])
        work.session.flush()


def drop_aims(work: Work, steps: list[int]) -> None:
    """Supersede the present aims of steps."""
    present = update(StepAim).where(StepAim.step_id.in_(steps), StepAim.superseded_at.is_(None))
    work.session.execute(present.values(superseded_at=work.now))


def leave_stage(work: Work, case_id: int, stage_id: int) -> None:
    """Apply AG-6 when a deal leaves a stage: withdraw its *cancel* tasks, keep obligations with their waits."""
    approvals.withdraw_of_stage(work, case_id, stage_id, LEFT_STAGE)
    for instance in live_instances(work, case_id):
        if instance.left_at is not None:
            continue  # what it still does are obligations of an earlier visit
        if instance.stage_id == stage_id:
            _leave(work, instance)
            continue
        for task in _open_tasks(work, instance):  # given by a changed field while the deal stood here
            if task.stage_id == stage_id and task.on_leave != "keep":
                task_core.end(work, task, "withdrawn", LEFT_STAGE)


def _leave(work: Work, instance: ProcessInstance) -> None:
    kept = set()
    for task in _open_tasks(work, instance):
        if task.on_leave == "keep":
            kept.add(task.step)
        else:
            task_core.end(work, task, "withdrawn", LEFT_STAGE)
    waiting = work.session.scalars(
        select(StepState).where(StepState.instance_id == instance.id, StepState.state == "waiting")
    ).all()
    kept |= {step.step for step in waiting if _sees_the_leaving(step)} | _asking(work, instance)
    if not kept:
        end_instance(work, instance, LEFT_STAGE)
        return
    kept |= {step.step for step in waiting if kept & watched(step.spec) and step.spec.get("lives") != "stage"}
    instance.left_at = work.now
    stop_waiting_steps(work, instance, LEFT_STAGE, frozenset(kept))


def _sees_the_leaving(step: StepState) -> bool:
    """Say whether a step waits for this very move, or makes it."""
    return step.word == "MoveStage" or (
        step.word == "StageSensor" and bool(step.spec.get("leaves") or step.spec.get("arrives"))
    )


def watched(spec: dict[str, object]) -> set[str]:
    """Return the steps whose tasks an alarm watches."""
    of = spec.get("of")
    return {of} if isinstance(of, str) else {str(one) for one in of} if isinstance(of, list) else set()


def begin_visit_anew(work: Work, process: str, case_id: int) -> list[Task]:
    """End what earlier instances of a process wait for, but not the obligations they keep (AG-6).

    Returns open tasks that nobody conducts any more: the new instance takes them.
    """
    orphans: list[Task] = []
    for instance in live_instances(work, case_id):
        if instance.process != process:
            continue
        if instance.left_at is None:  # begun by an event again
            orphans += _open_tasks(work, instance)
            end_instance(work, instance, NEW_VISIT)
            continue
        give_way(work, instance)
    return orphans


def give_way(work: Work, instance: ProcessInstance) -> None:
    """Leave an instance of an earlier visit only the tasks that it still conducts, with their alarms."""
    conducting = {task.step for task in _open_tasks(work, instance)} | _asking(work, instance)
    if not conducting:
        end_instance(work, instance, NEW_VISIT)
        return
    waiting = work.session.scalars(
        select(StepState).where(StepState.instance_id == instance.id, StepState.state.in_(UNFINISHED_STATES))
    ).all()
    over = [step for step in waiting if step.step not in conducting and not conducting & watched(step.spec)]
    stop(work, over, NEW_VISIT)


def withdraw_left_over(work: Work, instance: ProcessInstance) -> None:
    """Withdraw open tasks of an instance whose steps have all ended: closing them would start nothing."""
    for task in _open_tasks(work, instance):
        task_core.end(work, task, "withdrawn", OVER)


def cancel_everything(work: Work, case_id: int, reason: str) -> None:
    """End all live instances of a case and withdraw all its open tasks (a lost deal, AG-6)."""
    for instance in live_instances(work, case_id):
        end_instance(work, instance, reason, withdraw=reason)
    approvals.withdraw_of_case(work, case_id, reason)
    for task in work.session.scalars(select(Task).where(Task.case_id == case_id, Task.state == "open")):
        task_core.end(work, task, "withdrawn", reason)


def responsible_changed(work: Work, case_id: int, person_id: int) -> None:
    """Resolve heads anew and move open work that is addressed to the responsible or his head (AG-4)."""
    head_id = head_of(work.session, person_id)
    for instance in live_instances(work, case_id):
        instance.head_id = head_id
    open_tasks = work.session.scalars(select(Task).where(Task.case_id == case_id, Task.state == "open")).all()
    for task in open_tasks:
        address = settled(work.session, task.addressed_to)
        if address == "responsible" and task.executor_id != person_id:
            _hand_over(work, task, person_id, "новому ответственному")
        if address == "head" and head_id is not None and task.executor_id != head_id:
            _hand_over(work, task, head_id, "руководителю нового ответственного")
        if task.instance_id is not None:
            task_core.lead(work, task, head_id)
    work.touch(case_id)
    work.session.flush()
    approvals.addresses_changed(work, case_id)


def field_person_changed(work: Work, case_id: int, field: str, person_id: int) -> None:
    """Move open work that is addressed to the person in a field of the case."""
    address = f"field:{field}"
    addressed = or_(Task.addressed_to == address, Task.addressed_to.startswith(f"{address}|", autoescape=True))
    for task in work.session.scalars(select(Task).where(Task.case_id == case_id, Task.state == "open", addressed)):
        if task.executor_id != person_id:
            _hand_over(work, task, person_id, "сотруднику из поля сделки")
    approvals.addresses_changed(work, case_id)


def _hand_over(work: Work, task: Task, person_id: int, to_whom: str) -> None:
    said = f"Задача «{task.title}» передана {to_whom}"
    task_core.move(work, task, person_id, said, f"Вам передана задача «{task.title}»")


def _open_tasks(work: Work, instance: ProcessInstance) -> list[Task]:
    return list(
        work.session.scalars(
            select(Task).where(Task.instance_id == instance.id, Task.state == "open").order_by(Task.id)
        )
    )


def _asking(work: Work, instance: ProcessInstance) -> set[str]:
    """Return the steps whose approvals go on."""
    going_on = select(Approval.step).where(Approval.instance_id == instance.id, Approval.state.in_(approvals.LIVE))
    return set(work.session.scalars(going_on))
