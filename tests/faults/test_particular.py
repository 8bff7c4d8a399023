"""Particular faults: what exactly a case, its card and its run show after what ops or a death have done.

What holds after every fault whatever happened is in test_catalogue.py.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from include.deals import services as deals
from include.process import engine
from include.shared import clock
from include.shared.work import Actor, transaction
from tests.faults.faults import wait_until
from tests.faults.office import FaultOffice, healthy
from tests.scenarios.rest import DAG, close, instances
from tests.scenarios.stories import EXPRESS, TASK

pytestmark = pytest.mark.airflow

LIVE = 7


@pytest.fixture(scope="module")
def live(office: FaultOffice) -> list[dict[str, Any]]:
    """Deals on «Экспресс-идентификация», each with its open task and its alarm armed."""
    made = []
    for number in range(LIVE):
        deal = office.new_deal("admin", f"Сбой {number + 1}", "Товары", "Иванова")
        office.call("Иванова", "POST", f"/deals/{deal['id']}/stage", {"stage": EXPRESS})
        made.append(deal)
    office.advance()
    assert [len(office.open_tasks(deal["case_id"])) for deal in made] == [1] * LIVE
    return made


def hold_engines(office: FaultOffice) -> None:
    """Kill every engine and keep it down."""
    for name in office.programs("engine"):
        office.installation.hold(name)


def test_the_engine_dies_between_fact_and_run(office: FaultOffice, live: list[dict[str, Any]]) -> None:
    """Facts written while no relay lives wait in the outbox; each starts exactly one run afterwards."""
    made = []
    hold_engines(office)
    try:
        for number in range(3):
            with transaction(Actor(office.people["Иванова"], "person")) as work:
                deal = deals.create_deal(
                    work, title=f"Без передатчика {number + 1}", funnel="goods",
                    responsible_id=office.people["Иванова"],
                )  # fmt: skip
            with transaction(Actor(office.people["Иванова"], "person")) as work:
                deals.move_stage(work, deal.id, EXPRESS)
            made.append({"id": deal.id, "case_id": deal.case_id})
        # one relay died between beginning the instance and creating its run
        event = office.rows(
            "SELECT id FROM outbox_event WHERE case_id = :c AND state = 'pending' ORDER BY id DESC LIMIT 1",
            c=made[0]["case_id"],
        )[0]
        scheme = office.rows("SELECT body FROM process_scheme WHERE process = :p ORDER BY id DESC LIMIT 1", p=DAG)[0]
        assert engine.begin(event["id"], DAG, scheme["body"]).run_id is not None
    finally:
        office.installation.release()
    healthy(office.installation)
    office.rest()
    for one in made:
        assert [task["title"] for task in office.open_tasks(one["case_id"])] == [TASK]
        runs = office.airflow_rows("SELECT run_id FROM dag_run WHERE run_id LIKE :run", run=f"deal-{one['id']}-visit-%")
        assert len(runs) == 1


def test_clear_joins_what_was_done(office: FaultOffice, live: list[dict[str, Any]]) -> None:
    """Ops clear waiting and done steps, the engine dies in the middle: same task, no second notice or alarm."""
    chosen = live[0:2]
    before = {deal["id"]: office.open_tasks(deal["case_id"])[0]["id"] for deal in chosen}
    for deal in chosen:
        clear(office, run_of(office, deal), ["take_over", "identify", "identify_late"])
    office.installation.kill("engine")
    office.rest()
    for deal in chosen:
        assert [task["id"] for task in office.open_tasks(deal["case_id"])] == [before[deal["id"]]]
        close(office, deal)
    office.rest()
    assert [instances(office, deal) for deal in chosen] == [[("ended", "завершён")]] * 2


def test_marked_step_withdraws_its_task(office: FaultOffice, live: list[dict[str, Any]]) -> None:
    """Mark success moves only the graph; a clear joins again and gives the task anew."""
    deal = live[2]
    run = run_of(office, deal)
    office.call("ops", "PATCH", f"/api/v2/dags/{DAG}/dagRuns/{run}/taskInstances/identify", {"new_state": "success"})
    wait_until(lambda: office.open_tasks(deal["case_id"]) == [], "задача снята")
    (task,) = office.rows("SELECT state, close_reason FROM task WHERE case_id = :c", c=deal["case_id"])
    assert (task["state"], task["close_reason"]) == ("withdrawn", "снято администратором")
    clear(office, run, ["identify", "identify_late"])
    wait_until(lambda: len(office.open_tasks(deal["case_id"])) == 1, "задача поставлена снова")
    close(office, deal)
    office.rest()


def test_marked_fact_is_refused_by_the_next_step(office: FaultOffice) -> None:
    """«отмечено вручную, факт не наступил»: the step behind a marked one fails and stands on the card."""
    deal = office.new_deal("admin", "Отмечено вручную", "Проба", "Иванова", amount="100")
    office.call("Иванова", "POST", f"/deals/{deal['id']}/stage", {"stage": "Оплата"})
    office.advance()
    run = run_of(office, deal)
    path = f"/api/v2/dags/probe_payment/dagRuns/{run}/taskInstances/pay"
    office.call("ops", "PATCH", path, {"new_state": "success"})
    failed = "SELECT reason FROM step_state WHERE case_id = :c AND step = 'pack' AND state = 'failed'"
    wait_until(lambda: office.rows(failed, c=deal["case_id"]) != [], "следующий шаг отказался")
    assert "отмечено вручную, факт не наступил" in office.rows(failed, c=deal["case_id"])[0]["reason"]
    waits = office.call("admin", "GET", f"/deals/{deal['id']}/waits")
    assert any("факт не наступил" in one["text"] for one in waits)
    clear(office, run, ["pay", "pay_late", "pack"], dag="probe_payment")
    wait_until(lambda: len(office.open_tasks(deal["case_id"])) == 1, "задача поставлена снова")
    assert office.open_tasks(deal["case_id"])[0]["title"] == "Получить окончательный расчет"
    office.call("Иванова", "PATCH", f"/deals/{deal['id']}/fields", {"paid": "100"})
    office.rest()
    assert [task["title"] for task in office.open_tasks(deal["case_id"])] == ["Укомплектовать заказ"]


def test_deleted_run_ends_its_case(office: FaultOffice, live: list[dict[str, Any]]) -> None:
    """Airflow deletes only a run that is over: ops mark it failed first, which withdraws its work."""
    deal = live[3]
    path = f"/api/v2/dags/{DAG}/dagRuns/{run_of(office, deal)}"
    office.call("ops", "PATCH", path, {"state": "failed"})
    wait_until(lambda: office.open_tasks(deal["case_id"]) == [], "задача снята")
    office.call("admin", "DELETE", path)
    wait_until(lambda: instances(office, deal)[0][0] == "ended", "дело закрыто")
    assert instances(office, deal) == [("ended", "прогон удалён администратором")]
    office.rest()


def test_withdrawn_work_says_why_on_the_run(office: FaultOffice, live: list[dict[str, Any]]) -> None:
    """Airflow shows a run whose work was withdrawn green: its note tells the reason."""
    deal = live[4]
    run = run_of(office, deal)
    office.call("Иванова", "POST", f"/deals/{deal['id']}/stage", {"stage": "Отгрузка"})
    path = f"/api/v2/dags/{DAG}/dagRuns/{run}"
    wait_until(lambda: office.call("ops", "GET", path)["note"] == "сделка ушла со стадии", "заметка на прогоне")
    assert office.call("ops", "GET", path)["state"] == "success"
    office.rest()


def test_downtime_over_many_moments(office: FaultOffice, live: list[dict[str, Any]]) -> None:
    """The clock jumps a day ahead while no engine lives: every missed alarm fires once."""
    still_open = [deal for deal in live if office.open_tasks(deal["case_id"])]
    assert still_open
    hold_engines(office)
    with transaction() as work:
        clock.move_to(work.session, work.now + timedelta(days=1))
    office.installation.release()
    office.rest()
    for deal in still_open:
        told = office.rows(
            "SELECT person_id, count(*) AS n FROM notice WHERE case_id = :c AND key LIKE '%/identify_late/fired/%'"
            " GROUP BY person_id",
            c=deal["case_id"],
        )
        assert sorted(one["n"] for one in told) == [1, 1, 1]


def run_of(office: FaultOffice, deal: dict[str, Any]) -> str:
    """Return the run of the deal's newest instance."""
    query = "SELECT run_id FROM process_instance WHERE case_id = :c ORDER BY id DESC LIMIT 1"
    return str(office.rows(query, c=deal["case_id"])[0]["run_id"])


def clear(office: FaultOffice, run: str, steps: list[str], dag: str = DAG) -> None:
    """Clear steps in Airflow as ops do."""
    body = {"dry_run": False, "dag_run_id": run, "task_ids": steps, "only_failed": False, "reset_dag_runs": True}
    office.call("ops", "POST", f"/api/v2/dags/{dag}/clearTaskInstances", body)
