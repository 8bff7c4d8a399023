"""What follows a change of the structure: heads are found anew (AG-4), work of roles goes to its holders (R001-17).

Set-based: a change may concern thousands of cases. Callers are the services of the administrator.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import literal, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from include.approvals import core as approvals
from include.approvals.models import Approval
from include.process.models import ProcessInstance
from include.shared.db import query_text
from include.shared.models import Setting
from include.shared.work import Work
from include.staff.models import Department, Person, Role
from include.staff.services import DIRECTOR, holders, role_title, wake_unaddressed
from include.staff.stand_in import away
from include.tasks import transfer
from include.tasks.models import Task

HEAD_CHANGED = "сменился руководитель"


class Instance(NamedTuple):
    """A live instance with the head found for it and the person he was found for."""

    id: int
    case_id: int
    head_id: int | None
    responsible_id: int | None


def heads_of_all(session: Session) -> dict[int, int | None]:
    """Return the head of every person, as ``services.head_of`` finds him, in three reads."""
    people = {one.id: one for one in session.scalars(select(Person))}
    departments = {one.id: one for one in session.scalars(select(Department))}
    directors = holders(session, DIRECTOR)
    return {one: _head(one, people, departments, directors) for one in people}


def _head(
    person_id: int, people: dict[int, Person], departments: dict[int, Department], directors: list[int]
) -> int | None:
    at, seen = people[person_id].department_id, set[int]()
    while at is not None and at not in seen:
        seen.add(at)
        head = departments[at].head_id
        if head is not None and head != person_id and people[head].active:
            return head
        at = departments[at].parent_id
    return next((one for one in directors if one != person_id), None)


def heads_anew(work: Work, cases: Collection[int] | None = None) -> None:
    """Find the heads of live instances anew; where they changed, their work follows (AG-4)."""
    heads = heads_of_all(work.session)
    seen = _outdated(work.session, heads, cases)
    if not seen:
        return
    work.lock_cases(one.case_id for one in seen)
    outdated = _outdated(work.session, heads, {one.case_id for one in seen})  # as it is under the locks
    found = {one.id: heads[one.responsible_id or 0] for one in outdated}
    before = {one.id: one.head_id for one in outdated}
    changed = _instances(work.session, found)
    for instance in changed:
        instance.head_id = found[instance.id]
        work.touch(instance.case_id)
    work.session.flush()
    open_tasks = work.session.scalars(
        select(Task)
        .where(Task.instance_id.in_(before), Task.state == "open")
        .order_by(Task.id)
        .execution_options(populate_existing=True)
    ).all()
    followed = [(task, found[task.instance_id or 0]) for task in open_tasks]
    moves = [(task, head) for task, head in followed if task.addressed_to == "head" and head is not None]
    transfer.move_many(work, moves, HEAD_CHANGED)
    transfer.lead_many(work, [one for one in followed if one[0].creator_id == before[one[0].instance_id or 0]])
    asked_anew(work, {one.case_id for one in changed})


def asked_anew(work: Work, cases: Collection[int]) -> None:
    """Find anew who decides the open approvals of these cases, which are locked."""
    asked = select(Approval.case_id).where(Approval.case_id.in_(cases), Approval.state == "open").distinct()
    for case_id in work.session.scalars(asked.order_by(Approval.case_id)).all():
        approvals.addresses_changed(work, case_id)


def stray_tasks(session: Session, role_code: str, present: Iterable[int]) -> list[tuple[int, int]]:
    """Return (case, task) of a role's open tasks whose executor is none of ``present``, who hold the role."""
    chosen = select(Setting.code).where(Setting.kind == "role", Setting.value == literal(role_code, JSONB))
    settings = session.scalars(chosen).all()
    parameters = {
        "first": [f"role:{role_code}", *(f"setting:{one}" for one in settings)],
        "fallback": f"role:{role_code}",
        "present": sorted(present),
    }
    return [(row.case_id, row.id) for row in session.execute(text(query_text("staff/role_tasks")), parameters)]


def role_follows(work: Work, role_code: str, to: int | None = None, reason: str | None = None) -> int:
    """Move a role's open tasks that lie with somebody who does not hold it to a holder; returns how many.

    ``to`` is preferred, then a holder who is there today. While nobody holds the role they stay where they are.
    """
    present = holders(work.session, role_code)
    stray = stray_tasks(work.session, role_code, present)
    if not present or not stray:
        return 0
    absent = away(work.session, present, work.now)
    chosen = to if to in present else next((one for one in present if one not in absent), present[0])
    work.lock_cases(case for case, _ in stray)
    still = {task for _, task in stray_tasks(work.session, role_code, present)}  # as it is under the locks
    tasks = _tasks(work, still & {task for _, task in stray})
    why = f"роль «{role_title(work.session, role_code)}»"
    return transfer.move_many(work, [(task, chosen) for task in tasks], why, reason)


def holders_changed(work: Work, role_code: str, to: int | None = None, reason: str | None = None) -> int:
    """Let tasks and approvals of a role follow its holders, and wake the work that had nobody to go to."""
    work.session.flush()
    moved = role_follows(work, role_code, to, reason)
    present = holders(work.session, role_code)
    if present:
        approvals.role_changed(work, role_code, to if to is not None and to in present else present[0])
    if role_code == DIRECTOR:  # who stands above everybody
        heads_anew(work)
    wake_unaddressed(work)
    return moved


def heads_above(session: Session, department_id: int | None) -> list[int]:
    """Return who leads a department and the ones above it."""
    found, seen = [], set[int]()
    while department_id is not None and department_id not in seen:
        seen.add(department_id)
        department = session.get(Department, department_id)
        if department is None:
            break
        found += [department.head_id] if department.head_id is not None else []
        department_id = department.parent_id
    return found


def roles_of_department(session: Session, department_id: int) -> list[str]:
    """Return the roles that follow the head of a department (R001-18)."""
    return list(session.scalars(select(Role.code).where(Role.department_id == department_id).order_by(Role.code)))


def structure_changed(work: Work, *, heads: Iterable[int] = (), departments: Iterable[int] = ()) -> None:
    """Let work follow after heads, parents or people of departments have changed; ``heads`` lead no more."""
    work.session.flush()
    for department_id in departments:
        for role_code in roles_of_department(work.session, department_id):
            holders_changed(work, role_code)
    heads_anew(work)
    approvals.people_changed(work, heads)
    wake_unaddressed(work)


def _outdated(session: Session, heads: dict[int, int | None], cases: Collection[int] | None) -> list[Instance]:
    """Return the live instances whose head is another one by now."""
    wanted = {"cases": sorted(cases) if cases is not None else None}
    rows = session.execute(text(query_text("staff/live_heads")), wanted)
    live = (Instance(*row) for row in rows)
    return [one for one in live if one.responsible_id in heads and heads[one.responsible_id] != one.head_id]


def _instances(session: Session, ids: Collection[int]) -> list[ProcessInstance]:
    wanted = select(ProcessInstance).where(ProcessInstance.id.in_(ids)).order_by(ProcessInstance.id)
    return list(session.scalars(wanted.execution_options(populate_existing=True)))


def _tasks(work: Work, ids: Collection[int]) -> list[Task]:
    wanted = select(Task).where(Task.id.in_(ids), Task.state == "open").order_by(Task.case_id, Task.id)
    return list(work.session.scalars(wanted.execution_options(populate_existing=True)))
