"""Faults with live cases: programs are killed, the database restarts, ops act in Airflow; nothing is lost or doubled.

After each fault the office comes to rest and the one SQL file of invariants counts 0 violations.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import requests

from include.deals import services as deals
from include.process import engine
from include.process.reading import violations
from include.shared.work import Actor, transaction
from tests.scenarios.office import Office
from tests.scenarios.stories import EXPRESS, TASK

pytestmark = pytest.mark.airflow

LIVE = 20
DAG = "goods_identification"


@pytest.fixture(scope="module")
def live(office: Office) -> list[dict[str, Any]]:
    """Twenty deals on «Экспресс-идентификация», each with its open task and its alarm armed."""
    made = []
    for number in range(LIVE):
        deal = office.new_deal("admin", f"Сбой {number + 1}", "Товары", "Иванова")
        office.call("Иванова", "POST", f"/deals/{deal['id']}/stage", {"stage": EXPRESS})
        made.append(deal)
    office.advance()
    assert [len(office.open_tasks(deal["case_id"])) for deal in made] == [1] * LIVE
    return made


def at_rest(office: Office) -> None:
    """Wait until the pages answer again and all is quiet; then nothing may be lost or doubled."""
    office.claim()
    until = time.monotonic() + 120
    while True:
        try:
            if requests.get(f"{office.installation.base_url}/backoffice/api/health", timeout=5).ok:
                office.advance()
                break
        except (requests.ConnectionError, requests.Timeout, AssertionError):
            assert time.monotonic() < until, "офис не отвечает"
        time.sleep(0.5)
    assert violations() == []


def close(office: Office, deal: dict[str, Any]) -> None:
    """Close the deal's one open task as its executor."""
    (task,) = office.open_tasks(deal["case_id"])
    office.call("Иванова", "POST", f"/tasks/{task['id']}/close", {"result": {}})


@contextmanager
def held(office: Office, program: str) -> Iterator[None]:
    """Keep a program killed for the time of the block."""
    office.installation.hold(program)
    try:
        yield
    finally:
        office.installation.release(program)
        office.installation.wait_program(program)


def instances(office: Office, deal: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Return state and reason of the deal's instances, oldest first."""
    found = office.rows("SELECT state, reason FROM process_instance WHERE case_id = :c ORDER BY id", c=deal["case_id"])
    return [(one["state"], one["reason"]) for one in found]


@pytest.mark.parametrize("program", ["triggerer", "scheduler", "dag-processor"])
def test_kill_while_tasks_are_closed(office: Office, live: list[dict[str, Any]], program: str) -> None:
    first = {"triggerer": 0, "scheduler": 3, "dag-processor": 6}[program]
    with held(office, program):
        for deal in live[first : first + 3]:
            close(office, deal)
    at_rest(office)
    for deal in live[first : first + 3]:
        assert instances(office, deal) == [("ended", "завершён")]
        assert office.open_tasks(deal["case_id"]) == []


def test_both_triggerers_die(office: Office, live: list[dict[str, Any]]) -> None:
    office.installation.kill("triggerer")
    office.installation.kill("triggerer-2")
    close(office, live[9])
    at_rest(office)
    assert instances(office, live[9]) == [("ended", "завершён")]


def test_a_frozen_triggerer_is_taken_over(office: Office, live: list[dict[str, Any]]) -> None:
    """SIGSTOP: its triggers go to the other one when its heartbeat expires; waking up it doubles nothing."""
    pid = office.installation.program_pid("triggerer")
    assert pid is not None
    import psutil

    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for one in family:
        one.send_signal(signal.SIGSTOP)
    try:
        close(office, live[10])
        at_rest(office)
        assert instances(office, live[10]) == [("ended", "завершён")]
    finally:
        for one in family:
            one.send_signal(signal.SIGCONT)
    at_rest(office)


def test_kill_api_server_between_fact_and_run(office: Office, live: list[dict[str, Any]]) -> None:
    """Facts written while no relay lives wait in the outbox; each starts exactly one run afterwards."""
    made = []
    office.claim()
    with held(office, "api-server"):
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
    at_rest(office)
    for deal in made:
        assert [task["title"] for task in office.open_tasks(deal["case_id"])] == [TASK]
        runs = office.airflow_rows(
            "SELECT run_id FROM dag_run WHERE run_id LIKE :run", run=f"deal-{deal['id']}-visit-%"
        )
        assert len(runs) == 1


def test_postgres_restarts(office: Office, live: list[dict[str, Any]]) -> None:
    pid = office.installation.program_pid("postgres")
    assert pid is not None
    import os

    os.kill(pid, signal.SIGQUIT)  # immediate stop: no checkpoint, every session is cut
    office.installation.wait_program("postgres", other_than=pid)
    at_rest(office)
    close(office, live[11])
    at_rest(office)
    assert instances(office, live[11]) == [("ended", "завершён")]


def test_clear_joins_what_was_done(office: Office, live: list[dict[str, Any]]) -> None:
    """Ops clear waiting and done steps, the triggerer dies in the middle: same task, no second notice or alarm."""
    chosen = live[12:15]
    before = {deal["id"]: office.open_tasks(deal["case_id"])[0]["id"] for deal in chosen}
    for deal in chosen:
        clear(office, run_of(office, deal), ["take_over", "identify", "identify_late"])
    office.installation.kill("triggerer")
    at_rest(office)
    for deal in chosen:
        assert [task["id"] for task in office.open_tasks(deal["case_id"])] == [before[deal["id"]]]
        close(office, deal)
    at_rest(office)
    assert [instances(office, deal) for deal in chosen] == [[("ended", "завершён")]] * 3


def test_marked_step_withdraws_its_task(office: Office, live: list[dict[str, Any]]) -> None:
    """Mark success moves only the graph; a clear joins again and gives the task anew."""
    deal = live[15]
    run = run_of(office, deal)
    office.call("ops", "PATCH", f"/api/v2/dags/{DAG}/dagRuns/{run}/taskInstances/identify", {"new_state": "success"})
    wait_until(lambda: office.open_tasks(deal["case_id"]) == [], "задача снята")
    (task,) = office.rows("SELECT state, close_reason FROM task WHERE case_id = :c", c=deal["case_id"])
    assert (task["state"], task["close_reason"]) == ("withdrawn", "снято администратором")
    clear(office, run, ["identify", "identify_late"])
    wait_until(lambda: len(office.open_tasks(deal["case_id"])) == 1, "задача поставлена снова")
    close(office, deal)
    at_rest(office)


def test_marked_fact_is_refused_by_the_next_step(office: Office) -> None:
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
    at_rest(office)
    assert [task["title"] for task in office.open_tasks(deal["case_id"])] == ["Укомплектовать заказ"]


def test_deleted_run_ends_its_case(office: Office, live: list[dict[str, Any]]) -> None:
    """Airflow deletes only a run that is over: ops mark it failed first, which withdraws its work."""
    deal = live[16]
    path = f"/api/v2/dags/{DAG}/dagRuns/{run_of(office, deal)}"
    office.call("ops", "PATCH", path, {"state": "failed"})
    wait_until(lambda: office.open_tasks(deal["case_id"]) == [], "задача снята")
    office.call("admin", "DELETE", path)
    wait_until(lambda: instances(office, deal)[0][0] == "ended", "дело закрыто")
    assert instances(office, deal) == [("ended", "прогон удалён администратором")]
    at_rest(office)


def test_withdrawn_work_says_why_on_the_run(office: Office, live: list[dict[str, Any]]) -> None:
    """Airflow shows a run whose work was withdrawn green: its note tells the reason."""
    deal = live[17]
    run = run_of(office, deal)
    office.call("Иванова", "POST", f"/deals/{deal['id']}/stage", {"stage": "Отгрузка"})
    path = f"/api/v2/dags/{DAG}/dagRuns/{run}"
    wait_until(lambda: office.call("ops", "GET", path)["note"] == "сделка ушла со стадии", "заметка на прогоне")
    assert office.call("ops", "GET", path)["state"] == "success"
    at_rest(office)


def test_downtime_over_many_moments(office: Office, live: list[dict[str, Any]]) -> None:
    """The clock jumps a day ahead while triggerers are down: every missed alarm fires once."""
    still_open = [deal for deal in live if office.open_tasks(deal["case_id"])]
    assert still_open
    for name in ("triggerer", "triggerer-2"):
        office.installation.hold(name)
    with transaction() as work:
        from include.shared import clock

        clock.move_to(work.session, work.now + timedelta(days=1))
    for name in ("triggerer", "triggerer-2"):
        office.installation.release(name)
    at_rest(office)
    for deal in still_open:
        told = office.rows(
            "SELECT person_id, count(*) AS n FROM notice WHERE case_id = :c AND key LIKE '%/identify_late/fired/%'"
            " GROUP BY person_id",
            c=deal["case_id"],
        )
        assert sorted(one["n"] for one in told) == [1, 1, 1]


def run_of(office: Office, deal: dict[str, Any]) -> str:
    """Return the run of the deal's newest instance."""
    query = "SELECT run_id FROM process_instance WHERE case_id = :c ORDER BY id DESC LIMIT 1"
    return str(office.rows(query, c=deal["case_id"])[0]["run_id"])


def clear(office: Office, run: str, steps: list[str], dag: str = DAG) -> None:
    """Clear steps in Airflow as ops do."""
    body = {"dry_run": False, "dag_run_id": run, "task_ids": steps, "only_failed": False, "reset_dag_runs": True}
    office.call("ops", "POST", f"/api/v2/dags/{dag}/clearTaskInstances", body)


def wait_until(holds: Any, what: str, seconds: float = 60) -> None:
    """Wait for something that the reconciler does in its own time."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, f"не дождались: {what}"
        time.sleep(0.3)
