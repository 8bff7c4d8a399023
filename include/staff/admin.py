"""Use cases of the administrator: departments, people, roles and logins.

Each takes the unit of work first and writes its audit; a person must have the administrator's access.
"""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

from sqlalchemy import select, text

from include.shared.errors import Conflict, Forbidden, InvalidInput, NotFound
from include.shared.work import Work
from include.staff.models import Account, Department, Person, Role, RoleHolder
from include.staff.services import hash_password, person_of, wake_unaddressed

ACCESSES = {"staff": "сотрудник", "ops": "сопровождение", "admin": "администратор"}
LONGEST_NAME, LONGEST_EMAIL = 200, 254
SHORTEST_PASSWORD, LONGEST_PASSWORD = 8, 200
_LOGIN = re.compile(r"[a-z][a-z0-9._-]{1,31}")
_EMAIL = re.compile(r"[^\s@\x00]+@[^\s@\x00.]+(\.[^\s@\x00.]+)+")
_LOCK = 730_021_001  # changes of staff come one after another: logins stay unique, an administrator is left


def add_department(work: Work, name: str, *, parent_id: int | None = None) -> Department:
    """Add a department under another one, or at the top."""
    _begin(work)
    name = _name(name, "Название отдела", "name")
    if work.session.scalars(select(Department).where(Department.name == name)).first() is not None:
        msg = f"Отдел «{name}» уже есть."
        raise InvalidInput(msg, "name")
    if parent_id is not None:
        _department(work, parent_id)
    department = Department(name=name, parent_id=parent_id)
    work.session.add(department)
    work.session.flush()
    work.audit(
        "department.added", f"Создан отдел «{name}»", entity="department", entity_id=department.id,
        after={"name": name, "parent": parent_id},
    )  # fmt: skip
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
    _begin(work)
    if department_id is not None:
        _department(work, department_id)
    person = Person(
        last_name=_name(last_name, "Фамилия", "last_name"),
        first_name=_name(first_name, "Имя", "first_name"),
        middle_name=_name(middle_name, "Отчество", "middle_name", required=False),
        post=_name(post, "Должность", "post", required=False),
        email=_email(email),
        time_zone=_time_zone(time_zone),
        department_id=department_id,
        active=True,
    )
    work.session.add(person)
    work.session.flush()
    work.audit(
        "person.added", f"Принят сотрудник {person.short_name}", entity="person", entity_id=person.id,
        after={"name": person.short_name, "post": person.post, "department": department_id},
    )  # fmt: skip
    return person


def set_head(work: Work, department_id: int, person_id: int | None) -> Department:
    """Make an active person the head of a department; without a person the department has no head."""
    _begin(work)
    department = _department(work, department_id)
    head = _active(work, person_id) if person_id is not None else None
    if department.head_id == person_id:
        return department
    before, department.head_id = department.head_id, person_id
    work.audit(
        "department.head_changed",
        f"Руководитель отдела «{department.name}»: {head.short_name if head else 'нет'}",
        entity="department", entity_id=department.id, before={"head": before}, after={"head": person_id},
    )  # fmt: skip
    work.session.flush()
    return department


def give_role(work: Work, role_code: str, person_id: int) -> None:
    """Give a role to an active person; given twice, it is held once."""
    _begin(work)
    role, person = _role(work, role_code), _active(work, person_id)
    if work.session.get(RoleHolder, (role.code, person.id)) is not None:
        return
    work.session.add(RoleHolder(role_code=role.code, person_id=person.id))
    work.audit(
        "role.given", f"Роль «{role.title}» дана: {person.short_name}", entity="person", entity_id=person.id,
        after={"role": role.code},
    )  # fmt: skip
    work.session.flush()
    wake_unaddressed(work)


def take_role(work: Work, role_code: str, person_id: int) -> None:
    """Take a role away; a role that the person does not hold is taken without trace."""
    _begin(work)
    role, person = _role(work, role_code), person_of(work.session, person_id)
    held = work.session.get(RoleHolder, (role.code, person.id))
    if held is None:
        return
    work.session.delete(held)
    work.audit(
        "role.taken", f"Роль «{role.title}» снята: {person.short_name}", entity="person", entity_id=person.id,
        before={"role": role.code},
    )  # fmt: skip
    work.session.flush()


def set_account(work: Work, person_id: int, login: str, password: str | None = None, access: str = "staff") -> Account:
    """Make or change a person's login; without a password the present one stays."""
    _begin(work)
    person, login = _active(work, person_id), _login(login)
    if access not in ACCESSES:
        msg = f"Доступ бывает: {', '.join(ACCESSES.values())}."
        raise InvalidInput(msg, "access")
    taken = work.session.scalars(select(Account).where(Account.login == login)).first()
    if taken is not None and taken.person_id != person.id:
        msg = f"Имя входа «{login}» занято."
        raise InvalidInput(msg, "login")
    account = work.session.get(Account, person.id)
    if password is not None or account is None:
        _check_password(password)
    before = {"login": account.login, "access": account.access, "active": account.active} if account else None
    if account is None:
        account = Account(person_id=person.id, login=login, password_hash="", access=access, active=True)
        work.session.add(account)
    elif account.access == "admin" and access != "admin":
        _another_administrator(work, person.id)
    account.login, account.access, account.active = login, access, True
    if password is not None:
        account.password_hash = hash_password(password)
    work.session.flush()
    after = {"login": login, "access": access, "active": True}
    if before != after or password is not None:
        work.audit(
            "account.set", f"Вход «{login}» ({ACCESSES[access]}): {person.short_name}", entity="person",
            entity_id=person.id, before=before, after={**after, "password_changed": password is not None},
        )  # fmt: skip
    return account


def deactivate_person(work: Work, person_id: int, reason: str = "") -> Person:
    """Let a person go: he receives no more work and cannot log in; his past stays."""
    _begin(work)
    person = person_of(work.session, person_id)
    if not person.active:
        return person
    account = work.session.get(Account, person.id)
    if account is not None and account.active and account.access == "admin":
        _another_administrator(work, person.id)
    reason = _name(reason, "Причина", "reason", required=False)
    person.active = False
    if account is not None:
        account.active = False
    work.audit(
        "person.deactivated", f"Сотрудник {person.short_name} больше не работает", entity="person",
        entity_id=person.id, before={"active": True}, after={"active": False}, reason=reason or None,
    )  # fmt: skip
    work.session.flush()
    return person


def _begin(work: Work) -> None:
    if work.actor.is_person and work.actor.access != "admin":
        msg = "Отделы, людей, роли и входы меняет только администратор."
        raise Forbidden(msg)
    work.session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def _another_administrator(work: Work, person_id: int) -> None:
    left = work.session.scalars(
        select(Account.person_id)
        .join(Person, Person.id == Account.person_id)
        .where(Account.access == "admin", Account.active, Person.active, Account.person_id != person_id)
    ).first()
    if left is None:
        msg = "Это последний администратор: сначала дайте доступ администратора другому сотруднику."
        raise Conflict(msg)


def _department(work: Work, department_id: int) -> Department:
    department = work.session.get(Department, department_id)
    if department is None:
        msg = f"Отдела № {department_id} нет."
        raise NotFound(msg)
    return department


def _role(work: Work, code: str) -> Role:
    role = work.session.get(Role, code) if code.isprintable() else None
    if role is None:
        msg = "Такой роли нет."
        raise NotFound(msg)
    return role


def _active(work: Work, person_id: int) -> Person:
    person = person_of(work.session, person_id)
    if not person.active:
        msg = f"{person.short_name} уже не работает."
        raise InvalidInput(msg, "person_id")
    return person


def _name(value: str, title: str, field: str, *, required: bool = True) -> str:
    value = " ".join((value or "").split())
    if required and not value:
        msg = f"Заполните поле «{title}»."
        raise InvalidInput(msg, field)
    if len(value) > LONGEST_NAME or not value.isprintable():
        msg = f"«{title}» – до {LONGEST_NAME} знаков, без служебных."
        raise InvalidInput(msg, field)
    return value


def _email(value: str | None) -> str | None:
    value = (value or "").strip()
    if not value:
        return None
    if len(value) > LONGEST_EMAIL or not value.isprintable() or _EMAIL.fullmatch(value) is None:
        msg = "Напишите адрес почты, например ivanova@example.ru."
        raise InvalidInput(msg, "email")
    return value


def _time_zone(value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (KeyError, OSError, ValueError) as error:  # not known, a folder of zones, not a name at all
        msg = f"Часового пояса «{value[:50]}» нет. Пример: Europe/Samara."
        raise InvalidInput(msg, "time_zone") from error


def _login(value: str) -> str:
    value = (value or "").strip().lower()
    if _LOGIN.fullmatch(value) is None:
        msg = "Имя входа – от 2 до 32 латинских букв, цифр и знаков . _ -, первой стоит буква."
        raise InvalidInput(msg, "login")
    return value


def _check_password(value: str | None) -> None:
    if value is None or not SHORTEST_PASSWORD <= len(value) <= LONGEST_PASSWORD or not value.isprintable():
        msg = f"Пароль – от {SHORTEST_PASSWORD} до {LONGEST_PASSWORD} знаков, без служебных."
        raise InvalidInput(msg, "password")
