"""API of people: absences, what a person holds, roles given anew, leaving; rights first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select

from include.approvals import core as approvals
from include.deals.models import Deal
from include.shared import clock
from include.shared.work import PROCESS, reading, transaction
from include.staff import admin
from include.staff.models import Absence, Person
from include.staff.services import holders
from include.tasks.models import Task
from tests.ui.api.conftest import Company, give_task

pytestmark = pytest.mark.db


@pytest.fixture(autouse=True)
def nobody_away(company: Company) -> Any:
    yield
    with transaction(PROCESS) as work:
        work.session.execute(delete(Absence))


def week(substitute: int | None, **more: Any) -> dict[str, Any]:
    with reading() as session:
        now = clock.now(session)
    return {
        "begins_at": (now - timedelta(minutes=1)).isoformat(),
        "ends_at": (now + timedelta(days=7)).isoformat(),
        "substitute_id": substitute,
        **more,
    }


def somebody(company: Company, name: str) -> int:
    with transaction(PROCESS) as work:
        manager = work.session.get_one(Person, company.people["manager"])
        one = admin.add_person(work, last_name=name, first_name="Иван", department_id=manager.department_id)
        return one.id


def test_nobody_asks_without_a_login(anonymous: Any, company: Company) -> None:
    me = company.people["manager"]
    for method, path in (
        ("get", f"/people/{me}/absences"),
        ("post", f"/people/{me}/absences"),
        ("post", "/absences/1/cancel"),
        ("get", f"/people/{me}/holdings"),
        ("post", f"/people/{me}/leave"),
        ("get", "/roles/manager/remap"),
        ("post", "/roles/manager/remap"),
    ):
        assert anonymous.request(method, f"/backoffice/api{path}", json={}).status_code == 401, path


def test_who_may_look_and_act(as_: Any, company: Company) -> None:
    me, stranger, colleague = (company.people[one] for one in ("manager", "stranger", "colleague"))
    for login, status in (("manager", 200), ("boss", 200), ("admin", 200), ("stranger", 404), ("colleague", 404)):
        assert as_(login).get(f"/people/{me}/absences").status_code == status, login
        assert as_(login).get(f"/people/{me}/holdings").status_code == status, login
    assert as_("stranger").post(f"/people/{me}/absences", json=week(stranger)).status_code == 404
    leaving = {"plan": {}, "reason": "так"}
    remapping = {"from_person_id": me, "to_person_id": colleague}
    for login in ("manager", "boss", "ops"):
        assert as_(login).post(f"/people/{me}/leave", json=leaving).status_code == 403
        assert as_(login).post("/roles/manager/remap", json=remapping).status_code == 403
        assert as_(login).get(f"/roles/manager/remap?from_person_id={me}").status_code == 403


def test_an_absence_is_set_shown_and_cancelled(as_: Any, company: Company) -> None:
    me, colleague = company.people["manager"], company.people["colleague"]
    made = as_("manager").post(f"/people/{me}/absences", json=week(colleague, reason="отпуск"))
    assert made.status_code == 201, made.text
    body = made.json()
    assert (body["substitute"]["name"], body["begun"], body["cancelled"]) == ("Петров И.", True, False)
    assert [one["id"] for one in as_("boss").get(f"/people/{me}/absences").json()] == [body["id"]]
    again = as_("manager").post(f"/people/{me}/absences", json=week(None))
    assert again.status_code == 409
    assert as_("stranger").post(f"/absences/{body['id']}/cancel").status_code == 404
    ended = as_("manager").post(f"/absences/{body['id']}/cancel")
    assert ended.status_code == 200
    assert datetime.fromisoformat(ended.json()["ends_at"]) < datetime.fromisoformat(body["ends_at"])
    assert as_("manager").get(f"/people/{me}/absences").json() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"begins_at": "2026-11-21T09:00:00"},
        {"begins_at": "вчера"},
        {"substitute_id": 10**6},
        {"substitute_id": -1},
        {"reason": "я" * 301},
        {"reason": "\x00"},
        {"ends_at": "2020-01-01T00:00:00+03:00"},
        {"more": 1},
    ],
)
def test_bad_absences_are_refused(as_: Any, company: Company, wrong: dict[str, Any]) -> None:
    me = company.people["manager"]
    answer = as_("manager").post(f"/people/{me}/absences", json={**week(None), **wrong})
    assert answer.status_code == 422, answer.text
    assert as_("manager").get(f"/people/{me}/absences").json() == []


def test_the_substitute_acts_through_the_api(as_: Any, company: Company) -> None:
    """features 47: seen in his list, closed by him for the absent one."""
    task = give_task(company, "for_absent", "mine", "manager")
    assert as_("stranger").get(f"/tasks/{task}").status_code == 404
    as_("manager").post(f"/people/{company.people['manager']}/absences", json=week(company.people["stranger"]))
    rows = as_("stranger").get("/tasks").json()["items"]
    row = next(one for one in rows if one["id"] == task)
    said = (row["executor"]["name"], row["acting"]["name"], row["for_whom"])
    assert said == ("Иванова И.", "Гусев И.", "за Иванову И.")
    closed = as_("stranger").post(f"/tasks/{task}/close", json={})
    assert closed.status_code == 200, closed.text
    assert closed.json()["closed_for"]["name"] == "Иванова И."


def test_a_role_is_shown_first_and_then_given_with_its_work(as_: Any, company: Company) -> None:
    former, to = somebody(company, "Прежний"), somebody(company, "Новый")
    with transaction(PROCESS) as work:
        admin.add_role(work, "api_role", "Роль для API")
        admin.give_role(work, "api_role", former)
    task = give_task(company, "of_role", "mine", "manager", addressed_to="role:api_role")
    with transaction(PROCESS) as work:
        work.session.get_one(Task, task).executor_id = former
    approval = waits_for_role(company, "api_role")
    asked = as_("admin").get(f"/roles/api_role/remap?from_person_id={former}")
    (waiting,) = asked.json()["approvals"]
    assert (waiting["id"], waiting["title"]) == (approval, "Согласовать цену")
    assert waiting["case"]
    assert waiting["link"] == f"/backoffice/approvals/{approval}"
    assert [one["id"] for one in asked.json()["tasks"]] == [task]
    body = {"from_person_id": former, "to_person_id": to}
    done = as_("admin").post("/roles/api_role/remap", json=body)
    assert (done.status_code, done.json()["moved"], done.json()["holder"]["id"]) == (200, 1, to)
    assert done.json()["approvals"] == 1
    assert as_("admin").get(f"/tasks/{task}").json()["task"]["executor"]["id"] == to
    assert as_("admin").post("/roles/api_role/remap", json=body).status_code == 409
    assert as_("admin").post("/roles/none/remap", json=body).status_code == 404
    assert as_("admin").get("/roles/api_role/remap").status_code == 404
    with reading() as session:
        assert holders(session, "api_role") == [to]


def waits_for_role(company: Company, role: str) -> int:
    """Open an approval of a deal that the holder of a role decides."""
    with transaction(PROCESS) as work:
        case = work.session.get_one(Deal, company.deals["mine"]).case_id
        work.lock_case(case)
        return approvals.open_approval(
            work, key=f"test/{role}", case_id=case, instance_id=None, step="agree", title="Согласовать цену",
            description="", mode="chain", quorum=None, seats=[approvals.Seat("Юрист", f"role:{role}")], field=None,
            fix=None, initiator_id=company.people["manager"], stage_id=None, on_leave="cancel", term={"days": 1},
        ).id  # fmt: skip


def test_a_leaver_goes_in_one_call(as_: Any, company: Company) -> None:
    leaving = somebody(company, "Увольняемый")
    task = give_task(company, "of_leaver", "mine", "manager")
    with transaction(PROCESS) as work:
        work.session.get_one(Task, task).executor_id = leaving
        work.session.get_one(Task, task).addressed_to = f"person:{leaving}"
    held = as_("admin").get(f"/people/{leaving}/holdings").json()
    assert [(one["code"], one["count"], one["own"]) for one in held["groups"]] == [("tasks", 1, 1)]
    refused = as_("admin").post(f"/people/{leaving}/leave", json={"plan": {}, "reason": "уволился"})
    assert (refused.status_code, refused.json()["field"]) == (422, "tasks")
    plan = {"tasks": company.people["colleague"]}
    assert as_("admin").post(f"/people/{leaving}/leave", json={"plan": plan, "reason": ""}).status_code == 422
    done = as_("admin").post(f"/people/{leaving}/leave", json={"plan": plan, "reason": "уволился"})
    assert done.status_code == 200, done.text
    assert done.json()["received"] == {str(company.people["colleague"]): {"tasks": 1}}
    with reading() as session:
        assert not session.scalar(select(Person.active).where(Person.id == leaving))
    assert as_("admin").get(f"/people/{leaving}/holdings").json()["count"] == 0


def test_nobody_lets_himself_go(as_: Any, company: Company) -> None:
    me = company.people["admin"]
    answer = as_("admin").post(f"/people/{me}/leave", json={"plan": {}, "reason": "устал"})
    assert answer.status_code == 409
