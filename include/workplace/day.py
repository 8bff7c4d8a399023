"""Lists of tasks, «Мой день», the bell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, RowMapping, Select, and_, func, or_, select, text, true
from sqlalchemy.orm import Session

from include.deals import rights
from include.deals.facts import deal_link
from include.deals.models import Deal, Stage
from include.notices import services as bell
from include.notices.models import Notice
from include.process.models import ProcessCase
from include.shared.db import query_text
from include.shared.errors import InvalidInput
from include.staff.models import Person
from include.staff.services import Viewer
from include.staff.stand_in import Away, away
from include.talk.services import NOTICE_KEY as COMMENT_KEY
from include.tasks.models import Task, TaskObserver
from include.workplace.shapes import AlarmRow, CaseRef, MyDay, NoticeRow, Page, PersonRef, TaskRow
from include.workplace.words import TASK_STATES

PER_PAGE = 50
ALARMS_SHOWN = 20
NOTICES_SHOWN = 10
Scope = Literal["mine", "department", "watched", "case"]


def my_day(
    session: Session,
    viewer: Viewer,
    now: datetime,
    *,
    scope: Literal["mine", "department"] = "mine",
    page: int = 1,
) -> MyDay:
    """Return the open tasks (overdue first, then by term), armed alarms and newest notices of a person."""
    chosen = and_(Task.state == "open", executors(viewer, scope))
    overdue = session.scalar(select(func.count()).select_from(Task).where(chosen, Task.due_at <= now)) or 0
    return MyDay(
        now=now,
        scope=scope,
        may_see_department=bool(viewer.led_departments) or viewer.is_admin,
        overdue_count=overdue,
        tasks=_page_of_tasks(session, chosen, now, page, PER_PAGE),
        alarms=alarms(session, people=[viewer.person_id, *sorted(viewer.acts_for)]),
        unread_notices=bell.unread_count(session, viewer.person_id),
        notices=notices(session, viewer, limit=NOTICES_SHOWN),
    )


def tasks_list(
    session: Session,
    viewer: Viewer,
    now: datetime,
    *,
    scope: Scope = "mine",
    state: str | None = "open",
    case_id: int | None = None,
    page: int = 1,
    per_page: int = PER_PAGE,
) -> Page[TaskRow]:
    """Return a page of tasks: own, of the led departments, watched, or of one case; ``state`` None means any."""
    if state is not None and state not in TASK_STATES:
        msg = f"Состояние задачи – одно из: {', '.join(TASK_STATES)}."
        raise InvalidInput(msg, "state")
    chosen = [executors(viewer, scope, case_id)]
    if scope == "case" and case_id is not None and not rights.may_see_case(session, viewer, case_id):
        chosen.append(_takes_part(viewer))
    if state is not None:
        chosen.append(Task.state == state)
    return _page_of_tasks(session, and_(*chosen), now, page, per_page)


def tasks_of_case(session: Session, case_id: int, now: datetime) -> list[TaskRow]:
    """Return the newest tasks of a case, open ones first."""
    order = (Task.state != "open", Task.id.desc())
    statement = task_rows().where(Task.case_id == case_id).order_by(*order).limit(100)
    return with_stand_ins(session, session.execute(statement).mappings().all(), now)


def one_task(session: Session, task_id: int, now: datetime) -> TaskRow:
    """Return the row of one task that exists."""
    row = session.execute(task_rows().where(Task.id == task_id)).mappings().one()
    return with_stand_ins(session, [row], now)[0]


def alarms(session: Session, *, people: list[int] | None = None, task_id: int | None = None) -> list[AlarmRow]:
    """Return the armed alarms of people's open tasks, or of one task, the nearest first."""
    parameters = {"people": people, "task": task_id, "limit": ALARMS_SHOWN}
    rows = session.execute(text(query_text("workplace/armed_alarms")), parameters).mappings().all()
    return [
        AlarmRow(
            id=row["id"],
            title=row["title"],
            moment=row["moment"],
            why=row["why"],
            task_id=row["task_id"],
            task_title=row["task_title"],
            case=case_ref(row),
            tells=[PersonRef(**one) for one in row["tells"] or []],
        )
        for row in rows
    ]


def notices(
    session: Session, viewer: Viewer, *, limit: int = 30, before_id: int | None = None, unread: bool = False
) -> list[NoticeRow]:
    """Return a person's newest notices; ``before_id`` turns the page."""
    statement = (
        select(Notice, Deal.id)
        .outerjoin(Deal, Deal.case_id == Notice.case_id)
        .where(Notice.person_id == viewer.person_id)
        .order_by(Notice.id.desc())
        .limit(limit)
    )
    if before_id is not None:
        statement = statement.where(Notice.id < before_id)
    if unread:
        statement = statement.where(Notice.read_at.is_(None))
    return [
        NoticeRow(
            id=one.id,
            text=one.text,
            created_at=one.created_at,
            read=one.read_at is not None,
            link=_about(one, deal_id),
            case_id=one.case_id,
            task_id=one.task_id,
        )
        for one, deal_id in session.execute(statement)
    ]


def _about(notice: Notice, deal_id: int | None) -> str | None:
    if notice.approval_id is not None:
        return f"/backoffice/approvals/{notice.approval_id}"
    if notice.task_id is not None:
        return f"/backoffice/tasks/{notice.task_id}"
    if deal_id is None:
        return None
    kind, _, rest = notice.key.partition("/")
    return f"{deal_link(deal_id)}#comment-{rest.partition('/')[0]}" if kind == COMMENT_KEY else deal_link(deal_id)


def case_ref(row: RowMapping) -> CaseRef:
    """Return what a row with ``case_id, case_key, case_title, time_zone, deal_id, stage`` is about."""
    return CaseRef(
        id=row["case_id"],
        key=row["case_key"],
        title=row["case_title"],
        link=deal_link(row["deal_id"]) if row["deal_id"] else f"/backoffice/requests/{row['case_id']}",
        deal_id=row["deal_id"],
        stage=row["stage"],
        time_zone=row["time_zone"],
    )


def executors(viewer: Viewer, scope: Scope, case_id: int | None = None) -> ColumnElement[bool]:
    """Return the condition on ``task`` that a list is about."""
    if scope == "mine":
        return Task.executor_id.in_((viewer.person_id, *sorted(viewer.acts_for)))
    if scope == "department":
        if viewer.is_admin and not viewer.led_departments:
            return true()
        led = select(Person.id).where(Person.department_id.in_(viewer.led_departments))
        return Task.executor_id.in_(led)
    if scope == "watched":
        return Task.id.in_(select(TaskObserver.task_id).where(TaskObserver.person_id == viewer.person_id))
    if case_id is None:
        msg = "Укажите дело: case_id."
        raise InvalidInput(msg, "case_id")
    return Task.case_id == case_id


def _takes_part(viewer: Viewer) -> ColumnElement[bool]:
    if rights.sees_all(viewer):
        return true()
    watched = select(TaskObserver.task_id).where(TaskObserver.person_id == viewer.person_id)
    parts = [executors(viewer, "mine"), Task.creator_id == viewer.person_id, Task.id.in_(watched)]
    return or_(*parts, executors(viewer, "department")) if viewer.led_departments else or_(*parts)


def _page_of_tasks(
    session: Session, chosen: ColumnElement[bool], now: datetime, page: int, per_page: int
) -> Page[TaskRow]:
    total = session.scalar(select(func.count()).select_from(Task).where(chosen)) or 0
    # ids first: the joins are then done for one page only
    order = (Task.due_at.asc().nulls_last(), Task.id)
    ids = select(Task.id).where(chosen).order_by(*order).limit(per_page).offset((page - 1) * per_page)
    statement = task_rows().where(Task.id.in_(ids)).order_by(*order)
    items = with_stand_ins(session, session.execute(statement).mappings().all(), now)
    return Page(items=items, total=total, page=page, per_page=per_page)


def task_rows() -> Select[*tuple[Any, ...]]:
    """Return the question that ``with_stand_ins`` makes rows of."""
    return (
        select(
            Task.id,
            Task.title,
            Task.state,
            Task.due_at,
            Task.executor_id,
            Task.created_at,
            Task.closed_at,
            (func.jsonb_typeof(Task.guard) == "object").label("guarded"),  # none is kept as the JSON null
            Task.kind,
            Task.round,
            Task.case_id,
            ProcessCase.key.label("case_key"),
            ProcessCase.title.label("case_title"),
            ProcessCase.time_zone,
            Deal.id.label("deal_id"),
            Stage.title.label("stage"),
            Person,
        )
        .join(ProcessCase, ProcessCase.id == Task.case_id)
        .join(Person, Person.id == Task.executor_id)
        .outerjoin(Deal, Deal.case_id == Task.case_id)
        .outerjoin(Stage, Stage.id == Deal.stage_id)
    )


def without_stand_ins(rows: Sequence[RowMapping], now: datetime) -> list[TaskRow]:
    """Return tasks as lists show them, where all of them are the looking person's own."""
    return [_task_row(row, now, None) for row in rows]


def with_stand_ins(session: Session, rows: Sequence[RowMapping], now: datetime) -> list[TaskRow]:
    """Return tasks as lists show them, with who acts for an executor who is away."""
    absent = away(session, {row["executor_id"] for row in rows if row["state"] == "open"}, now)
    return [_task_row(row, now, absent.get(row["executor_id"])) for row in rows]


def _task_row(row: RowMapping, now: datetime, absent: Away | None) -> TaskRow:
    person: Person = row["Person"]
    acting = absent if absent is not None and absent.actor_id is not None and row["state"] == "open" else None
    return TaskRow(
        id=row["id"],
        title=row["title"],
        state=row["state"],
        state_title=TASK_STATES[row["state"]],
        due_at=row["due_at"],
        overdue=row["state"] == "open" and row["due_at"] is not None and row["due_at"] <= now,
        executor=PersonRef(id=person.id, name=person.short_name),
        case=case_ref(row),
        guarded=bool(row["guarded"]),
        created_at=row["created_at"],
        closed_at=row["closed_at"],
        link=f"/backoffice/tasks/{row['id']}",
        acting=PersonRef(id=acting.actor_id, name=acting.actor or "") if acting and acting.actor_id else None,
        for_whom=person.for_whom if acting else None,
        kind=row["kind"],
        round=row["round"],
    )


def refs(people: dict[int, str], ids: Iterable[int]) -> list[PersonRef]:
    """Return references to people whose names are known."""
    return [PersonRef(id=one, name=people.get(one, f"№ {one}")) for one in ids]
