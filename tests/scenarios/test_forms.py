"""Form processes: started from our API, from Airflow's own form, and refused where nobody may start them (R002-9a)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.scenarios.office import Office

pytestmark = pytest.mark.airflow

FORM = {"direction": "Товары", "subject": "Нужны подшипники SKF", "source": "почта"}
RUNS = "/api/v2/dags/client_request/dagRuns"


def deals_titled(office: Office, title: str) -> list[dict[str, Any]]:
    return office.rows(
        "SELECT deal.*, stage.title AS stage FROM deal JOIN stage ON stage.id = deal.stage_id WHERE deal.title = :t",
        t=title,
    )


def test_a_request_becomes_a_deal_once(office: Office) -> None:
    """R002-9a R002-9b: on «Не обработан», without tasks; sent twice with one key it is one deal."""
    form = FORM | {"responsible_id": office.people["Иванова"], "subject": "Обращение с нашей страницы"}
    for _ in range(2):
        office.call("Белова", "POST", "/forms/client_request", form, headers={"Idempotency-Key": "one-and-only"})
    office.advance()
    (deal,) = deals_titled(office, form["subject"])
    assert (deal["stage"], deal["responsible_id"]) == ("Не обработан", office.people["Иванова"])
    assert office.open_tasks(deal["case_id"]) == []
    told = office.rows("SELECT person_id FROM notice WHERE text LIKE '%Обращение с нашей страницы%'")
    assert [one["person_id"] for one in told] == [office.people["Иванова"]]


def test_airflows_own_form_starts_the_same_process(office: Office) -> None:
    """Staff may start a form process in Airflow too: the run becomes a case of its own, rights are checked again."""
    form = FORM | {"responsible_id": office.people["Петров"], "subject": "Обращение из формы Airflow"}
    office.call("Белова", "POST", RUNS, {"logical_date": None, "conf": form})
    until = time.monotonic() + 60
    while not deals_titled(office, form["subject"]):
        assert time.monotonic() < until, "сделка не появилась"
        time.sleep(0.3)
    office.advance()
    assert len(deals_titled(office, form["subject"])) == 1
    started = office.rows("SELECT payload->>'started_by' AS who FROM process_instance ORDER BY id DESC LIMIT 1")
    assert int(started[0]["who"]) == office.people["Белова"]


def test_staff_may_not_start_what_is_no_form(office: Office) -> None:
    office.call(
        "Белова", "POST", "/api/v2/dags/goods_identification/dagRuns", {"logical_date": None, "conf": {}}, expect=403
    )


def test_a_run_without_a_case_fails_in_words(office: Office) -> None:
    """Ops start a stage process by hand: its first step fails and says why; nothing is made."""
    path = "/api/v2/dags/goods_identification/dagRuns"
    run = office.call("ops", "POST", path, {"logical_date": None, "conf": {}})["dag_run_id"]
    until = time.monotonic() + 60
    state = ""
    while state != "failed":
        assert time.monotonic() < until, state
        time.sleep(0.3)
        state = office.call("ops", "GET", f"{path}/{run}")["state"]
    assert office.rows("SELECT 1 FROM process_instance WHERE run_id = :run", run=run) == []
