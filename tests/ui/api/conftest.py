"""A small company in a throw-away database, and clients of the real app behind the real auth manager."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from include.companies.services import create_company
from include.deals import services as deals
from include.deals.models import Deal
from include.process.models import ProcessCase
from include.reference.services import load_reference
from include.shared.work import Actor, transaction
from include.staff import admin
from include.tasks import core
from include.tasks.models import Task
from tests.ui import workday

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.testclient import TestClient

OUR = "http://testserver"
PASSWORD = "correct-horse-7"
PEOPLE = {  # login: last name, department, access, roles
    "boss": ("Паздников", "sales", "staff", ()),
    "manager": ("Иванова", "sales", "staff", ()),
    "colleague": ("Петров", "sales", "staff", ()),
    "taker": ("Сидоров", "sales", "staff", ("manager",)),
    "stranger": ("Гусев", "service", "staff", ()),
    "product": ("Орлов", "service", "staff", ("product_manager",)),
    "accountant": ("Белова", "service", "staff", ("accountant",)),
    "ops": ("Панин", "service", "ops", ()),
    "admin": ("Тихонов", "service", "admin", ()),
    "leaver": ("Бывший", "sales", "staff", ()),
}


@dataclass
class Company:
    """Who and what there is: ids of people by login, of deals and tasks by name."""

    people: dict[str, int] = field(default_factory=dict)
    deals: dict[str, int] = field(default_factory=dict)
    tasks: dict[str, int] = field(default_factory=dict)
    companies: dict[str, int] = field(default_factory=dict)

    def actor(self, login: str) -> Actor:
        return Actor(self.people[login], "person", PEOPLE[login][2])


@pytest.fixture(scope="session")
def airflow_home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="backoffice-airflow-"))
    with workday.airflow_settings(home):
        yield home
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def company(airflow_home: Path) -> Iterator[Company]:
    with workday.database():
        yield _found_company()


@pytest.fixture(scope="session")
def outer_app(company: Company) -> Iterator[FastAPI]:
    os.environ["BACKOFFICE_CLOCK"] = "virtual"  # so that the clock's routes are among the tested ones
    try:
        yield workday.application()
    finally:
        os.environ.pop("BACKOFFICE_CLOCK", None)


@pytest.fixture
def anonymous(outer_app: FastAPI) -> TestClient:
    return client_of(outer_app)


@pytest.fixture(scope="session")
def tokens(outer_app: FastAPI, company: Company) -> dict[str, str]:
    """A token of each person, as the auth manager makes it (logging in is tested apart: slow by intent)."""
    from backoffice.auth_manager import BackofficeUser
    from backoffice.ui.security import token_for

    return {login: token_for(BackofficeUser(username=login, role="STAFF")) for login in PEOPLE}


@pytest.fixture
def as_(outer_app: FastAPI, tokens: dict[str, str]) -> Any:
    """A client of one person's program: ``as_("manager").get("/deals")``, addresses below the API."""

    def make(login: str) -> Api:
        client = client_of(outer_app)
        client.headers["Authorization"] = f"Bearer {tokens[login]}"
        return Api(client)

    return make


@dataclass
class Api:
    """A client whose addresses begin at the API."""

    client: TestClient

    def __getattr__(self, method: str) -> Any:
        def call(path: str, **options: Any) -> Any:
            return self.client.request(method.upper(), f"/backoffice/api{path}", **options)

        return call


def client_of(app: FastAPI) -> TestClient:
    from starlette.testclient import TestClient

    return TestClient(app, base_url=OUR, raise_server_exceptions=False, follow_redirects=False)


def give_task(company: Company, name: str, deal: str, executor: str, **more: Any) -> int:
    """Give a task of a deal directly, without a process."""
    with transaction() as work:
        case_id = work.session.get_one(Deal, company.deals[deal]).case_id
        key = f"test/{name}"
        values = {
            "key": key, "case_id": case_id, "step": name, "topic": name, "title": f"Задача {name}",
            "addressed_to": "responsible", "executor_id": company.people[executor], "created_at": work.now,
            "result_fields": {"fields": []}, "state": "open", **more,
        }  # fmt: skip
        task = core.give(work, Task(**values))
        company.tasks[name] = task.id
        return task.id


def forget_guesses() -> None:
    """Nobody has tried a password or a link yet."""
    with transaction() as work:
        work.session.execute(text("TRUNCATE login_attempt, known_place"))


def case_of(deal_id: int) -> ProcessCase:
    with transaction() as work:
        return work.session.get_one(ProcessCase, work.session.get_one(Deal, deal_id).case_id)


def _found_company() -> Company:
    made = Company()
    with transaction(Actor(kind="system")) as work:
        load_reference(work)
        top = admin.add_department(work, "Компания")
        rooms = {
            "sales": admin.add_department(work, "Отдел продаж", parent_id=top.id).id,
            "service": admin.add_department(work, "Отдел сервиса", parent_id=top.id).id,
        }
        for login, (last, room, access, roles) in PEOPLE.items():
            person = admin.add_person(
                work, last_name=last, first_name="Имя", department_id=rooms[room], post="Сотрудник"
            )
            admin.set_account(work, person.id, login, PASSWORD, access)
            for role in roles:
                admin.give_role(work, role, person.id)
            made.people[login] = person.id
        admin.set_head(work, rooms["sales"], made.people["boss"])
    with transaction(made.actor("manager")) as work:
        one = create_company(work, "ООО «Ромашка»", inn="7707083893", kpp="773601001")
        made.companies["romashka"] = one.id
        for name, funnel, login in (
            ("mine", "Товары", "manager"),
            ("service", "Услуги", "manager"),
            ("guarded", "Товары", "manager"),
        ):
            deal = deals.create_deal(
                work, title=f"Сделка {name}", funnel=funnel, responsible_id=made.people[login], company_id=one.id
            )
            made.deals[name] = deal.id
    return made
