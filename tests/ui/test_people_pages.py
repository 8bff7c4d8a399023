"""Pages of people: who is there, absences, a role given anew, the leaver's page (★48); 401 and 403 first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from include.approvals import core as approvals
from include.deals.models import Deal
from include.shared.work import PROCESS, transaction
from include.staff import admin
from include.staff.models import Person
from include.tasks.models import Task
from tests.ui.conftest import Desk

pytestmark = pytest.mark.db
HOSTILE = "<script>alert(1)</script>"
Words = Callable[[Any], str]


def somebody(desk: Desk, name: str, *, tasks: int = 0) -> int:
    """A person of sales, with tasks addressed to nobody else."""
    with transaction(PROCESS) as work:
        manager = work.session.get_one(Person, desk.company.people["manager"])
        one = admin.add_person(work, last_name=name, first_name="Иван", department_id=manager.department_id).id
    for number in range(tasks):
        task = desk.task(f"{name}-{number}", "mine")
        with transaction(PROCESS) as work:
            work.session.get_one(Task, task).executor_id = one
            work.session.get_one(Task, task).addressed_to = f"person:{one}"
    return one


def days(first: int, last: int) -> dict[str, str]:
    today = date.today()  # noqa: DTZ011 - a day of the form
    return {
        "begins_on": (today + timedelta(days=first)).isoformat(),
        "ends_on": (today + timedelta(days=last)).isoformat(),
    }


def test_who_may_open_the_pages(desk: Desk) -> None:
    me = desk.company.people["manager"]
    stranger = TestClient(desk.app, follow_redirects=False)
    for path in ("/people", f"/people/{me}", f"/people/{me}/leave", f"/people/{me}/roles/manager"):
        assert stranger.get(f"/backoffice{path}").status_code == 303, path
    assert desk.as_("manager").get("/people").status_code == 403
    assert desk.as_("manager").get(f"/people/{me}").status_code == 200
    assert desk.as_("colleague").get(f"/people/{me}").status_code == 404
    for login in ("boss", "admin"):
        assert desk.as_(login).get("/people").status_code == 200
    for path in (f"/people/{me}/leave", f"/people/{me}/roles/manager"):
        assert desk.as_("boss").get(path).status_code == 403
    assert desk.as_("boss").post(f"/people/{me}/leave", reason="так").status_code == 403


def test_a_head_sees_his_own_people_with_their_load(desk: Desk, words: Words) -> None:
    somebody(desk, "Загруженный", tasks=2)
    shown = words(desk.as_("boss").get("/people"))
    assert "Загруженный Иван" in shown
    assert "Гусев" not in shown, "чужой отдел"
    assert "Гусев" in words(desk.as_("admin").get("/people"))
    found = words(desk.as_("boss").get("/people?q=загруж"))
    assert "Загруженный" in found
    assert "Иванова" not in found
    assert "Никого не нашлось" in words(desk.as_("boss").get(f"/people?q={HOSTILE}"))
    assert 'href="/backoffice/people"' in desk.as_("boss").get("/").text
    assert 'href="/backoffice/people"' not in desk.as_("manager").get("/").text


def test_an_absence_is_recorded_and_taken_back(desk: Desk, words: Words) -> None:
    person, substitute = somebody(desk, "Отпускник"), desk.company.people["colleague"]
    sent = {**days(0, 3), "substitute_id": str(substitute), "reason": HOSTILE}
    answer = desk.as_("boss").post(f"/people/{person}/absence", **sent)
    assert answer.status_code == 200
    assert HOSTILE not in answer.text
    shown = words(answer)
    assert "Отсутствие записано" in shown
    assert "замещает Петров И." in shown
    assert "нет до" in words(desk.as_("boss").get("/people?q=отпускник"))
    again = desk.as_("boss").post(f"/people/{person}/absence", **sent)
    assert again.status_code == 409
    assert "уже записано" in words(again)
    number = desk.one("SELECT id FROM absence WHERE person_id = :person", person=person)
    assert desk.as_("taker").post(f"/people/{person}/absence/{number}/cancel").status_code == 404
    back = desk.as_("boss").post(f"/people/{person}/absence/{number}/cancel")
    assert "Отсутствие снято" in words(back)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"begins_on": "", "ends_on": ""}, "Выберите день"),
        ({"begins_on": "0001-01-01", "ends_on": "0001-01-02"}, "год от 2000"),
        (days(3, 1), "кончается позже"),
        (days(-9, -5), "уже прошло"),
        ({**days(1, 2), "substitute_id": "999999"}, "работающего"),
    ],
)
def test_a_wrong_absence_is_said_beside_its_field(desk: Desk, words: Words, sent: dict[str, str], said: str) -> None:
    person = desk.company.people["taker"]
    answer = desk.as_("boss").post(f"/people/{person}/absence", **sent)
    assert answer.status_code == 422
    assert said in words(answer)
    assert f'value="{sent["ends_on"]}"' in answer.text, "введённое осталось"


def waits_for_role(desk: Desk, role: str) -> int:
    """Open an approval of a deal that the holder of a role decides."""
    with transaction(PROCESS) as work:
        case = work.session.get_one(Deal, desk.company.deals["mine"]).case_id
        work.lock_case(case)
        return approvals.open_approval(
            work, key=f"test/{role}", case_id=case, instance_id=None, step="agree", title="Согласовать цену",
            description="", mode="chain", quorum=None, seats=[approvals.Seat("Юрист", f"role:{role}")], field=None,
            fix=None, initiator_id=desk.company.people["manager"], stage_id=None, on_leave="cancel", term={"days": 1},
        ).id  # fmt: skip


def test_a_role_is_given_with_its_open_tasks(desk: Desk, words: Words) -> None:
    former, to = somebody(desk, "Юристов", tasks=1), somebody(desk, "Сменщик")
    with transaction(PROCESS) as work:
        role = admin.add_role(work, "page_role", "Юрист отдела")
        admin.give_role(work, role.code, former)
    desk.change("UPDATE task SET addressed_to = 'role:page_role' WHERE executor_id = :one", one=former)
    approval = waits_for_role(desk, "page_role")
    asked = desk.as_("admin").get(f"/people/{former}/roles/page_role")
    assert "Открытые задачи по роли: 1" in words(asked)
    assert "Согласования ждут решения по роли: 1" in words(asked)
    assert f'href="/backoffice/approvals/{approval}">Согласовать цену' in asked.text
    refused = desk.as_("admin").post(f"/people/{former}/roles/page_role")
    assert refused.status_code == 422
    assert "Выберите, кому передать роль" in words(refused)
    done = desk.as_("admin").post(f"/people/{former}/roles/page_role", to_person_id=str(to))
    assert "открытых задач перешло: 1. Согласований ждёт решения по роли: 1." in words(done)
    assert desk.one("SELECT executor_id FROM task WHERE addressed_to = 'role:page_role'") == to
    assert desk.as_("admin").get(f"/people/{former}/roles/page_role").status_code == 404
    assert "Роли, которых никто не держит" not in words(desk.as_("admin").get("/people"))
    with transaction(PROCESS) as work:
        admin.take_role(work, "page_role", to)
    shown = words(desk.as_("admin").get("/people"))
    assert "Юрист отдела: 1 открытая задача ждёт" in shown, "задача осталась, и видно, что адресата нет"
    assert "Роли, которых" not in words(desk.as_("boss").get("/people"))


def test_a_leaver_is_previewed_confirmed_and_gone(desk: Desk, words: Words) -> None:
    """★48: preview, one act, result."""
    person, to = somebody(desk, "Прощаев", tasks=3), desk.company.people["colleague"]
    shown = desk.as_("admin").get(f"/people/{person}/leave")
    assert "Открытые задачи: 3" in words(shown)
    assert "selected" in shown.text, "преемник предложен"
    page = f"/people/{person}/leave"
    assert "Выберите, кому передать" in words(desk.as_("admin").post(page, reason="уволился"))
    sent = {"to.tasks": str(to)}
    assert "почему передаётся работа" in words(desk.as_("admin").post(page, **sent))
    asked = desk.as_("admin").post(page, **sent, reason="уволился")
    assert "Передать всю работу: Прощаев И.?" in words(asked)
    assert "Петров И.: открытые задачи – 3" in words(asked)
    assert desk.one("SELECT active FROM person WHERE id = :one", one=person), "до подтверждения ничего не изменилось"
    done = desk.as_("admin").post(page, **sent, reason="уволился", confirmed="yes")
    result = words(done)
    assert "Готово: передано дел – 3" in result
    assert "больше не работает" in result
    assert "Кому передана работа Петров И. открытые задачи – 3" in result
    assert desk.one("SELECT count(*) FROM task WHERE executor_id = :one AND state = 'open'", one=person) == 0
    assert "Прощаев" in words(desk.as_("admin").get("/people?gone=yes"))
    assert "Прощаев" not in words(desk.as_("admin").get("/people"))


def test_a_thing_may_go_elsewhere_and_the_person_may_stay(desk: Desk, words: Words) -> None:
    person, to = somebody(desk, "Занятой", tasks=2), desk.company.people["colleague"]
    first = desk.one("SELECT min(id) FROM task WHERE executor_id = :one", one=person)
    sent = {"to.tasks": str(to), f"to.tasks:{first}": str(desk.company.people["manager"]), "stays": "yes"}
    done = desk.as_("admin").post(f"/people/{person}/leave", **sent, reason="отпуск на год", confirmed="yes")
    assert "Готово: передано дел – 2" in words(done)
    assert desk.one("SELECT executor_id FROM task WHERE id = :one", one=first) == desk.company.people["manager"]
    assert desk.one("SELECT active FROM person WHERE id = :one", one=person)


def test_hundreds_of_tasks_are_one_choice(desk: Desk, words: Words) -> None:
    person = somebody(desk, "Многозадачный", tasks=25)
    shown = desk.as_("admin").get(f"/people/{person}/leave")
    assert shown.text.count("<select") == 1
    assert "Открытые задачи: 25" in words(shown)


def test_names_are_shown_as_text(desk: Desk) -> None:
    person = somebody(desk, "Злой")
    desk.change("UPDATE person SET last_name = :bad, post = :bad WHERE id = :one", bad=HOSTILE, one=person)
    for path in ("/people", f"/people/{person}", f"/people/{person}/leave"):
        assert HOSTILE not in desk.as_("admin").get(path).text


def test_the_card_asks_a_few_questions_only(desk: Desk) -> None:
    """The list and the card do not ask the database per person or per task."""
    person = somebody(desk, "Спокойный", tasks=12)
    desk.as_("admin").get("/people")
    with desk.questions() as of_list:
        desk.as_("admin").get("/people")
    with desk.questions() as of_card:
        desk.as_("admin").get(f"/people/{person}")
    assert len(of_list) < 25
    assert len(of_card) < 75
