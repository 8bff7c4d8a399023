"""The page of one task."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from include.approvals.models import Approval
from include.deals import rights
from include.deals.models import Deal
from include.process.reopen import preview
from include.shared.errors import NotFound
from include.shared.models import Audit
from include.staff.services import Viewer, is_over, names
from include.tasks import core
from include.tasks.models import Task, TaskObserver, TermChange
from include.tasks.services import NOT_YET
from include.workplace import day, history
from include.workplace.shapes import (
    ApprovalRef,
    MissingItem,
    PersonRef,
    Reopening,
    ResultField,
    TaskPage,
    TermChangeRow,
)
from include.workplace.words import value_in_words

YES = {"confirm": "Подтвердить", "form": "Отправить", "fix": "Замечания устранены"}  # else «Выполнить»


def task_page(session: Session, viewer: Viewer, task_id: int, now: datetime) -> TaskPage:
    """Return everything about a task that the viewer may see; NotFound otherwise."""
    task = session.get(Task, task_id)
    if task is None or not rights.task_visible(session, viewer, task):
        msg = f"Задачи № {task_id} нет."
        raise NotFound(msg)
    row = day.one_task(session, task_id, now)
    deal = session.scalars(select(Deal).where(Deal.case_id == task.case_id)).first()
    changes = session.scalars(select(TermChange).where(TermChange.task_id == task_id).order_by(TermChange.id)).all()
    watchers = session.scalars(select(TaskObserver.person_id).where(TaskObserver.task_id == task_id)).all()
    involved = {*watchers, *(one.changed_by for one in changes), task.creator_id, task.closed_by, task.closed_for}
    involved |= {deal.responsible_id} if deal is not None else set()
    fields = task.result_fields.get("fields", [])
    values = {one["code"]: _value(task, deal, one) for one in fields}
    proposed = _given_before(session, task) if task.state == "open" and fields else {}
    values |= {code: value for code, value in proposed.items() if code in values and values[code] is None}
    involved |= {int(values[one["code"]]) for one in fields if one["kind"] == "person" and values[one["code"]]}
    people = names(session, {one for one in involved if one is not None})
    is_open = task.state == "open"
    over = is_over(session, viewer, task.executor_id)
    return TaskPage(
        task=row,
        description=task.description,
        creator=_ref(people, task.creator_id),
        observers=day.refs(people, watchers),
        responsible=_ref(people, deal.responsible_id) if deal is not None else None,
        result_fields=[
            ResultField(
                code=one["code"],
                title=one["title"],
                kind=one["kind"],
                required=bool(one.get("required")),
                choices=one.get("choices", {}),
                deal_field=one.get("deal_field"),
                value=values[one["code"]],
                words=value_in_words(
                    one["kind"], values[one["code"]], one.get("choices", {}), people, row.case.time_zone
                ),
            )
            for one in fields
        ],
        missing=[MissingItem(text=one.text, link=one.link) for one in core.missing_for(session, task, now)]
        if is_open
        else [],
        may_close=is_open and over,
        may_change=is_open and over,
        term_changes=[
            TermChangeRow(
                old_due_at=one.old_due_at,
                new_due_at=one.new_due_at,
                reason=one.reason,
                changed_at=one.changed_at,
                changed_by=PersonRef(id=one.changed_by, name=people.get(one.changed_by, "")),
            )
            for one in changes
        ],
        alarms=day.alarms(session, task_id=task_id) if is_open else [],
        close_reason=task.close_reason,
        closed_by=_ref(people, task.closed_by),
        closed_for=_ref(people, task.closed_for),
        closes_itself=task.closes_itself,
        evidence=task.evidence,
        history=history.of_entity(session, "task", task_id),
        yes=str(task.result_fields.get("yes") or YES.get(task.kind, TaskPage.model_fields["yes"].default)),
        no=str(task.result_fields.get("no") or NOT_YET) if task.kind == "confirm" else None,
        approval=_approval(session, task),
        reopen=_reopening(session, task, now) if task.state == "done" and over else None,
    )


def _given_before(session: Session, task: Task) -> dict[str, Any]:
    """Return the answers that the task was closed with by mistake: a proposal for the next time (★11)."""
    last = session.scalars(
        select(Audit.before)
        .where(Audit.entity == "task", Audit.entity_id == task.id, Audit.action == "task.reopened")
        .order_by(Audit.id.desc())
        .limit(1)
    ).first()
    return dict((last or {}).get("result") or {})


def _reopening(session: Session, task: Task, now: datetime) -> Reopening:
    seen = preview(session, task, now)
    return Reopening(possible=seen.possible, why_not=seen.why_not, consequences=seen.consequences)


def _approval(session: Session, task: Task) -> ApprovalRef | None:
    approval = session.get(Approval, task.approval_id) if task.approval_id is not None else None
    if approval is None:
        return None
    link = f"/backoffice/approvals/{approval.id}"
    return ApprovalRef(id=approval.id, title=approval.title, round=task.round, link=link)


def _value(task: Task, deal: Deal | None, field: dict[str, Any]) -> Any:
    if task.result is not None and field["code"] in task.result:
        return task.result[field["code"]]
    bound = field.get("deal_field")
    if deal is None or not bound:
        return None
    if bound in ("amount", "paid", "title"):
        value = getattr(deal, bound)
        return None if value is None else str(value)
    return deal.fields.get(bound)


def _ref(people: dict[int, str], person_id: int | None) -> PersonRef | None:
    return None if person_id is None else PersonRef(id=person_id, name=people.get(person_id, f"№ {person_id}"))
