"""Who may do what: docs/rights.md says it for every address, and each line is tried as everybody in it.

The addresses are taken from the app itself: one that the table does not name fails, and so does a line without its
address. What is refused must have changed nothing: the whole business database is compared before and after.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text
from starlette.testclient import TestClient

from include.companies import twins
from include.companies.services import create_company
from include.exchange_1c.models import Exchange, Nomenclature
from include.money.allocation import Part
from include.shared.work import PROCESS, reading, transaction
from include.workplace import money_acts
from tests.hostile.conftest import bearer, token_of
from tests.ui import workday
from tests.ui.api.conftest import PASSWORD, forget_guesses
from tests.ui.api.test_routes import guarded_mounts, routes
from tests.ui.conftest import ORIGIN, Desk

pytestmark = pytest.mark.db
TABLE = Path(__file__).resolve().parents[2] / "docs" / "rights.md"
WHO = {  # the columns of the table: whose login stands for them
    "никто": None, "уволенный": "leaver", "чужой отдел": "stranger", "коллега": "colleague", "ответственный": "manager",
    "руководитель": "boss", "сопровождение": "ops", "администратор": "admin", "бухгалтер": "accountant",
}  # fmt: skip
EVERYWHERE = tuple(WHO)[:8]  # the columns of every section; a section may have further ones of WHO
YES, LOGIN, NO, UNSEEN = "да", "вход", "нет", "не видит"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Line:
    """One line of the table: an address, and what each column may."""

    method: str
    path: str
    may: dict[str, str]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


def cells_of(row: str) -> list[str]:
    return [one.strip() for one in row.strip().strip("|").split("|")]


def lines() -> list[Line]:
    found: list[Line] = []
    columns: list[str] = []
    for row in TABLE.read_text(encoding="utf-8").splitlines():
        cells = cells_of(row)
        if cells[0] == "адрес":
            columns = cells[1:]
        address = re.fullmatch(r"`(GET|POST|PUT|PATCH|DELETE) (/\S*)`", cells[0])
        if address is not None:
            found.append(Line(address[1], address[2], dict(zip(columns, cells[1:], strict=True))))
    return found


def addresses(app: FastAPI) -> set[str]:
    """Every method and path of the app, the registers of the administrator among them."""
    of_pages = {(method, one.path) for one in routes(app) for method in one.methods}
    of_registers = {
        (method, f"{mount.path}{one.path}")
        for mount in guarded_mounts(app) for one in mount.routes for method in getattr(one, "methods", None) or ()
    }  # fmt: skip
    return {f"{method} {path}" for method, path in of_pages | of_registers if method not in ("HEAD", "OPTIONS")}


# --- what the calls are about ---


@dataclass
class Things:
    """A deal of the manager with everything that belongs to it; each is made when an address first asks for it."""

    desk: Desk
    made: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        if name not in self.made:
            self.made[name] = getattr(self, f"_{name}")()
        return self.made[name]

    def viewer(self, login: str) -> Any:
        from include.staff.services import viewer

        with reading() as session:
            return viewer(session, login)

    def _deal_id(self) -> int:
        return self.desk.deal(f"Права {next(_numbers)}")

    def _case_of_deal(self) -> int:
        return int(self.desk.one("SELECT case_id FROM deal WHERE id = :id", id=self["deal_id"]))

    def _task_id(self) -> int:
        number = next(_numbers)
        self.desk.company.deals[f"of task {number}"] = self["deal_id"]
        asked = {"fields": [{"code": "act", "title": "Акт", "kind": "file"}]}
        return self.desk.task(f"rights-{number}", f"of task {number}", result_fields=asked)

    def _task_field(self) -> str:
        from include.documents.rules import task_field

        return task_field(self["task_id"])

    def _approval_id(self) -> int:
        from include.approvals import core

        assert self["version_id"]
        with transaction() as work:
            work.lock_case(self["case_of_deal"])
            return core.open_approval(
                work, key=f"rights/{next(_numbers)}", case_id=self["case_of_deal"], instance_id=None, step="approval",
                title="Договор", description="", mode="chain", quorum=None, field="contract_draft",
                fix={"title": "Исправить", "to": "responsible"}, initiator_id=self.desk.company.people["manager"],
                stage_id=None, on_leave="cancel", term={"days": 2}, seats=[core.Seat("Утверждающий", "head")],
            ).id  # fmt: skip

    def _token(self) -> str:
        from include.approvals import services

        boss = self.viewer("boss")
        with transaction(boss.actor) as work:
            return services.make_link(work, boss, self["approval_id"])

    def _older_id(self) -> int:
        return self._upload(b"first")

    def _version_id(self) -> int:
        assert self["older_id"]
        return self._upload(b"second")

    def _upload(self, content: bytes) -> int:
        from include.workplace import files

        return files.upload_to_deal(self.viewer("manager"), self["deal_id"], "contract_draft", "a.txt", content).id

    def _comment_id(self) -> int:
        from include.workplace import talk

        manager = self.viewer("manager")
        with transaction(manager.actor) as work:
            return talk.say_in_deal(work, manager, self["deal_id"], "Слово", [], None).id

    def _notice_id(self) -> int:
        from include.notices.services import notify

        with transaction(PROCESS) as work:
            notify(work, [self.desk.company.people["manager"]], "Новость", key=f"rights/{next(_numbers)}")
        return int(self.desk.one("SELECT max(id) FROM notice"))

    def _absence_id(self) -> int:
        from include.staff import absence

        manager = self.desk.company.people["manager"]
        with transaction(self.desk.company.actor("manager")) as work:
            begins = work.now + timedelta(days=30, hours=next(_numbers))
            return absence.set_absence(work, manager, begins, begins + timedelta(minutes=30), None).id

    def _request_id(self) -> int:
        from include.workplace import services

        manager = self.viewer("manager")
        with transaction(manager.actor) as work:
            return services.submit_form(work, manager, "client_request", request_form(self)).id

    def _role(self) -> str:
        from include.staff import admin

        number = next(_numbers)
        with transaction(self.desk.company.actor("admin")) as work:
            code = admin.add_role(work, f"rights_{number}", f"Роль {number}").code
            admin.give_role(work, code, self.desk.company.people["accountant"])
        return code

    def _event_id(self) -> int:
        assert self["deal_id"]  # it stands on its first stage now, and an event says so
        return int(self.desk.one("SELECT max(id) FROM outbox_event"))

    def _statement_id(self) -> int:
        from tests.db.banking import own_accounts, paying, statement

        own_accounts()
        content = statement(paying(7, f"права {next(_numbers)}"))
        return money_acts.upload(self.viewer("accountant"), "bank", "kl_to_1c.txt", io.BytesIO(content))

    def _payment_id(self) -> int:
        money_acts.load(self.viewer("accountant"), self["statement_id"])
        return int(self.desk.one("SELECT id FROM payment WHERE statement_id = :id", id=self["statement_id"]))

    def _allocation_id(self) -> int:
        parts = [Part(self["deal_id"], Decimal(7))]
        return money_acts.match(self.viewer("accountant"), self["payment_id"], parts).allocations[0].id

    def _invoice_id(self) -> int:
        day = datetime.now(UTC).date()
        return money_acts.record_invoice(
            self.viewer("accountant"), self["deal_id"], number=f"П-{next(_numbers)}", date=day, amount="7",
            organisation="ООО «Мы»",
        ).id  # fmt: skip

    def _account_id(self) -> int:
        from tests.db.banking import own_accounts

        own_accounts()
        return int(self.desk.one("SELECT max(id) FROM own_account"))

    def _line_id(self) -> int:
        from include.workplace import orders

        wanted = {"name": "Насос", "quantity": "1", "price": "7", "vat": "vat20"}
        return orders.add_line(self.viewer("manager"), self["deal_id"], wanted).id

    def _export_id(self) -> int:
        from include.orders import services

        with transaction(self.desk.company.actor("manager")) as work:
            company = create_company(work, "Иванов Пётр", kind="person", request_key="rights").id
        self.desk.change("UPDATE deal SET company_id = :company WHERE id = :id", company=company, id=self["deal_id"])
        assert self["line_id"]
        self.desk.move(self["deal_id"], "Комплектация")
        services.prepare()
        return int(self.desk.one("SELECT id FROM order_export WHERE deal_id = :id", id=self["deal_id"]))

    def _access_id(self) -> int:
        from include.workplace import one_c

        return one_c.add(self.viewer("admin"), f"ut-{next(_numbers)}", "УТ", "").access.id

    def _exchange_id(self) -> int:
        with transaction(PROCESS) as work:
            report = {"exchange": 1, "date": "28.11.2026 02:30", "state": "held", "files": []}
            digest = f"rights-{next(_numbers)}"
            row = Exchange(source="folder", state="held", started_at=work.now, digest=digest, report=report)
            work.session.add(row)
            work.session.flush()
            return row.id

    def _twin_id(self) -> int:
        with transaction(self.desk.company.actor("manager")) as work:
            two = [create_company(work, f"Пара {next(_numbers)}").id for _ in range(2)]
            return twins.ask(work, *two).id

    def _goods_id(self) -> int:
        with transaction(PROCESS) as work:
            key = f"rights-{next(_numbers)}"
            row = Nomenclature(external_id=key, name="Насос", search_key="насос", changed_at=work.now)
            work.session.add(row)
            work.session.flush()
            return row.id

    def _step_id(self) -> int:
        from include.process import engine
        from tests.db.driver import on_stage
        from tests.db.driver import task as asked

        process = on_stage("Не обработан", {"do": asked()})
        engine.begin(self["event_id"], process.id, process.scheme)
        found = "SELECT run_id FROM process_instance WHERE process = :process"
        engine.look(process.id, str(self.desk.one(found, process=process.id)), "do", process.specs["do"])
        return int(self.desk.one("SELECT max(id) FROM step_state"))


def request_form(things: Things) -> dict[str, Any]:
    return {"direction": "Товары", "subject": "Насос", "responsible_id": things.desk.company.people["manager"]}


#: What stands in a path, by its name there; a name that an address gives another meaning has that address before it.
NAMES: dict[str, Callable[[Things], Any]] = {
    **{name: (lambda things, name=name: things[name]) for name in (
        "deal_id", "task_id", "approval_id", "token", "older_id", "version_id", "comment_id", "notice_id", "absence_id",
        "request_id", "event_id", "step_id", "statement_id", "payment_id", "allocation_id", "invoice_id", "account_id",
        "line_id", "export_id", "access_id", "exchange_id", "goods_id", "twin_id",
    )},
    "case_id": lambda things: things["request_id"],
    "company_id": lambda things: things.desk.company.companies["romashka"],
    "person_id": lambda things: things.desk.company.people["manager"],
    "process": lambda _: "client_request",
    "/api/deals/{deal_id}/processes/{process}": lambda _: "contract_approval",
    "/deals/{deal_id}/processes/{process}": lambda _: "contract_approval",
    "role_code": lambda things: things["role"],
    "code": lambda _: "file_limit_mb",
    "field": lambda _: "contract_draft",
    "/tasks/{task_id}/files/{field}": lambda things: things["task_field"],
    "/api/tasks/{task_id}/files/{field}": lambda things: things["task_field"],
    "funnel": lambda things: things.desk.one("SELECT code FROM funnel WHERE title = 'Товары'"),
    "stage": lambda things: things.desk.one(
        "SELECT s.code FROM stage s JOIN funnel f ON f.code = s.funnel_code WHERE f.title = 'Товары' LIMIT 1"
    ),
    "/files/{version_id}/restore": lambda things: things["older_id"] if things["version_id"] else None,
    "/api/files/{version_id}/restore": lambda things: things["older_id"] if things["version_id"] else None,
    "/people/{person_id}/roles/{role_code}": lambda things: things.desk.company.people["accountant"],
    "group": lambda things: "none" if things["task_id"] else "",  # he has a task without a term, nobody else has
    "key": lambda _: "departments",
    "storage": lambda _: "x",
    "path": lambda _: "x",
}  # fmt: skip


def next_days() -> dict[str, str]:
    """A day of absence that nobody has yet, within the year that may be planned."""
    day = (datetime.now(UTC) + timedelta(days=60 + next(_numbers) % 280)).date().isoformat()
    return {"begins_on": day, "ends_on": day}


BOSS = partial(lambda login, things: things.desk.company.people[login], "boss")
DUE = (datetime.now(UTC) + timedelta(days=20)).strftime("%d.%m.%Y %H:%M")
#: What is sent, so that nothing but the right decides; an address that is not here gets nothing.
BODIES: dict[str, Callable[[Things], Any]] = {
    "/api/session": lambda _: {"login": "manager", "password": PASSWORD},
    "/login": lambda _: {"login": "manager", "password": PASSWORD},
    "/api/forms/{process}": request_form,
    "/forms/{process}": request_form,
    "/api/notices/read": lambda _: {},
    "/api/notices/unread": lambda _: {"at": "2026-01-01T00:00:00+03:00"},
    "/api/settings/{code:path}": lambda _: {"value": 25},
    "/api/companies": lambda _: {"name": f"Компания {next(_numbers)}"},
    "/api/deals": lambda _: {"title": "Новая", "funnel": "Товары"},
    "/deals/new": lambda _: {"title": "Новая", "funnel": "Товары"},
    "/api/deals/{deal_id}/fields": lambda _: {"amount": "5"},
    "/deals/{deal_id}/fields": lambda _: {"amount": "5"},
    "/api/deals/{deal_id}/stage": lambda _: {"stage": "Счет/КП"},
    "/deals/{deal_id}/stage": lambda _: {"stage": "Счет/КП", "confirmed": "yes"},
    "/api/deals/{deal_id}/responsible": lambda things: {"person_id": BOSS(things), "reason": "отпуск"},
    "/deals/{deal_id}/responsible": lambda things: {"person_id": BOSS(things), "reason": "отпуск"},
    "/api/tasks/{task_id}/close": lambda _: {"result": {}},
    "/api/tasks/{task_id}/not-yet": lambda _: {"reason": "рано", "next_check": DUE},
    "/tasks/{task_id}/not-yet": lambda _: {"no_reason": "рано", "next_check": DUE},
    "/api/tasks/{task_id}/reopen": lambda _: {"reason": "по ошибке"},
    "/tasks/{task_id}/reopen": lambda _: {"reopen_reason": "по ошибке"},
    "/api/tasks/{task_id}/term": lambda _: {"due": DUE, "reason": "договорились"},
    "/tasks/{task_id}/term": lambda _: {"due": DUE, "reason": "договорились"},
    "/api/tasks/{task_id}/executor": lambda things: {"person_id": BOSS(things), "reason": "отпуск"},
    "/tasks/{task_id}/give": lambda things: {"person_id": BOSS(things), "give_reason": "отпуск"},
    "/api/approvals/{approval_id}/decision": lambda things: {"answer": "approve", "seen_version": things["version_id"]},
    "/approvals/{approval_id}/decision": lambda things: {"answer": "approve", "seen_version": things["version_id"]},
    "/decide/{token}": lambda things: {"answer": "approve", "seen_version": things["version_id"]},
    "/api/deals/{deal_id}/comments": lambda _: {"text": "Слово"},
    "/deals/{deal_id}/comments": lambda _: {"text": "Слово"},
    "/api/people/{person_id}/absences": lambda _: {
        name.replace("_on", "_at"): f"{day}T{hour}:00:00+03:00"
        for hour, (name, day) in zip(("09", "18"), next_days().items(), strict=True)},
    "/api/people/{person_id}/leave": lambda _: {"plan": {}, "reason": "уходит"},
    "/people/{person_id}/leave": lambda _: {"reason": "уходит", "confirmed": "yes"},
    "/api/roles/{role_code}/remap": lambda things: {
        "from_person_id": things.desk.company.people["accountant"], "to_person_id": BOSS(things)},
    "/api/clock/advance": lambda _: {"to": "2001-01-01T00:00:00Z"},
    "/api/clock/jump": lambda _: {"to": "2001-01-01T00:00:00Z"},
    "/me/preferences": lambda _: {"theme": "dark"},
    "/me/password": lambda _: {"old_password": "не тот", "new_password": "x" * 9, "repeated": "x" * 9},
    "/me/absence": lambda _: next_days(),
    "/people/{person_id}/absence": lambda _: next_days(),
    "/files/{version_id}/restore": lambda _: {"confirmed": "yes"},
    "/ops/events/{event_id}/drop": lambda _: {"reason": "лишнее", "confirmed": "yes"},

    "/people/{person_id}/roles/{role_code}": lambda things: {"to_person_id": BOSS(things)},
    "/api/money/payments/{payment_id}/match": lambda things: {
        "parts": [{"deal_id": things["deal_id"], "amount": "7"}]},
    **{f"/api/money/{act}": lambda _: {"reason": "по ошибке"} for act in (
        "payments/{payment_id}/unmatch", "payments/{payment_id}/ignore", "allocations/{allocation_id}/undo",
        "invoices/{invoice_id}/cancel")},
    "/api/money/accounts": lambda _: {
        "account": "40702810477266704262", "bik": "044525225", "bank": "Банк", "organisation": "ООО «Мы»"},
    "/api/money/accounts/{account_id}/state": lambda _: {"active": True},
    "/api/money/invoices/{invoice_id}/attach": lambda things: {"deal_id": things["deal_id"]},
    "/api/money/deals/{deal_id}/invoices/recorded": lambda _: {
        "number": f"З-{next(_numbers)}", "date": "2026-11-20", "amount": "7", "organisation": "ООО «Мы»"},
    "/api/twins": lambda _: {"kept_id": 1, "other_id": 2},
    "/api/exchanges/{exchange_id}/decision": lambda _: {"decision": "keep", "reason": "сверено"},
    "/exchange/{exchange_id}/decide": lambda _: {"decision": "keep", "reason": "сверено", "confirmed": "yes"},
    **{f"{api}/{{exchange_id}}/replace": lambda _: {"reason": "сверено"} for api in ("/api/exchanges", "/exchange")},
    "/api/deals/{deal_id}/lines": lambda _: {"name": "Насос", "quantity": "1", "price": "7"},
    "/api/deals/{deal_id}/lines/{line_id}": lambda _: {"quantity": "2"},
}  # fmt: skip
QUERIES: dict[str, Callable[[Things], dict[str, Any]]] = {
    "/api/companies/similar": lambda _: {"name": "Ромашка"},
    "/api/deals/board": lambda _: {"funnel": "Товары"},
    "/api/roles/{role_code}/remap": lambda things: {"from_person_id": things.desk.company.people["accountant"]},
    "/files/{version_id}/compare": lambda things: {"with": things["older_id"]},
    "/admin/{key}/detail": lambda _: {"pk": 1},
    "/admin/{key}/edit": lambda _: {"pk": 1},
    "/admin/{key}/act": lambda _: {"pk": 1, "name": "x"},
}


def prepare(path: str, things: Things) -> None:
    """Bring about what an act presupposes: a comment that may be brought back, a task that may be opened again."""
    if path.endswith("/comments/{comment_id}/back"):
        things.desk.change("UPDATE comment SET removed_at = now() WHERE id = :id", id=things["comment_id"])
    if path.endswith("/tasks/{task_id}/reopen"):
        with transaction(things.desk.company.actor("manager")) as work:
            from include.tasks import core
            from include.tasks.models import Task

            core.end(work, work.session.get_one(Task, things["task_id"]), "done", None)


def call(client: TestClient, line: Line, things: Things, headers: dict[str, str]) -> Any:
    path = re.sub(r"\{(\w+)(:path)?\}", lambda found: str(value_of(line.path, found[1], things)), line.path)
    body = BODIES[line.path](things) if line.path in BODIES and line.method != "GET" else {}
    sent: dict[str, Any] = {"headers": {"Origin": ORIGIN, **headers}}
    if "/files/{field}" in line.path or re.search("/statements/(bank|sheet)$", line.path):
        sent["files"] = {"file": ("b.txt", io.BytesIO(f"third {next(_numbers)}".encode()))}
    elif line.method != "GET":
        sent |= {"json": body} if line.path.startswith("/api/") else {"data": body}
    if line.path in QUERIES and (line.method == "GET" or line.path.startswith("/admin")):
        sent["params"] = QUERIES[line.path](things)
    client.cookies.clear()
    return client.request(line.method, f"/backoffice{path}", **sent)


def value_of(path: str, name: str, things: Things) -> Any:
    own = NAMES.get(path) if name in ("field", "version_id", "person_id", "process") else None
    return (own or NAMES[name])(things)


def word_of(answer: Any) -> str:
    """Put an answer into the table's words; whatever the business says to a permitted person is «да»."""
    to_login = answer.status_code == 303 and answer.headers["location"].startswith("/backoffice/login")
    has_left = "_token=" in answer.headers.get("set-cookie", "")  # whoever logs out is led there, too
    if answer.status_code == 401 or (to_login and not has_left):
        return LOGIN
    if answer.status_code >= 500:
        return f"сбой {answer.status_code}: {answer.text[:200]}"
    return {403: NO, 404: UNSEEN}.get(answer.status_code, YES)


# --- the proof ---


@pytest.fixture(scope="module")
def app(desk: Desk) -> Iterator[FastAPI]:
    """The app with all its routes, those of the training clock among them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BACKOFFICE_CLOCK", "virtual")
        yield workday.application()


@pytest.fixture(autouse=True)
def _no_airflow(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from backoffice import airflow_api

    monkeypatch.setattr(airflow_api, "create_run", lambda *_, **__: True)


@pytest.fixture(scope="module")
def callers(desk: Desk) -> dict[str, dict[str, str]]:
    """What each column sends; who is dismissed has kept his token."""
    from include.staff import admin

    found = {name: bearer(token_of(login)) if login else {} for name, login in WHO.items()}
    with transaction(desk.company.actor("admin")) as work:
        admin.deactivate_person(work, desk.company.people["leaver"])
    return found


@pytest.fixture(scope="module")
def shared(desk: Desk) -> Things:
    """For whatever only looks, or is refused."""
    return Things(desk)


def test_every_address_stands_in_the_table_and_every_line_has_its_address(app: FastAPI) -> None:
    declared, found = [one.name for one in lines()], addresses(app)
    assert len(declared) == len(set(declared)), "a line stands twice"
    assert sorted(found - set(declared)) == [], f"кому это можно? допишите в {TABLE.name}"
    assert sorted(set(declared) - found) == [], f"таких адресов нет, уберите из {TABLE.name}"
    for one in lines():
        assert set(one.may.values()) <= {YES, LOGIN, NO, UNSEEN}, one.name


def test_the_table_says_who_stands_for_each_column() -> None:
    rows = TABLE.read_text(encoding="utf-8").splitlines()
    told = [cells_of(row)[0] for row in rows[rows.index("| столбец | кто это |") + 2 :] if row.startswith("|")]
    assert told[: len(WHO)] == list(WHO)
    for row in rows:
        if row.startswith("| адрес"):
            columns = cells_of(row)[1:]
            assert tuple(columns[: len(EVERYWHERE)]) == EVERYWHERE, row
            assert set(columns) <= set(WHO), row


@pytest.mark.parametrize("line", lines(), ids=lambda one: one.name)
def test_everybody_may_what_the_table_says_and_nothing_else(
    desk: Desk, app: FastAPI, callers: dict[str, dict[str, str]], shared: Things, line: Line
) -> None:
    from backoffice import auth_manager

    auth_manager.known.forget()
    forget_guesses()
    client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)
    expected = line.may
    found: dict[str, str] = {}
    things = shared if line.method == "GET" else ready(desk, line)
    refused = [name for name, word in expected.items() if word != YES]
    if refused:
        call(client, line, things, callers[refused[0]])  # makes what the calls are about
        before = facts()
        found |= {name: word_of(call(client, line, things, callers[name])) for name in refused}
        assert facts() == before, "what was refused has changed something"
    for name in expected.keys() - set(refused):
        things = shared if line.method == "GET" else ready(desk, line)
        found[name] = word_of(call(client, line, things, callers[name]))
    assert found == expected, shown(line, found)


def ready(desk: Desk, line: Line) -> Things:
    things = Things(desk)
    prepare(line.path, things)
    return things


def shown(line: Line, found: dict[str, str]) -> str:
    return f"\n| `{line.name}` | {' | '.join(found[name] for name in line.may)} |"


def facts() -> dict[str, str]:
    """A digest of each table of the business, but for those that count tries."""
    from include.models import metadata

    wanted = sorted({one.name for one in metadata.sorted_tables} - {"login_attempt", "known_place", "heartbeat"})
    asked = " UNION ALL ".join(
        f"SELECT '{name}', md5(string_agg(one::text, '|' ORDER BY one::text)) FROM \"{name}\" one" for name in wanted
    )
    with reading() as session:
        return {str(name): str(digest) for name, digest in session.execute(text(asked))}
