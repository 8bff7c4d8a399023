"""People at work: who is there, what each of them holds, absences; and the acts on them with their rights."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select, text
from sqlalchemy.orm import Session

from include.approvals.models import Approval
from include.deals.models import Deal
from include.process.models import ProcessCase
from include.shared.db import query_text
from include.shared.errors import Conflict, Forbidden, NotFound
from include.shared.models import Audit
from include.shared.names import like_pattern
from include.shared.work import Work
from include.staff import absence, leaver, roles
from include.staff.checks import role_of
from include.staff.holdings import TITLES, Held, holdings
from include.staff.models import Absence, Account, Department, Person, Role, RoleHolder
from include.staff.services import Viewer, head_of, is_over, names, person_of, role_title
from include.staff.stand_in import away
from include.staff.structure import stray_tasks
from include.tasks.models import Task
from include.workplace import history
from include.workplace.shapes import (
    AbsenceRow,
    HeldGroup,
    HeldRow,
    HoldingsPage,
    PersonCard,
    PersonLoad,
    PersonRef,
    PersonRole,
    RemapApproval,
    RemapPage,
    RemapTask,
)

SHOWN_AT_MOST = 500
ITEMS_SHOWN = 200
NOT_LEADING = "Список сотрудников видят руководители и администратор."


def people(session: Session, viewer: Viewer, now: datetime, *, query: str = "", gone: bool = False) -> list[PersonLoad]:
    """Return the people of the departments that the viewer leads (an administrator's: all) with their load."""
    if not viewer.is_admin and not viewer.led_departments:
        raise Forbidden(NOT_LEADING)
    chosen: list[ColumnElement[bool]] = [Person.active.is_(not gone)]
    if not viewer.is_admin:
        chosen.append(Person.department_id.in_(viewer.led_departments))
    if query:
        pattern = like_pattern(query)
        names_ = (Person.last_name, Person.first_name, Person.middle_name, Person.post)
        found = (func.replace(func.lower(one), "ё", "е").like(pattern) for one in names_)
        chosen.append(or_(*found))
    rows = session.execute(
        select(Person, Department.name)
        .outerjoin(Department, Department.id == Person.department_id)
        .where(*chosen)
        .order_by(Person.last_name, Person.first_name, Person.id)
        .limit(SHOWN_AT_MOST)
    ).all()
    return _loads(session, [(one, department) for one, department in rows], now)


def unheld_roles(session: Session) -> dict[str, int]:
    """Return the roles that nobody holds though open tasks wait for their holder, with how many (R001-17)."""
    empty = session.execute(text(query_text("staff/unheld_roles"))).all()
    waiting = {one.title: len(stray_tasks(session, one.code, [])) for one in empty}
    return {title: number for title, number in waiting.items() if number}


def person_card(session: Session, viewer: Viewer, person_id: int, now: datetime) -> PersonCard:
    """Return what a person is, holds and misses; for himself, his heads and administrators."""
    person = _seen(session, viewer, person_id)
    department = session.get(Department, person.department_id) if person.department_id is not None else None
    load = _loads(session, [(person, department.name if department else None)], now)[0]
    head = head_of(session, person_id)
    login = session.scalar(select(Account.login).where(Account.person_id == person_id, Account.active))
    led = session.scalars(select(Department.name).where(Department.head_id == person_id).order_by(Department.name))
    held = holdings(session, person_id, now)
    received = _received(session, person_id)
    called = names(session, {one for one in (head, *received) if one is not None})
    return PersonCard(
        person=load,
        email=person.email,
        time_zone=person.time_zone,
        login=login,
        head=_ref(called, head),
        leads=list(led),
        roles=_roles(session, person_id),
        absences=[_absence_row(session, one, now) for one in absence.absences_of(session, person_id, now)],
        substitutions=[_absence_row(session, one, now) for one in absence.substitutions_of(session, person_id, now)],
        held={one.title: len(one.items) for one in held.groups},
        received={
            called.get(to, f"№ {to}"): {TITLES.get(code, code): number for code, number in counts.items()}
            for to, counts in received.items()
        },
        history=history.of_entity(session, "person", person_id, limit=20),
        may_set_absence=person.active,
        may_change=viewer.is_admin,
    )


def my_absences(session: Session, person_id: int, now: datetime) -> list[AbsenceRow]:
    """Return a person's present and coming absences, the nearest first."""
    return [_absence_row(session, one, now) for one in absence.absences_of(session, person_id, now)]


def absences(session: Session, viewer: Viewer, person_id: int, now: datetime) -> list[AbsenceRow]:
    """Return the absences of a person whom the viewer may look at."""
    _seen(session, viewer, person_id)
    return my_absences(session, person_id, now)


def held_by(session: Session, viewer: Viewer, person_id: int, now: datetime) -> HoldingsPage:
    """Return everything that a person holds, with proposed successors (★48)."""
    person = _seen(session, viewer, person_id)
    held = holdings(session, person_id, now)
    titles = {one.key: one.title for group in held.groups for one in group.items}
    proposed = {one.proposed for group in held.groups for one in group.items}
    proposed |= {group.proposed for group in held.groups}
    called = names(session, {one for one in proposed if one is not None})
    return HoldingsPage(
        person=PersonRef(id=person.id, name=person.short_name),
        active=person.active,
        count=held.count,
        groups=[
            HeldGroup(
                code=group.code,
                title=group.title,
                count=len(group.items),
                own=len(group.own),
                items=[_held_row(one, titles, called) for one in group.items[:ITEMS_SHOWN]],
                proposed=_ref(called, group.proposed),
            )
            for group in held.groups
        ],
    )


def set_absence(
    work: Work,
    viewer: Viewer,
    person_id: int,
    begins_at: datetime,
    ends_at: datetime,
    substitute_id: int | None,
    reason: str = "",
) -> AbsenceRow:
    """Record that a person is away: he himself, his head or an administrator."""
    _seen(work.session, viewer, person_id)
    made = absence.set_absence(work, person_id, begins_at, ends_at, substitute_id, reason)
    return _absence_row(work.session, made, work.now)


def cancel_absence(work: Work, viewer: Viewer, absence_id: int) -> AbsenceRow:
    """Cancel an absence, or end it now."""
    found = work.session.get(Absence, absence_id)
    if found is None or not is_over(work.session, viewer, found.person_id):
        msg = f"Отсутствия № {absence_id} нет."
        raise NotFound(msg)
    return _absence_row(work.session, absence.cancel_absence(work, absence_id), work.now)


def hand_over(
    work: Work, viewer: Viewer, person_id: int, plan: Mapping[str, int], reason: str, *, deactivate: bool = True
) -> leaver.HandedOver:
    """Hand over everything that a person holds in one act (★48): only an administrator may."""
    _administrator(viewer)
    if deactivate and viewer.person_id == person_id:
        msg = "Себя отпустить нельзя: это делает другой администратор."
        raise Conflict(msg)
    return leaver.hand_over(work, person_id, plan, reason, deactivate=deactivate)


def preview_hand_over(work: Work, viewer: Viewer, person_id: int, plan: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return what everybody would get by a plan, by name and group; refuses what ``hand_over`` would refuse."""
    _administrator(viewer)
    received = leaver.preview(work, person_id, plan)
    called = names(work.session, set(received))
    return {called[to]: {TITLES[one]: number for one, number in counts.items()} for to, counts in received.items()}


def remap_preview(session: Session, viewer: Viewer, role_code: str, from_person_id: int) -> RemapPage:
    """Return the open tasks and approvals that go along when a role goes from a person to another (R001-17)."""
    _administrator(viewer)
    former = person_of(session, from_person_id)
    if session.get(RoleHolder, (role_code, from_person_id)) is None:
        msg = f"{former.short_name} не держит роль «{role_title(session, role_code)}»."
        raise NotFound(msg)
    found = roles.preview_remap(session, role_code, from_person_id, None)
    rows = session.execute(
        select(Task, ProcessCase.title)
        .join(ProcessCase, ProcessCase.id == Task.case_id)
        .where(Task.id.in_(task for _, task in found.tasks))
        .order_by(Task.due_at.asc().nulls_last(), Task.id)
    )
    asked = session.execute(
        select(Approval, ProcessCase.title)
        .join(ProcessCase, ProcessCase.id == Approval.case_id)
        .where(Approval.id.in_(found.approvals))
        .order_by(Approval.id)
    )
    return RemapPage(
        code=role_code,
        title=role_title(session, role_code),
        holder=PersonRef(id=former.id, name=former.short_name),
        tasks=[
            RemapTask(id=one.id, title=one.title, case=title, due_at=one.due_at, link=f"/backoffice/tasks/{one.id}")
            for one, title in rows
        ],
        approvals=[
            RemapApproval(id=one.id, title=one.title, case=title, link=f"/backoffice/approvals/{one.id}")
            for one, title in asked
        ],
    )


def remap(
    work: Work, viewer: Viewer, role_code: str, from_person_id: int, to_person_id: int, *, move_open: bool = True
) -> roles.Remapped:
    """Take a role from one person and give it to another with its open work (R001-17)."""
    _administrator(viewer)
    role_of(work, role_code)
    return roles.remap_role(work, role_code, from_person_id, to_person_id, move_open=move_open)


def _administrator(viewer: Viewer) -> None:
    if not viewer.is_admin:
        msg = "Передавать роли и отпускать сотрудников может администратор."
        raise Forbidden(msg)


def _seen(session: Session, viewer: Viewer, person_id: int) -> Person:
    """Return a person whom the viewer may look at; NotFound as if he did not exist."""
    person = session.get(Person, person_id)
    if person is None or not is_over(session, viewer, person_id):
        msg = f"Сотрудника № {person_id} нет."
        raise NotFound(msg)
    return person


def _loads(session: Session, rows: list[tuple[Person, str | None]], now: datetime) -> list[PersonLoad]:
    ids = [one.id for one, _ in rows]
    tasks = {
        person: (count, late)
        for person, count, late in session.execute(
            select(Task.executor_id, func.count(), func.count().filter(Task.due_at <= now))
            .where(Task.executor_id.in_(ids), Task.state == "open")
            .group_by(Task.executor_id)
        )
    }
    deals = dict(
        session.execute(
            select(Deal.responsible_id, func.count())
            .where(Deal.responsible_id.in_(ids), Deal.closed_at.is_(None))
            .group_by(Deal.responsible_id)
        ).all()
    )
    absent = away(session, ids, now)
    return [
        PersonLoad(
            id=one.id,
            name=one.short_name,
            full_name=" ".join(part for part in (one.last_name, one.first_name, one.middle_name) if part),
            post=one.post,
            department=department,
            active=one.active,
            away_until=absent[one.id].until if one.id in absent else None,
            acting=absent[one.id].actor if one.id in absent else None,
            open_tasks=tasks.get(one.id, (0, 0))[0],
            overdue_tasks=tasks.get(one.id, (0, 0))[1],
            open_deals=deals.get(one.id, 0),
        )
        for one, department in rows
    ]


def _roles(session: Session, person_id: int) -> list[PersonRole]:
    given = (
        select(Role)
        .join(RoleHolder, RoleHolder.role_code == Role.code)
        .where(RoleHolder.person_id == person_id, Role.department_id.is_(None))
        .order_by(Role.title)
    )
    followed = (
        select(Role, Department.name)
        .join(Department, Department.id == Role.department_id)
        .where(Department.head_id == person_id)
        .order_by(Role.title)
    )
    return [PersonRole(code=one.code, title=one.title) for one in session.scalars(given)] + [
        PersonRole(code=role.code, title=role.title, department=name) for role, name in session.execute(followed)
    ]


def _absence_row(session: Session, one: Absence, now: datetime) -> AbsenceRow:
    called = names(session, {one.person_id, *([one.substitute_id] if one.substitute_id is not None else [])})
    return AbsenceRow(
        id=one.id,
        person=PersonRef(id=one.person_id, name=called.get(one.person_id, "")),
        substitute=_ref(called, one.substitute_id),
        begins_at=one.begins_at,
        ends_at=one.ends_at,
        reason=one.reason,
        begun=one.begins_at <= now,
        cancelled=one.cancelled_at is not None,
    )


def _held_row(one: Held, titles: Mapping[str, str], called: Mapping[int, str]) -> HeldRow:
    return HeldRow(
        key=one.key,
        title=one.title,
        sub=one.sub,
        link=one.link,
        due_at=one.due_at,
        follows=None if one.follows is None else titles.get(one.follows, "сама найдёт нового"),
        proposed=_ref(called, one.proposed),
    )


def _received(session: Session, person_id: int) -> dict[int, dict[str, int]]:
    """Return who got what when the person's work was last handed over."""
    found = session.scalars(
        select(Audit.after)
        .where(Audit.entity == "person", Audit.entity_id == person_id, Audit.action == leaver.HANDED_OVER)
        .order_by(Audit.id.desc())
        .limit(1)
    ).first()
    return {int(to): dict(counts) for to, counts in (found or {}).get("received", {}).items()}


def _ref(called: Mapping[int, str], person_id: int | None) -> PersonRef | None:
    return None if person_id is None else PersonRef(id=person_id, name=called.get(person_id, f"№ {person_id}"))


def person_ref(session: Session, person_id: int) -> PersonRef:
    """Return a person as a link shows him."""
    return PersonRef(id=person_id, name=person_of(session, person_id).short_name)
