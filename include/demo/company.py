"""The demo company «ЛЕМУС (демо)»: departments, heads, people, roles, logins; none of it exists elsewhere."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from include.reference.services import load_reference
from include.shared.errors import BackofficeError
from include.shared.models import Audit
from include.shared.work import Actor, Work, transaction
from include.staff import admin
from include.staff.absence import set_absence
from include.staff.models import Person

#: The one password of all demo logins; README names it.
DEMO_PASSWORD = "demo-2026"  # noqa: S105 - meant to be known
DEMO = Actor(kind="demo")
COMPANY = "ЛЕМУС (демо)"
_LOCK = 730_021_002


class DemoError(BackofficeError):
    """The demo does not belong into this installation."""


@dataclass(frozen=True)
class Employee:
    """One person of the demo."""

    login: str
    name: str
    post: str
    department: str
    roles: tuple[str, ...] = ()
    access: str = "staff"


#: Department → login of its head; all stand under the company itself, which the director leads.
DEPARTMENTS = {
    "Дирекция": "lemeshev",
    "Отдел продаж (товары)": "sokolov",
    "Отдел сервиса": "morozov",
    "Бухгалтерия": "belova",
    "Склад": "zaitsev",
}

EMPLOYEES = (
    Employee("lemeshev", "Лемешев Андрей Викторович", "Генеральный директор", "Дирекция", ("director",)),
    Employee("kovaleva", "Ковалёва Ольга Николаевна", "Коммерческий директор", "Дирекция", ("contract_approver",)),
    Employee("krylova", "Крылова Татьяна Андреевна", "Офис-менеджер", "Дирекция", ("registrar",)),
    Employee(
        "sokolov",
        "Соколов Дмитрий Игоревич",
        "Руководитель отдела продаж",
        "Отдел продаж (товары)",
        ("head",),
    ),
    Employee("ivanova", "Иванова Мария Сергеевна", "Менеджер по продажам", "Отдел продаж (товары)", ("manager",)),
    Employee("petrov", "Петров Алексей Юрьевич", "Менеджер по продажам", "Отдел продаж (товары)", ("manager",)),
    Employee("orlov", "Орлов Кирилл Андреевич", "Продакт-менеджер", "Отдел продаж (товары)", ("product_manager",)),
    Employee("morozov", "Морозов Сергей Владимирович", "Руководитель отдела сервиса", "Отдел сервиса", ("head",)),
    Employee("nikitin", "Никитин Павел Олегович", "Менеджер по сервису", "Отдел сервиса", ("manager",)),
    Employee("gusev", "Гусев Илья Романович", "Инженер по вибродиагностике", "Отдел сервиса", ("works_executor",)),
    Employee("belova", "Белова Наталья Викторовна", "Главный бухгалтер", "Бухгалтерия", ("accountant", "one_c")),
    Employee("zaitsev", "Зайцев Николай Петрович", "Заведующий складом", "Склад", ("head",)),
    Employee("admin", "Тихонов Роман Евгеньевич", "Администратор", "Дирекция", ("administrator",), "admin"),
    Employee("ops", "Панин Олег Борисович", "Инженер сопровождения", "Дирекция", (), "ops"),
)


def prepare() -> list[str]:
    """Load the demo company and put its 1C files into the exchange, once; says in Russian what was done."""
    if os.environ.get("BACKOFFICE_ENV") == "production":
        msg = "Демо запрещено в рабочей системе: задайте BACKOFFICE_DEMO=no."
        raise DemoError(msg)
    done = []
    with transaction(DEMO) as work:
        work.session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        load_reference(work)
        if not is_marked(work.session, "demo.prepared"):
            _hire(work)
            done.append(f"Компания «{COMPANY}» загружена: сотрудников – {len(EMPLOYEES)}.")
    with transaction(DEMO) as work:
        work.session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        if not is_marked(work.session, "demo.exchange_written"):
            files = _write_exchange()
            mark(work, "demo.exchange_written", f"Демонстрационные файлы обмена 1С записаны: {len(files)}")
            done.append(f"Файлы обмена 1С записаны: {', '.join(one.name for one in files)}.")
    return done or ["Демонстрационная компания уже загружена."]


def is_marked(session: Session, action: str) -> bool:
    """Say whether this part of the demo has been done; the mark is its audit row."""
    return session.scalar(select(Audit.id).where(Audit.entity == "demo", Audit.action == action).limit(1)) is not None


def mark(work: Work, action: str, says: str) -> None:
    """Record that a part of the demo has been done."""
    work.audit(action, says, entity="demo")


def _hire(work: Work) -> None:
    if work.session.scalar(select(Person.id).limit(1)) is not None:
        msg = "В базе уже есть сотрудники, но не из демо: задайте BACKOFFICE_DEMO=no."
        raise DemoError(msg)
    company = admin.add_department(work, COMPANY)
    departments = {name: admin.add_department(work, name, parent_id=company.id).id for name in DEPARTMENTS}
    people: dict[str, int] = {}
    for one in EMPLOYEES:
        last, first, middle = one.name.split()
        person = admin.add_person(
            work,
            last_name=last,
            first_name=first,
            middle_name=middle,
            post=one.post,
            email=f"{one.login}@example.ru",
            department_id=departments[one.department],
        )
        people[one.login] = person.id
        for role in one.roles:
            admin.give_role(work, role, person.id)
        admin.set_account(work, person.id, one.login, DEMO_PASSWORD, one.access)
    admin.set_head(work, company.id, people["lemeshev"])
    for name, login in DEPARTMENTS.items():
        admin.set_head(work, departments[name], people[login])
    set_absence(
        work, people["orlov"], work.now + timedelta(days=2), work.now + timedelta(days=9), people["petrov"], "отпуск"
    )
    mark(work, "demo.prepared", f"Загружена демонстрационная компания «{COMPANY}»")


def _write_exchange() -> list[Path]:
    from include.demo.exchange import write_demo_exchange  # noqa: PLC0415 - only the first load needs it

    home = os.environ.get("BACKOFFICE_HOME")
    if not home:
        msg = "Не задана папка данных BACKOFFICE_HOME. Запускайте через make up."
        raise DemoError(msg)
    folder = Path(home) / "exchange" / "1c" / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    return write_demo_exchange(folder)
