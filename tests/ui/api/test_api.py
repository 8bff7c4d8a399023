"""The API as a program uses it: who sees what, acts with their rights, and what is answered when they do not fit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from include.companies.models import Company as CompanyTable
from include.deals.models import Deal
from include.process.models import OutboxEvent, ProcessCase, ProcessInstance, ProcessScheme, StepState
from include.shared.models import Audit
from include.shared.names import search_key
from include.shared.work import transaction
from tests.ui.api.conftest import Company, give_task

pytestmark = pytest.mark.db


@pytest.mark.parametrize(
    ("login", "sees", "edits"),
    [
        ("manager", True, True), ("boss", True, True), ("admin", True, True), ("colleague", False, False),
        ("stranger", False, False), ("product", True, False), ("accountant", True, False), ("ops", True, False),
    ],
)  # fmt: skip
def test_who_sees_and_who_edits_a_deal(as_: Any, company: Company, login: str, sees: bool, edits: bool) -> None:
    deal, client = company.deals["mine"], as_(login)
    assert client.get(f"/deals/{deal}").status_code == (200 if sees else 404)
    for part in ("waits", "history"):
        assert client.get(f"/deals/{deal}/{part}").status_code == (200 if sees else 404)
    listed = [one["id"] for one in client.get("/deals").json()["items"]]
    assert (deal in listed) is sees
    on_board = [
        one["id"] for column in client.get("/deals/board?funnel=goods").json()["columns"] for one in column["deals"]
    ]
    assert (deal in on_board) is sees
    refused = 200 if edits else 403 if sees else 404
    assert client.patch(f"/deals/{deal}/fields", json={"amount": "10,50"}).status_code == refused
    assert client.post(f"/deals/{deal}/stage", json={"stage": "Не обработан"}).status_code == refused
    body = {"person_id": company.people["manager"], "reason": "так надо"}
    assert client.post(f"/deals/{deal}/responsible", json=body).status_code == refused
    if sees:
        card = client.get(f"/deals/{deal}").json()
        assert card["may_edit"] is edits
        assert card["amount"] == "10.50" or not edits


def test_whoever_takes_leads_may_move_a_colleagues_request_off_the_first_stage(as_: Any, company: Company) -> None:
    """R002-9b R002-10: «приемка лида в работу» by another manager makes it his at once."""
    body = {"title": "Чужое обращение", "funnel": "goods", "responsible_id": company.people["manager"]}
    deal = as_("manager").post("/deals", json=body).json()["id"]
    card = as_("taker").get(f"/deals/{deal}").json()
    assert (card["may_edit"], card["may_move"]) == (False, True)
    assert as_("colleague").get(f"/deals/{deal}").status_code == 404
    assert as_("taker").patch(f"/deals/{deal}/fields", json={"amount": "1"}).status_code == 403
    moved = {"stage": "Экспресс-идентификация", "seen_stage": "Не обработан"}
    assert as_("taker").post(f"/deals/{deal}/stage", json=moved).status_code == 200
    assert as_("taker").get(f"/deals/{deal}").json()["responsible"]["id"] == company.people["taker"]
    assert as_("taker").post(f"/deals/{deal}/stage", json={"stage": "Счет/КП"}).status_code == 200


def test_a_request_that_another_has_taken_is_a_conflict_not_a_riddle(as_: Any, company: Company) -> None:
    """R002-9b: of two who take one request the second hears why; foreign deals stay hidden otherwise."""
    body = {"title": "Берут двое", "funnel": "goods", "responsible_id": company.people["manager"]}
    deal = as_("manager").post("/deals", json=body).json()["id"]
    move = {"stage": "Экспресс-идентификация", "seen_stage": "Не обработан"}
    assert as_("manager").post(f"/deals/{deal}/stage", json=move).status_code == 200
    late = as_("taker").post(f"/deals/{deal}/stage", json=move)
    assert (late.status_code, late.json()["error"]) == (409, "Это обращение уже взял в работу другой сотрудник.")
    assert as_("taker").post(f"/deals/{deal}/stage", json={"stage": "Счет/КП"}).status_code == 404
    assert as_("colleague").post(f"/deals/{deal}/stage", json=move).status_code == 404
    as_("manager").post(f"/deals/{deal}/stage", json={"stage": "Счет/КП"})
    assert as_("taker").post(f"/deals/{deal}/stage", json=move).status_code == 404


def test_a_product_manager_sees_only_goods(as_: Any, company: Company) -> None:
    assert as_("product").get(f"/deals/{company.deals['service']}").status_code == 404


def test_whoever_takes_part_in_a_task_sees_the_deal(as_: Any, company: Company) -> None:
    deal = company.deals["service"]
    assert as_("stranger").get(f"/deals/{deal}").status_code == 404
    task = give_task(company, "guest", "service", "stranger")
    assert as_("stranger").get(f"/deals/{deal}").status_code == 200
    assert as_("stranger").patch(f"/deals/{deal}/fields", json={"amount": "1"}).status_code == 403
    assert as_("colleague").get(f"/tasks/{task}").status_code == 404
    for act, body in (
        ("close", {}), ("term", {"due": "2030-01-01", "reason": "x"}), ("executor", {"person_id": 1}),
    ):  # fmt: skip
        assert as_("colleague").post(f"/tasks/{task}/{act}", json=body).status_code == 404
        # the deal's responsible sees the task, but it is not his to close
        assert as_("manager").post(f"/tasks/{task}/{act}", json=body).status_code == 403
    assert as_("manager").get(f"/tasks/{task}").json()["may_close"] is False


def test_a_deal_with_its_new_company_is_one_transaction(as_: Any, company: Company) -> None:
    body = {"title": "Новая", "funnel": "Товары", "company": {"name": "АО Василёк", "inn": "7736050003"}}
    made = as_("manager").post("/deals", json=body, headers={"Idempotency-Key": "k-1"})
    assert made.status_code == 201, made.text
    card = made.json()
    assert card["company"]["name"] == "АО Василёк"
    assert card["stage"]["title"] == "Не обработан"
    again = as_("manager").post("/deals", json=body, headers={"Idempotency-Key": "k-1"})
    assert again.json()["id"] == card["id"]
    other = as_("colleague").post("/deals", json={"title": "Моя", "funnel": "Товары", "request_key": "k-1"})
    assert other.json()["id"] != card["id"]  # a key belongs to its person
    bad = {"title": "x", "funnel": "Нет такого", "company": {"name": "ООО Не появится"}}
    refused = as_("manager").post("/deals", json=bad)
    assert (refused.status_code, refused.json()["field"]) == (422, "funnel")
    with transaction() as work:
        count = select(func.count()).where(CompanyTable.name == "ООО Не появится")
        assert work.session.scalar(count) == 0


def test_counterparties(as_: Any, company: Company) -> None:
    client = as_("manager")
    assert [one["name"] for one in client.get("/companies?query=ромаш").json()] == ["ООО «Ромашка»"]
    assert client.get("/companies?query=770708").json()[0]["inn"] == "7707083893"
    assert [one["name"] for one in client.get("/companies/similar?name=Ромашки ООО").json()] == ["ООО «Ромашка»"]
    with transaction() as work:
        for number in range(320):
            name = f"ООО «Завод № {number}»"
            work.session.add(CompanyTable(name=name, search_key=search_key(name), created_at=work.now))
        name = "ООО «Завод Альфа-Пресс»"
        work.session.add(CompanyTable(name=name, search_key=search_key(name), created_at=work.now))
    assert client.get("/companies/similar?name=Завод Альфа Пресс").json()[0]["name"] == name
    double = client.post("/companies", json={"name": "Ромашка-2", "inn": "7707083893", "kpp": "773601001"})
    assert double.status_code == 409
    assert f"№ {company.companies['romashka']}" in double.json()["error"]
    branch = client.post("/companies", json={"name": "Ромашка, филиал", "inn": "7707083893", "kpp": "780101001"})
    assert branch.status_code == 201
    for inn, kind in (("7707083894", "legal"), ("0000000000", "legal"), ("770708389", "legal"), ("7707083893", "sole")):
        wrong = client.post("/companies", json={"name": "Любое", "inn": inn, "kind": kind})
        assert (wrong.status_code, wrong.json()["field"]) == (422, "inn"), inn
    key = {"Idempotency-Key": "company-1"}
    ids = {
        client.post("/companies", json={"name": "ИП Кошкин", "kind": "sole"}, headers=key).json()["id"] for _ in "12"
    }
    assert len(ids) == 1


def test_a_move_sees_what_others_did(as_: Any, company: Company) -> None:
    deal = as_("manager").post("/deals", json={"title": "Едет", "funnel": "goods"}).json()["id"]
    body = {"stage": "Экспресс-идентификация", "seen_stage": "Не обработан"}
    moved = as_("manager").post(f"/deals/{deal}/stage", json=body)
    assert moved.status_code == 200
    assert [one["state"] for one in moved.json()["stages"][:3]] == ["passed", "current", "ahead"]
    late = as_("boss").post(f"/deals/{deal}/stage", json={"stage": "Договор", "seen_stage": "Не обработан"})
    assert late.status_code == 409
    assert "«Экспресс-идентификация»" in late.json()["error"]
    wrong = as_("manager").post(f"/deals/{deal}/stage", json={"stage": "Луна"})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "stage")
    history = as_("manager").get(f"/deals/{deal}/history").json()["items"]
    assert history[0]["text"] == "Стадия: «Не обработан» → «Экспресс-идентификация»"
    assert history[0]["who"] == "Иванова И."


def test_a_guard_answers_with_what_is_missing(as_: Any, company: Company) -> None:
    field = "quote_feedback_date"
    codes = [
        one["code"] for one in as_("manager").get("/funnels").json()[0]["fields"] if one["kind"] in ("date", "datetime")
    ]
    field = field if field in codes else codes[0]
    task = give_task(company, "guard", "guarded", "manager", guard={"filled": field})
    page = as_("manager").get(f"/tasks/{task}").json()
    assert page["missing"][0]["link"] == f"/backoffice/deals/{company.deals['guarded']}#field-{field}"
    for login in ("manager", "boss", "admin"):  # the guard holds for everybody
        refused = as_(login).post(f"/tasks/{task}/close", json={"result": {}})
        assert refused.status_code == 409
        assert refused.json()["missing"] == page["missing"]
    filled = as_("manager").patch(f"/deals/{company.deals['guarded']}/fields", json={field: "21.11.2030"})
    assert filled.json() == {"changed": {field: "2030-11-21"}}
    done = as_("manager").post(f"/tasks/{task}/close", json={"result": {}})
    assert done.json()["task"]["state"] == "done"
    assert as_("manager").post(f"/tasks/{task}/close", json={}).status_code == 200  # again: nothing changes


def test_terms_and_executors(as_: Any, company: Company) -> None:
    task = give_task(company, "moved", "mine", "manager")
    changed = as_("manager").post(f"/tasks/{task}/term", json={"due": "21.11.2031 14:05", "reason": "клиент просил"})
    assert changed.json()["term_changes"][0]["reason"] == "клиент просил"
    assert changed.json()["task"]["due_at"].startswith("2031-11-21T11:05")
    no_reason = as_("manager").post(f"/tasks/{task}/term", json={"due": "2031-11-22", "reason": " "})
    assert (no_reason.status_code, no_reason.json()["field"]) == (422, "reason")
    past = as_("manager").post(f"/tasks/{task}/term", json={"due": "2020-01-01", "reason": "x"})
    assert (past.status_code, past.json()["field"]) == (422, "due")
    given = as_("boss").post(
        f"/tasks/{task}/executor", json={"person_id": company.people["colleague"], "reason": "отпуск"}
    )
    assert given.json()["executor"]["id"] == company.people["colleague"]
    assert any("передана" in one["text"] for one in as_("colleague").get("/notices?unread=true").json())
    assert as_("colleague").post("/notices/read", json={}).json()["count"] >= 1
    assert as_("colleague").get("/notices?unread=true").json() == []
    nobody = as_("colleague").post(f"/tasks/{task}/executor", json={"person_id": 999999})
    assert nobody.status_code in (404, 422)


def test_my_day_puts_the_overdue_first(as_: Any, company: Company) -> None:
    with transaction() as work:
        now = work.now
    give_task(company, "d-none", "mine", "boss")
    give_task(company, "d-late", "mine", "boss", due_at=now - timedelta(hours=1))
    give_task(company, "d-soon", "mine", "boss", due_at=now + timedelta(hours=1))
    day = as_("boss").get("/tasks/my-day").json()
    assert [one["title"] for one in day["tasks"]["items"]] == ["Задача d-late", "Задача d-soon", "Задача d-none"]
    assert [one["overdue"] for one in day["tasks"]["items"]] == [True, False, False]
    assert (day["overdue_count"], day["may_see_department"]) == (1, True)
    department = as_("boss").get("/tasks?scope=department&per_page=200").json()
    executors = {one["executor"]["id"] for one in department["items"]}
    assert executors <= {company.people[one] for one in ("boss", "manager", "colleague", "leaver")}
    assert as_("manager").get("/tasks?scope=department").json()["total"] == 0
    assert as_("manager").get("/tasks?scope=case").json()["field"] == "case_id"


def test_the_card_says_done_now_next_and_one_line(as_: Any, company: Company) -> None:
    deal = as_("manager").post("/deals", json={"title": "С процессом", "funnel": "goods"}).json()
    task = None
    with transaction() as work:
        company.deals["process"] = deal["id"]
        work.session.query(OutboxEvent).filter_by(case_id=deal["case_id"]).update({"state": "done"})
    manual = as_("manager").get(f"/deals/{deal['id']}").json()["line"]
    assert manual["kind"] == "manual"
    assert manual["text"].startswith("Ждёт перевода на «Экспресс-идентификация»: Иванова И., его руководитель")
    task = give_task(company, "now", "process", "manager")
    steps = [{"id": one, "title": f"Шаг {one}", "upstream": []} for one in ("before", "now", "watch", "after")]
    with transaction() as work:
        scheme = ProcessScheme(
            process="p", digest="d", title="Процесс", number=1, body={"title": "Процесс", "steps": steps}
        )
        work.session.add(scheme)
        work.session.flush()
        run = ProcessInstance(
            process="p", case_id=deal["case_id"], visit="visit-1", run_id="deal-x-visit-1", scheme_id=scheme.id,
            payload={}, started_at=work.now,
        )  # fmt: skip
        work.session.add(run)
        work.session.flush()
        common = {"instance_id": run.id, "case_id": deal["case_id"], "opened_at": work.now, "looked_seq": 1}
        me = company.people["manager"]
        work.session.add_all([
            StepState(step="before", word="Notify", title="Шаг before", spec={}, state="done", waits_on=[], **common),
            StepState(
                step="now", word="EmployeeTask", title="Шаг now", spec={}, waits_for="Иванова И. выполнит «Шаг now»",
                waits_on=[me], comes_next="«Шаг after»", task_id=task, **common,
            ),
            StepState(
                step="watch", word="Alarm", title="Шаг watch", spec={"of": "now"}, waits_for="момент",
                waits_on=[company.people["boss"]], moment=work.now + timedelta(hours=5), **common,
            ),
        ])  # fmt: skip
    card = as_("manager").get(f"/deals/{deal['id']}").json()
    assert [one["step"] for one in card["done"]] == ["before"]
    assert [one["step"] for one in card["now"]] == ["now", "watch"]
    assert [one["step"] for one in card["next"]] == ["after"]
    assert card["line"]["text"] == "Ждёт: Иванова И. выполнит «Шаг now»; дальше: «Шаг after»"
    assert [one["kind"] for one in card["waits"]] == ["task", "alarm"]
    assert card["processes"][0]["run_link"] is None  # staff has no Airflow pages
    assert as_("ops").get(f"/deals/{deal['id']}").json()["processes"][0]["run_link"] == "/dags/p/runs/deal-x-visit-1"


def test_a_form_starts_its_process_once(as_: Any, company: Company) -> None:
    client = as_("stranger")
    assert [one["process"] for one in client.get("/forms").json()] == ["client_request"]
    body = {"direction": "Услуги", "subject": "Вибрация насоса", "responsible_id": company.people["manager"]}
    key = {"Idempotency-Key": "form-1"}
    first = client.post("/forms/client_request", json=body, headers=key)
    assert first.status_code == 201, first.text
    assert client.post("/forms/client_request", json=body, headers=key).json() == first.json()
    case_id = first.json()["id"]
    assert first.json()["key"] == f"request-{case_id}"
    with transaction() as work:
        event = work.session.scalars(select(OutboxEvent).where(OutboxEvent.case_id == case_id)).one()
        assert (event.listen_key, event.visit) == ("on:form:client_request", "start-1")
        assert event.payload["form"]["subject"] == "Вибрация насоса"
        assert event.payload["started_by"] == company.people["stranger"]
        assert work.session.get_one(ProcessCase, case_id).kind == "request"
    assert client.get(f"/requests/{case_id}").json()["line"]["kind"] == "starting"
    assert as_("product").get(f"/requests/{case_id}").status_code == 404
    for wrong, name in (
        ({**body, "direction": "Всё"}, "direction"), ({**body, "subject": ""}, "subject"),
        ({**body, "responsible_id": 999999}, "responsible_id"), ({**body, "company_id": 999999}, "company_id"),
        ({**body, "responsible_id": 10**30}, None), ({**body, "extra": 1}, "extra"), ({}, "direction"),
        ({**body, "responsible_id": "9" * 5000}, "responsible_id"), ({**body, "company_id": "9" * 5000}, "company_id"),
    ):  # fmt: skip
        refused = client.post("/forms/client_request", json=wrong)
        assert refused.status_code == 422, wrong
        assert name is None or refused.json()["field"] == name
    assert client.post("/forms/none", json=body).status_code == 404


def test_settings_are_the_administrators(as_: Any) -> None:
    rows = as_("admin").get("/settings").json()
    term = next(one for one in rows if one["kind"] == "term")
    changed = as_("admin").put(f"/settings/{term['code']}", json={"value": {"hours": 7}})
    assert changed.json()[0]["words"] == "7 ч"
    for wrong in ({"hours": "x"}, {"hours": -1}, 5, {"weeks": 1}, "x", None, {"hours": True}):
        refused = as_("admin").put(f"/settings/{term['code']}", json={"value": wrong})
        assert (refused.status_code, refused.json()["field"]) == (422, "value"), wrong
    assert as_("admin").put("/settings/none", json={"value": 1}).status_code == 404
    as_("admin").put(f"/settings/{term['code']}", json={"value": term["value"]})


def test_the_clock_is_moved_only_forward(as_: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from backoffice import quiet

    asked: list[Any] = []

    async def advance(to: Any) -> dict[str, Any]:
        asked.append(to)
        return {"moments": []}

    monkeypatch.setattr(quiet, "advance", advance)
    now = as_("admin").get("/clock").json()
    assert now["virtual"] is True
    back = as_("admin").post("/clock/advance", json={"to": "2020-01-01T00:00:00Z"})
    assert (back.status_code, back.json()["field"]) == (422, "to")
    for wrong in ("2031-01-01T00:00:00", "9999-12-31T23:59:59Z", "завтра", None, 10**18):
        assert as_("admin").post("/clock/advance", json={"to": wrong}).status_code == 422, wrong
    assert asked == []
    year = str(int(now["now"][:4]) + 1)
    assert as_("admin").post("/clock/advance", json={"to": f"{year}-01-01T00:00:00Z"}).json() == {"moments": []}
    assert len(asked) == 1


def test_health_is_open_and_says_little(anonymous: Any) -> None:
    answer = anonymous.get("/backoffice/api/health").json()
    assert set(answer) == {"virtual_clock", "parts"}


def test_refused_acts_leave_no_trace(as_: Any, company: Company) -> None:
    def rows() -> tuple[int | None, int | None]:
        with transaction() as work:
            events = work.session.scalar(select(func.count()).select_from(OutboxEvent))
            return events, work.session.scalar(select(func.count()).select_from(Audit))

    before = rows()
    deal = company.deals["mine"]
    assert as_("manager").patch(f"/deals/{deal}/fields", json={"amount": "5", "none": "x"}).status_code == 422
    assert as_("stranger").post(f"/deals/{deal}/stage", json={"stage": "Договор"}).status_code == 404
    assert as_("ops").post(f"/deals/{deal}/stage", json={"stage": "Договор"}).status_code == 403
    assert rows() == before
    with transaction() as work:
        assert work.session.get_one(Deal, deal).title == "Сделка mine"
