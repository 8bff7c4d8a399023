"""What the registers of reference data show: one row shape and one read per register, and the history of a row."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from include.deals.models import Deal, DealField, Funnel, Stage
from include.reference.rules import in_lines
from include.shared.models import Audit, CalendarDay, Setting
from include.staff.models import Absence, Account, Department, Person, Role, RoleHolder
from include.staff.services import holders as role_holders
from include.staff.services import names

HISTORY_SHOWN = 50
ABSENCES_SHOWN = 2000


@dataclass(frozen=True)
class DepartmentRow:
    """A department with who leads it and how many work there."""

    id: int
    name: str
    parent_id: int | None
    parent: str | None
    head_id: int | None
    head: str | None
    people: int


@dataclass(frozen=True)
class EmployeeRow:
    """A person, working or not."""

    id: int
    name: str
    last_name: str
    first_name: str
    middle_name: str
    post: str
    email: str | None
    time_zone: str
    department_id: int | None
    department: str | None
    login: str | None
    active: bool


@dataclass(frozen=True)
class LoginRow:
    """How a person logs in; never the password."""

    person_id: int
    name: str
    login: str
    access: str
    active: bool


@dataclass(frozen=True)
class RoleRow:
    """A role with who holds it."""

    code: str
    title: str
    department_id: int | None
    department: str | None
    holders: str


@dataclass(frozen=True)
class HolderRow:
    """One person in one role."""

    id: str
    role_code: str
    role: str
    person_id: int
    person: str


@dataclass(frozen=True)
class AwayRow:
    """An absence with who stands in."""

    id: int
    person_id: int
    person: str
    substitute_id: int | None
    substitute: str | None
    begins_at: datetime
    ends_at: datetime
    reason: str
    state: str  # ahead | now | over | cancelled


@dataclass(frozen=True)
class DirectionRow:
    """A direction of sales."""

    code: str
    title: str
    position: int
    stages: int
    deals: int


@dataclass(frozen=True)
class StageLine:
    """A stage of a direction."""

    id: int
    funnel_code: str
    funnel: str
    code: str
    title: str
    kind: str
    position: int
    active: bool
    deals: int


@dataclass(frozen=True)
class CardFieldRow:
    """A field of the deal card; choices are written one per line."""

    code: str
    title: str
    kind: str
    funnel_code: str | None
    funnel: str | None
    choices: str
    position: int


@dataclass(frozen=True)
class SettingLine:
    """A setting with its default and who changed it."""

    code: str
    title: str
    kind: str
    value: Any
    default: Any
    changed_at: datetime | None
    changed_by: str | None


@dataclass(frozen=True)
class DayRow:
    """A day that works or rests here, whatever the state's calendar says."""

    day: date
    working: bool
    title: str

    @property
    def key(self) -> str:
        """Return the day as addresses and the audit write it."""
        return self.day.isoformat()


@dataclass(frozen=True)
class Told:
    """One line of a row's history."""

    at: datetime
    who_id: int | None
    who_kind: str
    text: str
    reason: str | None
    before: Mapping[str, Any]
    after: Mapping[str, Any]


def fingerprint(row: Any) -> str:
    """Return what tells whether a row is still as somebody saw it."""
    return hashlib.sha256(repr(row).encode()).hexdigest()[:32]


def departments(session: Session) -> list[DepartmentRow]:
    """Return all departments by name."""
    parent, head = aliased(Department), aliased(Person)
    rows = session.execute(
        select(Department, parent.name, head)
        .outerjoin(parent, parent.id == Department.parent_id)
        .outerjoin(head, head.id == Department.head_id)
        .order_by(Department.name)
    ).all()
    working = _counts(session, select(Person.department_id, func.count()).where(Person.active), Person.department_id)
    return [
        DepartmentRow(
            one.id, one.name, one.parent_id, above, one.head_id, leads.short_name if leads else None,
            working.get(one.id, 0),
        )
        for one, above, leads in rows
    ]  # fmt: skip


def employees(session: Session) -> list[EmployeeRow]:
    """Return all people, those who work first."""
    rows = session.execute(
        select(Person, Department.name, Account.login)
        .outerjoin(Department, Department.id == Person.department_id)
        .outerjoin(Account, Account.person_id == Person.id)
        .order_by(Person.active.desc(), Person.last_name, Person.first_name, Person.id)
    )
    return [
        EmployeeRow(
            one.id, _full_name(one), one.last_name, one.first_name, one.middle_name, one.post, one.email,
            one.time_zone, one.department_id, department, login, one.active,
        )
        for one, department, login in rows
    ]  # fmt: skip


def logins(session: Session) -> list[LoginRow]:
    """Return all logins by name of their people."""
    rows = session.execute(
        select(Account, Person).join(Person, Person.id == Account.person_id).order_by(Person.last_name, Person.id)
    )
    return [
        LoginRow(account.person_id, _full_name(person), account.login, account.access, account.active)
        for account, person in rows
    ]


def roles(session: Session) -> list[RoleRow]:
    """Return all roles with their holders by name."""
    rows = session.execute(
        select(Role, Department.name).outerjoin(Department, Department.id == Role.department_id).order_by(Role.title)
    ).all()
    held = {one.code: role_holders(session, one.code) for one, _ in rows}
    known = names(session, {person for people in held.values() for person in people})
    return [
        RoleRow(
            one.code, one.title, one.department_id, department, ", ".join(known[person] for person in held[one.code])
        )
        for one, department in rows
    ]  # fmt: skip


def holders(session: Session) -> list[HolderRow]:
    """Return who holds which role."""
    rows = session.execute(
        select(RoleHolder, Role.title, Person)
        .join(Role, Role.code == RoleHolder.role_code)
        .join(Person, Person.id == RoleHolder.person_id)
        .order_by(Role.title, Person.last_name, Person.id)
    )
    return [
        HolderRow(f"{one.role_code}.{one.person_id}", one.role_code, role, one.person_id, person.short_name)
        for one, role, person in rows
    ]


def absences(session: Session, now: datetime) -> list[AwayRow]:
    """Return the newest absences, coming and past."""
    rows = session.scalars(select(Absence).order_by(Absence.begins_at.desc(), Absence.id).limit(ABSENCES_SHOWN)).all()
    people = {one.person_id for one in rows} | {one.substitute_id for one in rows if one.substitute_id is not None}
    known = names(session, people)
    return [
        AwayRow(
            one.id, one.person_id, known[one.person_id], one.substitute_id,
            known[one.substitute_id] if one.substitute_id is not None else None, one.begins_at, one.ends_at,
            one.reason, _state(one, now),
        )
        for one in rows
    ]  # fmt: skip


def directions(session: Session) -> list[DirectionRow]:
    """Return all directions in order."""
    stages = _counts(session, select(Stage.funnel_code, func.count()).where(Stage.active), Stage.funnel_code)
    deals = _counts(session, select(Deal.funnel_code, func.count()), Deal.funnel_code)
    return [
        DirectionRow(one.code, one.title, one.position, stages.get(one.code, 0), deals.get(one.code, 0))
        for one in session.scalars(select(Funnel).order_by(Funnel.position))
    ]


def stages(session: Session) -> list[StageLine]:
    """Return all stages in the order of their directions."""
    deals = _counts(session, select(Deal.stage_id, func.count()), Deal.stage_id)
    rows = session.execute(
        select(Stage, Funnel.title)
        .join(Funnel, Funnel.code == Stage.funnel_code)
        .order_by(Funnel.position, Stage.position, Stage.id)
    )
    return [
        StageLine(
            one.id, one.funnel_code, line, one.code, one.title, one.kind, one.position, one.active,
            deals.get(one.id, 0),
        )
        for one, line in rows
    ]  # fmt: skip


def card_fields(session: Session) -> list[CardFieldRow]:
    """Return the fields of the deal card in order."""
    rows = session.execute(
        select(DealField, Funnel.title)
        .outerjoin(Funnel, Funnel.code == DealField.funnel_code)
        .order_by(DealField.position, DealField.code)
    )
    return [
        CardFieldRow(
            one.code, one.title, one.kind, one.funnel_code, line, in_lines(one.options.get("choices", {})),
            one.position,
        )
        for one, line in rows
    ]  # fmt: skip


def setting_lines(session: Session) -> list[SettingLine]:
    """Return all settings by kind and title."""
    rows = session.scalars(select(Setting).order_by(Setting.kind, Setting.title, Setting.code)).all()
    changers = names(session, {one.changed_by for one in rows if one.changed_by is not None})
    return [
        SettingLine(
            one.code, one.title, one.kind, one.value, one.default, one.changed_at,
            changers.get(one.changed_by) if one.changed_by is not None else None,
        )
        for one in rows
    ]  # fmt: skip


def calendar_days(session: Session) -> list[DayRow]:
    """Return the company's own days, the latest first."""
    rows = session.scalars(select(CalendarDay).order_by(CalendarDay.day.desc()))
    return [DayRow(one.day, one.working, one.title) for one in rows]


def department_choices(session: Session) -> dict[str, str]:
    """Return departments to choose from."""
    return {str(one.id): one.name for one in session.scalars(select(Department).order_by(Department.name))}


def department_names(session: Session) -> dict[int, str]:
    """Return names of departments by id."""
    return {one.id: one.name for one in session.scalars(select(Department))}


def people_choices(session: Session) -> dict[str, str]:
    """Return the people who work to choose from."""
    rows = session.scalars(select(Person).where(Person.active).order_by(Person.last_name, Person.first_name, Person.id))
    return {str(one.id): f"{_full_name(one)}{f' – {one.post}' if one.post else ''}" for one in rows}


def people_without_login(session: Session) -> dict[str, str]:
    """Return the people who work and cannot log in yet."""
    have = {str(one) for one in session.scalars(select(Account.person_id))}
    return {key: name for key, name in people_choices(session).items() if key not in have}


def role_choices(session: Session) -> dict[str, str]:
    """Return roles to choose from."""
    return {one.code: one.title for one in session.scalars(select(Role).order_by(Role.title))}


def funnel_choices(session: Session) -> dict[str, str]:
    """Return directions to choose from."""
    return {one.code: one.title for one in session.scalars(select(Funnel).order_by(Funnel.position))}


def history(session: Session, entity: str, key: int | str) -> list[Told]:
    """Return the newest history of a row, which is known by a number or by a code."""
    known = Audit.entity_id == key if isinstance(key, int) else _code_is(key)
    rows = session.scalars(
        select(Audit).where(Audit.entity == entity, known).order_by(Audit.id.desc()).limit(HISTORY_SHOWN)
    )
    return [
        Told(one.at, one.actor_id, one.actor_kind, one.text, one.reason, one.before or {}, one.after or {})
        for one in rows
    ]


def _code_is(key: str) -> Any:
    """A row known by a code says it in its audit: by name, by a day, or as the key of its value (settings)."""
    return (
        (Audit.after["code"].astext == key)
        | (Audit.before["code"].astext == key)
        | (Audit.after["role"].astext == key)
        | (Audit.after["day"].astext == key)
        | (Audit.before["day"].astext == key)
        | Audit.after.has_key(key)
        | Audit.before.has_key(key)
    )


def _counts(session: Session, statement: Any, column: Any) -> dict[Any, int]:
    rows: Iterable[Any] = session.execute(statement.group_by(column))
    return {row[0]: row[1] for row in rows}


def _full_name(one: Person) -> str:
    return " ".join(part for part in (one.last_name, one.first_name, one.middle_name) if part)


def _state(one: Absence, now: datetime) -> str:
    if one.cancelled_at is not None:
        return "cancelled"
    if one.ends_at <= now:
        return "over"
    return "now" if one.begins_at <= now else "ahead"
