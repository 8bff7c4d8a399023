"""Reference data of the pages: people, counterparties, funnels, settings, parts of the engine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, func, literal, select
from sqlalchemy.orm import Session

from include.companies.models import Company
from include.companies.services import find_companies, get_company
from include.deals.models import DealField, Funnel, Stage
from include.notices.models import Notice
from include.shared.heartbeat import KEPT
from include.shared.models import Heartbeat, Setting
from include.staff.absence import absences_of
from include.staff.me import Preferences
from include.staff.models import Department, Person
from include.staff.services import names
from include.workplace.shapes import (
    CompanyRow,
    FieldRow,
    FunnelRow,
    PartHealth,
    PersonRow,
    SettingRow,
    StageRow,
)
from include.workplace.words import setting_in_words

PEOPLE_SHOWN = 1000
OFFICE = "Europe/Moscow"


@dataclass(frozen=True)
class Frame:
    """What stands around every page of a person."""

    company_name: str
    preferences: Preferences
    time_zone: str
    unread: int


class PersonName(NamedTuple):
    """A person to choose from."""

    id: int
    name: str  # «Паздников А. С.»
    full_name: str
    post: str


@dataclass(frozen=True)
class DepartmentName:
    """A department to choose from."""

    id: int
    name: str


@dataclass(frozen=True)
class AbsenceLine:
    """An absence as its owner sees it."""

    id: int
    begins_at: datetime
    ends_at: datetime
    substitute: str | None
    reason: str
    begun: bool


def frame(session: Session, person_id: int | None, company_name: str) -> Frame:
    """Return the frame of a page in one query; nobody is logged in without ``person_id``."""
    named = select(Setting.value).where(Setting.code == "company_name").scalar_subquery()
    unread = select(func.count()).where(Notice.person_id == person_id, Notice.read_at.is_(None)).scalar_subquery()
    row = session.execute(
        select(named.label("name"), Person.preferences, Person.time_zone, unread.label("unread"))
        .select_from(select(literal(1)).subquery())
        .outerjoin(Person, Person.id == person_id)
    ).one()
    return Frame(str(row.name or company_name), Preferences.of(row.preferences), row.time_zone or OFFICE, row.unread)


def people(session: Session, *, department_id: int | None = None) -> list[PersonRow]:
    """Return the active people by name."""
    statement = (
        select(Person, Department.name)
        .outerjoin(Department, Department.id == Person.department_id)
        .where(Person.active)
        .order_by(Person.last_name, Person.first_name, Person.id)
        .limit(PEOPLE_SHOWN)
    )
    if department_id is not None:
        statement = statement.where(Person.department_id == department_id)
    return [
        PersonRow(
            id=one.id,
            name=one.short_name,
            full_name=" ".join(part for part in (one.last_name, one.first_name, one.middle_name) if part),
            post=one.post,
            department=department,
        )
        for one, department in session.execute(statement)
    ]


def person_names(session: Session) -> list[PersonName]:
    """Return the active people to choose from, by name; the database writes the names, since every card asks."""
    last, first, middle = Person.last_name, Person.first_name, Person.middle_name
    initials = (func.nullif(func.left(one, 1), "").concat(".") for one in (first, middle))
    parts = (func.nullif(one, "") for one in (last, first, middle))
    rows = session.execute(
        select(Person.id, func.concat_ws(" ", last, *initials), func.concat_ws(" ", *parts), Person.post)
        .where(Person.active)
        .order_by(last, first, Person.id)
        .limit(PEOPLE_SHOWN)
    )
    return [PersonName(*row) for row in rows]


def absences(session: Session, person_id: int, now: datetime) -> list[AbsenceLine]:
    """Return the present and coming absences of a person with the names of his substitutes."""
    rows = absences_of(session, person_id, now)
    known = names(session, {one.substitute_id for one in rows if one.substitute_id is not None})
    return [
        AbsenceLine(
            one.id, one.begins_at, one.ends_at, known.get(one.substitute_id or 0), one.reason, one.begins_at <= now
        )
        for one in rows
    ]


def departments(session: Session) -> list[DepartmentName]:
    """Return the departments by name."""
    rows = session.execute(select(Department.id, Department.name).order_by(Department.name))
    return [DepartmentName(id_, name) for id_, name in rows]


def companies(session: Session, query: str = "", limit: int = 20) -> list[CompanyRow]:
    """Return counterparties found by a part of the name or the beginning of the ИНН."""
    return [company_row(one) for one in find_companies(session, query, limit)]


def company(session: Session, company_id: int) -> CompanyRow:
    """Return a counterparty; NotFound when there is none."""
    return company_row(get_company(session, company_id))


def company_row(one: Company) -> CompanyRow:
    """Return a counterparty as lists show it."""
    return CompanyRow(
        id=one.id,
        name=one.name,
        full_name=one.full_name,
        kind=one.kind,
        inn=one.inn,
        kpp=one.kpp,
        phone=one.phone,
        email=one.email,
    )


def funnels(session: Session, *, fields: bool = True) -> list[FunnelRow]:
    """Return all directions with their stages and (unless not wanted) fields, in order."""
    rows = session.execute(
        select(Funnel.code, Funnel.title, Stage)
        .outerjoin(Stage, and_(Stage.funnel_code == Funnel.code, Stage.active))
        .order_by(Funnel.position, Stage.position)
    ).all()
    stages: dict[tuple[str, str], list[StageRow]] = {}
    for code, title, stage in rows:
        stages.setdefault((code, title), []).extend([] if stage is None else [stage_row(stage)])
    wanted = select(DealField).order_by(DealField.position, DealField.code)
    known = session.scalars(wanted).all() if fields else []
    return [
        FunnelRow(
            code=code,
            title=title,
            stages=its_stages,
            fields=[
                FieldRow(code=one.code, title=one.title, kind=one.kind, choices=one.options.get("choices", {}))
                for one in known
                if one.funnel_code in (None, code)
            ],
        )
        for (code, title), its_stages in stages.items()
    ]


def stage_row(one: Stage) -> StageRow:
    """Return a stage as lists show it."""
    return StageRow(id=one.id, code=one.code, title=one.title, kind=one.kind, position=one.position)


def settings(session: Session) -> list[SettingRow]:
    """Return all settings with their present values."""
    rows = session.scalars(select(Setting).order_by(Setting.kind, Setting.title)).all()
    changers = names(session, {one.changed_by for one in rows if one.changed_by is not None})
    return [
        SettingRow(
            code=one.code,
            title=one.title,
            kind=one.kind,
            value=one.value,
            words=setting_in_words(one.kind, one.value),
            default=one.default,
            changed_at=one.changed_at,
            changed_by=changers.get(one.changed_by) if one.changed_by is not None else None,
        )
        for one in rows
    ]


def parts(session: Session) -> list[PartHealth]:
    """Return how long ago each part of the engine last said that it works."""
    now = session.scalars(select(func.clock_timestamp())).one()  # a pulse carries the database's time
    pulses = select(Heartbeat).where(Heartbeat.name.not_in(KEPT)).order_by(Heartbeat.name, Heartbeat.instance)
    return [
        PartHealth(name=one.name, instance=one.instance, age_seconds=round((now - one.at).total_seconds(), 1))
        for one in session.scalars(pulses)
    ]
