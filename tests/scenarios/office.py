"""One running back office for all scenarios: an installation, its people, and the JSON API as each of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from sqlalchemy import create_engine, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from include.deals.models import DealField, Funnel, Stage
from include.installation.installation import Installation
from include.shared.work import transaction
from include.staff import admin

START_OF_TIME = datetime(2000, 1, 1, tzinfo=UTC)
PASSWORD = "scenario-2026"
PROBE_STAGES = (
    "Не обработан", "Оплата", "Даты", "Ожидание", "Авто", "Подтверждение", "Данные", "Повтор", "Цепочка", "Кворум",
    "Конец", "Сделка проиграна",
)  # fmt: skip


@dataclass
class Office:
    """Drives the product as its users do: through the JSON API, each with his own login."""

    installation: Installation
    people: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.engine = create_engine(self.installation.backoffice_database_url, pool_pre_ping=True)
        self.airflow_engine = create_engine(self.installation.airflow_database_url, pool_pre_ping=True)
        self.http = requests.Session()
        self.http.trust_env = False

    def call(
        self,
        who: str,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        expect: int = 0,
        headers: dict[str, str] | None = None,
        file: tuple[str, bytes] | None = None,
    ) -> Any:
        """Call the API as a person; an answer of another status than ``expect`` (0: any 2xx) fails the test."""
        answer = self.request(who, method, path, body, headers, file)
        fits = answer.status_code == expect if expect else answer.status_code < 300
        assert fits, f"{who} {method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content else None

    def request(
        self, who: str, method: str, path: str, body: Any, headers: Any, file: Any, *, timeout: float = 600
    ) -> requests.Response:
        """Ask the API as a person and return its answer, whatever it is."""
        return self.http.request(
            method,
            f"{self.installation.base_url}{path if path.startswith('/api/v2') else '/backoffice/api' + path}",
            json=body,
            files={"file": file} if file is not None else None,
            headers={"authorization": f"Bearer {self.tokens[who]}", **(headers or {})},
            timeout=timeout,
        )

    def now(self) -> datetime:
        """Return the office's virtual time."""
        return datetime.fromisoformat(self.call("admin", "GET", "/clock")["now"])

    def advance(self, to: datetime | None = None) -> list[dict[str, Any]]:
        """Advance the clock (without a moment: only until all is quiet); returns the moments stopped at."""
        body = {"to": max(to or START_OF_TIME, self.now() + timedelta(seconds=1)).isoformat()}
        moments: list[dict[str, Any]] = self.call("admin", "POST", "/clock/advance", body)["moments"]
        return moments

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """Read the business database."""
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(query), values).mappings()]

    def airflow_rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """Read Airflow's database."""
        with self.airflow_engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(query), values).mappings()]

    def new_deal(self, who: str, title: str, funnel: str, responsible: str, **fields: Any) -> dict[str, Any]:
        """Create a deal through the API; returns ``{id, case_id}``."""
        body = {"title": title, "funnel": funnel, "responsible_id": self.people[responsible], "fields": fields or None}
        made = self.call(who, "POST", "/deals", body)
        return self.rows("SELECT id, case_id FROM deal WHERE id = :id", id=made["id"])[0]

    def open_tasks(self, case_id: int) -> list[dict[str, Any]]:
        """Return the case's open tasks."""
        return self.rows("SELECT * FROM task WHERE case_id = :case AND state = 'open' ORDER BY id", case=case_id)

    def claim(self) -> None:
        """Make this office's database the one that services called from here use."""
        os.environ["BACKOFFICE_DATABASE_URL"] = self.installation.backoffice_database_url
        os.environ["BACKOFFICE_CLOCK"] = self.installation.clock

    def settle(self) -> None:
        """Make a small company: sales with Соколов over Иванова and Петров, a product manager, an accountant, ops."""
        self.claim()
        with transaction() as work:
            top = admin.add_department(work, "Дирекция")
            sales = admin.add_department(work, "Продажи", parent_id=top.id)
            books = admin.add_department(work, "Бухгалтерия", parent_id=top.id)
            staff = {
                "Лемешев": (top, "staff"), "Соколов": (sales, "staff"), "Иванова": (sales, "staff"),
                "Петров": (sales, "staff"), "Орлов": (top, "staff"), "Белова": (books, "staff"),
                "Зайцева": (top, "staff"), "Крылов": (top, "staff"),
                "admin": (top, "admin"), "ops": (top, "ops"),
            }  # fmt: skip
            for name, (department, access) in staff.items():
                person = admin.add_person(
                    work, last_name=name, first_name="Анна", middle_name="Павловна", department_id=department.id
                )
                admin.set_account(work, person.id, login_of(name), PASSWORD, access)
                self.people[name] = person.id
            admin.set_head(work, top.id, self.people["Лемешев"])
            admin.set_head(work, sales.id, self.people["Соколов"])
            for role, name in (
                ("director", "Лемешев"), ("product_manager", "Орлов"), ("accountant", "Белова"),
                ("head", "Соколов"), ("manager", "Иванова"), ("manager", "Петров"),
                ("contract_approver", "Зайцева"),
            ):  # fmt: skip
                admin.give_role(work, role, self.people[name])
            _probe_funnel(work.session)
        # logins are Latin; the office calls people by their Russian names
        for name in list(self.people):
            answer = self.http.post(
                f"{self.installation.base_url}/backoffice/api/session",
                json={"login": login_of(name), "password": PASSWORD},
                timeout=60,
            )
            assert answer.ok, answer.text
            self.tokens[name] = answer.json()["token"]


_LATIN = {
    "Лемешев": "lemeshev", "Соколов": "sokolov", "Иванова": "ivanova", "Петров": "petrov", "Орлов": "orlov",
    "Белова": "belova", "Зайцева": "zaitseva", "Крылов": "krylov",
}  # fmt: skip


def login_of(name: str) -> str:
    """Return the login of a person of the office."""
    return _LATIN.get(name, name)


def _probe_funnel(session: Session) -> None:
    session.add(Funnel(code="probe", title="Проба", position=99))
    session.flush()
    for position, title in enumerate(PROBE_STAGES):
        kind = {"Конец": "won", "Сделка проиграна": "lost"}.get(title, "open")
        session.add(Stage(funnel_code="probe", code=f"probe_{position}", title=title, position=position, kind=kind))
    # fields of one direction only are opened to the probe funnel as well
    for code in ("emergency", "ready_on", "track_number", "product_manager"):
        known = session.get(DealField, code)
        if known is not None:
            known.funnel_code = None
    session.execute(
        insert(DealField)
        .values(code="emergency", title="Экстренный случай", kind="bool", position=1)
        .on_conflict_do_nothing()
    )
