"""Use cases of the administrator: departments, people and logins (roles stand in ``roles``).

Each takes the unit of work first, writes its audit and says that reference data has changed; a person must have the
administrator's access.
"""

from __future__ import annotations

from sqlalchemy import func, select

from include.shared.errors import Conflict, InvalidInput
from include.shared.reference_event import reference_changed
from include.shared.work import Work
from include.staff import structure
from include.staff.checks import (
    active_person,
    another_administrator,
    begin,
    check_new_password,
    clean_email,
    clean_login,
    clean_name,
    clean_time_zone,
    department_of,
)
from include.staff.models import Account, Department, Person, Role
from include.staff.roles import (
    add_role,
    delete_role,
    give_role,
    preview_remap,
    remap_role,
    rename_role,
    set_role_source,
    take_role,
)
from include.staff.services import hash_password, person_of

ACCESSES = {"staff": "сотрудник", "ops": "сопровождение", "admin": "администратор"}
PERSON_FIELDS = {"last_name": "Фамилия", "first_name": "Имя", "middle_name": "Отчество", "post": "Должность"}


def add_department(work: Work, name: str, *, parent_id: int | None = None) -> Department:
    """Add a department under another one, or at the top."""
    begin(work)
    name = _free_name(work, name, None)
    if parent_id is not None:
        department_of(work, parent_id)
    department = Department(name=name, parent_id=parent_id)
    work.session.add(department)
    work.session.flush()
    work.audit(
        "department.added", f"Создан отдел «{name}»", entity="department", entity_id=department.id,
        after={"name": name, "parent": parent_id},
    )  # fmt: skip
    reference_changed(work, "department", department.id)
    return department


def rename_department(work: Work, department_id: int, name: str) -> Department:
    """Give a department another name."""
    begin(work)
    department = department_of(work, department_id)
    name = _free_name(work, name, department_id)
    if department.name == name:
        return department
    before, department.name = department.name, name
    work.audit(
        "department.renamed", f"Отдел «{before}» теперь называется «{name}»", entity="department",
        entity_id=department.id, before={"name": before}, after={"name": name},
    )  # fmt: skip
    reference_changed(work, "department", department.id)
    return department


def move_department(work: Work, department_id: int, parent_id: int | None) -> Department:
    """Put a department under another one; heads are found anew (AG-4)."""
    begin(work)
    department = department_of(work, department_id)
    if department.parent_id == parent_id:
        return department
    above = department_of(work, parent_id) if parent_id is not None else None
    if above is not None and department.id in _chain(work, above):
        msg = f"Отдел «{above.name}» сам входит в «{department.name}». Выберите другой."
        raise InvalidInput(msg, "parent_id")
    before, department.parent_id = department.parent_id, parent_id
    work.audit(
        "department.moved", f"Отдел «{department.name}» теперь в {f'«{above.name}»' if above else 'компании'}",
        entity="department", entity_id=department.id, before={"parent": before}, after={"parent": parent_id},
    )  # fmt: skip
    reference_changed(work, "department", department.id)
    structure.structure_changed(work, heads=structure.heads_above(work.session, before))
    return department


def delete_department(work: Work, department_id: int) -> None:
    """Delete a department without people, departments below and roles that follow its head."""
    begin(work)
    department = department_of(work, department_id)
    held = {
        "сотрудники": select(func.count()).where(Person.department_id == department_id),
        "отделы внутри": select(func.count()).where(Department.parent_id == department_id),
        "роли из структуры": select(func.count()).where(Role.department_id == department_id),
    }
    found = [f"{what} – {number}" for what, wanted in held.items() if (number := work.session.scalar(wanted))]
    if found:
        msg = f"В отделе «{department.name}» есть: {', '.join(found)}. Сначала переведите их."
        raise Conflict(msg)
    work.session.delete(department)
    work.audit(
        "department.deleted", f"Отдел «{department.name}» удалён", entity="department", entity_id=department_id,
        before={"name": department.name, "parent": department.parent_id},
    )  # fmt: skip
    reference_changed(work, "department", department_id)
    work.session.flush()


def set_head(work: Work, department_id: int, person_id: int | None) -> Department:
    """Make an active person the head of a department; without a person the department has no head.

    Work of the heads and of the roles that follow this department goes to whoever leads now (AG-4, R001-18).
    """
    begin(work)
    department = department_of(work, department_id)
    head = active_person(work, person_id) if person_id is not None else None
    if department.head_id == person_id:
        return department
    before, department.head_id = department.head_id, person_id
    work.audit(
        "department.head_changed",
        f"Руководитель отдела «{department.name}»: {head.short_name if head else 'нет'}",
        entity="department", entity_id=department.id, before={"head": before}, after={"head": person_id},
    )  # fmt: skip
    reference_changed(work, "department", department.id)
    former = [before] if before is not None else structure.heads_above(work.session, department.parent_id)
    structure.structure_changed(work, heads=former, departments=[department.id])
    return department


def add_person(
    work: Work,
    *,
    last_name: str,
    first_name: str,
    middle_name: str = "",
    post: str = "",
    email: str | None = None,
    department_id: int | None = None,
    time_zone: str = "Europe/Moscow",
) -> Person:
    """Add an employee; work can be given to him at once, a login is made apart."""
    begin(work)
    if department_id is not None:
        department_of(work, department_id)
    person = Person(
        last_name=clean_name(last_name, "Фамилия", "last_name"),
        first_name=clean_name(first_name, "Имя", "first_name"),
        middle_name=clean_name(middle_name, "Отчество", "middle_name", required=False),
        post=clean_name(post, "Должность", "post", required=False),
        email=clean_email(email),
        time_zone=clean_time_zone(time_zone),
        department_id=department_id,
        active=True,
    )
    work.session.add(person)
    work.session.flush()
    work.audit(
        "person.added", f"Принят сотрудник {person.short_name}", entity="person", entity_id=person.id,
        after={"name": person.short_name, "post": person.post, "department": department_id},
    )  # fmt: skip
    reference_changed(work, "person", person.id)
    return person


def update_person(
    work: Work,
    person_id: int,
    *,
    last_name: str,
    first_name: str,
    middle_name: str = "",
    post: str = "",
    email: str | None = None,
    department_id: int | None = None,
    time_zone: str = "Europe/Moscow",
) -> Person:
    """Change what is known of an employee; in another department his head is found anew (AG-4)."""
    begin(work)
    person = person_of(work.session, person_id)
    if department_id is not None:
        department_of(work, department_id)
    new = {
        "last_name": clean_name(last_name, "Фамилия", "last_name"),
        "first_name": clean_name(first_name, "Имя", "first_name"),
        "middle_name": clean_name(middle_name, "Отчество", "middle_name", required=False),
        "post": clean_name(post, "Должность", "post", required=False),
        "email": clean_email(email),
        "time_zone": clean_time_zone(time_zone),
        "department_id": department_id,
    }
    before = {name: getattr(person, name) for name in new}
    changed = {name: value for name, value in new.items() if before[name] != value}
    if not changed:
        return person
    for name, value in changed.items():
        setattr(person, name, value)
    work.audit(
        "person.changed", f"Изменены данные сотрудника {person.short_name}", entity="person", entity_id=person.id,
        before={name: before[name] for name in changed}, after=changed,
    )  # fmt: skip
    reference_changed(work, "person", person.id)
    if "department_id" in changed:
        structure.structure_changed(work, heads=structure.heads_above(work.session, before["department_id"]))
    work.session.flush()
    return person


def set_account(work: Work, person_id: int, login: str, password: str | None = None, access: str = "staff") -> Account:
    """Make or change a person's login; without a password the present one stays."""
    begin(work)
    person, login = active_person(work, person_id), clean_login(login)
    if access not in ACCESSES:
        msg = f"Доступ бывает: {', '.join(ACCESSES.values())}."
        raise InvalidInput(msg, "access")
    taken = work.session.scalars(select(Account).where(Account.login == login)).first()
    if taken is not None and taken.person_id != person.id:
        msg = f"Имя входа «{login}» занято."
        raise InvalidInput(msg, "login")
    account = work.session.get(Account, person.id)
    if password is not None or account is None:
        check_new_password(password)
    before = {"login": account.login, "access": account.access, "active": account.active} if account else None
    if account is None:
        account = Account(person_id=person.id, login=login, password_hash="", access=access, active=True)
        work.session.add(account)
    elif account.access == "admin" and access != "admin":
        another_administrator(work, person.id)
    account.login, account.access, account.active = login, access, True
    if password is not None:
        account.password_hash = hash_password(password)
        account.session_version = (account.session_version or 0) + 1  # a new login has none yet
    work.session.flush()
    after = {"login": login, "access": access, "active": True}
    if before != after or password is not None:
        work.audit(
            "account.set", f"Вход «{login}» ({ACCESSES[access]}): {person.short_name}", entity="person",
            entity_id=person.id, before=before, after={**after, "password_changed": password is not None},
        )  # fmt: skip
        reference_changed(work, "account", person.id)
    return account


def deactivate_person(work: Work, person_id: int, reason: str = "") -> Person:
    """Let a person go who holds nothing: he receives no more work and cannot log in; his past stays.

    Whoever holds work leaves by handing it over (``leaver.hand_over``, ★48): Conflict says what he holds and where.
    """
    from include.staff.leaver import hold_still, page  # noqa: PLC0415 - it calls the services of this module

    begin(work)
    person = person_of(work.session, person_id)
    if not person.active:
        return person
    held = hold_still(work, person_id)
    if held.count:
        msg = f"За сотрудником {person.short_name} числится: {held.in_words()}. Передайте это: {page(person_id)}"
        raise Conflict(msg)
    return let_go(work, person, reason)


def let_go(work: Work, person: Person, reason: str = "") -> Person:
    """Close a person's login and make him inactive; whoever calls has moved what he held."""
    account = work.session.get(Account, person.id)
    if account is not None and account.active and account.access == "admin":
        another_administrator(work, person.id)
    reason = clean_name(reason, "Причина", "reason", required=False)
    person.active = False
    if account is not None:
        account.active = False
        account.session_version += 1  # taken back, he logs in anew
    work.audit(
        "person.deactivated", f"Сотрудник {person.short_name} больше не работает", entity="person",
        entity_id=person.id, before={"active": True}, after={"active": False}, reason=reason or None,
    )  # fmt: skip
    reference_changed(work, "person", person.id)
    work.session.flush()
    return person


def activate_person(work: Work, person_id: int, reason: str = "") -> Person:
    """Take a person back: he may receive work again; his login is opened apart (``set_account``)."""
    begin(work)
    person = person_of(work.session, person_id)
    if person.active:
        return person
    reason = clean_name(reason, "Причина", "reason", required=False)
    person.active = True
    work.audit(
        "person.activated", f"Сотрудник {person.short_name} снова работает", entity="person", entity_id=person.id,
        before={"active": False}, after={"active": True}, reason=reason or None,
    )  # fmt: skip
    reference_changed(work, "person", person.id)
    work.session.flush()
    return person


def _free_name(work: Work, name: str, department_id: int | None) -> str:
    name = clean_name(name, "Название отдела", "name")
    other = work.session.scalars(select(Department).where(Department.name == name)).first()
    if other is not None and other.id != department_id:
        msg = f"Отдел «{name}» уже есть."
        raise InvalidInput(msg, "name")
    return name


def _chain(work: Work, department: Department) -> set[int]:
    """Return a department with all above it."""
    seen: set[int] = set()
    at: int | None = department.id
    while at is not None and at not in seen:
        seen.add(at)
        at = department_of(work, at).parent_id
    return seen


__all__ = [
    "ACCESSES",
    "activate_person",
    "add_department",
    "add_person",
    "add_role",
    "check_new_password",
    "deactivate_person",
    "delete_department",
    "delete_role",
    "give_role",
    "let_go",
    "move_department",
    "preview_remap",
    "remap_role",
    "rename_department",
    "rename_role",
    "set_account",
    "set_head",
    "set_role_source",
    "take_role",
    "update_person",
]
