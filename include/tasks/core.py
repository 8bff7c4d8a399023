"""The inner acts on tasks, shared by services of every subject; callers hold the lock of the case."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.deals.facts import deal_facts, field_titles
from include.deals.models import Deal
from include.process.models import ProcessCase, ProcessInstance
from include.process.rules import fields_of, unmet
from include.shared.errors import Missing
from include.shared.work import Work, jsonable
from include.tasks.models import Task, TaskObserver

STATE_TITLES = {"open": "в работе", "done": "выполнена", "withdrawn": "снята", "replaced": "заменена"}


def case_facts(session: Session, case_id: int, instance: ProcessInstance | None = None) -> dict[str, Any]:
    """Return the facts of any case: of its deal, or of what the process was started with."""
    deal = session.scalars(select(Deal).where(Deal.case_id == case_id)).first()
    if deal is not None:
        return deal_facts(session, deal)
    case = session.get_one(ProcessCase, case_id)
    payload = instance.payload if instance is not None else {}
    return {"title": case.title, "time_zone": case.time_zone, "link": None, **payload}


def give(work: Work, task: Task, observers: Iterable[int] = ()) -> Task:
    """Record a new open task with its observers, audit and touch; the caller has checked its topic."""
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
) -> None:
    """End an open task as done, withdrawn or replaced, with trace; a task that is not open stays as it is."""
    if task.state != "open":
        return
    task.state, task.closed_at, task.closed_by = state, work.now, work.actor.person_id
    task.close_reason, task.result, task.evidence = reason, jsonable(result), jsonable(evidence)
    work.audit(
        f"task.{state}",
        f"Задача «{task.title}» {STATE_TITLES[state]}" + (f": {reason}" if reason else ""),
        entity="task",
        entity_id=task.id,
        case_id=task.case_id,
        after={"result": task.result, "evidence": task.evidence},
        reason=reason,
    )
    work.touch(task.case_id)
    work.session.flush()


def missing_for(session: Session, task: Task, now: datetime) -> list[Missing]:
    """Return what the task's guard still misses; empty when it may be closed."""
    if not task.guard:
        return []
    instance = session.get(ProcessInstance, task.instance_id) if task.instance_id else None
    return unmet(task.guard, case_facts(session, task.case_id, instance), field_titles(session), now)


def close_satisfied(work: Work, case_id: int, because: str) -> list[Task]:
    """Close the case's tasks that close themselves once their guard holds, keeping the evidence (★26)."""
    open_tasks = work.session.scalars(
        select(Task).where(Task.case_id == case_id, Task.state == "open", Task.closes_itself).order_by(Task.id)
    ).all()
    closed = []
    for task in open_tasks:
        if task.guard and not missing_for(work.session, task, work.now):
            facts = case_facts(work.session, case_id)
            evidence = {"because": because, "facts": {name: facts.get(name) for name in sorted(fields_of(task.guard))}}
            end(work, task, "done", "закрыта сама: условие выполнено", evidence=evidence)
            closed.append(task)
    return closed


