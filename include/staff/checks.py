"""What may be entered about people, departments, roles and logins, and who may change them."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

from sqlalchemy import select, text

from include.shared.errors import Conflict, Forbidden, InvalidInput, NotFound
from include.shared.work import Work
from include.staff.models import Account, Department, Person, Role
from include.staff.services import lock_active, person_of

LONGEST_NAME, LONGEST_EMAIL = 200, 254
SHORTEST_PASSWORD, LONGEST_PASSWORD = 8, 200
_CODE = re.compile(r"[a-z][a-z0-9_]{1,49}")
_LOGIN = re.compile(r"[a-z][a-z0-9._-]{1,31}")
_EMAIL = re.compile(r"[^\s@\x00]+@[^\s@\x00.]+(\.[^\s@\x00.]+)+")
_LOCK = 730_021_001  # changes of staff come one after another: logins stay unique, an administrator is left


def begin(work: Work) -> None:
    """Let only the administrator change staff, one change after another."""
    if work.actor.is_person and work.actor.access != "admin":
        msg = "Отделы, людей, роли и входы меняет только администратор."
        raise Forbidden(msg)
    work.session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def another_administrator(work: Work, person_id: int) -> None:
    """Raise Conflict when this person is the last administrator."""
    left = work.session.scalars(
        select(Account.person_id)
        .join(Person, Person.id == Account.person_id)
        .where(Account.access == "admin", Account.active, Person.active, Account.person_id != person_id)
    ).first()
    if left is None:
        msg = "Это последний администратор: сначала дайте доступ администратора другому сотруднику."
        raise Conflict(msg)


def department_of(work: Work, department_id: int) -> Department:
    """Return a department; NotFound when there is none."""
    department = work.session.get(Department, department_id)
    if department is None:
        msg = f"Отдела № {department_id} нет."
        raise NotFound(msg)
    return department


def role_of(work: Work, code: str) -> Role:
    """Return a role; NotFound when there is none."""
    role = work.session.get(Role, code) if code.isprintable() else None
    if role is None:
        msg = "Такой роли нет."
        raise NotFound(msg)
    return role


def active_person(work: Work, person_id: int, field: str = "person_id") -> Person:
    """Return a person who works here and does not leave before this transaction ends."""
    person = person_of(work.session, person_id)
    if not lock_active(work.session, [person_id]):
        msg = f"{person.short_name} уже не работает."
        raise InvalidInput(msg, field)
    return person


def clean_name(value: str, title: str, field: str, *, required: bool = True) -> str:
    """Return a name with single spaces; InvalidInput for an empty, too long or unreadable one."""
    value = " ".join((value or "").split())
    if required and not value:
        msg = f"Заполните поле «{title}»."
        raise InvalidInput(msg, field)
    if len(value) > LONGEST_NAME or not value.isprintable():
        msg = f"«{title}» – до {LONGEST_NAME} знаков, без служебных."
        raise InvalidInput(msg, field)
    return value


def clean_email(value: str | None) -> str | None:
    """Return an address of e-mail, None for an empty one."""
    value = (value or "").strip()
    if not value:
        return None
    if len(value) > LONGEST_EMAIL or not value.isprintable() or _EMAIL.fullmatch(value) is None:
        msg = "Напишите адрес почты, например ivanova@example.ru."
        raise InvalidInput(msg, "email")
    return value


def clean_time_zone(value: str) -> str:
    """Return the name of a time zone."""
    try:
        return ZoneInfo(value).key
    except (KeyError, OSError, ValueError) as error:  # not known, a folder of zones, not a name at all
        msg = f"Часового пояса «{value[:50]}» нет. Пример: Europe/Samara."
        raise InvalidInput(msg, "time_zone") from error


def clean_login(value: str) -> str:
    """Return a login in small letters."""
    value = (value or "").strip().lower()
    if _LOGIN.fullmatch(value) is None:
        msg = "Имя входа – от 2 до 32 латинских букв, цифр и знаков . _ -, первой стоит буква."
        raise InvalidInput(msg, "login")
    return value


def clean_role_code(value: str) -> str:
    """Return the code of a role, as processes write it."""
    value = (value or "").strip().lower()
    if _CODE.fullmatch(value) is None:
        msg = "Код роли – от 2 до 50 латинских букв, цифр и знаков подчёркивания, первой стоит буква."
        raise InvalidInput(msg, "code")
    return value


def check_new_password(value: str | None, field: str = "password") -> None:
    """Raise InvalidInput unless this may become a password."""
    if value is None or not SHORTEST_PASSWORD <= len(value) <= LONGEST_PASSWORD or not value.isprintable():
        msg = f"Пароль – от {SHORTEST_PASSWORD} до {LONGEST_PASSWORD} знаков, без служебных."
        raise InvalidInput(msg, field)
