"""Use cases of roles: who holds them, given anew with the open work (R001-16, -17), taken from the structure (-18)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, exists, literal, or_, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from include.approvals.models import ApprovalSeat
from include.approvals.people import waiting_for_role
from include.process.models import ProcessInstance, ProcessScheme
from include.shared.errors import Conflict, InvalidInput
from include.shared.models import Setting
from include.shared.reference_event import reference_changed
from include.shared.work import Work
from include.staff import structure
from include.staff.checks import active_person, begin, clean_name, clean_role_code, department_of, role_of
from include.staff.models import Department, Person, Role, RoleHolder
from include.staff.services import holders, names, person_of
from include.tasks.models import Task

FOLLOWS = "Роль «{role}» берётся из структуры: её держит руководитель отдела «{department}». Меняйте его там."


@dataclass(frozen=True)
class Remapped:
    """What happened when a role was given anew: open tasks that went along, that stayed, approvals it decides now."""

    moved: int
    kept: int
    approvals: int


@dataclass(frozen=True)
class Remapping:
    """What a new mapping of a role would move: its open tasks as (case, task), and the approvals waiting for it."""

    tasks: list[tuple[int, int]]
    approvals: list[int]


def add_role(work: Work, code: str, title: str) -> Role:
    """Add a role that processes may address work to."""
    begin(work)
    code, title = clean_role_code(code), _free_title(work, title, None)
    if work.session.get(Role, code) is not None:
        msg = f"Роль с кодом «{code}» уже есть."
        raise InvalidInput(msg, "code")
    role = Role(code=code, title=title)
    work.session.add(role)
    work.session.flush()
    work.audit("role.added", f"Создана роль «{title}»", entity="role", after={"code": code, "title": title})
    reference_changed(work, "role", code)
    return role


def rename_role(work: Work, code: str, title: str) -> Role:
    """Give a role another title; its code, which processes know, stays."""
    begin(work)
    role = role_of(work, code)
    title = _free_title(work, title, code)
    if role.title == title:
        return role
    before, role.title = role.title, title
    work.audit(
        "role.renamed", f"Роль «{before}» теперь называется «{title}»", entity="role", before={"title": before},
        after={"code": code, "title": title},
    )  # fmt: skip
    reference_changed(work, "role", code)
    return role


def delete_role(work: Work, code: str) -> None:
    """Delete a role that nobody holds and nothing is addressed to."""
    begin(work)
    role = role_of(work, code)
    used = _uses(work.session, role)
    if used:
        msg = f"Роль «{role.title}» используется: {', '.join(used)}. Сначала освободите её."
        raise Conflict(msg)
    work.session.delete(role)
    work.audit(
        "role.deleted", f"Роль «{role.title}» удалена", entity="role", before={"code": code, "title": role.title}
    )
    reference_changed(work, "role", code)
    work.session.flush()


def give_role(work: Work, role_code: str, person_id: int) -> None:
    """Give a role to an active person; given twice, it is held once. Work that nobody of the role had goes to him."""
    begin(work)
    role, person = role_of(work, role_code), active_person(work, person_id)
    _require_own(work, role)
    if work.session.get(RoleHolder, (role.code, person.id)) is not None:
        return
    _give(work, role, person)
    structure.holders_changed(work, role.code, person.id)


def take_role(work: Work, role_code: str, person_id: int) -> None:
    """Take a role away; its open tasks go to another holder at once, without one they stay and wait for the next.

    A role that the person does not hold is taken without trace.
    """
    begin(work)
    role, person = role_of(work, role_code), person_of(work.session, person_id)
    _require_own(work, role)
    held = work.session.get(RoleHolder, (role.code, person.id))
    if held is None:
        return
    _take(work, role, person, held)
    structure.holders_changed(work, role.code)


def preview_remap(session: Session, role_code: str, from_person_id: int, to_person_id: int | None) -> Remapping:
    """Return the open tasks and approvals that a new mapping of the role would move (R001-17: shown first)."""
    present = {*holders(session, role_code)} - {from_person_id} | ({to_person_id} if to_person_id else set())
    return Remapping(structure.stray_tasks(session, role_code, present), waiting_for_role(session, role_code))


def remap_role(
    work: Work, role_code: str, from_person_id: int, to_person_id: int, *, move_open: bool = True, reason: str = ""
) -> Remapped:
    """Take a role from one person and give it to another: new and, by default, open work goes to him (R001-17).

    With ``move_open`` False the former holder finishes the tasks he has: they are his own from now on. Approvals that
    wait for the role are decided by its holders in any case.
    """
    begin(work)
    role, to = role_of(work, role_code), active_person(work, to_person_id, "to_person_id")
    _require_own(work, role)
    former = person_of(work.session, from_person_id)
    held = work.session.get(RoleHolder, (role.code, former.id))
    if held is None or former.id == to.id:
        msg = f"{former.short_name} не держит роль «{role.title}». Обновите страницу."
        raise Conflict(msg)
    kept = 0 if move_open else _keep_open(work, role, former)
    _take(work, role, former, held)
    if work.session.get(RoleHolder, (role.code, to.id)) is None:
        _give(work, role, to)
    moved = structure.holders_changed(work, role.code, to.id, reason or None)
    return Remapped(moved, kept, len(waiting_for_role(work.session, role.code)))


def set_role_source(work: Work, role_code: str, department_id: int | None) -> Role:
    """Let a role follow the head of a department (R001-18), or be given by hand again (its holder keeps it)."""
    begin(work)
    role = role_of(work, role_code)
    if role.department_id == department_id:
        return role
    department = department_of(work, department_id) if department_id is not None else None
    before, present = role.department_id, holders(work.session, role.code)
    work.session.execute(delete(RoleHolder).where(RoleHolder.role_code == role.code))
    work.session.expire_all()
    role.department_id = department_id
    if department is None:
        work.session.add_all(RoleHolder(role_code=role.code, person_id=one) for one in present)
    said = f"берётся из структуры: руководитель отдела «{department.name}»" if department else "назначается вручную"
    work.audit(
        "role.source_changed", f"Роль «{role.title}» {said}", entity="role",
        before={"department": before, "holders": present}, after={"role": role.code, "department": department_id},
    )  # fmt: skip
    reference_changed(work, "role", role.code)
    structure.holders_changed(work, role.code)
    return role


def _give(work: Work, role: Role, person: Person) -> None:
    work.session.add(RoleHolder(role_code=role.code, person_id=person.id))
    work.audit(
        "role.given", f"Роль «{role.title}» дана: {person.short_name}", entity="person", entity_id=person.id,
        after={"role": role.code},
    )  # fmt: skip
    reference_changed(work, "role", role.code)
    work.session.flush()


def _take(work: Work, role: Role, person: Person, held: RoleHolder) -> None:
    work.session.delete(held)
    work.audit(
        "role.taken", f"Роль «{role.title}» снята: {person.short_name}", entity="person", entity_id=person.id,
        before={"role": role.code},
    )  # fmt: skip
    reference_changed(work, "role", role.code)
    work.session.flush()


def _keep_open(work: Work, role: Role, former: Person) -> int:
    """Make the role's open tasks of a former holder his own, so that they follow the role no more."""
    present = [one for one in holders(work.session, role.code) if one != former.id]
    work.lock_cases(case for case, _ in structure.stray_tasks(work.session, role.code, present))
    stray = [task for _, task in structure.stray_tasks(work.session, role.code, present)]
    tasks = work.session.scalars(
        select(Task)
        .where(Task.id.in_(stray), Task.executor_id == former.id)
        .order_by(Task.id)
        .execution_options(populate_existing=True)
    ).all()
    for task in tasks:
        task.addressed_to = f"person:{former.id}"
        work.audit(
            "task.kept", f"Задача «{task.title}» остаётся: {former.short_name} (роль «{role.title}» передана)",
            entity="task", entity_id=task.id, case_id=task.case_id,
        )  # fmt: skip
    work.session.flush()
    return len(tasks)


def _require_own(work: Work, role: Role) -> None:
    if role.department_id is not None:
        department = work.session.get_one(Department, role.department_id)
        raise Conflict(FOLLOWS.format(role=role.title, department=department.name))


def _free_title(work: Work, title: str, code: str | None) -> str:
    title = clean_name(title, "Название роли", "title")
    other = work.session.scalars(select(Role).where(Role.title == title)).first()
    if other is not None and other.code != code:
        msg = f"Роль «{title}» уже есть."
        raise InvalidInput(msg, "title")
    return title


def _uses(session: Session, role: Role) -> list[str]:
    """Return in words what keeps a role from being deleted."""
    address = f"role:{role.code}"
    named = [address, f"{address}|%", f"%|{address}", f"%|{address}|%"]
    found = []
    held = set(session.scalars(select(RoleHolder.person_id).where(RoleHolder.role_code == role.code)))
    if held:
        found.append("её держат " + ", ".join(sorted(names(session, held).values())))
    if role.department_id is not None:
        found.append("она берётся из структуры")
    if session.scalar(
        select(exists().where(or_(*(Task.addressed_to.like(one) for one in named)), Task.state == "open"))
    ):
        found.append("по ней есть открытые задачи")
    asked = or_(*(ApprovalSeat.address.like(one) for one in named))
    if session.scalar(select(exists().where(asked, ApprovalSeat.state.in_(("waiting", "asked"))))):
        found.append("по ней ждут согласования")
    if session.scalar(select(exists().where(Setting.kind == "role", Setting.value == literal(role.code, JSONB)))):
        found.append("её называет настройка")
    return found + _processes(session, address)


def _processes(session: Session, address: str) -> list[str]:
    """Return in words that living processes, as they were declared, address work to the role."""
    live = select(ProcessInstance.scheme_id).where(ProcessInstance.state == "live")
    schemes = select(ProcessScheme).where(ProcessScheme.id.in_(live))
    titles = {one.title for one in session.scalars(schemes) if _mentions(one.body, address)}
    return [f"её зовут процессы: {', '.join(sorted(titles))}"] if titles else []


def _mentions(body: object, address: str) -> bool:
    if isinstance(body, dict):
        return any(_mentions(one, address) for one in body.values())
    if isinstance(body, list):
        return any(_mentions(one, address) for one in body)
    return isinstance(body, str) and address in body.split("|")
