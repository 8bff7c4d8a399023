"""The ops page and its API: only for operations, in words; a failed step and a dead letter are acted on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from include.ops.examination import Patient
from include.ops.findings import finding
from include.process import engine
from include.process.scheme import scheme_body
from include.shared.db import libpq_url
from include.shared.errors import Conflict

pytestmark = pytest.mark.db
WRONG = {"word": "SetField", "title": "Отметить срочность", "field": "no_such_field", "value": "x"}
STAGE = "Счет/КП"


class World:
    """What stands in for Airflow and for the doctor."""

    def __init__(self) -> None:
        self.findings: list[Any] = []
        self.cleared: list[tuple[str, str, list[str]]] = []
        self.refuses: str | None = None

    def clear(self, process: str, run_id: str, steps: Any, _finished: Any) -> None:
        if self.refuses:
            raise Conflict(self.refuses)
        self.cleared.append((process, run_id, list(steps)))


@pytest.fixture
def world(desk: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    from backoffice import ops

    made = World()
    monkeypatch.setattr(ops, "findings", lambda: made.findings)
    monkeypatch.setattr(ops, "clear", made.clear)
    nowhere = "postgresql://nobody@127.0.0.1:9/none"
    monkeypatch.setattr(ops, "patient", lambda: Patient(nowhere, libpq_url(), 1000))
    yield made
    desk.change("DELETE FROM step_aim; DELETE FROM step_state; DELETE FROM process_instance")
    desk.change("DELETE FROM outbox_event WHERE state = 'dead'")


@pytest.fixture
def failed(desk: Any, world: World) -> tuple[int, int]:
    """A deal that stands at a step: its id, the step's."""
    deal = desk.deal("Насосы для «Ромашки»", company_id=desk.company.companies["romashka"])
    desk.move(deal, STAGE)
    event = desk.one("SELECT max(id) FROM outbox_event WHERE kind = 'stage_entered'")
    begun = engine.begin(event, "goods_test", scheme_body("Счёт и КП", 1, [("mark", [], WRONG)]))
    assert engine.look("goods_test", str(begun.run_id), "mark", WRONG).outcome == "failed"
    desk.change("UPDATE outbox_event SET state = 'done' WHERE state = 'pending'")
    return deal, desk.one("SELECT max(id) FROM step_state")


@pytest.fixture
def dead(desk: Any, world: World) -> int:
    desk.deal("С отложенным событием")
    desk.change(
        "UPDATE outbox_event SET state = 'dead', attempts = 20, error = :error"
        " WHERE id = (SELECT max(id) FROM outbox_event)",
        error="KeyError: <b>7</b>\nTraceback",
    )
    return int(desk.one("SELECT max(id) FROM outbox_event WHERE state = 'dead'"))


def test_nobody_else_comes_in(desk, world):
    stranger = TestClient(desk.app)
    assert stranger.get("/backoffice/ops", follow_redirects=False).status_code == 303
    assert stranger.get("/backoffice/api/ops").status_code == 401
    for login in ("manager", "boss", "accountant"):
        assert desk.as_(login).get("/ops").status_code == 403
        assert desk.as_(login).api("GET", "/ops/findings").status_code == 403
        assert "Обслуживание" not in desk.as_(login).get("/").text
    for login in ("ops", "admin"):
        assert desk.as_(login).get("/ops").status_code == 200
        assert 'href="/backoffice/ops"' in desk.as_(login).get("/").text


def test_all_is_well(desk, world, words):
    said = words(desk.as_("ops").get("/ops"))
    assert "Всё в порядке" in said
    assert "Резервной копии ещё не было" in said
    assert "Ничего" not in said
    assert desk.as_("ops").api("GET", "/ops/findings").json() == {"ok": True, "findings": []}


def test_a_finding_says_what_to_do(desk, world, words):
    world.findings = [finding("relay_lag", "Событий в очереди: <7>.")]
    answer = desk.as_("ops").get("/ops")
    assert "Событий в очереди: <7>. → Очередь событий стоит." in words(answer)
    assert "<7>" not in answer.text
    found = desk.as_("ops").api("GET", "/ops/findings").json()
    assert (found["ok"], found["findings"][0]["code"]) == (False, "relay_lag")


def test_a_failed_step_stands_on_the_page_and_on_the_card(desk, world, failed, words):
    deal, step = failed
    said = words(desk.as_("ops").get("/ops"))
    assert "Насосы для «Ромашки» Счёт и КП Отметить срочность" in said
    card = desk.as_("admin").get(f"/deals/{deal}")
    assert f'action="/backoffice/ops/steps/{step}/retry"' in card.text
    assert "Шаг «Отметить срочность» не выполнен: " in words(card)
    theirs = desk.as_("manager").get(f"/deals/{deal}")
    assert "повторить может администратор" in words(theirs)
    assert "/retry" not in theirs.text
    assert "Шаг «Отметить срочность» не выполнен" in words(desk.as_("manager").get("/board"))
    assert "Шаг «Отметить срочность» не выполнен" in words(desk.as_("manager").get("/"))
    assert "Шаг «Отметить срочность» не выполнен" in words(desk.as_("boss").get("/?view=department"))
    for login in ("stranger", "colleague"):
        assert "Шаг «Отметить срочность» не выполнен" not in words(desk.as_(login).get("/"))


def test_it_is_repeated_from_the_card(desk, world, failed, words):
    deal, step = failed
    answer = desk.as_("ops").post(f"/ops/steps/{step}/retry", back=f"/backoffice/deals/{deal}")
    assert str(answer.url).endswith(f"/deals/{deal}")
    assert "Шаг «Отметить срочность» повторяется: через несколько секунд" in words(answer)
    assert [(process, steps) for process, _, steps in world.cleared] == [("goods_test", ["mark"])]
    assert "/retry" not in answer.text
    said = words(desk.as_("ops").get("/ops"))
    assert "повторяется" in said
    assert "Шаг «Отметить срочность» повторён" in said
    again = desk.as_("ops").post(f"/ops/steps/{step}/retry")
    assert "уже повторяется" in words(again)
    assert len(world.cleared) == 1


def test_a_refusal_of_airflow_is_said(desk, world, failed, words):
    world.refuses = "Прогона в Airflow больше нет: сверка закончит этот процесс сама."
    assert world.refuses in words(desk.as_("ops").post(f"/ops/steps/{failed[1]}/retry"))
    answer = desk.as_("ops").api("POST", f"/ops/steps/{failed[1]}/retry")
    assert (answer.status_code, answer.json()["error"]) == (409, world.refuses)


def test_the_api_repeats_a_step(desk, world, failed):
    assert desk.as_("manager").api("POST", f"/ops/steps/{failed[1]}/retry").status_code == 403
    answer = desk.as_("ops").api("POST", f"/ops/steps/{failed[1]}/retry")
    assert (answer.status_code, answer.json()["title"]) == (200, "Отметить срочность")
    assert desk.as_("ops").api("POST", "/ops/steps/999999/retry").status_code == 404
    state = desk.as_("ops").api("GET", "/ops").json()
    assert [one["retried"] for one in state["stuck"]] == [True]
    assert state["stuck_total"] == 1


def test_a_page_back_is_our_own(desk, world, failed):
    answer = desk.as_("ops").post(f"/ops/steps/{failed[1]}/retry", follow=False, back="https://evil.example/")
    assert answer.headers["location"] == "/backoffice/ops"


def test_a_dead_letter_is_repeated(desk, world, dead, words):
    answer = desk.as_("ops").get("/ops")
    assert "KeyError: <b>7</b>" in words(answer)
    assert "<b>7</b>" not in answer.text
    assert "Traceback" not in answer.text
    said = words(desk.as_("ops").post(f"/ops/events/{dead}/repeat"))
    assert f"Событие № {dead} передаётся снова" in said
    assert desk.one("SELECT state FROM outbox_event WHERE id = :id", id=dead) == "pending"
    assert "уже не отложено" in words(desk.as_("ops").post(f"/ops/events/{dead}/repeat"))


def test_giving_a_dead_letter_up_is_asked_twice_and_needs_a_reason(desk, world, dead, words):
    asked = desk.as_("ops").post(f"/ops/events/{dead}/drop")
    assert "не начнётся никогда" in words(asked)
    assert desk.one("SELECT state FROM outbox_event WHERE id = :id", id=dead) == "dead"
    empty = desk.as_("ops").post(f"/ops/events/{dead}/drop", confirmed="yes", reason=" ")
    assert empty.status_code == 422
    assert "Напишите, почему" in words(empty)
    done = desk.as_("ops").post(f"/ops/events/{dead}/drop", confirmed="yes", reason="Заведена дважды")
    assert f"Событие № {dead} снято" in words(done)
    assert desk.one("SELECT state FROM outbox_event WHERE id = :id", id=dead) == "done"
    assert desk.one("SELECT reason FROM audit WHERE action = 'event.dropped' AND entity_id = :id", id=dead)


def test_the_api_gives_a_dead_letter_up(desk, world, dead):
    assert desk.as_("ops").api("POST", f"/ops/events/{dead}/drop", json={"reason": ""}).status_code == 422
    answer = desk.as_("ops").api("POST", f"/ops/events/{dead}/drop", json={"reason": "дважды"})
    assert answer.json() == {"id": dead, "state": "done"}
    assert desk.as_("ops").api("POST", f"/ops/events/{dead}/repeat").status_code == 409


def test_parts_backup_and_numbers(desk, world, words):
    from include.shared.heartbeat import beat

    beat("hub", "host:1", {"waiting": 12, "connected": False})
    beat("backup", "host", {"path": "/srv/copies/2026-11-22", "bytes": 12_300_000_000})
    try:
        answer = desk.as_("ops").get("/ops")
        said = words(answer)
        assert "Будильник ожиданий" in said
        assert "ожиданий: 12, не слышит базу" in said
        assert "12,3 ГБ" in said
        assert "/srv/copies/2026-11-22" in said
        state = desk.as_("ops").api("GET", "/ops").json()
        assert state["numbers"]["hub_waiting"] == 12
        assert state["numbers"]["hub_connected"] == 0
        assert state["nightly"] == [], "базы Airflow здесь нет: страница всё же стоит"
    finally:
        desk.change("DELETE FROM heartbeat")


def test_the_page_works_without_scripts_and_looks_again_with_them(desk, world):
    answer = desk.as_("ops").get("/ops")
    assert 'href="/backoffice/ops"' in answer.text
    assert "data-ops-live" in answer.text
    assert desk.as_("ops").get("/static/ops.js").status_code == 200
    assert json.dumps("<script>") not in answer.text
