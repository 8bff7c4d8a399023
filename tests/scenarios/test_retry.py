"""A failed step on the real scheduler: it stands on the card, is repeated once, joins what was done, and goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text

from include.process.reading import violations
from tests.scenarios.office import Office

pytestmark = pytest.mark.airflow

AUTO, CHAIN = "probe_auto", "probe_payment"


@pytest.fixture
def closed_stage(office: Office) -> Iterator[Callable[[], None]]:
    """«Оплата» is called otherwise for a while: the step that moves there cannot; calling it mends."""

    def call(old: str, new: str) -> None:
        with office.engine.begin() as connection:
            renaming = text("UPDATE stage SET title = :new WHERE funnel_code = 'probe' AND title = :old")
            connection.execute(renaming, {"old": old, "new": new})

    call("Оплата", "Оплата (закрыта)")
    yield lambda: call("Оплата (закрыта)", "Оплата")
    call("Оплата (закрыта)", "Оплата")


def stuck(office: Office, deal: dict[str, Any]) -> list[dict[str, Any]]:
    """What the ops page shows of this deal."""
    shown = office.call("ops", "GET", "/ops")["stuck"]
    return [one for one in shown if one["case"]["link"] == f"/backoffice/deals/{deal['id']}"]


def until(office: Office, what: Callable[[], Any]) -> Any:
    end = time.monotonic() + 120
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.3)
    return found


def run_state(office: Office, run_id: str) -> str:
    return str(office.airflow_rows("SELECT state FROM dag_run WHERE run_id = :run", run=run_id)[0]["state"])


def test_a_failed_run_goes_on_from_its_failed_step(office: Office, closed_stage: Callable[[], None]) -> None:
    deal = office.new_deal("admin", "Повтор", "Проба", "Иванова")
    office.call("Иванова", "POST", f"/deals/{deal['id']}/stage", {"stage": "Авто"})
    (one,) = until(office, lambda: stuck(office, deal))
    assert (one["state"], one["process"]) == ("failed", AUTO)
    assert "Оплата" in one["reason"]
    until(office, lambda: run_state(office, one["run_id"]) == "failed")
    line = office.call("Иванова", "GET", f"/deals/{deal['id']}")["line"]
    assert line["kind"] == "failed"
    assert line["text"].endswith("повторить может администратор")
    until(
        office, lambda: "step_failed" in {one["code"] for one in office.call("ops", "GET", "/ops/findings")["findings"]}
    )

    office.call("Иванова", "POST", f"/ops/steps/{one['id']}/retry", expect=403)
    closed_stage()
    office.call("ops", "POST", f"/ops/steps/{one['id']}/retry")
    office.call("ops", "POST", f"/ops/steps/{one['id']}/retry", expect=409)  # twice quickly: one retry
    (task,) = until(office, lambda: office.open_tasks(deal["case_id"]))
    office.advance()
    assert task["title"] == "Получить окончательный расчет"
    assert run_state(office, one["run_id"]) == "success"
    assert stuck(office, deal) == []
    marked = office.rows(
        "SELECT count(*) AS n FROM audit WHERE case_id = :c AND action = 'deal.field_changed'", c=deal["case_id"]
    )
    assert marked[0]["n"] == 1, "сделанный до сбоя шаг не повторён"
    office.claim()
    assert [found for found in violations() if found.case_key == f"deal-{deal['id']}"] == []


def test_a_run_that_ops_have_failed_goes_on(office: Office) -> None:
    """Its waiting step is withdrawn, its next ones are skipped in Airflow: repeating gives the work again."""
    deal = office.new_deal("admin", "Остановлен", "Проба", "Иванова")
    office.call("Иванова", "POST", f"/deals/{deal['id']}/stage", {"stage": "Оплата"})
    (task,) = until(office, lambda: office.open_tasks(deal["case_id"]))
    run_id = office.rows("SELECT run_id FROM process_instance WHERE case_id = :c", c=deal["case_id"])[0]["run_id"]
    office.call("ops", "PATCH", f"/api/v2/dags/{CHAIN}/dagRuns/{run_id}", {"state": "failed"})
    (one,) = until(office, lambda: [each for each in stuck(office, deal) if each["title"] == task["title"]])
    assert one["state"] == "marked"
    assert office.open_tasks(deal["case_id"]) == []
    office.call("ops", "POST", f"/ops/steps/{one['id']}/retry")
    (again,) = until(office, lambda: office.open_tasks(deal["case_id"]))
    assert (again["title"], again["id"] != task["id"]) == (task["title"], True)
    until(office, lambda: run_state(office, run_id) == "running")
    office.call("Иванова", "POST", f"/deals/{deal['id']}/stage", {"stage": "Сделка проиграна"})
    office.advance()
    ended = office.call("ops", "POST", f"/ops/steps/{one['id']}/retry", expect=409)
    assert "Процесс уже окончен" in ended["error"]
