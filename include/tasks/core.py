"""The inner acts on tasks, shared by services of every subject; callers hold the lock of the case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.deals.facts import case_deal_facts, field_titles
from include.notices.services import notify
from include.process.models import ProcessCase, ProcessInstance
from include.process.rules import fields_of, unmet
from include.shared.errors import Conflict, Missing
from include.shared.work import Work, jsonable
from include.staff.models import Person
from include.staff.services import lock_active
from include.tasks.models import Task, TaskObserver

STATE_TITLES = {"open": "в работе", "done": "выполнена", "withdrawn": "снята", "replaced": "заменена"}


def case_facts(session: Session, case_id: int, instance: ProcessInstance | None = None) -> dict[str, Any]:
    """Return the facts of any case: of its deal (as the process's visit saw it), or of what the process began with."""
    payload = instance.payload if instance is not None else {}
    facts = case_deal_facts(session, case_id, payload.get("visit_id"))
    if facts is not None:
        return facts
    case = session.get_one(ProcessCase, case_id)
    return {"title": case.title, "time_zone": case.time_zone, "link": None, **payload}


def topics(session: Session, case_id: int) -> tuple[list[str], list[str]]:
    """Return the topics of a case: all ever given, and those with an open task."""
    rows = session.execute(
        select(Task.topic, func.bool_or(Task.state == "open")).where(Task.case_id == case_id).group_by(Task.topic)
    ).all()
    return sorted(topic for topic, _ in rows), sorted(topic for topic, is_open in rows if is_open)


def rounds_of(session: Session, case_id: int, topic: str, since: datetime) -> int:
    """Return how many rounds of a topic there were since a moment (R002-25): tasks done, and the open one.

    A withdrawn or replaced task was no round: a date corrected twice is still one.
    """
    counted = select(func.count()).where(
        Task.case_id == case_id, Task.topic == topic, Task.created_at >= since, Task.state.in_(("open", "done"))
    )
    return session.scalar(counted) or 0


def give(work: Work, task: Task, observers: Iterable[int] = ()) -> Task:
    """Record a new open task with its observers, audit and touch; the caller has checked its topic."""
    if not lock_active(work.session, [task.executor_id]):
        msg = f"Задачу «{task.title}» некому поручить: сотрудник уже не работает. Повторите."
        raise Conflict(msg)
    work.session.add(task)
    work.session.flush()
    watching = {one for one in observers if one != task.executor_id}
    if watching:
        rows = [{"task_id": task.id, "person_id": one} for one in sorted(watching)]
        work.session.execute(insert(TaskObserver).values(rows).on_conflict_do_nothing())
    work.audit(
        "task.given",
        f"Поставлена задача «{task.title}»",
        entity="task",
        entity_id=task.id,
        case_id=task.case_id,
        after={"executor": task.executor_id, "due_at": task.due_at},
    )
    work.touch(task.case_id)
    return task


def end(
    work: Work,
    task: Task,
    state: str,
    reason: str | None,
    *,
    result: dict[str, Any] | None = None,
    evidence: dict[str, Any] | None = None,
    closed_for: int | None = None,
) -> None:
    """End an open task as done, withdrawn or replaced, with trace; a task that is not open stays as it is.

    ``closed_for`` is the absent executor when whoever stands in for him closes it.
    """
    if task.state != "open":
        return
    task.state, task.closed_at, task.closed_by = state, work.now, work.actor.person_id
    task.closed_for = closed_for
    task.close_reason, task.result, task.evidence = reason, jsonable(result), jsonable(evidence)
    work.audit(
        f"task.{state}",
        f"Задача «{task.title}» {STATE_TITLES[state]}" + (f": {reason}" if reason else "") + _acted(work, closed_for),
        entity="task",
        entity_id=task.id,
        case_id=task.case_id,
        after={"result": task.result, "evidence": task.evidence},
        reason=reason,
    )
    work.touch(task.case_id)
    work.session.flush()
    if task.approval_id is not None:
        from include.approvals.core import fix_ended  # noqa: PLC0415 - approvals give tasks themselves

        fix_ended(work, task)


def _acted(work: Work, closed_for: int | None) -> str:
    if closed_for is None or work.actor.person_id is None:
        return ""
    absent = work.session.get_one(Person, closed_for)
    return f": {absent.for_whom} выполнил(а) {work.session.get_one(Person, work.actor.person_id).short_name}"


def missing_for(session: Session, task: Task, now: datetime, facts: Mapping[str, Any] | None = None) -> list[Missing]:
    """Return what the task's guard still misses; empty when it may be closed."""
    if not task.guard:
        return []
    if facts is None:
        instance = session.get(ProcessInstance, task.instance_id) if task.instance_id else None
        facts = case_facts(session, task.case_id, instance)
    missing = unmet(task.guard, facts, {}, now)
    return unmet(task.guard, facts, field_titles(session), now) if missing else []


def close_by_guard(work: Work, task: Task, because: str, facts: Mapping[str, Any] | None = None) -> bool:
    """Close an open task that closes itself when its guard holds, keeping the evidence (★26); says whether it did."""
    if task.state != "open" or not task.closes_itself or not task.guard:
        return False
    if facts is None:
        instance = work.session.get(ProcessInstance, task.instance_id) if task.instance_id else None
        facts = case_facts(work.session, task.case_id, instance)
    if missing_for(work.session, task, work.now, facts):
        return False
    evidence = {"because": because, "facts": {name: facts.get(name) for name in sorted(fields_of(task.guard))}}
    end(work, task, "done", "закрыта сама: условие выполнено", evidence=evidence)
    return True


def close_satisfied(work: Work, case_id: int, because: str) -> list[Task]:
    """Close the case's tasks that close themselves once their guard holds."""
    open_tasks = work.session.scalars(
        select(Task).where(Task.case_id == case_id, Task.state == "open", Task.closes_itself).order_by(Task.id)
    ).all()
    return [task for task in open_tasks if close_by_guard(work, task, because)]


def move(work: Work, task: Task, person_id: int, text_: str, notice: str, reason: str | None = None) -> None:
    """Give an open task to another executor: audit, a notice to him, and its waits look again."""
    before, task.executor_id = task.executor_id, person_id
    work.audit(
        "task.moved", text_, entity="task", entity_id=task.id, case_id=task.case_id,
        before={"executor": before}, after={"executor": person_id}, reason=reason,
    )  # fmt: skip
    key = f"{task.key}/moved/{work.now.isoformat()}"
    notify(work, [person_id], notice, key=key, case_id=task.case_id, task_id=task.id)
    work.touch(task.case_id)
    work.session.flush()


def lead(work: Work, task: Task, head_id: int | None) -> None:
    """Put a head in as creator and observer of a task instead of the one before him (AG-4)."""
    before = task.creator_id
    if before == head_id:
        return
    task.creator_id = head_id
    if before is not None:
        work.session.execute(
            delete(TaskObserver).where(TaskObserver.task_id == task.id, TaskObserver.person_id == before)
        )
    if head_id is not None and head_id != task.executor_id:
        row = insert(TaskObserver).values(task_id=task.id, person_id=head_id)
        work.session.execute(row.on_conflict_do_nothing())
    work.audit(
        "task.head_changed", f"У задачи «{task.title}» другой руководитель", entity="task", entity_id=task.id,
        case_id=task.case_id, before={"creator": before}, after={"creator": head_id},
    )  # fmt: skip
    work.session.flush()
