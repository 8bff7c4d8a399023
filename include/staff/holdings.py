"""Everything that a person holds (★48): roles, departments, tasks, approvals, deals, companies, substitutions.

Each group has a proposed successor; what follows another group (a task of a role goes with the role) says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from include.companies.models import Company
from include.deals.models import Deal, Stage
from include.process.models import ProcessCase, ProcessInstance
from include.shared.db import query_text
from include.staff.addresses import settled
from include.staff.models import Absence, Department, Person, Role, RoleHolder
from include.staff.services import head_of, holders, person_of
from include.staff.structure import stray_tasks
from include.tasks.models import Task

TITLES = {
    "departments": "Отделы",
    "roles": "Роли",
    "deals": "Сделки в работе",
    "fields": "Поля сделок",
    "requests": "Обращения в работе",
    "approvals": "Согласования",
    "tasks": "Открытые задачи",
    "companies": "Контрагенты",
    "absences": "Замещения",
}


@dataclass(frozen=True)
class Held:
    """One thing that a person holds; ``follows`` is the key of the thing that takes it along, when there is one."""

    key: str  # tasks:17, roles:lawyer, fields:42.product_manager
    title: str
    sub: str = ""
    link: str | None = None
    due_at: datetime | None = None
    case_id: int | None = None
    follows: str | None = None
    proposed: int | None = None
    barred: frozenset[int] = frozenset()  # who cannot take it: the absent one whom he substitutes

    @property
    def id(self) -> str:
        """Return what stands behind the group in the key."""
        return self.key.partition(":")[2]


@dataclass(frozen=True)
class Group:
    """Things of one kind that a person holds."""

    code: str
    items: tuple[Held, ...]
    proposed: int | None = None

    @property
    def title(self) -> str:
        """Return how the group is called on the page."""
        return TITLES[self.code]

    @property
    def own(self) -> tuple[Held, ...]:
        """Return what needs a successor of its own: it follows nothing else."""
        return tuple(one for one in self.items if one.follows is None)


@dataclass(frozen=True)
class Holdings:
    """Everything that a person holds, by group, in the order in which it is handed over."""

    person_id: int
    groups: tuple[Group, ...]
    followed_by: frozenset[int] = field(default_factory=frozenset)  # cases whose head he is

    @property
    def count(self) -> int:
        """Return how many things the person holds."""
        return sum(len(one.items) for one in self.groups)

    @property
    def cases(self) -> set[int]:
        """Return the cases of everything that he holds."""
        return {one.case_id for group in self.groups for one in group.items if one.case_id is not None} | {
            *self.followed_by
        }

    def group(self, code: str) -> Group:
        """Return the group of a kind, empty when he holds nothing of it."""
        return next((one for one in self.groups if one.code == code), Group(code, ()))

    def in_words(self) -> str:
        """Return «задачи – 3, роли – 1»."""
        return ", ".join(f"{one.title.lower()} – {len(one.items)}" for one in self.groups)


def holdings(session: Session, person_id: int, now: datetime) -> Holdings:
    """Return everything that a person holds now, with a proposed successor for each group (the same each time)."""
    person = person_of(session, person_id)
    proposals = Proposals(session, person)
    found = {
        "departments": _departments(session, person, proposals),
        "roles": _roles(session, person, proposals),
        "deals": _deals(session, person),
        "fields": _fields(session, person),
        "requests": _requests(session, person),
        "approvals": _approvals(session, person),
        "tasks": [],
        "companies": _companies(session, person),
        "absences": _absences(session, person, now),
    }
    found["tasks"] = _tasks(session, person, found)
    groups = tuple(Group(code, tuple(items), proposals.of_group(code, items)) for code, items in found.items() if items)
    led = select(ProcessInstance.case_id).where(ProcessInstance.state == "live", ProcessInstance.head_id == person_id)
    return Holdings(person_id, groups, frozenset(session.scalars(led)))


class Proposals:
    """Who is proposed to take over: found once per person."""

    def __init__(self, session: Session, person: Person) -> None:
        self.session = session
        self.person = person
        self.head = _active(session, head_of(session, person.id))
        self.colleague = self._least_loaded()

    @property
    def next(self) -> int | None:
        """Return his head, else the colleague of his department with the fewest open tasks."""
        return self.head or self.colleague

    def of_role(self, role_code: str) -> int | None:
        """Return another holder of the role, else whoever takes his work."""
        others = [one for one in holders(self.session, role_code) if one != self.person.id]
        return others[0] if others else self.next

    def of_department(self, department: Department) -> int | None:
        """Return the head of the department above, else whoever takes his work."""
        above = self.session.get(Department, department.parent_id) if department.parent_id is not None else None
        head = _active(self.session, above.head_id) if above is not None else None
        return head if head is not None and head != self.person.id else self.next

    def of_group(self, code: str, items: list[Held]) -> int | None:
        """Return who is proposed for a whole group: tasks and deals go to a colleague who has time."""
        if code in ("departments", "roles"):
            return items[0].proposed
        if code in ("tasks", "deals", "companies", "fields", "requests"):
            return self.colleague or self.head
        barred = {one for item in items for one in item.barred}
        return next((one for one in (self.head, self.colleague) if one is not None and one not in barred), None)

    def _least_loaded(self) -> int | None:
        if self.person.department_id is None:
            return None
        load = (
            select(Person.id)
            .outerjoin(Task, (Task.executor_id == Person.id) & (Task.state == "open"))
            .where(Person.department_id == self.person.department_id, Person.active)
            .where(Person.id.notin_([one for one in (self.person.id, self.head) if one is not None]))
            .group_by(Person.id)
            .order_by(func.count(Task.id), Person.id)
        )
        return self.session.scalars(load.limit(1)).first()


def _departments(session: Session, person: Person, proposals: Proposals) -> list[Held]:
    led = select(Department).where(Department.head_id == person.id).order_by(Department.id)
    return [
        Held(f"departments:{one.id}", one.name, "руководитель", proposed=proposals.of_department(one))
        for one in session.scalars(led)
    ]


def _roles(session: Session, person: Person, proposals: Proposals) -> list[Held]:
    held = (
        select(Role)
        .join(RoleHolder, RoleHolder.role_code == Role.code)
        .where(RoleHolder.person_id == person.id)
        .order_by(Role.title)
    )
    roles = [
        Held(f"roles:{one.code}", one.title, _others(session, one, person), proposed=proposals.of_role(one.code))
        for one in session.scalars(held)
    ]
    followed = (
        select(Role, Department)
        .join(Department, Department.id == Role.department_id)
        .where(Department.head_id == person.id)
        .order_by(Role.title)
    )
    return roles + [
        Held(f"roles:{role.code}", role.title, f"с отделом «{at.name}»", follows=f"departments:{at.id}")
        for role, at in session.execute(followed)
    ]


def _others(session: Session, role: Role, person: Person) -> str:
    others = sum(1 for one in holders(session, role.code) if one != person.id)
    return f"держат и другие: {others}" if others else "больше никто не держит"


def _deals(session: Session, person: Person) -> list[Held]:
    wanted = (
        select(Deal, Stage.title)
        .join(Stage, Stage.id == Deal.stage_id)
        .where(Deal.responsible_id == person.id, Deal.closed_at.is_(None))
        .order_by(Deal.id)
    )
    return [
        Held(f"deals:{one.id}", one.title, stage, f"/backoffice/deals/{one.id}", case_id=one.case_id)
        for one, stage in session.execute(wanted)
    ]


def _fields(session: Session, person: Person) -> list[Held]:
    rows = session.execute(text(query_text("staff/field_holdings")), {"person": person.id})
    return [
        Held(
            f"fields:{one.deal_id}.{one.code}", one.field_title, one.title, f"/backoffice/deals/{one.deal_id}",
            case_id=one.case_id,
        )
        for one in rows
    ]  # fmt: skip


def _requests(session: Session, person: Person) -> list[Held]:
    rows = session.execute(text(query_text("staff/request_holdings")), {"person": person.id})
    return [
        Held(
            f"requests:{one.case_id}", one.title, link=f"/backoffice/requests/{one.case_id}", case_id=one.case_id
        )
        for one in rows
    ]  # fmt: skip


def _approvals(session: Session, person: Person) -> list[Held]:
    """Return the seats; one that lies with him by its address (a head, a responsible) goes where that address goes."""
    rows = session.execute(text(query_text("staff/seat_holdings")), {"key": f"person:{person.id}"})
    return [
        Held(
            f"approvals:{one.id}", one.title, one.seat_title, f"/backoffice/approvals/{one.approval_id}", one.due_at,
            one.case_id, None if one.named else "address",
            barred=frozenset({one.initiator_id} if one.initiator_id is not None else ()),
        )
        for one in rows
    ]  # fmt: skip


def _companies(session: Session, person: Person) -> list[Held]:
    wanted = select(Company).where(Company.responsible_id == person.id).order_by(Company.id)
    return [
        Held(f"companies:{one.id}", one.name, f"ИНН {one.inn}" if one.inn else "", f"/backoffice/companies/{one.id}")
        for one in session.scalars(wanted)
    ]


def _absences(session: Session, person: Person, now: datetime) -> list[Held]:
    """Return the absences in which he stands in for others; that of a person who has left needs nobody."""
    wanted = (
        select(Absence, Person)
        .join(Person, Person.id == Absence.person_id)
        .where(Absence.substitute_id == person.id, Absence.cancelled_at.is_(None), Absence.ends_at > now, Person.active)
        .order_by(Absence.begins_at, Absence.id)
    )
    return [
        Held(
            f"absences:{one.id}", f"Замещает {absent.for_whom.removeprefix('за ')}",
            f"{one.begins_at:%d.%m.%Y} – {one.ends_at:%d.%m.%Y}", barred=frozenset({one.person_id}),
        )
        for one, absent in session.execute(wanted)
    ]  # fmt: skip


def _tasks(session: Session, person: Person, found: Mapping[str, list[Held]]) -> list[Held]:
    """Return the open tasks; those that go along with a role, a deal, a field or a department say with which."""
    wanted = (
        select(Task, ProcessCase.title, Deal.id)
        .join(ProcessCase, ProcessCase.id == Task.case_id)
        .outerjoin(Deal, Deal.case_id == Task.case_id)
        .where(Task.executor_id == person.id, Task.state == "open")
        .order_by(Task.due_at.asc().nulls_last(), Task.id)
    )
    of_roles = _tasks_of_roles(session, person, found["roles"])
    cases = {one.case_id: one.key for group in ("deals", "requests") for one in found[group]}
    fields = {one.key for one in found["fields"]}
    items = []
    for task, case_title, deal_id in session.execute(wanted):
        first = settled(session, task.addressed_to).partition("|")[0]
        in_field = f"fields:{deal_id}.{first.removeprefix('field:')}" if first.startswith("field:") else ""
        follows = of_roles.get(task.id) or (in_field if in_field in fields else None)
        if first == "responsible":
            follows = cases.get(task.case_id)
        if first == "head" and found["departments"]:
            follows = found["departments"][0].key
        held = Held(
            f"tasks:{task.id}", task.title, case_title, f"/backoffice/tasks/{task.id}", task.due_at, task.case_id
        )
        items.append(replace(held, follows=follows))
    return items


def _tasks_of_roles(session: Session, person: Person, roles: list[Held]) -> dict[int, str]:
    followed: dict[int, str] = {}
    for one in roles:
        present = [other for other in holders(session, one.id) if other != person.id]
        followed |= {task: one.follows or one.key for _, task in stray_tasks(session, one.id, present)}
    return followed


def _active(session: Session, person_id: int | None) -> int | None:
    person = session.get(Person, person_id) if person_id is not None else None
    return person.id if person is not None and person.active else None
