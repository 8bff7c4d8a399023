"""The page of a task and its API: kinds of tasks, rounds, the answer «пока нет», opening again (R001-19, ★11)."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from datetime import datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text
from starlette.testclient import TestClient

from include.approvals.models import Approval
from include.process.rules import after, days
from include.shared.work import reading, transaction
from include.staff import services as staff
from include.tasks import core
from include.tasks.models import Task
from tests.db.driver import MOSCOW, QUOTE, Driver, Process, alarm, hire, notice, on_stage, step, task
from tests.ui import workday

pytestmark = pytest.mark.db
ORIGIN = "http://testserver"
HOSTILE = "<script>alert(1)</script>\"'><img src=x>"
PASSWORD = "correct-horse-7"


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    """A small company whose processes are played without Airflow; its clock stands at the present moment."""
    home = Path(tempfile.mkdtemp(prefix="backoffice-airflow-"))
    with pytest.MonkeyPatch.context() as patch, workday.airflow_settings(home), workday.database():
        patch.setattr(staff, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        made = Driver(hire(), patch)
        made.now = datetime.now(MOSCOW)
        yield made


@pytest.fixture(autouse=True)
def own_cases(driver: Driver) -> None:
    """Each test plays and checks its own cases only."""
    driver.processes, driver.cases = [], set()


@pytest.fixture(scope="module")
def app(driver: Driver) -> Any:
    return workday.application()


class Browser:
    """A browser with somebody logged in."""

    def __init__(self, app: Any, login: str) -> None:
        self.client = TestClient(app, follow_redirects=False)
        answer = self.client.post(
            "/backoffice/login", data={"login": login, "password": PASSWORD}, headers={"Origin": ORIGIN}
        )
        assert answer.status_code == 303, answer.text

    def get(self, path: str) -> Any:
        return self.client.get(f"/backoffice{path}")

    def page(self, path: str) -> str:
        answer = self.get(path)
        assert answer.status_code == 200, words(answer)
        return words(answer)

    def post(self, path: str, **data: str) -> Any:
        token = re.search(r'name="csrf" value="([^"]+)"', self.get("/forms").text)
        assert token is not None
        sent = {"csrf": token.group(1), **{name.replace("__", "."): value for name, value in data.items()}}
        return self.client.post(f"/backoffice{path}", data=sent, headers={"Origin": ORIGIN})

    def api(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Origin": ORIGIN}
        token = re.search(r'name="csrf" value="([^"]+)"', self.get("/forms").text)
        assert token is not None
        headers["X-CSRF-Token"] = token.group(1)
        return self.client.request(method, f"/backoffice/api{path}", json=body, headers=headers)


def words(answer: Any) -> str:
    """The page as it is read: tags away, spaces single."""
    body = re.sub(r"<(script|style).*?</\1>", " ", answer.text, flags=re.S)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)).replace("\u00a0", " "))


@pytest.fixture(scope="module")
def manager(app: Any) -> Browser:
    return Browser(app, "manager")


@pytest.fixture(scope="module")
def boss(app: Any) -> Browser:
    return Browser(app, "boss")


@pytest.fixture(scope="module")
def stranger(app: Any) -> Browser:
    return Browser(app, "engineer")


def begun(driver: Driver, *processes: Process) -> int:
    """A deal of the manager on «Счет/КП» with these processes; returns its id."""
    deal = driver.deal(*processes)
    driver.move(deal, QUOTE)
    return deal


def newest(driver: Driver, title: str) -> Task:
    return [one for one in driver.tasks() if one.title == title][-1]


def asked_to_confirm(driver: Driver, **answers: str) -> Task:
    """A gate: the manager confirms that an invoice was paid."""
    defaults = {"guard": None, "closes_itself": False, "on_leave": "cancel", "reentry": "once", "shared_topic": False,
                "description": "", "to": "responsible", "topic": "Подтвердить оплату", "result": [],
                "due": after(days(1), of="opened")}  # fmt: skip
    confirm = step("Confirm", "Подтвердить оплату", **{**defaults, "answers": answers})
    begun(driver, on_stage(QUOTE, {"paid": confirm, "ship": task("Отгрузить")}))
    return newest(driver, "Подтвердить оплату")


def given(driver: Driver, **more: Any) -> Task:
    """A task of a deal, given directly."""
    deal = driver.deal()
    with transaction() as work:
        values = {
            "key": f"by-hand/{deal}", "case_id": driver.deal_row(deal).case_id, "step": "x", "topic": "x",
            "title": "Ручная", "addressed_to": "responsible", "executor_id": driver.company["manager"],
            "created_at": work.now, "state": "open", "result_fields": {"fields": []}, **more,
        }  # fmt: skip
        return core.give(work, Task(**values))


def scalar(sql: str, **values: Any) -> Any:
    with reading() as session:
        return session.execute(text(sql), values).scalar()


# --- who may come here ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["not-yet", "reopen"])
def test_nobody_acts_without_a_login_or_a_right(app: Any, driver: Driver, stranger: Browser, act: str) -> None:
    of_task = asked_to_confirm(driver)
    nobody = TestClient(app, follow_redirects=False)
    assert nobody.post(f"/backoffice/api/tasks/{of_task.id}/{act}", json={"reason": "x"}).status_code == 401
    page = nobody.post(f"/backoffice/tasks/{of_task.id}/{act}", headers={"Origin": ORIGIN})
    assert page.status_code in (303, 401, 403)
    sent = {"reason": "x", "next_check": "01.12.2027"} if act == "not-yet" else {"reason": "x"}
    assert stranger.api("POST", f"/tasks/{of_task.id}/{act}", sent).status_code == 404, "чужой задачи для него нет"
    assert stranger.post(f"/tasks/{of_task.id}/{act}").status_code == 404
    assert newest(driver, of_task.title).due_at == of_task.due_at


# --- confirmations --------------------------------------------------------------------------------------------------


def test_a_confirmation_has_two_answers_in_its_own_words(driver: Driver, manager: Browser) -> None:
    """R001-19: «оплачен» / «не оплачен»."""
    own = manager.page(f"/tasks/{asked_to_confirm(driver, yes='Оплачен', no='Не оплачен').id}")
    assert "Подтвердите" in own
    assert "Оплачен" in own
    assert "Не оплачен" in own
    plain = manager.page(f"/tasks/{asked_to_confirm(driver).id}")
    assert "Подтвердить" in plain
    assert "Пока нет" in plain


def test_not_yet_keeps_the_gate_shut_until_the_next_check(driver: Driver, manager: Browser) -> None:
    """R001-19: reason and next check date → reminder, the gate stays shut; no timeout passes it."""
    of_task = asked_to_confirm(driver, yes="Оплачен", no="Не оплачен")
    answer = manager.post(f"/tasks/{of_task.id}/not-yet", no_reason="банк молчит", next_check="01.12.2027 12:00")
    assert answer.status_code == 303
    driver.settle()
    shown = manager.page(f"/tasks/{of_task.id}")
    assert "Не оплачен: банк молчит" in shown
    assert "01.12.2027" in shown
    assert newest(driver, of_task.title).state == "open"
    assert "Отгрузить" not in [one.title for one in driver.tasks("open") if one.case_id == of_task.case_id]
    assert manager.post(f"/tasks/{of_task.id}/close").status_code == 303
    driver.settle()
    assert "Отгрузить" in [one.title for one in driver.tasks("open") if one.case_id == of_task.case_id]


def test_not_yet_wants_its_reason_and_a_moment_ahead(driver: Driver, manager: Browser) -> None:
    of_task = asked_to_confirm(driver)
    for sent, says in (
        ({"no_reason": " ", "next_check": "01.12.2027 12:00"}, "Напишите, почему ещё нет."),
        ({"no_reason": "рано", "next_check": "01.12.2020 12:00"}, "должен быть в будущем"),
        ({"no_reason": "рано", "next_check": ""}, "Укажите новый срок."),
        ({"no_reason": "рано", "next_check": "завтра"}, "нужна дата"),
    ):
        answer = manager.post(f"/tasks/{of_task.id}/not-yet", **sent)
        assert answer.status_code == 422
        assert says in words(answer)
    assert newest(driver, of_task.title).due_at == of_task.due_at


def test_only_a_confirmation_is_answered_not_yet(driver: Driver, manager: Browser) -> None:
    of_task = given(driver)
    assert "Пока нет" not in manager.page(f"/tasks/{of_task.id}")
    answer = manager.api("POST", f"/tasks/{of_task.id}/not-yet", {"reason": "рано", "next_check": "01.12.2027 12:00"})
    assert answer.status_code == 409
    assert "только на подтверждение" in answer.json()["error"]


def test_the_api_says_what_the_page_says(driver: Driver, manager: Browser) -> None:
    of_task = asked_to_confirm(driver, yes="Оплачен", no="Не оплачен")
    seen = manager.api("GET", f"/tasks/{of_task.id}").json()
    assert (seen["task"]["kind"], seen["yes"], seen["no"], seen["reopen"]) == ("confirm", "Оплачен", "Не оплачен", None)
    sent = {"reason": "банк молчит", "next_check": "2027-12-01T12:00"}
    seen = manager.api("POST", f"/tasks/{of_task.id}/not-yet", sent).json()
    assert seen["term_changes"][-1]["reason"] == "Не оплачен: банк молчит"
    assert seen["task"]["state"] == "open"


# --- the other kinds ------------------------------------------------------------------------------------------------


def test_a_form_asks_to_be_filled(driver: Driver, manager: Browser) -> None:
    fields = [{"code": "n", "title": "Номер накладной", "kind": "text", "required": True}]
    shown = manager.page(f"/tasks/{given(driver, kind='form', result_fields={'fields': fields}).id}")
    assert "Заполните данные" in shown
    assert "Номер накладной" in shown
    assert "Отправить" in shown


def test_a_fix_shows_the_remark_and_its_approval(driver: Driver, manager: Browser) -> None:
    """R002-65: the remark stands in the task, with the way to the approval."""
    deal = driver.deal()
    case_id = driver.deal_row(deal).case_id
    with transaction() as work:
        approval = Approval(key=f"a/{deal}", case_id=case_id, step="x", title="Договор", term={}, created_at=work.now)
        work.session.add(approval)
        work.session.flush()
    of_task = given(driver, kind="fix", approval_id=approval.id, round=3, description=f"Круг 3.\nНе тот ИНН {HOSTILE}")
    answer = manager.get(f"/tasks/{of_task.id}")
    assert "Устранить замечания" in words(answer)
    assert "Не тот ИНН" in words(answer)
    assert f'href="/backoffice/approvals/{approval.id}"' in answer.text
    assert "круг 3" in words(answer)
    assert HOSTILE not in answer.text
    assert "Замечания устранены" in words(answer)


def test_rounds_are_said_in_lists_and_on_the_card(driver: Driver, manager: Browser) -> None:
    of_task = given(driver, round=2, title="Вторая попытка")
    deal = scalar("SELECT id FROM deal WHERE case_id = :case", case=of_task.case_id)
    assert "Вторая попытка · круг 2" in manager.page(f"/deals/{deal}")
    assert "Вторая попытка · круг 2" in manager.page("/")
    rows = manager.api("GET", f"/tasks?scope=case&case_id={of_task.case_id}").json()["items"]
    assert [(one["kind"], one["round"]) for one in rows] == [("task", 2)]


def test_only_a_guarded_task_is_said_to_close_by_a_condition(driver: Driver, manager: Browser) -> None:
    plain, guarded = given(driver), given(driver, guard={"filled": "track_number"})
    for of_task, is_guarded in ((plain, False), (guarded, True)):
        assert ("закрывается по условию" in manager.page(f"/tasks/{of_task.id}")) == is_guarded
        assert manager.api("GET", f"/tasks/{of_task.id}").json()["task"]["guarded"] is is_guarded


# --- opening again --------------------------------------------------------------------------------------------------


def closed(driver: Driver, title: str = "Первая", **values: Any) -> Task:
    """A chain of two tasks, the first of them closed."""
    first = task(title, **values)
    begun(driver, on_stage(QUOTE, {"first": first, "late": alarm("first", after(days(2))), "tell": notice(),
                                   "second": task("Вторая")}))  # fmt: skip
    return driver.close(newest(driver, title))


def test_the_page_says_what_would_be_taken_back(driver: Driver, manager: Browser) -> None:
    """★11: consequences are said before, and then they happen."""
    of_task = closed(driver)
    shown = manager.page(f"/tasks/{of_task.id}")
    assert "Открыть снова" in shown
    assert "будет снята задача «Вторая» (Иванова А.)" in shown
    assert "когда задачу выполнят снова, повторится: «Уведомить»" in shown
    answer = manager.post(f"/tasks/{of_task.id}/reopen", reopen_reason="не та сделка")
    assert answer.status_code == 303
    assert answer.headers["location"].endswith(f"/tasks/{of_task.id}")
    driver.settle()
    shown = manager.page(f"/tasks/{of_task.id}")
    assert "в работе" in shown
    assert "не та сделка" in shown
    assert newest(driver, "Вторая").state == "withdrawn"
    assert driver.violations() == []


def test_a_second_click_is_told_that_it_is_open(driver: Driver, manager: Browser) -> None:
    of_task = closed(driver)
    assert manager.post(f"/tasks/{of_task.id}/reopen", reopen_reason="ошибка").status_code == 303
    again = manager.post(f"/tasks/{of_task.id}/reopen", reopen_reason="ошибка")
    assert again.status_code == 409
    assert manager.api("POST", f"/tasks/{of_task.id}/reopen", {"reason": "ошибка"}).json()["error"] == (
        "Задача уже открыта."
    )
    driver.settle()


def test_a_reason_is_wanted_and_what_was_typed_is_kept(driver: Driver, manager: Browser) -> None:
    of_task = closed(driver)
    answer = manager.post(f"/tasks/{of_task.id}/reopen", reopen_reason="  ")
    assert answer.status_code == 422
    assert "Напишите, почему задача открывается снова." in words(answer)
    answer = manager.post(f"/tasks/{of_task.id}/reopen", reopen_reason=HOSTILE + "x" * 1001)
    assert answer.status_code == 422
    assert HOSTILE not in answer.text
    assert newest(driver, "Первая").state == "done"


def test_what_cannot_be_taken_back_is_explained_instead_of_a_button(driver: Driver, manager: Browser) -> None:
    """★11: the refusal names the consequence, on the page and in the API alike."""
    of_task = closed(driver)
    driver.close(newest(driver, "Вторая"))
    says = "После этой задачи уже выполнено: «Вторая». Сначала откройте снова последнюю из них."
    answer = manager.get(f"/tasks/{of_task.id}")
    assert says in words(answer)
    assert f"/tasks/{of_task.id}/reopen" not in answer.text
    assert manager.api("GET", f"/tasks/{of_task.id}").json()["reopen"] == {
        "possible": False, "why_not": says, "consequences": [],
    }  # fmt: skip
    refused = manager.api("POST", f"/tasks/{of_task.id}/reopen", {"reason": "ошибка"})
    assert (refused.status_code, refused.json()["error"]) == (409, says)
    assert says in words(manager.post(f"/tasks/{of_task.id}/reopen", reopen_reason="ошибка"))


def test_whoever_may_not_act_is_not_offered_it(app: Any, driver: Driver) -> None:
    """An accountant sees every deal and may change nothing of it."""
    of_task = closed(driver)
    accountant = Browser(app, "accountant")
    assert "Открыть снова" not in accountant.page(f"/tasks/{of_task.id}")
    assert accountant.api("GET", f"/tasks/{of_task.id}").json()["reopen"] is None
    assert accountant.api("POST", f"/tasks/{of_task.id}/reopen", {"reason": "x"}).status_code == 403


def test_the_head_opens_it_for_his_own(driver: Driver, boss: Browser) -> None:
    of_task = closed(driver)
    seen = boss.api("POST", f"/tasks/{of_task.id}/reopen", {"reason": "проверил"}).json()
    assert (seen["task"]["state"], seen["may_close"], seen["reopen"]) == ("open", True, None)
    driver.settle()


def test_the_answers_given_by_mistake_are_proposed_again(driver: Driver, manager: Browser) -> None:
    """★11: nobody types twice what he typed once."""
    fields = [{"code": "said", "title": "Что сказали", "kind": "text", "required": True}]
    begun(driver, on_stage(QUOTE, {"first": task("Спросить", result=fields), "second": task("Вторая")}))
    of_task = driver.close(newest(driver, "Спросить"), values={"said": "перезвонят в среду"})
    manager.api("POST", f"/tasks/{of_task.id}/reopen", {"reason": "не тот клиент"})
    driver.settle()
    assert 'value="перезвонят в среду"' in manager.get(f"/tasks/{of_task.id}").text


# --- money ----------------------------------------------------------------------------------------------------------


def test_debt_and_overpayment_are_said_on_card_list_and_board(driver: Driver, manager: Browser) -> None:
    """R002-74, A2-34."""
    owing = driver.deal(fields={"amount": "1000", "paid": "400"})
    over = driver.deal(fields={"amount": "1000", "paid": "1250"})
    assert re.search(r"Долг 600,00 ₽", manager.page(f"/deals/{owing}"))
    assert re.search(r"Переплата 250,00 ₽", manager.page(f"/deals/{over}"))
    listed = manager.page("/deals")
    assert re.search(r"долг 600", listed)
    assert re.search(r"переплата 250", listed)
    board = manager.page("/board/goods")
    assert re.search(r"долг 600", board)
    assert re.search(r"переплата 250", board)
    rows = {one["id"]: one for one in manager.api("GET", "/deals").json()["items"]}
    assert (rows[owing]["debt"], rows[owing]["overpaid"]) == ("600.00", "0.00")
    assert (rows[over]["debt"], rows[over]["overpaid"]) == ("0.00", "250.00")
