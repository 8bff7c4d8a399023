"""What is in motion, in words: deals by stage, open tasks by person, next moments, demo logins."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from include.deals.models import Deal, Funnel, Stage
from include.demo.company import COMPANY, DEMO_PASSWORD, EMPLOYEES, is_marked
from include.process.models import ProcessCase, StepState
from include.shared import clock
from include.shared.work import reading
from include.staff.models import Account, Person
from include.staff.services import names
from include.tasks.models import Task

MOST_PEOPLE, MOST_MOMENTS = 8, 5


def summary() -> str:
    """Return the page that `make up` prints."""
    with reading() as session:
        if not is_marked(session, "demo.prepared"):
            return "Демонстрационная компания не загружена."
        parts = [_stages(session), _tasks(session), _moments(session), _logins(session)]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _stages(session: Session) -> list[str]:
    rows = session.execute(
        select(Funnel.title, Stage.title, func.count())
        .select_from(Deal)
        .join(Stage, Stage.id == Deal.stage_id)
        .join(Funnel, Funnel.code == Stage.funnel_code)
        .group_by(Funnel.title, Funnel.position, Stage.title, Stage.position)
        .order_by(Funnel.position, Stage.position)
    ).all()
    lines = [f"{COMPANY} – сделок: {sum(number for _, _, number in rows)}"]
    for funnel in dict.fromkeys(title for title, _, _ in rows):
        stages = ", ".join(f"«{stage}» {number}" for title, stage, number in rows if title == funnel)
        lines.append(f"  {funnel}: {stages}")
    return lines


def _tasks(session: Session) -> list[str]:
    now = clock.now(session)
    rows = session.execute(
        select(Task.executor_id, func.count(), func.count().filter(Task.due_at < now))
        .where(Task.state == "open")
        .group_by(Task.executor_id)
        .order_by(func.count().desc(), Task.executor_id)
    ).all()
    if not rows:
        return ["Открытых задач пока нет."]
    known = names(session, {person for person, _, _ in rows})
    lines = [f"Открытые задачи: {sum(number for _, number, _ in rows)}"]
    for person, number, late in rows[:MOST_PEOPLE]:
        lines.append(f"  {known[person]} – {number}" + (f", просрочено {late}" if late else ""))
    if len(rows) > MOST_PEOPLE:
        lines.append(f"  и ещё у {len(rows) - MOST_PEOPLE} сотрудников")
    return lines


def _moments(session: Session) -> list[str]:
    nearest = (
        select(StepState.moment, StepState.title, StepState.case_id)
        .where(StepState.state == "waiting", StepState.moment.is_not(None))
        .ext(distinct_on(StepState.case_id))
        .order_by(StepState.case_id, StepState.moment, StepState.id)
        .subquery()
    )
    rows = session.execute(
        select(nearest.c.moment, nearest.c.title, ProcessCase.title, ProcessCase.time_zone)
        .join(ProcessCase, ProcessCase.id == nearest.c.case_id)
        .order_by(nearest.c.moment, ProcessCase.id)
        .limit(MOST_MOMENTS)
    ).all()
    if not rows:
        return []
    return ["Ближайшие моменты:", *(f"  {_said(at, zone)}  {step} – {case}" for at, step, case, zone in rows)]


def _said(moment: datetime | None, time_zone: str) -> str:
    return f"{moment.astimezone(ZoneInfo(time_zone)):%d.%m %H:%M}" if moment else ""


def _logins(session: Session) -> list[str]:
    rows = session.execute(
        select(Account, Person)
        .join(Person, Person.id == Account.person_id)
        .where(Account.login.in_([one.login for one in EMPLOYEES]), Account.active, Person.active)
    ).all()
    people = {account.login: person for account, person in rows}
    table = [(one.login, people[one.login]) for one in EMPLOYEES if one.login in people]
    width = _widest(login for login, _ in table)
    name_width = _widest(person.short_name for _, person in table)
    lines = [f"Демонстрационные входы (пароль у всех: {DEMO_PASSWORD}):"]
    lines += [f"  {login:<{width}}  {person.short_name:<{name_width}}  {person.post}" for login, person in table]
    return lines


def _widest(words: Iterable[str]) -> int:
    return max((len(word) for word in words), default=0)
