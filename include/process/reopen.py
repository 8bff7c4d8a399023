"""A task closed by mistake is opened again (★11): its instance ends, a new one of the same visit goes on from there.

What was done before the task and beside it is carried over and repeats no effect; what had only begun behind it is
taken back. Where a consequence cannot be taken back the refusal names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from include.approvals import core as approvals
from include.approvals import round_back
from include.approvals.models import Approval, ApprovalSeat
from include.deals.facts import field_titles
from include.deals.models import Deal, Stage, StageVisit
from include.notices.services import notify
from include.process import lifecycle
from include.process.models import ProcessCase, ProcessInstance, ProcessScheme, StepState
from include.process.rules import fields_of
from include.process.scheme import RUN_PREFIX, TASK_WORDS
from include.process.words import JOINS, WORDS
from include.shared.errors import Conflict, InvalidInput
from include.shared.work import Work
from include.staff.models import Person
from include.staff.services import Viewer, require_over
from include.tasks import core
from include.tasks import services as tasks
from include.tasks.models import Task

AGAIN = re.compile(r"-again-\d+$")
COPIED = ("case_id", "step", "word", "title", "spec", "comes_next", "looked_seq", "opened_at", "task_id", "approval_id")


@dataclass(frozen=True)
class Preview:
    """Whether a closed task may be opened again, why not, and what that would take back."""

    possible: bool
    why_not: str | None = None
    consequences: list[str] = field(default_factory=list)


@dataclass
class _Course:
    """The instance that a task was closed in, as far as it has come."""

    session: Session
    task: Task
    instance: ProcessInstance
    rows: dict[str, StepState]
    closed_at: datetime  # when the task was closed: it is open by the time that this is asked last

    @cached_property
    def steps(self) -> list[dict[str, Any]]:
        """The steps of the instance in the order of the work."""
        return list(self.session.get_one(ProcessScheme, self.instance.scheme_id).body["steps"])

    @cached_property
    def own(self) -> StepState:
        """The step that the task belongs to."""
        mine = [row for row in self.rows.values() if row.task_id == self.task.id and row.word in TASK_WORDS]
        return next((row for row in mine if row.step == self.task.step), mine[0])

    @cached_property
    def behind(self) -> list[StepState]:
        """The begun steps behind the task, and behind whoever saw it closed; in the order of the work."""
        begun_by = {self.own.step} | {row.step for row in self.rows.values() if _saw(row, self.task)}
        found: set[str] = set()
        for one in self.steps:
            if set(one["upstream"]) & (begun_by | found):
                found.add(one["id"])
        sensors = begun_by - {self.own.step}
        order = [one["id"] for one in self.steps]
        return [self.rows[one] for one in order if one in found | sensors and one in self.rows]

    @cached_property
    def anew(self) -> set[str]:
        """The steps that the new instance begins itself: those behind, and the alarms of the task."""
        alarms = {row.step for row in self.rows.values() if self.own.step in lifecycle.watched(row.spec)}
        return {row.step for row in self.behind} | alarms

    @cached_property
    def tasks_behind(self) -> dict[str, Task]:
        """The tasks behind, by step."""
        found = {row.step: self.session.get(Task, row.task_id) for row in self.behind if row.task_id is not None}
        return {step: task for step, task in found.items() if task is not None}

    @cached_property
    def approvals_behind(self) -> list[Approval]:
        """The approvals behind that still go on."""
        ids = [row.approval_id for row in self.behind if row.approval_id is not None]
        found = select(Approval).where(Approval.id.in_(ids), Approval.state.in_(approvals.LIVE)).order_by(Approval.id)
        return list(self.session.scalars(found))

    def joins_as_done(self, task: Task) -> bool:
        """Say whether a done task behind is no consequence of a person: it closed itself, or was done before."""
        if task.state != "done" or task.closed_at is None:
            return False
        return (task.evidence is not None and task.result is None) or task.closed_at < self.closed_at


def preview(session: Session, task: Task, now: datetime) -> Preview:
    """Say what opening a closed task again would do; changes nothing."""
    try:
        course = _checked(session, task, now)
    except Conflict as refused:
        return Preview(possible=False, why_not=str(refused))
    return Preview(possible=True, consequences=_consequences(session, task, course))


def reopen_task(work: Work, viewer: Viewer, task_id: int, reason: str) -> Task:
    """Open a task that was closed by mistake again: its executor, his head or an administrator, with a reason (★11).

    In one transaction the task is open, untouched later steps are withdrawn, the instance ends and a new one of the
    same visit begins. Conflict names what cannot be taken back, or that somebody has opened it already.
    """
    task = tasks.locked(work, task_id)
    require_over(work.session, viewer, task.executor_id, "открыть задачу снова")
    reason = tasks.clean_reason(reason)
    if not reason:
        msg = "Напишите, почему задача открывается снова."
        raise InvalidInput(msg, "reason")
    course = _checked(work.session, task, work.now)
    closed = {"closed_at": task.closed_at, "closed_by": task.closed_by, "closed_for": task.closed_for,
              "result": task.result, "evidence": task.evidence}  # fmt: skip
    because = f"задача «{task.title}» открыта снова"
    told = {task.executor_id, task.creator_id}
    if course is not None:
        _take_back(work, course, because)
    elif task.approval_id is not None:
        round_back.take_back(work, work.session.get_one(Approval, task.approval_id), task.round)
    task.state, task.close_reason, task.result, task.evidence = "open", None, None, None
    task.closed_at = task.closed_by = task.closed_for = None
    work.audit(
        "task.reopened", f"Задача «{task.title}» открыта снова{tasks.for_whom(work, viewer, task)}", entity="task",
        entity_id=task.id, case_id=task.case_id, before=closed, reason=reason,
    )  # fmt: skip
    if course is not None:
        _begin_again(work, course, because)
    case = work.session.get_one(ProcessCase, task.case_id)
    notify(
        work, [one for one in told if one not in (None, work.actor.person_id)],
        f"Задача «{task.title}» открыта снова: {reason}. {case.title}",
        key=f"{task.key}/reopened/{work.now.isoformat()}", case_id=case.id, task_id=task.id,
    )  # fmt: skip
    work.touch(task.case_id)
    work.session.flush()
    return task


def _checked(session: Session, task: Task, now: datetime) -> _Course | None:
    """Return the course that a task goes back in, None when it has none of its own; Conflict says why it may not."""
    if task.state != "done":
        said = {"open": "Задача уже открыта.", "replaced": "Задача заменена новой: работайте с новой."}
        raise Conflict(said.get(task.state, "Задача снята: снова открывают только выполненную по ошибке."))
    _check_deal(session, task)
    _check_itself(session, task, now)
    if task.kind == "fix" and task.approval_id is not None:
        round_back.check_back(session, session.get_one(Approval, task.approval_id), task.round)
        return None
    course = _course(session, task)
    if course is not None:
        _check_visit(course)
        _check_elsewhere(course)
        _check_behind(course)
    return course


def _check_deal(session: Session, task: Task) -> None:
    row = session.execute(
        select(Deal, Stage).join(Stage, Stage.id == Deal.stage_id).where(Deal.case_id == task.case_id)
    ).first()
    if row is None:
        return
    deal, stage = row
    if stage.kind == "lost":
        msg = "Сделка проиграна, вся её работа снята. Верните её на рабочую стадию – тогда задачу можно открыть снова."
        raise Conflict(msg)
    if task.on_leave != "keep" and task.stage_id not in (None, deal.stage_id):
        given_on = session.get_one(Stage, task.stage_id)
        msg = f"Сделка ушла со стадии «{given_on.title}»: верните сделку на эту стадию, тогда откройте задачу снова."
        raise Conflict(msg)


def _check_itself(session: Session, task: Task, now: datetime) -> None:
    rival = session.scalars(
        select(Task).where(Task.case_id == task.case_id, Task.topic == task.topic, Task.state == "open")
    ).first()
    if rival is not None:
        msg = f"На эту тему уже поставлена задача «{rival.title}» (№ {rival.id}): работайте с ней."
        raise Conflict(msg)
    if task.closes_itself and task.guard and not core.missing_for(session, task, now):
        titles = field_titles(session)
        fields = ", ".join(f"«{titles.get(one, one)}»" for one in sorted(fields_of(task.guard)))
        msg = f"Условие задачи выполнено, она сразу закроется сама. Сначала исправьте: {fields}."
        raise Conflict(msg)


def _course(session: Session, task: Task) -> _Course | None:
    """Return the newest instance of the task's process in which the task stands as a step's."""
    own = session.get(ProcessInstance, task.instance_id) if task.instance_id is not None else None
    if own is None:
        return None
    instance = session.scalars(
        select(ProcessInstance)
        .join(StepState, StepState.instance_id == ProcessInstance.id)
        .where(StepState.task_id == task.id, StepState.word.in_(TASK_WORDS), ProcessInstance.process == own.process)
        .order_by(ProcessInstance.id.desc())
        .limit(1)
    ).first()
    if instance is None or task.closed_at is None:
        return None
    rows = session.scalars(select(StepState).where(StepState.instance_id == instance.id)).all()
    return _Course(session, task, instance, {row.step: row for row in rows}, task.closed_at)


def _check_visit(course: _Course) -> None:
    instance, session = course.instance, course.session
    newer = select(ProcessInstance.id).where(
        ProcessInstance.case_id == instance.case_id, ProcessInstance.process == instance.process,
        ProcessInstance.id > instance.id, ProcessInstance.state == "live",
    )  # fmt: skip
    left = _left_at(session, instance) is not None and course.task.on_leave != "keep"
    if left or session.scalar(newer.limit(1)) is not None:
        msg = "Процесс уже идёт новым заходом: он сам придёт к этой задаче, тогда её можно будет открыть снова."
        raise Conflict(msg)
    if course.own.state in lifecycle.UNFINISHED_STATES:
        msg = f"Шаг «{course.own.title}» ещё не заметил, что задача закрыта. Повторите через минуту."
        raise Conflict(msg)


def _check_elsewhere(course: _Course) -> None:
    """Refuse when another process has gone on because this task was closed."""
    session, task = course.session, course.task
    seen = session.execute(
        select(StepState, ProcessScheme.title)
        .join(ProcessInstance, ProcessInstance.id == StepState.instance_id)
        .join(ProcessScheme, ProcessScheme.id == ProcessInstance.scheme_id)
        .where(StepState.case_id == task.case_id, ProcessInstance.process != course.instance.process)
        .where(StepState.state == "done", StepState.word.in_((*TASK_WORDS, "TaskSensor")))
        .order_by(StepState.id)
    ).all()
    for row, title in seen:
        if row.task_id == task.id or _saw(row, task):
            msg = f"Потому что эта задача закрыта, уже пошёл дальше процесс «{title}» (шаг «{row.title}»)."
            raise Conflict(msg)


def _check_behind(course: _Course) -> None:
    touched = [
        f"«{task.title}»"
        for task in course.tasks_behind.values()
        if task.state == "done" and not course.joins_as_done(task)
    ]
    if touched:
        msg = f"После этой задачи уже выполнено: {', '.join(touched)}. Сначала откройте снова последнюю из них."
        raise Conflict(msg)
    for row in course.behind:
        if row.approval_id is not None and row.state in ("waiting", "done"):
            _check_approval(course.session, course.session.get_one(Approval, row.approval_id))
        said = WORDS[row.word].irrevocable if row.word in WORDS else None
        if row.state == "done" and said is not None:
            msg = f"Шаг «{row.title}» уже {said}: это назад не взять."
            raise Conflict(msg)


def _check_approval(session: Session, approval: Approval) -> None:
    answered = select(ApprovalSeat.id).where(
        ApprovalSeat.approval_id == approval.id, ApprovalSeat.decided_by.is_not(None)
    )
    if session.scalar(answered.limit(1)) is not None:
        msg = f"По согласованию «{approval.title}», которое шло за этой задачей, уже решили: ответ назад не взять."
        raise Conflict(msg)


def _saw(row: StepState, task: Task) -> bool:
    """Say whether a sensor went on because it saw this task closed."""
    return row.word == "TaskSensor" and row.state == "done" and (row.result or {}).get("task") == task.id


def _consequences(session: Session, task: Task, course: _Course | None) -> list[str]:
    said: list[str] = []
    if course is None and task.approval_id is not None:
        approval = session.get_one(Approval, task.approval_id)
        said.append(f"будет отменён круг {approval.round} согласования «{approval.title}»")
    if course is not None:
        people = course.session
        for one in course.tasks_behind.values():
            if one.state == "open":
                executor = people.get_one(Person, one.executor_id).short_name
                said.append(f"будет снята задача «{one.title}» ({executor})")
        said += [f"будет снято согласование «{one.title}»" for one in course.approvals_behind]
        waits = [f"«{row.title}»" for row in course.behind if row.state == "waiting" and not _is_work(row)]
        if waits:
            said.append(f"начнутся заново ожидания: {', '.join(waits)}")
        notices = [f"«{row.title}»" for row in course.behind if _is_said_again(row)]
        if notices:
            said.append(f"когда задачу выполнят снова, повторится: {', '.join(notices)}")
    kept = [one["title"] for one in task.result_fields.get("fields", []) if one.get("deal_field")]
    if kept and task.result:
        said.append("поля сделки, заполненные при закрытии, останутся: " + ", ".join(f"«{one}»" for one in kept))
    return said


def _is_said_again(row: StepState) -> bool:
    return row.word == "Notify" and row.state == "done" and row.spec.get("once") != "stage"


def _is_work(row: StepState) -> bool:
    return row.task_id is not None or row.approval_id is not None


def _take_back(work: Work, course: _Course, because: str) -> None:
    """Withdraw what had begun behind the task and stop its waits."""
    for one in course.tasks_behind.values():
        if one.state == "open":
            core.end(work, one, "withdrawn", because)
            if one.executor_id != work.actor.person_id:
                text = f"Задача «{one.title}» снята: {because}"
                key = f"{one.key}/withdrawn/{work.now.isoformat()}"
                notify(work, [one.executor_id], text, key=key, case_id=one.case_id, task_id=one.id)
    for approval in course.approvals_behind:
        approvals.withdraw(work, approval, because)
    unfinished = [course.rows[one] for one in course.anew if course.rows[one].state in lifecycle.UNFINISHED_STATES]
    lifecycle.stop(work, unfinished, because)


def _begin_again(work: Work, course: _Course, because: str) -> None:
    """End the instance and begin the one that goes on; its run is started by the event of this transaction."""
    old, session = course.instance, work.session
    if old.state == "live":
        old.state, old.reason, old.ended_at = "ended", because, work.now
    session.flush()  # one live instance of a process per case: the old one must be over first
    joins = [one.id for one in course.tasks_behind.values() if course.joins_as_done(one)]
    new = _again(work, old, joins)
    carried = [row for row in course.rows.values() if row.step not in course.anew and row is not course.own]
    for row in carried:
        if row.state in lifecycle.UNFINISHED_STATES:
            row.instance_id = new.id  # with its aims, and with what a repetition has counted
        else:
            session.add(_copy(row, new))
    session.add(_waiting(course.own, new))
    _hand_over(work, old, new)
    course.task.instance_id = new.id
    work.audit(
        "process.reopened", f"Процесс продолжен с задачи «{course.task.title}»: она открыта снова",
        entity="process_instance", entity_id=new.id, case_id=new.case_id, before={"instance": old.id},
    )  # fmt: skip
    work.emit(
        "reopened", f"{RUN_PREFIX}{new.process}", visit=new.visit, case_id=new.case_id, payload={"instance": new.id}
    )


def _again(work: Work, old: ProcessInstance, joins: list[int]) -> ProcessInstance:
    visit = AGAIN.sub("", old.visit)
    same = (ProcessInstance.process == old.process) & (ProcessInstance.case_id == old.case_id)
    earlier = select(func.count()).where(same, ProcessInstance.visit.startswith(f"{visit}-again-", autoescape=True))
    visit = f"{visit}-again-{(work.session.scalar(earlier) or 0) + 1}"
    new = ProcessInstance(
        process=old.process,
        case_id=old.case_id,
        visit=visit,
        run_id=f"{work.session.get_one(ProcessCase, old.case_id).key}-{visit}",
        scheme_id=old.scheme_id,
        state="live",
        stage_id=old.stage_id,
        head_id=old.head_id,
        payload={**old.payload, "reopened_from": old.id, JOINS: sorted({*old.payload.get(JOINS, []), *joins})},
        started_at=work.now,
        left_at=_left_at(work.session, old),
    )
    work.session.add(new)
    work.session.flush()
    return new


def _left_at(session: Session, instance: ProcessInstance) -> datetime | None:
    """Return when the deal left the stage that the instance is about: an instance that was over did not notice."""
    if instance.left_at is not None or instance.stage_id is None or not instance.payload.get("visit_id"):
        return instance.left_at
    return session.scalar(select(StageVisit.left_at).where(StageVisit.id == instance.payload["visit_id"]))


def _copy(row: StepState, new: ProcessInstance) -> StepState:
    kept = {name: getattr(row, name) for name in (*COPIED, "state", "reason", "result", "ended_at")}
    return StepState(instance_id=new.id, waits_on=[], **kept)


def _waiting(row: StepState, new: ProcessInstance) -> StepState:
    kept = {name: getattr(row, name) for name in COPIED}
    kept["looked_seq"] = max(row.looked_seq, 1)  # it has looked before: its condition is not asked again
    return StepState(instance_id=new.id, state="waiting", waits_on=[], **kept)


def _hand_over(work: Work, old: ProcessInstance, new: ProcessInstance) -> None:
    """Let the new instance conduct the work that goes on beside the task."""
    still_open: Iterable[Task | Approval] = [
        *work.session.scalars(select(Task).where(Task.instance_id == old.id, Task.state == "open")),
        *work.session.scalars(
            select(Approval).where(Approval.instance_id == old.id, Approval.state.in_(approvals.LIVE))
        ),
    ]
    for one in still_open:
        one.instance_id = new.id
